/* A hold: longer when it is confirmed, shorter before it is asked, and ended by itself. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "world.h"

static void ask(struct world *w, enum lease_request kind, uint64_t hold_ns)
{
    struct lease_event e = {.type = LEASE_EVENT_REQUEST,
                            .request = {.kind = kind, .id = 8, .hold_ns = hold_ns}};

    feed(w, &e);
}

static void test_hold_lengthens_and_shortens_first(void **state)
{
    struct world w;

    (void)state;
    lead(&w);
    ask(&w, LEASE_REQUEST_HOLD, 600 * S);
    assert_int_equal(w.write.write.kind, LEASE_WRITE_RENEW); /* at once */
    assert_int_equal(w.write.write.wanted.ttl_ms, 600000);   /* R12 */
    assert_int_equal(w.write.write.wanted.hold_ms, 600000);
    assert_true(w.lease.deadline_ns <= w.now.fast_ns + 20 * S); /* not before it is confirmed */
    answer_write(&w, LEASE_ANSWER_ROW);
    assert_int_equal(w.lease.deadline_ns, w.now.fast_ns + 594 * S);
    tick(&w, 100 * S); /* a silent database costs nothing now */
    assert_int_equal(w.lease.role, LEASE_LEADER);
    assert_int_equal(w.write.write.wanted.ttl_ms, 500000); /* towards the same end */
    uint64_t before = w.lease.deadline_ns;

    assert_int_equal(w.guard.guard.deadline_ns, before);
    answer_write(&w, LEASE_ANSWER_ROW);
    assert_true(w.lease.deadline_ns >= before && w.lease.deadline_ns <= before + S);
    while (w.lease.hook_id != 0)
        hook_ends(&w, LEASE_HOOK_DONE);
    ask(&w, LEASE_REQUEST_UNHOLD, 0);
    assert_int_equal(w.lease.op.id, 0); /* R7: a restart would count on what the disk says */
    assert_int_equal(w.lease.save_deadline_ns, w.now.fast_ns + 19800 * MS);
    saved(&w);
    assert_int_equal(w.write.write.wanted.ttl_ms, 20000);
    /* R1: the answer may be lost, so the deadline falls before it is known. */
    assert_int_equal(w.lease.deadline_ns, w.now.fast_ns + 19800 * MS);
    assert_int_equal(w.guard.type, LEASE_COMMAND_EXTEND);
    assert_int_equal(w.guard.guard.deadline_ns, w.now.fast_ns + 19800 * MS);
}

static void test_hold_ends_by_itself(void **state)
{
    struct world w;

    (void)state;
    lead(&w);
    ask(&w, LEASE_REQUEST_HOLD, 30 * S);
    for (unsigned i = 0; i < 70; i++) {
        if (w.lease.op.id != 0)
            answer_write(&w, LEASE_ANSWER_ROW);
        if (w.lease.hook_id != 0)
            hook_ends(&w, LEASE_HOOK_DONE);
        tick(&w, 500 * MS);
    }
    assert_int_equal(w.lease.role, LEASE_LEADER);
    assert_int_equal(lease_hold_left_ns(&w.lease), 0);
    assert_int_equal(w.write.write.wanted.ttl_ms, 20000);
    assert_int_equal(w.write.write.wanted.hold_ms, 0);
    assert_false(w.lease.hold_confirmed);
}

static void test_hold_outlives_its_sidecar(void **state)
{
    struct world w;
    struct lease_memory memory = {.epoch_seen = 4, .epoch = 4, .nonce = {{9}}, .remaining_ns = 300 * S};

    (void)state;
    start(&w, &memory);
    w.row = held_row(4, 40);
    w.row.ttl_ms = 400000;
    guardian(&w, LEASE_GUARDIAN_UP);
    answer_read(&w, LEASE_ANSWER_ROW);
    assert_int_equal(w.write.write.kind, LEASE_WRITE_RESUME);
    assert_int_equal(w.write.write.wanted.ttl_ms, 303030);  /* to the stored deadline */
    assert_true(lease_hold_left_ns(&w.lease) >= 300 * S);   /* and on, until its end */
    assert_int_equal(w.write.write.wanted.hold_request, 0); /* the reason stands in the row */
}

/* R4 and R12: a free row that lost a hold is watched as long as that hold's holder may act. */
static void test_lost_hold_is_watched_in_full(void **state)
{
    struct world w;
    struct lease_row row = held_row(3, 30);
    struct lease_row stale = {
        .ttl_ms = 20000, .version = {.epoch = 2, .counter = 20}, .holder = "m2", .epoch_table = 2};

    (void)state;
    row.ttl_ms = 600000;
    follow(&w, &row);
    w.row = stale;
    for (unsigned i = 0; i < 600 && w.lease.role == LEASE_FOLLOWER; i++) {
        tick(&w, S);
        if (w.lease.op.id != 0 && !w.lease.op.is_write)
            answer_read(&w, LEASE_ANSWER_ROW);
        if (w.lease.hook_id != 0)
            hook_ends(&w, LEASE_HOOK_STOPPED);
    }
    assert_int_equal(w.lease.role, LEASE_FOLLOWER);
}

int core_hold(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hold_lengthens_and_shortens_first),
        cmocka_unit_test(test_hold_ends_by_itself),
        cmocka_unit_test(test_hold_outlives_its_sidecar),
        cmocka_unit_test(test_lost_hold_is_watched_in_full),
    };

    return cmocka_run_group_tests_name("hold", tests, NULL, NULL);
}
