"""Every verb of the table: JSON that is JSON, exit codes, and a time limit that holds, whatever the database does."""
import json
import re
import signal
import subprocess
import time

import pytest
from sidecars import BINARY, wait_for
from test_guard import SETUP, applier_held
from test_sidecar import hook_script

OK, FAILED, USAGE, NO_LEADER, UNREACHABLE, TIMEOUT = range(6)
CHECK_FAIL = 2


def verbs_of_the_program():
    text = subprocess.run([BINARY, "--help"], stdout=subprocess.PIPE, text=True, check=True).stdout
    return {line[2:13].strip() for line in text.splitlines() if line.startswith("  ") and line[2] != " "}


# What is added to each verb that it may do its work. Those that are not asked of a cluster without a leader are named below.
VERBS = {
    "run": ["--check-config"],
    "init": [],
    "list": [],
    "status": [],
    "check": [],
    "step-down": ["--reason", "test"],
    "switchover": [],
    "hold": ["--for", "30s", "--reason", "test"],
    "unhold": [],
    "history": [],
    "alarm ack": ["--reason", "test"],
    "release": ["--i-stopped-it", "--reason", "test"],
    "replay": None,  # of a recording, without a configuration: see tests/unit/test_replay.py
    "version": None,
}
OFFLINE = ("run", "replay", "version")  # need no database


def test_every_verb_is_in_this_table():
    assert verbs_of_the_program() == set(VERBS)


def call(member, verb, *more):
    """(exit code, answer as JSON or None, stderr, seconds)"""
    begun = time.monotonic()
    if VERBS[verb] is None:
        done = subprocess.run([BINARY, verb, "--json", *more], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=60)
    else:
        done = member.cli(verb, "--json", *VERBS[verb], *more, timeout=60)
    took = time.monotonic() - begun
    assert "AddressSanitizer" not in done.stderr
    return done.returncode, json.loads(done.stdout) if done.stdout else None, done.stderr, took


def test_every_verb_answers_in_json(three):
    """In an order in which each has something to do."""
    leader = three.leader()
    follower, other = (m for m in three.members if m is not leader)
    wait_for("the leader in the list", lambda: follower.cli("list").returncode == OK, 5)  # bookkeeping comes behind the lease
    for verb in ("version", "run", "list", "status", "history"):
        code, answer, said, _ = call(follower, verb)
        assert code == OK and answer, (verb, code, said)
    code, answer, said, _ = call(follower, "check")
    assert (code, answer["exit"]) == (1, 1), answer  # endpoints are spoken to in clear
    code, answer, said, _ = call(leader, "init", "--socket", str(leader.node.socket))
    assert code == OK and answer["lease"] == three.lease, said
    code, answer, said, _ = call(other, "hold")
    assert code == OK and answer["done"] and answer["member"] == leader.name and answer["outcome"].startswith("done"), said
    code, answer, said, _ = call(other, "unhold")
    assert code == OK and answer["done"], said
    code, answer, said, _ = call(other, "unhold")
    assert code == FAILED and not answer["done"] and "there is no hold to end" in answer["outcome"]
    code, answer, said, _ = call(other, "alarm ack")
    assert code == FAILED and not answer["done"] and "no open alarm" in answer["outcome"]
    code, answer, said, _ = call(other, "release")
    assert code == FAILED and answer is None and "ask it with step-down" in said
    code, answer, said, _ = call(other, "switchover", "--to", follower.name)
    assert code == OK and answer["done"], said
    wait_for("the member that was named", lambda: three.leader() is follower, 10)
    code, answer, said, _ = call(leader, "step-down", "--no-wait")
    assert code == OK and answer["request"] > 0 and answer["outcome"] is None, said
    three.wait_leader(15, other_than=follower)


def without_configuration():
    return [v for v in VERBS if v not in OFFLINE]


def expect_quick(member, verb, limit, code, text, *more):
    got, answer, said, took = call(member, verb, *more)
    if verb == "check":
        assert got == CHECK_FAIL and answer["result"] == "FAIL", (verb, got, said)
    else:
        assert got == code and text in said, (verb, got, said)
        assert answer is None, (verb, answer)
    assert took < limit, (verb, took)


