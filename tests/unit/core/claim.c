/* Claims and resumes of which nobody knows whether they took place, and what rises above what. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "world.h"

static void test_unsettled_nonce_is_not_replaced(void **state)
{
    struct world w;
    struct lease_nonce first;

    (void)state;
    follow(&w, &(struct lease_row){.ttl_ms = 20000});
    first = w.write.write.wanted.version.nonce;
    answer_write(&w, LEASE_ANSWER_UNKNOWN);
    tick(&w, S);
    answer_read(&w, LEASE_ANSWER_ROW);                                              /* not there, not yet */
    assert_memory_equal(&w.write.write.wanted.version.nonce, &first, sizeof first); /* R3 */
    /* It lands late: a read is no proof of holding, a renewal is. */
    w.row = w.write.write.wanted;
    answer_write(&w, LEASE_ANSWER_MISMATCH);
    answer_read(&w, LEASE_ANSWER_ROW);
    assert_int_equal(w.write.write.kind, LEASE_WRITE_RENEW);
    assert_int_equal(w.lease.deadline_ns, 0);
    assert_int_equal(w.promotes, 0);
}

static void test_claim_is_not_repeated_on_a_restarted_server(void **state)
{
    struct lease_row row = {.ttl_ms = 20000, .version = {.epoch = 3, .counter = 30}, .epoch_table = 3};
    struct world w;

    (void)state;
    follow(&w, &row);
    assert_int_equal(w.lease.role, LEASE_ACQUIRING);
    answer_write(&w, LEASE_ANSWER_UNKNOWN);
    tick(&w, S);
    answer_read_of_new_server(&w);
    assert_int_equal(w.lease.role, LEASE_FOLLOWER); /* R4: what we saw free may have been taken, and lost */
}

static void test_claim_behind_a_lost_row_is_given_up(void **state)
{
    struct lease_row row = {.ttl_ms = 20000, .version = {.epoch = 3, .counter = 30}, .epoch_table = 3};
    struct lease_nonce first;
    struct world w;

    (void)state;
    follow(&w, &row);
    first = w.lease.claim_nonce;
    answer_write(&w, LEASE_ANSWER_UNKNOWN);
    w.row.version.counter = 25; /* the version that the claim waits for is gone for ever */
    tick(&w, S);
    answer_read(&w, LEASE_ANSWER_ROW);
    assert_int_equal(w.lease.role, LEASE_FOLLOWER);
    watch(&w, 60 * S);
    assert_int_equal(w.lease.role, LEASE_ACQUIRING);
    assert_memory_not_equal(&w.lease.claim_nonce, &first, sizeof first);
}

static void test_claim_rises_above_what_others_remember(void **state)
{
    struct lease_row row = {.ttl_ms = 20000, .version = {.epoch = 3, .counter = 30}, .epoch_table = 3};
    struct lease_member m = {.name = "m2", .heartbeat = 1, .epoch_seen = 4, .priority = 100};
    struct lease_event e = {.type = LEASE_EVENT_MEMBERS, .members = {.list = &m, .count = 1}};
    struct world w;

    (void)state;
    follow(&w, &row);
    assert_int_equal(w.write.write.wanted.version.epoch, 4);
    feed(&w, &e); /* 4 has been used, and lost: m2 remembers */
    answer_write(&w, LEASE_ANSWER_ROW);
    assert_int_equal(w.write.write.kind, LEASE_WRITE_BUMP); /* R8 */
    assert_int_equal(w.write.write.wanted.version.epoch, 5);
    assert_int_equal(w.promotes, 0);
}

