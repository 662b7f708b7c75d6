"""galera-lease check, the doctor, on a real cluster: a healthy lease, values that are set wrong while it runs, and a database that is
away, closed, without a quorum or without the schema."""
import json
import os
import pathlib
import subprocess
import time

import pymysql
import pytest
from sidecars import wait_for
from test_standalone import Plain

OK, WARN, FAIL, UNKNOWN = range(4)
PROVIDER = "/usr/lib/galera/libgalera_smm.so"


def hook_script(member, text):
    path = member.dir / "hook"
    path.write_text("#!/bin/sh\n" + text)
    path.chmod(0o755)
    return str(path)


def by_sockets(member):
    """All three nodes through their sockets, so that nothing is said in clear."""
    nodes = [member.node] + [n for n in member.group.lab.nodes if n is not member.node]
    member.endpoints = [f"unix:{n.socket}" for n in nodes]
    member.write_config()


class Checked:
    """What check answered: .code, .first (line), and the findings."""

    def __init__(self, member, *args, timeout=15):
        done = member.cli("check", "--json", *args, timeout=timeout)
        assert done.stderr == "", done.stderr
        answer = json.loads(done.stdout)
        assert done.returncode == answer["exit"]
        self.code, self.findings, self.text = done.returncode, answer["findings"], done.stdout

    def says(self, level, topic, text, where="", fix=""):
        return any(f["level"] == level and f["topic"] == topic and text in f["text"] and where in f["where"] and fix in f["fix"]
                   for f in self.findings)

    def bad(self):
        return [f for f in self.findings if f["level"] in ("WARN", "FAIL")]


@pytest.fixture
def well(group):
    """Three sidecars that run, and configurations under which check has nothing to say."""
    for index in (1, 2, 3):
        by_sockets(group.add(index))
    group.init().start()
    group.wait_leader(10)
    wait_for("two followers", lambda: sorted(str(m.role()) for m in group.members) == ["follower", "follower", "leader"], 10)
    return group


def settled(member, *args):
    """Members are shown as of their last heartbeat: of a lease that has just begun it may be missing."""
    end = time.monotonic() + 10
    checked = Checked(member, *args)
    while checked.bad() and time.monotonic() < end:
        checked = Checked(member, *args)
    return checked


def test_nothing_to_say(well):
    leader = well.leader()
    follower, other = (m for m in well.members if m is not leader)
    for member, what in ((leader, "the controller runs"), (follower, "nothing runs")):
        checked = settled(member, "--hooks")
        assert (checked.code, checked.bad()) == (OK, []), checked.text
        assert checked.says("OK", "times", "ttl 6s bears a silence of 3s")
        assert checked.says("OK", "hooks", f"the check hook says that {what}")
    done = other.cli("check")
    lines = done.stdout.splitlines()
    assert done.returncode == OK
    assert lines[0].startswith(f"LEASE OK - {well.lease}: 0 failed, 0 warning(s), ")
    assert all(line[:6] in ("OK    ", "SKIP  ") for line in lines[1:])


# Set on the first node while everything runs; what sets it back; what check must say. Each group at once, so that one look finds
# all of it. (evs.inactive_check_period cannot be set.)
OPTIONS = "SET GLOBAL wsrep_provider_options = "
WRONG = [
    [(OPTIONS + "'evs.suspect_timeout=PT2.9S'", OPTIONS + "'evs.suspect_timeout=PT1S'", "FAIL", "times", "up to 3450ms", 'ttl = "7s"'),
     (OPTIONS + "'pc.ignore_sb=true'", OPTIONS + "'pc.ignore_sb=false'", "FAIL", "setting", "pc.ignore_sb is true", "pc.ignore_sb=false"),
     ("SET GLOBAL innodb_flush_log_at_trx_commit = 2", "SET GLOBAL innodb_flush_log_at_trx_commit = 1", "WARN", "setting",
      "innodb_flush_log_at_trx_commit is 2", "innodb_flush_log_at_trx_commit = 1"),
     ("SET GLOBAL wait_timeout = 10", "SET GLOBAL wait_timeout = 28800", "WARN", "setting", "wait_timeout is 10 s", "28800"),
     ("SET GLOBAL read_only = 1", "SET GLOBAL read_only = 0", "WARN", "quorum", "read_only is on", "read_only = 0"),
     ("GRANT SELECT ON galera_lease.epoch TO galera_lease_sidecar", "REVOKE SELECT ON galera_lease.epoch FROM galera_lease_sidecar", "WARN",
      "rights", "rights on epoch", "REVOKE"),
     ("REVOKE EXECUTE ON PROCEDURE galera_lease.hold FROM galera_lease_operator",
      "GRANT EXECUTE ON PROCEDURE galera_lease.hold TO galera_lease_operator", "FAIL", "rights", "EXECUTE on hold", "init")],
    [(OPTIONS + "'evs.install_timeout=PT0.8S'", OPTIONS + "'evs.install_timeout=PT3S'", "FAIL", "times", "leaves no time to ask again",
      "evs.join_retrans_period"),
     ("SET GLOBAL wsrep_desync = ON", "SET GLOBAL wsrep_desync = OFF", "WARN", "setting", "wsrep_desync is ON", "wsrep_desync = OFF")],
]


