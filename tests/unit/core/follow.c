/* How long a follower waits before it claims, what it believes of the row, and whose turn it is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "world.h"

static void test_held_row_is_watched_for_a_whole_ttl(void **state)
{
    struct world w;
    struct lease_row row = held_row(3, 30);

    (void)state;
    follow(&w, &row);
    uint64_t since = w.lease.row_since_slow_ns;

    while (w.lease.role == LEASE_FOLLOWER) {
        tick(&w, 500 * MS);
        if (w.lease.op.id != 0 && !w.lease.op.is_write)
            answer_read(&w, LEASE_ANSWER_ROW);
        if (w.lease.hook_id != 0)
            hook_ends(&w, LEASE_HOOK_STOPPED);
    }
    assert_int_equal(w.lease.role, LEASE_ACQUIRING);
    assert_true(w.now.slow_ns - since >= 20 * S + S / 5); /* R4 */
    assert_true(w.now.slow_ns - since < 22 * S);
    assert_int_equal(w.write.write.wanted.version.epoch, 4);
}

static void test_challenger_counts_on_the_slow_clock(void **state)
{
    struct world w;
    struct lease_row row = held_row(3, 30);

    (void)state;
    follow(&w, &row);
    w.now.fast_ns += 100 * S; /* suspended, by one of both clocks */
    tick(&w, MS);
    if (w.lease.hook_id != 0)
        hook_ends(&w, LEASE_HOOK_STOPPED);
    answer_read(&w, LEASE_ANSWER_ROW);
    assert_int_equal(w.lease.role, LEASE_FOLLOWER);
}

static void test_free_row_below_memory_is_watched(void **state)
{
    struct world w;
    struct lease_row row = {
        .version = {.epoch = 3, .counter = 30}, .ttl_ms = 20000, .holder = "m2", .epoch_table = 3};
    struct lease_member member = {.name = "m3", .heartbeat = 1, .epoch_seen = 9, .priority = 100};
    struct lease_event e = {.type = LEASE_EVENT_MEMBERS, .members = {.list = &member, .count = 1}};

    (void)state;
    start(&w, NULL);
    w.row = row;
    guardian(&w, LEASE_GUARDIAN_UP);
    feed(&w, &e);
    answer_read(&w, LEASE_ANSWER_ROW);
    hook_ends(&w, LEASE_HOOK_DONE);
    hook_ends(&w, LEASE_HOOK_STOPPED);
    assert_int_equal(w.lease.role, LEASE_FOLLOWER); /* not at once */
    for (unsigned i = 0; i < 60 && w.lease.role == LEASE_FOLLOWER; i++) {
        tick(&w, 500 * MS);
        if (w.lease.op.id != 0 && !w.lease.op.is_write)
            answer_read(&w, LEASE_ANSWER_ROW);
        if (w.lease.hook_id != 0)
            hook_ends(&w, LEASE_HOOK_STOPPED);
    }
    assert_int_equal(w.write.write.wanted.version.epoch, 10); /* R8: above every memory */
}

static void test_row_made_again_is_watched(void **state)
{
    struct lease_row row = held_row(3, 30), again = {.ttl_ms = 20000, .epoch_table = 3};
    struct world w;

    (void)state;
    again.version.epoch = 3;
    follow(&w, &row);
    w.row = again; /* deleted and made again between two reads: its holder may still act */
    watch(&w, 15 * S);
    assert_int_equal(w.lease.role, LEASE_FOLLOWER); /* R4 */
    watch(&w, 6 * S);
    assert_int_equal(w.lease.role, LEASE_ACQUIRING);
}

static void test_edited_ttl_is_not_believed_below_ours(void **state)
{
    struct lease_row row = held_row(3, 30);
    struct world w;

    (void)state;
    row.ttl_ms = 5000; /* the first that we see of this version */
    follow(&w, &row);
    watch(&w, 15 * S);
    assert_int_equal(w.lease.role, LEASE_FOLLOWER); /* R4 */
    watch(&w, 6 * S);
    assert_int_equal(w.lease.role, LEASE_ACQUIRING);
}

