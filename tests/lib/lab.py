"""A real three-node Galera cluster, each node in a network namespace of its own.

Nodes n1..n3 have the addresses 10.77.X.1..3 on a bridge in the root namespace (X from the process id). Data directories are
copies of three that are made once for each build. Unix sockets reach into namespaces, so SQL needs no entering. The host's
own MariaDB is never touched: own folders, own ports, own namespaces; cleaned up also after a crash of the tests.
"""
import contextlib
import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile
import time
import zlib

import pymysql
from certificates import Authority
from freezer import freeze

BUILD = pathlib.Path(os.environ.get("GALERA_LEASE_BUILD", pathlib.Path(__file__).resolve().parents[2] / "build"))
TRUSTED_S = 9  # the ttl of most tests, and some: a server counts 0.9 s for a second, and two are taken off
STARTING = 10  # nice value of a node until it is synced
TUNED = ("evs.suspect_timeout=PT1S;evs.keepalive_period=PT0.25S;evs.inactive_check_period=PT0.25S;"
         "evs.inactive_timeout=PT3S;evs.install_timeout=PT3S;evs.join_retrans_period=PT0.3S")


def sh(*args, check=True):
    done = subprocess.run(args, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if check and done.returncode != 0:
        raise RuntimeError(f"{' '.join(map(str, args))}: exit {done.returncode}: {done.stdout[-2000:]}")
    return done.stdout


class Node:
    def __init__(self, lab, index):
        self.lab = lab
        self.index = index
        self.name = f"n{index}"
        self.ns = f"gl{lab.tag}n{index}"
        self.address = f"10.77.{lab.net}.{index}"
        self.dir = lab.dir / self.name
        self.socket = self.dir / "mysqld.sock"
        self.binlog = self.dir / "binlog"
        self.process = None

    def _server(self, binlog=True):
        """What is the same whatever it is started for."""
        # A server that starts removes the temporary tables it finds in its tmpdir: in /tmp they would be another's that lives.
        args = [*self.inside(), "mariadbd", "--no-defaults", "--user=mysql", f"--datadir={self.dir}/data", f"--tmpdir={self.dir}",
                "--binlog-format=ROW",
                "--default-storage-engine=InnoDB", "--innodb-autoinc-lock-mode=2", "--innodb-buffer-pool-size=64M",
                "--innodb-log-file-size=16M", "--innodb-flush-log-at-trx-commit=1", "--wsrep-on=ON",
                "--wsrep-provider=/usr/lib/galera/libgalera_smm.so"]
        if self.lab.binlog and binlog:
            args += [f"--log-bin={self.binlog}/b", "--log-slave-updates", f"--server-id={self.index}"]
        return args

    def start(self, bootstrap=False, tls=True, position=None, binlog=True):
        options = f"gmcast.listen_addr=tcp://{self.address}:4567;ist.recv_addr={self.address}:4568;{TUNED}"
        args = [*self._server(binlog), f"--socket={self.socket}", f"--pid-file={self.dir}/pid", f"--log-error={self.dir}/error.log",
                f"--bind-address={self.address}", "--port=3306", "--skip-name-resolve", "--performance-schema=off",
                "--wsrep-sst-method=rsync",
                f"--wsrep-node-name={self.name}", f"--wsrep-node-address={self.address}",
                f"--wsrep-sst-receive-address={self.address}:4444", f"--wsrep-provider-options={options}",
                "--wsrep-cluster-name=lab", "--wsrep-cluster-address=gcomm://" + ("" if bootstrap else ",".join(
                    n.address for n in self.lab.nodes))]
        if tls:  # offered, not demanded
            args += [f"--ssl-ca={self.lab.authority.certificate}", f"--ssl-cert={self.dir}/tls.pem", f"--ssl-key={self.dir}/tls.key"]
        if bootstrap:
            args.append("--wsrep-new-cluster")
        if position:
            args.append(f"--wsrep-start-position={position}")
        self.process = subprocess.Popen(args, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL, start_new_session=True, preexec_fn=lambda: os.nice(STARTING))

    def come_up(self):
        """From now on it gets as much of the machine as anybody. A node that starts, and is sent all its data, would keep everybody
        else from what they are measured by."""
        for task in pathlib.Path(f"/proc/{self.pid()}/task").iterdir():
            with contextlib.suppress(ProcessLookupError):
                os.setpriority(os.PRIO_PROCESS, int(task.name), 0)

    def certify(self, authority=None, **wanted):
        """A new certificate; a server that runs takes it at once."""
        (authority or self.lab.authority).issue(self.dir / "tls.pem", self.dir / "tls.key", self.name,
                                                **{"address": self.address} | wanted)
        sh("chown", "mysql:mysql", f"{self.dir}/tls.pem", f"{self.dir}/tls.key")
        if self.process:
            self.query("FLUSH LOCAL SSL")

    def inside(self):
        """What to put before a command that is to run on this host; unlike `ip netns exec` it needs no mount of its own."""
        return ["nsenter", f"--net=/run/netns/{self.ns}"]

    def pid(self):
        return int((self.dir / "pid").read_text())

    def connect(self, **options):
        return pymysql.connect(unix_socket=str(self.socket), user="root", autocommit=True, connect_timeout=5,
                               read_timeout=20, **options)

    def query(self, sql, args=None):
        with self.connect() as connection, connection.cursor() as cursor:
            cursor.execute(sql, args)
            return cursor.fetchall()

    def insist(self, sql, args=None, patience_s=60, **options):
        """A query that is asked again while the node is in a change of its view, or has no quorum because of one."""
        end = time.monotonic() + patience_s
        while True:
            try:
                with self.connect(**options) as connection, connection.cursor() as cursor:
                    cursor.execute(sql, args)
                    return cursor.fetchall()
            except pymysql.err.OperationalError:
                if time.monotonic() > end:
                    raise
            time.sleep(0.2)

    def causal(self, sql, args=None):
        """After everything that was committed on any node is applied here."""
        return self.insist(sql, args, init_command="SET SESSION wsrep_sync_wait = 1")

    def synced(self):
        try:
            rows = dict(self.query("SHOW STATUS WHERE Variable_name IN "
                                   "('wsrep_cluster_status','wsrep_local_state_comment','wsrep_cluster_size')"))
        except pymysql.MySQLError:
            return False
        return rows.get("wsrep_cluster_status") == "Primary" and rows.get("wsrep_local_state_comment") == "Synced"

    def cluster_size(self):
        try:
            return int(dict(self.query("SHOW STATUS LIKE 'wsrep_cluster_size'"))["wsrep_cluster_size"])
        except pymysql.MySQLError:
            return 0

    def wait_synced(self, timeout=60):
        end = time.monotonic() + timeout
        while not self.synced():
            if time.monotonic() > end:
                raise TimeoutError(f"{self.name} not synced: " + (self.dir / "error.log").read_text()[-2000:])
            time.sleep(0.1)
        self.come_up()

    def age_s(self):
        """As the sidecars judge it: by the loops of a timer."""
        return sum(int(v) for _, v in self.query("SHOW GLOBAL STATUS LIKE 'Innodb_master_thread_%_loops'"))

    def position(self):
        """How far a stopped node has come: (seqno, "uuid:seqno"). After a crash only its InnoDB knows, and says so when asked to recover."""
        state = (self.dir / "data" / "grastate.dat").read_text()
        uuid, seqno = (re.search(rf"^{word}:\s*(\S+)", state, re.M).group(1) for word in ("uuid", "seqno"))
        if int(seqno) < 0:
            said = sh(*self._server(), "--wsrep-recover", "--wsrep-cluster-address=gcomm://", "--skip-networking", f"--socket={self.dir}/recover.sock", check=False)
            uuid, seqno = re.search(r"Recovered position:?\s*(\S+):(-?\d+)", said).groups()
        return int(seqno), f"{uuid}:{seqno}"

    def last_view(self):
        """Of a stopped node: the Primary component that it was in, as Galera keeps it for its next start; "" if it had left."""
        state = self.dir / "data/gvwstate.dat"
        return state.read_text().partition("#vwbeg")[2] if state.exists() else ""

    def signal(self, number):
        if number == signal.SIGSTOP:
            freeze(self.pid())
        else:
            os.kill(self.pid(), number)

    def kill(self):
        self.signal(signal.SIGKILL)
        self.process.wait(20)
        self.process = None

    def stop(self):
        self.signal(signal.SIGTERM)
        self.process.wait(60)
        self.process = None

    def cut(self):
        sh(*self.inside(), "ip", "link", "set", "eth0", "down")

    def heal(self):
        sh(*self.inside(), "ip", "link", "set", "eth0", "up")


class Lab:
    def __init__(self, binlog=False):
        """With binlog every node keeps one: the cluster's own order of commits, to be read afterwards."""
        clean_stale()
        self.binlog = binlog
        self.tag = f"{os.getpid()}"
        self.net = os.getpid() % 250 + 1
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="gl-lab-"))
        self.dir.chmod(0o755)
        self.bridge = f"glb{self.tag}"
        self.nodes = [Node(self, i) for i in (1, 2, 3)]

    def up(self):
        sh("ip", "link", "add", self.bridge, "type", "bridge")
        sh("ip", "link", "set", self.bridge, "up")
        self.authority = Authority(self.dir / "tls")
        for node in self.nodes:
            self._plug(node)
            node.dir.mkdir()
            node.binlog.mkdir()
            node.certify()
        version = re.search(r"Ver (\S+)", sh("mariadbd", "--no-defaults", "--version")).group(1)
        kept = self.kept = BUILD / f"lab-{version}-{zlib.crc32(pathlib.Path(__file__).read_bytes()):08x}"  # made by this file as it is
        if not kept.exists():
            self._make(kept)
        for node in self.nodes:
            shutil.copytree(kept / node.name, node.dir / "data")
            sh("chown", "-R", "mysql:mysql", str(node.dir))
            node.start()
        self.wait_whole()
        self.wait_trusted()
        return self

    def _make(self, kept):
        """The data of three nodes that lost their power at once, kept beside what is built. Started together from copies, they know whom
        they had been a Primary component with and that nobody is behind (pc.recovery): nothing is sent, in a quarter of the time. And
        that of a server which was never in a cluster."""
        first = self.nodes[0]
        for node in self.nodes[1:]:
            (node.dir / "data").mkdir()
        sh("chown", "-R", "mysql:mysql", *(str(node.dir) for node in self.nodes))
        sh("env", f"TMPDIR={first.dir}", "mariadb-install-db", "--no-defaults", "--user=mysql", f"--datadir={first.dir}/data",
           "--skip-test-db", "--force", "--auth-root-authentication-method=socket")
        made = BUILD / f"{kept.name}.{self.tag}"
        shutil.copytree(first.dir / "data", made / "alone")
        first.start(bootstrap=True, binlog=False)
        first.wait_synced()
        for node in self.nodes[1:]:
            node.start(binlog=False)
            node.wait_synced()
        self.wait_whole()
        for node in self.nodes:
            node.signal(signal.SIGSTOP)
        for node in self.nodes:
            node.kill()
            seqno, _ = node.position()
            grastate = node.dir / "data/grastate.dat"
            grastate.write_text(re.sub(r"seqno:.*", f"seqno: {seqno}", grastate.read_text()))
            (node.dir / "data/galera.cache").unlink()
            shutil.move(node.dir / "data", made / node.name)
        with contextlib.suppress(OSError):  # another run was quicker
            made.rename(kept)
        shutil.rmtree(made, ignore_errors=True)

    def _plug(self, node):
        outer = f"gl{node.index}v{self.tag}"
        sh("ip", "netns", "add", node.ns)
        sh("ip", "link", "add", outer, "type", "veth", "peer", "name", "eth0", "netns", node.ns)
        sh("ip", "link", "set", outer, "master", self.bridge, "up")
        sh(*node.inside(), "ip", "addr", "add", f"{node.address}/24", "dev", "eth0")
        sh(*node.inside(), "ip", "link", "set", "eth0", "up")
        sh(*node.inside(), "ip", "link", "set", "lo", "up")

    def repair(self):
        """Brings every node back into the Primary component; used between tests."""
        for node in self.nodes:
            node.heal()
            if node.process and node.process.poll() is None:
                node.signal(signal.SIGCONT)
        alive = [n for n in self.nodes if n.process and n.process.poll() is None]
        if not alive:
            self.start_whole()
            self.wait_trusted()
            return
        for node in self.nodes:
            if node not in alive:
                node.start()
        self.wait_whole()
        self.wait_trusted()

    def whole(self):
        """All nodes synced, and all seen by all: one that has just been thawed says "synced" before it learns that the others left it."""
        return all(node.synced() and node.cluster_size() == len(self.nodes) for node in self.nodes)

    def wait_whole(self, timeout=90):
        end = time.monotonic() + timeout
        while not self.whole():
            if time.monotonic() > end:
                raise TimeoutError(f"the cluster is not whole within {timeout} s: {[node.cluster_size() for node in self.nodes]}")
            time.sleep(0.1)
        for node in self.nodes:
            node.come_up()

    def wait_trusted(self):
        """A lease found free on a server that has just started is watched for a ttl (R4): a test that does not mean that begins later."""
        for node in self.nodes:
            while node.age_s() < TRUSTED_S:
                time.sleep(0.1)

    def start_whole(self):
        """After all were down. Those that fell together come up together; else it is bootstrapped from the node that has come
        farthest, and goes on counting from there."""
        positions = {node: node.position() for node in self.nodes}
        views = {node.last_view() for node in self.nodes}
        if len(views) == 1 and views != {""}:
            for node in self.nodes:
                node.start(position=positions[node][1])
            self.wait_whole()
            return
        best = max(self.nodes, key=positions.get)
        grastate = best.dir / "data" / "grastate.dat"
        grastate.write_text(grastate.read_text().replace("safe_to_bootstrap: 0", "safe_to_bootstrap: 1"))
        best.start(bootstrap=True, position=positions[best][1])
        best.wait_synced()
        for node in self.nodes:
            if node is not best:
                node.start()
                node.wait_synced()

    def down(self):
        for node in self.nodes:
            if node.process:
                try:
                    node.signal(signal.SIGKILL)
                    node.process.wait(10)
                except (OSError, ValueError, subprocess.TimeoutExpired):
                    pass
            sh("ip", "netns", "del", node.ns, check=False)
        sh("ip", "link", "del", self.bridge, check=False)
        shutil.rmtree(self.dir, ignore_errors=True)


def clean_stale():
    """Removes namespaces and bridges of test runs whose process is gone."""
    for line in sh("ip", "netns", "list", check=False).splitlines():
        name = line.split()[0] if line.split() else ""
        if name.startswith("gl") and "n" in name and name[2:].split("n")[0].isdigit():
            if not os.path.exists(f"/proc/{name[2:].split('n')[0]}"):
                # Another run may be cleaning up as well: then this says that there is no such namespace.
                for pid in filter(str.isdigit, sh("ip", "netns", "pids", name, check=False).split()):
                    os.kill(int(pid), signal.SIGKILL)
                sh("ip", "netns", "del", name, check=False)
    for line in sh("ip", "-o", "link", "show", "type", "bridge", check=False).splitlines():
        name = line.split(":")[1].strip()
        if name.startswith("glb") and name[3:].isdigit() and not os.path.exists(f"/proc/{name[3:]}"):
            sh("ip", "link", "del", name, check=False)
