"""What somebody reads the morning after: history, alarms and the log tell one story. And the break-glass release."""
import json
import os
import signal
import time

import pytest
from observer import watched
from sidecars import wait_for

TTL = 6.0


def history(member):
    done = member.cli("history", "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def told(events, *story):
    """The story's (member, what, part of the reason) come in that order; other events may stand between them."""
    rest = iter(events)
    for member, what, reason in story:
        for e in rest:
            if (e["member"], e["what"]) == (member, what) and reason in e["reason"]:
                break
        else:
            raise AssertionError(f"the history does not tell {member}, {what}, {reason} at its place: "
                                 + "\n".join(f'{e["at"]} {e["member"]} {e["epoch"]} {e["what"]}: {e["reason"]} ({e["who"]})'
                                             for e in events))


def moment(events, member, what, **more):
    """When it happened, by the member's own clock; a text that sorts."""
    return next(e["at"] for e in events if e.items() >= ({"member": member, "what": what} | more).items())


def edit(group, sql):
    return group.lab.nodes[0].query("UPDATE galera_lease.lease SET " + sql + " WHERE name = %s", (group.lease,))


def alarms(group):
    return [what for what, in group.lab.nodes[0].causal("SELECT what FROM galera_lease.alarms WHERE lease = %s", (group.lease,))]


def test_history_of_a_step_down(three):
    leader = three.leader()
    assert leader.cli("step-down", "--reason", "new disk").returncode == 0
    other = three.wait_leader(10, other_than=leader)
    last = {(leader.name, "released"), (leader.name, "answered: step_down"), (other.name, "leading")}
    wait_for("the last events", lambda: last <= {(e["member"], e["what"]) for e in history(leader)}, 5)
    events = history(leader)
    told(events, (leader.name, "acquired", "free"), (leader.name, "promoting", "free"), (leader.name, "leading", "free"),
         ("", "asked: step_down", "new disk"), (leader.name, "demoting", "step-down, asked by sidecar@"),
         (leader.name, "stopped", "step-down, asked by"), (leader.name, "released", "step-down"))
    told(events, (leader.name, "stopped", "step-down, asked by"), (leader.name, "answered: step_down", "done: the controller is stopped"))
    # Whoever is quick has the lease before the one that gave it away hears that it did.
    told(events, (leader.name, "leading", "free"), (other.name, "acquired", "free"), (other.name, "leading", "free"))
    assert moment(events, leader.name, "stopped", epoch=1) <= moment(events, other.name, "acquired", epoch=2)
    assert [e["epoch"] for e in events if e["what"] == "leading"] == [1, 2]
    table = leader.cli("history", "--since", "1h").stdout
    assert table.startswith("AT") and "new disk" in table
    assert leader.cli("history", "--since", "soon").returncode == 2


def test_row_that_went_back_is_an_alarm_that_lasts(three):
    """An epoch lowered by hand, as after a restore of an old copy."""
    leader = three.leader()
    assert leader.cli("step-down").returncode == 0
    second = three.wait_leader(10, other_than=leader)
    wait_for("the next controller", lambda: len(three.observer.spans()) == 2, 5)
    wait_for("everybody to have seen epoch 2", lambda: all(m.status().get("epoch", 0) >= 2 for m in three.members), 10)
    edit(three, "epoch = 1, counter = counter - 1")
    wait_for("the controller's end", lambda: not three.observer.watched, 5)
    wait_for("the next leader", lambda: len(three.observer.spans()) == 3, 4 * TTL)
    assert three.observer.spans()[-1][2] == 3
    wait_for("the alarm", lambda: "regression" in alarms(three), 5)
    listed = wait_for("the list", lambda: (lambda out: out if "ALARM" in out else None)(second.cli("list").stdout), 5)
    assert "regression" in listed
    assert "galera-lease alarm ack" in listed
    assert "regression" in [a["what"] for a in json.loads(second.cli("list", "--json").stdout)["alarms"]]
    assert second.cli("alarm ack").returncode == 2
    # An event that is being written aborts an acknowledgement.
    wait_for("the last event", lambda: [e["what"] for e in history(second)].count("leading") == 3, 5)
    done = second.cli("alarm ack", "--reason", "restored from the backup of monday")
    assert done.returncode == 0 and "acknowledged" in done.stdout, done.stderr
    assert alarms(three) == [] and "ALARM" not in second.cli("list").stdout
    assert any(e["what"].startswith("ALARM: regression") for e in history(second))
    again = second.cli("alarm ack", "--reason", "x")
    assert again.returncode == 1 and "there is no open alarm" in again.stdout


def test_row_deleted_while_leading(three):
    leader = three.leader()
    watched(three)
    three.lab.nodes[0].query("DELETE FROM galera_lease.epoch WHERE name = %s", (three.lease,))
    three.lab.nodes[0].query("DELETE FROM galera_lease.lease WHERE name = %s", (three.lease,))
    wait_for("the controller's end", lambda: not three.observer.watched, 5)
    wait_for("the alarm", lambda: "no-row" in alarms(three), 5)
    wait_for("the reason", lambda: "does not exist" in leader.status().get("why_not_leader", ""), 5)
    assert leader.cli("list").returncode == 3
    assert leader.cli("init", "--socket", str(three.lab.nodes[0].socket)).returncode == 0
    wait_for("the next leader", lambda: len(three.observer.spans()) == 2, 4 * TTL)
    assert three.observer.spans()[-1][2] > 1  # above every memory


def test_ttl_edited_while_leading_is_overwritten(three):
    leader = three.leader()
    edit(three, "ttl_ms = 3600000")
    wait_for("the leader's own ttl", lambda: three.lab.nodes[0].query(
        "SELECT ttl_ms FROM galera_lease.lease WHERE name = %s", (three.lease,)) == ((TTL * 1000,),), 5)
    wait_for("its controller", three.observer.spans, 5)
    assert three.leader() is leader and len(three.observer.spans()) == 1


def test_counter_edited_while_leading_is_a_twin(three):
    watched(three)
    edit(three, "counter = counter + 1000")
    wait_for("the controller's end", lambda: not three.observer.watched, 5)
    wait_for("the next leader", lambda: len(three.observer.spans()) == 2, 4 * TTL)
    wait_for("the alarm", lambda: "lost" in alarms(three), 5)


def test_release_of_a_controller_that_a_person_stopped(three):
    """The leader's host is gone in the middle of a long hold: nobody can confirm the stop but a person."""
    leader = three.leader()
    assert leader.cli("hold", "--for", "10m", "--reason", "long upgrade").returncode == 0
    other = next(m for m in three.members if m is not leader)
    refused = other.cli("release", "--i-stopped-it", "--reason", "too early")
    assert refused.returncode == 1 and "its sidecar is alive" in refused.stderr
    assert other.cli("release", "--reason", "x").returncode == 2
    guardian = leader.guardian()
    leader.signal(signal.SIGSTOP)
    os.kill(guardian, signal.SIGKILL)
    leader.kill()
    for _, pid, _, _, _ in three.observer.spans():
        os.kill(pid, signal.SIGKILL)
    time.sleep(1.5 * TTL)  # longer than the ttl without a hold
    assert three.leader() is None
    done = other.cli("release", "--i-stopped-it", "--reason", "the host is switched off")
    assert done.returncode == 0 and "is released" in done.stdout, done.stderr
    three.wait_leader(5, other_than=leader)
    wait_for("its controller", lambda: len(three.observer.spans()) == 2, 5)
    told(history(other), ("", "asked: release", "switched off"), ("", "answered: release", "done"))


@pytest.mark.parametrize("said_last", ["leader", "follower", "demoting"])
def test_release_of_a_leader_whose_heartbeat_alone_is_lost(group, said_last):
    """Among the members it looks gone, or as it was before it led; the lease says that it is not."""
    leader = group.add(1)
    group.init().start().wait_leader(10)
    node = group.lab.nodes[0]
    node.query("CREATE TRIGGER galera_lease.silenced BEFORE UPDATE ON galera_lease.member FOR EACH ROW "
               f"IF NEW.lease = '{group.lease}' AND NEW.heartbeat <> OLD.heartbeat THEN SIGNAL SQLSTATE '45000'; END IF")
    try:
        node.query("UPDATE galera_lease.member SET role = %s WHERE lease = %s", (said_last, group.lease))
        wait_for("its silence", lambda: "Not seen" in leader.cli("list", "--long").stdout, 15)
        refused = leader.cli("release", "--i-stopped-it", "--reason", "it looks gone")
        assert refused.returncode == 1 and "renewed the lease just now" in refused.stderr, refused.stdout + refused.stderr
        short = leader.cli("release", "--i-stopped-it", "--reason", "it looks gone", "--timeout", "1s")
        assert short.returncode == 2 and "give --timeout 1700ms or more" in short.stderr, short.stderr
    finally:
        node.query("DROP TRIGGER galera_lease.silenced")
    assert leader.role() == "leader" and len(group.observer.spans()) == 1


def test_a_restart_after_an_outage_loses_no_history(group):
    """No node takes writes until the leader has stopped in time. Then they do, and at once the sidecar is told to end: what it could not
    tell so far stood between two tries."""
    leader = group.add(1)
    group.init().start()
    group.wait_leader(10)
    nodes = [node.connect() for node in group.lab.nodes]

    def read_only(value):
        for admin in nodes:
            with admin.cursor() as cursor:
                cursor.execute(f"SET GLOBAL read_only = {value}")

    try:
        read_only(1)
        wait_for("the stop", lambda: "event=stopped lease=%s member=%s reason=deadline" % (group.lease, leader.name) in leader.log_text(), 10)
        time.sleep(1.1)  # a try since
    finally:
        read_only(0)
    begun = time.monotonic()
    assert leader.terminate() == 0
    assert time.monotonic() - begun < 2 + 2  # the second two for a crowded machine
    told(history(leader), (leader.name, "demoting", "deadline"), (leader.name, "stopped", "deadline"))
    assert "event=history " not in leader.log_text()
