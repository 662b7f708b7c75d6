"""Every row of the fault table has teeth: with a named sabotage it must fail, and on what the sabotage breaks.

A row is a test of this suite, run here as it is; only its sidecars are spoiled. What it then says, or else what the observer
says, must hold the words beside it: a row that fails for another reason has not noticed.
"""
import inspect
import os
import re
import signal
import subprocess
import time

import pytest
import sabotage
import sidecars
import test_cluster
import test_disk
import test_endpoints
import test_faults
import test_hands
import test_hold
import test_roles
import test_sidecar
import test_story
from accounts import ACCOUNTS
from mutant import Mutants
from sidecars import wait_for
from test_disk import small_disk  # noqa: F401 fixtures of the rows
from test_endpoints import crooked, passwords  # noqa: F401
from test_hands import schema  # noqa: F401
from test_roles import slow_claims  # noqa: F401

pytestmark = pytest.mark.deep

OVERLAP = "overlap of"
ENDS = "the controller's end"
LEADER = "a leader: not within"

# Rows that a mutant of tests/mutants names as its driver are seen to notice there, and are not said again here.
# row, what is spoiled (a sabotage, or a mutant, or one that only a second start is), what must be said, parameters of the row
ROWS = [
    (test_sidecar.test_three_at_once_elect_exactly_one, "r4-no-watch", "== 1", {}),
    (test_sidecar.test_follower_restart_disturbs_nobody, "restarted r4-no-watch", "a follower: not within", {}),
    (test_sidecar.test_sidecar_killed_is_fenced_and_resumes, sabotage.guardian_never_fences, ENDS, {}),
    (test_sidecar.test_sidecar_killed_for_good, sabotage.nothing_stops, OVERLAP, {}),
    (test_sidecar.test_sidecar_killed_for_good, sabotage.guardian_never_fences, OVERLAP, {}),
    (test_sidecar.test_sidecar_frozen_past_its_deadline, sabotage.guardian_never_fences, OVERLAP, {}),
    (test_sidecar.test_guardian_killed_once_comes_back, sabotage.guardian_starts_once, "is <sidecars.Sidecar", {}),
    (test_sidecar.test_guardian_killed_again_and_again_steps_down, sabotage.only_the_first_leads, LEADER, {}),
    (test_sidecar.test_controller_dies_is_restarted_then_released, sabotage.check_sees_nothing, "a controller", {}),
    (test_sidecar.test_controller_started_behind_our_back_is_stopped, sabotage.check_sees_nothing, "the alarm", {}),
    (test_sidecar.test_stubborn_controller_leaves_nothing_behind, sabotage.nothing_stops, "expected 1, got 0", {}),
    (test_sidecar.test_stubborn_controller_without_cgroups, sabotage.nothing_stops, "expected 1, got 0", {}),
    (test_sidecar.test_demote_hangs_is_fenced_never_released_early, sabotage.fence_does_nothing, OVERLAP, {}),
    (test_sidecar.test_promote_fails_or_hangs_another_tries, sabotage.only_the_first_leads, LEADER, {"how": "exit 1"}),
    (test_sidecar.test_promote_fails_or_hangs_another_tries, sabotage.promote_may_take_for_ever, "the failed start", {"how": "sleep 600"}),
    (test_sidecar.test_terminate_releases, sabotage.only_the_first_leads, LEADER, {}),
    (test_sidecar.test_twenty_elections_in_a_row, sabotage.only_the_first_leads, LEADER, {}),
    (test_cluster.test_leaders_node_killed_same_leader_goes_on, sabotage.own_node_only, "is <sidecars.Sidecar", {}),
    (test_cluster.test_another_node_killed_is_a_stall_only, sabotage.another_node_only, "is <sidecars.Sidecar", {}),
    (test_cluster.test_leaders_host_cut_off, sabotage.nothing_stops, OVERLAP, {}),
    (test_cluster.test_whole_cluster_down_and_up, sabotage.nothing_stops, ENDS, {}),
    (test_faults.test_whole_cluster_without_quorum, sabotage.nothing_stops, ENDS, {}),
    (test_faults.test_commit_outcome_unknown, sabotage.own_node_only, "is <sidecars.Sidecar", {}),
    (test_faults.test_applier_held_longer_than_the_budget, sabotage.nothing_stops, ENDS, {}),
    (test_faults.test_ddl_longer_than_the_budget, sabotage.nothing_stops, ENDS, {}),
    (test_hands.test_schema_dropped_while_leading, sabotage.nothing_stops, ENDS, {}),
    (test_hands.test_schema_of_another_version_while_one_leads, sabotage.nothing_stops, ENDS, {}),
    (test_faults.test_database_away_at_start, sabotage.nobody_leads, LEADER, {}),
    *[(test_hands.test_hands_in_the_database_while_following, sabotage.guardian_never_fences, OVERLAP, {"what": what})
      for what in test_hands.HANDS],
    (test_disk.test_state_file_that_does_not_count, sabotage.nothing_stops, ENDS, {"spoil": test_disk.truncated, "says": "damaged"}),
    (test_disk.test_state_file_that_does_not_count, "r7-resume-in-another-boot", "a follower: not within", {"spoil": test_disk.of_another_boot, "says": "event=state"}),
    (test_disk.test_state_disk_that_takes_nothing_while_leading, sabotage.a_disk_of_its_own, "2 == 1", {"spoil": test_disk.fill}),
    (test_disk.test_state_disk_read_only_at_start, sabotage.waits_for_ever, "timed out", {}),
    *[(test_roles.test_terminated_in_every_role, sabotage.only_the_first_leads, "the other to lead", {"role": role})
      for role in ("acquiring", "leader", "fenced")],
    *[(test_roles.test_killed_in_every_role, sabotage.starts_once, "two members at rest", {"role": role, "later": False})
      for role in ("boot", "promoting")],
    *[(test_roles.test_killed_in_every_role, sabotage.guardian_never_fences, OVERLAP, {"role": role, "later": True})
      for role in ("leader", "fenced")],
    (test_roles.test_sidecar_and_guardian_frozen_together, sabotage.nothing_stops, "its end", {"first": "guardian"}),
    (test_roles.test_sidecar_and_guardian_frozen_for_a_moment, sabotage.time_is_short, "is <sidecars.Sidecar", {}),
    *[(test_endpoints.test_leader_goes_on_through_the_next, sabotage.first_endpoint_only, "another endpoint", {"mode": mode})
      for mode in ("silent", "garbage", "reset")],
    *[(test_endpoints.test_follower_from_the_start, sabotage.first_endpoint_only, "a follower", {"mode": mode})
      for mode in ("silent", "garbage", "reset")],
    (test_endpoints.test_leaders_node_refuses, sabotage.own_node_only, "another endpoint", {"name": "read_only", "bad": 1, "error": 1290}),
    (test_endpoints.test_leaders_node_refuses, sabotage.own_node_only, "another endpoint", {"name": "wsrep_reject_queries", "bad": "ALL", "error": 1047}),
    (test_endpoints.test_first_endpoint_has_no_connection_left, sabotage.first_endpoint_only, LEADER, {}),
    (test_endpoints.test_leaders_node_has_no_connection_left, sabotage.own_node_only, "another endpoint", {}),
    (test_endpoints.test_password_rotated_file_first, sabotage.keeps_its_password, "is <sidecars.Sidecar", {}),
    (test_endpoints.test_password_wrong_from_the_start, sabotage.knows_the_next_password, "its complaint", {}),
    (test_endpoints.test_password_wrong_steps_down_then_leads_again, sabotage.nothing_stops, "no controller", {}),
    (test_story.test_row_that_went_back_is_an_alarm_that_lasts, sabotage.nothing_stops, ENDS, {}),
    (test_story.test_row_deleted_while_leading, sabotage.nothing_stops, ENDS, {}),
    (test_disk.test_state_disk_full_at_start, "r8-promote-before-it-is-remembered", "is None)", {}),
    (test_story.test_counter_edited_while_leading_is_a_twin, "r2-twin-is-adopted", ENDS, {}),
    (test_sidecar.test_step_down_that_loses_the_lease_says_so, "r2-another-nonce-is-waited-out", "event=lost", {}),
    (test_hold.test_hold_outlives_a_restart_of_the_sidecar, "r12-a-hold-ends-with-its-sidecar", "> 40000", {}),
    (test_hold.test_newcomer_with_a_live_name_ends, "r10-the-newcomer-stays", "timed out", {}),
]


