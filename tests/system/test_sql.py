"""The SQL interface as people use it: what each role may do, what the procedures say, what the views show."""
import json
import shlex

import pymysql
import pytest
from sidecars import ROOT, wait_for

ROLES = ("reader", "operator", "sidecar", "controller")
SIGNAL = 1644

# What is tried as every role: statement, and who may. Everybody else must meet one of the errors named.
NO_TABLE, NO_COLUMN, NO_PROCEDURE = 1142, 1143, 1370
MATRIX = [
    *[(f"SELECT * FROM galera_lease.{view}", "reader operator sidecar", NO_TABLE)
      for view in ("controllers", "leader", "history", "requests", "alarms", "lease", "lease_and_epoch", "member", "request", "event",
                   "writer", "schema_version")],
    *[(f"SELECT * FROM galera_lease.{table}", "", NO_TABLE) for table in ("epoch", "guard")],
    *[(f"DELETE FROM galera_lease.{table}", "", NO_TABLE)
      for table in ("lease", "epoch", "guard", "writer", "member", "request", "schema_version", "leader", "controllers")],
    ("DELETE FROM galera_lease.event", "sidecar", NO_TABLE),
    ("UPDATE galera_lease.epoch SET epoch = 9", "", NO_TABLE),
    ("UPDATE galera_lease.writer SET epoch = 9", "", NO_TABLE),
    ("UPDATE galera_lease.event SET what = ''", "", NO_TABLE),
    ("UPDATE galera_lease.lease SET counter = counter + 1", "sidecar", NO_TABLE),
    ("UPDATE galera_lease.lease SET epoch = epoch + 1", "sidecar", NO_TABLE),  # moves the epoch row with the owner's right
    ("UPDATE galera_lease.lease SET name = 'x'", "", (NO_TABLE, NO_COLUMN)),
    ("UPDATE galera_lease.lease SET created_at = NOW()", "", (NO_TABLE, NO_COLUMN)),
    ("UPDATE galera_lease.lease_and_epoch SET counter = 1", "", NO_TABLE),
    ("UPDATE galera_lease.leader SET state = 'free'", "", NO_TABLE),
    ("UPDATE galera_lease.member SET heartbeat = 0", "sidecar", NO_TABLE),
    ("UPDATE galera_lease.request SET claimed_by = 'x'", "sidecar", NO_TABLE),
    ("UPDATE galera_lease.request SET who = 'x'", "", (NO_TABLE, NO_COLUMN)),
    ("INSERT INTO galera_lease.lease (name, ttl_ms) VALUES ('x', 1000)", "", NO_TABLE),
    ("INSERT INTO galera_lease.epoch VALUES ('x', 1)", "", NO_TABLE),
    ("INSERT INTO galera_lease.guard VALUES ('1', 'x', 1)", "", NO_TABLE),
    ("INSERT INTO galera_lease.writer VALUES ('x', 'x', 'x', 1)", "", NO_TABLE),
    ("INSERT INTO galera_lease.request (lease, action, epoch, who, asked_at) VALUES ('x', 'ack', 1, 'x', NOW())", "", NO_TABLE),
    ("INSERT INTO galera_lease.event (lease, epoch, member, what, at) VALUES ('x', 1, 'x', 'x', NOW())", "sidecar", NO_TABLE),
    ("CALL galera_lease.step_down('{lease}', '')", "operator sidecar", NO_PROCEDURE),
    ("CALL galera_lease.switchover('{lease}', 'm2', '')", "operator sidecar", NO_PROCEDURE),
    ("CALL galera_lease.hold('{lease}', 60, 'disks')", "operator sidecar", NO_PROCEDURE),
    ("CALL galera_lease.unhold('{lease}')", "operator sidecar", NO_PROCEDURE),
    ("CALL galera_lease.alarm_ack('{lease}', 'seen')", "operator sidecar", NO_PROCEDURE),
    ("CALL galera_lease.release_stopped('{lease}', 7, 'its host is off')", "operator sidecar", NO_PROCEDURE),
    ("CALL galera_lease.request_outcome({request})", "operator sidecar", NO_PROCEDURE),
    ("CALL galera_lease.ask('step_down', '{lease}', NULL, NULL, '')", "", NO_PROCEDURE),
    ("CALL galera_lease.guard('{lease}', 7)", "controller", NO_PROCEDURE),
    ("CALL galera_lease.guard_row('{lease}', 7)", "", NO_PROCEDURE),
    ("CALL galera_lease.guard_writer('{lease}')", "", NO_PROCEDURE),
    ("CALL galera_lease.allow_writer('x', '{lease}', 'm1')", "", NO_PROCEDURE),
    ("CALL galera_lease.exempt_writer('x', '{lease}')", "", NO_PROCEDURE),
    ("CALL galera_lease.forget_writer('x', '{lease}')", "", NO_PROCEDURE),
    ("CALL galera_lease.protect_table('x', 'x', '{lease}')", "", NO_PROCEDURE),
    ("CALL galera_lease.unprotect_table('x', 'x')", "", NO_PROCEDURE),
    ("SELECT galera_lease.file_drift('?', '/a:1')", "reader operator sidecar", NO_PROCEDURE),
    ("CREATE TABLE galera_lease.x (i INT PRIMARY KEY)", "", NO_TABLE),
    ("DROP TABLE galera_lease.guard", "", NO_TABLE),
    ("TRUNCATE TABLE galera_lease.event", "", NO_TABLE),
    ("DROP TRIGGER galera_lease.lease_moves_epoch", "", (NO_TABLE, 1419)),
    ("CREATE USER x", "", 1227),
]


