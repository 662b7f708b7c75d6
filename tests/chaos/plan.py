"""What will be done to the cluster: a seed decides everything. And what will not, by name and with the reason.

Hosts are named by their part at the beginning of a round (leader, second, third): who that is, is seen when it begins.
"""
import random
from dataclasses import dataclass

HOSTS = ("leader", "second", "third")


@dataclass(frozen=True)
class Kind:
    """A sort of fault. One of its object can be under way on a host at a time; a wide one has the whole cluster for itself."""
    name: str
    weight: int
    shortest_s: float
    longest_s: float
    wide: bool = False

    @property
    def promised(self):
        return self.name not in NEVER

    @property
    def object(self):
        return self.name.split(".")[0]


@dataclass(frozen=True)
class Fault:
    kind: Kind
    host: str
    after_s: float
    lasts_s: float

    def __str__(self):
        where = "" if self.kind.wide else f" on {self.host}"
        return f"{self.kind.name}{where} at {self.after_s:.1f} s for {self.lasts_s:.1f} s"


@dataclass(frozen=True)
class Round:
    number: int
    faults: tuple
    pause_s: float

    @property
    def promised(self):
        return all(f.kind.promised for f in self.faults)


KINDS = (
    Kind("sidecar.kill", 6, 0.05, 8), Kind("sidecar.freeze", 6, 0.5, 12), Kind("sidecar.stop", 4, 0.05, 5),
    Kind("guardian.kill", 4, 0.1, 1), Kind("guardian.kill-again", 2, 0.3, 1.5), Kind("guardian.freeze", 4, 0.2, 8),
    Kind("guardian.stop", 3, 0.1, 1),
    Kind("controller.kill", 4, 0.1, 1), Kind("controller.freeze", 6, 0.5, 12), Kind("controller.stop", 2, 0.1, 1),
    Kind("database.kill", 5, 0.5, 8), Kind("database.freeze", 6, 0.5, 12), Kind("database.stop", 3, 0.5, 5),
    Kind("net.cut", 6, 1, 12), Kind("net.deaf", 4, 1, 10), Kind("net.mute", 4, 1, 10), Kind("net.galera-deaf", 4, 1, 10),
    Kind("net.galera-mute", 4, 1, 10), Kind("net.sql-cut", 2, 1, 8),
    Kind("applier.held", 5, 1, 7), Kind("ddl.long", 3, 1, 5),
    Kind("promote.slow", 3, 4, 12), Kind("promote.hang", 2, 4, 12), Kind("promote.fail", 3, 4, 12),
    Kind("demote.slow", 3, 4, 12), Kind("demote.hang", 4, 4, 12), Kind("demote.fail", 3, 4, 12),
    Kind("check.slow", 3, 2, 10), Kind("check.hang", 3, 2, 10), Kind("check.fail", 2, 2, 10),
    Kind("ask.step-down", 4, 0.1, 0.2), Kind("ask.switchover", 4, 0.1, 0.2), Kind("ask.hold", 2, 0.1, 0.2), Kind("ask.unhold", 1, 0.1, 0.2),
    Kind("cluster.kill", 1, 1, 4, wide=True), Kind("cluster.split", 2, 2, 10, wide=True),
)

# With --beyond: a controller outlives its lease. Then S1 is not judged, and all the others are: above all, no row of it is committed.
BEYOND = (Kind("host.abandon", 25, 7, 14), Kind("host.freeze", 25, 7, 14))

# Worlds in which the controller may outlive its lease: nobody promised otherwise, and only guarded rows are safe there. The
# simulator has them as controls, the self-test of this suite as sabotage.
NEVER = {
    "host.abandon": "sidecar and guardian killed: nobody is left who stops the controller",
    "host.freeze": "a host that stands still as a whole has no clock that runs: its controller acts on until somebody there wakes",
    "fence.slow": "a fence hook must kill within its share of K: one that does not is a controller that cannot be killed",
    "fence.hang": "the same",
    "check.lies": "'stopped' from a check hook is taken for true: nothing else says so",
    "controller.immortal": "a controller that cannot be killed is stopped by nobody",
    "hook.freeze": "a frozen fence or demote hook is a fence that does not kill",
    "cluster.stale-bootstrap": "a cluster bootstrapped from a node that lags has lost commits that nobody can observe",
}


def _hit(faults, host, *names):
    return any(f.host == host and not f.kind.wide and f.kind.name in names for f in faults)


def _on_one_host(first, second):
    return lambda faults: any(_hit(faults, h, *first) and _hit(faults, h, *second) for h in HOSTS)


NOT_TOGETHER = {
    "sidecar and guardian of one host both killed or frozen: nobody is left who stops the controller in time":
        _on_one_host(("sidecar.kill", "sidecar.freeze"), ("guardian.kill", "guardian.kill-again", "guardian.freeze")),
    "guardian frozen, and a demote hook that does not stop: only the guardian kills a controller":
        _on_one_host(("guardian.freeze",), ("demote.slow", "demote.hang", "demote.fail")),
    "guardian frozen, and a check hook that does not say 'stopped': only the guardian goes on trying":
        _on_one_host(("guardian.freeze",), ("check.slow", "check.hang", "check.fail")),
}


HOOKS = {"promote", "demote", "check"}
REASONS_TO_STOP = tuple(k for k in KINDS if k.name in ("ask.step-down", "ask.switchover", "sidecar.stop", "controller.kill"))


def _draw(rng, kinds=KINDS):
    kind = rng.choices(kinds, [k.weight for k in kinds])[0]
    host = "leader" if kind.object == "controller" or kinds is not KINDS else rng.choices(HOSTS, (6, 2, 2))[0]
    return Fault(kind, host, rng.uniform(0, 2.5), rng.uniform(kind.shortest_s, kind.longest_s))


def _fits(faults, new):
    """Two faults of one object would undo each other's healing."""
    for f in faults:
        wide = (f.kind.wide or new.kind.wide) and {f.kind.object, new.kind.object} & {"cluster"}
        if wide and {f.kind.object, new.kind.object} & {"database", "net", "applier", "ddl", "cluster"} - {"cluster"}:
            return False
        if {f.kind.object, new.kind.object} - {"sidecar", "guardian", "controller"} == {"host"} and f.host == new.host:
            return False
        if f.kind.object == new.kind.object and (f.host == new.host or f.kind.wide or f.kind.object in ("applier", "ddl", "ask")):
            return False
    return True


def not_promised(faults):
    """Why this set of faults is left out; None: it is promised."""
    return next((why for why, applies in NOT_TOGETHER.items() if applies(faults)), None)


def rounds(seed, count, beyond=False):
    """
    Rounds with @count faults in all, and how often each reason left something out. More faults: the same ones first.
    With @beyond each round has one of the worlds in which a controller outlives its lease.
    """
    rng = random.Random(seed)
    found, left_out, made = [], {}, 0
    while made < count:
        wanted = rng.choices((1, 2, 3, 4), (20, 35, 30, 15))[0]
        faults = [_draw(rng, BEYOND)] if beyond else []
        while len(faults) < wanted:
            new = _draw(rng)
            if not _fits(faults, new):
                continue
            why = not_promised([*faults, new])
            if why:
                left_out[why] = left_out.get(why, 0) + 1
                continue
            faults.append(new)
        if {f.kind.object for f in faults} <= HOOKS:  # a hook that nobody calls is no fault
            faults.append(_draw(rng, REASONS_TO_STOP))
        pause = rng.uniform(0.2, 2)
        found.append(Round(len(found) + 1, tuple(faults), pause))
        made += len(faults)
    return found, left_out
