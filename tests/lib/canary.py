"""Is the machine fit to judge how long something took? A process that does what a sidecar's loop does all the time: it sleeps a
little, replaces a small file and starts a program. Its longest round, without what it had no CPU for (as the sidecar measures
itself), says how long anybody may have to wait here."""
import os
import pathlib
import subprocess
import sys
import time

PAUSE = 0.02
# More often than the longest stall that is allowed: what holds up every start of a program for longer (a child that gets no CPU, a
# lock of the kernel's over control groups) cannot fall between two of ours, and is then seen for all but the time between them.
SPAWN_EVERY = 2


def pressure():
    """Seconds, since boot, in which somebody here was ready to run and had no CPU; all of them, where the kernel does not say."""
    try:
        return int(pathlib.Path("/proc/pressure/cpu").read_text().split()[4].removeprefix("total=")) / 1e6
    except OSError:
        return time.monotonic()


class Canary:
    def __init__(self, folder):
        self.begun, self.pressed = time.monotonic(), pressure()
        self.file = pathlib.Path(folder) / "canary"
        self.process = subprocess.Popen([sys.executable, __file__, str(self.file)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def worst(self):
        """Ends it. Seconds; without an end, where a sabotaged test has already ended all that bore its name."""
        out, _ = self.process.communicate()
        return float(out) if out else float("inf")

    def crowded(self):
        """The share of the time in which somebody had no CPU. A child that waits for one holds its parent up in posix_spawn, and the
        parent's own count of waiting does not know of it."""
        return (pressure() - self.pressed) / (time.monotonic() - self.begun)


def starved():
    """Seconds in which this process was ready to run and did not."""
    return int(pathlib.Path("/proc/thread-self/schedstat").read_text().split()[1]) / 1e9


def live(path):
    worst, count = 0.0, 0
    os.set_blocking(0, False)
    while True:
        begun, before = time.monotonic(), starved()
        time.sleep(PAUSE)
        pathlib.Path(path + ".new").write_text("alive\n")
        os.rename(path + ".new", path)
        count += 1
        if count % SPAWN_EVERY == 0:
            os.waitpid(os.posix_spawn("/bin/true", ["true"], {}), 0)
        worst = max(worst, time.monotonic() - begun - PAUSE - (starved() - before))
        try:
            if os.read(0, 1) == b"":
                break
        except BlockingIOError:
            pass
    print(worst)


if __name__ == "__main__":
    live(sys.argv[1])