def login(node, user):
    return pymysql.connect(unix_socket=str(node.socket), user=user, password="secret", autocommit=True, read_timeout=20)


def answer(connection, sql):
    """Rows of the last statement, or the error number."""
    with connection.cursor() as cursor:
        try:
            cursor.execute(sql)
            return cursor.fetchall()
        except pymysql.MySQLError as error:
            return error.args[0]


def complaint(connection, sql):
    with connection.cursor() as cursor, pytest.raises(pymysql.MySQLError) as caught:
        cursor.execute(sql)
    assert caught.value.args[0] == SIGNAL, caught.value
    return caught.value.args[1]


@pytest.fixture
def held(group, lab):
    """A lease that m1 holds at epoch 7, a member m2, and an account for every role."""
    group.add(1)
    group.init()
    root = lab.nodes[0].connect()
    for role in ROLES:
        for sql in ("CREATE USER IF NOT EXISTS sql_{0}@localhost IDENTIFIED BY 'secret'", "GRANT galera_lease_{0} TO sql_{0}@localhost",
                    "SET DEFAULT ROLE galera_lease_{0} FOR sql_{0}@localhost"):
            answer(root, sql.format(role))
    answer(root, "UPDATE galera_lease.lease SET epoch = 7, counter = 1, nonce = RANDOM_BYTES(16), holder = 'm1', state = 'held', "
                 f"acquired_at = UTC_TIMESTAMP(3), renewed_at = UTC_TIMESTAMP(3) WHERE name = '{group.lease}'")
    for name, role, priority, age in (("m1", "leader", 100, 0), ("m2", "follower", 100, 0), ("m3", "follower", 0, 3600)):
        answer(root, "INSERT INTO galera_lease.member (lease, name, incarnation, heartbeat, epoch_seen, seen_at, role, priority, address, "
                     f"port, version, why_not) VALUES ('{group.lease}', '{name}', '', 1, 7, UTC_TIMESTAMP(3) - INTERVAL {age} SECOND, "
                     f"'{role}', {priority}, '10.0.0.1', 9501, '2.3.4', 'Another member holds the lease.')")
    group.root = root
    yield group
    root.close()


def test_roles_may_do_what_they_need_and_nothing_else(held, lab):
    wrong = []
    request = answer(held.root, f"CALL galera_lease.unhold('{held.lease}')")[0][0]
    for role in ROLES:
        # Nodes apply accounts as they apply rows: this one is the node where they were made.
        connection = login(lab.nodes[0], f"sql_{role}")
        for sql, allowed, errors in MATRIX:
            answer(connection, "START TRANSACTION")
            got = answer(connection, sql.format(lease=held.lease, request=request))
            answer(connection, "ROLLBACK")
            refused = got if isinstance(got, int) else 0
            expected = (0,) if role in allowed.split() else errors if isinstance(errors, tuple) else (errors,)
            if refused not in expected:
                wrong.append(f"{role}: {sql}: {refused}, not {expected}")
        connection.close()
    assert wrong == []
    assert answer(held.root, f"SELECT epoch FROM galera_lease.lease WHERE name = '{held.lease}'") == ((7,),)


