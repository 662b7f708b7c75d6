"""The shipped HAProxy configuration in front of three user interfaces that are all up: clients reach the leader's only."""
import subprocess
import sys
import threading
import time

import pytest
from lab import Node, sh
from sidecars import ROOT, boottime_ns, wait_for
from webclient import dial, read_reply

SAMPLE = ROOT / "packaging/haproxy/haproxy.cfg"
FRONT, CHECKED, INTERFACE = 8080, 8008, 9501
CHECK_S = 0.5  # as in the sample
SLACK_S = 1.0


@pytest.fixture
def outsider(lab):
    """A host beside the cluster's."""
    node = Node(lab, 4)
    lab._plug(node)
    yield node
    sh("ip", "netns", "del", node.ns, check=False)


class Processes:
    """What a test starts, and what ends with it."""

    def __init__(self):
        self.list = []

    def start(self, *command, ready):
        process = subprocess.Popen([str(c) for c in command], stdin=subprocess.DEVNULL,
                                   stdout=subprocess.PIPE if ready else subprocess.DEVNULL)
        self.list.append(process)
        if ready:
            process.stdout.readline()
        return process

    def end(self):
        for process in self.list:
            process.terminate()
        for process in self.list:
            process.wait(10)
            if process.stdout:
                process.stdout.close()


@pytest.fixture
def processes():
    found = Processes()
    yield found
    found.end()


class Client(threading.Thread):
    """Asks the front end all the time, and notes who answered: (sent, received, name or what went wrong)."""

    def __init__(self, node):
        super().__init__(daemon=True)
        self.node = node
        self.seen = []
        self.over = False
        self.start()

    def run(self):
        while not self.over:
            sent = boottime_ns()
            try:
                with dial(self.node, (self.node.address, FRONT)) as connection:
                    connection.sendall(b"GET / HTTP/1.1\r\nHost: ui\r\nConnection: close\r\n\r\n")
                    reply = read_reply(connection)
                    who = reply.body if reply.status == 200 else str(reply.status)
            except OSError as error:
                who = repr(error)
            self.seen.append((sent, boottime_ns(), who))
            time.sleep(0.02)

    def last(self):
        return self.seen[-1][2] if self.seen else None

    def end(self):
        self.over = True
        self.join()
        return self.seen


def adapted(sample, outsider, members):
    text = sample.read_text().replace(f"127.0.0.1:{FRONT}", f"{outsider.address}:{FRONT}")
    for m in members:
        text = text.replace(f"10.0.0.{m.node.index}:", f"{m.node.address}:")
    assert text.count(outsider.address) == 1 and all(text.count(m.node.address + ":") == 1 for m in members)
    return text


def test_clients_reach_the_leader_only(group, outsider, processes):
    subprocess.run(["haproxy", "-c", "-f", str(SAMPLE)], check=True, stdout=subprocess.DEVNULL)
    for index in (1, 2, 3):
        m = group.add(index)
        m.options["http_listen"] = f"{m.node.address}:{CHECKED}"
        processes.start(*m.node.inside(), sys.executable, ROOT / "tests/lib/interface.py", m.node.address, INTERFACE, m.name, ready=True)
    config = group.dir / "haproxy.cfg"
    config.write_text(adapted(SAMPLE, outsider, group.members))
    group.init().start()
    first = group.wait_leader(10)
    # Until they have seen each other nobody would leave the row to the target.
    wait_for("followers that know each other", lambda: sorted(m.status().get("rank", 9) for m in group.members if m is not first) == [0, 1], 10)
    processes.start(*outsider.inside(), "haproxy", "-db", "-f", config, ready=False)
    client = Client(outsider)
    wait_for("the way to the leader", lambda: client.last() == first.name, 10)
    settled = len(client.seen)
    second = next(m for m in group.members if m is not first)
    assert first.cli("switchover", "--to", second.name, "--reason", "x").returncode == 0
    wait_for("the way to the new leader", lambda: client.last() == second.name, 10)
    time.sleep(1)
    second.kill()
    third = group.wait_leader(20, other_than=second)
    wait_for("the way to the last leader", lambda: client.last() == third.name, 10)
    seen = client.end()[settled:]
    judge(seen, group.observer.spans(), [first, second, third])


def judge(seen, spans, leaders):
    assert [s[0] for s in spans] == [m.name for m in leaders]
    names = {m.name for m in leaders}
    # Who answered had a controller that ran then, or until one check before; never one that was still to come.
    for sent, received, who in seen:
        if who in names:
            assert any(s[0] == who and s[3] < received and sent < s[4] + (CHECK_S + SLACK_S) * 1e9 for s in spans), (sent, received, who)
    # What failed, failed during a switch: from its announcement to the first check of the new leader.
    for sent, _, who in seen:
        if who not in names:
            assert any(before[4] - SLACK_S * 1e9 < sent < after[3] + (CHECK_S + SLACK_S) * 1e9
                       for before, after in zip(spans, spans[1:])), (sent, who, spans)
    # One after the other, and never back.
    answered = [who for _, _, who in seen if who in names]
    assert [who for i, who in enumerate(answered) if i == 0 or who != answered[i - 1]] == [m.name for m in leaders]
