"""Holds (R12): a longer lease instead of a pause. And names (R10): of two live sidecars with one name the newcomer ends."""
import json
import re
import contextlib
import signal
import time

import pytest
from sidecars import Sidecar, wait_for

TTL = 6.0


def row(group):
    return group.lab.nodes[0].causal("SELECT state, holder, ttl_ms, hold_until IS NOT NULL, hold_reason"
                                     " FROM galera_lease.lease WHERE name = %s", (group.lease,))[0]


def test_hold_survives_a_cluster_that_is_away(three):
    """Three times the ttl without any database: the controller is not even restarted."""
    leader = three.leader()
    done = leader.cli("hold", "--for", "110s", "--reason", "upgrade of the database")
    assert done.returncode == 0, done.stderr
    assert "done: the lease lasts for" in done.stdout
    state, holder, ttl_ms, until, reason = row(three)
    assert (state, holder, until) == ("held", leader.name, 1)
    assert 105000 < ttl_ms <= 110000 and reason.endswith(": upgrade of the database")
    assert leader.status()["hold_left_ms"] > 100000
    assert re.search(r"^hold: +for 1[01]\d s yet$", leader.cli("status").stdout, re.M)
    assert json.loads(leader.cli("list", "--json").stdout)["hold"]["reason"] == reason
    assert re.search(r"^Held until \d{4}-\S+ \S+ \(UTC\), .*upgrade of the database$", leader.cli("list").stdout, re.M)
    for node in three.lab.nodes:
        node.kill()
    time.sleep(2.5 * TTL)
    assert three.leader() is leader
    three.lab.start_whole()
    wait_for("a renewal", lambda: row(three)[2] < 110000 - 2500 * TTL, 15)
    assert leader.cli("unhold").returncode == 0
    state, holder, ttl_ms, until, reason = row(three)
    assert (state, holder, ttl_ms, until, reason) == ("held", leader.name, TTL * 1000, 0, "")
    assert len(three.observer.spans()) == 1
    refused = leader.cli("unhold")
    assert refused.returncode == 1 and "there is no hold to end" in refused.stdout


def test_hold_outlives_a_restart_of_the_sidecar(three):
    leader = three.leader()
    assert leader.cli("hold", "--for", "60s", "--reason", "new sidecar").returncode == 0
    leader.kill()
    time.sleep(1)
    leader.start()
    wait_for("the resume", lambda: leader.role() == "leader", TTL)
    assert leader.status()["hold_left_ms"] > 40000
    assert row(three)[4].endswith(": new sidecar")


@pytest.fixture
def pair(group):
    for index in (1, 2):
        group.add(index)
    group.init().start().wait_leader(10)
    wait_for("a follower", lambda: "follower" in [m.role() for m in group.members], 10)
    return group


@pytest.mark.deep
def test_told_to_end_during_a_hold_with_the_database_away(pair):
    """As a reboot of the leader's host would: it ends after a ttl, and its next start goes on with the lease, not the hold's end later."""
    leader = pair.leader()
    assert leader.cli("hold", "--for", "120s", "--reason", "upgrade of everything").returncode == 0
    for node in pair.lab.nodes:
        node.kill()
    leader.signal(signal.SIGTERM)
    assert leader.process.wait(4 * TTL) == 0
    assert not pair.observer.watched
    pair.lab.start_whole()
    leader.start()
    wait_for("the resume", lambda: leader.role() == "leader", 5 * TTL)
    assert leader.status()["epoch"] == 2 and leader.status()["hold_left_ms"] > 0
    assert {span[0] for span in pair.observer.spans()} == {leader.name}


def ask(group, call, *args):
    """Through SQL, as people may. Returns the request's number."""
    group.lab.nodes[0].query(f"CALL galera_lease.{call}", (group.lease, *args))
    return group.lab.nodes[0].query("SELECT MAX(id) FROM galera_lease.request WHERE lease = %s", (group.lease,))[0][0]


def outcome(group, request):
    return wait_for(f"the outcome of request {request}", lambda: group.lab.nodes[0].query(
        "SELECT outcome FROM galera_lease.request WHERE id = %s", (request,))[0][0], 15)


def steps_down(group, leader):
    """A leader with an open request hears no other one."""
    assert outcome(group, ask(group, "step_down(%s, %s)", "still heard?")).startswith("done: ")
    group.wait_leader(15, other_than=leader)


@contextlib.contextmanager
def trigger(group, table, condition, action):
    """Before every change of such a row of this lease, on every node."""
    group.lab.nodes[0].query(f"CREATE TRIGGER galera_lease.trouble BEFORE UPDATE ON galera_lease.{table} FOR EACH ROW "
                             f"IF {condition} THEN {action}; END IF")
    try:
        yield
    finally:
        group.lab.nodes[0].query("DROP TRIGGER galera_lease.trouble")


def test_hold_that_ends_before_it_is_confirmed(pair):
    """No write with it is ever done, and the core has nothing to say of its end: the next request is heard all the same."""
    leader = pair.leader()
    with trigger(pair, "lease", f"NEW.name = '{pair.lease}' AND NEW.hold_until IS NOT NULL", "SIGNAL SQLSTATE '45000'"):
        request = ask(pair, "hold(%s, %s, %s)", "1", "short")
        assert outcome(pair, request) == "refused: the hold was over before the database confirmed it"
    assert leader.role() == "leader"
    steps_down(pair, leader)


def test_claim_whose_answer_is_lost(pair):
    """It is applied after the sidecar gave it up: not acted on, and finished all the same."""
    leader = pair.leader()
    with trigger(pair, "request", f"NEW.lease = '{pair.lease}' AND OLD.claimed_by = ''", f"DO SLEEP({0.75 * TTL})"):
        request = ask(pair, "hold(%s, %s, %s)", "600", "long")
        assert outcome(pair, request).startswith("refused: the database did not say in time")
    assert row(pair)[3] == 0 and leader.role() == "leader"
    steps_down(pair, leader)


def test_newcomer_with_a_live_name_ends(three):
    follower = next(m for m in three.members if m is not three.leader())
    elsewhere = next(n for n in three.lab.nodes if n is not follower.node)
    twin = Sidecar(three, elsewhere, name=follower.name, folder="twin").start()
    three.members.append(twin)
    assert twin.process.wait(15) == 6
    text = twin.log_text()
    assert f'this_host="{elsewhere.address}"' in text and f'other_host="{follower.node.address}"' in text
    time.sleep(1)
    assert follower.role() == "follower"
    assert len(three.observer.spans()) == 1
