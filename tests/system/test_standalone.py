"""A server without Galera: refused, unless the configuration says that it is the only one. And a server that is too old."""
import shutil
import signal
import subprocess

import pymysql
import pytest
from lab import sh
from sidecars import wait_for

NOT_GALERA = ("this server is no member of a Galera cluster (or wsrep_on is off); a single server is taken with "
              "standalone = true only")


class Plain:
    """A real MariaDB of its own on the first host."""

    def __init__(self, lab, folder):
        self.node = lab.nodes[0]
        self.dir = folder
        self.dir.mkdir()
        self.socket = folder / "s"
        shutil.copytree(lab.kept / "alone", folder / "data")
        sh("chown", "-R", "mysql:mysql", str(folder))

    def start(self, *more):
        self.process = subprocess.Popen(
            [*self.node.inside(), "mariadbd", "--no-defaults", "--user=mysql", f"--datadir={self.dir}/data", f"--tmpdir={self.dir}",
             f"--socket={self.socket}", f"--pid-file={self.dir}/pid", f"--log-error={self.dir}/error.log", "--skip-networking",
             "--innodb-buffer-pool-size=32M", "--innodb-log-file-size=16M", *more],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
        wait_for("the plain server", self.answers, 60)

    def answers(self):
        try:
            pymysql.connect(unix_socket=str(self.socket), user="root").close()
            return True
        except pymysql.MySQLError:
            return False

    def stop(self, number=signal.SIGTERM):
        self.process.send_signal(number)
        self.process.wait(30)


@pytest.fixture
def plain(lab, tmp_path):
    server = Plain(lab, tmp_path / "plain")
    server.start()
    yield server
    if server.process.poll() is None:
        server.stop(signal.SIGKILL)


def on(group, server, **options):
    member = group.add(1, **options)
    member.endpoints = [f"unix:{server.socket}"]
    member.write_config()
    return member


def test_refused_unless_it_is_meant(group, plain):
    member = on(group, plain)
    refused = member.cli("init")
    assert refused.returncode == 1
    assert refused.stderr == (f"galera-lease: unix:{plain.socket} is no member of a Galera cluster (or wsrep_on is off): "
                              "nothing was changed; a single server is taken with standalone = true only\n")
    # Somebody says so, makes the schema, and takes it back.
    member.options["standalone"] = True
    member.write_config()
    done = member.cli("init")
    assert done.returncode == 0, done.stderr
    del member.options["standalone"]
    member.start()
    refused = member.cli("list")
    assert refused.returncode == 4
    assert refused.stderr == f"galera-lease: cannot use the database: unix:{plain.socket}: {NOT_GALERA}\n"
    wait_for("the refusal", lambda: f'error=65003 text="{NOT_GALERA}"' in member.log_text(), 10)
    wait_for("a role", member.role, 5)
    assert member.role() in ("boot", "follower") and not member.starts()
    assert member.terminate(5) == 0


def test_alone_it_leads(group, plain):
    member = on(group, plain, standalone=True)
    checked = member.cli("run", "--check-config")
    assert checked.returncode == 0
    assert checked.stderr == (f"{member.config}: warning: standalone = true: one server without a quorum decides; when it is "
                              "away nobody leads\n")
    assert member.cli("init").returncode == 0
    member.start()
    group.wait_leader(15)
    assert member.log_text().count("event=standalone ") == 1
    assert "event=server " not in member.log_text()
    wait_for("its word in the database", lambda: member.cli("list").returncode == 0, 5)  # bookkeeping comes behind the lease
    # It dies and comes back as an old version: somebody leads again, and is told.
    plain.stop(signal.SIGKILL)
    wait_for("the stop", lambda: member.role() not in ("leader", "promoting"), 15)
    plain.start("--version=10.11.8-MariaDB-0ubuntu0.24.04.1")
    wait_for("a new reign", lambda: len(group.observer.spans()) == 2 and member.role() == "leader", 40)
    said = [line for line in member.log_text().splitlines() if "event=server " in line]
    assert len(said) == 1 and 'version="10.11.8-MariaDB-0ubuntu0.24.04.1"' in said[0] and "older than 10.11.11" in said[0]
    assert "warning: unix:" in member.cli("init").stderr


def test_not_beside_others(group, plain):
    member = on(group, plain, standalone=True)
    member.endpoints.append("127.0.0.1:3306")
    member.write_config()
    refused = member.cli("run", "--check-config")
    line = member.config.read_text().splitlines().index("standalone = true;") + 1
    assert refused.returncode == 2
    assert refused.stderr == (f"{member.config}:{line}: standalone: true is for a single endpoint, and there are 2: servers "
                              "without a cluster between them would each have a leader\n")
