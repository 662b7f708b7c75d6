"""Sidecars under test: real processes in their host's namespace, real hooks, and a look from outside."""
import json
import os
import pathlib
import signal
import subprocess
import time

from freezer import freeze

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("GALERA_LEASE_BUILD", ROOT / "build"))
BINARY = BUILD / "sidecar/cli/galera-lease"
LIBEXEC = BUILD / "sidecar/guardian"
TICKER = BUILD / "tests/lib/ticker"


def boottime_ns():
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


PATIENT_FROM = 5  # seconds: a wait as long as this is for something to come at all, and not a bound on how fast
patience = int(os.environ.get("PATIENCE", 3))  # such waits are so much longer where the machine is crowded; 1 where they are meant to run out
closest = {"used": 0.0, "what": ""}  # of the waits that came true since a test began, the one that took most of its time


def wait_for(what, condition, timeout, strict=False):
    """The value of condition() once it is true; an error that names `what` after `timeout` seconds. Strict: it is a bound on how fast."""
    begun, limit = time.monotonic(), timeout * (patience if timeout >= PATIENT_FROM and not strict else 1)
    while True:
        value = condition()
        took = time.monotonic() - begun
        if value:
            if took / limit > closest["used"]:
                closest.update(used=took / limit, what=what)
            return value
        if took > limit:
            raise TimeoutError(f"{what}: not within {timeout} s")
        time.sleep(0.01)


class Raw(str):
    """An option's value as it stands in the configuration."""


class Sidecar:
    def __init__(self, group, node, name=None, folder=None, **options):
        self.group = group
        self.node = node
        self.name = name or f"m{node.index}"
        self.dir = group.dir / (folder or self.name)
        self.dir.mkdir()
        self.state = self.dir / "state"
        self.run = self.dir / "run"
        self.log = self.dir / "log"
        self.ticks = self.dir / "ticks"
        self.trace = self.dir / "trace"  # None: not recorded
        self.process = None
        self.binary = BINARY
        self.environment = {}
        self.cwd = None
        self.disturbed = False  # stopped and continued: what it measured meanwhile is not its own doing
        self.command = f"{TICKER} {self.ticks}"
        self.endpoints = None  # its own node's socket, then the others
        self.options = {"ttl": "6s", "check_interval": "500ms", "restarts": 0} | options
        self.hook = {h: str(ROOT / "hooks/process") for h in ("promote", "demote", "fence", "check")}

    def write_config(self):
        self.state.mkdir(exist_ok=True)
        (self.state / "process.conf").write_text(f'COMMAND="{self.command}"\n')
        nodes = [self.node] + [n for n in self.group.lab.nodes if n is not self.node]
        endpoints = self.endpoints or [f"unix:{nodes[0].socket}"] + [f"{n.address}:3306" for n in nodes[1:]]
        settings = {"name": self.group.lease, "member": self.name, "address": self.node.address, "user": "sidecar",
                    "password_file": str(self.group.dir / "password"), "tls": False, "state_dir": str(self.state),
                    "run_dir": str(self.run), "libexec_dir": str(LIBEXEC)} | self.hook | self.options
        lines = [f"{k} = {v if isinstance(v, Raw) else json.dumps(v)};" for k, v in settings.items()]
        lines.append(f"endpoints = ({', '.join(json.dumps(e) for e in endpoints)});")
        self.config = self.dir / "config"
        self.config.write_text("\n".join(lines) + "\n")

    def start(self):
        if self.group.sabotage:
            self.group.sabotage(self)
        self.write_config()
        recording = ["--trace", str(self.trace)] if self.trace else []
        self.process = subprocess.Popen(
            ["nsenter", f"--net=/run/netns/{self.node.ns}", str(self.binary), "run", "--config", str(self.config), *recording],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=open(self.log, "ab"), start_new_session=True,
            env=os.environ | self.environment, cwd=self.cwd)
        return self

    def cli(self, *args, timeout=30, inside=False):
        """A verb; with inside, on the member's host, for endpoints that only hosts reach."""
        where = self.node.inside() if inside else []
        return subprocess.run([*where, str(BINARY), *args[0].split(), "--config", str(self.config), *args[1:]],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=timeout)

    def status(self):
        try:
            status = json.loads((self.run / "status.json").read_text())
        except (OSError, ValueError):
            return {}
        return status if status["pid"] == self.process.pid else {}  # not of an earlier run

    def role(self):
        return self.status().get("role")

    def guardian(self):
        return self.status().get("guardian_pid") or 0

    def signal(self, number):
        if number == signal.SIGSTOP:
            self.disturbed = True
            freeze(self.process.pid)
        else:
            self.process.send_signal(number)

    def kill(self):
        self.signal(signal.SIGKILL)
        self.process.wait()

    def terminate(self, timeout=30):
        self.signal(signal.SIGTERM)
        return self.process.wait(timeout)

    def replay(self):
        """What replay says of its recording; None: it never took a step."""
        if not self.trace or "event=role " not in self.log_text():
            return None
        done = subprocess.run([str(self.binary), "replay", "--json", str(self.trace)], capture_output=True, text=True, timeout=60)
        if done.returncode == 0:
            return json.loads(done.stdout)
        said = json.loads(done.stdout or "{}")
        # A write that a signal ended leaves half a line; what stands before it was compared.
        if self.process.returncode in (-signal.SIGKILL, -signal.SIGABRT) and said.get("what") == "the recording is cut off in this line":
            return said
        again = subprocess.run([str(self.binary), "replay", str(self.trace)], capture_output=True, text=True, timeout=60)
        raise AssertionError(f"{self.name}: replay: exit {done.returncode}: {again.stdout}{again.stderr}")

    def log_text(self):
        return self.log.read_text() if self.log.exists() else ""

    def starts(self):
        """Every controller process that ever ticked: (pid, epoch, first tick, last tick)."""
        found = {}
        if self.ticks.exists():
            for line in self.ticks.read_text().splitlines():
                parts = line.split()
                if len(parts) == 3:
                    at, pid, epoch = map(int, parts)
                    first = found.get((pid, epoch), (at, at))[0]
                    found[(pid, epoch)] = (first, at)
        return [(pid, epoch, first, last) for (pid, epoch), (first, last) in found.items()]


