#!/usr/bin/python3
"""Chaos on a real three-node Galera: what a seed says is done to it, then it is healed and judged.

    chaos.py [--seed S] [--faults N] [--beyond] [--plan]
    chaos.py --self-test

--beyond: worlds that are not promised, where a controller outlives its lease: only the guard protects there, and all but S1 is
judged. --plan: only tells what would be done. --self-test: sabotage, and every rule is seen to fire.

The seed is printed first and decides everything that is done; how the processes take it is theirs. A run that found something
keeps its logs and a timeline in build/chaos-SEED. Ends with "N passed, N failed"; a round is a test.
"""
import argparse
import pathlib
import random
import shutil
import sys
import threading
import time
from collections import Counter

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))

import plan  # noqa: E402
from faults import Act  # noqa: E402
from judge import Judge  # noqa: E402
from sidecars import BUILD  # noqa: E402
from world import PROMOTE_S, TTL_S, World, new_lab  # noqa: E402

LEAD_LIMIT_S = (2 * TTL_S + PROMOTE_S) * 1.1
HOLD_S = 12  # as long as faults.py asks for
BACKOFF_S = 2 * TTL_S  # after a failed promote or an unhealthy controller, where all three have to back off
WORK_LIMIT_S = 10
PROBLEMS_MAX = 20
ROUND_MIN_S = 5  # what was asked for takes effect
NOTEWORTHY = {"role", "acquired", "released", "stopped", "lost", "rogue", "fence", "fence-unconfirmed", "hook-start", "hook-kill",
              "regression", "no-row", "unstopped", "guardian", "lock", "request", "assert", "double"}


class Timeline:
    """What was done, what the sidecars said of it, and what the controllers did, in one order."""

    def __init__(self):
        self.lines = []

    def note(self, text):
        self.lines.append((time.clock_gettime_ns(time.CLOCK_BOOTTIME), "chaos", text))

    def tell(self, world, judge):
        lines = list(self.lines)
        for log in judge.logs:
            log.read()
            lines += [(at, log.member.name, f"{event} {text}") for at, event, text in log.events
                      if event in NOTEWORTHY or (event == "write" and "renew" not in text)]
        for member, pid, epoch, first, end in world.observer.spans():
            lines.append((first, member, f"CONTROLLER pid {pid} epoch {epoch} begins to act"))
            lines.append((end, member, f"CONTROLLER pid {pid} epoch {epoch} acted last, or was last seen alive"))
        return [f"{at / 1e9:12.3f} {who:6} {text}\n" for at, who, text in sorted(lines)]


class Run:
    def __init__(self, seed, world):
        self.seed = seed
        self.world = world
        self.timeline = Timeline()
        self.judge = Judge(world.group, world.observer, world.order, world.causal)
        self.done = Counter()
        self.recoveries = []

    def begin(self):
        self.world.group.start()
        self._wait_leader(30)

    def _wait_leader(self, limit_s):
        begun = time.monotonic()
        while not self.world.leads():
            if time.monotonic() - begun > limit_s:
                return None
            time.sleep(0.02)
        return time.monotonic() - begun

    def _act(self, fault, member, start):
        what = f"{fault.kind.name} {member.name if not fault.kind.wide else ''}"
        act = Act(self.world, fault, member)
        try:
            time.sleep(max(0.0, start + fault.after_s - time.monotonic()))
            self.timeline.note(f"{what}: begins")
            said = act.begin()
            self.timeline.note(f"{what}: {said or 'done'}")
            time.sleep(max(0.0, start + fault.after_s + fault.lasts_s - time.monotonic()))
            said = act.end()
            self.timeline.note(f"{what}: ended{', ' + said if said else ''}")
        except Exception as error:  # what could not be done is the lab's fault, and must be seen
            self.timeline.note(f"{what}: {type(error).__name__}: {error}")
            self.broken.append(f"LAB: {what}: {type(error).__name__}: {error}")

    def _parts(self):
        """Who is the leader, the second and the third in this round."""
        leader = self.world.leads() or self.world.group.members[0]
        others = [m for m in self.world.group.members if m is not leader]
        if self.seed % 2:
            others.reverse()
        return dict(zip(plan.HOSTS, [leader, *others]))

    def round(self, r):
        """Its problems."""
        self.broken = []  # what could not be done or undone
        parts = self._parts()
        self.timeline.note(f"ROUND {r.number}: " + ", ".join(f"{p} is {m.name}" for p, m in parts.items()))
        start = time.monotonic()
        threads = [threading.Thread(target=self._act, args=(f, parts[f.host], start)) for f in r.faults]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        time.sleep(max(0.0, start + ROUND_MIN_S - time.monotonic()))
        for f in r.faults:
            self.done[f.kind.name] += 1
        try:
            self.world.heal()
        except Exception as error:
            return [*self.broken, f"LAB: not healed: {type(error).__name__}: {error}"]
        self.timeline.note("healed: every process runs, the cluster is whole")
        problems = self.broken + self._live(r)
        time.sleep(r.pause_s)
        try:
            return problems + self.judge.problems(r.promised)
        except Exception as error:  # told in one line, and its timeline kept
            return [*problems, f"LAB: cannot be judged: {type(error).__name__}: {error}"]

    def _live(self, r):
        names = {f.kind.name.split(".")[0] for f in r.faults}
        limit = LEAD_LIMIT_S
        limit += HOLD_S * 1.1 if any(f.kind.name == "ask.hold" for f in r.faults) else 0
        limit += BACKOFF_S * 1.1 if names & {"promote", "check", "controller", "guardian", "host"} else 0
        took = self._wait_leader(limit)
        if took is None:
            return [f"L1: healed since {limit:.1f} s, and nobody leads with a controller that acts"]
        self.recoveries.append(took)
        self.timeline.note(f"somebody leads {took:.1f} s after the healing")
        until = time.monotonic() + WORK_LIMIT_S
        healed_ns = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
        while time.monotonic() < until:
            self.judge.jobs.read()
            if self.judge.jobs.last_ok_ns > healed_ns:
                return []
            time.sleep(0.1)
        return [f"L1: {WORK_LIMIT_S} s after somebody led again no guarded row is committed"]