def test_without_a_quorum_every_verb_says_so_at_once(group):
    member = group.add(1)
    group.init()
    member.endpoints = [f"unix:{n.socket}" for n in group.lab.nodes]
    member.write_config()
    for node in group.lab.nodes:
        node.cut()
    try:
        wait_for("the loss of quorum", lambda: not any(n.synced() for n in group.lab.nodes), 30)
        for verb in without_configuration():
            more = ["--socket", str(member.node.socket)] if verb == "init" else []
            expect_quick(member, verb, 5, UNREACHABLE, "has no quorum: nobody can lead until it has" if verb != "init" else "", *more)
    finally:
        for node in group.lab.nodes:
            node.heal()


def test_database_away_every_verb_says_so_at_once(group):
    member = group.add(1)
    member.endpoints = [f"unix:{member.dir}/none", "127.0.0.1:1"]
    member.write_config()
    for verb in without_configuration():
        expect_quick(member, verb, 5, UNREACHABLE, "cannot reach the database")


@pytest.mark.deep
def test_silent_database_every_verb_keeps_its_limit(group):
    """A server that takes connections and answers nothing."""
    member = group.add(1)
    group.init()
    member.endpoints = [f"unix:{member.node.socket}"]
    member.write_config()
    member.node.signal(signal.SIGSTOP)
    try:
        for verb in without_configuration():
            expect_quick(member, verb, 2.5 + 2, UNREACHABLE, "no answer in time", "--timeout", "2s")
    finally:
        member.node.signal(signal.SIGCONT)


def test_nobody_knows_whether_the_request_was_written(three):
    """The server falls silent while it waits for a lock: that is not "refused", and the request may still happen."""
    member = next(m for m in three.members if m is not three.leader())
    with member.node.connect() as lock, lock.cursor() as cursor:
        cursor.execute("LOCK TABLES galera_lease.request WRITE")  # ends with the connection
        asking = subprocess.Popen([BINARY, "step-down", "--config", member.config, "--timeout", "5s"], stderr=subprocess.PIPE, text=True)
        wait_for("its call", lambda: member.node.query("SELECT id FROM information_schema.processlist WHERE state LIKE 'Waiting for%' "
                                                       "AND info LIKE 'INSERT INTO galera_lease.request%'"), 3)
        member.node.signal(signal.SIGSTOP)
        _, said = asking.communicate(timeout=10)
        member.node.signal(signal.SIGCONT)
    assert asking.returncode == TIMEOUT and "nobody knows whether the request was written" in said, said


@pytest.mark.parametrize("endpoints", [1, 2])
def test_the_node_that_was_asked_dies_before_the_outcome(group, endpoints):
    """Another endpoint knows it as well; without one nobody may take it for a failure, because it goes on."""
    leader, other = group.add(1), group.add(2)
    leader.hook["demote"] = hook_script(leader, "demote", f"[ $GALERA_LEASE_REASON = start ] || sleep 1\nexec {leader.hook['demote']}\n")
    other.endpoints = [f"unix:{m.node.socket}" for m in (other, leader)][:endpoints]
    group.init()
    leader.start()
    group.wait_leader(15)
    other.start()
    wait_for("a follower", lambda: other.role() == "follower", 10)
    asking = subprocess.Popen([BINARY, "step-down", "--config", other.config, "--timeout", "15s"], stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True)
    wait_for("its claim", lambda: leader.node.query("SELECT 1 FROM galera_lease.request WHERE lease = %s AND claimed_by <> ''", group.lease), 5)
    other.node.kill()
    out, said = asking.communicate(timeout=20)
    if endpoints == 2:
        assert asking.returncode == OK and f"{leader.name}: done" in out, (out, said)
    else:
        assert asking.returncode == TIMEOUT and "the request is written and stays" in said, (out, said)


