"""Stops a process so that it is stopped, or one thread of it, as a debugger does, and leaves the others alone."""
import contextlib
import ctypes
import os
import pathlib
import signal
import time

SEIZE, INTERRUPT, DETACH = 0x4206, 0x4207, 17
WALL = 0x40000000
libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
libc.ptrace.restype = ctypes.c_long


def ptrace(request, thread):
    if libc.ptrace(request, thread, None, None) != 0:
        raise OSError(ctypes.get_errno(), "ptrace", str(request))


def freeze(pid, timeout=10):
    """SIGSTOP, until it holds: kill() returns before every thread has heard of it, and until then one may still answer somebody."""
    os.kill(pid, signal.SIGSTOP)
    end = time.monotonic() + timeout
    while any(_state(task) not in "TtZX" for task in pathlib.Path(f"/proc/{pid}/task").iterdir()):
        if time.monotonic() > end:
            raise TimeoutError(f"process {pid} was not stopped within {timeout} s")
        time.sleep(0.001)


def _state(task):
    try:
        return (task / "stat").read_text().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return "X"


@contextlib.contextmanager
def frozen(thread):
    """The main thread has its process's number. To be used from one thread."""
    ptrace(SEIZE, thread)
    ptrace(INTERRUPT, thread)
    os.waitpid(thread, WALL)
    try:
        yield
    finally:
        ptrace(DETACH, thread)
