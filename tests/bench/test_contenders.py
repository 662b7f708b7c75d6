"""
The same faults for galera-lease and for `etcdctl lock`, at the same ttl, on the same hosts, seen from outside: from the
controllers' own ticks (10 ms apart) and their true ends.

What etcdctl does not do is measured as it is: a controller that nobody stopped ran until the bench ended it, WATCH_S
after the next one began.
"""
import time

import pytest
from contenders import TTL_S, EtcdLock, GaleraLease
from measure import cpu_s, log_times, smaps
from sidecars import boottime_ns, wait_for
from table import REST_S, RUNS, any_phase, row

WATCH_S = 5


@pytest.fixture(scope="module", params=[GaleraLease, EtcdLock], ids=["galera-lease", "etcdctl"])
def contender(request, lab, tmp_path_factory):
    lab.repair()
    folder = tmp_path_factory.mktemp("contender")
    for parent in (folder, *folder.parents):
        if str(parent).startswith("/tmp/"):
            parent.chmod(0o755)
    contender = request.param(lab, folder)
    try:
        contender.start()
        yield contender
    finally:
        contender.end()
        lab.repair()


def next_start(contender, before, timeout):
    """The first controller that started after these."""
    spans = wait_for("the next start", lambda: len(contender.observer.spans()) > len(before) and contender.observer.spans(), timeout)
    return spans[len(before)]


def acts_until(contender, span):
    """When that controller ended; now, if it acts on."""
    return next(s[4] for s in contender.observer.spans() if s[:3] == span[:3])


def ends(contender, span):
    """Whether that controller ends within WATCH_S."""
    try:
        return wait_for("its end", lambda: span[:3] not in contender.observer.watched, WATCH_S)
    except TimeoutError:
        return False


def fail_over(contender, strike, heal):
    """
    One fault: (next start, end of the old controller, how long both acted), in seconds, the first two from the fault on; whether somebody
    stopped the old one, and whether the fault met the store's own leader.
    """
    before = contender.observer.spans()
    old = before[-1]
    led = contender.leads_store(old[0])
    at = boottime_ns()
    strike(old[0])
    new = next_start(contender, before, 4 * TTL_S)
    ended = ends(contender, old)
    end = acts_until(contender, old)
    heal(old[0])
    return (new[3] - at) / 1e9, (end - at) / 1e9, max(0, end - new[3]) / 1e9, ended, led


def fail_overs(contender, what, strike, heal):
    found = []
    for _ in range(RUNS):
        any_phase(TTL_S)
        found.append(fail_over(contender, strike, heal))
        time.sleep(TTL_S / 2)  # the next fault meets a calm system
    alive, led = sum(not f[3] for f in found), sum(f[4] for f in found)
    remark = f"not stopped in {alive} of {len(found)}: the bench ended it" if alive else ""
    row(f"{what}: next controller starts after", [f[0] for f in found], "s",
        f"ttl {TTL_S} s" + (f"; {led} of {len(found)} hosts carried etcd's own leader" if led and "host" in what else ""), contender.who)
    row(f"{what}: the old one acts on for", [f[1] for f in found], "s", remark, contender.who)
    row(f"{what}: two act at once for", [f[2] for f in found], "s", remark, contender.who)
    if contender.begun_anew:
        row(f"{what}: order did not come back by itself", [contender.begun_anew], "", f"of {len(found)}: a lease lost that no fault met, or "
            "a waiter that gave up", contender.who)
        contender.begun_anew = 0


def test_kill(contender):
    fail_overs(contender, "kill -9, for good", contender.kill, contender.revive)


def test_cut(contender):
    def heal(name):
        contender.host(name).heal()
        contender.lab.repair()
        contender.revive(name)

    fail_overs(contender, "host cut off", lambda name: contender.host(name).cut(), heal)


def hand_overs(contender, act):
    """Milliseconds from the last act of the old controller to the first of the next, and who they were."""
    for _ in range(min(RUNS, 10)):
        before = contender.observer.spans()
        name = before[-1][0]
        act(name)
        new = next_start(contender, before, 2 * TTL_S)
        yield (new[3] - acts_until(contender, before[-1])) / 1e6, name, new[0]
        contender.revive(name)
        time.sleep(TTL_S * 0.6)  # who stepped down a moment ago backs off


def test_hand_over(contender):
    gaps = [gap for gap, _, _ in hand_overs(contender, contender.hand_over)]
    row("handed over: from the old one's last act to the next's first", gaps, "ms",
        "step-down" if contender.who == "galera-lease" else "the command is ended", contender.who)


def test_switchover(contender):
    if contender.who != "galera-lease":
        row("switchover --to M", [], "ms", "there is no such thing", contender.who)
        return
    members, gaps, hooks = contender.members, [], []

    def switch(name):
        target = sorted(m for m in members if m != name)[-1]
        done = members[name].cli("switchover", "--to", target, "--reason", "bench")
        assert done.returncode == 0, done.stderr

    for gap, old, new in hand_overs(contender, switch):
        gaps.append(gap)
        stopped = log_times(members[old].log_text(), "level=info event=stopped ")[-1]
        started = log_times(members[new].log_text(), "level=info event=hook-start .*hook=promote")[-1]
        hooks.append((started - stopped) * 1000)
    row("switchover --to M: from the old one's last act to the next's first", gaps, "ms", "", contender.who)
    row("switchover --to M: from confirmed stopped to promote", hooks, "ms", "", contender.who)


def test_at_rest(contender):
    names, ours = contender.names, contender.who == "galera-lease"
    nodes = contender.lab.nodes
    time.sleep(2)

    def used():
        return [sum(cpu_s(p, children=True) for p in contender.processes(m)) for m in names], [cpu_s(contender.store(n)) for n in nodes]

    begun, before = time.monotonic(), used()
    time.sleep(REST_S)
    took, after = time.monotonic() - begun, used()
    of_members, of_store = [[(b - a) / took * 100 for a, b in zip(x, y)] for x, y in zip(before, after)]
    row("at rest: RSS of a member", [sum(smaps(p)[0] for p in contender.processes(m)) for m in names], "MB",
        "with its guardian" if ours else "", contender.who)
    row("at rest: RSS of a member, its own part", [sum(smaps(p)[1] for p in contender.processes(m)) for m in names], "MB", "anonymous",
        contender.who)
    row("at rest: CPU of a member", of_members, "% of a core", "with its hooks" if ours else "", contender.who)
    remark = "MariaDB, which is there anyway" if ours else "etcd"
    row("at rest: RSS of the store on a host", [smaps(contender.store(n))[0] for n in nodes], "MB", remark, contender.who)
    row("at rest: CPU of the store on a host", of_store, "% of a core", remark, contender.who)
