/* The two clocks: what slewing, suspend and readings that go back do to them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "util/clocks.h"

#define S UINT64_C(1000000000)

static void test_fast_and_slow(void **state)
{
    struct clocks c = {.boot_ns = 10 * S, .raw_ns = 5 * S, .fast_ns = S, .slow_ns = S};

    (void)state;
    clocks_advance(&c, 10 * S + 108, 5 * S + 100); /* BOOTTIME slewed up */
    assert_int_equal(c.fast_ns, S + 108);
    assert_int_equal(c.slow_ns, S + 100);
    clocks_advance(&c, 10 * S + 200, 5 * S + 200); /* slewed down */
    assert_int_equal(c.fast_ns, S + 208);
    assert_int_equal(c.slow_ns, S + 192);
    clocks_advance(&c, 110 * S + 200, 5 * S + 200); /* asleep: RAW stands still */
    assert_int_equal(c.fast_ns, 101 * S + 208);
    assert_int_equal(c.slow_ns, S + 192);
}

/* A reading that goes back stands still, and what it then gains again is not counted twice. */
static void test_back(void **state)
{
    struct clocks c = {.boot_ns = 1000, .raw_ns = 1000, .fast_ns = S, .slow_ns = S};

    (void)state;
    clocks_advance(&c, 900, 990);
    assert_int_equal(c.fast_ns, S);
    assert_int_equal(c.slow_ns, S);
    clocks_advance(&c, 1000, 1000);
    assert_int_equal(c.fast_ns, S);
    clocks_advance(&c, 1001, 1002);
    assert_int_equal(c.fast_ns, S + 2);
    assert_int_equal(c.slow_ns, S + 1);
}

static void test_sample(void **state)
{
    struct clocks c, before;

    (void)state;
    clocks_init(&c);
    assert_int_equal(c.fast_ns, S);
    assert_int_equal(c.slow_ns, S);
    before = c;
    while (c.raw_ns == before.raw_ns || c.boot_ns == before.boot_ns)
        clocks_sample(&c);
    assert_true(c.fast_ns > before.fast_ns && c.slow_ns > before.slow_ns);
    assert_true(c.fast_ns >= c.slow_ns);
}

static void test_elapsed(void **state)
{
    static const struct {
        struct clocks_instant from, to;
        uint64_t elapsed;
    } rows[] = {
        {{100, 100, 100}, {200, 200, 200}, 100},
        {{100, 100, 100}, {200, 208, 200}, 108},   /* RAW ran faster */
        {{100, 100, 100}, {208, 200, 208}, 108},   /* MONOTONIC was slewed up */
        {{100, 100, 100}, {1200, 200, 200}, 1100}, /* 1000 asleep */
        {{100, 100, 100}, {1200, 208, 200}, 1108}, /* asleep, and RAW faster */
        {{500, 500, 500}, {400, 400, 400}, 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        assert_int_equal(clocks_elapsed_fast_ns(&rows[i].from, &rows[i].to), rows[i].elapsed);
}

static void test_left(void **state)
{
    static const struct {
        uint64_t left;
        struct clocks_instant from, to;
        uint64_t left_then;
    } rows[] = {
        {1000, {100, 100, 100}, {100, 100, 100}, 1000}, {1000, {100, 100, 100}, {400, 400, 400}, 700},
        {1000, {100, 100, 100}, {400, 408, 400}, 692},  /* RAW ran faster */
        {1000, {100, 100, 100}, {800, 200, 200}, 300},  /* 600 asleep */
        {1000, {100, 100, 100}, {1100, 1100, 1100}, 0}, /* just over */
        {1000, {100, 100, 100}, {9100, 9100, 9100}, 0}, /* long over */
        {1000, {500, 500, 500}, {400, 400, 400}, 1000}, {0, {100, 100, 100}, {100, 100, 100}, 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        assert_int_equal(clocks_left_ns(rows[i].left, &rows[i].from, &rows[i].to), rows[i].left_then);
}

static void test_boot_id(void **state)
{
    char a[CLOCKS_BOOT_ID_SIZE], b[CLOCKS_BOOT_ID_SIZE];

    (void)state;
    assert_int_equal(clocks_boot_id(a), 0);
    assert_int_equal(clocks_boot_id(b), 0);
    assert_int_equal(strlen(a), 36);
    assert_string_equal(a, b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fast_and_slow), cmocka_unit_test(test_back), cmocka_unit_test(test_sample),
        cmocka_unit_test(test_elapsed),       cmocka_unit_test(test_left), cmocka_unit_test(test_boot_id),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
