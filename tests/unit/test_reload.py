"""SIGHUP: what a running sidecar takes of its changed configuration, what it refuses, and what people are told of it."""
import json
import os
import re
import signal
import subprocess
import time

import pytest
from program import BINARY, BUILD, GOOD, run

RELOADABLE = {"address": '"there"', "check_failures": "4", "restarts": "1", "restart_window": '"90s"', "priority": "7",
              "notify_budget": '"3s"', "controller_version": '"2.0"', "controller_port": "9501", "history_days": "30",
              "log_level": '"debug"'}


class Running:
    """No database answers; that is no hindrance."""

    def __init__(self, folder):
        self.folder = folder
        self.path = folder / "x.conf"
        self.fixed = GOOD + (f'state_dir = "{folder}/state"; run_dir = "{folder}/run"; cgroup = "off"; '
                             f'libexec_dir = "{BUILD}/sidecar/guardian";\n')
        self.write("")
        self.log = folder / "log"
        self.process = subprocess.Popen([BINARY, "run", "--config", str(self.path)], stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=self.log.open("wb"))

    def write(self, text):
        self.path.write_text(self.fixed + text)

    def status(self):
        try:
            return json.loads((self.folder / "run/status.json").read_text())
        except OSError:
            return {}

    def wait(self, condition):
        end = time.monotonic() + 10
        while not condition():
            assert time.monotonic() < end and self.process.poll() is None, self.log.read_text()
            time.sleep(0.01)

    def reload(self, text):
        """What the log says of it, without times."""
        self.write(text)
        begun = self.log.stat().st_size
        self.process.send_signal(signal.SIGHUP)
        self.wait(lambda: re.search(r"event=reload .*(taken|mistakes)=", self.log.read_text()[begun:]))
        return [re.sub("^ts=\\S+ | lease=a", "", line).replace(str(self.path), "FILE")
                for line in self.log.read_text()[begun:].splitlines() if "event=reload" in line]


@pytest.fixture
def running(tmp_path):
    sidecar = Running(tmp_path)
    sidecar.wait(lambda: sidecar.status().get("role") == "follower")
    yield sidecar
    sidecar.process.terminate()
    assert sidecar.process.wait(10) == 0


def told(running):
    return run("status", "--config", str(running.path))[1].splitlines()


def test_what_may_change_changes(running):
    assert "reloaded:" not in "\n".join(told(running))
    lines = running.reload("".join(f"{name} = {value};\n" for name, value in RELOADABLE.items()))
    assert sorted(lines[:-1]) == sorted(
        f"level=info event=reload option={name} from={before} to={RELOADABLE[name].strip(chr(34)) if name in times else RELOADABLE[name]}"
        for times in [("restart_window", "notify_budget")] for name, before in
        {"address": '""', "check_failures": 3, "restarts": 3, "restart_window": "10m", "priority": 100, "notify_budget": "10s",
         "controller_version": '""', "controller_port": 0, "history_days": 90, "log_level": '"info"'}.items())
    assert lines[-1] == "level=info event=reload file=FILE taken=10 waiting=0"
    running.wait(lambda: running.status()["reload"]["at"] > 0)
    assert any(line.startswith("reloaded:   20") for line in told(running))
    # The same again is nothing new, and debug shows that the level counts.
    assert running.reload("".join(f"{name} = {value};\n" for name, value in RELOADABLE.items())) == [
        "level=info event=reload file=FILE taken=0 waiting=0"]
    # What is taken out of the file goes back to its default.
    assert running.reload("")[-1] == "level=info event=reload file=FILE taken=10 waiting=0"


def test_priority_reaches_the_core(running):
    running.reload("priority = 0;\n")
    running.wait(lambda: running.status()["why_not_leader"] == "Its priority is 0: it never leads.")
    running.reload("")
    running.wait(lambda: "priority" not in running.status()["why_not_leader"])


def test_mistakes_change_nothing(running):
    lines = running.reload('priority = 7;\nttl = "20";\nnonsense = 1;\nhistory_days = 0;\n')
    assert lines == ['level=error event=reload mistake="FILE:4: ttl: \\"20\\" is no duration: write a whole number and ms, s, m or h, '
                     'like \\"20s\\""',
                     'level=error event=reload mistake="FILE:5: nonsense: there is no such option"',
                     'level=error event=reload mistake="FILE:6: history_days: 0 is not between 1 and 36500"',
                     'level=error event=reload file=FILE mistakes=3 what="nothing is changed" action="mend it and reload"']
    running.wait(lambda: running.status()["reload"]["mistake"].startswith(f"{running.path}:4: ttl: "))
    running.write("")
    assert any("REFUSED, nothing changed: " in line for line in told(running))
    running.fixed, good = "name = ", running.fixed
    assert running.reload("")[0] == 'level=error event=reload mistake="FILE:1: syntax error"'
    running.fixed = good
    # Had the priority been taken, this would change it back.
    assert running.reload("") == ["level=info event=reload file=FILE taken=0 waiting=0"]
    running.wait(lambda: running.status()["reload"]["mistake"] == "")


def test_what_cannot_change_waits(running):
    lines = running.reload('priority = 7;\nttl = "30s";\nprecheck = "";\ncontroller_endpoint = "unix:/s";\n')
    assert lines == ["level=warning event=reload option=controller_endpoint file=FILE line=6 what=\"it can't change while the "
                     "sidecar runs\" action=\"kept as it was until the sidecar is started again\"",
                     "level=warning event=reload option=ttl file=FILE line=4 what=\"it can't change while the sidecar runs\" "
                     "action=\"kept as it was until the sidecar is started again\"",
                     "level=info event=reload option=priority from=100 to=7",
                     "level=info event=reload file=FILE taken=1 waiting=2"]
    running.wait(lambda: running.status()["reload"]["waits_for_restart"] == ["controller_endpoint", "ttl"])
    assert "waits for:  a restart, to change controller_endpoint, ttl" in told(running)
    running.reload("")
    running.wait(lambda: running.status()["reload"]["waits_for_restart"] == [])


def test_a_file_that_is_slow_to_come(running):
    """One reading at a time; asked for meanwhile, it is read once more, for the file may have changed behind the reader."""
    slow = running.folder / "slow"
    os.mkfifo(slow)
    running.write(f'priority = 7;\n@include "{slow}"\n')
    running.process.send_signal(signal.SIGHUP)
    time.sleep(0.3)  # it waits for somebody who writes
    running.write("priority = 8;\n")
    running.process.send_signal(signal.SIGHUP)
    time.sleep(0.1)
    slow.write_text("")
    running.wait(lambda: "from=100 to=7\n" in running.log.read_text())
    running.wait(lambda: "from=7 to=8\n" in running.log.read_text())


def test_before_there_is_anything_to_reload(tmp_path):
    """While it waits for another sidecar's lock, SIGHUP is kept."""
    first = Running(tmp_path)
    first.wait(lambda: first.status().get("role") == "follower")
    second = Running(tmp_path)
    second.wait(lambda: "event=lock" in second.log.read_text())
    second.process.send_signal(signal.SIGHUP)
    time.sleep(0.2)
    first.process.terminate()
    first.process.wait(10)
    second.wait(lambda: "event=reload" in second.log.read_text())
    second.process.terminate()
    assert second.process.wait(10) == 0