static void test_restarted_server_begins_the_watch_anew(void **state)
{
    struct lease_row row = held_row(3, 30);
    struct world w;

    (void)state;
    follow(&w, &row);
    watch(&w, 15 * S);
    while (w.lease.op.id == 0)
        tick(&w, 100 * MS);
    answer_read_of_new_server(&w); /* the same row: but renewals after it may be lost */
    w.lease.instance = 7;          /* the next answers are of the same server */
    watch(&w, 15 * S);
    assert_int_equal(w.lease.role, LEASE_FOLLOWER); /* R4 */
    watch(&w, 6 * S);
    assert_int_equal(w.lease.role, LEASE_ACQUIRING);
}

static void test_rank_follows_priority_then_name(void **state)
{
    struct world w;
    struct lease_row row = held_row(3, 30);
    struct lease_member members[] = {{.name = "m2", .heartbeat = 1, .priority = 900},
                                     {.name = "a1", .heartbeat = 1, .priority = 100},
                                     {.name = "m3", .heartbeat = 1, .priority = 200},
                                     {.name = "a0", .heartbeat = 1, .priority = 0}};
    struct lease_event e = {.type = LEASE_EVENT_MEMBERS, .members = {.list = members, .count = 4}};

    (void)state;
    follow(&w, &row);
    feed(&w, &e);
    assert_int_equal(lease_rank(&w.lease), 0); /* nobody was seen moving yet */
    for (unsigned i = 0; i < 4; i++)
        members[i].heartbeat++;
    feed(&w, &e);
    assert_int_equal(lease_rank(&w.lease), 2); /* R11: a1 and m3; not the holder, not priority 0 */
    w.now.slow_ns += 60 * S;
    w.now.fast_ns += 60 * S;
    tick(&w, 0);
    assert_int_equal(lease_rank(&w.lease), 0); /* they went quiet */
}

/* Hosts come and go; the names of those that are gone keep no room from those that live. */
static void test_a_full_memory_of_names_makes_room(void **state)
{
    struct world w;
    struct lease_row row = held_row(3, 30);
    struct lease_member gone[LEASE_MEMBERS_MAX] = {0}, living[] = {{.name = "new", .priority = 200}};
    struct lease_event e = {.type = LEASE_EVENT_MEMBERS,
                            .members = {.list = gone, .count = LEASE_MEMBERS_MAX}};

    (void)state;
    follow(&w, &row);
    for (unsigned i = 0; i < LEASE_MEMBERS_MAX; i++)
        snprintf(gone[i].name, sizeof gone[i].name, "gone%u", i);
    feed(&w, &e);
    e.members.list = living;
    e.members.count = 1;
    feed(&w, &e);
    living[0].heartbeat++;
    feed(&w, &e);
    assert_int_equal(lease_rank(&w.lease), 1); /* R11 */
    /* Our own row is heard also when there is no room for it. */
    gone[LEASE_MEMBERS_MAX - 1] = (struct lease_member){.name = "m1", .drifted = true};
    e.members.list = gone;
    e.members.count = LEASE_MEMBERS_MAX;
    feed(&w, &e);
    assert_true(w.lease.drifted);
}

int core_follow(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_held_row_is_watched_for_a_whole_ttl),
        cmocka_unit_test(test_challenger_counts_on_the_slow_clock),
        cmocka_unit_test(test_free_row_below_memory_is_watched),
        cmocka_unit_test(test_row_made_again_is_watched),
        cmocka_unit_test(test_edited_ttl_is_not_believed_below_ours),
        cmocka_unit_test(test_restarted_server_begins_the_watch_anew),
        cmocka_unit_test(test_rank_follows_priority_then_name),
        cmocka_unit_test(test_a_full_memory_of_names_makes_room),
    };

    return cmocka_run_group_tests_name("follow", tests, NULL, NULL);
}
