"""Endpoints that misbehave, while leading and while following. The group fixture judges overlap and epochs after each."""
import contextlib
import pathlib
import subprocess
import sys
import time

import pymysql
import pytest
from sidecars import boottime_ns, wait_for

TTL = 6.0
PROXY = pathlib.Path(__file__).resolve().parents[1] / "lib/crooked.py"


@pytest.fixture
def crooked(group):
    """The first host's member reaches its own node through a proxy only, which turns as `mode` says; the others are as usual."""
    member = group.add(1)
    mode = group.dir / "mode"
    mode.write_text("pass")
    proxy = subprocess.Popen([*member.node.inside(), sys.executable, str(PROXY), "3399", str(member.node.socket), str(mode)],
                             stdout=subprocess.PIPE, text=True)
    assert proxy.stdout.readline() == "ready\n"
    member.endpoints = ["127.0.0.1:3399"] + [f"{n.address}:3306" for n in group.lab.nodes[1:]]
    member.options["controller_endpoint"] = member.endpoints[1]
    member.turn = mode.write_text
    group.init()
    yield member
    group.end()  # while the proxy still does what the test ended with
    proxy.kill()
    proxy.wait()


def in_use(member):
    return [e["endpoint"] for e in member.status().get("endpoints", []) if e["in_use"]]


def elsewhere(member, first):
    used = in_use(member)  # once: the file may change meanwhile
    return bool(used) and used[0] != first


def error_of(member, endpoint):
    """Its newest, as `status` tells it."""
    return next((e["error"] for e in member.status().get("endpoints", []) if e["endpoint"] == endpoint), "")


def says(member, endpoint):
    return f"endpoint={endpoint} error=" in member.log_text()


def terminate_at_once(member, limit):
    """Demote and release included; the database is not waited for."""
    begun = time.monotonic()
    assert member.terminate() == 0
    assert time.monotonic() - begun < limit


@pytest.mark.parametrize("mode", ["silent", "garbage", "reset"])
def test_leader_goes_on_through_the_next(crooked, group, mode):
    crooked.start()
    group.wait_leader(10)
    wait_for("the first endpoint", lambda: in_use(crooked) == crooked.endpoints[:1], 5)
    crooked.turn(mode)
    wait_for("another endpoint", lambda: elsewhere(crooked, crooked.endpoints[0]), 5)
    time.sleep(TTL / 2)  # past the deadline that it had when this began
    assert crooked.role() == "leader"
    assert [span[2] for span in group.observer.spans()] == [1]
    assert says(crooked, crooked.endpoints[0])
    terminate_at_once(crooked, 4)


@pytest.mark.parametrize("mode", ["silent", "garbage", "reset"])
def test_follower_from_the_start(crooked, group, mode):
    leader = group.add(2).start()
    group.wait_leader(10)
    crooked.turn(mode)
    crooked.start()
    wait_for("a follower", lambda: crooked.role() == "follower" and crooked.status().get("holder") == leader.name, 8)
    killed = boottime_ns()
    leader.kill()
    group.wait_leader(TTL + 6, other_than=leader)
    start = wait_for("its controller", lambda: group.observer.spans()[1:], 5)[0]
    assert start[0] == crooked.name
    assert (start[3] - killed) / 1e9 < TTL * 1.01 + 3.5
    terminate_at_once(crooked, 4)


def test_back_to_the_first_endpoint(crooked, group):
    """Not before about three ttl have passed, and without a new epoch."""
    crooked.options["ttl"] = "5s"
    crooked.start()
    group.wait_leader(10)
    crooked.turn("reset")
    wait_for("another endpoint", lambda: elsewhere(crooked, crooked.endpoints[0]), 5)
    moved = time.monotonic()
    crooked.turn("pass")
    wait_for("the first endpoint", lambda: in_use(crooked) == crooked.endpoints[:1], 60)  # a look that meets a renewal is repeated 16 s later
    assert time.monotonic() - moved > 12
    time.sleep(1)
    assert in_use(crooked) == crooked.endpoints[:1]
    assert [span[2] for span in group.observer.spans()] == [1]


@contextlib.contextmanager
def setting(node, name, bad):
    good = node.query(f"SELECT @@{name}")[0][0]
    node.query(f"SET GLOBAL {name} = %s", (bad,))
    try:
        yield
    finally:
        node.insist(f"SET GLOBAL {name} = %s", (good,))  # with max_connections the last ones may not have ended yet


def kill_sessions(nodes):
    for node in nodes:
        for (number,) in node.query("SELECT id FROM information_schema.processlist WHERE user = 'sidecar'"):
            with contextlib.suppress(pymysql.MySQLError):
                node.query(f"KILL {number}")


@pytest.mark.parametrize("name, bad, error", [("wsrep_reject_queries", "ALL", 1047), ("read_only", 1, 1290)])
def test_leaders_node_refuses(three, name, bad, error):
    leader = three.leader()
    with setting(leader.node, name, bad):
        wait_for("another endpoint", lambda: elsewhere(leader, f"unix:{leader.node.socket}"), 5)
        time.sleep(TTL / 2)
        assert three.leader() is leader
        assert f"endpoint=unix:{leader.node.socket} error={error}" in leader.log_text()
        assert [span[2] for span in three.observer.spans()] == [1]
        terminate_at_once(leader, 4)


