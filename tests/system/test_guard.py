"""The guarded epoch on a real cluster: a stale transaction never commits, also where the takeover is not applied yet.

Writers are plain connections, as a controller would have; takeovers are the statement that the sidecar sends. Each refusal has
its control: the same transaction without a guard commits.
"""
import contextlib
import os
import signal
import threading
import time

import pymysql
import pytest
from sidecars import wait_for

DEADLOCK, NO_PARENT, LOCK_WAIT, SIGNAL = 1213, 1452, 1205, 1644
SETUP = """
CREATE DATABASE IF NOT EXISTS app
CREATE TABLE IF NOT EXISTS app.work (id BIGINT AUTO_INCREMENT PRIMARY KEY, lease VARCHAR(63), epoch BIGINT, what VARCHAR(63)) ENGINE=InnoDB
CREATE TABLE IF NOT EXISTS app.job (id INT PRIMARY KEY, v INT) ENGINE=InnoDB
CREATE TABLE IF NOT EXISTS app.brake (id BIGINT AUTO_INCREMENT PRIMARY KEY) ENGINE=InnoDB
CREATE USER IF NOT EXISTS cmon_m1@'%', cmon_m2@'%', stranger@'%', visitor@'%'
GRANT ALL ON app.* TO cmon_m1@'%', cmon_m2@'%', stranger@'%', visitor@'%'
"""


class Session:
    """A connection whose statements answer with their rows or with their error's number."""

    def __init__(self, node, user="root"):
        self.connection = pymysql.connect(unix_socket=str(node.socket), user=user, autocommit=True, read_timeout=60)

    def __call__(self, *statements):
        for sql in statements:
            with self.connection.cursor() as cursor:
                try:
                    cursor.execute(sql)
                    rows = cursor.fetchall()
                except pymysql.MySQLError as error:
                    return error.args[0]
        return rows

    def later(self, *statements):
        """Runs them in a thread; .result once it has ended."""
        def run():
            thread.result = self(*statements)
        thread = threading.Thread(target=run)
        thread.start()
        return thread


class Lease:
    def __init__(self, group, lab):
        self.name = group.lease
        self.lab = lab
        self.epoch = 0
        self.root = [Session(n) for n in lab.nodes]

    def statement(self, epoch, holder, expected=None):
        """An acquire: the epoch rises, on the version last seen."""
        was = "" if expected is None else f" AND epoch = {expected}"
        return (f"UPDATE galera_lease.lease SET epoch = {epoch}, counter = counter + 1, nonce = RANDOM_BYTES(16), holder = '{holder}', "
                f"state = 'held' WHERE name = '{self.name}'{was}")

    def take(self, node, holder):
        """Takes the lease through this node; as the sidecar does, again after a 1213."""
        self.epoch += 1
        wait_for("a takeover", lambda: self.root[node - 1](self.statement(self.epoch, holder)) == (), 10)
        return self.epoch

    def settle(self):
        """Until every node has applied what was committed before."""
        for root in self.root:
            assert root("SET wsrep_sync_wait = 1", "SELECT COUNT(*) FROM galera_lease.lease") != ()

    def rows(self, table, node=1):
        """After everything that was committed anywhere is applied on that node."""
        return self.root[node - 1]("SET wsrep_sync_wait = 1", f"SELECT * FROM {table}")

    def guard(self, epoch):
        return f"CALL galera_lease.guard('{self.name}', {epoch})"

    def work(self, epoch, what):
        return f"INSERT INTO app.work (lease, epoch, what) VALUES ('{self.name}', {epoch}, '{what}')"

    def done(self):
        """What was committed, as seen by every node; the nodes agree."""
        seen = [self.root[n]("SET wsrep_sync_wait = 1", f"SELECT epoch, what FROM app.work WHERE lease = '{self.name}' ORDER BY what")
                for n in range(3)]
        assert seen[0] == seen[1] == seen[2]
        return list(seen[0])