def test_the_node_that_was_asked_falls_silent_before_the_outcome(group, lab):
    """It resets nothing, and says nothing: its connection alone would take all of the time limit."""
    leader, asked = group.add(1), group.add(2)
    leader.endpoints = [f"unix:{leader.node.socket}", f"{lab.nodes[2].address}:3306"]
    leader.hook["demote"] = hook_script(leader, "demote", f"[ $GALERA_LEASE_REASON = start ] || sleep 1\nexec {leader.hook['demote']}\n")
    asked.endpoints = [f"unix:{n.socket}" for n in (asked.node, leader.node)]
    group.init()
    asked.write_config()
    leader.start()
    group.wait_leader(15)
    asking = subprocess.Popen([BINARY, "step-down", "--config", asked.config, "--timeout", "20s"], stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True)
    wait_for("its claim", lambda: leader.node.query("SELECT 1 FROM galera_lease.request WHERE lease = %s AND claimed_by <> ''", group.lease), 5)
    asked.node.signal(signal.SIGSTOP)
    try:
        out, said = asking.communicate(timeout=30)
    finally:
        asked.node.signal(signal.SIGCONT)
    assert asking.returncode == OK and f"{leader.name}: done" in out, (out, said)


# ---- release asks a node that lags

@pytest.mark.parametrize("catches_up", [True, False])
def test_release_through_a_node_that_lags(group, lab, catches_up):
    """There the leader looks gone, row and members alike, while it renews through another node."""
    leader, other = group.add(1), group.add(2)
    leader.endpoints = [f"unix:{leader.node.socket}", f"{lab.nodes[2].address}:3306"]
    other.endpoints = [f"unix:{other.node.socket}"]
    group.init()
    other.write_config()
    for sql in SETUP.strip().splitlines():
        lab.nodes[0].query(sql.replace("%", "%%"), ())
    leader.start()
    group.wait_leader(15)
    other.node.query("SET GLOBAL wsrep_provider_options = 'gcs.fc_limit = 1000'")  # else it would hold the leader up, too
    try:
        with applier_held(lab, 2):
            wait_for("its silence there", lambda: "Not seen" in other.cli("list", "--long").stdout, 15)
            asking = subprocess.Popen([BINARY, "release", "--i-stopped-it", "--reason", "it looks gone", "--config", other.config,
                                       "--timeout", "20s" if catches_up else "3s"],
                                      stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            if catches_up:
                time.sleep(2.5)  # longer than the lease is watched
                assert asking.poll() is None
            else:
                asking.wait(10)
        out, said = asking.communicate(timeout=20)
    finally:
        other.node.query("SET GLOBAL wsrep_provider_options = 'gcs.fc_limit = 16'")
    assert asking.returncode == FAILED, (out, said)
    assert ("its sidecar is alive" if catches_up else "nobody knows whether the leader is alive") in said, (out, said)
    assert other.node.causal("SELECT COUNT(*) FROM galera_lease.request WHERE lease = %s", group.lease) == ((0,),)
    time.sleep(1)
    assert leader.role() == "leader" and [span[2] for span in group.observer.spans()] == [1]


# ---- why does it not lead?

WHY = {
    "follower": "Another member holds the lease.",
    "promoting": "Its promote hook is running.",
    "demoting": "It is stopping its controller.",
    "fenced": "The guardian had to stop its controller; the lease must be seen gone first.",
}


def test_status_says_why_it_does_not_lead(group):
    """In one sentence, in every role that lasts long enough to be asked."""
    one = group.add(1, promote_budget="10s")
    hook = one.dir / "slow"
    hook.write_text('#!/bin/sh\nwhile [ -e "$GALERA_LEASE_STATEDIR/slow" ]; do sleep 0.05; done\n'
                    f'exec {one.hook["promote"]}\n')
    hook.chmod(0o755)
    one.hook = one.hook | {"promote": str(hook), "demote": str(hook)}
    slow = one.state / "slow"
    group.add(2)
    group.init()
    slow.touch()

    def asked(member, role):
        code, answer, said, _ = call(member, "status")
        # Before it has written down how it is, the database is asked, which may know of it already.
        return answer if answer and answer.get("role") == role and answer["source"] == "sidecar" else None

    one.start()
    booting = wait_for("its boot", lambda: asked(one, "boot"), 5)
    assert booting["why_not_leader"] == "It is making sure that its controller is stopped."
    slow.unlink()
    wait_for("a follower or more", lambda: one.role() in ("follower", "acquiring", "promoting", "leader"), 10)
    group.wait_leader(15)
    assert asked(one, "leader")["why_not_leader"] == ""
    other = group.members[1].start()
    wait_for("a follower", lambda: other.role() == "follower", 10)
    wait_for("its sentence", lambda: asked(other, "follower")["why_not_leader"] == WHY["follower"], 5)
    line = re.search(r"^not leader: +(.+)$", other.cli("status").stdout, re.M)
    assert line and line[1] == WHY["follower"]
    slow.touch()
    one.cli("step-down", "--no-wait")
    assert wait_for("demoting", lambda: asked(one, "demoting"), 5)["why_not_leader"] == WHY["demoting"]
    slow.unlink()
    group.wait_leader(30, other_than=one)  # also where that took longer than the hook may: then the guardian stops it
    wait_for("its back-off", lambda: "backs off" in (asked(one, "follower") or {}).get("why_not_leader", "")
             or (asked(one, "follower") or {}).get("why_not_leader") == WHY["follower"], 10)
    # No sidecar here: the database knows.
    other.signal(signal.SIGKILL)
    other.process.wait()
    code, answer, said, _ = call(other, "status")
    assert code == NO_LEADER and answer["source"] == "database" and "no sidecar" in said


# ---- many that are gone

def test_hosts_of_long_ago_do_not_hide_those_that_live(group):
    """Rows of members stay. Hosts that came and went under new names must not crowd out the living: from the list, nor from each other."""
    for index in (1, 2):
        group.add(index)
    group.init()
    group.members[0].node.query(
        "INSERT INTO galera_lease.member (lease, name, incarnation, heartbeat, epoch_seen, role, seen_at) SELECT %s, CONCAT('gone', LPAD(seq, 3, '0')), "
        "'0', 1, 0, IF(seq %% 2, 'ended', 'follower'), UTC_TIMESTAMP(3) - INTERVAL 1 DAY FROM galera_lease.seq_1_to_200", (group.lease,))
    group.start()
    leader = group.wait_leader(20)
    other = next(m for m in group.members if m is not leader)

    def listed():
        code, answer, said, _ = call(other, "list")
        return {m["name"]: m["state"] for m in answer["members"] if not m["name"].startswith("gone")}

    wait_for("both in the list", lambda: listed() == {leader.name: "l", other.name: "f"}, 10)
    code, answer, said, _ = call(other, "switchover", "--to", other.name)
    assert code == OK and answer["done"], said


# ---- list --watch

def test_watch_goes_on_when_an_endpoint_is_lost(three):
    """Blocks, as the output is no terminal. The first endpoint goes away and comes back; Ctrl-C ends it."""
    member = three.leader()
    follower = next(m for m in three.members if m is not member)
    follower.endpoints = [f"unix:{follower.node.socket}", f"unix:{member.node.socket}"]
    follower.write_config()
    out = open(follower.dir / "watched", "a+")  # not "w+": the offset is shared, and reading would move it
    watch = subprocess.Popen([BINARY, "list", "--watch", "--interval", "200ms", "--timeout", "3s", "--config", follower.config],
                             stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT,
                             preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))  # a run in the background ignores it

    def blocks():
        out.seek(0)
        return out.read().split("\n\n")

    try:
        wait_for("three looks", lambda: len(blocks()) > 3, 10)
        follower.node.kill()
        count = len(blocks())
        wait_for("three more", lambda: len(blocks()) > count + 3, 20)
        last = blocks()[-2]
        assert re.match(rf"{re.escape(three.lease)} at \d{{4}}-\d\d-\d\d \d\d:\d\d:\d\d \(UTC\)\nS VERSION ", last), last
        assert "Total: 3 controller(s)" in last and "\033" not in last
        watch.send_signal(signal.SIGINT)
        assert watch.wait(5) == -signal.SIGINT
    finally:
        if watch.poll() is None:
            watch.kill()


def test_watch_on_a_terminal_redraws(three):
    wait_for("three rows", lambda: "Total: 3 controller(s)" in three.members[0].cli("list").stdout, 5)
    done = subprocess.run(["script", "-qec", f"timeout -s INT 2 {BINARY} list --watch --interval 300ms --config {three.members[0].config}",
                           "/dev/null"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, timeout=20)
    screens = done.stdout.split("\033[H\033[J")
    assert screens[0].strip() == "" and len(screens) > 2
    assert all("Total: 3 controller(s)" in s for s in screens[1:-1])
