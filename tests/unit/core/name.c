/* Two sidecars of one name: the newcomer ends, the dead make room, the leader stays. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "world.h"

static void members(struct world *w, uint8_t incarnation, uint64_t heartbeat)
{
    struct lease_member row = {.name = "m1", .heartbeat = heartbeat, .incarnation = {{incarnation}}};
    struct lease_event e = {.type = LEASE_EVENT_MEMBERS, .members = {.list = &row, .count = 1}};

    feed(w, &e);
}

static void start_named(struct world *w, uint8_t previous)
{
    struct lease_event e = {.type = LEASE_EVENT_START, .start = {.incarnation = {{previous}}}};
    struct lease_config config;

    start(w, NULL);
    config = w->lease.config;
    config.incarnation = (struct lease_nonce){{5}};
    lease_init(&w->lease, &config);
    feed(w, &e);
    guardian(w, LEASE_GUARDIAN_UP);
    answer_read(w, LEASE_ANSWER_ROW);
    hook_ends(w, LEASE_HOOK_DONE);
    hook_ends(w, LEASE_HOOK_STOPPED);
    assert_int_equal(w->lease.role, LEASE_FOLLOWER); /* R10: first of all the name */
    assert_int_equal(lease_name_right(&w->lease), LEASE_NAME_WAIT);
}

static void test_newcomer_of_a_live_name_ends(void **state)
{
    struct world w;

    (void)state;
    start_named(&w, 0);
    members(&w, 7, 100);
    assert_int_equal(w.lease.role, LEASE_FOLLOWER);
    members(&w, 7, 101);
    assert_int_equal(w.lease.name, LEASE_NAME_DOUBLE); /* R10 */
    if (w.lease.save_id != 0)
        saved(&w);
    assert_int_equal(w.exits, 1);
}

static void test_dead_name_is_taken(void **state)
{
    struct world w;

    (void)state;
    start_named(&w, 0);
    members(&w, 7, 100);
    tick(&w, 7 * S);
    members(&w, 7, 100);
    assert_int_equal(w.lease.name, LEASE_NAME_OPEN); /* may only be slow */
    tick(&w, 2 * S);
    members(&w, 7, 100);
    assert_int_equal(lease_name_right(&w.lease), LEASE_NAME_TAKE);
    members(&w, 5, 1);
    assert_int_equal(lease_name_right(&w.lease), LEASE_NAME_KEEP);
    start_named(&w, 7); /* the sidecar before us on this host */
    members(&w, 7, 100);
    assert_int_equal(lease_name_right(&w.lease), LEASE_NAME_TAKE);
    start_named(&w, 0);
    members(&w, 0, 100); /* ended in order */
    assert_int_equal(lease_name_right(&w.lease), LEASE_NAME_TAKE);
}

static void test_leader_keeps_its_name(void **state)
{
    struct world w;

    (void)state;
    start_named(&w, 0);
    members(&w, 5, 1);
    if (w.lease.save_id != 0)
        saved(&w);
    while (w.lease.role == LEASE_FOLLOWER) {
        tick(&w, 500 * MS);
        if (w.lease.op.id != 0 && !w.lease.op.is_write)
            answer_read(&w, LEASE_ANSWER_ROW);
    }
    answer_write(&w, LEASE_ANSWER_ROW);
    members(&w, 7, 1);
    assert_int_equal(lease_name_right(&w.lease), LEASE_NAME_KEEP);
    members(&w, 7, 2);
    assert_int_equal(lease_name_right(&w.lease), LEASE_NAME_TAKE);
    assert_int_equal(w.lease.name, LEASE_NAME_OURS);
    assert_int_equal(w.exits, 0);
}

int core_name(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_newcomer_of_a_live_name_ends),
        cmocka_unit_test(test_dead_name_is_taken),
        cmocka_unit_test(test_leader_keeps_its_name),
    };

    return cmocka_run_group_tests_name("name", tests, NULL, NULL);
}