def test_an_operator_has_an_account_of_his_own(held):
    """The verbs for people work with the operator's role, and the history says who asked."""
    member = held.members[0]
    member.options["user"] = "sql_operator"
    member.write_config()
    for words in (("list --long",), ("history",), ("hold --no-wait", "--for", "1m", "--reason", "disks")):
        done = member.cli(*words)
        assert done.returncode == 0, (words, done.stderr)
    assert "sql_operator@localhost" in member.cli("history").stdout


def test_history_of_an_eventful_day(held):
    """More than one answer holds: the newest are shown, in their order."""
    rows = ", ".join(f"('{held.lease}', {n}, 'm1', 'promoted', 'start {n}', UTC_TIMESTAMP(3) - INTERVAL {2000 - n} SECOND)" for n in range(1200))
    answer(held.root, f"INSERT INTO galera_lease.event (lease, epoch, member, what, reason, at) VALUES {rows}")
    done = held.members[0].cli("history", "--json")
    assert done.returncode == 0 and "these are the newest 500" in done.stderr, done.stderr
    assert [e["epoch"] for e in json.loads(done.stdout)] == list(range(700, 1200))
    short = held.members[0].cli("history --json", "--since", "20m")
    assert short.returncode == 0 and short.stderr == "" and 300 < len(json.loads(short.stdout)) < 500


def test_switchover_to_one_that_backs_off_says_so(held, lab):
    answer(held.root, "UPDATE galera_lease.member SET priority = 0, why_not = 'It backs off after a failed start or a step-down.' "
                      f"WHERE lease = '{held.lease}' AND name = 'm2'")
    text = complaint(login(lab.nodes[0], "sql_operator"), f"CALL galera_lease.switchover('{held.lease}', 'm2', 'back')")
    assert "m2 cannot take the lease now: It backs off after a failed start or a step-down." in text


@pytest.mark.parametrize("call, says", [
    ("hold(NULL, 60, 'disks')", "which lease?"),
    ("hold('', 60, 'disks')", "which lease?"),
    ("hold('a b', 60, 'disks')", "cannot be the name of a lease"),
    ("hold('{long}', 60, 'disks')", "cannot be the name of a lease"),
    ("hold('nosuch', 60, 'disks')", "there is no such lease as nosuch"),
    ("hold('{lease}', NULL, 'disks')", "1 to 86400"),
    ("hold('{lease}', 0, 'disks')", "1 to 86400"),
    ("hold('{lease}', 86401, 'disks')", "1 to 86400"),
    ("hold('{lease}', -5, 'disks')", "1 to 86400"),
    ("hold('{lease}', 1.5, 'disks')", "1 to 86400"),
    ("hold('{lease}', '10m', 'disks')", "1 to 86400"),
    ("hold('{lease}', 99999999999999999999, 'disks')", "1 to 86400"),
    ("hold('{lease}', 60, NULL)", "why?"),
    ("hold('{lease}', 60, '  ')", "why?"),
    ("hold('{lease}', 60, REPEAT('x', 256))", "256 characters"),
    ("hold('{lease}', 60, 'a\\nb')", "one line"),
    ("alarm_ack('{lease}', '')", "why?"),
    ("release_stopped('{lease}', 7, NULL)", "why?"),
    ("release_stopped('nosuch', 7, 'off')", "there is no such lease as nosuch"),
    ("switchover('{lease}', NULL, '')", "to which member?"),
    ("switchover('{lease}', 'm2\\n', '')", "cannot be the name of a member"),
    ("switchover('{lease}', 'm9', '')", "there is no such member as m9"),
    ("switchover('{lease}', 'm1', '')", "m1 is the leader already"),
    ("switchover('{lease}', 'm3', '')", "m3 cannot take the lease now: Its priority is 0"),
    ("step_down('nosuch', '')", "there is no such lease as nosuch"),
    ("request_outcome(0)", "there is no such request"),
    ("request_outcome(NULL)", "there is no such request"),
])
def test_procedures_name_the_mistake(held, lab, call, says):
    connection = login(lab.nodes[0], "sql_operator")
    for mode in ("STRICT_TRANS_TABLES", ""):  # a lax mode must not cut an argument into a good one
        answer(connection, f"SET sql_mode = '{mode}'")
        text = complaint(connection, "CALL galera_lease." + call.format(lease=held.lease, long="x" * 70))
        assert says in text and text.startswith("galera_lease." + call.split("(")[0] + ": "), text
    assert answer(held.root, f"SELECT COUNT(*) FROM galera_lease.request WHERE lease = '{held.lease}'") == ((0,),)


