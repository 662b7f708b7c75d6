"""
One lease with ever more members, on the three hosts of the lab. Printed, not asserted.

A failed claim is counted in the database, by its general log and not by the sidecars' own accounts: every compare and set of the lease row
that somebody sent, less those that worked, by which the row's counter rose. (Com_update would be cheaper, but it counts on every node what
the others' write sets change, heartbeats included.) The log is on during elections only.

All hosts share one machine here, so a check hook that looks through all of /proc, a hundred times as often as on a real host,
would be what is measured. These members have a smaller one, which looks at what it started.
"""
import json
import re
import time

import pytest
from measure import counters, cpu_s, log_times, smaps, statements_of_counting
from sidecars import TICKER, boottime_ns, wait_for
from table import REST_S, RUNS, row

TTL_S = 10
KILLS = max(1, RUNS // 4)

HOOK = """#!/bin/sh
pid=$(cat "$GALERA_LEASE_RUNDIR/controller.pid" 2>/dev/null)
case $GALERA_LEASE_HOOK in
promote) setsid {ticker} "${{GALERA_LEASE_STATEDIR%/state}}/ticks" </dev/null & echo $! >"$GALERA_LEASE_RUNDIR/controller.pid" ;;
check) [ -n "$pid" ] && [ -e "/proc/$pid" ] && exit 0; exit 3 ;;
*) [ -z "$pid" ] || kill -9 "$pid"; while [ -e "/proc/${{pid:-none}}" ]; do sleep 0.01; done; rm -f "$GALERA_LEASE_RUNDIR/controller.pid" ;;
esac
"""


def many(group, count):
    hook = group.dir / "hook"
    hook.write_text(HOOK.format(ticker=TICKER))
    hook.chmod(0o755)
    for i in range(count):
        member = group.add(i % 3 + 1, name=f"m{i + 1:03}", ttl=f"{TTL_S}s", restarts=0)
        member.options.pop("check_interval")
        member.hook = dict.fromkeys(member.hook, str(hook))
        member.trace = None
    group.init()
    for member in group.members:
        member.start()
        time.sleep(0.02)  # a start is the work of a whole host
    settled(group, 60 + count)


def settled(group, timeout):
    """One leads and all others follow; asked for rarely, because asking a hundred is work too."""
    end = time.monotonic() + timeout
    while sorted(str(m.role()) for m in group.members) != ["follower"] * (len(group.members) - 1) + ["leader"]:
        if time.monotonic() > end:
            raise TimeoutError(f"not settled: {sorted(str(m.role()) for m in group.members)}")
        time.sleep(0.5)


class Claims:
    """Compare and set statements for this lease, sent and failed, while this is open."""

    def __init__(self, group):
        self.group = group
        self.files = {node: node.dir / "general.log" for node in group.lab.nodes}

    def _counter(self):
        return self.group.lab.nodes[0].query("SELECT counter FROM galera_lease.lease WHERE name = %s", (self.group.lease,))[0][0]

    def __enter__(self):
        for node, file in self.files.items():
            file.unlink(missing_ok=True)
            node.query(f"SET GLOBAL general_log_file = '{file}', GLOBAL log_output = 'FILE', GLOBAL general_log = ON")
        self.before = self._counter()
        return self

    def __exit__(self, *_):
        worked = self._counter() - self.before
        for node in self.files:
            node.query("SET GLOBAL general_log = OFF")
        statement = re.compile(rf"Query\tUPDATE galera_lease\.lease SET .* WHERE name = '{re.escape(self.group.lease)}'")
        self.sent = sum(len(statement.findall(file.read_text(errors="replace"))) for file in self.files.values())
        self.failed = self.sent - worked


def at_rest(group, what):
    members = group.members
    counting, servers = statements_of_counting(group.lab), [cpu_s(n.pid()) for n in group.lab.nodes]
    cpu = [cpu_s(m.process.pid) for m in members]
    sent, begun = counters(group.lab), time.monotonic()
    time.sleep(REST_S)
    took = time.monotonic() - begun
    statements, replicated = [b - a for a, b in zip(sent, counters(group.lab))]
    statements = (statements - counting) / took
    row(f"{what}: statements at rest, all nodes", [statements], "/s")
    row(f"{what}: statements at rest, per member", [statements / len(members)], "/s")
    row(f"{what}: replicated at rest", [replicated / took / 1024], "KiB/s")
    row(f"{what}: CPU of a sidecar", [(cpu_s(m.process.pid) - c) / took * 100 for m, c in zip(members, cpu)], "% of a core")
    row(f"{what}: CPU of a database node", [(cpu_s(n.pid()) - c) / took * 100 for n, c in zip(group.lab.nodes, servers)], "% of a core")
    row(f"{what}: RSS of a sidecar", [smaps(m.process.pid)[0] for m in members], "MB")
    row(f"{what}: anonymous of a sidecar", [smaps(m.process.pid)[1] for m in members], "MB")
    connections = [int(n.query("SHOW STATUS LIKE 'Threads_connected'")[0][1]) - 1 for n in group.lab.nodes]
    row(f"{what}: connections of a node", connections, "", f"{sum(connections) / len(members):.1f} for each member")


def listing(group, what):
    times = []
    for _ in range(5):
        begun = time.perf_counter()
        done = group.members[0].cli("list", "--json")
        times.append((time.perf_counter() - begun) * 1000)
        listed = len(json.loads(done.stdout)["members"])
    row(f"{what}: list", times, "ms", f"{listed} members listed")


def kills(group, what):
    waits, failed, claimed = [], [], []
    for _ in range(KILLS):
        spans = group.observer.spans()
        leader = next(m for m in group.members if m.name == spans[-1][0])
        with Claims(group) as claims:
            at, wall = boottime_ns(), time.time()
            leader.kill()
            deadline = time.monotonic() + 6 * TTL_S
            while len(group.observer.spans()) == len(spans):
                assert time.monotonic() < deadline, "nobody leads"
                time.sleep(0.05)
            time.sleep(2)  # those who claim in vain have done so
        waits.append((group.observer.spans()[len(spans)][3] - at) / 1e9)
        failed.append(claims.failed)
        claimed.append(sum(t > wall for m in group.members for t in log_times(m.log_text(), "level=info event=role .*to=acquiring")))
        leader.start()
        settled(group, 60 + len(group.members))
    row(f"{what}: leader killed, next controller starts after", waits, "s", f"ttl {TTL_S} s")
    row(f"{what}: members that claimed, in one election", claimed, "")
    row(f"{what}: failed CAS in one election", failed, "")


@pytest.mark.parametrize("count", [3, 10, 30, 100])
def test_growth(group, count):
    for node in group.lab.nodes:
        node.query("SET GLOBAL max_connections = 1000")  # 151 as it comes: see the row
    what = f"{count} members"
    try:
        begun = time.monotonic()
        many(group, count)
        row(f"{what}: all started", [time.monotonic() - begun], "s", "on one machine")
        at_rest(group, what)
        listing(group, what)
        kills(group, what)
    finally:
        group.end()
