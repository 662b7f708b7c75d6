#!/usr/bin/env python3
"""Turns the schema files into a C header: embed.py OUTPUT FILE..."""
import os
import sys


def main(output, files):
    out = ["/* Made from sql/ at build time. */", "#pragma once",
           "static const struct { const char *name, *text; } schema_files[] = {"]
    for path in files:
        out.append('    {"%s",' % os.path.basename(path))
        with open(path, encoding="ascii") as file:
            for line in file:
                text = line.rstrip("\n").replace("\\", "\\\\").replace('"', '\\"')
                out.append('     "%s\\n"' % text)
        out.append("    },")
    out.append("};")
    with open(output, "w", encoding="ascii") as file:
        file.write("\n".join(out) + "\n")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
