/* The page: what each state allows, who wins when both sides want to change it, and what a sidecar that was
 * killed in the middle of a write leaves behind. Threads and processes are real. */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "guardian/page.h"
#include "proc/kill.h"

#define MS UINT64_C(1000000)
#define S  UINT64_C(1000000000)
#define K  (2 * S)
#define M  S

static struct page *page;
static int page_fd;
static struct clocks sidecar_clock;

static int set_up(void **state)
{
    const struct page_config config = {.kill_budget_ns = K, .margin_ns = M, .lease = "cmon"};

    (void)state;
    clocks_init(&sidecar_clock);
    sidecar_clock.fast_ns += 30000000 * S; /* far from what a guardian's own clock would begin with */
    return page_create(&config, &page, &page_fd);
}

static int tear_down(void **state)
{
    (void)state;
    page = page_unmap(page);
    close(page_fd);
    return 0;
}

static uint64_t in(uint64_t ns)
{
    clocks_sample(&sidecar_clock);
    return sidecar_clock.fast_ns + ns;
}

static struct page_view look(void)
{
    struct page_clock fresh = {0};

    return page_look(page, &fresh);
}

static void test_states(void **state)
{
    struct page_view view = look();
    uint64_t epoch = 99;

    (void)state;
    assert_int_equal(view.state, PAGE_STATE_DISARMED);
    assert_true(view.remaining_ns == UINT64_MAX);
    assert_int_equal(page_extend(page, in(20 * S), &sidecar_clock), PAGE_DISARMED);
    assert_int_equal(page_arm(page, 7, in(20 * S), &sidecar_clock), PAGE_OK);
    view = look();
    assert_int_equal(view.state, PAGE_STATE_ARMED);
    assert_true(view.remaining_ns <= 20 * S - K - M && view.remaining_ns > 16 * S);
    assert_int_equal(page_extend(page, in(30 * S), &sidecar_clock), PAGE_OK);
    assert_true(look().remaining_ns > 26 * S);
    assert_int_equal(page_extend(page, in(10 * S), &sidecar_clock), PAGE_OK); /* a deadline can come nearer */
    assert_true(look().remaining_ns <= 10 * S - K - M);
    assert_false(page_fencing(page));

    view = look();
    assert_true(page_begin_fence(page, &view));
    assert_int_equal(view.state, PAGE_STATE_FENCING);
    assert_true(page_fencing(page));
    assert_int_equal(page_extend(page, in(20 * S), &sidecar_clock), PAGE_FENCING);
    assert_int_equal(page_disarm(page), PAGE_FENCING);
    assert_false(page_stopped(page, &epoch));
    assert_true(page_set_stopped(page, &view));
    assert_int_equal(look().state, PAGE_STATE_STOPPED);
    assert_true(page_stopped(page, &epoch));
    assert_int_equal(epoch, 7);
    assert_int_equal(page_extend(page, in(20 * S), &sidecar_clock), PAGE_FENCING);
    assert_int_equal(page_disarm(page), PAGE_OK);
    assert_int_equal(look().state, PAGE_STATE_DISARMED);
    assert_false(page_stopped(page, &epoch));
}

/* The deadline in the word is never later than the one that was given, by whatever unit it is kept in. */
static void test_deadline_is_rounded_down(void **state)
{
    (void)state;
    for (uint64_t odd = 0; odd < 2000; odd += 333) {
        uint64_t deadline = in(20 * S) + odd;

        assert_int_equal(page_arm(page, 1, deadline, &sidecar_clock), PAGE_OK);
        assert_true(look().remaining_ns <= deadline - sidecar_clock.fast_ns - K - M);
    }
    assert_int_equal(page_arm(page, 1, 0, &sidecar_clock), PAGE_OK); /* past, not disarmed */
    assert_int_equal(look().state, PAGE_STATE_ARMED);
    assert_int_equal(look().remaining_ns, 0);
}

static void test_without_an_anchor_it_is_due_now(void **state)
{
    (void)state;
    page_arm(page, 1, in(20 * S), &sidecar_clock);
    atomic_store(&page->anchor_seq, 0);
    assert_int_equal(look().remaining_ns, 0);
    assert_false(page_may_start(page, 1));
}