static void test_resume_is_a_new_nonce_and_a_new_epoch(void **state)
{
    struct world w;
    struct lease_memory memory = {.epoch_seen = 4, .epoch = 4, .nonce = {{9}}, .remaining_ns = 15 * S};

    (void)state;
    start(&w, &memory);
    assert_int_equal(w.guard.type, LEASE_COMMAND_ARM);
    w.row = held_row(4, 40);
    guardian(&w, LEASE_GUARDIAN_UP);
    answer_read(&w, LEASE_ANSWER_ROW);
    assert_int_equal(w.write.write.kind, LEASE_WRITE_RESUME); /* R7 */
    assert_true(memcmp(&w.write.write.wanted.version.nonce, &memory.nonce, sizeof memory.nonce) != 0);
    answer_write(&w, LEASE_ANSWER_ROW);
    hook_ends(&w, LEASE_HOOK_STOPPED);
    assert_int_equal(w.write.write.kind, LEASE_WRITE_BUMP); /* R9 */
    assert_int_equal(w.write.write.wanted.version.epoch, 5);
    assert_int_equal(w.promotes, 0);
}

static void test_late_resume_never_starts_under_its_old_epoch(void **state)
{
    struct lease_memory memory = {.epoch_seen = 5, .epoch = 5, .remaining_ns = 15 * S, .nonce = {{9}}};
    struct world w;

    (void)state;
    start(&w, &memory);
    guardian(&w, LEASE_GUARDIAN_UP);
    w.row = held_row(5, 50);
    answer_read(&w, LEASE_ANSWER_ROW);
    assert_int_equal(w.write.write.kind, LEASE_WRITE_RESUME);
    answer_write(&w, LEASE_ANSWER_UNKNOWN);
    while (w.lease.role != LEASE_FOLLOWER) { /* no answer: the deadline comes, the controller is stopped */
        tick(&w, 100 * MS);
        if (w.lease.hook_id != 0)
            hook_ends(&w, LEASE_HOOK_STOPPED);
        if (w.lease.save_id != 0)
            saved(&w);
    }
    if (w.lease.save_id != 0)
        saved(&w);
    w.lease.op.id = 0;
    watch(&w, 40 * S);
    assert_int_equal(w.write.write.kind, LEASE_WRITE_ACQUIRE);
    assert_true(w.write.write.wanted.version.epoch > 5); /* R8, R9: never the epoch of the start before */
}

static void test_claim_given_up_and_confirmed_is_no_hold(void **state)
{
    struct lease_memory memory = {.epoch_seen = 5, .epoch = 5, .remaining_ns = 12 * S, .nonce = {{9}}};
    struct world w;

    (void)state;
    start(&w, &memory);
    guardian(&w, LEASE_GUARDIAN_UP);
    w.row = held_row(5, 50);
    answer_read(&w, LEASE_ANSWER_ROW);
    assert_int_equal(w.write.write.kind, LEASE_WRITE_RESUME);
    while (w.lease.role == LEASE_ACQUIRING)
        tick(&w, 100 * MS);
    hook_ends(&w, LEASE_HOOK_DONE);
    hook_ends(&w, LEASE_HOOK_STOPPED);
    assert_int_equal(w.lease.role, LEASE_FOLLOWER);
    answer_write(&w, LEASE_ANSWER_ROW); /* the resume, at last */
    assert_int_equal(w.lease.role, LEASE_FOLLOWER);
    tick(&w, S);
    answer_read(&w, LEASE_ANSWER_ROW); /* the row says that it is ours: settled from there (R3) */
    assert_int_equal(w.lease.role, LEASE_ACQUIRING);
}

int core_claim(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_unsettled_nonce_is_not_replaced),
        cmocka_unit_test(test_claim_is_not_repeated_on_a_restarted_server),
        cmocka_unit_test(test_claim_behind_a_lost_row_is_given_up),
        cmocka_unit_test(test_claim_rises_above_what_others_remember),
        cmocka_unit_test(test_resume_is_a_new_nonce_and_a_new_epoch),
        cmocka_unit_test(test_late_resume_never_starts_under_its_old_epoch),
        cmocka_unit_test(test_claim_given_up_and_confirmed_is_no_hold),
    };

    return cmocka_run_group_tests_name("claim", tests, NULL, NULL);
}