def tell_plan(seed, rounds, left_out):
    print(f"seed {seed}: {len(rounds)} rounds, {sum(len(r.faults) for r in rounds)} faults")
    for why, count in sorted(left_out.items()):
        print(f"left out {count} times: {why}")


def run(seed, faults, beyond):
    rounds, left_out = plan.rounds(seed, faults, beyond)
    tell_plan(seed, rounds, left_out)
    directory = BUILD / f"chaos-{seed}"
    shutil.rmtree(directory, ignore_errors=True)
    lab = new_lab()
    passed, problems, count, world = 0, [], 0, None
    try:
        world = World(directory, lab, f"chaos.{lab.tag}")
        this = Run(seed, world)
        this.begin()
        for r in rounds:
            count += len(r.faults)
            begun = time.monotonic()
            problems = this.round(r)
            print(f"{'FAIL' if problems else 'ok  '} round {r.number} ({time.monotonic() - begun:.0f} s): {'; '.join(map(str, r.faults))}", flush=True)
            if problems:
                break
            passed += 1
        if problems:
            fail(this, directory, problems, f"tests/run {'beyond' if beyond else 'chaos'} --seed {seed} --faults {count}")
        summary(this)
    finally:
        if world:
            world.end()
        lab.down()
    problems = problems or replay(world)
    if not problems:
        shutil.rmtree(directory, ignore_errors=True)
    return passed, 1 if problems else 0


def replay(world):
    """What every sidecar's core was told, told again: it must answer alike."""
    try:
        said = world.group.replay()
    except AssertionError as error:
        print(f"PROBLEM REPLAY: {error}")
        return [str(error)]
    print(f"replayed: {sum(s['steps'] for s in said)} steps of {sum(s['runs'] for s in said)} runs of sidecars, all as recorded", flush=True)
    return []


def fail(this, directory, problems, again):
    lines = this.timeline.tell(this.world, this.judge)
    (directory / "timeline").write_text("".join(lines))
    for node in this.world.lab.nodes:
        shutil.copy(node.dir / "error.log", directory / f"{node.name}.error.log")
    try:
        rows = this.world.causal("SELECT at, member, epoch, what, reason FROM galera_lease.event WHERE lease = %s ORDER BY at", (this.world.group.lease,))
        (directory / "history").write_text("".join("\t".join(map(str, row)) + "\n" for row in rows))
    except Exception as error:
        (directory / "history").write_text(f"cannot be read: {error}\n")
    begin = max((i for i, line in enumerate(lines) if " chaos  ROUND " in line), default=0)
    print("".join(lines[max(0, begin - 5):][-250:]), end="")
    for problem in problems[:PROBLEMS_MAX]:
        print(f"PROBLEM {problem}")
    if len(problems) > PROBLEMS_MAX:
        print(f"and {len(problems) - PROBLEMS_MAX} more")
    print(f"logs, history and timeline: {directory}\nagain: {again}", flush=True)


def summary(this):
    print("faults: " + ", ".join(f"{name} {n}" for name, n in sorted(this.done.items())))
    spans = this.world.observer.spans()
    took = sorted(this.recoveries) or [0]
    print(f"{len(spans)} starts of controllers; " + ", ".join(f"{n} {what}" for what, n in this.judge.counts.items())
          + f"; somebody led {took[len(took) // 2]:.1f} s after a healing (median), {took[-1]:.1f} s at most", flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1, 1_000_000))
    parser.add_argument("--faults", type=int, default=25)
    parser.add_argument("--beyond", action="store_true")
    parser.add_argument("--plan", action="store_true")
    parser.add_argument("--self-test", action="store_true")
    args = parser.parse_args()
    if args.plan:
        rounds, left_out = plan.rounds(args.seed, args.faults, args.beyond)
        tell_plan(args.seed, rounds, left_out)
        for r in rounds:
            print(f"round {r.number}: {'; '.join(map(str, r.faults))}")
        for name, why in plan.NEVER.items():
            print(f"never: {name}: {why}")
        return 0
    if args.self_test:
        import selftest
        passed, failed = selftest.run()
    else:
        passed, failed = run(args.seed, args.faults, args.beyond)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
