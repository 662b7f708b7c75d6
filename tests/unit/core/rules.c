/* The tables: which edges between roles are legal, and which times go together. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "world.h"

static void test_edges(void **state)
{
    (void)state;
    assert_false(lease_edge_legal(LEASE_DEMOTING, LEASE_LEADER));
    assert_false(lease_edge_legal(LEASE_FENCED, LEASE_LEADER));
    assert_false(lease_edge_legal(LEASE_FENCED, LEASE_ACQUIRING));
    assert_false(lease_edge_legal(LEASE_FOLLOWER, LEASE_LEADER));
    assert_true(lease_edge_legal(LEASE_FENCED, LEASE_FOLLOWER));
}

static void test_timing(void **state)
{
    struct lease_timing t;

    (void)state;
    for (uint64_t ttl = 1; ttl <= 3600; ttl *= 2) {
        lease_timing_defaults(ttl * S, &t);
        assert_int_equal(lease_timing_check(&t), LEASE_TIMING_OK);
        assert_true(lease_timing_hold_ns(ttl * S) < ttl * S && lease_timing_watch_ns(ttl * S) > ttl * S);
    }
    lease_timing_defaults(20 * S, &t);
    assert_int_equal(lease_timing_silent_ns(&t), 10 * S);
    t.demote_budget_ns = 15 * S;
    assert_int_equal(lease_timing_check(&t), LEASE_TIMING_NO_SILENCE);
    lease_timing_defaults(20 * S, &t);
    t.check_budget_ns = 3 * S;
    assert_int_equal(lease_timing_check(&t), LEASE_TIMING_CHECK_BUDGET);
}

int core_rules(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_edges),
        cmocka_unit_test(test_timing),
    };

    return cmocka_run_group_tests_name("rules", tests, NULL, NULL);
}
