"""Under systemd: what sidecar and guardian say goes to the journal, with its priority and the name of the lease."""
import os
import socket
import subprocess

from sidecars import BINARY, wait_for


def start_under_a_journal(member, folder):
    """As systemd starts it: stderr is a socket that JOURNAL_STREAM names, and the journal's own stands in /run/systemd/journal; here
    only in a mount namespace of the sidecar's."""
    folder.mkdir()
    journal = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    journal.bind(str(folder / "socket"))
    ours, stderr = socket.socketpair()
    at = os.fstat(stderr.fileno())
    member.write_config()
    inside = 'mount -t tmpfs tmpfs /run && mkdir -p /run/systemd/journal && mount --bind "$0" /run/systemd/journal && exec "$@"'
    member.process = subprocess.Popen(
        ["nsenter", f"--net=/run/netns/{member.node.ns}", "unshare", "--mount", "--propagation", "private", "sh", "-c", inside,
         str(folder), str(BINARY), "run", "--config", str(member.config)],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=stderr, start_new_session=True,
        env=os.environ | {"JOURNAL_STREAM": f"{at.st_dev}:{at.st_ino}"})
    stderr.close()
    return journal, ours


def entries(journal):
    """The entries that have come: each its fields."""
    found = []
    journal.setblocking(False)
    while True:
        try:
            text = journal.recv(65536).decode()
        except BlockingIOError:
            return found
        found.append(dict(line.split("=", 1) for line in text.splitlines()))


def test_the_guardians_lines_have_a_priority_too(group, tmp_path):
    member = group.add(1)
    member.trace = None
    group.init()
    journal, stderr = start_under_a_journal(member, tmp_path / "journal")
    group.wait_leader(10)
    wait_for("the watch on its controller", lambda: group.observer.watched, 5)
    told = entries(journal)
    member.kill()
    wait_for("the controller's end", lambda: not group.observer.watched, 5)
    wait_for("the guardian's words", lambda: told.extend(entries(journal)) or [e for e in told if e["GALERA_LEASE_EVENT"] == "fence"], 5)
    by_event = {e["GALERA_LEASE_EVENT"]: e for e in told}
    assert by_event["acquired"]["PRIORITY"] == "6" and by_event["fence"]["PRIORITY"] == "4"
    assert "reason=sidecar-died" in by_event["fence"]["MESSAGE"]
    assert {e["GALERA_LEASE_NAME"] for e in told} == {group.lease}
    journal.close()
    stderr.close()
