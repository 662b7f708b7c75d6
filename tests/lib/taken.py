"""Which changes of role the system suite's sidecars took, as their recordings tell; for tests/lib/check-taken."""
import os

from sidecars import BUILD

_edges, _reasons = {}, {}


def add(said):
    """What `galera-lease replay --json` said of one recording."""
    for edge in said.get("edges", []):
        key = (edge["from"], edge["to"])
        _edges[key] = _edges.get(key, 0) + edge["count"]
    for reason, count in said.get("reasons", {}).items():
        _reasons[reason] = _reasons.get(reason, 0) + count


def write(driver):
    """Only a run that recorded something has something to say; there may be several at a time."""
    if not _edges:
        return
    lines = [f"edge {a} {b} {n}" for (a, b), n in sorted(_edges.items())] + [f"reason {r} {n}" for r, n in sorted(_reasons.items())]
    (BUILD / "taken").mkdir(exist_ok=True)
    (BUILD / "taken" / f"{driver}.{os.getpid()}").write_text("\n".join(lines) + "\n")
