"""Numbers, printed as a table and not asserted: they depend on the machine."""
import os
import re
import statistics
import time
from datetime import datetime

import pytest
from sidecars import boottime_ns, wait_for

TTL = 6.0
CUTS = int(os.environ.get("GALERA_LEASE_BENCH_RUNS", "20"))


def row(what, values, unit, aim):
    print(f"\n| {what} | {statistics.median(values):.2f} {unit} | {max(values):.2f} {unit} | {len(values)} | {aim} |", end="")


def log_times(text, pattern):
    return [datetime.fromisoformat(m.group(1)).timestamp() for m in re.finditer(r"ts=(\S+)Z " + pattern, text)]


def test_cut(three):
    ratios = []
    for _ in range(CUTS):
        leader = three.wait_leader(30)
        before = len(three.observer.spans())
        cut = boottime_ns()
        leader.node.cut()
        three.wait_leader(30, other_than=leader)
        spans = wait_for("the next start", lambda b=before: len(three.observer.spans()) > b and three.observer.spans(), 10)
        ratios.append((spans[before][3] - cut) / 1e9 / TTL)
        leader.node.heal()
        three.lab.repair()
        wait_for("the old leader to follow", lambda m=leader: m.role() == "follower", 60)
    row("host cut off: next start / ttl", ratios, "", "<= 1.0")


def test_step_down(three):
    gaps = []
    for _ in range(10):
        leader = three.wait_leader(15)
        time.sleep(TTL * 0.6)  # who stepped down a moment ago backs off
        leader.cli("step-down")
        other = three.wait_leader(15, other_than=leader)
        stopped = log_times(leader.log_text(), "level=info event=stopped .*reason=step-down")[-1]
        started = log_times(other.log_text(), "level=info event=hook-start .*hook=promote")[-1]
        gaps.append((started - stopped) * 1000)
    row("step-down: stopped to next promote", gaps, "ms", "<= 20 ms")


def test_kill(group):
    waits = []
    for index in (1, 2, 3):
        group.add(index)
    group.init().start()
    for _ in range(5):
        leader = group.wait_leader(20)
        killed = time.time()
        leader.kill()
        fenced = wait_for("the fence", lambda m=leader, t=killed: [x for x in log_times(
            m.log_text(), "level=warning event=fence ") if x >= t - 0.002], 5)
        waits.append((fenced[-1] - killed) * 1000)
        leader.start()
        group.wait_leader(20)
    row("sidecar kill -9: fence started", waits, "ms", "<= 20 ms")


def smaps(pid):
    text = open(f"/proc/{pid}/smaps_rollup").read()
    return [int(re.search(rf"^{k}:\s+(\d+)", text, re.M).group(1)) / 1024 for k in ("Rss", "Anonymous")]


def cpu_s(pid):
    fields = open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def counters(lab):
    """Statements that clients sent, and bytes that write sets took, over all nodes. The counting itself is three of them."""
    names = ("Questions", "Wsrep_replicated_bytes")
    found = dict.fromkeys(names, 0)
    for node in lab.nodes:
        for name, value in node.query("SHOW GLOBAL STATUS WHERE Variable_name IN %s", (names,)):
            found[name.capitalize()] += int(value)
    return [found[n] for n in names]


def statements_of_counting(lab):
    """What counting costs: two countings with nothing in between."""
    first = counters(lab)
    second = counters(lab)
    return second[0] - first[0]


@pytest.mark.parametrize("recorded", [False, True], ids=["", "recorded"])
def test_at_rest(group, recorded):
    for index in (1, 2, 3):
        member = group.add(index, ttl="20s", check_interval="5s")
        if not recorded:
            member.trace = None
    group.init().start()
    leader = group.wait_leader(20)
    counting = statements_of_counting(group.lab)
    before, sent = cpu_s(leader.process.pid), counters(group.lab)
    before_size = leader.trace.stat().st_size if recorded else 0
    begun = time.monotonic()
    time.sleep(30)
    took = time.monotonic() - begun
    used = (cpu_s(leader.process.pid) - before) / took * 100
    statements, bytes_ = [(b - a) / took for a, b in zip(sent, counters(group.lab))]
    rss, anonymous = smaps(leader.process.pid)
    at_rest = "at rest, recorded: " if recorded else "at rest: "
    if recorded:
        row(at_rest + "written by one member", [(leader.trace.stat().st_size - before_size) / took], "bytes/s", "32 MB in all")
    row(at_rest + "RSS", [rss], "MB", "<= 12 MB")
    row(at_rest + "anonymous", [anonymous], "MB", "<= 3 MB")
    row(at_rest + "guardian, anonymous", [smaps(leader.guardian())[1]], "MB", "<= 0.3 MB")
    row(at_rest + "CPU of one core", [used], "%", "<= 0.1 %")
    row(at_rest + "statements of all three members", [statements - counting / took], "/s", "counted")
    row(at_rest + "replicated by all three members", [bytes_], "bytes/s", "counted")
    print()
