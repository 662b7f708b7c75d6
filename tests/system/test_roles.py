"""A sidecar in every role: told to end, killed, or frozen together with its guardian."""
import os
import re
import signal
import time

import pytest
from freezer import freeze
from observer import spans, watched
from sidecars import boottime_ns, wait_for
from test_sidecar import hook_script

TTL = 6.0

SLOW = {  # how to make a role last: which hook sleeps, and when
    "boot": ("demote", "[ \"$GALERA_LEASE_REASON\" = start ] && sleep 2"),
    "promoting": ("promote", "sleep 2"),
    "demoting": ("demote", "[ \"$GALERA_LEASE_REASON\" = start ] || sleep 1"),
    "fenced": ("fence", "sleep 0.5"),
}


@pytest.fixture
def slow_claims(group):
    """Every claim of the group's lease takes its time in the database."""
    node = group.lab.nodes[0]
    yield lambda: node.query("CREATE TRIGGER galera_lease.slow_claims BEFORE UPDATE ON galera_lease.lease FOR EACH ROW "
                             f"IF NEW.name = '{group.lease}' AND OLD.state = 'free' AND NEW.state = 'held' THEN DO SLEEP(1.2); END IF")
    group.end()
    node.query("DROP TRIGGER IF EXISTS galera_lease.slow_claims")


def in_role(group, role, slow_claims):
    """A first member in @role, and a second one beside it; only the first may be slow."""
    first = group.add(1, priority=200, demote_budget="2500ms")
    group.add(2)
    if role in SLOW:
        hook, pause = SLOW[role]
        first.hook[hook] = hook_script(first, hook, f"{pause}\nexec {first.hook[hook]} \"$@\"\n")
    group.init()
    if role == "acquiring":
        slow_claims()
    if role == "follower":
        group.members[1].start()
        group.wait_leader(10)
    first.start()
    if role in ("leader", "demoting", "fenced"):
        assert group.wait_leader(10) is first
        group.members[1].start()
        wait_for("a follower", lambda: group.members[1].role() == "follower", 10)
    elif role == "boot":
        group.members[1].start()
    if role == "demoting":
        first.cli("step-down", "--no-wait")
    if role == "fenced":
        group.lab.nodes[0].query("UPDATE galera_lease.lease SET counter = counter + 1000 WHERE name = %s", (group.lease,))
    wait_for(role, lambda: first.role() == role, 10)
    if role in ("promoting", "acquiring"):
        group.members[1].start()
    return first


ROLES = ("boot", "follower", "acquiring", "promoting", "leader", "demoting", "fenced")


@pytest.mark.parametrize("role", ROLES)
def test_terminated_in_every_role(group, role, slow_claims):
    """It ends in order: nothing of it runs, its row says so, and the other leads."""
    member = in_role(group, role, slow_claims)
    assert member.terminate(15) == 0
    assert [key for key in group.observer.watched if key[0] == member.name] == []
    assert re.search("event=signal .* signal=15 ", member.log_text()) and "event=end " in member.log_text()
    assert group.lab.nodes[0].causal("SELECT role FROM galera_lease.member WHERE lease = %s AND name = %s",
                                     (group.lease, member.name)) == (("ended",),)
    wait_for("the other to lead", lambda: group.leader() is group.members[1], 15)


@pytest.mark.parametrize("later", (False, pytest.param(True, marks=pytest.mark.deep)), ids=("at_once", "after_ttl"))
@pytest.mark.parametrize("role", ROLES)
def test_killed_in_every_role(group, role, later, slow_claims):
    member = in_role(group, role, slow_claims)
    member.kill()
    if later:
        time.sleep(TTL * 1.1)
    member.start()
    group.wait_leader(20)
    wait_for("two members at rest", lambda: sorted(str(m.role()) for m in group.members) == ["follower", "leader"], 20)
    wait_for("a controller", lambda: group.observer.watched, 10)
    time.sleep(1)
    assert len(group.observer.watched) == 1, "\n".join(m.log_text() for m in group.members)


@pytest.mark.parametrize("first", ("sidecar", "guardian"))
def test_sidecar_and_guardian_frozen_together(group, first):
    """Nobody is left to fence in time: not promised. But whoever thaws first stops the old controller: the guardian at once; a sidecar
    gives its guardian the time of a fence, then another one does it."""
    group.sabotaged = True  # the observer is asked here
    for index in (1, 2):
        group.add(index)
    group.init().start()
    leader = group.wait_leader(10)
    watched(group)
    old = spans(group)[0]
    guardian = leader.guardian()
    freeze(guardian)
    leader.signal(signal.SIGSTOP)
    group.wait_leader(20, other_than=leader)
    thawed = boottime_ns()
    if first == "sidecar":
        leader.signal(signal.SIGCONT)
    else:
        os.kill(guardian, signal.SIGCONT)
    wait_for("its end", lambda: (leader.name, old[1], old[2]) in group.observer.ends, 15)
    if first == "guardian":
        assert (group.observer.ends[(leader.name, old[1], old[2])] - thawed) / 1e9 < 1.0
        leader.signal(signal.SIGCONT)
    else:
        assert "the guardian was told to stop the controller and does nothing" in leader.log_text()
        wait_for("another guardian", lambda: leader.guardian() not in (0, guardian), 5)
    wait_for("the old leader to follow", lambda: leader.role() == "follower", 10)
    epochs = [s[2] for s in spans(group)]
    assert epochs == sorted(set(epochs))


def test_sidecar_and_guardian_frozen_for_a_moment(three):
    """Shorter than the silence that a lease survives: nothing happens."""
    leader = three.leader()
    guardian = leader.guardian()
    freeze(guardian)
    leader.signal(signal.SIGSTOP)
    time.sleep(TTL / 4)
    leader.signal(signal.SIGCONT)
    os.kill(guardian, signal.SIGCONT)
    time.sleep(TTL)
    assert three.leader() is leader and len(spans(three)) == 1
