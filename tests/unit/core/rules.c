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
        assert_int_equal(lease_timing_endpoint_limit_ns(&t), ttl * S * 2 / 5);
        assert_true(lease_timing_hold_ns(ttl * S) < ttl * S && lease_timing_watch_ns(ttl * S) > ttl * S);
    }
    lease_timing_defaults(20 * S, &t);
    assert_int_equal(lease_timing_silent_ns(&t), 10 * S);
    assert_int_equal(lease_timing_endpoint_limit_ns(&t), 8 * S);
    t.demote_budget_ns = 15 * S;
    assert_int_equal(lease_timing_check(&t), LEASE_TIMING_NO_SILENCE);
    lease_timing_defaults(20 * S, &t);
    t.check_budget_ns = 3 * S;
    assert_int_equal(lease_timing_check(&t), LEASE_TIMING_CHECK_BUDGET);
}

/* With whatever budgets that are allowed, one silent endpoint leaves time for a write on the next one. */
static void test_one_endpoint_is_silent(void **state)
{
    struct lease_timing t;
    unsigned allowed = 0;

    (void)state;
    lease_timing_defaults(20 * S, &t);
    for (t.renew_ns = S / 5; t.renew_ns <= 8 * S; t.renew_ns += S / 5)
        for (t.demote_budget_ns = S; t.demote_budget_ns <= 17 * S; t.demote_budget_ns += S / 10) {
            if (lease_timing_check(&t) != LEASE_TIMING_OK)
                continue;
            uint64_t second = t.renew_ns + lease_timing_endpoint_limit_ns(&t);
            uint64_t demote = lease_timing_hold_ns(t.ttl_ns) - lease_timing_demote_lead_ns(&t);

            allowed++;
            assert_true(second + t.renew_ns / 2 <= demote || second + t.ttl_ns * 9 / 100 <= demote);
            assert_true(lease_timing_endpoint_limit_ns(&t) >= t.renew_ns / 2);
            assert_true(lease_timing_endpoint_limit_ns(&t) <= 8 * S);
        }
    assert_true(allowed > 1000);
}

int core_rules(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_edges),
        cmocka_unit_test(test_timing),
        cmocka_unit_test(test_one_endpoint_is_silent),
    };

    return cmocka_run_group_tests_name("rules", tests, NULL, NULL);
}