def test_nobody_leads_only_alarms_are_acknowledged(held, lab):
    answer(held.root, f"UPDATE galera_lease.lease SET state = 'free', nonce = '', counter = 2 WHERE name = '{held.lease}'")
    connection = login(lab.nodes[0], "sql_operator")
    for call in ("step_down('{0}', '')", "switchover('{0}', 'm2', '')", "hold('{0}', 60, 'disks')", "unhold('{0}')",
                 "release_stopped('{0}', 7, 'off')"):
        assert "nobody holds" in complaint(connection, "CALL galera_lease." + call.format(held.lease))
    assert answer(connection, f"CALL galera_lease.alarm_ack('{held.lease}', 'restored on purpose')")[0][0] > 0


def test_requests_say_who_asked_and_are_read_back_from_another_node(held, lab):
    operator = login(lab.nodes[0], "sql_operator")
    ids = {}
    for action, call in (("hold", "hold('{0}', 600, 'new disks')"), ("unhold", "unhold('{0}')"), ("ack", "alarm_ack('{0}', 'seen')"),
                         ("switchover", "switchover('{0}', 'm2', 'new kernel')"), ("step_down", "step_down('{0}', NULL)")):
        ids[action] = answer(operator, "CALL galera_lease." + call.format(held.lease))[0][0]
    assert len(set(ids.values())) == 5
    rows = answer(held.root, "SELECT action, target, hold_ms, epoch, who, why FROM galera_lease.request "
                             f"WHERE lease = '{held.lease}' ORDER BY id")
    who = "sql_operator@localhost"  # the caller, not the owner of the procedure
    assert rows == (("hold", "", 600000, 7, who, "new disks"), ("unhold", "", 0, 7, who, ""), ("ack", "", 0, 7, who, "seen"),
                    ("switchover", "m2", 0, 7, who, "new kernel"), ("step_down", "", 0, 7, who, ""))

    answer(held.root, "UPDATE galera_lease.request SET claimed_by = 'm1', outcome = 'done: held until noon', "
                      f"finished_at = UTC_TIMESTAMP(3) WHERE id = {ids['hold']}")
    lab.nodes[1].causal("SELECT COUNT(*) FROM mysql.global_priv")  # a node applies accounts as it applies rows
    elsewhere = login(lab.nodes[1], "sql_operator")
    (row,) = answer(elsewhere, f"CALL galera_lease.request_outcome({ids['hold']})")
    assert row[0] == ids["hold"] and row[2:7] == (held.lease, "hold", "", 600, who) and row[8:11] == ("done", "m1", "done: held until noon")
    (row,) = answer(elsewhere, f"CALL galera_lease.request_outcome({ids['unhold']})")
    assert row[8] == "open"


def test_alarms_last_until_acknowledged(held, lab):
    operator = login(lab.nodes[0], "sql_operator")
    of_lease = f"WHERE lease = '{held.lease}'"

    def outcome(call):
        request = answer(operator, "CALL galera_lease." + call.format(held.lease))[0][0]
        return answer(operator, f"CALL galera_lease.request_outcome({request})")[0][8:11]
    assert outcome("alarm_ack('{0}', 'seen')") == ("refused", "", "refused: there is no open alarm")
    for member in ("m1", "m2"):
        answer(held.root, "INSERT INTO galera_lease.event (lease, epoch, member, what, at, alarm) VALUES "
                          f"('{held.lease}', 7, '{member}', 'regression', UTC_TIMESTAMP(3), TRUE)")
    assert answer(operator, f"SELECT member, what FROM galera_lease.alarms {of_lease}") == (("m1", "regression"), ("m2", "regression"))
    assert outcome("alarm_ack('{0}', 'restored on purpose')") == ("done", "", "done: 2 alarm(s) acknowledged")
    assert answer(operator, f"SELECT * FROM galera_lease.alarms {of_lease}") == ()
    assert answer(operator, f"SELECT DISTINCT acked_by, ack_reason FROM galera_lease.event {of_lease} AND alarm") == (
        ("sql_operator@localhost", "restored on purpose"),)


