"""What keeps a sidecar from starting, or its guardian from staying: said once, with the path and what to do."""
import os
import re
import shutil
import subprocess
import time

import pytest
from program import BINARY, BUILD, GOOD, run

GUARDIAN, LAUNCHER = "galera-lease-guardian", "galera-lease-launch"


@pytest.fixture
def sidecar(tmp_path):
    """(configuration, libexec_dir with both helpers in it). No database answers; that is no hindrance."""
    libexec = tmp_path / "libexec"
    libexec.mkdir()
    for name in (GUARDIAN, LAUNCHER):
        shutil.copy(BUILD / "sidecar/guardian" / name, libexec)
    config = tmp_path / "x.conf"
    config.write_text(GOOD + f'state_dir = "{tmp_path}/state"; run_dir = "{tmp_path}/run"; cgroup = "off"; libexec_dir = "{libexec}";\n')
    return config, libexec


def refused(config):
    """What it logs, without times, when it does not start for a mistake of the configuration."""
    done = subprocess.run([BINARY, "run", "--config", str(config)], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20)
    assert done.returncode == 2, done.stderr
    return [re.sub(r"^ts=\S+ ", "", line) for line in done.stderr.splitlines() if "level=error" in line]


def missing(path, error):
    return (f'level=error event=libexec lease=a path={path} error="{error}" '
            'action="not started: install it again, or mend libexec_dir"')


@pytest.mark.parametrize("name", [GUARDIAN, LAUNCHER])
def test_helper_that_is_not_there(sidecar, name):
    config, libexec = sidecar
    (libexec / name).unlink()
    assert refused(config) == [missing(libexec / name, "No such file or directory")]
    assert not (libexec.parent / "state").exists()


def test_libexec_dir_of_another_place(sidecar):
    config, libexec = sidecar
    libexec.rename(libexec.parent / "elsewhere")
    assert refused(config) == [missing(libexec / name, "No such file or directory") for name in (GUARDIAN, LAUNCHER)]


def test_helper_that_may_not_be_run(sidecar):
    config, libexec = sidecar
    (libexec / GUARDIAN).chmod(0o644)
    assert refused(config) == [missing(libexec / GUARDIAN, "Permission denied")]


@pytest.mark.parametrize("text, says", [
    ("#!/bin/sh\nexit 7\n", 'what="the guardian ended" status="exit 7"'),
    ("#!/bin/sh\nkill -9 $$\n", 'what="the guardian ended" status="signal 9"'),
    ("#!/nonexistent\n", 'error="No such file or directory" means="this member does not lead without it"')])
def test_guardian_that_does_not_stay(sidecar, text, says):
    """It is started ten times a second, and the log stays readable."""
    config, libexec = sidecar
    (libexec / GUARDIAN).write_text(text)
    process = subprocess.Popen([BINARY, "run", "--config", str(config)], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    time.sleep(2)
    process.kill()
    lines = [line for line in process.communicate()[1].splitlines() if "event=guardian" in line]
    assert len(lines) == 1 and says in lines[0], lines


def test_a_full_run_dir_is_no_hanging_sidecar(sidecar):
    """What a controller prints may fill it: the log, status and check say that, and nobody advises to restart one that may lead."""
    config, folder = sidecar[0], sidecar[0].parent / "run"
    config.write_text(config.read_text() + 'ttl = "6s";\n')
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k,mode=755", "tmpfs", str(folder)], check=True)
    process = subprocess.Popen([BINARY, "run", "--config", str(config)], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        while not (folder / "status.json").exists():
            time.sleep(0.01)
        with open(folder / "controller.log", "wb", buffering=0) as log, pytest.raises(OSError):
            while True:
                log.write(b"x" * 4096)
        time.sleep(5)
        code, _, said = run("status", "--config", str(config))
        assert code == 1 and f"run_dir {folder} is full" in said and "hangs" not in said, said
        checked = run("check", "--json", "--config", str(config))[1]
        assert "run_dir is full" in checked and "make room there" in checked and "restart it" not in checked, checked
        (folder / "controller.log").write_bytes(b"")
        time.sleep(2)
        assert run("status", "--config", str(config))[0] == 0
    finally:
        process.terminate()
        lines = [line for line in process.communicate(timeout=20)[1].splitlines() if "event=status " in line]
        subprocess.run(["umount", str(folder)], check=True)
    assert len(lines) == 1 and "level=warning" in lines[0] and f"path={folder}/status.json" in lines[0], lines
    assert "No space left" in lines[0] and "who leads is not touched" in lines[0] and "make room in run_dir" in lines[0], lines


def test_history_that_no_database_took_is_counted_at_the_end(sidecar):
    """And nobody waits for a database that is away."""
    process = subprocess.Popen([BINARY, "run", "--config", str(sidecar[0])], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    for line in process.stderr:
        if "event=stopped " in line:
            break
    time.sleep(0.5)
    begun = time.monotonic()
    process.terminate()
    lines = [line for line in process.communicate(timeout=20)[1].splitlines() if "event=history " in line]
    assert time.monotonic() - begun < 1.5
    assert len(lines) == 1 and re.search('level=warning event=history lease=a dropped=[1-9][0-9]* means="the database did not take ', lines[0]), lines


def test_a_recording_replaces_nothing_that_is_none(sidecar):
    """FILE.1, too, is where a recording goes: what stands there is looked at before anything is written."""
    config, folder = sidecar[0], sidecar[0].parent
    (folder / "trace.1").write_text("of somebody\n")
    done = run("run", "--config", str(config), "--trace", str(folder / "trace"))
    assert done[0] == 2 and "with .1 after this name there is no recording" in done[2], done
    assert (folder / "trace.1").read_text() == "of somebody\n" and not (folder / "trace").exists()


def test_a_disk_that_takes_no_recording_keeps_nobody_from_leading(sidecar):
    """A wrong path is a mistake, and nothing starts; a full disk is none."""
    config, folder = sidecar[0], sidecar[0].parent / "full"
    assert run("run", "--config", str(config), "--trace", str(folder / "trace"))[0] == 2
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "nr_inodes=1", "tmpfs", str(folder)], check=True)
    try:
        process = subprocess.Popen([BINARY, "run", "--config", str(config), "--trace", str(folder / "trace")], stdin=subprocess.DEVNULL,
                                   stderr=subprocess.PIPE, text=True)
        said = []
        for line in process.stderr:
            said.append(line)
            if "to=follower" in line:
                process.terminate()
        assert process.wait(20) == 0, said
    finally:
        subprocess.run(["umount", str(folder)], check=True)
    (trace,) = [line for line in said if "event=trace " in line]
    assert 'error="No space left on device" means="decisions are not recorded; the lease goes on as without --trace"' in trace, trace


def test_the_end_runs_no_exit_handlers(sidecar):
    """A thread that hangs in a question is left behind, and nothing may be taken apart under it."""
    environment = os.environ | {"LD_PRELOAD": str(BUILD / "tests/lib/libparting.so"),
                                "ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0"}
    done = subprocess.run([BINARY, "version"], capture_output=True, text=True, env=environment, timeout=20)
    assert "exit handlers run" in done.stderr  # of a verb: else this could see nothing
    process = subprocess.Popen([BINARY, "run", "--config", str(sidecar[0])], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                               env=environment)
    said = ""
    for line in process.stderr:
        said += line
        if "to=follower" in line:
            process.terminate()
    assert process.wait(20) == 0 and "event=end " in said and "exit handlers run" not in said, said
