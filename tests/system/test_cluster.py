"""Faults of the Galera nodes and of the network."""
import json
import time

from sidecars import boottime_ns, wait_for
from test_story import moment

TTL = 6.0


def test_leaders_node_killed_same_leader_goes_on(three, lab):
    leader = three.leader()
    leader.node.kill()
    time.sleep(TTL)
    assert three.leader() is leader
    assert len(three.observer.spans()) == 1  # the controller was not restarted


def test_another_node_killed_is_a_stall_only(three, lab):
    leader = three.leader()
    next(n for n in lab.nodes if n is not leader.node).kill()
    time.sleep(TTL)
    assert three.leader() is leader
    assert len(three.observer.spans()) == 1


def test_leaders_host_cut_off(three, lab):
    leader = three.leader()
    cut = boottime_ns()
    leader.node.cut()
    other = three.wait_leader(20, other_than=leader)
    spans = wait_for("the next controller", lambda: len(three.observer.spans()) > 1 and three.observer.spans(), 5)
    # ttl(1+epsilon) + poll + 0.3 s after the last renewal; a margin for a loaded machine.
    assert (spans[1][3] - cut) / 1e9 < TTL * 1.01 + 0.15 + 0.3 + 2.0
    leader.node.heal()
    wait_for("the old leader to follow", lambda: leader.role() == "follower", 30)
    assert three.leader() is other
    # What it did while nobody heard of it is told afterwards, at the time when it happened.
    def told_late():
        done = other.cli("history", "--json")  # refused while the view changes
        events = json.loads(done.stdout) if done.returncode == 0 else []
        of_the_cut = {e["what"] for e in events if e["member"] == leader.name and e["epoch"] == 1 and e["reason"] == "deadline"}
        return {"demoting", "stopped"} <= of_the_cut and events
    events = wait_for("its story", told_late, 20)
    assert moment(events, leader.name, "demoting") <= moment(events, leader.name, "stopped", epoch=1) \
        <= moment(events, other.name, "acquired")


def test_whole_cluster_down_and_up(three, lab):
    wait_for("the watch on its controller", lambda: three.observer.watched, 5)
    for node in lab.nodes:
        node.kill()
    wait_for("the controller's end", lambda: not three.observer.watched, TTL + 1, strict=True)
    lab.start_whole()
    three.wait_leader(40)
    wait_for("the next controller", lambda: len(three.observer.spans()) >= 2, 15)
