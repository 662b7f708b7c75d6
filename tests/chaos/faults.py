"""How each fault is done to real processes, links and tables, and undone. Names are those of plan.py."""
import os
import signal
import subprocess
import time

import pymysql
from plan import HOOKS

MOODS = {"slow": "sleep 0.4", "hang": "sleep 600", "fail": "exit 1"}
NFT = {
    "deaf": ["in iifname eth0 drop"],
    "mute": ["out oifname eth0 drop"],
    "galera-deaf": ["in tcp dport 4567 drop", "in tcp sport 4567 drop"],
    "galera-mute": ["out tcp dport 4567 drop", "out tcp sport 4567 drop"],
    "sql-cut": ["in tcp dport 3306 drop", "in tcp sport 3306 drop"],
}
BRAKE = "INSERT INTO chaos.brake VALUES ()"


def run(*args):
    subprocess.run(args, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


class Act:
    """One fault on one host under way. begin() and end() say in a word what they hit; what is gone already is no error."""

    def __init__(self, world, fault, member):
        self.world = world
        self.fault = fault
        self.member = member
        self.node = member.node
        self.object, self.how = fault.kind.name.split(".")
        self._mood = member.dir / f"mood.{self.object}"  # read by the hook that world.py writes
        if self.object in HOOKS:
            self.object = "hook"
        self.pid = 0
        self.connection = None

    def begin(self):
        return getattr(self, f"begin_{self.object}")()

    def end(self):
        ends = getattr(self, f"end_{self.object}", None)
        return ends() if ends else None

    def _signal(self, pid):
        number = {"kill": signal.SIGKILL, "kill-again": signal.SIGKILL, "freeze": signal.SIGSTOP, "stop": signal.SIGTERM}[self.how]
        self.pid = pid
        if pid <= 0:
            return "there is none"
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            self.pid = 0
            return "it is gone"
        return f"pid {pid}"

    def _thaw(self):
        if self.how == "freeze" and self.pid > 0:
            try:
                os.kill(self.pid, signal.SIGCONT)
            except ProcessLookupError:
                return "it is gone"
        return None

    # ------------------------------------------------------------ processes

    def begin_sidecar(self):
        running = self.member.process and self.member.process.poll() is None
        return self._signal(self.member.process.pid if running else 0)

    def end_sidecar(self):
        if self.how == "freeze":
            return self._thaw()
        if self.pid > 0:
            self.member.process.wait(30)
            self.member.start()
        return None

    def begin_guardian(self):
        return self._signal(self.member.guardian())

    def end_guardian(self):
        if self.how == "kill-again":
            return self._signal(self.member.guardian())
        return self._thaw()

    def begin_controller(self):
        alive = [pid for name, pid, _ in list(self.world.observer.watched) if name == self.member.name]
        return self._signal(alive[-1] if alive else 0)

    def end_controller(self):
        return self._thaw()

    def begin_database(self):
        process = self.node.process
        alive = process is not None and process.poll() is None
        # nsenter has become the server: one process.
        return self._signal(process.pid if alive else 0)

    def end_database(self):
        if self.how == "freeze":
            return self._thaw()
        if self.pid > 0:
            try:
                self.node.process.wait(20)
            except subprocess.TimeoutExpired:  # a clean stop can hang without quorum
                self.node.process.kill()
                self.node.process.wait(20)
        return "started again when all is healed"

    # ------------------------------------------------------------ a host whose controller outlives its lease

    def begin_host(self):
        self.frozen = []
        running = self.member.process and self.member.process.poll() is None
        self.pid = self.member.process.pid if running else 0
        keepers = [self.member.guardian(), self.pid]  # in this order nobody has time to fence
        if self.how == "abandon":
            return self._signal_all(keepers, signal.SIGKILL)
        self.frozen = [pid for name, pid, _ in list(self.world.observer.watched) if name == self.member.name] + keepers
        return self._signal_all(self.frozen, signal.SIGSTOP)

    def end_host(self):
        """The controller wakes first: until the others do, it acts on what it knew."""
        for pid in self.frozen:
            self._signal_all([pid], signal.SIGCONT)
            time.sleep(0.5)
        if self.how == "abandon" and self.pid > 0:
            self.member.process.wait(10)
            self.member.start()

    @staticmethod
    def _signal_all(pids, number):
        for pid in pids:
            try:
                if pid > 0:
                    os.kill(pid, number)
            except ProcessLookupError:
                pass
        return f"pids {pids}"

    # ------------------------------------------------------------ the network

    def begin_net(self):
        if self.how == "cut":
            return self.node.cut()
        rules = [f"add chain inet chaos {way} {{ type filter hook {way}put priority 0; }}" for way in ("in", "out")]
        rules += [f"add rule inet chaos {rule}" for rule in NFT[self.how]]
        run(*self.node.inside(), "nft", "add table inet chaos; " + "; ".join(rules))
        return None

    def end_net(self):
        if self.how == "cut":
            return self.node.heal()
        run(*self.node.inside(), "nft", "delete table inet chaos")
        return None

    # ------------------------------------------------------------ the database's work

    def begin_applier(self):
        other = next(n for n in self.world.lab.nodes if n is not self.node)
        try:
            self.connection = self.node.connect()
            with self.connection.cursor() as cursor:
                cursor.execute("LOCK TABLES chaos.brake WRITE")
            with other.connect() as brake, brake.cursor() as cursor:
                cursor.execute(BRAKE)
        except (OSError, pymysql.MySQLError) as error:
            return f"not held: {error}"
        return None

    def end_applier(self):
        if self.connection:
            self.connection.close()

    def begin_ddl(self):
        """One after the other, for as long as it lasts: each stops every write of the cluster."""
        until, done = time.monotonic() + self.fault.lasts_s, 0
        try:
            with self.node.connect() as connection, connection.cursor() as cursor:
                while time.monotonic() < until:
                    cursor.execute("ALTER TABLE chaos.big FORCE, ALGORITHM = COPY")
                    done += 1
        except (OSError, pymysql.MySQLError) as error:
            return f"{done} done, then: {error}"
        return f"{done} done"

    # ------------------------------------------------------------ hooks

    def begin_hook(self):
        self._mood.write_text(MOODS[self.how] + "\n")

    def end_hook(self):
        self._mood.unlink(missing_ok=True)

    # ------------------------------------------------------------ operators

    def begin_ask(self):
        others = [m for m in self.world.group.members if m is not self.member]
        words = {"step-down": ("step-down", "--no-wait"), "switchover": ("switchover", "--to", others[0].name, "--no-wait"),
                 "hold": ("hold", "--for", "12s", "--reason", "chaos", "--no-wait"), "unhold": ("unhold", "--no-wait")}[self.how]
        try:
            done = self.member.cli(*words, inside=True, timeout=15)
        except subprocess.TimeoutExpired:
            return "no answer"
        return (done.stdout + done.stderr).strip().replace("\n", " | ")[:200]

    # ------------------------------------------------------------ the whole cluster

    def begin_cluster(self):
        for node in self.world.lab.nodes:
            if self.how == "split":
                node.cut()
            elif node.process and node.process.poll() is None:
                node.process.kill()

    def end_cluster(self):
        for node in self.world.lab.nodes:
            if self.how == "split":
                node.heal()