class Group:
    """The sidecars of one lease. Each test has a lease of its own: a row never held is simply free."""

    def __init__(self, lab, directory, lease):
        self.lab = lab
        self.dir = directory
        self.lease = lease
        self.sabotage = None  # what is done to a member before it starts
        (directory / "password").write_text("secret\n")
        (directory / "password").chmod(0o600)
        self.members = []
        self.replayed = None

    def add(self, index, **options):
        self.members.append(Sidecar(self, self.lab.nodes[index - 1], **options))
        return self.members[-1]

    def init(self):
        first = self.members[0]
        first.write_config()
        done = first.cli("init", "--socket", str(first.node.socket))
        assert done.returncode == 0, done.stderr
        return self

    def start(self):
        for m in self.members:
            m.start()
        return self

    def stalls(self):
        """Name -> the longest that a callback kept the loop, in seconds, without what the machine had no CPU for. Only of those
        that run as they are: not frozen on the way, not with other people's code in them, nor with a sanitizer's."""
        if "SANITIZED" in os.environ:
            return {}
        stalls = {}
        for m in self.members:
            status = m.status() if m.process and not m.disturbed and not m.environment else {}
            if status:  # else it ended before it wrote one, or was never started
                stalls[m.name] = status["loop_stall_own_max_us"] / 1e6
        return stalls

    def leader(self):
        """The living member that says it leads, with the highest epoch: a frozen one still says what it said last."""
        leading = [m for m in self.members if m.role() == "leader" and m.process.poll() is None]
        return max(leading, key=lambda m: m.status().get("epoch", 0), default=None)

    def wait_leader(self, timeout=20, other_than=None):
        return wait_for("a leader", lambda: (lambda l: l if l and l is not other_than else None)(self.leader()), timeout)

    def left(self):
        """Whatever still runs of this group: (pid, command line)."""
        found = []
        for entry in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
            try:
                words = entry.read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
            if f"{self.dir}/" in words or self._guards(entry.parent, words):
                found.append((int(entry.parent.name), words.strip()))
        return found

    def _guards(self, process, words):
        """A guardian is told nothing but numbers; the lock that it holds is the group's."""
        if "galera-lease-guardian" not in words:
            return False
        try:
            return any(str(fd.readlink()).startswith(f"{self.dir}/") for fd in (process / "fd").iterdir())
        except OSError:
            return False  # it has just ended

    def slay(self):
        """What a sabotage let live must not outlive its test."""
        for pid, _ in self.left():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass

    def end(self):
        for m in self.members:
            if m.process and m.process.poll() is None:
                m.signal(signal.SIGCONT)
                m.signal(signal.SIGTERM)
        for m in self.members:
            if m.process:
                try:
                    m.process.wait(30)
                except subprocess.TimeoutExpired:
                    m.kill()

    def replay(self):
        """Every sidecar's recording, told to the core again: what each said. After end()."""
        if self.replayed is None:
            self.replayed = [said for said in (m.replay() for m in self.members if m.process) if said]
        return self.replayed