@contextlib.contextmanager
def applier_held(lab, index):
    """The only applier of this node waits for a table lock: what other nodes commit meanwhile is ordered, and not applied there."""
    node, other, brake = lab.nodes[index - 1], lab.nodes[index % 3], Session(lab.nodes[index - 1])
    waiting = ("SELECT COUNT(*) FROM information_schema.processlist WHERE user = 'system user' AND "
               "info LIKE 'INSERT INTO app.brake%%' AND state LIKE 'Waiting%%'")
    # First what is on its way already: DDL that the applier meets would break the lock.
    assert brake("SET wsrep_sync_wait = 1", "SELECT COUNT(*) FROM app.brake", "SET wsrep_sync_wait = 0", "LOCK TABLES app.brake WRITE") == ()
    try:
        other.query("INSERT INTO app.brake VALUES ()")
        wait_for("the applier held", lambda: node.query(waiting, ())[0][0] == 1, 5)
        yield
        assert node.query(waiting, ())[0][0] == 1, "the applier was not held all the time: this test has shown nothing"
    finally:
        brake.connection.close()


def still_running(thread):
    """It was sent, and waits for its turn behind what the applier has not done."""
    time.sleep(0.3)
    assert thread.is_alive()


@pytest.fixture
def lease(group, lab):
    group.add(1)
    group.init()
    for sql in SETUP.strip().splitlines():
        lab.nodes[0].query(sql.replace("%", "%%"), ())
    lab.nodes[0].query("CREATE OR REPLACE TABLE app.job (id INT PRIMARY KEY, v INT) ENGINE=InnoDB")
    lease = Lease(group, lab)
    lease.take(1, "m2")
    lease.settle()
    yield lease
    for root in lease.root:
        root.connection.close()


# ---------------------------------------------------------------- guard()

@pytest.mark.parametrize("guarded", [False, True])
def test_begun_before_the_takeover_committed_after_it(lease, lab, guarded):
    """The stale transaction is on a node that has not applied the takeover; its commit is ordered after it."""
    stale = Session(lab.nodes[1])
    stale("START TRANSACTION", lease.guard(1) if guarded else "DO 0", lease.work(1, "stale"))
    with applier_held(lab, 2):
        lease.take(1, "m1")
        commit = stale.later("COMMIT")
        still_running(commit)
        assert lab.nodes[1].query("SELECT epoch FROM galera_lease.lease WHERE name = %s", lease.name) == ((1,),)
    commit.join()
    assert commit.result == (DEADLOCK if guarded else ())
    assert lease.done() == ([] if guarded else [(1, "stale")])
    assert stale("START TRANSACTION", lease.guard(1)) == NO_PARENT


@pytest.mark.parametrize("guarded", [False, True])
def test_begun_after_the_takeover_where_it_is_not_applied(lease, lab, guarded):
    stale = Session(lab.nodes[1])
    with applier_held(lab, 2):
        lease.take(1, "m1")
        # Here the old epoch still looks alive, and the guard lets it begin.
        assert stale("START TRANSACTION", lease.guard(1) if guarded else "DO 0", lease.work(1, "stale")) == ()
        commit = stale.later("COMMIT")
        still_running(commit)
    commit.join()
    assert commit.result == (DEADLOCK if guarded else ())
    assert lease.done() == ([] if guarded else [(1, "stale")])


def test_where_it_is_applied_the_guard_refuses_at_once(lease, lab):
    stale = Session(lab.nodes[0])
    lease.take(1, "m1")
    assert stale("START TRANSACTION", lease.guard(1)) == NO_PARENT
    assert stale("ROLLBACK", "START TRANSACTION", lease.guard(3)) == NO_PARENT  # nor one that is not born yet
    assert stale("ROLLBACK", "START TRANSACTION", lease.guard(2), lease.work(2, "living"), "COMMIT") == ()
    assert lease.done() == [(2, "living")]


def test_on_the_same_node_the_open_transaction_holds_the_takeover_up_elsewhere_it_is_aborted(lease, lab):
    stale = Session(lab.nodes[0])
    stale("START TRANSACTION", lease.guard(1), lease.work(1, "stale"))
    lease.root[0]("SET innodb_lock_wait_timeout = 1")
    assert lease.root[0](lease.statement(2, "m1")) == LOCK_WAIT
    begun = time.monotonic()
    lease.epoch = 1
    lease.take(2, "m1")
    assert time.monotonic() - begun < 2
    wait_for("the abort", lambda: stale("DO 0") == DEADLOCK, 5)
    stale("COMMIT")
    assert lease.done() == []


def test_rollback_to_a_savepoint_does_not_take_the_guard_off(lease, lab):
    stale = Session(lab.nodes[1])
    stale("START TRANSACTION", lease.work(1, "first"), "SAVEPOINT s", lease.guard(1), "ROLLBACK TO s", lease.work(1, "second"))
    with applier_held(lab, 2):
        lease.take(1, "m1")
        commit = stale.later("COMMIT")
        still_running(commit)
    commit.join()
    assert commit.result == DEADLOCK
    assert lease.done() == []


