"""The one table of a bench run, and what fills it: each row as it comes, all of them again, aligned, at the end."""
import os
import pathlib
import random
import re
import statistics
import subprocess
import time

RUNS = int(os.environ.get("GALERA_LEASE_BENCH_RUNS", "20"))  # repetitions of a fault; 1 or 2 to try a change
REST_S = 30 if RUNS >= 5 else 5  # how long a quiet system is watched

HEAD = ("what", "who", "min", "median", "max", "unit", "runs", "aim or remark")
rows = []


def any_phase(ttl_s):
    """A fault that always came as long after a renewal would show one end of what a fail-over takes."""
    time.sleep(random.uniform(0, ttl_s / 3))  # the longest of the contenders' times between two renewals


def _text(number):
    return f"{number:.0f}" if abs(number) >= 1000 else f"{number:.3g}"


def summary(what, low, middle, high, unit, runs, remark="", who="galera-lease"):
    """A row whose numbers somebody else has made."""
    rows.append((what, who, _text(low), _text(middle), _text(high), unit, str(runs), remark))
    print("\n| " + " | ".join(rows[-1]) + " |", end="", flush=True)


def row(what, values, unit, remark="", who="galera-lease"):
    """Nothing is asserted: numbers depend on the machine. No values: it cannot be measured, and the remark says why."""
    if not values:
        rows.append((what, who, "-", "-", "-", unit, "0", remark))
        return
    summary(what, min(values), statistics.median(values), max(values), unit, len(values), remark, who)


def _said(*command):
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


def _packages(*names):
    found = [f"{n} {_said('dpkg-query', '-W', '-f=${Version}', n)}" for n in names]
    return ", ".join(n for n in found if not n.endswith(" "))


def machine(binary):
    """One line: what the numbers were taken on."""
    model = re.search(r"^model name\s*:\s*(.*)", pathlib.Path("/proc/cpuinfo").read_text(), re.M)
    memory = re.search(r"^MemTotal:\s+(\d+)", pathlib.Path("/proc/meminfo").read_text(), re.M)
    return (f"{os.cpu_count()} x {model[1] if model else os.uname().machine}, {int(memory[1]) / 1048576:.0f} GB, "
            f"Linux {os.uname().release}; {_said(str(binary), 'version').splitlines()[0]}, "
            f"{_packages('mariadb-server', 'galera-4', 'libmariadb3', 'etcd-server')}; load before {load_before[0]:.1f}, "
            f"after {os.getloadavg()[0]:.1f}; {RUNS} repetitions")


load_before = os.getloadavg()


def lines(binary):
    table = [HEAD] + rows
    width = [max(len(r[i]) for r in table) for i in range(len(HEAD))]
    numeric = (2, 3, 4, 6)
    yield machine(binary)
    for at, r in enumerate(table):
        cells = [c.rjust(w) if i in numeric else c.ljust(w) for i, (c, w) in enumerate(zip(r, width))]
        yield "| " + " | ".join(cells) + " |"
        if at == 0:
            yield "|" + "|".join("-" * (w + 1) + (":" if i in numeric else "-") for i, w in enumerate(width)) + "|"