def test_values_that_are_wrong_are_named(well):
    """Named with their remedies, on the node where they are, and no more once they are set back."""
    member = well.members[0]
    with member.node.connect() as admin, admin.cursor() as cursor:
        for group in WRONG:
            for wrong, *_ in group:
                cursor.execute(wrong)
            try:
                checked = Checked(member)
            finally:
                for _, right, *_ in group:
                    cursor.execute(right)
            assert checked.code == FAIL
            for wrong, _, level, topic, text, fix in group:
                assert checked.says(level, topic, text, fix=fix), (wrong, checked.text)
            # The other two nodes are as they were: nothing is said of them but that times differ.
            assert all(f["where"] not in member.endpoints[1:] or "differ from" in f["text"] for f in checked.bad()), checked.text
    checked = settled(member)
    assert checked.code == OK, checked.text


@pytest.mark.deep
def test_check_hook_that_lies(well):
    leader = well.leader()
    follower = next(m for m in well.members if m is not leader)
    for member, answer, text in ((follower, "exit 0", "the controller runs, and this member is follower"),
                                 (leader, "exit 3", "nothing runs, and this member leads"),
                                 (leader, "echo odd; exit 9", "odd"), (follower, "sleep 60", "no answer within check_budget")):
        member.hook["check"] = hook_script(member, answer + "\n")  # of the file that check reads; the sidecar has read its own
        member.write_config()
        by_sockets(member)
        checked = Checked(member, "--hooks")
        assert checked.code == FAIL and checked.says("FAIL", "hooks", text), checked.text
    assert Checked(follower).code != FAIL  # unasked it is not run


@pytest.mark.deep
def test_sidecar_that_hangs_or_is_gone(well):
    member = next(m for m in well.members if m is not well.leader())
    member.signal(19)  # SIGSTOP
    wait_for("the doctor to notice", lambda: Checked(member).says("FAIL", "sidecar", "it hangs, is stopped"), 10)
    member.signal(18)
    member.terminate()
    checked = Checked(member)
    assert checked.code == WARN and checked.says("WARN", "sidecar", "no sidecar of lease")


@pytest.mark.deep
def test_another_with_this_name(well):
    one, other = well.members[:2]
    one.options["member"] = other.name
    by_sockets(one)
    checked = Checked(one)
    assert checked.says("FAIL", "members", "bears this member's name", where=other.name)


def test_database_away(group):
    member = group.add(1)
    member.endpoints = [f"unix:{member.dir}/none", "127.0.0.1:1"]
    member.write_config()
    begun = time.monotonic()
    checked = Checked(member)
    assert time.monotonic() - begun < 5
    assert checked.code == FAIL
    for endpoint in member.endpoints:
        assert checked.says("FAIL", "endpoint", "(error 20", where=endpoint, fix="mariadbd")
    assert checked.says("SKIP", "schema", "no endpoint is of use")


@pytest.mark.deep
def test_silent_endpoint_delays_no_other(well):
    """A server that is frozen answers nothing; the others are looked at all the same, within the limit."""
    member = well.members[0]
    assert settled(member).code == OK
    well.lab.nodes[2].signal(19)
    try:
        begun = time.monotonic()
        checked = Checked(member, "--timeout", "4s")
        assert time.monotonic() - begun < 6
    finally:
        well.lab.nodes[2].signal(18)
    assert checked.says("WARN", "endpoint", "no answer in time", where=str(well.lab.nodes[2].socket))
    assert checked.says("OK", "endpoint", "is Primary", where=member.endpoints[0])


