"""Faults of the cluster as a whole, of clocks, disks and the schema; and of a sidecar in every role."""
import os
import signal
import subprocess
import time

import pytest
from freezer import freeze
from sidecars import BUILD, boottime_ns, wait_for
from test_guard import applier_held
from test_sidecar import hook_script

TTL = 6.0


def spans(group):
    return group.observer.spans()


def watched(group):
    wait_for("the watch on the controller", lambda: group.observer.watched, 5)


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


def test_schema_of_another_version_at_start(group, lab):
    group.add(1)
    group.init()
    lab.nodes[0].query("UPDATE galera_lease.schema_version SET version = 99")
    try:
        member = group.start().members[0]
        wait_for("the word about it", lambda: "schema" in member.status().get("last_error", ""), 10)
        time.sleep(1)
        assert member.role() in ("boot", "follower") and spans(group) == []
    finally:
        lab.nodes[0].query("UPDATE galera_lease.schema_version SET version = 1")
    group.wait_leader(10)


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
    "schema_dropped": (("DROP DATABASE galera_lease",), "", put_back),
    "epoch_lowered": (("UPDATE galera_lease.lease SET epoch = 0, counter = counter - 1 WHERE name = '{0}'",), "", None),
    "ttl_absurd": (("UPDATE galera_lease.lease SET ttl_ms = 86400000 WHERE name = '{0}'",), "", last_resort),
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
    wait_for("its word about it", lambda: says in follower.status().get("why_not_leader", "") + follower.status().get("last_error", ""), 10)
    time.sleep(1)
    assert follower.process.poll() is None and follower.role() == "follower"
    if cure:
        cure(group)
    group.wait_leader(4 * TTL)
    wait_for("the next controller", lambda: len(spans(group)) == 2, 10)
    assert spans(group)[-1][0] == "m2" and spans(group)[-1][2] > 1


# ---------------------------------------------------------------- clocks


def test_wall_clock_an_hour_off(group):
    """The wall clock of every sidecar and what it starts jumps, as after a wrong NTP server."""
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
        last = spans(group)[-1][4]
        assert abs(last - boottime_ns()) < 1e9  # and CLOCK_BOOTTIME is untouched
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


def test_state_disk_full_at_start(group, small_disk):
    group.init()
    small_disk.write_config()
    fill(small_disk.state)
    small_disk.process = None
    small_disk.write_config = lambda: None
    small_disk.start()
    time.sleep(TTL / 2)
    assert spans(group) == [] and small_disk.process.poll() is None  # no start that is not remembered
    mend(small_disk.state)
    assert group.wait_leader(15) is small_disk


def test_damaged_state_file_knows_nothing(three):
    leader = three.leader()
    watched(three)
    leader.kill()
    file = next(p for p in leader.state.iterdir() if p.name == "state")
    file.write_bytes(file.read_bytes()[:-3])
    leader.start()
    stopped(three, 3)
    wait_for("a follower", lambda: leader.role() == "follower", 10)
    assert "damaged" in leader.log_text() and "event=role lease=%s member=%s from=acquiring to=leader reason=resume" % (
        three.lease, leader.name) not in leader.log_text()
    three.wait_leader(15)
    wait_for("the next controller", lambda: len(spans(three)) == 2, 5)


# ---------------------------------------------------------------- a sidecar in every role

SLOW = {  # how to make a role last: which hook sleeps, and when
    "boot": ("demote", "[ \"$GALERA_LEASE_REASON\" = start ] && sleep 2"),
    "promoting": ("promote", "sleep 2"),
    "demoting": ("demote", "[ \"$GALERA_LEASE_REASON\" = start ] || sleep 1"),
    "fenced": ("fence", "sleep 0.5"),
}


def in_role(group, role):
    """A first member in @role, and a second one beside it; only the first may be slow."""
    first = group.add(1, priority=200, demote_budget="2500ms")
    group.add(2)
    if role in SLOW:
        hook, pause = SLOW[role]
        first.hook[hook] = hook_script(first, hook, f"{pause}\nexec {first.hook[hook]} \"$@\"\n")
    group.init()
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
    if role == "promoting":
        group.members[1].start()
    return first


ROLES = ("boot", "follower", "promoting", "leader", "demoting", "fenced")


@pytest.mark.parametrize("role", ROLES)
def test_terminated_in_every_role(group, role):
    member = in_role(group, role)
    assert member.terminate(15) == 0
    wait_for("the other to lead", lambda: group.leader() is group.members[1], 15)


@pytest.mark.parametrize("later", (False, True), ids=("at_once", "after_ttl"))
@pytest.mark.parametrize("role", ROLES)
def test_killed_in_every_role(group, role, later):
    member = in_role(group, role)
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
    """Nobody is left to fence in time: not promised. But whoever thaws first stops the old controller at once."""
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
    if first == "guardian":
        wait_for("its end", lambda: (leader.name, old[1], old[2]) in group.observer.ends, 3)
        assert (group.observer.ends[(leader.name, old[1], old[2])] - thawed) / 1e9 < 1.0
    time.sleep(1)
    leader.signal(signal.SIGCONT)
    os.kill(guardian, signal.SIGCONT)
    wait_for("its end", lambda: (leader.name, old[1], old[2]) in group.observer.ends, 3)
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