def test_a_late_acquire_never_reopens_its_epoch(lease, lab):
    """Sent to a node that lags, for epoch 2; meanwhile others took 2 and 3 through another node."""
    late = Session(lab.nodes[1])
    with applier_held(lab, 2):
        lease.take(1, "m1")
        lease.take(1, "m1")
        acquire = late.later(lease.statement(2, "m3", expected=1))
        still_running(acquire)
    acquire.join()
    assert acquire.result in (DEADLOCK, ())  # () is no change: the server tried again and found no such version
    for node in (1, 2, 3):
        assert lease.rows(f"galera_lease.epoch WHERE name = '{lease.name}'", node) == ((lease.name, 3),)
    # Nor does a lease row that somebody lowers by hand.
    lease.root[0](lease.statement(2, "m3"))
    assert lease.rows(f"galera_lease.epoch WHERE name = '{lease.name}'") == ((lease.name, 3),)
    assert Session(lab.nodes[0])("START TRANSACTION", lease.guard(2)) == NO_PARENT


def test_the_living_do_not_collide(lease, lab):
    """Guarded transactions of one epoch on two nodes, as fast as they go."""
    failures = []

    def write(node, name):
        session = Session(lab.nodes[node])
        for i in range(200):
            answer = session("START TRANSACTION", lease.guard(1), lease.work(1, f"{name}-{i:03}"), "COMMIT")
            if answer != ():
                failures.append(answer)
    threads = [threading.Thread(target=write, args=(n % 2, f"w{n}")) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert len(lease.done()) == 800
    assert [lease.rows("galera_lease.guard", n) for n in (1, 2, 3)] == [()] * 3


def test_guard_refuses_what_it_could_not_guard(lease, lab):
    session = Session(lab.nodes[0])
    assert session(lease.guard(1)) == SIGNAL  # autocommit: it would guard only itself
    assert session("SET autocommit = 0", lease.guard(1), "ROLLBACK", "SET autocommit = 1") == ()
    for setting, value in (("foreign_key_checks", 0), ("wsrep_trx_fragment_size", 1000), ("wsrep_on", 0)):
        assert session(f"SET @was = @@{setting}", f"SET {setting} = {value}", "START TRANSACTION", lease.guard(1)) == SIGNAL
        assert session("ROLLBACK", f"SET {setting} = @was") == ()
    for lax in ("STRICT_TRANS_TABLES", ""):
        for name, epoch in (("NULL", "1"), (f"'{lease.name}'", "NULL"), (f"'{lease.name}'", "0")):
            assert session(f"SET sql_mode = '{lax}'", "START TRANSACTION", f"CALL galera_lease.guard({name}, {epoch})") == SIGNAL
            session("ROLLBACK")
    assert session("START TRANSACTION", "CALL galera_lease.guard('nosuch', 1)") == NO_PARENT


def test_an_idle_guarded_transaction_blocks_no_takeover_for_ever(lease, lab):
    idle = Session(lab.nodes[0])
    idle("SET idle_write_transaction_timeout = 600", "START TRANSACTION", lease.guard(1), lease.work(1, "stale"))
    begun = time.monotonic()
    assert lease.root[0](lease.statement(2, "m1")) == ()
    assert 2 < time.monotonic() - begun < 12
    assert idle("COMMIT") in (2006, 2013)
    assert lease.done() == []


# ---------------------------------------------------------------- protected tables

@pytest.fixture
def protected(lease, lab):
    """app.job is written by the controllers of m1 and m2, which know of no epoch; m2 leads."""
    for user, member in (("cmon_m1", "m1"), ("cmon_m2", "m2")):
        assert lease.root[0](f"CALL galera_lease.allow_writer('{user}', '{lease.name}', '{member}')") == ()
    assert lease.root[0](f"CALL galera_lease.protect_table('app', 'job', '{lease.name}')") == ()
    lease.settle()
    yield lease
    assert lease.root[0]("CALL galera_lease.unprotect_table('app', 'job')") == ()
    assert lease.root[0]("SELECT COUNT(*) FROM information_schema.triggers WHERE event_object_table = 'job'") == ((0,),)


@pytest.mark.parametrize("protect", [False, True])
@pytest.mark.parametrize("autocommit", [False, True])
def test_a_stale_controller_that_knows_no_epoch(lease, lab, protect, autocommit):
    for user, member in (("cmon_m1", "m1"), ("cmon_m2", "m2")):
        lease.root[0](f"CALL galera_lease.allow_writer('{user}', '{lease.name}', '{member}')")
    if protect:
        lease.root[0](f"CALL galera_lease.protect_table('app', 'job', '{lease.name}')")
    lease.settle()
    stale = Session(lab.nodes[1], "cmon_m2")
    assert stale("INSERT INTO app.job VALUES (1, 1)") == ()
    with applier_held(lab, 2):
        lease.take(1, "m1")
        write = stale.later(*(["INSERT INTO app.job VALUES (2, 2)"] if autocommit else
                              ["START TRANSACTION", "INSERT INTO app.job VALUES (2, 2)", "COMMIT"]))
        still_running(write)
    write.join()
    # An autocommit statement is tried again by the server, and then meets the epoch that is over.
    assert write.result in ((DEADLOCK, NO_PARENT) if protect else ((),))
    assert lease.rows("app.job") == (((1, 1),) if protect else ((1, 1), (2, 2)))
    if protect:
        assert stale("UPDATE app.job SET v = 3") == NO_PARENT
        assert Session(lab.nodes[2], "cmon_m2")("DELETE FROM app.job") == NO_PARENT  # a new connection, another node
        living = Session(lab.nodes[2], "cmon_m1")
        wait_for("the takeover applied", lambda: living("UPDATE app.job SET v = 4") == (), 5)
        lease.root[0]("CALL galera_lease.unprotect_table('app', 'job')")


def test_who_may_write_to_a_protected_table(protected, lab):
    lease = protected
    assert Session(lab.nodes[0], "cmon_m2")("INSERT INTO app.job VALUES (1, 1)") == ()
    for user in ("cmon_m1", "stranger", "root"):  # m1 has not led yet; the others are named nowhere
        for sql in ("INSERT INTO app.job VALUES (2, 1)", "INSERT IGNORE INTO app.job VALUES (2, 1)", "UPDATE app.job SET v = 2",
                    "UPDATE IGNORE app.job SET v = 2", "DELETE FROM app.job", "REPLACE INTO app.job VALUES (1, 2)",
                    "INSERT INTO app.job VALUES (1, 1) ON DUPLICATE KEY UPDATE v = 2"):
            assert Session(lab.nodes[0], user)(sql) == SIGNAL, (user, sql)
    assert Session(lab.nodes[0], "cmon_m2")("SET foreign_key_checks = 0", "INSERT INTO app.job VALUES (2, 1)") == SIGNAL
    assert lease.root[0](f"CALL galera_lease.exempt_writer('visitor', '{lease.name}')") == ()
    assert Session(lab.nodes[0], "visitor")("SET foreign_key_checks = 0", "INSERT INTO app.job VALUES (2, 2)") == ()
    assert lease.root[0](f"CALL galera_lease.forget_writer('visitor', '{lease.name}')") == ()
    assert Session(lab.nodes[0], "visitor")("INSERT INTO app.job VALUES (3, 3)") == SIGNAL
    assert lease.rows("app.job") == ((1, 1), (2, 2))


def test_a_connection_stays_with_its_epoch(protected, lab):
    """Restarted in place: what the dead process left on its connection does not go on under the epoch of its successor."""
    lease = protected
    old = Session(lab.nodes[0], "cmon_m2")
    assert old("INSERT INTO app.job VALUES (1, 1)") == ()
    lease.take(1, "m2")
    assert old("INSERT INTO app.job VALUES (2, 2)") == SIGNAL
    assert Session(lab.nodes[0], "cmon_m2")("INSERT INTO app.job VALUES (3, 3)") == ()
    assert lease.rows("app.job") == ((1, 1), (3, 3))


def test_an_account_named_late_has_the_epoch_its_member_won(lease, lab):
    lease.take(1, "m1")
    for user, member in (("cmon_m1", "m1"), ("cmon_m2", "m2")):
        lease.root[0](f"CALL galera_lease.allow_writer('{user}', '{lease.name}', '{member}')")
    assert lease.rows(f"galera_lease.writer WHERE lease = '{lease.name}'") == (
        (lease.name, "cmon_m1", "m1", 2), (lease.name, "cmon_m2", "m2", 0))


def test_protect_table_names_the_mistake(lease, lab):
    root = lease.root[0]
    root("CREATE OR REPLACE TABLE app.old (i INT PRIMARY KEY) ENGINE=Aria")
    for call in (f"protect_table('app', 'job', '{lease.name}')",  # no account may write yet
                 f"protect_table('app', 'nosuch', '{lease.name}')", f"protect_table(NULL, 'job', '{lease.name}')",
                 f"protect_table('app', 'old', '{lease.name}')", "protect_table('app', 'job', 'nosuch')",
                 "protect_table('app', 'job', NULL)", f"protect_table('galera_lease', 'member', '{lease.name}')",
                 "unprotect_table('app', 'job')", "unprotect_table('app', NULL)", f"allow_writer('', '{lease.name}', 'm1')",
                 "allow_writer('x', 'nosuch', 'm1')", f"allow_writer('x', '{lease.name}', NULL)", "exempt_writer('x', 'nosuch')",
                 f"forget_writer('x', '{lease.name}')"):
        assert root(f"CALL galera_lease.{call}") == SIGNAL, call
    root(f"CALL galera_lease.allow_writer('cmon_m1', '{lease.name}', 'm1')", "CREATE OR REPLACE TABLE app.`it's ``odd``` (i INT PRIMARY KEY)")
    assert root("SET GLOBAL slave_run_triggers_for_rbr = 'YES'") == ()
    refused = root(f"CALL galera_lease.protect_table('app', 'job', '{lease.name}')")
    assert root("SET GLOBAL slave_run_triggers_for_rbr = 'NO'") == () and refused == SIGNAL
    assert root("SET SESSION wsrep_OSU_method = 'RSU'") == ()  # triggers on one node only would look like a protection
    refused = root(f"CALL galera_lease.protect_table('app', 'job', '{lease.name}')")
    assert root("SET SESSION wsrep_OSU_method = 'TOI'") == () and refused == SIGNAL
    name = "'it''s `odd`'"
    for _ in range(2):
        assert root(f"CALL galera_lease.protect_table('app', {name}, '{lease.name}')") == ()
    assert root("INSERT INTO app.`it's ``odd``` VALUES (1)") == SIGNAL
    assert root(f"CALL galera_lease.unprotect_table('app', {name})") == ()
    assert root("INSERT INTO app.`it's ``odd``` VALUES (1)") == ()


def test_a_protected_table_that_is_renamed_or_replaced(lease, lab):
    root, triggers = lease.root[0], "SELECT event_object_table, COUNT(*) FROM information_schema.triggers WHERE trigger_schema = 'app' GROUP BY 1"
    root("DROP TABLE IF EXISTS app.moved, app.old", "CREATE TABLE app.moved (i INT PRIMARY KEY)",
         f"CALL galera_lease.allow_writer('cmon_m1', '{lease.name}', 'm1')")

    def call(what, table, *lease_name):
        return root(f"CALL galera_lease.{what}_table('app', '{table}'{''.join(f', {name!r}' for name in lease_name)})")
    assert call("protect", "moved", lease.name) == ()
    assert root("RENAME TABLE app.moved TO app.old") == () and root("INSERT INTO app.old VALUES (1)") not in ((), SIGNAL)
    assert call("protect", "old", lease.name) == () and root("INSERT INTO app.old VALUES (1)") == SIGNAL
    assert root(triggers) == (("old", 3),)
    # As tools for an online change do it: a new table in the place of the old one.
    assert root("CREATE TABLE app.new LIKE app.old", "RENAME TABLE app.old TO app.moved, app.new TO app.old") == ()
    assert root("INSERT INTO app.old VALUES (1)") == ()
    assert call("protect", "old", lease.name) == () and root("INSERT INTO app.old VALUES (2)") == SIGNAL
    assert root("DROP TABLE app.moved", "RENAME TABLE app.old TO app.moved") == ()
    assert call("unprotect", "moved") == () and root("INSERT INTO app.moved VALUES (2)") == ()
    assert root(triggers) == () and root("DROP TABLE app.moved") == ()


def test_with_real_sidecars_the_right_to_write_goes_with_the_lease(group, lab):
    """Nothing but the sidecars' own statements moves it: at a handover, and at a restart in place."""
    for index in (1, 2):
        group.add(index, restarts=3)
    group.init()
    root = Session(lab.nodes[0])
    for sql in SETUP.strip().splitlines():
        assert root(sql) == ()
    for sql in ("CREATE OR REPLACE TABLE app.job (id INT AUTO_INCREMENT PRIMARY KEY, v INT) ENGINE=InnoDB",
                f"CALL galera_lease.allow_writer('cmon_m1', '{group.lease}', 'm1')",
                f"CALL galera_lease.allow_writer('cmon_m2', '{group.lease}', 'm2')",
                f"CALL galera_lease.protect_table('app', 'job', '{group.lease}')"):
        assert root(sql) == ()
    group.start()
    leader = group.wait_leader(10)
    other = next(m for m in group.members if m is not leader)
    wait_for("a follower", lambda: other.role() == "follower", 10)

    def write(member, session=None):
        return (session or Session(member.node, f"cmon_{member.name}"))("INSERT INTO app.job (v) VALUES (1)")
    session = Session(leader.node, f"cmon_{leader.name}")
    assert (write(leader, session), write(other)) == ((), SIGNAL)
    assert leader.cli("step-down").returncode == 0
    assert group.wait_leader(10, other_than=leader) is other
    assert (write(other), write(leader), write(leader, session)) == ((), NO_PARENT, NO_PARENT)

    session = Session(other.node, f"cmon_{other.name}")
    assert write(other, session) == ()
    before = other.status()["epoch"]
    pid = wait_for("its controller", other.starts, 5)[-1][0]
    os.kill(pid, signal.SIGKILL)
    wait_for("the restart in place", lambda: other.role() == "leader" and other.status()["epoch"] > before, 10)
    assert (write(other, session), write(other)) == (SIGNAL, ())
    assert root("CALL galera_lease.unprotect_table('app', 'job')") == ()


# ---------------------------------------------------------------- under load

@pytest.mark.parametrize("how", ["unguarded", "guard", "protected"])
def test_under_load_and_lag(lease, lab, how):
    """Writers on two nodes go on for a while after each takeover, as stale controllers do; the order is that of the cluster's
    own sequence numbers. Unguarded, some stale work commits: then the guarded rows have shown something."""
    root = lease.root[0]
    for sql in ("CREATE OR REPLACE TABLE app.lag (id INT PRIMARY KEY, v INT) ENGINE=InnoDB",
                "INSERT INTO app.lag SELECT seq, 0 FROM app.seq_1_to_20000"):
        assert root(sql) == ()
    for member in ("m1", "m2"):
        root(f"CALL galera_lease.allow_writer('cmon_{member}', '{lease.name}', '{member}')")
    if how == "protected":
        root(f"CALL galera_lease.protect_table('app', 'job', '{lease.name}')")
    committed, taken = [], {}
    seqno = "SELECT SUBSTRING_INDEX(WSREP_LAST_WRITTEN_GTID(), '-', -1)"

    def write(node, number, epoch, holder, end):
        session = Session(lab.nodes[node], f"cmon_{holder}" if how == "protected" else "root")
        count = 0
        while time.monotonic() < end[0]:
            count += 1
            row = f"INSERT INTO app.job VALUES ({number * 1000000 + epoch * 10000 + count}, {epoch})"
            steps = ["START TRANSACTION", lease.guard(epoch) if how == "guard" else "DO 0", row, "COMMIT"]
            if session(*steps) == ():
                committed.append((epoch, int(session(seqno)[0][0]), number * 1000000 + epoch * 10000 + count))
            else:
                session("ROLLBACK")

    lease.settle()
    members = ["m2", "m1"]
    for turn in range(10):
        epoch, end = lease.epoch, [time.monotonic() + 60]
        threads = [threading.Thread(target=write, args=(n % 2, n, epoch, members[turn % 2], end)) for n in range(4)]
        for thread in threads:
            thread.start()
        time.sleep(0.2)
        assert lease.root[2]("UPDATE app.lag SET v = v + 1") == ()
        lease.take(3, members[(turn + 1) % 2])
        taken[lease.epoch] = int(lease.root[2](seqno)[0][0])
        end[0] = time.monotonic() + 0.3
        for thread in threads:
            thread.join()
    if how == "protected":
        root("CALL galera_lease.unprotect_table('app', 'job')")
    stale = [c for c in committed if c[1] > taken[c[0] + 1]]
    present = {row[0] for row in lease.rows("app.job")}
    print(f"{how}: {len(committed)} commits, {len(stale)} stale")
    assert len(committed) > 100
    assert {c[2] for c in committed} == present  # what was answered is there, and nothing else
    assert (len(stale) > 0) == (how == "unguarded")
