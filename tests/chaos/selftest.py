"""The judge has teeth: sabotage of real members, and evidence that is forged, must make every rule fire; and only the right ones.

Both worlds are among those that nobody promised (plan.NEVER): a check hook that lies, fence and demote hooks that do nothing.
In the first nothing is guarded. In the second the guard is what is left, and holds.
"""
import contextlib
import os
import shutil
import signal

import chaos
from plan import Round
from sidecars import BUILD, wait_for
from world import World, new_lab

LIE = "#!/bin/sh\nexit 3\n"


class Results:
    def __init__(self):
        self.passed, self.failed = 0, 0

    def expect(self, what, true, evidence=""):
        self.passed += bool(true)
        self.failed += not true
        print(f"{'ok  ' if true else 'FAIL'} {what}" + ("" if true else f": {evidence}"), flush=True)


def sabotaged(directory, lab, name, options=""):
    world = World(directory / name, lab, f"{name}.{lab.tag}", options, check_interval="1h")
    for m in world.group.members:
        lie = m.dir / "lie"
        lie.write_text(LIE)
        lie.chmod(0o755)
        m.hook |= {"demote": "/bin/true", "fence": "/bin/true", "check": str(lie)}
    run = chaos.Run(0, world)
    run.begin()
    return world, run


def end(world):
    world.group.end()
    for name, pid, _ in list(world.observer.watched):
        os.kill(pid, signal.SIGKILL)
    world.observer.stop()


def fired(problems, rule):
    return any(p.startswith(rule) for p in problems)


def two_act(world, epoch):
    """The controller of that epoch and one of a later are both alive."""
    wait_for("two controllers", lambda: {epoch} < {key[2] for key in list(world.observer.watched)}, 25)


def work_of(run, epoch):
    def seen():
        run.judge.jobs.read()
        return any(key[0] == epoch and what == "ok" for key, what in run.judge.jobs.answers.items())
    wait_for(f"work of epoch {epoch}", seen, 15)


def unguarded(directory, lab, results):
    world, run = sabotaged(directory, lab, "unguarded", "--unguarded")
    try:
        first = wait_for("a leader", world.leads, 10)
        work_of(run, 1)
        results.expect("nothing is found where nothing has happened", (p := run.judge.problems()) == [], p)
        first.cli("step-down", "--no-wait")
        two_act(world, 1)
        work_of(run, 2)
        mark = len(run.judge.jobs.answers)
        wait_for("more work", lambda: run.judge.jobs.read() or len(run.judge.jobs.answers) > mark + 20, 15)
        problems = run.judge.problems()
        results.expect("S1: two controllers act", fired(problems, "S1"), problems)
        results.expect("S3: unguarded rows of the old epoch behind the takeover", fired(problems, "S3: a guarded row"), problems)
        results.expect("S4: a release before the end", fired(problems, "S4: m"), problems)
        forged(world, run, results)
    finally:
        end(world)


def forged(world, run, results):
    epoch, pid, writer, seq = next(k for k, w in run.judge.jobs.answers.items() if w == "ok")
    world.lab.nodes[0].query("DELETE FROM chaos.job WHERE lease = %s AND epoch = %s AND pid = %s AND writer = %s AND seq = %s",
                             (world.group.lease, epoch, pid, writer, seq))
    world.lab.nodes[0].query("INSERT INTO chaos.job VALUES (%s, 1, 1, 1, 1)", (world.group.lease,))
    with open(world.group.members[0].dir / "promotes", "a") as f:
        f.write("1\n1\n")
    last = max(world.observer.spans(), key=lambda s: s[3])
    with open(world.group.members[0].ticks, "a") as f:
        f.write(f"{last[4] + 1_000_000_000} 999999999 1\n")
    problems = run.judge.problems()
    results.expect("S2: a start with an old epoch", fired(problems, "S2"), problems)
    results.expect("S3: an acknowledged row that is gone", fired(problems, "S3: a row was answered OK"), problems)
    results.expect("S3: a row that nobody sent", fired(problems, "S3: a row is there whose"), problems)
    results.expect("S5: promote twice for one epoch", fired(problems, "S5"), problems)


def guarded(directory, lab, results):
    world, run = sabotaged(directory, lab, "guarded")
    try:
        first = wait_for("a leader", world.leads, 10)
        work_of(run, 1)
        for pid in (first.guardian(), first.process.pid):  # in this order nobody has time to fence
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        first.process.wait()
        two_act(world, 1)
        work_of(run, 2)
        problems = run.judge.problems()
        results.expect("S1: sidecar and guardian killed, and the controller acts on", fired(problems, "S1"), problems)
        results.expect("S3: and yet no row of it behind the takeover", not fired(problems, "S3"), problems)
        world.group.end()
        chaos.LEAD_LIMIT_S = 1
        problems = run._live(Round(1, (), 0))
        results.expect("L1: nobody leads", fired(problems, "L1"), problems)
    finally:
        end(world)


def run():
    results, directory = Results(), BUILD / "chaos-self-test"
    shutil.rmtree(directory, ignore_errors=True)
    lab = new_lab()
    try:
        unguarded(directory, lab, results)
        guarded(directory, lab, results)
    finally:
        lab.down()
    if not results.failed:
        shutil.rmtree(directory, ignore_errors=True)
    return results.passed, results.failed
