"""hooks/event-scheduler on the real cluster: events run on the leader's node only, and go where it goes."""
import os
import signal
import subprocess
import time

import pytest
from sidecars import ROOT, wait_for

HOOK = ROOT / "hooks/event-scheduler"
RUNNING, STOPPED = 0, 3
GRANTS = "SUPER, SET USER, PROCESS, CONNECTION ADMIN, EVENT"


@pytest.fixture
def events(lab):
    """A schema in which events note on which node they run."""
    lab.repair()
    node = lab.nodes[0]
    node.query("CREATE DATABASE ev")
    node.query("CREATE TABLE ev.t (id BIGINT AUTO_INCREMENT PRIMARY KEY, node VARCHAR(63), at DATETIME(3))")
    yield lab
    lab.repair()
    for n in lab.nodes:
        n.query("SET GLOBAL event_scheduler = OFF")
    node.query("DROP DATABASE ev")


def every_second(node, name="ev.tick", body="INSERT INTO ev.t (node, at) VALUES (@@wsrep_node_name, NOW(3))"):
    node.query(f"CREATE EVENT {name} ON SCHEDULE EVERY 1 SECOND DO {body}")


def ran_on(node, last="1500000 MICROSECOND"):
    return {row[0] for row in node.query(f"SELECT DISTINCT node FROM ev.t WHERE at > NOW(3) - INTERVAL {last}")}


def statuses(node):
    return dict(node.query("SELECT CONCAT(EVENT_SCHEMA, '.', EVENT_NAME), STATUS FROM information_schema.EVENTS"))


def hook(node, kind, folder, budget_ms=3000, **conf):
    settings = {"SOCKET": str(node.socket)} | conf
    (folder / "event-scheduler.conf").write_text("".join(f'{k}="{v}"\n' for k, v in settings.items()))
    environment = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8", "GALERA_LEASE_HOOK": kind, "GALERA_LEASE_STATEDIR": str(folder),
                   "GALERA_LEASE_BUDGET_MS": str(budget_ms)}
    return subprocess.run([str(HOOK)], env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=20)


def test_promote_enables_and_keeps_definitions(events, tmp_path):
    """With an account that has no more than the script's comment asks for."""
    first, second, third = events.nodes
    first.query("CREATE USER ev_switch@localhost IDENTIFIED BY 'x'")
    first.query(f"GRANT {GRANTS} ON *.* TO ev_switch@localhost")
    first.query("CREATE USER `o'd@d``user`@localhost IDENTIFIED BY 'x'")
    first.query("GRANT ALL ON ev.* TO `o'd@d``user`@localhost")
    cnf = tmp_path / "cnf"
    cnf.write_text("[client]\nuser=ev_switch\npassword=x\n")
    try:
        every_second(first)
        with first.connect() as c, c.cursor() as cursor:
            cursor.execute("SET sql_mode = 'ANSI_QUOTES', time_zone = '+03:00'")
            cursor.execute("CREATE DEFINER = `o'd@d``user`@localhost EVENT ev.`a\\b``c\n'd` ON SCHEDULE EVERY 1 DAY"
                           " STARTS '2020-01-01 01:02:03' COMMENT 'daily' DO INSERT INTO ev.t (node) VALUES ('daily')")
        first.query("CREATE EVENT ev.off ON SCHEDULE EVERY 1 SECOND DISABLE COMMENT 'disabled: not yet'"
                    " DO INSERT INTO ev.t (node) VALUES ('off')")
        columns = ("EVENT_NAME, DEFINER, TIME_ZONE, SQL_MODE, EVENT_DEFINITION, INTERVAL_VALUE, STARTS, ON_COMPLETION,"
                   " EVENT_COMMENT, CHARACTER_SET_CLIENT, COLLATION_CONNECTION, DATABASE_COLLATION")
        before = first.query(f"SELECT {columns} FROM information_schema.EVENTS ORDER BY 1")
        assert len(before) == 3
        assert hook(second, "check", tmp_path, DEFAULTS_FILE=cnf).returncode == STOPPED
        done = hook(second, "promote", tmp_path, DEFAULTS_FILE=cnf)
        assert done.returncode == 0, done.stdout
        assert hook(second, "check", tmp_path, DEFAULTS_FILE=cnf).returncode == RUNNING
        assert hook(first, "check", tmp_path, DEFAULTS_FILE=cnf).returncode == STOPPED
        assert second.query(f"SELECT {columns} FROM information_schema.EVENTS ORDER BY 1") == before
        assert statuses(second) == {"ev.tick": "ENABLED", "ev.a\\b`c\n'd": "ENABLED", "ev.off": "SLAVESIDE_DISABLED"}
        assert statuses(third)["ev.tick"] == statuses(first)["ev.tick"] == "SLAVESIDE_DISABLED"
        wait_for("an event", lambda: ran_on(second), 5)
        assert ran_on(second, "1 HOUR") == {"n2"}
        done = hook(second, "fence", tmp_path, DEFAULTS_FILE=cnf)
        assert done.returncode == 0, done.stdout
        assert hook(second, "check", tmp_path, DEFAULTS_FILE=cnf).returncode == STOPPED
    finally:
        first.query("DROP USER ev_switch@localhost, `o'd@d``user`@localhost")


