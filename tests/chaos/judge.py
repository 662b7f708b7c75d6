"""The rules, judged from outside: the controllers' ticks and true ends, what they were answered, what is in the database.

S1 no two controllers act at once          S2 epochs rise at every start         S3 no guarded row of an old epoch after a takeover
S4 no release before the controller's end  S5 no promote twice for one start     L1 (chaos.py) healed: somebody leads
"""
import re
import time
from collections import Counter
from datetime import datetime, timezone

LINE = re.compile(r"^ts=(\S+) level=(\S+) event=(\S+) (.*)$")


class Reader:
    """The new whole lines of a file that grows."""

    def __init__(self, path):
        self.path = path
        self.offset = 0

    def lines(self):
        if not self.path.exists():
            return []
        with open(self.path, "rb") as file:
            file.seek(self.offset)
            data = file.read()
        whole = data[:data.rfind(b"\n") + 1]
        self.offset += len(whole)
        return whole.decode(errors="replace").splitlines()


def wall_to_boot(text):
    """Of this moment's relation of the clocks: to be asked soon after."""
    at = datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=timezone.utc)
    ns = int(at.timestamp() * 1000) * 1_000_000
    return ns - time.clock_gettime_ns(time.CLOCK_REALTIME) + time.clock_gettime_ns(time.CLOCK_BOOTTIME)


class Log:
    """What a sidecar and its guardian logged."""

    def __init__(self, member):
        self.member = member
        self.reader = Reader(member.log)
        self.events = []  # (boottime, event, text)

    def read(self):
        new = []
        for line in self.reader.lines():
            if m := LINE.match(line):
                new.append((wall_to_boot(m.group(1)), m.group(3), m.group(4)))
        self.events += new
        return new


class Jobs:
    """What the controllers were answered: for every key (epoch, pid, writer, seq) its last word."""

    def __init__(self, members):
        self.readers = [Reader(m.dir / "jobs") for m in members]
        self.answers = {}
        self.last_ok_ns = 0

    def read(self):
        for reader in self.readers:
            for line in reader.lines():
                at, pid, epoch, writer, seq, what, _ = line.split()
                self.answers[(int(epoch), int(pid), int(writer), int(seq))] = what
                if what == "ok":
                    self.last_ok_ns = max(self.last_ok_ns, int(at))


class Judge:
    def __init__(self, group, observer, order, causal):
        self.group = group
        self.causal = causal
        self.observer = observer
        self.order = order
        self.logs = [Log(m) for m in group.members]
        self.jobs = Jobs(group.members)
        self.promotes = [(m, Reader(m.dir / "promotes")) for m in group.members]
        self.promoted = {}
        self.known = set()
        self.counts = Counter()

    def problems(self, promised=True):
        """What is new since the last call. Every node must be up. Unless @promised, two that act are only counted."""
        found = self.acting() + self.releases() + self.history() + self.starts() + self.rows()
        new = [p for p in found if p not in self.known]
        self.known.update(new)
        if not promised:
            self.counts["overlaps that nobody excluded"] += sum(p.startswith("S1") for p in new)
            new = [p for p in new if not p.startswith("S1")]
        return new

    def acting(self):
        return [("S1: " if p.startswith("overlap") else "S2: ") + p for p in self.observer.judge()]

    # ------------------------------------------------------------ S4

    def releases(self):
        """A release that was sent while a controller of that member lived, or before a later tick of it."""
        found = []
        for log in self.logs:
            for at, event, text in log.read():
                if event == "write" and "kind=release" in text:
                    self.counts["releases"] += 1
                    found += self._release(log.member.name, at, text)
        return found

    def _release(self, name, at, text):
        end_of_ms = at + 1_000_000
        for member, pid, epoch, first, end in self.observer.spans():
            acted = self.observer.last_tick(member, pid, epoch)
            if member == name and first < at and max(acted, end) > end_of_ms:
                return [f"S4: {name} sends a release at {at / 1e9:.3f} ({text}), its controller {pid} of epoch {epoch} lives at {end / 1e9:.3f}"]
        return []

    def history(self):
        """As people read it, and in the order in which a sidecar told it: the stop of that epoch stands before its release."""
        rows = self.causal("SELECT member, epoch, what, origin, number FROM galera_lease.event WHERE lease = %s"
                           " AND what IN ('stopped', 'released')", (self.group.lease,))
        stopped = {}
        for _, epoch, what, origin, number in rows:
            if what == "stopped":
                stopped[(origin, epoch)] = min(number, stopped.get((origin, epoch), number))
        started = {(member, epoch) for member, _, epoch, _, _ in self.observer.spans()}
        return [f"S4: the history has {member} release epoch {epoch} (its event {number}), and no stop of it before"
                for member, epoch, what, origin, number in rows
                if what == "released" and (member, epoch) in started and stopped.get((origin, epoch), number) >= number]

    # ------------------------------------------------------------ S5

    def starts(self):
        found = []
        for member, reader in self.promotes:
            for line in reader.lines():
                epoch = int(line.split()[0])
                if epoch in self.promoted:
                    found.append(f"S5: promote ran twice for epoch {epoch}: on {self.promoted[epoch]} and on {member.name}")
                self.promoted[epoch] = member.name
        return found

    # ------------------------------------------------------------ S3

    def rows(self):
        """In this order: the answers, the rows, their places, and once more the answers."""
        self.jobs.read()
        answers = dict(self.jobs.answers)
        present = set(self.causal("SELECT epoch, pid, writer, seq FROM chaos.job WHERE lease = %s", (self.group.lease,)))
        for node in self.group.lab.nodes:
            self.order.harvest(node, running=True)
        self.jobs.read()
        found = [f"S3: a guarded row (epoch {key[0]}, pid {key[1]}, writer {key[2]}, number {key[3]}) is committed at place {place}, "
                 f"after epoch {epoch} began at place {begun}" for key, place, epoch, begun in self.order.stale()]
        found += [f"S3: the nodes' histories differ: {text}" for text in self.order.diverged]
        found += [f"S3: a row was answered OK and is not there: {key}" for key, what in answers.items() if what == "ok" and key not in present]
        found += [f"S3: a row was refused and is there: {key}" for key, what in answers.items() if what == "refused" and key in present]
        found += [f"S3: a row is there whose COMMIT was never sent: {key}" for key in present if key not in self.jobs.answers]
        found += [f"S3: a row is there and in no node's log, so nobody knows its place: {key}" for key in present if key not in self.order.jobs]
        self._count(answers, present)
        return found

    def _count(self, answers, present):
        unknown = [key for key, what in answers.items() if what in ("unknown", "send")]
        self.counts["guarded rows"] = len(present)
        self.counts["refused at COMMIT"] = sum(1 for what in answers.values() if what == "refused")
        self.counts["unknown"] = len(unknown)
        self.counts["of these there"] = sum(1 for key in unknown if key in present)