# What stands beside the fault table in those files: verbs, stories, and ways back to what was.
BESIDE = {"test_a_part_of_the_fence_that_hangs", "test_a_restart_after_an_outage_loses_no_history", "test_back_to_the_first_endpoint",
          "test_claim_whose_answer_is_lost", "test_history_of_a_step_down", "test_hold_survives_a_cluster_that_is_away",
          "test_release_of_a_controller_that_a_person_stopped", "test_told_to_end_during_a_hold_with_the_database_away",
          "test_unhold_with_a_full_disk_keeps_no_other_request_waiting", "test_verbs_write_through_an_endpoint_that_takes_writes"}


@pytest.fixture(scope="session")
def mutants():
    all_of_them = Mutants()
    yield all_of_them
    all_of_them.clean()


def spoiler(how, mutants):
    if callable(how):
        return how
    binary = mutants.binary(how.removeprefix("restarted "))

    def spoil(member):
        if member.process or not how.startswith("restarted "):
            member.binary = binary
    return spoil


def name_of(row):
    test, how, _, parameters = row
    words = [test.__name__.removeprefix("test_"), *(getattr(v, "__name__", str(v)) for v in parameters.values()), how if isinstance(how, str) else how.__name__]
    return "-".join(words).replace(" ", "_")


@pytest.mark.parametrize("row", ROWS, ids=name_of)
def test_notices(request, group, mutants, monkeypatch, row):
    test, how, words, parameters = row
    monkeypatch.setattr(sidecars, "patience", 1)
    group.sabotaged = True
    group.sabotage = spoiler(how, mutants)
    said = ""
    values = {name: parameters[name] if name in parameters else request.getfixturevalue(name)
              for name in inspect.signature(test).parameters}
    try:
        test(**values)
    except (AssertionError, TimeoutError, ValueError, subprocess.TimeoutExpired) as failure:
        said = f"{type(failure).__name__}: {failure}"
    finally:
        judged = group.observer.judge()
        for member in group.members:
            if member.process and member.process.poll() is None:
                member.signal(signal.SIGCONT)
                member.kill()
        group.slay()
    said = " ".join([said, *judged])
    request.node.user_properties.append(("said", said))
    assert said.strip(), "it has not noticed"
    assert words in said


def test_every_fault_has_a_sabotage():
    faults = {name.partition("[")[0] for name in ACCOUNTS}
    drivers = "".join(patch.read_text() for patch in (sidecars.ROOT / "tests/mutants").glob("*.patch"))
    spoiled = {row[0].__name__ for row in ROWS} | set(re.findall(r"^Driver: system .*::(test_\w+)", drivers, re.M))
    assert faults - spoiled == BESIDE


def test_without_sabotage_the_same_faults_show_nothing(group):
    """The control: a freeze, nothing sabotaged; the fixture judges."""
    for index in (1, 2):
        group.add(index)
    group.init().start()
    leader = group.wait_leader(10)
    leader.signal(signal.SIGSTOP)
    group.wait_leader(20, other_than=leader)
    time.sleep(0.5)
    assert [p for p in group.observer.judge() if p.startswith("overlap")] == []
    os.kill(leader.process.pid, signal.SIGCONT)
    wait_for("the old leader to follow", lambda: leader.role() == "follower", 10)