@pytest.mark.parametrize("kind, least, most", [("demote", 2.0, 4), ("fence", 0, 2)])
def test_events_under_way_are_seen_to_their_end(events, tmp_path, kind, least, most):
    node = events.nodes[1]
    every_second(node, "ev.slow", "BEGIN DO SLEEP(60); INSERT INTO ev.t (node) VALUES ('late'); END")
    assert hook(node, "promote", tmp_path).returncode == 0
    wait_for("the event", lambda: node.query("SELECT 1 FROM information_schema.PROCESSLIST WHERE INFO LIKE 'DO SLEEP%'"), 5)
    node.query("SET GLOBAL event_scheduler = OFF")  # as a person would
    assert hook(node, "check", tmp_path).returncode == RUNNING  # it is not over while one is under way
    start = time.monotonic()
    done = hook(node, kind, tmp_path)
    took = time.monotonic() - start
    assert done.returncode == 0 and least <= took <= most, done.stdout
    assert hook(node, "check", tmp_path).returncode == STOPPED
    assert not node.query("SELECT 1 FROM information_schema.PROCESSLIST WHERE INFO LIKE 'DO SLEEP%'")
    assert node.query("SELECT COUNT(*) FROM ev.t") == ((0,),)


def test_demote_lets_short_events_end(events, tmp_path):
    node = events.nodes[1]
    node.query("CREATE EVENT ev.short ON SCHEDULE AT NOW() ON COMPLETION PRESERVE DO BEGIN DO SLEEP(1);"
               " INSERT INTO ev.t (node) VALUES ('done'); END")
    assert hook(node, "promote", tmp_path).returncode == 0
    wait_for("the event", lambda: node.query("SELECT 1 FROM information_schema.PROCESSLIST WHERE INFO LIKE 'DO SLEEP%'"), 5)
    assert hook(node, "demote", tmp_path).returncode == 0
    assert node.query("SELECT COUNT(*) FROM ev.t") == ((1,),)


def test_a_server_that_is_gone_and_one_that_hangs(events, tmp_path):
    node = events.nodes[1]
    every_second(node)
    assert hook(node, "promote", tmp_path).returncode == 0
    node.signal(signal.SIGSTOP)
    try:
        for kind in ("check", "fence"):
            with pytest.raises(subprocess.TimeoutExpired):  # the budget ends it: that is not "stopped"
                subprocess.run([str(HOOK)], timeout=2, env={
                    "PATH": os.environ["PATH"], "GALERA_LEASE_HOOK": kind, "GALERA_LEASE_STATEDIR": str(tmp_path),
                    "GALERA_LEASE_BUDGET_MS": "2000"})
    finally:
        node.signal(signal.SIGCONT)
    node.wait_synced()
    assert hook(node, "check", tmp_path).returncode == RUNNING
    node.kill()
    assert hook(node, "check", tmp_path).returncode == STOPPED
    assert hook(node, "demote", tmp_path).returncode == 0
    refused = hook(node, "promote", tmp_path)
    assert refused.returncode == 1 and "2002" in refused.stdout
    assert hook(events.nodes[0], "check", tmp_path, DEFAULTS_FILE="/nowhere").returncode == 1


def test_events_run_where_the_leader_is(events, three):
    lab = events
    three.end()
    for m in three.members:
        m.hook = {kind: str(HOOK) for kind in m.hook}
        m.options["ttl"] = "12s"  # a client starts in each hook, and wants its share of K
        (m.state / "event-scheduler.conf").write_text(f'SOCKET="{m.node.socket}"\n')
        m.start()
    first = three.wait_leader(20)
    every_second(lab.nodes[0])  # wherever it is made
    every_second(first.node, "ev.tock")
    wait_for("events of the leader's node", lambda: ran_on(lab.nodes[0]) == {first.node.name}, 10)

    # The leader's host is cut off: its node is non-Primary, and its scheduler is off before another's is on.
    first.node.cut()
    second = three.wait_leader(25, other_than=first)
    assert first.node.query("SELECT @@GLOBAL.event_scheduler") == (("OFF",),)
    wait_for("events of the next leader's node", lambda: ran_on(second.node) == {second.node.name}, 10)
    first.node.heal()
    first.node.wait_synced()

    # A follower's scheduler that somebody switches on is switched off.
    follower = next(m for m in three.members if m is not second and m is not first)
    follower.node.query("SET GLOBAL event_scheduler = ON")
    wait_for("the scheduler off again", lambda: follower.node.query("SELECT @@GLOBAL.event_scheduler") == (("OFF",),), 10)

    # All stopped: nothing runs any more.
    three.end()
    assert {n.query("SELECT @@GLOBAL.event_scheduler") for n in lab.nodes} == {(("OFF",),)}
    time.sleep(2)
    assert ran_on(lab.nodes[0]) == set()
