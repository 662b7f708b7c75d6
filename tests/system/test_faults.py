"""Faults of the cluster as a whole, of clocks, disks and the schema; and of a sidecar in every role."""
import os
import re
import signal
import subprocess
import sys
import time

import pytest
from freezer import freeze
from sidecars import BUILD, boottime_ns, wait_for
from test_endpoints import kill_sessions, terminate_at_once
from test_guard import applier_held
from test_sidecar import hook_script

TTL = 6.0


def spans(group):
    return group.observer.spans()


def watched(group):
    wait_for("the watch on the controller", lambda: group.observer.watched, 5)


def signed(text):
    """A state file's text, with its sum."""
    total = 0xcbf29ce484222325
    for byte in text.encode():
        total = (total ^ byte) * 0x100000001b3 % 2 ** 64
    return f"{text}sum {total:016x}\n"


def stopped(group, timeout):
    wait_for("the controller's end", lambda: not group.observer.watched, timeout)


# ---------------------------------------------------------------- the cluster


def test_whole_cluster_without_quorum(three, lab):
    """Every node alone: all answer, none may commit. The leader stops in time; later somebody leads again by itself."""
    watched(three)
    for node in lab.nodes:
        node.cut()
    stopped(three, TTL + 1)
    assert three.leader() is None
    for node in lab.nodes:
        node.heal()
    three.wait_leader(60)
    wait_for("the next controller", lambda: len(spans(three)) == 2, 10)


def test_commit_outcome_unknown(three, lab):
    """Group traffic reaches the leader's node no more, what it sends still leaves: its writes end unknown. Settled by nonce."""
    leader = three.leader()
    watched(three)
    rules = ("add table inet deaf; add chain inet deaf in { type filter hook input priority 0; };"
             "add rule inet deaf in tcp dport 4567 drop; add rule inet deaf in tcp sport 4567 drop")
    nft = [*leader.node.inside(), "nft"]
    subprocess.run([*nft, rules], check=True)
    try:
        time.sleep(2 * TTL)
        assert three.leader() is leader  # through another node
        assert len(spans(three)) == 1
        own = f"endpoint=unix:{leader.node.socket}"
        assert re.search(f"{own} .*(answer=unknown|no answer in time)", leader.log_text())
    finally:
        subprocess.run([*nft, "delete table inet deaf"], check=True)


