"""What somebody reads the morning after: the logs of a group as one account, and whether the history tells the same."""
import re

ROLES = {"promoting": "promoting", "leader": "leading", "demoting": "demoting", "fenced": "fenced"}
NOTES = ("acquired", "released", "stopped", "lost", "rogue", "regression", "no-row", "unstopped", "double", "hold", "unhold")
LINE = re.compile(r"^ts=(\S+) level=\w+ event=(\S+) (.*)$")


def _fields(rest):
    return dict(re.findall(r'(\w+)=("(?:[^"\\]|\\.)*"|\S+)', rest))


def of_log(member):
    """(at, what, reason, epoch, in the history too) of each line that tells of the lease."""
    found = []
    for line in member.log_text().splitlines():
        m = LINE.match(line)
        if not m:
            continue
        at, event, rest = m.groups()
        f = _fields(rest)
        if event == "role" and f.get("to") in ROLES:
            found.append((at, ROLES[f["to"]], f["reason"], int(f["epoch"]), True))
        elif event == "double":
            found.append((at, event, "double", None, True))
        elif event in NOTES and "reason" in f:
            found.append((at, event, f["reason"], int(f["epoch"]), True))
        elif event in ("fence", "fence-unconfirmed", "rogue"):
            found.append((at, event, f.get("reason", ""), int(f["epoch"]), False))
    return found


def account(group):
    """All logs as one, by their times: "m1 leading free 1"."""
    lines = [(at, m.name, what, reason, epoch) for m in group.members for at, what, reason, epoch, _ in of_log(m)]
    return [f"{name} {what} {reason} {epoch}" for _, name, what, reason, epoch in sorted(lines, key=lambda entry: entry[0])]


def of_history(group):
    """member -> [(what, reason)] as the database has it, in the order in which that member's sidecars told it."""
    rows = group.lab.nodes[0].causal(
        "SELECT member, origin, number, at, what, reason FROM galera_lease.event WHERE lease = %s AND origin IS NOT NULL", (group.lease,))
    began = {}
    for _, origin, _, at, _, _ in rows:
        began[origin] = min(at, began.get(origin, at))
    told = {}
    for member, _, _, _, what, reason in sorted(rows, key=lambda row: (began[row[1]], row[2])):
        told.setdefault(member, []).append((what, reason))
    return told


def missing(story, lines):
    """
    The first part of a story ("L leading free 1; O acquired expired 2") that the lines do not tell at its place, or None. L and O
    are whoever comes first in that part; "*" is anything.
    """
    names, rest = {}, iter(lines)
    for part in filter(None, story.split("; ")):
        who, *words = part.split()
        for line in rest:
            name, *said = line.split(" ")
            if (names.get(who, name) == name and name not in [n for w, n in names.items() if w != who]
                    and len(said) == len(words) and all(w in ("*", s) for w, s in zip(words, said))):
                names[who] = name
                break
        else:
            return part
    return None


def contradictions(group):
    """What the history tells and the log of that member does not, in that order."""
    found = []
    told = of_history(group)
    for member in group.members:
        if not member.log.exists():
            continue  # it writes to somewhere else
        log = [(what, reason) for _, what, reason, _, kept in of_log(member) if kept]
        rest = iter(log)
        for what, reason in told.get(member.name, []):
            if not any(w == what and reason.startswith(r) for w, r in rest):
                found.append(f"the history of {member.name} tells {what} ({reason}), its log does not, or not there")
                break
    return found
