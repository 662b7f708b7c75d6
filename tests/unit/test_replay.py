"""run --trace and replay as an operator meets them: a sidecar without a database decides, too."""
import json
import os
import re
import signal
import subprocess
import time

import pytest
from program import BINARY, BUILD, GOOD, run


class Sidecar:
    def __init__(self, folder):
        for name in ("state", "run"):
            (folder / name).mkdir()
        (folder / "state/process.conf").write_text('COMMAND="sleep 1000"\n')
        self.config = folder / "config"
        self.config.write_text(GOOD + f'state_dir = "{folder}/state"; run_dir = "{folder}/run"; libexec_dir = "{BUILD}/sidecar/guardian"; '
                               'cgroup = "off"; ttl = "6s";\n')
        self.trace = folder / "trace"
        self.log = folder / "log"

    def start(self):
        self.process = subprocess.Popen([str(BINARY), "run", "--config", str(self.config), "--trace", str(self.trace)],
                                        stdin=subprocess.DEVNULL, stderr=open(self.log, "ab"))
        before = self.trace.read_text().count(" role=follower") if self.trace.exists() else 0
        end = time.monotonic() + 10
        while not self.trace.exists() or self.trace.read_text().count(" role=follower") <= before:
            assert time.monotonic() < end and self.process.poll() is None, self.log.read_text()
            time.sleep(0.02)
        return self

    def stop(self, number=signal.SIGTERM):
        self.process.send_signal(number)
        return self.process.wait(10)


@pytest.fixture
def recording(tmp_path):
    """What a sidecar recorded that found its controller stopped, and no database."""
    for parent in (tmp_path, *tmp_path.parents):
        if str(parent).startswith("/tmp/"):
            parent.chmod(0o755)
    sidecar = Sidecar(tmp_path).start()
    try:
        assert sidecar.stop() == 0
        yield sidecar
    finally:
        if sidecar.process.poll() is None:
            sidecar.stop(signal.SIGKILL)


def edit(sidecar, old, new):
    """The first time that it stands there; the number of that line."""
    text = sidecar.trace.read_text()
    assert old in text
    sidecar.trace.write_text(text.replace(old, new, 1))
    return text[:text.index(old)].count("\n") + 1


def test_as_recorded(recording):
    path = recording.trace
    code, out, err = run("replay", str(path))
    assert (code, err) == (0, "") and re.fullmatch(rf"{path}: \d+ steps, 1 segment, 0 gaps: all as recorded\n", out)
    said = json.loads(run("replay", "--json", str(path))[1])
    assert said["result"] == "as-recorded" and said["runs"] == 1 and said["runs_cut_short"] == 0
    assert {"from": "boot", "to": "follower", "count": 1} in said["edges"] and said["reasons"] == {"start": 1}
    assert os.stat(path).st_mode & 0o777 == 0o600


def test_goes_on_after_a_kill(recording):
    assert recording.start().stop(signal.SIGKILL) == -signal.SIGKILL
    with open(recording.trace, "a") as f:
        f.write("tick at=1.5s ent")  # a write that the kill ended
    code, out, err = run("replay", str(recording.trace))
    line = recording.trace.read_text().count("\n") + 1
    assert (code, out) == (2, "")
    assert re.fullmatch(rf"{recording.trace}:{line}: the recording is cut off in this line; the \d+ steps before it: all as recorded\n", err)
    recording.start().stop()
    code, out, err = run("replay", str(recording.trace))
    assert code == 0 and "3 segments, 0 gaps: all as recorded\n  1 run did not come to an end: killed, or still going on\n" in out, out + err


def test_a_difference(recording):
    line = edit(recording, "  READ op=1\n", "  READ op=7 causal\n")
    assert run("replay", str(recording.trace)) == (
        1, "", f"{recording.trace}:{line}: the core answers otherwise (step 1)\n  recorded: READ op=7 causal\n  now:      READ op=1\n")


def test_damage(recording):
    line = edit(recording, " answer=", " answer\x1b=")
    code, out, err = run("replay", str(recording.trace))
    assert (code, out) == (2, "") and err.startswith(f"{recording.trace}:{line}: column "), err
    assert "\x1b" not in err


def test_another_core(recording):
    edit(recording, " core=", " core=00")
    text = recording.trace.read_text()
    recording.trace.write_text(re.sub(r"( core=00[0-9a-f]{30})[0-9a-f]{2}", r"\1", text))
    code, out, err = run("replay", str(recording.trace))
    assert (code, out) == (2, "")
    assert re.fullmatch(rf"{recording.trace}: recorded by galera-lease \S+ with another core; this is \S+ \(core [0-9a-f]{{32}}\): "
                        "replay it with the program that recorded it\n", err), err


def test_as_a_scenario(recording):
    code, out, err = run("replay", "--scenario", str(recording.trace))
    assert (code, err) == (0, "")
    path = recording.trace.with_suffix(".txt")
    path.write_text(out)
    played = subprocess.run([str(BUILD / "tests/scenario/scenario"), "--rewrite", str(path)], capture_output=True, text=True)
    assert played.returncode == 0, played.stderr
    assert "NOTE note=role from=boot role=follower reason=start" in path.read_text()
    assert "\n  EXIT\n" in path.read_text()


def test_a_file_that_is_no_recording_is_left_alone(recording):
    recording.trace.write_text("important\n")
    process = subprocess.run([str(BINARY), "run", "--config", str(recording.config), "--trace", str(recording.trace)],
                             stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=10)
    assert process.returncode == 2 and "not started: this is no recording, or not a file of this user: give another name" in process.stderr
    assert recording.trace.read_text() == "important\n"
