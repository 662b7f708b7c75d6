/* From the first promote to the last release: what a leader may do, until when, and when it has lost. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "world.h"

static void test_start_needs_epoch_saved_and_seen(void **state)
{
    struct world w;

    (void)state;
    follow(&w, &(struct lease_row){.ttl_ms = 20000});
    answer_write(&w, LEASE_ANSWER_ROW);
    assert_true(w.save.save.durable && w.save.save.epoch_seen == 1); /* R8 */
    assert_int_equal(w.promotes, 0);
    saved(&w);
    assert_true(w.read.read.causal && w.read.read.controller_endpoint); /* R9 */
    assert_int_equal(w.promotes, 0);
    answer_read(&w, LEASE_ANSWER_ROW);
    assert_int_equal(w.promotes, 1);
    assert_int_equal(w.hook.hook.epoch, 1);
    assert_int_equal(w.guard.type, LEASE_COMMAND_ARM); /* R5: armed before the hook */
}

static void test_deadline_counts_from_send(void **state)
{
    struct world w;
    uint64_t sent;

    (void)state;
    lead(&w);
    tick(&w, 2 * S);
    assert_int_equal(w.write.write.kind, LEASE_WRITE_RENEW);
    sent = w.now.fast_ns;
    w.now.fast_ns += 3 * S;
    w.now.slow_ns += 3 * S;
    answer_write(&w, LEASE_ANSWER_ROW);
    assert_int_equal(w.lease.deadline_ns, sent + 20 * S - S / 5); /* R1 */
    assert_int_equal(w.guard.guard.deadline_ns, w.lease.deadline_ns);
}

static void test_unknown_extends_nothing_and_loses_nothing(void **state)
{
    struct world w;
    uint64_t deadline;

    (void)state;
    lead(&w);
    deadline = w.lease.deadline_ns;
    tick(&w, 2 * S);
    answer_write(&w, LEASE_ANSWER_UNKNOWN);
    assert_int_equal(w.lease.deadline_ns, deadline); /* R3 */
    assert_int_equal(w.lease.role, LEASE_LEADER);
    /* It had landed: the next write meets MISMATCH, the causal read shows our nonce, and it goes on from
     * there. */
    tick(&w, S);
    w.row.version.counter++;
    answer_write(&w, LEASE_ANSWER_MISMATCH);
    assert_true(w.read.read.causal);
    assert_int_equal(w.lease.role, LEASE_LEADER);
    answer_read(&w, LEASE_ANSWER_ROW);
    assert_int_equal(w.write.write.expected.counter, w.row.version.counter);
    answer_write(&w, LEASE_ANSWER_ROW);
    assert_true(w.lease.deadline_ns > deadline);
}

static void test_another_nonce_fences_now(void **state)
{
    struct world w;

    (void)state;
    lead(&w);
    tick(&w, 2 * S);
    w.row = held_row(5, 50);
    answer_write(&w, LEASE_ANSWER_MISMATCH);
    answer_read(&w, LEASE_ANSWER_ROW);
    assert_int_equal(w.lease.role, LEASE_FENCED); /* R2 */
    assert_int_equal(w.fences, 1);
    assert_int_equal(w.releases, 0);
    guardian(&w, LEASE_GUARDIAN_STOPPED);
    assert_int_equal(w.lease.role, LEASE_FOLLOWER);
}

static void test_twin_is_lost(void **state)
{
    struct world w;

    (void)state;
    lead(&w);
    tick(&w, 2 * S);
    w.row.version.counter += 5; /* our nonce, a counter that we never wrote */
    answer_write(&w, LEASE_ANSWER_MISMATCH);
    answer_read(&w, LEASE_ANSWER_ROW);
    assert_int_equal(w.lease.role, LEASE_FENCED);
    assert_int_equal(w.lease.reason, LEASE_REASON_TWIN);
}

static void test_silence_demotes_in_time(void **state)
{
    struct world w;
    uint64_t deadline;

    (void)state;
    lead(&w);
    deadline = w.lease.deadline_ns;
    while (w.lease.role == LEASE_LEADER) {
        struct lease_now wake = lease_wake(&w.lease);
        uint64_t delay = wake.fast_ns - w.now.fast_ns;

        tick(&w, delay < MS ? MS : delay);
        if (w.lease.hook_id != 0 && w.lease.hook == LEASE_HOOK_CHECK && w.lease.role == LEASE_LEADER)
            hook_ends(&w, LEASE_HOOK_DONE);
        assert_true(w.now.fast_ns < deadline);
    }
    assert_int_equal(w.lease.role, LEASE_DEMOTING); /* R5 */
    assert_true(w.now.fast_ns >= deadline - 8 * S && w.now.fast_ns < deadline - 8 * S + 10 * MS);
}

