"""Judges a run from outside: what the controllers' own ticks and true ends say, never what a sidecar says."""
import os
import select
import threading
import time

from sidecars import wait_for


class Observer:
    """Notes the true end of every controller process through a pidfd, from its first tick on."""

    def __init__(self, group):
        self.group = group
        self.acts = {}  # (member, pid, epoch) -> [first tick, last tick]
        self.ends = {}  # … -> when the end was seen
        self.alive = {}  # … -> when it was last seen alive, of those that ended
        self.watched = {}
        self.stopping = False
        self.poll = select.poll()
        self.lock = threading.Lock()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.offsets = {}
        self.thread.start()

    def _new_ticks(self):
        for m in self.group.members:
            if not m.ticks.exists():
                continue
            with open(m.ticks) as f:
                f.seek(self.offsets.get(m.ticks, 0))
                text = f.read()
            end = text.rfind("\n") + 1
            self.offsets[m.ticks] = self.offsets.get(m.ticks, 0) + end
            for line in text[:end].splitlines():
                at, pid, epoch = map(int, line.split())
                key = (m.name, pid, epoch)
                if key in self.acts:
                    self.acts[key][1] = at
                else:
                    self.acts[key] = [at, at]
                    self._watch(key, pid)

    def _watch(self, key, pid):
        try:
            fd = os.pidfd_open(pid)
        except ProcessLookupError:
            return  # its last tick is its end
        self.watched[key] = fd
        self.poll.register(fd, select.POLLIN)

    def _run(self):
        looked = 0
        while not self.stopping:
            with self.lock:
                self._new_ticks()
            begun = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
            ready = {fd for fd, _ in self.poll.poll(5)}
            now = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
            with self.lock:
                for key in [k for k, fd in self.watched.items() if fd in ready]:
                    self.ends[key] = now  # before it is no longer watched: tests look without the lock
                    self.alive[key] = looked
                    fd = self.watched.pop(key)
                    self.poll.unregister(fd)
                    os.close(fd)
            looked = begun

    def last_tick(self, member, pid, epoch):
        return self.acts[(member, pid, epoch)][1]

    def spans(self):
        """
        (member, pid, epoch, start, end), by start. The end is the last tick; when it was last seen alive, where that was
        much later (it lived without acting); now for one that lives.
        """
        with self.lock:
            self._new_ticks()
            now = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
            found = []
            for key, (first, last) in self.acts.items():
                end = now if key in self.watched else last
                if self.alive.get(key, last) - last > 100e6:
                    end = self.alive[key]
                found.append((*key, first, end))
        return sorted(found, key=lambda s: s[3])

    def longest_gap_s(self):
        """How long no controller acted between two that did, at most; None: there were no two."""
        spans = self.spans()
        gaps = [after[3] - max(s[4] for s in spans[:i + 1]) for i, after in enumerate(spans[1:])]
        return round(max(gaps) / 1e9, 3) if gaps else None

    def stop(self):
        self.stopping = True
        self.thread.join()

    def judge(self):
        """No two controllers at once (S1), and a higher epoch at every start (S2)."""
        spans = self.spans()
        problems = []
        for before, after in zip(spans, spans[1:]):
            if after[2] <= before[2]:
                problems.append(f"epoch did not rise: {before} then {after}")
        for i, a in enumerate(spans):
            for b in spans[i + 1:]:
                if b[3] <= a[4] and a[1] != b[1]:
                    problems.append(f"overlap of {(a[4] - b[3]) / 1e6:.1f} ms: {a} and {b}")
        return problems


def spans(group):
    return group.observer.spans()


def watched(group):
    wait_for("the watch on the controller", lambda: group.observer.watched, 5)


def stopped(group, timeout):
    """In time, not some time."""
    wait_for("the controller's end", lambda: not group.observer.watched, timeout, strict=True)
