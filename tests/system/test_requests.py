"""Every request ends with an outcome: also of a sidecar that ended over it, and of a leader that is only being started."""
import signal
import subprocess

import pytest
from sidecars import BINARY, wait_for
from test_hold import ask, outcome, trigger
from test_sidecar import hook_script

UNKNOWN = "unknown: the sidecar that had begun it ended; the history tells what came of it"
FAILED = 1


def request_row(group, request):
    """(standing, member, outcome, the answers in the history) as people see them."""
    query = group.lab.nodes[0].causal
    (row,) = query("SELECT standing, member, outcome FROM galera_lease.requests WHERE id = %s", (request,))
    ((told,),) = query("SELECT COUNT(*) FROM galera_lease.history WHERE lease = %s AND what LIKE 'answered: %%'", (group.lease,))
    return (*row, told)


def claimed(group):
    rows = group.lab.nodes[0].query("SELECT id FROM galera_lease.request WHERE lease = %s AND claimed_by = 'm1' AND outcome = ''", (group.lease,))
    return rows[0][0] if rows else None


@pytest.fixture
def slow(group):
    """Its leader, m1, takes a second to stop its controller, so that a request stays claimed for as long. m2 asks."""
    leader = group.add(1)
    group.add(2)
    leader.hook["demote"] = hook_script(leader, "demote", f"[ $GALERA_LEASE_REASON = start ] || sleep 1\nexec {leader.hook['demote']}\n")
    group.init()
    leader.start()
    group.wait_leader(15)
    group.members[1].start()
    wait_for("a follower", lambda: group.members[1].role() == "follower", 10)
    return group


def asked_by_hand(group, member):
    """A request that somebody has claimed, without an outcome."""
    group.lab.nodes[0].query("INSERT INTO galera_lease.request (lease, action, epoch, who, asked_at, claimed_by, claimed_at) VALUES "
                             "(%s, 'step_down', 1, 'somebody', UTC_TIMESTAMP(3), %s, UTC_TIMESTAMP(3))", (group.lease, member))
    return group.lab.nodes[0].query("SELECT MAX(id) FROM galera_lease.request WHERE lease = %s", (group.lease,))[0][0]


def test_sidecar_killed_over_a_request(slow):
    """Its next life says so, to who waits as well. What others have claimed is theirs to answer."""
    leader, other = slow.members
    of_another = asked_by_hand(slow, "m3")
    asking = subprocess.Popen([BINARY, "step-down", "--config", other.config, "--timeout", "25s"], stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True)
    request = wait_for("its claim", lambda: claimed(slow), 5)
    leader.kill()
    leader.start()
    out, said = asking.communicate(timeout=30)
    assert (asking.returncode, out) == (FAILED, f"{leader.name}: {UNKNOWN}\n"), (out, said)
    assert request_row(slow, request) == ("unknown", leader.name, UNKNOWN, 1)
    assert request_row(slow, of_another)[:3] == ("claimed", "m3", "")
    # And only what an earlier life left: its own requests get their own outcome.
    slow.wait_leader(20)
    assert outcome(slow, ask(slow, "step_down(%s, %s)", "still heard?")).startswith("done: ")


def test_told_to_end_and_the_outcome_cannot_be_written(slow):
    leader, _ = slow.members
    with trigger(slow, "request", f"NEW.lease = '{slow.lease}' AND NEW.outcome <> ''", "SIGNAL SQLSTATE '45000'"):
        request = ask(slow, "step_down(%s, %s)", "ends before it can say so")
        wait_for("its claim", lambda: claimed(slow), 5)
        assert leader.terminate() == 0
    assert request_row(slow, request)[0] == "claimed"
    leader.start()
    assert outcome(slow, request) == UNKNOWN


def test_the_word_of_the_next_life_is_lost(slow):
    """The first attempts are refused, then an answer does not come in time: it is said until it stands, and stands once."""
    leader, _ = slow.members
    leader.signal(signal.SIGSTOP)  # or this life takes some for what the one before left
    requests = [asked_by_hand(slow, leader.name) for _ in range(40)]
    leader.kill()
    with trigger(slow, "request", f"NEW.id = {requests[0]} AND NEW.outcome LIKE 'unknown%'", "SIGNAL SQLSTATE '45000'"):
        leader.start()
        wait_for("a refusal", lambda: "error=1644" in leader.log_text(), 15)
    with trigger(slow, "request", f"NEW.id = {requests[1]} AND NEW.outcome LIKE 'unknown%'", "DO SLEEP(4)"):
        wait_for("the lost answer", lambda: "no answer in time" in leader.log_text(), 15)
    for request in requests:
        assert outcome(slow, request) == UNKNOWN
    assert request_row(slow, requests[0])[3] == len(requests)


@pytest.fixture
def starting(group):
    """m1 leads as soon as its promote hook finds the file "go"; m2 follows."""
    leader = group.add(1, promote_budget="40s")
    leader.hook["promote"] = hook_script(leader, "promote", f'while [ ! -e "{leader.dir}/go" ]; do sleep 0.05; done\nexec {leader.hook["promote"]}\n')
    group.add(2)
    group.init()
    leader.start()
    wait_for("its start", lambda: leader.role() == "promoting", 10)
    group.members[1].start()
    wait_for("a follower", lambda: group.members[1].role() == "follower", 10)
    return group


@pytest.mark.parametrize("verb", [("step-down",), ("switchover", "--to", "m2")], ids=lambda v: v[0])
def test_a_start_that_hangs_is_ended_by_an_operator(starting, verb):
    leader, other = starting.members
    hold = ask(starting, "hold(%s, %s, %s)", "60", "not while it starts")
    done = other.cli(*verb, "--timeout", "12s")
    assert done.returncode == 0 and "done: the controller is stopped and the lease is given back" in done.stdout, (done.stdout, done.stderr)
    assert request_row(starting, hold)[:2] in (("open", ""), ("refused", other.name))  # left alone by m1
    assert starting.wait_leader(15) is other
    assert outcome(starting, hold) == "refused: it was meant for another epoch"
    assert {span[0] for span in starting.observer.spans()} == {other.name}


def test_a_hold_waits_until_it_leads(starting):
    leader, other = starting.members
    request = ask(starting, "hold(%s, %s, %s)", "60", "once it leads")
    with pytest.raises(TimeoutError):
        wait_for("its claim", lambda: request_row(starting, request)[0] != "open", 1)
    assert leader.role() == "promoting"
    (leader.dir / "go").touch()
    assert outcome(starting, request).startswith("done: the lease lasts for")
    assert starting.leader() is leader
