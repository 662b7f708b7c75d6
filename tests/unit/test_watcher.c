/* The watcher: it asks again and again, its newest answer counts, and one that hangs holds nobody up. */
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>

#include <cmocka.h>

#include "watch/watcher.h"

#define MS UINT64_C(1000000)

static atomic_uint asked;
static atomic_bool hang;

static uint64_t now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 * MS + (uint64_t)t.tv_nsec;
}

static void ask(void *userdata, struct watcher_answer *ret)
{
    unsigned n = atomic_fetch_add(&asked, 1) + 1;

    (void)userdata;
    while (atomic_load(&hang))
        poll(NULL, 0, 5);
    ret->good = n % 2 == 0;
    snprintf(ret->text, sizeof ret->text, "answer %u", n);
}

static struct watcher *begin(uint64_t interval_ns)
{
    struct watcher *w = NULL;

    atomic_store(&asked, 0);
    atomic_store(&hang, false);
    assert_int_equal(watcher_new(ask, NULL, interval_ns, &w), 0);
    return w;
}

static void wait_answer(struct watcher *w)
{
    struct pollfd readable = {.fd = watcher_fd(w), .events = POLLIN};

    assert_int_equal(poll(&readable, 1, 10000), 1);
}

static void test_asks_at_once_and_again(void **state)
{
    uint64_t start = now_ns(); /* before its thread is there */
    struct watcher *w = begin(250 * MS);
    struct watcher_answer answer;

    (void)state;
    for (unsigned i = 1; i <= 3; i++) {
        char text[32];

        wait_answer(w);
        assert_true(watcher_take(w, &answer));
        snprintf(text, sizeof text, "answer %u", i);
        assert_string_equal(answer.text, text);
        assert_int_equal(answer.good, i % 2 == 0);
        assert_false(watcher_take(w, &answer)); /* each once */
    }
    assert_true(now_ns() - start >= 500 * MS);
    assert_true(watcher_end(w, 5000 * MS));
}

static void test_the_newest_counts(void **state)
{
    struct watcher *w = begin(MS);
    struct watcher_answer answer;

    (void)state;
    while (atomic_load(&asked) < 5)
        poll(NULL, 0, 1);
    unsigned least = atomic_load(&asked) - 1, number;

    assert_true(watcher_take(w, &answer));
    assert_int_equal(sscanf(answer.text, "answer %u", &number), 1);
    assert_true(number >= least);
    assert_true(watcher_end(w, 5000 * MS));
}

static void test_one_that_hangs_holds_nobody_up(void **state)
{
    static struct watcher *w; /* left to the process's end: it must not look lost */
    struct watcher_answer answer;

    (void)state;
    w = begin(MS);
    wait_answer(w);
    atomic_store(&hang, true);
    unsigned before = atomic_load(&asked);

    while (atomic_load(&asked) == before) /* it hangs in this one */
        poll(NULL, 0, 1);
    watcher_take(w, &answer);
    uint64_t start = now_ns();

    assert_false(watcher_take(w, &answer));
    assert_false(watcher_end(w, 50 * MS));
    assert_true(now_ns() - start < 2000 * MS);
    atomic_store(&hang, false);
    poll(NULL, 0, 50);
}

static void test_ends_within_its_pause(void **state)
{
    struct watcher *w = begin(MS * 1000 * 3600);
    uint64_t start;

    (void)state;
    wait_answer(w);
    start = now_ns();
    assert_true(watcher_end(w, 5000 * MS));
    assert_true(now_ns() - start < 2000 * MS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_asks_at_once_and_again),
        cmocka_unit_test(test_the_newest_counts),
        cmocka_unit_test(test_one_that_hangs_holds_nobody_up),
        cmocka_unit_test(test_ends_within_its_pause),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
