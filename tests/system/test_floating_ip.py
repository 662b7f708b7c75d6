"""hooks/floating-ip in network namespaces: two hosts that may carry the address, and a neighbour that has to notice."""
import os
import signal
import subprocess

import pytest
from lab import sh
from sidecars import ROOT, wait_for

HOOK = ROOT / "hooks/floating-ip"
RUNNING, STOPPED = 0, 3


class Host:
    def __init__(self, net, name, address, folder):
        self.ns = f"{net.prefix}{name}"
        self.dir = folder / name
        self.dir.mkdir()
        self.conf = self.dir / "floating-ip.conf"
        sh("ip", "netns", "add", self.ns)
        net.spaces.append(self.ns)
        sh("ip", "link", "add", f"{self.ns}v", "type", "veth", "peer", "name", "eth0", "netns", self.ns)
        sh("ip", "link", "set", f"{self.ns}v", "netns", net.switch)
        sh("nsenter", f"--net=/run/netns/{net.switch}", "ip", "link", "set", f"{self.ns}v", "master", "br0", "up")
        for words in ("link set lo up", "link set eth0 up", f"addr add {address}/24 dev eth0"):
            self.ip(*words.split())
        self.mac = self.ip("-o", "link", "show", "eth0").split("link/ether ")[1].split()[0]

    def inside(self, *command):
        return ["nsenter", f"--net=/run/netns/{self.ns}", *command]

    def ip(self, *words):
        return sh(*self.inside("ip", *words))

    def configure(self, address="10.9.8.100/24", interface="eth0"):
        self.conf.write_text(f'ADDRESS="{address}"\nINTERFACE="{interface}"\n')

    def hook(self, kind, path="/usr/sbin:/usr/bin:/sbin:/bin"):
        environment = {"PATH": path, "GALERA_LEASE_HOOK": kind, "GALERA_LEASE_RUNDIR": str(self.dir),
                       "GALERA_LEASE_STATEDIR": str(self.dir)}
        return subprocess.run(self.inside(str(HOOK)), env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True, timeout=20)

    def has(self, address="10.9.8.100"):
        return f" {address}/" in self.ip("-o", "-4", "addr", "show")


class Net:
    def __init__(self, folder):
        self.prefix = f"glf{os.getpid()}"
        self.switch = f"{self.prefix}s"
        self.spaces = [self.switch]
        sh("ip", "netns", "add", self.switch)
        sh("nsenter", f"--net=/run/netns/{self.switch}", "ip", "link", "add", "br0", "type", "bridge")
        sh("nsenter", f"--net=/run/netns/{self.switch}", "ip", "link", "set", "br0", "up")
        self.a, self.b, self.neighbour = (Host(self, n, f"10.9.8.{i}", folder) for i, n in enumerate("abn", 1))
        for host in (self.a, self.b):
            host.configure()
        self.heard = folder / "heard"
        self.watcher = subprocess.Popen(self.neighbour.inside("/usr/bin/python3", str(ROOT / "tests/lib/arpwatch.py")),
                                        stdout=open(self.heard, "wb"))
        wait_for("the neighbour's ear", lambda: self.heard.read_text().startswith("ready"), 5)

    def announced(self, host, address="10.9.8.100"):
        return {line.split()[0] for line in self.heard.read_text().splitlines()[1:] if line.split()[1:] == [address, host.mac]}

    def believed(self, address="10.9.8.100"):
        """Which MAC the neighbour sends to, as it stands: looking asks nobody."""
        return next((w for w in self.neighbour.ip("neigh", "show", address).split() if w.count(":") == 5), None)

    def end(self):
        self.watcher.send_signal(signal.SIGTERM)
        self.watcher.wait(5)
        for space in self.spaces:
            sh("ip", "netns", "del", space, check=False)


@pytest.fixture
def net(tmp_path):
    net = Net(tmp_path)
    yield net
    net.end()


def test_the_neighbour_follows_the_address(net):
    assert net.a.hook("check").returncode == STOPPED
    assert net.a.hook("promote").returncode == 0
    assert net.a.has() and net.a.hook("check").returncode == RUNNING
    assert net.b.hook("check").returncode == STOPPED  # true of this host only
    assert net.announced(net.a) == {"request", "reply"}
    sh(*net.neighbour.inside("ping", "-c", "1", "-W", "2", "10.9.8.100"))
    assert net.believed() == net.a.mac
    # a's host is cut off and keeps its address: nobody but the announcement tells the neighbour.
    net.a.ip("link", "set", "eth0", "down")
    assert net.b.hook("promote").returncode == 0
    assert net.believed() == net.b.mac
    assert net.announced(net.b) == {"request", "reply"}
    sh(*net.neighbour.inside("ping", "-c", "1", "-W", "2", "10.9.8.100"))