static void test_release_only_after_confirmed_stop(void **state)
{
    struct world w;
    struct lease_event e = {.type = LEASE_EVENT_STOP};

    (void)state;
    lead(&w);
    feed(&w, &e);
    answer_write(&w, LEASE_ANSWER_ROW); /* the handover is announced */
    tick(&w, 2 * S);
    assert_int_equal(w.lease.role, LEASE_DEMOTING);
    while (w.lease.op.id != 0)
        answer_write(&w, LEASE_ANSWER_ROW);
    hook_ends(&w, LEASE_HOOK_DONE);
    hook_ends(&w, LEASE_HOOK_DONE); /* the check: it still runs */
    assert_int_equal(w.fences, 1);
    tick(&w, 3 * S);
    answer_write(&w, LEASE_ANSWER_ROW); /* R6: renewed meanwhile */
    assert_int_equal(w.write.write.kind, LEASE_WRITE_RENEW);
    assert_int_equal(w.releases, 0);
    guardian(&w, LEASE_GUARDIAN_STOPPED);
    assert_int_equal(w.save.save.deadline_ns, 0); /* R7: erased before */
    assert_int_equal(w.releases, 0);
    saved(&w);
    assert_int_equal(w.releases, 1);
    answer_write(&w, LEASE_ANSWER_ROW);
    assert_int_equal(w.exits, 1);
}

static void test_rogue_controller_is_stopped(void **state)
{
    struct world w;
    struct lease_row row = held_row(3, 30);

    (void)state;
    follow(&w, &row);
    if (w.lease.op.id != 0)
        answer_read(&w, LEASE_ANSWER_ROW);
    tick(&w, 5 * S);
    assert_int_equal(w.hook.hook.hook, LEASE_HOOK_CHECK);
    hook_ends(&w, LEASE_HOOK_DONE);
    assert_int_equal(w.lease.role, LEASE_DEMOTING); /* R13 */
    assert_int_equal(w.lease.reason, LEASE_REASON_ROGUE);
    assert_int_equal(w.hook.hook.hook, LEASE_HOOK_DEMOTE);
}

static void test_restart_in_place_bumps_the_epoch(void **state)
{
    struct world w;

    (void)state;
    lead(&w);
    tick(&w, 5 * S);
    while (w.lease.op.id != 0)
        answer_write(&w, LEASE_ANSWER_ROW);
    hook_ends(&w, LEASE_HOOK_STOPPED);
    assert_int_equal(w.lease.role, LEASE_DEMOTING);
    hook_ends(&w, LEASE_HOOK_DONE);
    hook_ends(&w, LEASE_HOOK_STOPPED);
    assert_int_equal(w.lease.role, LEASE_ACQUIRING);
    assert_int_equal(w.write.write.kind, LEASE_WRITE_BUMP);
    assert_int_equal(w.write.write.wanted.version.epoch, 2);
}

static void test_two_dead_guardians_and_no_start(void **state)
{
    struct world w;

    (void)state;
    follow(&w, &(struct lease_row){.ttl_ms = 20000});
    assert_int_equal(w.lease.role, LEASE_ACQUIRING);
    guardian(&w, LEASE_GUARDIAN_DOWN);
    guardian(&w, LEASE_GUARDIAN_UP);
    guardian(&w, LEASE_GUARDIAN_DOWN);
    guardian(&w, LEASE_GUARDIAN_UP);
    answer_write(&w, LEASE_ANSWER_ROW);
    assert_int_equal(w.promotes, 0); /* not started, to be stopped in the same step */
    assert_int_equal(w.lease.role, LEASE_DEMOTING);
}

static void test_renewal_of_a_hold_given_up_is_no_hold(void **state)
{
    struct world w;

    (void)state;
    lead(&w);
    while (w.lease.role != LEASE_DEMOTING) {
        tick(&w, 100 * MS);
        if (w.lease.hook_id != 0 && w.lease.hook == LEASE_HOOK_CHECK)
            hook_ends(&w, LEASE_HOOK_DONE);
    }
    hook_ends(&w, LEASE_HOOK_DONE);
    while (w.lease.op.id == 0 || !w.lease.op.is_write)
        tick(&w, 100 * MS);
    w.lease.deadline_ns = w.now.fast_ns; /* sent before the deadline, answered after it */
    hook_ends(&w, LEASE_HOOK_STOPPED);
    assert_int_equal(w.lease.role, LEASE_FOLLOWER);
    answer_write(&w, LEASE_ANSWER_ROW);
    assert_int_equal(w.lease.role, LEASE_FOLLOWER);
    assert_false(w.lease.holding);
}

int core_lead(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_start_needs_epoch_saved_and_seen),
        cmocka_unit_test(test_deadline_counts_from_send),
        cmocka_unit_test(test_unknown_extends_nothing_and_loses_nothing),
        cmocka_unit_test(test_another_nonce_fences_now),
        cmocka_unit_test(test_twin_is_lost),
        cmocka_unit_test(test_silence_demotes_in_time),
        cmocka_unit_test(test_release_only_after_confirmed_stop),
        cmocka_unit_test(test_rogue_controller_is_stopped),
        cmocka_unit_test(test_restart_in_place_bumps_the_epoch),
        cmocka_unit_test(test_two_dead_guardians_and_no_start),
        cmocka_unit_test(test_renewal_of_a_hold_given_up_is_no_hold),
    };

    return cmocka_run_group_tests_name("lead", tests, NULL, NULL);
}
