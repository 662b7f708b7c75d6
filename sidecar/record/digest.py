#!/usr/bin/env python3
"""What tells one core from another: a digest of its sources and of the machine it is for. digest.py OUTPUT MACHINE FILE..."""
import hashlib
import sys


def main(output, machine, files):
    digest = hashlib.sha256(machine.encode())
    for path in files:
        with open(path, "rb") as file:
            digest.update(file.read())
    with open(output, "w", encoding="ascii") as file:
        file.write("/* Made from sidecar/core at build time. */\n#pragma once\n#define CORE_DIGEST \"%s\"\n" % digest.hexdigest()[:32])


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3:])