def test_verbs_write_through_an_endpoint_that_takes_writes(group):
    """The first takes none, or may lag without limit; where there is no other, its own word is told."""
    leader, asked = group.add(1), group.add(2)
    group.init()
    leader.start()
    group.wait_leader(10)
    words = ("hold", "--for", "20s", "--reason", "test")

    def calls():
        return int(asked.node.query("SHOW GLOBAL STATUS LIKE 'Com_call_procedure'")[0][1])

    def through(*endpoints):
        asked.endpoints = endpoints
        asked.write_config()

    through(f"unix:{asked.node.socket}", f"unix:{leader.node.socket}")
    with setting(asked.node, "read_only", 1):
        done = asked.cli(*words)
        assert done.returncode == 0 and "done" in done.stdout, done.stdout + done.stderr
        through(f"unix:{asked.node.socket}", f"unix:{asked.dir}/none")
        refused = asked.cli(*words)
        assert refused.returncode == 1 and "--read-only" in refused.stderr, refused.stdout + refused.stderr
    through(f"unix:{asked.node.socket}", f"unix:{leader.node.socket}")
    before = calls()
    with setting(asked.node, "wsrep_desync", 1):
        done = asked.cli("step-down")
        assert done.returncode == 0 and "done" in done.stdout, done.stdout + done.stderr
    assert calls() == before
    assert asked.cli("alarm ack", "--reason", "test").returncode == 1 and calls() > before  # well again, it is the first


def test_first_endpoint_has_no_connection_left(group, lab):
    member = group.add(1)
    member.endpoints = [f"unix:{member.node.socket}"] + [f"{n.address}:3306" for n in lab.nodes[1:]]
    member.options["controller_endpoint"] = member.endpoints[1]
    group.init()
    others = []
    with setting(member.node, "max_connections", 10):
        try:
            with contextlib.suppress(pymysql.MySQLError):
                while True:
                    others.append(member.node.connect())
            group.start()
            group.wait_leader(10)
            assert in_use(member)[0] in member.endpoints[1:]  # the second, unless it is slow
            assert f"endpoint={member.endpoints[0]} error=1040" in member.log_text()
            terminate_at_once(member, 4)
        finally:
            for connection in others:
                connection.close()


@pytest.mark.deep
def test_leaders_node_has_no_connection_left(group):
    """While it leads: what it has is taken away, and there is no other to be had, nor when it tries to go back."""
    member = group.add(1)
    group.init().start()
    group.wait_leader(10)
    others = [member.node.connect() for _ in range(12)]
    with setting(member.node, "max_connections", 10):
        try:
            with others[0].cursor() as cursor:
                cursor.execute("KILL USER sidecar@localhost")
            wait_for("another endpoint", lambda: elsewhere(member, f"unix:{member.node.socket}"), 5)
            wait_for("its try to go back", lambda: "Too many connections" in error_of(member, f"unix:{member.node.socket}"), 45)
            assert member.role() == "leader"
            assert [span[2] for span in group.observer.spans()] == [1]
        finally:
            for connection in others:
                connection.close()


def set_password(lab, password):
    for host in ("%", "localhost"):
        lab.nodes[0].query("ALTER USER IF EXISTS sidecar@%s IDENTIFIED BY %s", (host, password))


@pytest.fixture
def passwords(lab):
    yield lambda password: set_password(lab, password)
    set_password(lab, "secret")


def test_password_rotated_file_first(three, lab, passwords):
    leader = three.leader()
    (three.dir / "password").write_text("rotated\n")
    passwords("rotated")
    for node in lab.nodes:
        node.causal("SELECT COUNT(*) FROM mysql.global_priv")  # a node applies accounts as it applies rows
    kill_sessions(lab.nodes)
    time.sleep(TTL)
    assert three.leader() is leader
    assert [span[2] for span in three.observer.spans()] == [1]


def test_password_wrong_steps_down_then_leads_again(group, lab, passwords):
    member = group.add(1)
    group.init().start()
    group.wait_leader(10)
    wait_for("the watch on its controller", lambda: group.observer.watched, 5)
    passwords("rotated")
    for node in lab.nodes:
        node.causal("SELECT COUNT(*) FROM mysql.global_priv")  # a node applies accounts as it applies rows
    kill_sessions(lab.nodes)
    wait_for("no controller", lambda: not group.observer.watched, TTL + 1, strict=True)
    assert "error=1045" in member.log_text()
    (group.dir / "password").write_text("rotated\n")
    wait_for("a leader again", lambda: member.role() == "leader", TTL + 6)


def test_password_wrong_from_the_start(group, passwords):
    member = group.add(1)
    group.init()
    passwords("rotated")
    group.start()
    wait_for("its complaint", lambda: "error=1045" in member.log_text(), 5)
    wait_for("a follower", lambda: member.role() == "follower", 5)
    terminate_at_once(member, 2)
