"""
Who is compared: three of each, one on every host of the lab, with the same controller and watched by the same observer. Each offers

    names                   of its members
    start()                 all three, until one leads
    host(name)              the lab's node that it runs on
    kill(name)              kill -9, and it stays dead
    revive(name)            after a fault: what is left of the old one is ended, and it competes again
    hand_over(name)         what an operator would do to move the controller away, politely
    processes(name)         pids of what a host has to run for one member, without the controller and the store
    store(node)             pid of the store on that host
    leads_store(name)       whether its host carries the store's own leader
"""
import json
import os
import signal
import subprocess
import time

from observer import Observer
from sidecars import TICKER, Group, wait_for

TTL_S = 10


class GaleraLease:
    who = "galera-lease"

    def __init__(self, lab, folder):
        self.lab = lab
        self.group = Group(lab, folder, f"bench.{lab.tag}")
        for index in (1, 2, 3):
            self.group.add(index, ttl=f"{TTL_S}s").options.pop("check_interval")  # as it comes
        for member in self.group.members:
            member.trace = None
        self.observer = Observer(self.group)
        self.members = {m.name: m for m in self.group.members}
        self.names = list(self.members)
        self.begun_anew = 0

    def start(self):
        # A lease seen free on a server that has just started is watched for a whole ttl: that is not what is measured.
        wait_for("servers that are not fresh", lambda: all(
            int(n.query("SHOW STATUS LIKE 'Uptime'")[0][1]) > 1.5 * TTL_S for n in self.lab.nodes), 3 * TTL_S)
        self.group.init().start()
        self.settled()

    def settled(self):
        """One leads, the others follow, and nobody backs off any more."""
        wait_for("a leader and two followers", lambda: sorted(str(m.role()) for m in self.group.members)
                 == ["follower", "follower", "leader"], 8 * TTL_S)

    def host(self, name):
        return self.members[name].node

    def kill(self, name):
        self.members[name].kill()

    def revive(self, name):
        if self.members[name].process.poll() is not None:
            self.members[name].start()
        self.settled()

    def hand_over(self, name):
        done = self.members[name].cli("step-down", "--reason", "bench")
        assert done.returncode == 0, done.stderr

    def processes(self, name):
        return [self.members[name].process.pid, self.members[name].guardian()]

    def store(self, node):
        return node.pid()

    def leads_store(self, _):
        return False  # Galera has none

    def end(self):
        self.group.end()
        self.observer.stop()
        self.group.slay()


class Waiter:
    """`etcdctl lock NAME -- ticker` on one host. It ends with its controller, so each turn is a new one."""

    def __init__(self, etcd, node):
        self.etcd = etcd
        self.node = node
        self.name = f"w{node.index}"
        self.ticks = etcd.dir / f"{self.name}.ticks"
        self.process = None

    def start(self):
        nodes = [self.node] + [n for n in self.etcd.lab.nodes if n is not self.node]
        endpoints = ",".join(f"http://{n.address}:2379" for n in nodes)
        # The revision of its key is what etcd offers as a token.
        controller = f"GALERA_LEASE_EPOCH=$ETCD_LOCK_REV exec {TICKER} {self.ticks}"
        self.process = subprocess.Popen(
            [*self.node.inside(), "etcdctl", f"--endpoints={endpoints}", "lock", f"--ttl={TTL_S}", "bench", "--", "sh", "-c", controller],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=open(self.etcd.dir / f"{self.name}.log", "ab"),
            start_new_session=True)


class EtcdLock:
    """Three nodes of etcd with its defaults, beside the database's on the same hosts and disk."""
    who = "etcdctl lock"

    def __init__(self, lab, folder):
        self.lab = lab
        self.dir = folder
        self.servers = {}
        self.begun_anew = 0
        self.members = [Waiter(self, node) for node in lab.nodes]
        self.names = [m.name for m in self.members]
        self.observer = Observer(self)

    def start(self):
        cluster = ",".join(f"{n.name}=http://{n.address}:2380" for n in self.lab.nodes)
        for n in self.lab.nodes:
            self.servers[n.name] = subprocess.Popen(
                [*n.inside(), "etcd", "--name", n.name, "--data-dir", str(self.lab.dir / f"etcd-{n.name}"),
                 "--listen-peer-urls", f"http://{n.address}:2380", "--initial-advertise-peer-urls", f"http://{n.address}:2380",
                 "--listen-client-urls", f"http://{n.address}:2379", "--advertise-client-urls", f"http://{n.address}:2379",
                 "--initial-cluster", cluster], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                stderr=open(self.dir / f"{n.name}.log", "ab"), start_new_session=True)
        for n in self.lab.nodes:
            wait_for(f"etcd on {n.name}", lambda n=n: self.ask(n, "endpoint", "health").returncode == 0, 60)
        self.restart()

    def ask(self, node, *words):
        return subprocess.run([*node.inside(), "etcdctl", f"--endpoints=http://{node.address}:2379", *words], capture_output=True, text=True)

    def settled(self):
        """
        Three wait or hold, and one controller acts. A holder that no fault met may have lost its lease all the same (its renewals went to
        the host that was cut), and a waiter may have given up: then all begin anew, and that is counted.
        """
        end = time.monotonic() + 3 * TTL_S
        while not self._in_order():
            if time.monotonic() > end:
                self.begun_anew += 1
                self.restart()
                return
            time.sleep(0.5)

    def _in_order(self):
        keys = self.ask(self.lab.nodes[0], "get", "--prefix", "bench/", "--keys-only").stdout.split()
        return len(keys) == 3 and len(self.observer.watched) == 1 and all(m.process.poll() is None for m in self.members)

    def restart(self):
        for member in self.members:
            self._finish(member)
        for member in self.members:
            member.start()
        wait_for("one holder, two waiters", self._in_order, 6 * TTL_S)

    def _finish(self, member):
        for pid in self._controllers(member.name):
            os.kill(pid, signal.SIGKILL)
        if member.process and member.process.poll() is None:
            member.process.kill()
        if member.process:
            member.process.wait()

    def _member(self, name):
        return next(m for m in self.members if m.name == name)

    def _controllers(self, name):
        return [pid for member, pid, _ in list(self.observer.watched) if member == name]

    def host(self, name):
        return self._member(name).node

    def kill(self, name):
        self._member(name).process.kill()
        self._member(name).process.wait()

    def revive(self, name):
        self._finish(self._member(name))
        self._member(name).start()
        self.settled()

    def hand_over(self, name):
        for pid in self._controllers(name):
            os.kill(pid, signal.SIGTERM)

    def processes(self, name):
        return [self._member(name).process.pid]

    def store(self, node):
        return self.servers[node.name].pid

    def leads_store(self, name):
        node = self.host(name)
        status = json.loads(self.ask(node, "endpoint", "status", "-w", "json").stdout)[0]["Status"]
        return status["leader"] == status["header"]["member_id"]

    def end(self):
        for member in self.members:
            self._finish(member)
        for server in self.servers.values():
            server.kill()
            server.wait()
        self.observer.stop()
