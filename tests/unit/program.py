"""The program as it is built, and a configuration that it takes."""
import os
import pathlib
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("GALERA_LEASE_BUILD", ROOT / "build"))
BINARY = BUILD / "sidecar/cli/galera-lease"

# Under AddressSanitizer looking for leaks takes longer than all the rest of a program that says no and ends; the tests of the parser and
# of each verb's code, and the fuzzer, look for them.
os.environ["ASAN_OPTIONS"] = f'{os.environ.get("ASAN_OPTIONS", "")}:detect_leaks=0'

# Everything that must be there, on line 1; what a test adds begins on line 2.
GOOD = ('name = "a"; endpoints = ("unix:/s"); user = "u"; promote = "HOOK"; demote = "HOOK"; fence = "HOOK"; '
        'check = "HOOK"; member = "m";\n').replace("HOOK", str(ROOT / "hooks/process"))


def run(*args, timeout=20):
    """(exit code, stdout, stderr)"""
    done = subprocess.run([str(BINARY), *args], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout)
    return done.returncode, done.stdout, done.stderr