/* "Stopped" speaks for what was armed or ordered last before the fence began, and for nothing later. */
static void test_stopped_is_for_its_turn(void **state)
{
    struct page_view view;
    uint64_t epoch = 0;

    (void)state;
    page_arm(page, 7, in(20 * S), &sidecar_clock);
    view = look();
    assert_true(page_begin_fence(page, &view));
    page_order_fence(page, 8); /* the sidecar awaits 8 from now on */
    assert_false(page_set_stopped(page, &view));
    assert_false(page_stopped(page, &epoch));
    view = look();
    assert_int_equal(view.state, PAGE_STATE_FENCING);
    assert_int_equal(page_arm(page, 9, in(20 * S), &sidecar_clock), PAGE_FENCING);
    assert_false(page_set_stopped(page, &view));
    view = look();
    assert_true(page_set_stopped(page, &view));
    assert_true(page_stopped(page, &epoch));
    assert_int_equal(epoch, 9);
    page_order_fence(page, 9); /* the same epoch again, before it was cleared */
    assert_int_equal(look().state, PAGE_STATE_FENCING);
    assert_false(page_stopped(page, &epoch));
    view = look();
    assert_true(page_set_stopped(page, &view));
    assert_int_equal(page_arm(page, 10, in(20 * S), &sidecar_clock), PAGE_FENCING);
    assert_int_equal(look().state, PAGE_STATE_FENCING);
}

static void test_a_changed_word_is_not_fenced(void **state)
{
    struct page_view view;

    (void)state;
    page_arm(page, 7, in(K + M), &sidecar_clock);
    view = look();
    assert_int_equal(view.remaining_ns, 0);
    page_extend(page, in(20 * S), &sidecar_clock); /* just in time */
    assert_false(page_begin_fence(page, &view));
    assert_false(page_fencing(page));
}

static void test_may_start(void **state)
{
    struct page_view view;

    (void)state;
    assert_false(page_may_start(page, 7));
    assert_true(atomic_load(&page->promotes[0]) == kill_identity(getpid())); /* first register, then look */
    assert_false(page_may_start(page, 7));
    assert_true(atomic_load(&page->promotes[1]) ==
                kill_identity(getpid())); /* each part beside those before it */
    assert_true(atomic_load(&page->promotes[2]) == 0);
    page_promote_over(page);
    assert_true(atomic_load(&page->promotes[0]) == 0 && atomic_load(&page->promotes[1]) == 0);
    page_arm(page, 7, in(20 * S), &sidecar_clock);
    assert_true(page_may_start(page, 7));
    assert_false(page_may_start(page, 6));
    page_extend(page, in(K + M), &sidecar_clock);
    assert_false(page_may_start(page, 7));
    page_extend(page, in(20 * S), &sidecar_clock);
    view = look();
    page_begin_fence(page, &view);
    assert_false(page_may_start(page, 7));
    page_set_stopped(page, &view);
    assert_false(page_may_start(page, 7));
}

static void test_map(void **state)
{
    struct page *other;
    int fd = memfd_create("test", MFD_CLOEXEC);

    (void)state;
    assert_int_equal(page_map(fd, &other), -EBADMSG);
    assert_int_equal(ftruncate(fd, sizeof(struct page)), 0);
    assert_int_equal(page_map(fd, &other), -EBADMSG);
    close(fd);
    assert_int_equal(page_map(-1, &other), -EBADF);
    assert_int_equal(page_map(page_fd, &other), 0);
    assert_string_equal(other->config.lease, "cmon");
    assert_null(page_unmap(other));
    assert_null(page_unmap(NULL));
}

/* Killed between any two stores, the sidecar leaves one whole anchor. */
static void test_killed_while_it_writes(void **state)
{
    unsigned random = 1;

    (void)state;
    for (unsigned i = 0; i < 150; i++) {
        uint64_t before = atomic_load(&page->anchor_seq);

        page_arm(page, i, UINT64_MAX / 2, &(struct clocks){.fast_ns = 5 * S, .boot_ns = 2 * S, .raw_ns = S});
        pid_t pid = fork();

        if (pid == 0) {
            for (uint64_t t = 1;; t++)
                page_extend(page, UINT64_MAX / 2,
                            &(struct clocks){.fast_ns = 5 * S + t, .boot_ns = 2 * S + t, .raw_ns = S + t});
        }
        while (atomic_load(&page->anchor_seq) < before + 50)
            sched_yield();
        random = random * 1103515245 + 12345;
        for (volatile unsigned spin = random % 4096; spin > 0; spin--)
            ;
        kill(pid, SIGKILL);
        assert_int_equal(waitpid(pid, NULL, 0), pid);

        struct page_clock clock = {0};
        struct page_view view = page_look(page, &clock);

        assert_true(clock.anchor_seq != 0);
        assert_int_equal(view.state, PAGE_STATE_ARMED);
        assert_true(view.remaining_ns > 0);
        /* The three readings belong together: what was added since is in all of them. */
        uint64_t t = atomic_load(&page->anchors[clock.anchor_seq % 2].fast_ns) - 5 * S;

        assert_true(atomic_load(&page->anchors[clock.anchor_seq % 2].boot_ns) == 2 * S + t);
        assert_true(atomic_load(&page->anchors[clock.anchor_seq % 2].raw_ns) == S + t);
        assert_true(page_may_start(page, i));
        page_promote_over(page);
    }
}