def test_break_glass_release_frees_only_the_epoch_that_was_named(held, lab):
    operator = login(lab.nodes[0], "sql_operator")
    row = f"SELECT state, epoch, counter, HEX(nonce) = REPEAT('0', 32) FROM galera_lease.lease WHERE name = '{held.lease}'"
    for epoch, standing in (("6", "refused"), ("NULL", "refused"), ("8", "refused"), ("7", "done")):
        assert answer(held.root, row) == (("held", 7, 1, 0),)
        request = answer(operator, f"CALL galera_lease.release_stopped('{held.lease}', {epoch}, 'its host is off')")[0][0]
        assert answer(operator, f"CALL galera_lease.request_outcome({request})")[0][8] == standing
    assert answer(held.root, row) == (("free", 7, 2, 1),)


def columns(connection, view):
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT * FROM galera_lease.{view} LIMIT 0")
        return [c[0] for c in cursor.description]


def test_views_read_well(held, lab):
    reader = login(lab.nodes[0], "sql_reader")
    assert columns(reader, "controllers") == ["lease", "name", "standing", "version", "address", "port", "epoch", "seen_s",
                                              "priority", "comment"]
    rows = answer(reader, f"SELECT name, standing, epoch, comment FROM galera_lease.controllers WHERE lease = '{held.lease}'")
    assert rows[0] == ("m1", "leader", 7, "Acting as leader.")
    assert rows[1] == ("m2", "follower", 7, "Accepting heartbeats.")
    assert rows[2][:3] == ("m3", "not seen", 7) and rows[2][3].startswith("Not seen since ")

    answer(held.root, f"UPDATE galera_lease.member SET role = 'ended' WHERE name = 'm2' AND lease = '{held.lease}'")
    ((standing, comment),) = answer(reader, "SELECT standing, comment FROM galera_lease.controllers WHERE name = 'm2' AND "
                                            f"lease = '{held.lease}'")
    assert standing == "ended" and comment.startswith("Ended at ")

    assert columns(reader, "leader") == ["lease", "leader", "state", "epoch", "address", "port", "since", "renewed_at", "ttl_ms",
                                         "hold_until", "hold_reason"]
    assert answer(reader, f"SELECT leader, state, epoch, address FROM galera_lease.leader WHERE lease = '{held.lease}'") == (
        ("m1", "held", 7, "10.0.0.1"),)
    answer(held.root, f"UPDATE galera_lease.lease SET state = 'free', nonce = '', counter = 2 WHERE name = '{held.lease}'")
    assert answer(reader, f"SELECT leader, state, address FROM galera_lease.leader WHERE lease = '{held.lease}'") == ((None, "free", None),)
    # Whoever still says leader without the lease is not called one.
    assert answer(reader, "SELECT standing FROM galera_lease.controllers WHERE name = 'm1' AND "
                          f"lease = '{held.lease}'") == (("unclear",),)


DRIFT = [  # a member's files, the leader's, what is said
    ("", "/etc/a:1", ""),
    ("/etc/a:1", "", ""),
    ("/etc/a:1", None, ""),
    ("/etc/a:1,/etc/b:2", "/etc/a:1,/etc/b:2", ""),
    ("?", "/etc/a:1", "Its files have not been read yet."),
    ("/etc/a:1", "?", ""),
    ("?", "?", ""),
    ("/etc/a:1,/etc/b:2,/etc/c:3", "/etc/a:0,/etc/b:2,/etc/c:4", "a differs from the leader's. c differs from the leader's."),
    ("/etc/a:missing", "/etc/a:1", "a is missing; the leader has it."),
    ("/etc/a:1", "/etc/a:missing", "a is missing on the leader's host."),
    ("/etc/a:unreadable", "/etc/a:1", "a is unreadable here."),
    ("/etc/a:1", "/etc/a:too-big", "a is too-big on the leader's host."),
    ("/etc/a:1,/etc/b:2", "/etc/b:2", "a is not among the leader's files."),
    ("/etc/b:2", "/etc/a:1,/etc/b:2,/etc/c:3", "a is among the leader's files only. c is among the leader's files only."),
    ("/etc/a/x:1,/etc/b/x:2", "/etc/a/x:1,/etc/b/x:3", "/etc/b/x differs from the leader's."),
    ("/x:1,/etc/x:2", "/x:2,/etc/x:2", "/x differs from the leader's."),  # neither path is found within another
    ("/etc/aa:1", "/etc/a:1,/etc/aa:2", "aa differs from the leader's. a is among the leader's files only."),
    (",".join(f"/{i}{'x' * 100}:1" for i in range(8)), ",".join(f"/{i}{'x' * 100}:2" for i in range(8)), 255),
    ("nonsense", "/etc/a:1", "nonsense is not among the leader's files. a is among the leader's files only."),
]


