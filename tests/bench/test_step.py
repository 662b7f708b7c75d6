"""What a step of the core costs, and what it costs to keep it. Needs no cluster."""
import subprocess

from sidecars import BUILD


def test_step():
    print("\n" + subprocess.run([str(BUILD / "tests/bench/step")], check=True, capture_output=True, text=True).stdout, end="")