def test_applier_held_longer_than_the_budget(three, lab):
    """Flow control stops every write of the cluster, on every endpoint: a clean step-down, and back afterwards."""
    leader = three.leader()
    watched(three)
    other = next(n for n in lab.nodes if n is not leader.node)
    lab.nodes[0].query("CREATE DATABASE IF NOT EXISTS app")
    lab.nodes[0].query("CREATE TABLE IF NOT EXISTS app.brake (id INT PRIMARY KEY AUTO_INCREMENT)")
    with applier_held(lab, other.index):
        # A few dozen write sets fill the queue; from then on nobody commits.
        filler = subprocess.Popen(["mariadb", "--no-defaults", f"--socket={leader.node.socket}", "--force", "-e",
                                   "CREATE DATABASE IF NOT EXISTS app; CREATE TABLE IF NOT EXISTS app.fill (id INT PRIMARY KEY AUTO_INCREMENT);"
                                   + "INSERT INTO app.fill VALUES ();" * 400],
                                  stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        stopped(three, 2 * TTL)
        assert "reason=deadline" in leader.log_text()
    filler.wait(60)
    three.wait_leader(30)
    wait_for("the next controller", lambda: len(spans(three)) == 2, 10)


def long_ddl(node, seconds):
    """Starts one statement of DDL that keeps a core busy for about so long; every write of the cluster waits for it."""
    work = "SHA2(REPEAT('x', 8000000), 512)"
    with node.connect() as connection, connection.cursor() as cursor:
        begun = time.monotonic()
        cursor.execute(f"SELECT BENCHMARK(5, {work})")
        rows = int(seconds / ((time.monotonic() - begun) / 5)) + 1
        cursor.execute("CREATE DATABASE IF NOT EXISTS app")
        cursor.execute("CREATE OR REPLACE TABLE app.long_ddl (id INT PRIMARY KEY, x VARBINARY(1) NOT NULL)")
        cursor.execute("INSERT INTO app.long_ddl VALUES " + ", ".join(f"({i}, 'x')" for i in range(rows)))
    return subprocess.Popen(["mariadb", "--no-defaults", f"--socket={node.socket}", "-e",
                             f"ALTER TABLE app.long_ddl ADD COLUMN y CHAR(128) AS ({work.replace(chr(39) + 'x' + chr(39), 'x')}) STORED"])


def test_ddl_longer_than_the_budget(three, lab):
    """The controller is stopped in time, nothing overlaps, and somebody leads again by itself."""
    leader = three.leader()
    watched(three)
    ddl = long_ddl(next(n for n in lab.nodes if n is not leader.node), 1.5 * TTL)
    stopped(three, 2 * TTL)
    assert ddl.poll() is None  # it was this that stopped the writes
    assert "reason=deadline" in leader.log_text()
    assert ddl.wait(120) == 0
    three.wait_leader(30)
    wait_for("the next controller", lambda: len(spans(three)) == 2, 10)


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


def test_database_away_at_start(group, lab):
    """No quorum anywhere: it waits, says so, ends at once when told to; and leads when there is one."""
    for index in (1, 2):
        group.add(index)
    group.init()
    for node in lab.nodes:
        node.cut()
    for node in lab.nodes:
        wait_for("no quorum there", lambda n=node: n.query("SHOW STATUS LIKE 'wsrep_cluster_status'")[0][1] == "non-Primary", 20)
    group.start()
    first, second = group.members
    for m in group.members:
        wait_for("its word about it", lambda m=m: "no quorum" in m.status().get("why_not_leader", "") or m.status().get("last_error"), 15)
        assert m.role() in ("boot", "follower")
    terminate_at_once(second, 4)
    for node in lab.nodes:
        node.heal()
    assert group.wait_leader(60) is first
    wait_for("its controller", lambda: len(spans(group)) == 1, 10)


# ---------------------------------------------------------------- clocks


def clocks_with(environment):
    """(CLOCK_REALTIME, CLOCK_BOOTTIME) in seconds, as a program sees them that runs in that environment."""
    probe = "import time; print(time.time(), time.clock_gettime(time.CLOCK_BOOTTIME))"
    done = subprocess.run([sys.executable, "-c", probe], env=os.environ | environment, capture_output=True, text=True, check=True)
    return map(float, done.stdout.split())


def test_wall_clock_an_hour_off(group):
    """The wall clock of every sidecar and its guardian's parent jumps, as after a wrong NTP server; the clocks of leases do not."""
    offsets = []
    for index in (1, 2, 3):
        m = group.add(index)
        offset = m.dir / "offset"
        offset.write_text("0\n")
        offsets.append(offset)
        m.environment = {"LD_PRELOAD": str(BUILD / "tests/lib/libwallclock.so"), "WALLCLOCK_OFFSET": str(offset)}
    group.init().start()
    leader = group.wait_leader(10)
    for change in ("3600", "-3600", "0"):
        for offset in offsets:
            offset.write_text(change + "\n")
        time.sleep(TTL)
        written = leader.status()["written"]
        assert abs(written - time.time() - int(change)) < 5  # the fake is real
        wall, boot = clocks_with(leader.environment)
        assert abs(wall - time.time() - int(change)) < 5 and abs(boot - boottime_ns() / 1e9) < 5
        assert boottime_ns() - group.observer.last_tick(*spans(group)[-1][:3]) < 1e9  # its controller acts
        assert group.leader() is leader and len(spans(group)) == 1, leader.log_text()
    leader.kill()
    group.wait_leader(15, other_than=leader)


# ---------------------------------------------------------------- the disk


@pytest.fixture
def small_disk(group):
    """The state folder of the first member on a file system of its own."""
    m = group.add(1)
    m.state.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(m.state)], check=True)
    yield m
    group.end()
    while os.path.ismount(m.state):
        subprocess.run(["umount", "-l", str(m.state)], check=True)


def fill(folder):
    subprocess.run(f"cat /dev/zero > {folder}/fill 2>/dev/null", shell=True, check=False)


def spend(folder):
    """Read only, as a kernel makes a file system whose disk fails."""
    subprocess.run(["mount", "--bind", str(folder), str(folder)], check=True)
    subprocess.run(["mount", "-o", "remount,bind,ro", str(folder)], check=True)


def mend(folder):
    subprocess.run(["mount", "-o", "remount,bind,rw", str(folder)], check=True)
    (folder / "fill").unlink(missing_ok=True)


