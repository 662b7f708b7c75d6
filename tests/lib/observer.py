"""Judges a run from outside: what the controllers' own ticks and true ends say, never what a sidecar says."""
import os
import select
import threading
import time


class Observer:
    """Notes the true end of every controller process through a pidfd, from its first tick on."""

    def __init__(self, group):
        self.group = group
        self.ends = {}
        self.watched = {}
        self.stopping = False
        self.poll = select.poll()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.offsets = {}
        self.thread.start()

    def _new_processes(self):
        for m in self.group.members:
            if not m.ticks.exists():
                continue
            with open(m.ticks) as f:
                f.seek(self.offsets.get(m.name, 0))
                text = f.read()
                end = text.rfind("\n") + 1
                self.offsets[m.name] = self.offsets.get(m.name, 0) + end
            for line in text[:end].splitlines():
                _, pid, epoch = map(int, line.split())
                key = (m.name, pid, epoch)
                if key not in self.watched and key not in self.ends:
                    try:
                        fd = os.pidfd_open(pid)
                    except ProcessLookupError:
                        continue  # its last tick is its end
                    self.watched[key] = fd
                    self.poll.register(fd, select.POLLIN)

    def _run(self):
        while not self.stopping:
            self._new_processes()
            ready = {fd for fd, _ in self.poll.poll(5)}
            now = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
            for key in [k for k, fd in self.watched.items() if fd in ready]:
                fd = self.watched.pop(key)
                self.poll.unregister(fd)
                os.close(fd)
                self.ends[key] = now

    def spans(self):
        """
        (member, pid, epoch, start, end), by start. The end is the last tick; the true end where that came much later
        (it lived without acting); now for one that lives.
        """
        now = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
        found = []
        for m in self.group.members:
            for pid, epoch, first, last in m.starts():
                end = now if (m.name, pid, epoch) in self.watched else last
                true_end = self.ends.get((m.name, pid, epoch), last)
                if true_end - last > 100e6:
                    end = true_end
                found.append((m.name, pid, epoch, first, end))
        return sorted(found, key=lambda s: s[3])

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
