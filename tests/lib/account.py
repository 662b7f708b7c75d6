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
    """What each start of a sidecar told the database, in its own order: (member, [(what, reason)])."""
    node = group.lab.nodes[0]
    if not node.causal("SELECT 1 FROM information_schema.tables WHERE table_schema = 'galera_lease' AND table_name = 'event'"):
        return []  # no test has used this cluster yet, nor has this one: it has a server of its own
    rows = node.causal(
        "SELECT origin, member, what, reason FROM galera_lease.event WHERE lease = %s AND origin IS NOT NULL ORDER BY origin, number", (group.lease,))
    told = {}
    for origin, member, what, reason in rows:
        told.setdefault((origin, member), []).append((what, reason))
    return [(member, events) for (_, member), events in told.items()]


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
            fits = who == "*" or (names[who] == name if who in names else name not in names.values())
            if fits and len(said) == len(words) and all(w in ("*", s) for w, s in zip(words, said)):
                if who != "*":
                    names[who] = name
                break
        else:
            return part
    return None


def untold(events, log):
    """The first of the events that the log does not tell, or not there, or None."""
    rest = iter(log)
    for what, reason in events:
        if not any(w == what and reason.startswith(r) for w, r in rest):
            return f"{what} ({reason})"
    return None


def contradictions(group):
    """What the history tells and no log of a member of that name does, in that order."""
    logs = {}
    for member in group.members:
        if member.log.exists():  # else it writes to somewhere else
            logs.setdefault(member.name, []).append([(what, reason) for _, what, reason, _, kept in of_log(member) if kept])
    found = []
    for member, events in of_history(group):
        first = [untold(events, log) for log in logs.get(member, [])]
        if first and None not in first:
            found.append(f"the history of {member} tells {first[0]}; its log does not, or not there")
    return found