@pytest.mark.parametrize("spoil", [fill, pytest.param(spend, marks=pytest.mark.deep)])
def test_state_disk_that_takes_nothing_while_leading(group, small_disk, spoil):
    """Renewals go on; the lease is not given back before the stored deadline can be erased."""
    group.add(2, priority=50)
    group.init()
    small_disk.start()
    group.wait_leader(10)
    group.members[1].start()
    watched(group)
    spoil(small_disk.state)
    time.sleep(TTL)
    assert group.leader() is small_disk and len(spans(group)) == 1
    known = len(small_disk.log_text())
    small_disk.cli("step-down", "--no-wait")
    wait_for("the stop", lambda: "event=stopped" in small_disk.log_text()[known:], 10)
    time.sleep(TTL / 2)  # the lease does not run out by itself meanwhile
    assert len(spans(group)) == 1 and group.leader() is None
    assert "it can be written" in small_disk.log_text()
    mend(small_disk.state)
    assert group.wait_leader(10) is group.members[1]


@pytest.mark.deep
def test_unhold_with_a_full_disk_keeps_no_other_request_waiting(group, small_disk):
    """The disk must hear of the shorter lease first, and cannot."""
    group.init()
    small_disk.start()
    group.wait_leader(10)
    watched(group)
    assert small_disk.cli("hold", "--for", "100s", "--reason", "new disks").returncode == 0
    fill(small_disk.state)
    refused = small_disk.cli("unhold", "--timeout", "30s")
    assert refused.returncode == 1 and "refused: not confirmed in time" in refused.stdout, (refused.stdout, refused.stderr)
    known = len(small_disk.log_text())
    small_disk.cli("step-down", "--no-wait")
    wait_for("the stop", lambda: "event=stopped" in small_disk.log_text()[known:], 10)
    mend(small_disk.state)


def test_state_disk_read_only_at_start(group, small_disk):
    """Without the lock it may be the second one here: it ends, and says why."""
    group.init()
    small_disk.write_config()
    (small_disk.state / "lock").touch()
    spend(small_disk.state)
    small_disk.write_config = lambda: None
    small_disk.start()
    assert small_disk.process.wait(10) == 1
    (line,) = re.findall("level=error .*", small_disk.log_text())
    assert f"path={small_disk.state} " in line and 'error="Read-only file system"' in line and "not started" in line
    mend(small_disk.state)
    small_disk.start()
    assert group.wait_leader(15) is small_disk


def test_state_disk_full_at_start(group, small_disk):
    group.init()
    small_disk.write_config()
    fill(small_disk.state)
    small_disk.process = None
    small_disk.write_config = lambda: None
    small_disk.start()
    time.sleep(TTL / 2)
    assert spans(group) == [] and small_disk.process.poll() is None  # no start that is not remembered
    assert "it can be written" in small_disk.log_text()
    mend(small_disk.state)
    assert group.wait_leader(15) is small_disk


def truncated(file):
    file.write_bytes(file.read_bytes()[:-3])


def of_another_boot(file):
    """As after a reboot: its deadline was on a clock that has begun anew."""
    text = re.sub("boot [0-9a-f-]+", "boot 01234567-89ab-cdef-0123-456789abcdef", file.read_text())
    file.write_text(signed(text[:text.index("sum ")]))


@pytest.mark.parametrize("spoil, says", [(truncated, "damaged"), (of_another_boot, "found=other-boot")], ids=["truncated", "another_boot"])
def test_state_file_that_does_not_count(three, spoil, says):
    """Nothing is resumed on its word."""
    leader = three.leader()
    watched(three)
    leader.kill()
    spoil(leader.state / "state")
    leader.start()
    stopped(three, 3)
    wait_for("a follower", lambda: leader.role() == "follower", 10)
    assert says in leader.log_text() and "reason=resume" not in leader.log_text()
    three.wait_leader(15)
    wait_for("the next controller", lambda: len(spans(three)) == 2, 5)


# ---------------------------------------------------------------- a sidecar in every role

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


@pytest.mark.parametrize("later", (False, True), ids=("at_once", "after_ttl"))
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


# ---------------------------------------------------------------- frozen together


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
    wait_for("its end", lambda: (leader.name, old[1], old[2]) in group.observer.ends, 8)
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