def test_file_drift(held):
    for mine, leaders, said in DRIFT:
        with held.root.cursor() as cursor:
            cursor.execute("SELECT galera_lease.file_drift(%s, %s)", (mine, leaders))
            found = cursor.fetchone()[0]
        assert len(found) == said if isinstance(said, int) else found == said, (mine, leaders)


FORGED = 'new" level=error event=lost kernel="'


def test_history_holds_what_happened_and_who_asked(group):
    """With real sidecars: the events are theirs. Who may ask writes a reason, and no fields into the log."""
    for index in (1, 2):
        group.add(index)
    group.init().start()
    leader = group.wait_leader(10)
    wait_for("a follower", lambda: "follower" in [m.role() for m in group.members], 10)
    done = leader.cli("step-down", "--reason", FORGED)
    assert done.returncode == 0, done.stderr
    other = group.wait_leader(10, other_than=leader)
    line = next(row for row in leader.log_text().splitlines() if " event=request " in row)
    assert shlex.split(line).count("level=error") == 0 and f"why={FORGED}" in shlex.split(line), line
    assert ' who="sidecar@' in line

    def rows():
        return other.node.query("SELECT member, what, reason, who, epoch FROM galera_lease.history WHERE lease = %s", group.lease)
    wait_for("the second leader", lambda: [r[0] for r in rows() if r[1] == "leading"] == [leader.name, other.name], 10)
    wait_for("the answer", lambda: "answered: step_down" in [r[1] for r in rows()], 5)
    found = [r[1] for r in rows()]
    assert found.index("leading") < found.index("asked: step_down") < found.index("answered: step_down")
    asked = next(r for r in rows() if r[1] == "asked: step_down")
    assert asked[2] == FORGED and asked[3].startswith("sidecar@") and asked[4] == 1
    answered = next(r for r in rows() if r[1] == "answered: step_down")
    assert answered[0] == leader.name and answered[2] == "done: the controller is stopped and the lease is given back"
    wait_for("its standing", lambda: other.node.query("SELECT name, standing FROM galera_lease.controllers WHERE lease = %s "
                                                      "AND standing = 'leader'", group.lease) == ((other.name, "leader"),), 5)


BODIES = ("SELECT 'procedure', routine_name, definer FROM information_schema.routines WHERE routine_schema = 'galera_lease' "
          "UNION SELECT 'trigger', trigger_name, definer FROM information_schema.triggers WHERE trigger_schema = 'galera_lease' "
          "UNION SELECT 'view', table_name, definer FROM information_schema.views WHERE table_schema = 'galera_lease'")


def test_init_replaces_older_bodies_and_keeps_rows(held, lab):
    """A half-made or older schema: the version row is written last, so without it init goes through everything again."""
    owned = answer(held.root, BODIES)
    assert len(owned) > 15 and {row[2] for row in owned} == {"galera_lease_owner@localhost"}
    answer(held.root, "CREATE OR REPLACE PROCEDURE galera_lease.guard() SELECT 'old'")
    answer(held.root, "CREATE OR REPLACE VIEW galera_lease.leader AS SELECT 'old'")
    answer(held.root, "DROP TRIGGER galera_lease.lease_moves_epoch")
    answer(held.root, "DELETE FROM galera_lease.schema_version")
    request = answer(held.root, f"CALL galera_lease.unhold('{held.lease}')")[0][0]
    for _ in range(2):
        held.init()
    assert sorted(answer(held.root, BODIES)) == sorted(owned)
    assert answer(held.root, f"SELECT epoch, holder, ttl_ms FROM galera_lease.lease WHERE name = '{held.lease}'") == ((7, "m1", 6000),)
    assert answer(held.root, f"SELECT COUNT(*) FROM galera_lease.request WHERE id = {request}") == ((1,),)
    assert answer(held.root, "SELECT version FROM galera_lease.schema_version") == ((1,),)
    answer(held.root, f"UPDATE galera_lease.lease SET epoch = 8, counter = 9 WHERE name = '{held.lease}'")
    assert answer(held.root, f"SELECT epoch FROM galera_lease.epoch WHERE name = '{held.lease}'") == ((8,),)


