"""
What each fault leaves to be read the morning after: who did what, for which reason, under which epoch, in that order. L is the
first that leads in the part where it stands first, O another one; other lines may stand between. Several stories of one test run side
by side: whoever is quick has the lease before the one that gave it back hears that it did. The logs are asked; and the history must not
contradict them (lib/account.py).
"""
FAULTS = ("test_sidecar", "test_cluster", "test_faults", "test_hands", "test_disk", "test_roles", "test_endpoints", "test_story", "test_hold")

LED = "L acquired free 1; L promoting free 1; L leading free 1"
ENDED = "; L demoting shutdown *"
NOTHING = LED + ENDED  # one reign, and nothing in it
EXPIRED = "; O acquired expired 2; O promoting expired 2"
HANDED = "; O acquired free 2; O promoting free 2"
RESUMED = "; L acquired resume 1; L promoting resume 2"
CUT = LED + "; L demoting deadline 1"
DIED = LED + "; L fence sidecar-died 1"
TWIN = LED + "; L lost twin 1; L fenced twin *; L fence ordered 1; L stopped twin *"


def left(reason, begun=LED, then=HANDED, forced=""):
    """L stops for that reason, and gives the lease back; O goes on."""
    stop = f"L demoting {reason} 1{forced}; L stopped {reason} 1"
    return f"{begun}; {stop}{then}", f"{stop}; L released {reason} 1"


FORCED = "; L unstopped step-down 1; L fence ordered 1"

