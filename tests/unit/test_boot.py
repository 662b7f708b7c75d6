"""The start of a sidecar: what it knows from before. No database answers; that is no hindrance."""
import os
import re
import subprocess
import time

from program import BINARY, BUILD, GOOD

HELD_UP = 1.5
STORED = 6.0  # seconds that were left when the state file was written


def write_state(path):
    """As a sidecar of this boot wrote it just now. Returns when that was."""
    boot = open("/proc/sys/kernel/random/boot_id", encoding="ascii").read().strip()
    at = [time.clock_gettime_ns(c) for c in (time.CLOCK_BOOTTIME, time.CLOCK_MONOTONIC_RAW, time.CLOCK_MONOTONIC)]
    text = (f"galera-lease state 1\nboot {boot}\nepoch_seen 7\nnonce {'ab' * 16}\nepoch 7\nremaining_ns {int(STORED * 1e9)}\n"
            f"at {at[0]} {at[1]} {at[2]}\n")
    total = 0xcbf29ce484222325
    for byte in text.encode():
        total = (total ^ byte) * 0x100000001b3 % 2 ** 64
    path.write_text(f"{text}sum {total:016x}\n")
    return at[0] / 1e9


def test_held_up_between_the_state_file_and_the_core(tmp_path):
    """The stored deadline comes no later for it (R1, R7): what remained of it when it was read has run out meanwhile."""
    for folder in ("state", "run"):
        (tmp_path / folder).mkdir()
    os.mkfifo(tmp_path / "run/incarnation")  # read after the state file: nobody writes, so the start waits here
    (tmp_path / "conf").write_text(GOOD + f'state_dir = "{tmp_path}/state"; run_dir = "{tmp_path}/run"; cgroup = "off"; '
                                   f'ttl = "6s"; libexec_dir = "{BUILD}/sidecar/guardian";\n')
    written = write_state(tmp_path / "state/state")
    log, trace = tmp_path / "log", tmp_path / "trace"
    process = subprocess.Popen([BINARY, "run", "--config", str(tmp_path / "conf"), "--trace", str(trace)],
                               stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=log.open("wb"))
    try:
        end = time.monotonic() + 10
        while "event=state " not in log.read_text():
            assert time.monotonic() < end and process.poll() is None, log.read_text()
            time.sleep(0.01)
        assert "resume=maybe" in log.read_text()
        time.sleep(HELD_UP)
        let_go = time.clock_gettime(time.CLOCK_BOOTTIME)
        os.close(os.open(tmp_path / "run/incarnation", os.O_WRONLY))
        while not (told := re.search(r"^start .*remaining=([\d.]+)s", trace.read_text() if trace.exists() else "", re.M)):
            assert time.monotonic() < end + HELD_UP and process.poll() is None, log.read_text()
            time.sleep(0.01)
    finally:
        process.terminate()
        process.wait(30)
    assert 0 < float(told[1]) <= STORED - (let_go - written)


def handed_over(folder, wrapper=()):
    """What a start was told of the incarnation before it."""
    trace = folder / "trace"
    trace.unlink(missing_ok=True)
    process = subprocess.Popen([*wrapper, BINARY, "run", "--config", str(folder / "conf"), "--trace", str(trace)], stdin=subprocess.DEVNULL,
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    end = time.monotonic() + 10
    try:
        while not (told := re.search(r"^start .*$", trace.read_text() if trace.exists() else "", re.M)):
            assert time.monotonic() < end and process.poll() is None
            time.sleep(0.01)
    finally:
        process.terminate()
        process.wait(30)
    return re.findall(r"incarnation=(\w+)", told[0])


def test_the_name_of_another_boot_is_not_taken_over(tmp_path):
    """A run_dir that outlives the boot is in the image of its disk, and a clone must not take the name of the living original (R10)."""
    (tmp_path / "conf").write_text(GOOD + f'state_dir = "{tmp_path}/state"; run_dir = "{tmp_path}/run"; cgroup = "off"; '
                                   f'libexec_dir = "{BUILD}/sidecar/guardian";\n')
    (tmp_path / "boot").write_text("01234567-89ab-cdef-0123-456789abcdef\n")
    assert handed_over(tmp_path) == []
    first = (tmp_path / "run/incarnation").read_bytes()[-16:].hex()
    assert handed_over(tmp_path) == [first]
    other = ["unshare", "--mount", "sh", "-c", f'mount --bind {tmp_path}/boot /proc/sys/kernel/random/boot_id && exec "$@"', "sh"]
    assert handed_over(tmp_path, other) == []
    (tmp_path / "run/incarnation").write_bytes(b"x" * 16)  # of an older version: of no known boot
    assert handed_over(tmp_path) == []
