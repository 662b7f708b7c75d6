"""Hands in the database: schema, rows and versions that somebody changed, while one leads and while all follow."""
import re
import time

import pytest
from observer import spans, stopped, watched
from sidecars import wait_for
from test_endpoints import kill_sessions

TTL = 6.0


def test_schema_dropped_while_leading(three, lab):
    leader = three.leader()
    watched(three)
    lab.nodes[0].query("DROP DATABASE galera_lease")
    stopped(three, TTL)
    assert all(m.process.poll() is None for m in three.members)
    time.sleep(TTL)
    assert three.leader() is None
    assert leader.cli("init", "--socket", str(lab.nodes[0].socket)).returncode == 0
    three.wait_leader(30)
    wait_for("the next controller", lambda: len(spans(three)) == 2, 10)


@pytest.fixture
def schema(lab):
    """Sets the schema's version, on every node; it is the known one again afterwards."""
    def to(version):
        lab.nodes[0].query("UPDATE galera_lease.schema_version SET version = %s", (version,))
        for node in lab.nodes:
            assert node.causal("SELECT MAX(version) FROM galera_lease.schema_version") == ((version,),)

    yield to
    to(1)


def test_schema_of_another_version_at_start(group, schema):
    """No waiting mends what is installed here: one line, and the exit code of a wrong configuration."""
    member = group.add(1)
    group.init()
    schema(99)
    group.start()
    assert member.process.wait(10) == 2
    (line,) = re.findall("level=error .*", member.log_text())
    assert 'event=schema ' in line and "the database's schema has version 99, this program knows 1" in line and "this sidecar ends" in line
    assert spans(group) == []
    schema(1)
    member.start()
    group.wait_leader(10)


@pytest.mark.deep
def test_schema_of_another_version_while_one_leads(group, lab, schema):
    """Connections that are open go on; a new one is refused by those that run already, and nobody ends."""
    for index in (1, 2):
        group.add(index)
    group.init().start()
    leader = group.wait_leader(10)
    watched(group)
    schema(99)
    kill_sessions(lab.nodes)
    stopped(group, TTL + 1)
    for m in group.members:
        wait_for("its word about it", lambda m=m: "schema has version 99" in m.status().get("last_error", ""), 5)
    time.sleep(TTL)
    assert group.leader() is None and all(m.process.poll() is None for m in group.members)
    assert "reason=deadline" in leader.log_text()
    schema(1)
    group.wait_leader(30)
    wait_for("the next controller", lambda: len(spans(group)) == 2, 10)


def put_back(group):
    assert group.members[1].cli("init", "--socket", str(group.lab.nodes[1].socket)).returncode == 0


def last_resort(group):
    """A ttl that nobody means is believed all the same: some holder may count on it. A person has to say that it is gone."""
    time.sleep(TTL)
    assert group.leader() is None and "silent for" in group.members[1].status()["why_not_leader"]
    assert float(group.members[1].status()["why_not_leader"].split(" in ")[-1].split()[0]) > 86000
    done = group.members[1].cli("release", "--i-stopped-it", "--reason", "its host is switched off")
    assert done.returncode == 0, done.stderr


HANDS = {  # what is done while nobody leads, what the follower says of it, and how it gets well
    "row_deleted": (("DELETE FROM galera_lease.epoch WHERE name = '{0}'", "DELETE FROM galera_lease.lease WHERE name = '{0}'"),
                    "does not exist", put_back),
    "row_edited": (("UPDATE galera_lease.lease SET nonce = REPEAT('x', 16), counter = counter + 1 WHERE name = '{0}'",), "silent for", None),
    "schema_dropped": (("DROP DATABASE galera_lease",), "doesn't exist", put_back),
    "epoch_lowered": (("UPDATE galera_lease.lease SET epoch = 0, counter = counter - 1 WHERE name = '{0}'",), "silent for", None),
    "ttl_absurd": (("UPDATE galera_lease.lease SET ttl_ms = 86400000 WHERE name = '{0}'",), "silent for", last_resort),
}


@pytest.mark.deep
@pytest.mark.parametrize("what", HANDS)
def test_hands_in_the_database_while_following(group, lab, what):
    statements, says, cure = HANDS[what]
    for index in (1, 2):
        group.add(index)
    group.init()
    group.members[0].start()
    group.wait_leader(10)
    follower = group.members[1].start()
    wait_for("a follower", lambda: follower.role() == "follower" and follower.status()["holder"] == "m1", 10)
    wait_for("its memory of epoch 1", lambda: follower.status().get("epoch", 0) >= 1, 10)
    group.members[0].kill()
    for sql in statements:
        lab.nodes[0].query(sql.format(group.lease))
    wait_for("its word about it", lambda: says in "".join([follower.status().get("why_not_leader", ""), follower.status().get("last_error", ""),
                                                           follower.log_text()]), 10)
    time.sleep(1)
    assert follower.process.poll() is None and follower.role() == "follower"
    if cure:
        cure(group)
    group.wait_leader(4 * TTL)
    wait_for("the next controller", lambda: len(spans(group)) == 2, 10)
    assert spans(group)[-1][0] == "m2" and spans(group)[-1][2] > 1