static uint64_t now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * S + (uint64_t)t.tv_nsec;
}

static atomic_bool ending, begun;
static atomic_ulong fences;

static void *guardian_obeys(void *userdata)
{
    struct page_clock clock = {0};

    (void)userdata;
    while (!atomic_load(&ending)) {
        struct page_view view = page_look(page, &clock);

        if (view.state == PAGE_STATE_FENCING && page_set_stopped(page, &view))
            atomic_fetch_add(&fences, 1);
    }
    return NULL;
}

/* Orders, waits for "stopped", disarms, arms: the guardian makes one fence of each order and none besides. */
static void test_no_fence_that_nobody_ordered(void **state)
{
    uint64_t end = now_ns() + S;
    unsigned long orders = 0;
    pthread_t thread;

    (void)state;
    atomic_store(&ending, false);
    atomic_store(&fences, 0);
    assert_int_equal(pthread_create(&thread, NULL, guardian_obeys, NULL), 0);
    do { /* once at least, also on a machine that is busy with other things */
        uint64_t epoch = 0;

        page_order_fence(page, ++orders);
        while (!page_stopped(page, &epoch))
            sched_yield();
        assert_true(epoch == orders);
        assert_int_equal(page_disarm(page), PAGE_OK);
        assert_int_equal(page_arm(page, orders, in(20 * S), &sidecar_clock), PAGE_OK);
        assert_int_equal(page_extend(page, in(20 * S), &sidecar_clock), PAGE_OK);
        assert_int_equal(page_disarm(page), PAGE_OK);
    } while (now_ns() < end);
    atomic_store(&ending, true);
    pthread_join(thread, NULL);
    assert_true(atomic_load(&fences) == orders);
}

static void *guardian_begins(void *userdata)
{
    struct page_clock clock = {0};

    (void)userdata;
    while (!atomic_load(&ending)) {
        struct page_view view = page_look(page, &clock);

        if (view.state == PAGE_STATE_ARMED && page_begin_fence(page, &view)) {
            atomic_store(&begun, true);
            while (atomic_load(&begun) && !atomic_load(&ending))
                sched_yield();
            page_set_stopped(page, &view);
        }
    }
    return NULL;
}

/* Both want the word at once: an extension that was granted came before the fence, always. */
static void test_the_loser_obeys(void **state)
{
    uint64_t end = now_ns() + S, epoch;
    unsigned long rounds = 0;
    pthread_t thread;

    (void)state;
    atomic_store(&ending, false);
    atomic_store(&begun, false);
    assert_int_equal(pthread_create(&thread, NULL, guardian_begins, NULL), 0);
    do {
        bool fencing = false;

        page_arm(page, rounds, in(20 * S), &sidecar_clock);
        while (!fencing) {
            bool known = atomic_load(&begun);

            fencing = page_extend(page, sidecar_clock.fast_ns + 20 * S, &sidecar_clock) == PAGE_FENCING;
            assert_true(fencing || !known);
        }
        while (!atomic_load(&begun))
            sched_yield();
        atomic_store(&begun, false);
        while (!page_stopped(page, &epoch))
            sched_yield();
        assert_true(epoch == rounds);
        assert_int_equal(page_disarm(page), PAGE_OK);
        rounds++;
    } while (now_ns() < end);
    atomic_store(&ending, true);
    pthread_join(thread, NULL);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        T(test_states),
        T(test_deadline_is_rounded_down),
        T(test_without_an_anchor_it_is_due_now),
        T(test_stopped_is_for_its_turn),
        T(test_a_changed_word_is_not_fenced),
        T(test_may_start),
        T(test_map),
        T(test_killed_while_it_writes),
        T(test_no_fence_that_nobody_ordered),
        T(test_the_loser_obeys),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
