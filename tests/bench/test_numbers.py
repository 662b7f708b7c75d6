"""Numbers, printed as a table and not asserted: they depend on the machine."""
import time

import pytest
from measure import counters, cpu_s, log_times, smaps, statements_of_counting
from sidecars import boottime_ns, wait_for
from table import REST_S, RUNS, any_phase, row

TTL = 6.0


def test_cut(three):
    ratios = []
    for _ in range(RUNS):
        leader = three.wait_leader(30)
        any_phase(TTL)
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
    for _ in range(min(RUNS, 10)):
        leader = three.wait_leader(15)
        time.sleep(TTL * 0.6)  # who stepped down a moment ago backs off
        leader.cli("step-down")
        other = three.wait_leader(15, other_than=leader)
        stopped = log_times(leader.log_text(), "level=info event=stopped .*reason=step-down")[-1]
        started = log_times(other.log_text(), "level=info event=hook-start .*hook=promote")[-1]
        gaps.append((started - stopped) * 1000)
    row("step-down: stopped to next promote", gaps, "ms", "<= 20 ms")


def note_fences(member):
    """Its fence hook writes down when it starts: the log has the fence once the first attempt is over."""
    hook = member.dir / "fence"
    hook.write_text(f"#!/bin/sh\ndate +%s.%N >>{member.dir}/fences\nexec {member.hook['fence']}\n")
    hook.chmod(0o755)
    member.hook["fence"] = str(hook)


def fences(member):
    path = member.dir / "fences"
    return [float(line) for line in path.read_text().split()] if path.exists() else []


def test_kill(group):
    waits = []
    for index in (1, 2, 3):
        note_fences(group.add(index))
    group.init().start()
    for _ in range(min(RUNS, 5)):
        leader = group.wait_leader(20)
        killed = time.time()
        leader.kill()
        fenced = wait_for("the fence", lambda m=leader, t=killed: [x for x in fences(m) if x >= t], 5)
        waits.append((fenced[0] - killed) * 1000)
        leader.start()
        group.wait_leader(20)
    row("sidecar kill -9: fence started", waits, "ms", "<= 20 ms")


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
    time.sleep(REST_S)
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
    row(at_rest + "statements of all three members", [statements - counting / took], "/s", "")
    row(at_rest + "replicated by all three members", [bytes_], "bytes/s", "")