@pytest.mark.parametrize("kind", ["demote", "fence"])
def test_taken_away_again_and_again(net, kind):
    assert net.a.hook(kind).returncode == 0  # nothing there: that is what was wanted
    assert net.a.hook("promote").returncode == 0
    assert net.a.hook("promote").returncode == 0  # as after a restart in place
    assert net.a.hook(kind).returncode == 0
    assert not net.a.has() and net.a.has("10.9.8.1")
    assert net.a.hook("check").returncode == STOPPED
    assert net.a.hook(kind).returncode == 0


def test_the_address_before_an_edit_is_not_forgotten(net):
    assert net.a.hook("promote").returncode == 0
    net.a.configure("10.9.8.101")
    assert net.a.hook("check").returncode == RUNNING  # of what was promised to be gone, something is there
    refused = net.a.hook("promote")
    assert refused.returncode == 1 and "not as configured" in refused.stdout and not net.a.has("10.9.8.101")
    assert net.a.hook("demote").returncode == 0
    assert not net.a.has() and net.a.hook("check").returncode == STOPPED
    assert net.a.hook("promote").returncode == 0
    assert net.a.has("10.9.8.101") and "10.9.8.101/32" in net.a.ip("-o", "addr", "show")


def test_the_address_on_another_interface_counts(net):
    net.a.ip("addr", "add", "10.9.8.100/32", "dev", "lo")
    assert net.a.hook("check").returncode == RUNNING
    assert net.a.hook("fence").returncode == 0
    assert not net.a.has()


def test_what_cannot_be_told_is_not_stopped(net, tmp_path):
    assert net.a.hook("promote").returncode == 0
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "ip").write_text("#!/bin/sh\nexit 1\n")
    (tools / "ip").chmod(0o755)
    blind = f"{tools}:/usr/bin:/bin"
    for kind in ("check", "demote", "fence", "promote"):
        done = net.a.hook(kind, path=blind)
        assert done.returncode == 1 and "cannot tell" in done.stdout, kind
    net.a.conf.unlink()
    for kind in ("check", "demote", "fence", "promote"):
        done = net.a.hook(kind)
        assert done.returncode == 1 and "cannot be read" in done.stdout, kind
    assert net.a.has()


@pytest.mark.parametrize("address, interface, words", [
    ("", "eth0", "no IPv4 address"), ("fd00::1", "eth0", "no IPv4 address"), ("10.9.8.100/24/1", "eth0", "no IPv4 address"),
    ("10.9.8", "eth0", "no IPv4 address"), ("10.9.8.100", "", "no interface"), ("10.9.8.100", "-all", "no interface"),
    ("10.9.8.300", "eth0", "10.9.8.300"), ("10.9.8.100", "eth7", "cannot be added to eth7")])
def test_a_wrong_configuration_starts_nothing(net, address, interface, words):
    net.a.configure(address, interface)
    done = net.a.hook("promote")
    assert done.returncode == 1 and words in done.stdout
    assert not net.a.has()


def test_the_address_is_with_the_leader(three, tmp_path):
    """Beside the controller, in hook folders, on the real cluster: the address goes where the controller goes."""
    address = f"10.77.{three.lab.net}.200"
    three.end()
    for m in three.members:
        for kind in ("promote", "demote", "fence", "check"):
            folder = m.dir / f"{kind}.d"
            folder.mkdir()
            (folder / "10-floating-ip").symlink_to(HOOK)
            (folder / "20-process").symlink_to(ROOT / "hooks/process")
            m.hook[kind] = str(folder)
        (m.state / "floating-ip.conf").write_text(f'ADDRESS="{address}/24"\nINTERFACE="eth0"\n')
        m.start()

    def carriers():
        return [m for m in three.members if f" {address}/" in sh(*m.node.inside(), "ip", "-o", "-4", "addr", "show")]

    first = three.wait_leader(20)
    assert carriers() == [first]
    first.kill()  # its guardian fences
    wait_for("the address gone", lambda: carriers() == [], 10)
    second = three.wait_leader(20, other_than=first)
    assert carriers() == [second]
    second.terminate()
    wait_for("the third", lambda: len(carriers()) == 1 and carriers()[0] not in (first, second), 20)
