"""Faults of the cluster as a whole, and of clocks."""
import os
import re
import subprocess
import sys
import time

import pytest
from observer import spans, stopped, watched
from sidecars import BUILD, boottime_ns, wait_for
from test_endpoints import terminate_at_once
from test_guard import applier_held

TTL = 6.0


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


@pytest.mark.deep
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
    assert group.wait_leader(30) is first
    wait_for("its controller", lambda: len(spans(group)) == 1, 10)


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