def test_password_wrong_or_not_private(group):
    member = group.add(1)
    group.init()
    by_sockets(member)
    password = group.dir / "password"
    password.write_text("wrong\n")
    checked = Checked(member)
    assert checked.code == FAIL
    assert sum(f["topic"] == "endpoint" and "Access denied" in f["text"] and "(error 1045)" in f["text"] for f in checked.bad()) == 3
    password.write_text("secret\n")
    password.chmod(0o644)
    checked = Checked(member)
    assert checked.code == FAIL and checked.says("FAIL", "config", "is not private")
    password.chmod(0o600)


def test_without_a_quorum(well):
    member = well.members[0]
    assert settled(member).code == OK
    for node in well.lab.nodes:
        node.cut()
    try:
        wait_for("the loss of quorum", lambda: not any(n.synced() for n in well.lab.nodes), 30)
        begun = time.monotonic()
        checked = Checked(member)
        assert time.monotonic() - begun < 5
    finally:
        for node in well.lab.nodes:
            node.heal()
    assert checked.code == FAIL
    assert all(checked.says("FAIL", "quorum", "without a quorum nobody can lead", where=e, fix="bring the other nodes back")
               for e in member.endpoints)
    assert checked.says("OK", "times", "ttl 6s")  # what can be seen without a quorum is looked at


@pytest.mark.deep
def test_bootstrapped_twice(group, lab):
    """Two Primary components of one cluster: each lets somebody lead, and each says of itself that all is well."""
    member = group.add(1)
    group.init()
    by_sockets(member)
    assert Checked(member).says("OK", "cluster", "one cluster of 3 node(s)")
    half = lab.nodes[0]
    half.cut()
    wait_for("no quorum there", lambda: half.query("SHOW STATUS LIKE 'wsrep_cluster_status'")[0][1] == "non-Primary", 20)
    try:
        half.query("SET GLOBAL wsrep_provider_options = 'pc.bootstrap=YES'")
        wait_for("its own component", half.synced, 20)
        checked = Checked(member)
    finally:
        half.stop()  # not killed: as one that was the last of its component it would come up as Primary again
        half.heal()
        (half.dir / "data/grastate.dat").unlink()  # it takes over all data of the others
        half.start()
        lab.wait_whole()
        lab.wait_trusted()
    assert checked.code == FAIL, checked.text
    for other in member.endpoints[1:]:
        assert checked.says("FAIL", "cluster", f"{member.endpoints[0]} in another, of 1 ", where=other, fix="bootstrapped twice"), checked.text
    assert not checked.says("OK", "cluster", ""), checked.text


@pytest.fixture
def foreign(lab, tmp_path):
    """A cluster of another's own, of one node, without our schema."""
    server = Plain(lab, tmp_path / "foreign")
    server.start("--wsrep-on=ON", f"--wsrep-provider={PROVIDER}", "--wsrep-new-cluster", "--wsrep-cluster-address=gcomm://",
                 "--binlog-format=ROW", "--innodb-autoinc-lock-mode=2", "--wsrep-node-address=127.0.0.1",
                 "--wsrep-provider-options=gmcast.listen_addr=tcp://127.0.0.1:45671;ist.recv_addr=127.0.0.1:45681")
    yield server
    server.stop(9)


@pytest.mark.deep
def test_endpoint_of_another_cluster_and_without_a_schema(group, foreign):
    member = group.add(1)
    group.init()
    by_sockets(member)
    member.endpoints[1] = f"unix:{foreign.socket}"
    member.write_config()
    admin = pymysql.connect(unix_socket=str(foreign.socket), user="root", autocommit=True)
    wait_for("its quorum", lambda: query(admin, "SHOW STATUS LIKE 'wsrep_ready'")[0][1] == "ON", 20)
    query(admin, "CREATE USER sidecar@localhost IDENTIFIED BY 'secret'")
    checked = Checked(member)
    assert checked.code == FAIL
    assert checked.says("FAIL", "cluster", "another cluster", where=member.endpoints[1])
    assert checked.says("FAIL", "schema", "there is no schema galera_lease", where=member.endpoints[1], fix="galera-lease init")


def query(connection, sql):
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchall()


