"""Who hears of what happens, and who may lead: the notify and precheck hooks. None of them may disturb the lease."""
import os
import signal
import subprocess
import time

from sidecars import wait_for


def script(path, text):
    path.write_text("#!/bin/sh\n" + text)
    path.chmod(0o755)
    return str(path)


def receiver(member, name="notify"):
    return next((r for r in member.status().get("receivers", []) if r["name"] == name), {})


def heard(path):
    return [line.split("|") for line in path.read_text().splitlines()] if path.exists() else []


def test_notify_hears_roles_and_alarms_in_order(group):
    """Every change of role, each where the last one ended; and an alarm."""
    log = group.dir / "heard"
    for i in (1, 2):
        m = group.add(i)
        m.options["notify"] = script(m.dir / "notify", f'echo "$GALERA_LEASE_MEMBER|$GALERA_LEASE_EVENT|$GALERA_LEASE_FROM|'
                                     f'$GALERA_LEASE_ROLE|$GALERA_LEASE_REASON|$GALERA_LEASE_EPOCH|$GALERA_LEASE_ALARM" >>{log}\n')
    group.init().start()
    leader = group.wait_leader(15)
    other = next(m for m in group.members if m is not leader)
    wait_for("the news", lambda: any(h[0] == leader.name and h[3] == "leader" for h in heard(log)), 5)
    mine = [h for h in heard(log) if h[0] == leader.name and h[1] == "role"]
    assert [h[2] for h in mine] == ["boot"] + [h[3] for h in mine[:-1]]
    assert mine[-1][2:] == ["promoting", "leader", "free", "1", "0"]
    # An alarm: a controller that somebody else starts beside a follower; one that still boots stops it without a word.
    wait_for("a follower", lambda: other.role() == "follower", 10)
    rogue = subprocess.Popen(["sleep", "60"], env=os.environ | {
        "GALERA_LEASE_CONTROLLER": "1", "GALERA_LEASE_NAME": group.lease, "GALERA_LEASE_MEMBER": other.name})
    wait_for("the alarm", lambda: [h[0] for h in heard(log) if h[1] == "rogue" and h[6] == "1"] == [other.name], 10)
    rogue.wait(10)
    # The last words go out too.
    leader.terminate()
    wait_for("its end", lambda: any(h[0] == leader.name and h[3] == "follower" and h[4] == "shutdown" for h in heard(log)), 5)
    group.wait_leader(15, other_than=leader)


def test_a_notify_hook_that_hangs_disturbs_nothing(group):
    for i in (1, 2):
        m = group.add(i)
        m.options |= {"notify_budget": "1h", "notify": script(m.dir / "notify", "trap '' TERM; sleep 600\n")}
    group.init().start()
    leader = group.wait_leader(15)
    time.sleep(8)  # longer than the ttl
    assert group.leader() is leader and leader.status()["loop_stall_own_max_us"] < 300_000
    stuck = receiver(leader)
    assert stuck["delivered"] == 0 and stuck["waiting"] == stuck["put"] >= 3
    start = time.monotonic()
    assert leader.terminate() == 0  # also then nobody waits for it
    assert time.monotonic() - start < 5
    group.wait_leader(15, other_than=leader)


def test_a_notify_hook_that_fails_is_counted(group):
    m = group.add(1)
    m.options |= {"notify_budget": "300ms", "notify": script(m.dir / "notify", '[ "$GALERA_LEASE_ROLE" = leader ] && exit 9\n'
                                                             'sleep 600\n')}
    group.init().start()
    group.wait_leader(15)
    wait_for("all given up", lambda: receiver(m).get("failed", 0) == receiver(m).get("put", -1) >= 3, 10)
    assert "event=notice-lost" in m.log_text() and group.leader() is m


def test_precheck_keeps_a_member_from_leading(group):
    """The one with the highest priority may not lead; it says why where people look, and leads once it may."""
    for i in (1, 2):
        group.add(i)
    first, second = group.members
    first.options |= {"priority": 500, "precheck": script(
        first.dir / "precheck", f'[ -e {first.dir}/ready ] || {{ echo "the disk is full"; exit 1; }}\n')}
    group.init()
    first.start()
    wait_for("its no", lambda: "the disk is full" in first.status().get("why_not_leader", ""), 10)
    time.sleep(3)
    assert group.leader() is None
    second.start()
    assert group.wait_leader(15) is second
    comment = "Its precheck does not let it lead: the disk is full"
    wait_for("the list", lambda: comment in second.cli("list", "--long").stdout, 5)
    refused = second.cli("switchover", "--to", first.name, "--reason", "x")
    assert refused.returncode == 1 and "cannot take the lease now: Its precheck does not let it lead" in refused.stderr
    (first.dir / "ready").touch()
    wait_for("its yes", lambda: "precheck" not in first.status().get("why_not_leader", "precheck"), 10)
    second.signal(signal.SIGTERM)
    assert group.wait_leader(15, other_than=second) is first
    # One that leads leads on.
    (first.dir / "ready").unlink()
    wait_for("the no", lambda: first.log_text().count("may_lead=no") >= 2, 10)
    time.sleep(2)
    assert group.leader() is first


def test_a_precheck_that_hangs_is_no(group):
    first = group.add(1, precheck=script(group.dir / "hang", "sleep 600\n"))
    group.init().start()
    wait_for("its no", lambda: "no answer within check_budget" in first.status().get("why_not_leader", ""), 15)
    assert group.leader() is None and first.status()["loop_stall_own_max_us"] < 300_000
    assert first.terminate() == 0