def test_nobody_can_log_in_as_the_owner(held, lab):
    for password in ("", "invalid"):
        with pytest.raises(pymysql.MySQLError) as caught:
            pymysql.connect(unix_socket=str(lab.nodes[0].socket), user="galera_lease_owner", password=password)
        assert caught.value.args[0] in (1045, 4151)


def test_init_makes_accounts_as_narrow_as_the_endpoints(group, lab):
    member = group.add(1)
    member.write_config()
    hosts = "SELECT host FROM mysql.user WHERE user = 'narrow' ORDER BY host"

    def init(endpoints, *args):
        lab.nodes[0].query("DROP USER IF EXISTS narrow@'%', narrow@localhost, narrow@'10.77.%'".replace("%", "%%"), ())
        text = member.config.read_text().splitlines()
        member.config.write_text("\n".join([t for t in text if not t.startswith(("endpoints", "user"))] +
                                           [f"endpoints = ({endpoints});", 'user = "narrow";']) + "\n")
        done = member.cli("init", "--socket", str(member.node.socket), *args)
        assert done.returncode == 0, done.stderr
        return done.stdout, [row[0] for row in lab.nodes[0].query(hosts)]
    socket, tcp = f'"unix:{member.node.socket}"', f'"{member.node.address}:3306"'
    assert init(socket) == (f"lease {group.lease} is ready; account narrow@localhost\n", ["localhost"])
    said, made = init(f"{socket}, {tcp}")
    assert made == ["%"] and "--account-host narrows" in said
    assert init(f"{socket}, {tcp}", "--account-host", "10.77.%")[1] == ["10.77.%", "localhost"]
    assert init(tcp, "--account-host", "10.77.%")[1] == ["10.77.%"]


def test_init_leaves_the_accounts_of_others_alone(group, lab):
    member, root = group.add(1), lab.nodes[0].connect()
    member.write_config()
    answer(root, "CREATE OR REPLACE USER other@localhost IDENTIFIED BY 'its own'")
    answer(root, "CREATE DATABASE IF NOT EXISTS app")
    text = [t for t in member.config.read_text().splitlines() if not t.startswith(("endpoints", "user"))]

    def init(grant=None):
        if grant:
            answer(root, grant)
        before = answer(root, "SHOW CREATE USER other@localhost")
        done = member.cli("init", "--socket", str(member.node.socket))
        return done, before == answer(root, "SHOW CREATE USER other@localhost")
    member.config.write_text("\n".join([*text, f'endpoints = ("unix:{member.node.socket}");', 'user = "other";']) + "\n")
    done, same = init("GRANT SELECT ON app.* TO other@localhost")
    assert done.returncode == 1 and same and "account 'other'@'localhost' is there already" in done.stderr
    done, same = init("REVOKE SELECT ON app.* FROM other@localhost")  # made for us, by hand: with another password
    assert done.returncode == 1 and same and "logs in with something else" in done.stderr
    answer(root, "ALTER USER other@localhost IDENTIFIED BY 'secret'")
    done, same = init()
    assert done.returncode == 0 and same, done.stderr
    done, same = init("GRANT SELECT ON app.* TO other@localhost")  # ours, with something more
    assert done.returncode == 0 and same
    answer(root, "DROP USER other@localhost")


