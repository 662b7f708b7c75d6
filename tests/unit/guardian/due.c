/* When it fences, and when it must not. */
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hook/hook.h"
#include "proc/kill.h"
#include "kit.h"

static void test_deadline(void **state)
{
    uint64_t begun, epoch;

    (void)state;
    begin();
    start();
    begun = hook_now_ns();
    arm(7, 400 * MS);
    wait_until("a fence", is_fencing);
    assert_true(hook_now_ns() - begun >= 395 * MS); /* not before it is due */
    wait_until("stopped", is_stopped);
    assert_true(hook_now_ns() - begun < 400 * MS + config.kill_budget_ns + config.margin_ns);
    page_stopped(page, &epoch);
    assert_int_equal(epoch, 7);
    assert_false(exists("runs"));
    assert_string_equal(contents("log"), "fence epoch=7 reason=deadline\n");
    assert_int_equal(page_disarm(page), PAGE_OK);
    assert_true(running()); /* it goes on watching */
}

/* A deadline that comes nearer wakes it; one that moves away again and again never lets it begin. */
static void test_deadline_moves(void **state)
{
    (void)state;
    begin();
    start();
    for (unsigned i = 0; i < 20; i++) {
        arm(7, 600 * MS);
        poll(NULL, 0, 50);
    }
    assert_string_equal(contents("log"), "");
    arm(7, 3600 * S);
    poll(NULL, 0, 200);
    assert_false(page_fencing(page));
    arm(7, 0);
    wait_until("stopped", is_stopped);
}

static void test_order_without_arming(void **state)
{
    uint64_t epoch;

    (void)state;
    begin();
    start();
    page_order_fence(page, 5);
    keeper_wake(&keeper);
    wait_until("stopped", is_stopped);
    assert_true(page_stopped(page, &epoch) && epoch == 5);
    assert_string_equal(contents("log"), "fence epoch=5 reason=ordered\n");
}

/* While 7 is being fenced the sidecar arms 8: "stopped" must come for 8, or nobody here starts anything
 * again. */
static void test_stopped_for_what_is_awaited(void **state)
{
    uint64_t epoch;

    (void)state;
    script("fence", "true"); /* the first fences are in vain */
    begin();
    start();
    arm(7, 0);
    wait_until("a fence", fence_tried);
    arm(8, 3600 * S);
    assert_int_equal(unlink(in_folder("runs")), 0);
    wait_until("stopped", is_stopped);
    assert_true(page_stopped(page, &epoch) && epoch == 8);
    assert_non_null(strstr(contents("log"), "fence epoch=7 reason=deadline\n"));
    assert_non_null(strstr(contents("log"), "fence epoch=8 reason=ordered\n"));
}

static bool two_fences(void)
{
    const char *second = strchr(contents("times"), '\n');

    return second && strchr(second + 1, '\n');
}

/* Both hang. Fence and check together must be over within K: the deadline comes only M later. */
static void test_budgets_fit_in_k(void **state)
{
    double first, second;
    long fence_ms, check_ms;

    (void)state;
    script("fence", "echo $GALERA_LEASE_BUDGET_MS >>$D/fence-ms; cut -d' ' -f1 /proc/uptime >>$D/times; "
                    "exec sleep 5");
    script("check", "echo $GALERA_LEASE_BUDGET_MS >>$D/check-ms; exec sleep 5");
    begin();
    start();
    arm(7, 0);
    wait_until("a second attempt", two_fences);
    assert_int_equal(sscanf(contents("times"), "%lf %lf", &first, &second), 2);
    /* K, the pause of 0.2 s, and room for starting processes; less than M. */
    assert_true(second - first < 1.0 + 0.2 + 0.45);
    fence_ms = atol(contents("fence-ms"));
    check_ms = atol(contents("check-ms"));
    assert_true(fence_ms >= 400 && check_ms >= 100 && fence_ms + check_ms <= 1000);
    /* Past the deadline each gets more than its own budget: on a slow host it would never come to an end. */
    fence_ms = atol(strchr(contents("fence-ms"), '\n') + 1);
    assert_int_equal(fence_ms, 2000);
}

/* Takes over where the one before was killed, be it in the middle of a fence or before it could tell. */
static void test_guardian_dies(void **state)
{
    uint64_t count;

    (void)state;
    script("fence", "[ -e $D/may ] && rm -f $D/runs; true");
    begin();
    start();
    arm(7, 0);
    wait_until("a fence", fence_tried);
    kill(keeper.pid, SIGKILL);
    keeper_reap(&keeper);
    touch("may");
    start();
    wait_until("stopped", is_stopped);
    kill(keeper.pid, SIGKILL);
    keeper_reap(&keeper);
    assert_true(read(keeper.notify_fd, &count, sizeof count) < 0 || count > 0);
    start();
    struct pollfd news = {.fd = keeper.notify_fd, .events = POLLIN};

    assert_int_equal(poll(&news, 1, 5000), 1);
    assert_true(is_stopped());
}

int guardian_due(void)
{
    const struct CMUnitTest tests[] = {
        KIT_TEST(test_deadline),
        KIT_TEST(test_deadline_moves),
        KIT_TEST(test_order_without_arming),
        KIT_TEST(test_stopped_for_what_is_awaited),
        KIT_TEST(test_budgets_fit_in_k),
        KIT_TEST(test_guardian_dies),
    };

    return cmocka_run_group_tests_name("due", tests, NULL, NULL);
}
