"""State folders that are full, read-only or damaged, while leading and at start."""
import os
import re
import subprocess
import time

import pytest
from observer import spans, stopped, watched
from sidecars import wait_for

TTL = 6.0


def signed(text):
    """A state file's text, with its sum."""
    total = 0xcbf29ce484222325
    for byte in text.encode():
        total = (total ^ byte) * 0x100000001b3 % 2 ** 64
    return f"{text}sum {total:016x}\n"


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


@pytest.fixture
def frozen_log(group):
    """The log of the first member on a file system that can be frozen, as a snapshot or a failing array does it."""
    m = group.add(1)
    image, folder = group.dir / "log.image", group.dir / "log.d"
    folder.mkdir()
    subprocess.run(["truncate", "-s", "16M", str(image)], check=True)
    subprocess.run(["mkfs.ext4", "-q", str(image)], check=True)
    subprocess.run(["mount", "-o", "loop", str(image), str(folder)], check=True)
    m.log = folder / "log"
    yield m, folder
    subprocess.run(["fsfreeze", "-u", str(folder)], check=False, stderr=subprocess.DEVNULL)
    group.end()
    text = m.log_text()
    m.log = m.dir / "log"  # the account is taken from there
    m.log.write_text(text)
    subprocess.run(["umount", "-l", str(folder)], check=True)


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
    checked = small_disk.cli("check")
    known = len(small_disk.log_text())
    small_disk.cli("step-down", "--no-wait")
    wait_for("the stop", lambda: "event=stopped" in small_disk.log_text()[known:], 10)
    time.sleep(TTL / 2)  # the lease does not run out by itself meanwhile
    assert len(spans(group)) == 1 and group.leader() is None
    assert "it can be written" in small_disk.log_text()
    word = "full" if spoil is fill else "read-only"
    assert re.search(f"^FAIL  sidecar .*: state_dir is {word}: ", checked.stdout, re.MULTILINE)
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


def test_log_on_a_disk_that_hangs_while_the_lease_is_lost(group, frozen_log):
    """The guardian is told first; what is written about it may wait for as long as the disk likes."""
    leader, disk = frozen_log
    group.init().start()
    group.wait_leader(10)
    watched(group)
    leader.disturbed = True  # a log that is a file is written on the loop
    subprocess.run(["fsfreeze", "-f", str(disk)], check=True)
    group.lab.nodes[0].query("UPDATE galera_lease.lease SET counter = counter + 1000 WHERE name = %s", (group.lease,))
    wait_for("the controller's end", lambda: not group.observer.watched, TTL / 2, strict=True)  # long before the deadline
    subprocess.run(["fsfreeze", "-u", str(disk)], check=True)
    wait_for("the next controller", lambda: len(spans(group)) == 2, 4 * TTL)


def test_state_disk_read_only_at_start(group, small_disk):
    """Without the lock it may be the second one here: it ends, and says why."""
    group.init()
    small_disk.write_config()
    (small_disk.state / "lock").touch()
    spend(small_disk.state)
    small_disk.write_config = lambda: None
    small_disk.start()
    assert small_disk.process.wait(10) == 1
    (line,) = re.findall("level=error .*", small_disk.log_text())
    assert f"path={small_disk.state} " in line and 'error="Read-only file system"' in line and "not started" in line
    mend(small_disk.state)
    small_disk.start()
    assert group.wait_leader(15) is small_disk


def test_state_disk_full_at_start(group, small_disk):
    group.init()
    small_disk.write_config()
    fill(small_disk.state)
    small_disk.process = None
    small_disk.write_config = lambda: None
    small_disk.start()
    time.sleep(TTL / 2)
    assert spans(group) == [] and small_disk.process.poll() is None  # no start that is not remembered
    assert "it can be written" in small_disk.log_text()
    mend(small_disk.state)
    assert group.wait_leader(15) is small_disk


def truncated(file):
    file.write_bytes(file.read_bytes()[:-3])


def of_another_boot(file):
    """As after a reboot: its deadline was on a clock that has begun anew."""
    text = re.sub("boot [0-9a-f-]+", "boot 01234567-89ab-cdef-0123-456789abcdef", file.read_text())
    file.write_text(signed(text[:text.index("sum ")]))


@pytest.mark.parametrize("spoil, says", [(truncated, "damaged"), (of_another_boot, "found=other-boot")], ids=["truncated", "another_boot"])
def test_state_file_that_does_not_count(three, spoil, says):
    """Nothing is resumed on its word."""
    leader = three.leader()
    watched(three)
    leader.kill()
    spoil(leader.state / "state")
    leader.start()
    stopped(three, 3)
    wait_for("a follower", lambda: leader.role() == "follower", 10)
    assert says in leader.log_text() and "reason=resume" not in leader.log_text()
    three.wait_leader(15)
    wait_for("the next controller", lambda: len(spans(three)) == 2, 5)
