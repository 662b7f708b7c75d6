"""The observer has teeth: with a named sabotage the same faults must show two controllers at once."""
import os
import pathlib
import shutil
import signal
import subprocess
import time

import pytest
from sidecars import BUILD, LIBEXEC, ROOT, wait_for
from test_sidecar import hook_script

pytestmark = pytest.mark.deep


def overlaps(group):
    return [p for p in group.observer.judge() if p.startswith("overlap")]


def blind(member):
    """A fence hook that does nothing, and a check that believes it."""
    member.hook["fence"] = "/bin/true"
    member.hook["check"] = hook_script(member, "check", "exit 3\n")


def test_fence_hook_that_does_nothing(group):
    group.sabotaged = True
    for index in (1, 2):
        blind(group.add(index, check_interval="1h"))
    group.init().start()
    leader = group.wait_leader(10)
    wait_for("its ticks", lambda: group.observer.watched, 5)
    leader.kill()
    group.wait_leader(15, other_than=leader)
    wait_for("an overlap", lambda: overlaps(group), 5)
    for _, pid, _, _, _ in group.observer.spans():
        subprocess.run(["kill", "-9", str(pid)], check=False)


def test_guardian_that_never_fences(group):
    group.sabotaged = True
    for index in (1, 2):
        m = group.add(index)
        libexec = m.dir / "libexec"
        libexec.mkdir()
        shutil.copy(LIBEXEC / "galera-lease-launch", libexec)
        guardian = libexec / "galera-lease-guardian"
        guardian.write_text("#!/bin/sh\nexec sleep 30\n")
        guardian.chmod(0o755)
        m.options["libexec_dir"] = str(libexec)
    group.init().start()
    leader = group.wait_leader(10)
    wait_for("its ticks", lambda: group.observer.watched, 5)
    leader.signal(signal.SIGSTOP)
    group.wait_leader(20, other_than=leader)
    wait_for("an overlap", lambda: overlaps(group), 5)


def test_follower_that_does_not_wait(group):
    """The wait of a challenger removed (R4), in a build of its own."""
    group.sabotaged = True
    tree = pathlib.Path(f"{BUILD}-mutant-src")
    shutil.rmtree(tree, ignore_errors=True)
    tree.mkdir()
    subprocess.run(f"git -C {ROOT} ls-files -z | (cd {ROOT} && xargs -0 cp --parents -t {tree})", shell=True, check=True)
    subprocess.run(["patch", "-p1", "-d", str(tree), "-i", str(ROOT / "tests/mutants/r4-no-watch.patch")], check=True)
    subprocess.run(["meson", "setup", str(tree / "build"), str(tree)], check=True, stdout=subprocess.DEVNULL)
    subprocess.run(["ninja", "-C", str(tree / "build"), "sidecar/cli/galera-lease"], check=True,
                   stdout=subprocess.DEVNULL)
    for index in (1, 2):
        group.add(index)
    group.members[1].binary = tree / "build/sidecar/cli/galera-lease"
    group.init()
    group.members[0].start()
    group.wait_leader(10)
    wait_for("its ticks", lambda: group.observer.watched, 5)
    group.members[1].start()
    wait_for("an overlap", lambda: overlaps(group), 10)
    shutil.rmtree(tree)


def test_without_sabotage_the_same_faults_show_nothing(group):
    """The control: the same freeze, nothing sabotaged; the fixture judges."""
    for index in (1, 2):
        group.add(index)
    group.init().start()
    leader = group.wait_leader(10)
    leader.signal(signal.SIGSTOP)
    group.wait_leader(20, other_than=leader)
    time.sleep(0.5)
    assert overlaps(group) == []
    os.kill(leader.process.pid, signal.SIGCONT)
