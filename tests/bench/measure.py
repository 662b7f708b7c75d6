"""What is read of processes, nodes and logs."""
import os
import re
from datetime import datetime


def log_times(text, pattern):
    return [datetime.fromisoformat(m.group(1)).timestamp() for m in re.finditer(r"ts=(\S+)Z " + pattern, text)]


def smaps(pid):
    """RSS and what of it is the process's own, in MB."""
    text = open(f"/proc/{pid}/smaps_rollup").read()
    return [int(re.search(rf"^{k}:\s+(\d+)", text, re.M).group(1)) / 1024 for k in ("Rss", "Anonymous")]


def cpu_s(pid, children=False):
    """User and system time, with children: also of those that ended and were waited for."""
    fields = open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()
    return sum(map(int, fields[11:15 if children else 13])) / os.sysconf("SC_CLK_TCK")


def counters(lab):
    """Statements that clients sent, and bytes that write sets took, over all nodes. The counting itself is three of them."""
    names = ("Questions", "Wsrep_replicated_bytes")
    found = dict.fromkeys(names, 0)
    for node in lab.nodes:
        for name, value in node.query("SHOW GLOBAL STATUS WHERE Variable_name IN %s", (names,)):
            found[name.capitalize()] += int(value)
    return [found[n] for n in names]


def statements_of_counting(lab):
    """What counting costs: two countings with nothing in between."""
    first = counters(lab)
    second = counters(lab)
    return second[0] - first[0]