ACCOUNTS = {
    # test_sidecar
    "test_three_at_once_elect_exactly_one": NOTHING,
    "test_follower_restart_disturbs_nobody": NOTHING,
    "test_sidecar_killed_is_fenced_and_resumes": DIED + RESUMED,
    "test_sidecar_killed_for_good": DIED + EXPIRED,
    "test_sidecar_frozen_past_its_deadline": LED + "; L fence deadline 1; O acquired expired 2; O promoting expired 2; L fenced guardian 1; L lost lost 1",
    "test_guardian_killed_once_comes_back": NOTHING,
    "test_guardian_killed_again_and_again_steps_down": left("guardian"),
    "test_controller_dies_is_restarted_then_released":
        (LED + "; L demoting unhealthy 1; L stopped unhealthy 1; L promoting unhealthy 2; L leading unhealthy 2; L demoting unhealthy 2; "
         "L promoting unhealthy 3; L leading unhealthy 3; L demoting unhealthy 3; L stopped unhealthy 3; O acquired free 4; O promoting free 4",
         "L stopped unhealthy 3; L released unhealthy 3"),
    "test_controller_started_behind_our_back_is_stopped": LED + "; O rogue rogue *; O demoting rogue *; O stopped rogue *",
    "test_stubborn_controller_leaves_nothing_behind": left("step-down"),  # by demote itself, or forced where that is too slow
    "test_stubborn_controller_without_cgroups": DIED + EXPIRED,
    "test_a_part_of_the_fence_that_hangs": DIED + EXPIRED,
    "test_demote_hangs_is_fenced_never_released_early":
        left("step-down", forced=FORCED),
    "test_step_down_that_loses_the_lease_says_so": LED + "; L demoting step-down 1; L lost lost 1; L fenced lost *; L fence ordered 1; L stopped lost *",
    "test_promote_fails_or_hangs_another_tries": left("promote-failed", begun="L acquired free 1; L promoting free 1"),
    "test_killed_with_its_guardian_during_a_slow_promote": "L acquired free 1; L promoting free 1" + RESUMED,
    "test_terminate_releases": left("shutdown"),
    "test_terminate_twice_changes_nothing": left("shutdown", then=""),
    "test_twenty_elections_in_a_row": left("step-down", then="; * stopped step-down 20; * acquired free 21; * promoting free 21"),
    # test_cluster
    "test_leaders_node_killed_same_leader_goes_on": NOTHING,
    "test_another_node_killed_is_a_stall_only": LED + "; L demoting shutdown 1",
    "test_leaders_host_cut_off": LED + "; L demoting deadline 1" + EXPIRED,
    "test_whole_cluster_down_and_up": CUT + "; * acquired * 2; * leading * *",
    # test_faults, test_hands, test_disk, test_roles
    "test_whole_cluster_without_quorum": CUT + "; * acquired * 2; * promoting * 2",
    "test_commit_outcome_unknown": NOTHING,
    "test_applier_held_longer_than_the_budget": LED + "; L demoting deadline 1; * acquired * 2; * promoting * 2",
    "test_ddl_longer_than_the_budget": LED + "; L demoting deadline 1; * acquired * 2; * promoting * 2",
    "test_schema_dropped_while_leading": CUT + "; * no-row row-missing *; * acquired free 2; * promoting free 2",
    "test_schema_of_another_version_at_start": NOTHING,
    "test_schema_of_another_version_while_one_leads": LED + "; L demoting deadline 1; * acquired * 2; * promoting * 2",
    "test_database_away_at_start": NOTHING,
    "test_hands_in_the_database_while_following[row_deleted]": DIED + "; O regression regression *; O acquired free 2; O promoting free 2",
    "test_hands_in_the_database_while_following[row_edited]": DIED + EXPIRED,
    "test_hands_in_the_database_while_following[schema_dropped]": DIED + "; O acquired free 2; O promoting free 2",
    "test_hands_in_the_database_while_following[epoch_lowered]": DIED + "; O regression regression *; O acquired expired 2; O promoting expired 2",
    "test_hands_in_the_database_while_following[ttl_absurd]": DIED + HANDED,
    "test_wall_clock_an_hour_off": LED,
    "test_state_disk_that_takes_nothing_while_leading": left("step-down"),
    "test_unhold_with_a_full_disk_keeps_no_other_request_waiting": LED + "; L hold hold 1; L demoting step-down 1; L stopped step-down 1",
    "test_state_disk_full_at_start": NOTHING,
    "test_state_disk_read_only_at_start": NOTHING,
    "test_log_on_a_disk_that_hangs_while_the_lease_is_lost": TWIN + "; * acquired expired 2; * promoting expired 2",
    "test_state_file_that_does_not_count": DIED + "; L stopped start *; * acquired expired 2; * promoting expired 2",
    "test_terminated_in_every_role[boot]": "* leading * *",
    "test_terminated_in_every_role[follower]": LED + "; O stopped start *; L demoting shutdown 1",
    "test_terminated_in_every_role[acquiring]": ("L acquired free 1; O leading * *", "L acquired free 1; L released shutdown 1"),
    "test_terminated_in_every_role[promoting]":
        left("shutdown", begun="L acquired free 1; L promoting free 1"),
    "test_terminated_in_every_role[leader]": left("shutdown"),
    "test_terminated_in_every_role[demoting]": left("step-down"),
    "test_terminated_in_every_role[fenced]": TWIN + EXPIRED,
    "test_killed_in_every_role[boot-at_once]": "* leading * *",
    "test_killed_in_every_role[boot-after_ttl]": "* leading * *",
    "test_killed_in_every_role[follower-at_once]": NOTHING,
    "test_killed_in_every_role[follower-after_ttl]": NOTHING,
    "test_killed_in_every_role[acquiring-at_once]": "* leading * *",
    "test_killed_in_every_role[acquiring-after_ttl]": "* leading * *",
    "test_killed_in_every_role[promoting-at_once]": "L acquired free 1; L promoting free 1; L fence * 1; * promoting * 2",
    "test_killed_in_every_role[promoting-after_ttl]": "L acquired free 1; L promoting free 1; L fence sidecar-died 1" + EXPIRED,
    "test_killed_in_every_role[leader-at_once]": DIED + "; * promoting * 2",
    "test_killed_in_every_role[leader-after_ttl]": DIED + EXPIRED,
    "test_killed_in_every_role[demoting-at_once]": LED + "; L demoting step-down 1; L fence sidecar-died 1; * promoting * 2",
    "test_killed_in_every_role[demoting-after_ttl]": LED + "; L demoting step-down 1; L fence sidecar-died 1" + EXPIRED,
    "test_killed_in_every_role[fenced-at_once]": LED + "; L lost twin 1; L fenced twin *; L fence * 1; * promoting * 2",
    "test_killed_in_every_role[fenced-after_ttl]": LED + "; L lost twin 1; L fenced twin *; L fence * 1" + EXPIRED,
    "test_sidecar_and_guardian_frozen_for_a_moment": NOTHING,
    # test_endpoints
    "test_leader_goes_on_through_the_next": NOTHING,
    "test_follower_from_the_start": DIED + EXPIRED,
    "test_back_to_the_first_endpoint": LED,
    "test_leaders_node_refuses": LED + "; L demoting shutdown 1",
    "test_verbs_write_through_an_endpoint_that_takes_writes":
        LED + "; L hold hold 1; L demoting step-down 1; L stopped step-down 1; L released step-down 1",
    "test_first_endpoint_has_no_connection_left": NOTHING,
    "test_leaders_node_has_no_connection_left": NOTHING,
    "test_password_rotated_file_first": NOTHING,
    "test_password_wrong_steps_down_then_leads_again": CUT + "; L acquired free 2; L promoting free 2",
    "test_password_wrong_from_the_start": "L stopped start 0",
    # test_story
    "test_a_restart_after_an_outage_loses_no_history": CUT,
    "test_history_of_a_step_down": left("step-down"),
    "test_row_that_went_back_is_an_alarm_that_lasts":
        left("step-down", then=HANDED + "; O lost regression 2; O regression regression 2; O fenced regression *; O stopped regression *; "
             "* acquired expired 3; * promoting expired 3"),
    "test_row_deleted_while_leading":
        LED + "; L no-row row-missing 1; L lost row-missing 1; L fenced row-missing *; L fence ordered 1; L stopped row-missing *; * acquired free 2; * promoting free 2",
    "test_ttl_edited_while_leading_is_overwritten": NOTHING,
    "test_counter_edited_while_leading_is_a_twin": TWIN + "; * acquired expired 2; * promoting expired 2",
    "test_release_of_a_controller_that_a_person_stopped": LED + "; L hold hold 1" + HANDED,
    "test_release_of_a_leader_whose_heartbeat_alone_is_lost": NOTHING,
    # test_hold
    "test_hold_survives_a_cluster_that_is_away": LED + "; L hold hold 1; L unhold hold 1",
    "test_hold_outlives_a_restart_of_the_sidecar": LED + "; L hold hold 1; L fence sidecar-died 1; L hold hold 1" + RESUMED,
    "test_newcomer_with_a_live_name_ends": LED + "; * double double *; L released shutdown 1",
    "test_told_to_end_during_a_hold_with_the_database_away": LED + "; L hold hold 1; L demoting shutdown 1; L stopped shutdown 1" + RESUMED,
    "test_claim_whose_answer_is_lost": LED,
    "test_hold_that_ends_before_it_is_confirmed": LED,
}