@pytest.mark.deep
def test_parts_of_the_schema_that_were_dropped(group, lab):
    """Each is named, with how it is made again; and so it is."""
    member = group.add(1)
    group.init()
    by_sockets(member)
    node = lab.nodes[0]

    def make_again():
        done = member.cli("init", "--print-sql")
        assert done.returncode == 0, done.stderr
        sql, line, _ = done.stdout.partition("-- the lease and the accounts\n")
        assert line
        subprocess.run(["mariadb", "--no-defaults", f"--socket={node.socket}", "--user=root"], input=sql, text=True, check=True)

    for drop, topic, text, where in (
            ("DROP TABLE galera_lease.event", "schema", "the table is not there", "event"),
            ("DROP USER galera_lease_owner@localhost", "lease", "the lease cannot be read: ", ""),
            ("DROP VIEW galera_lease.lease_and_epoch", "lease", "the lease cannot be read: ", ""),
            ("DROP PROCEDURE galera_lease.hold", "rights", "EXECUTE on hold", "")):
        assert not Checked(member).says("FAIL", topic, text), drop
        node.query(drop)
        try:
            checked = Checked(member)
            done = member.cli("init", "--socket", str(node.socket))
        finally:
            make_again()
        assert checked.code == FAIL and checked.says("FAIL", topic, text, where=where, fix="init --print-sql"), (drop, checked.text)
        assert done.returncode == 0, done.stderr  # it leaves a schema alone that is complete by its version
    node.query("DROP ROLE galera_lease_sidecar")
    try:
        done = member.cli("init", "--socket", str(node.socket))
    finally:
        make_again()
        group.init()
    assert done.returncode == 1 and "a part of the schema was dropped" in done.stderr and "--print-sql" in done.stderr, done.stderr
    assert not any(f["level"] == "FAIL" for f in Checked(member).findings)


@pytest.mark.deep
def test_unit_that_starts_at_boot(group):
    """Units are files: nobody is asked to read them anew, and this one would do nothing."""
    name = f"galera-lease-test-{os.getpid()}.service"
    folder = pathlib.Path("/etc/systemd/system")
    unit, wanted = folder / name, folder / "multi-user.target.wants" / name
    member = group.add(1, controller_unit=name)
    group.init()
    by_sockets(member)
    assert Checked(member).says("WARN", "unit", "there is no such unit", where=name)
    wanted.parent.mkdir(parents=True, exist_ok=True)
    try:
        unit.write_text("[Service]\nExecStart=/bin/true\n[Install]\nWantedBy=multi-user.target\n")
        assert Checked(member).says("OK", "unit", "is disabled", where=name)
        wanted.symlink_to(unit)
        checked = Checked(member)
        assert checked.code == FAIL and checked.says("FAIL", "unit", "it starts at boot", fix=f"systemctl disable {name}")
    finally:
        wanted.unlink(missing_ok=True)
        unit.unlink(missing_ok=True)


def test_configuration_with_mistakes(group):
    member = group.add(1, ttl="6")
    member.write_config()
    checked = Checked(member)
    assert checked.code == FAIL and checked.says("FAIL", "config", 'ttl: "6" is no duration')
    for args in (("--config", str(group.dir / "none")), ("--timeout", "1"), ("--nonsense",)):
        assert member.cli("check", *args).returncode == UNKNOWN


@pytest.mark.deep
def test_http_port_that_is_closed_to_this_host(group):
    """Two members serve others; of one the packets are dropped, as by a firewall."""
    for index in (1, 2):
        member = group.add(index, http_listen=f"0.0.0.0:{8000 + index}")
        by_sockets(member)
    group.init().start()
    group.wait_leader(10)
    one, other = group.members
    where = other.node.inside()

    def found():
        # The endpoints are sockets; the port is looked for from the first host's network.
        done = one.cli("check", "--json", timeout=15, inside=True)
        return [f for f in json.loads(done.stdout)["findings"] if f["topic"] == "http"]

    wait_for("both ports", lambda: len(other.node.query(
        "SELECT 1 FROM galera_lease.member WHERE lease = %s AND http_port > 0", (group.lease,))) == 2, 10)
    assert found() == []
    subprocess.run([*where, "nft", "add table inet doctor; add chain inet doctor in { type filter hook input priority 0; }; "
                    "add rule inet doctor in tcp dport 8002 drop"], check=True)
    try:
        (finding,) = found()
    finally:
        subprocess.run([*where, "nft", "delete table inet doctor"], check=True)
    assert finding["where"] == other.name and f"{other.node.address}:8002 cannot be reached" in finding["text"]