def test_init_changes_no_password_in_passing(group, lab):
    """Another lease's sidecars may use the account: they would find out at their next connect."""
    member, root = group.add(1), lab.nodes[0].connect()
    member.write_config()
    text = [t for t in member.config.read_text().splitlines() if not t.startswith(("endpoints", "user"))]
    member.config.write_text("\n".join([*text, f'endpoints = ("unix:{member.node.socket}");', 'user = "shared";']) + "\n")

    def login():
        return answer(root, "SELECT JSON_VALUE(Priv, '$.authentication_string') FROM mysql.global_priv WHERE User = 'shared'")

    def init(*args):
        before = login()
        done = member.cli("init", "--socket", str(member.node.socket), *args)
        return done, before == login()
    answer(root, "DROP USER IF EXISTS shared@localhost")
    done, _ = init()
    assert done.returncode == 0, done.stderr
    done, same = init()
    assert done.returncode == 0 and same, done.stderr
    (group.dir / "password").write_text("another's\n")
    done, same = init()
    assert done.returncode == 1 and same, done.stderr
    assert "account 'shared'@'localhost' is there already, and logs in with something else" in done.stderr, done.stderr
    assert "Nothing was changed" in done.stderr and "--change-password" in done.stderr
    done, same = init("--change-password")
    assert done.returncode == 0 and not same, done.stderr
    done, same = init()
    assert done.returncode == 0 and same, done.stderr
    member.config.write_text("\n".join(t for t in member.config.read_text().splitlines() if not t.startswith("password_file")) + "\n")
    done, same = init()
    assert done.returncode == 1 and same and "something else than unix_socket" in done.stderr, done.stderr
    answer(root, "DROP USER shared@localhost")


def test_init_reaches_every_node_also_where_changes_are_rolled(group, lab):
    member = group.add(1)
    member.write_config()
    root = lab.nodes[0].connect()
    answer(root, "DROP DATABASE IF EXISTS galera_lease")
    answer(root, "SET GLOBAL wsrep_OSU_method = 'RSU'")
    try:
        group.init()
    finally:
        answer(root, "SET GLOBAL wsrep_OSU_method = 'TOI'")
    lab.wait_whole()
    assert lab.nodes[1].causal("SELECT COUNT(*) FROM galera_lease.lease WHERE name = %s", group.lease) == ((1,),)


def test_init_by_a_second_administrator(group, lab):
    member = group.add(1)
    group.init()
    (group.dir / "dba").write_text("secret\n")
    (group.dir / "dba").chmod(0o600)
    root = lab.nodes[0].connect()
    answer(root, "CREATE OR REPLACE USER dba2@localhost IDENTIFIED BY 'secret'")
    answer(root, "GRANT ALL ON *.* TO dba2@localhost WITH GRANT OPTION")
    arguments = ("init", "--socket", str(member.node.socket), "--user", "dba2", "--password-file", str(group.dir / "dba"))
    done = member.cli(*arguments)
    assert done.returncode == 1 and "GRANT galera_lease_sidecar TO 'dba2'@'HOST' WITH ADMIN OPTION" in done.stderr
    answer(root, "GRANT galera_lease_sidecar TO 'dba2'@'localhost' WITH ADMIN OPTION")
    done = member.cli(*arguments)
    assert done.returncode == 0, done.stderr


def examples():
    """The statements in the examples of the man page."""
    inside, found = False, []
    for line in (ROOT / "packaging/man/galera-lease-sql.7.scd").read_text().splitlines():
        if line == "```":
            inside = not inside
        elif inside:
            found += [s.strip() for s in line.split(";") if s.strip()]
    return found


def test_the_examples_of_the_man_page_run(group, lab):
    root = lab.nodes[0].connect()
    group.lease = "cmon"
    group.add(1)
    group.init()
    for sql in ("UPDATE galera_lease.lease SET epoch = 42, counter = 1, nonce = '1', holder = 'node1', state = 'held' WHERE name = 'cmon'",
                *("INSERT INTO galera_lease.member (lease, name, incarnation, heartbeat, epoch_seen, seen_at) VALUES "
                  f"('cmon', '{name}', '', 1, 42, UTC_TIMESTAMP(3))" for name in ("node1", "node2")),
                "CREATE DATABASE IF NOT EXISTS app", "CREATE OR REPLACE TABLE app.job (id INT PRIMARY KEY, v INT)",
                "INSERT INTO app.job VALUES (7, 0)", "DROP USER IF EXISTS alice@'%', cmon@'%'",
                "CREATE OR REPLACE USER dba2@localhost IDENTIFIED BY 'secret'"):
        assert not isinstance(answer(root, sql), int), sql
    request = 0
    for sql in examples():
        got = answer(root, sql.replace("request_outcome(1)", f"request_outcome({request})"))
        assert not isinstance(got, int), (sql, got)
        if sql.startswith("CALL galera_lease.switchover"):
            request = got[0][0]
    assert request > 0 and answer(root, "SELECT v FROM app.job") == ((1,),)
