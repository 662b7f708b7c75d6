"""The cluster, the sidecars and their controllers of one run; and how all of it is made well again."""
import time

import pymysql
from lab import Lab
from observer import Observer
from order import Order
from sidecars import BUILD, Group, wait_for

TTL_S = 6.0
PROMOTE_S = 6.0
WHOLE_S = 180  # state transfers included
SETUP = """
CREATE DATABASE chaos
CREATE TABLE chaos.job (lease VARCHAR(63) NOT NULL, epoch BIGINT NOT NULL, pid INT NOT NULL, writer INT NOT NULL, seq BIGINT NOT NULL, PRIMARY KEY (lease, epoch, pid, writer, seq)) ENGINE=InnoDB
CREATE TABLE chaos.brake (id BIGINT AUTO_INCREMENT PRIMARY KEY) ENGINE=InnoDB
CREATE TABLE chaos.big (id INT PRIMARY KEY, filler CHAR(250) NOT NULL DEFAULT 'x') ENGINE=InnoDB
INSERT INTO chaos.big (id) SELECT seq FROM chaos.seq_1_to_60000
CREATE USER jobber@localhost
GRANT INSERT ON chaos.* TO jobber@localhost
"""
HOOK = """#!/bin/sh
cd {dir} || exit 1
[ "$GALERA_LEASE_HOOK" != promote ] || echo "$GALERA_LEASE_EPOCH" >>promotes
[ ! -r mood.$GALERA_LEASE_HOOK ] || . ./mood.$GALERA_LEASE_HOOK
exec {hook}
"""


class World:
    def __init__(self, directory, lab, lease, options="", **sidecar_options):
        self.dir = directory
        self.lab = lab
        directory.mkdir(parents=True)
        directory.chmod(0o755)
        self.group = Group(lab, directory, lease)
        for index in (1, 2, 3):
            self._equip(self.group.add(index, log_level="debug", restarts=2, promote_budget=f"{PROMOTE_S:.0f}s", **sidecar_options), options)
        self.group.init()
        lab.nodes[0].query("GRANT EXECUTE ON PROCEDURE galera_lease.guard TO jobber@localhost")
        self.order = Order(lease)
        self.observer = Observer(self.group)

    def _equip(self, member, options):
        hook = member.dir / "hook"
        hook.write_text(HOOK.format(dir=member.dir, hook=member.hook["check"]))
        hook.chmod(0o755)
        member.hook = dict.fromkeys(member.hook, str(hook))
        member.command = f"{BUILD}/tests/lib/jobber {member.ticks} {member.dir}/jobs {member.node.socket} {self.group.lease} {options}".strip()

    def end(self):
        self.group.end()
        self.observer.stop()

    # ------------------------------------------------------------ making well

    def heal(self):
        """Every process runs, every link is up, the cluster is whole."""
        self._heal_nodes()
        for m in self.group.members:
            if m.process.poll() is not None:
                m.start()

    def _heal_nodes(self):
        nodes = self.lab.nodes
        for node in nodes:
            if not _alive(node):
                self.order.harvest(node, running=False)  # before a state transfer takes it away
        living = [n for n in nodes if _alive(n)]
        if not living:
            self.lab.start_whole()
        else:
            self._wait_primary(living)
            for node in nodes:
                if node not in living:
                    node.start()
                    self._wait_synced(node)
        self._wait_whole()

    def _wait_primary(self, living):
        """Whoever is left of a cluster that lost its majority has all that was acknowledged: a person would bootstrap it."""
        waited = 0
        while not any(n.synced() for n in living):
            time.sleep(0.5)
            waited += 0.5
            if waited >= (10 if len(living) < len(self.lab.nodes) else 40):
                best = max(living, key=_committed)
                best.query("SET GLOBAL wsrep_provider_options = 'pc.bootstrap=1'")
                wait_for("a Primary component", best.synced, 60)

    def _wait_whole(self):
        """A node that nobody heard for a while says "synced" still when its link is back, and goes non-Primary a moment later."""
        end = time.monotonic() + WHOLE_S
        while not self.lab.whole():
            if time.monotonic() > end:
                raise TimeoutError(f"the cluster is not whole within {WHOLE_S} s: {[n.cluster_size() for n in self.lab.nodes]}")
            for node in self.lab.nodes:
                self._wait_synced(node)
            time.sleep(0.1)

    def _wait_synced(self, node):
        """A joiner whose donor was just frozen gives up: once more."""
        for attempt in (1, 2, 3):
            try:
                wait_for(f"{node.name} Primary and Synced", lambda: not _alive(node) or node.synced(), 90)
            except TimeoutError:
                if attempt == 3:
                    raise
                node.process.kill()
                node.process.wait()
            if _alive(node):
                return
            node.start()
        raise TimeoutError(f"{node.name} does not come back: see {node.dir}/error.log")

    # ------------------------------------------------------------ looking

    def causal(self, sql, args):
        return self.lab.nodes[0].causal(sql, args)

    def leads(self):
        """The member that leads with a controller that acts now; None: nobody."""
        m = self.group.leader()
        if not m:
            return None
        now = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
        epoch = m.status().get("epoch")
        acting = [s for s in self.observer.spans() if s[0] == m.name and s[2] == epoch]
        return m if any(now - self.observer.last_tick(*s[:3]) < 300e6 for s in acting) else None


def _alive(node):
    return node.process is not None and node.process.poll() is None


def _committed(node):
    try:
        return int(node.query("SHOW STATUS LIKE 'wsrep_last_committed'")[0][1])
    except pymysql.MySQLError:
        return -1


def new_lab():
    lab = Lab(binlog=True)
    try:
        lab.up()
        for sql in SETUP.strip().splitlines():
            lab.nodes[0].query(sql)
    except BaseException:
        lab.down()
        raise
    return lab
