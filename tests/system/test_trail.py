"""What a sidecar did is there when it is asked for: recorded, kept in memory for the day of a failed assertion, and replayed."""
import json
import pathlib
import re
import shutil
import signal
import subprocess
import time

import pytest
from mutant import copy_sources
from sidecars import BINARY, BUILD, wait_for


def replay(binary, *args):
    done = subprocess.run([str(binary), "replay", *map(str, args)], capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout, done.stderr


def aborted(group, leader):
    """The leader has stopped on an assertion: fenced at once, and its memory is in run_dir, for its owner only."""
    assert leader.process.wait(15) == -signal.SIGABRT
    died = time.monotonic()
    wait_for("the fence", lambda: re.search("level=warning event=fence ", leader.log_text()), 5)
    assert time.monotonic() - died < 1
    wait_for("the controller to be gone", lambda: not group.observer.watched, 5)
    dump = leader.run / "assert.trace"
    assert dump.stat().st_mode & 0o777 == 0o600
    log = leader.log_text()
    assert re.search(r'level=error event=assert expression="', log)
    assert len(re.findall(r'level=error event=assert-trace .*line="', log)) >= 10
    return dump


def test_an_assertion_fences_and_leaves_what_led_to_it(group):
    """The sidecar cannot get random bytes any more; that is an assertion like any other."""
    leader = group.add(1)
    switch = leader.dir / "no-entropy"
    leader.environment = {"LD_PRELOAD": str(BUILD / "tests/lib/libnoentropy.so"), "NOENTROPY": str(switch)}
    group.init().start()
    group.wait_leader(10)
    wait_for("its ticks", lambda: group.observer.watched, 5)
    switch.touch()
    dump = aborted(group, leader)
    code, out, err = replay(BINARY, dump)
    assert code == 0 and re.fullmatch(rf"{dump}: \d+ steps, \d segments?, 0 gaps: all as recorded\n", out), out + err
    assert "expression=getrandom" in dump.read_text()
    switch.unlink()
    leader.start()
    group.wait_leader(15)
    # It goes on in the same recording.
    leader.terminate()
    said = json.loads(replay(BINARY, "--json", leader.trace)[1])
    assert said["result"] == "as-recorded" and said["runs"] == 2 and said["runs_cut_short"] == 1, said


def test_a_loop_that_stalls_is_seen(group):
    """The control of what every test asks of its sidecars (conftest.py): here one does what none may."""
    slow = group.add(1)
    switch = slow.dir / "slow-entropy"
    slow.environment = {"LD_PRELOAD": str(BUILD / "tests/lib/libnoentropy.so"), "SLOWENTROPY": str(switch)}
    group.init().start()
    group.wait_leader(10)
    switch.touch()
    wait_for("the stall", lambda: slow.status().get("loop_stall_own_max_us", 0) >= 250_000, 10)
    switch.unlink()


@pytest.mark.deep
def test_a_core_that_finds_itself_wrong_can_be_replayed(group):
    """A core whose invariant fails three seconds after it began to lead."""
    tree = pathlib.Path(f"{BUILD}-wrong-src")
    shutil.rmtree(tree, ignore_errors=True)
    copy_sources(tree)
    source = tree / "sidecar/core/invariant.c"
    before = "    check_acting(l);\n"
    wrong = ("    lease_assert(l->role != LEASE_LEADER ||\n"
             "                 l->now.fast_ns < add_ns(l->role_since_fast_ns, 3 * LEASE_NS_PER_S));\n")
    assert source.read_text().count(before) == 1
    source.write_text(source.read_text().replace(before, wrong + before))
    subprocess.run(["meson", "setup", str(tree / "build"), str(tree)], check=True, stdout=subprocess.DEVNULL)
    subprocess.run(["ninja", "-C", str(tree / "build"), "sidecar/cli/galera-lease"], check=True, stdout=subprocess.DEVNULL)
    leader = group.add(1)
    leader.binary = tree / "build/sidecar/cli/galera-lease"
    group.init().start()
    wait_for("its ticks", lambda: group.observer.watched, 15)
    dump = aborted(group, leader)
    last = dump.read_text().splitlines()[-2:]
    assert last[1].startswith("assert in_step file=invariant.c line=") and not last[0].startswith(" "), last
    # The core that did it does it again; the one without the mistake is another one, and says so.
    assert replay(leader.binary, dump)[0] == 0
    code, out, err = replay(BINARY, dump)
    assert code == 2 and "with another core" in err, out + err
    group.end()
    group.replay()
    shutil.rmtree(tree)


def test_a_recording_becomes_a_scenario(group):
    """The last run, as a file that the scenario player plays to the same roles."""
    member = group.add(1)
    group.init().start()
    group.wait_leader(10)
    member.terminate()
    code, out, err = replay(BINARY, "--scenario", member.trace)
    assert code == 0, err
    path = group.dir / "scenario.txt"
    path.write_text(out)
    played = subprocess.run([str(BUILD / "tests/scenario/scenario"), "--rewrite", str(path)], capture_output=True, text=True)
    assert played.returncode == 0, played.stderr
    roles = re.findall("NOTE note=role from=([a-z]+) to=|NOTE note=role from=([a-z]+) role=([a-z]+)", path.read_text())
    assert [r[2] for r in roles] == ["follower", "acquiring", "promoting", "leader", "demoting", "follower"], roles
