"""What a step of the core costs, and what it costs to keep it. Needs no cluster."""
import subprocess

from sidecars import BUILD
from table import summary


def test_step():
    said = subprocess.run([str(BUILD / "tests/bench/step")], check=True, capture_output=True, text=True).stdout
    for line in said.splitlines():
        what, low, middle, high, unit, count, remark = line.split("|")
        summary(what, float(low), float(middle), float(high), unit, count, remark)
