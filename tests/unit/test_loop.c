/* The event loop: timers come on time and once, descriptors and signals are delivered, stalls are seen. */
#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/wait.h>
#include <time.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "util/loop.h"

struct box {
    struct loop *loop;
    unsigned count;
    int fd, signal;
};

static uint64_t now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_BOOTTIME, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void end(void *userdata)
{
    struct box *b = userdata;

    b->count++;
    loop_exit(b->loop, 42);
}

static void count(void *userdata)
{
    ((struct box *)userdata)->count++;
}

static void test_timer(void **state)
{
    struct box b = {0}, never = {0};

    (void)state;
    assert_int_equal(loop_new(&b.loop), 0);
    never.loop = b.loop;
    uint64_t start = now_ns();

    assert_int_equal(loop_timer(b.loop, 0, 3600000000000, count, &never), 0);
    assert_int_equal(loop_timer(b.loop, 0, 10000000, count, &b), 0); /* replaces the hour */
    assert_int_equal(loop_timer(b.loop, 1, 30000000, end, &b), 0);
    assert_int_equal(loop_run(b.loop), 42);
    assert_true(now_ns() - start >= 30000000);
    assert_int_equal(b.count, 2); /* one-shot: once each */
    assert_int_equal(never.count, 0);
    b.loop = loop_free(b.loop);
    assert_null(b.loop);
    assert_null(loop_free(NULL));
}

static void drain(void *userdata)
{
    struct box *b = userdata;
    uint64_t value;

    assert_int_equal(read(b->fd, &value, sizeof value), sizeof value);
    b->count++;
    loop_unwatch(b->loop, b->fd);
    value = 1;
    assert_int_equal(write(b->fd, &value, sizeof value), sizeof value); /* nobody listens any more */
}

static void test_watch(void **state)
{
    struct box b = {.fd = eventfd(1, EFD_CLOEXEC)}, ender = {0};

    (void)state;
    assert_int_equal(loop_new(&b.loop), 0);
    ender.loop = b.loop;
    assert_int_equal(loop_watch(b.loop, b.fd, drain, &b), 0);
    assert_int_equal(loop_timer(b.loop, 0, 20000000, end, &ender), 0);
    assert_int_equal(loop_run(b.loop), 42);
    assert_int_equal(b.count, 1);
    b.loop = loop_free(b.loop);
    close(b.fd);
}

static void on_signal(void *userdata, int signal)
{
    struct box *b = userdata;

    b->signal = signal;
    loop_exit(b->loop, 0);
}

static void test_signal(void **state)
{
    struct box b = {0};

    (void)state;
    assert_int_equal(loop_new(&b.loop), 0);
    assert_int_equal(loop_signal(b.loop, SIGUSR1, on_signal, &b), 0);
    kill(getpid(), SIGUSR1);
    assert_int_equal(loop_run(b.loop), 0);
    assert_int_equal(b.signal, SIGUSR1);
    b.loop = loop_free(b.loop);
}

static void busy(void *userdata)
{
    uint64_t start = now_ns();

    while (now_ns() - start < 5000000)
        ;
    end(userdata);
}

static void sleepy(void *userdata)
{
    poll(NULL, 0, 20);
    end(userdata);
}

/* Seven others want the CPU that we want. */
static void crowded(void *userdata)
{
    pid_t others[7];
    cpu_set_t all, one;
    int cpu = sched_getcpu();
    uint64_t start;

    assert_int_equal(sched_getaffinity(0, sizeof all, &all), 0);
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    assert_int_equal(sched_setaffinity(0, sizeof one, &one), 0);
    for (unsigned i = 0; i < 7; i++)
        if ((others[i] = fork()) == 0)
            for (;;)
                ;
    start = now_ns();
    while (now_ns() - start < 200000000)
        ;
    for (unsigned i = 0; i < 7; i++) {
        kill(others[i], SIGKILL);
        waitpid(others[i], NULL, 0);
    }
    sched_setaffinity(0, sizeof all, &all);
    end(userdata);
}

static void stall_of(loop_fn fn, uint64_t *ret_whole, uint64_t *ret_own)
{
    struct box b = {0};

    assert_int_equal(loop_new(&b.loop), 0);
    assert_int_equal(loop_timer(b.loop, 0, 0, fn, &b), 0);
    assert_int_equal(loop_run(b.loop), 42);
    *ret_whole = loop_stall_ns(b.loop);
    *ret_own = loop_stall_own_ns(b.loop);
    assert_int_equal(loop_stall_ns(b.loop), 0);
    assert_int_equal(loop_stall_own_ns(b.loop), 0);
    b.loop = loop_free(b.loop);
}

static void test_stall(void **state)
{
    uint64_t whole, own;

    (void)state;
    stall_of(busy, &whole, &own);
    assert_true(whole >= 5000000);
    /* Waiting for something is its own doing ... */
    stall_of(sleepy, &whole, &own);
    assert_true(whole >= 20000000 && own >= 15000000);
    /* ... waiting for a CPU is not. */
    stall_of(crowded, &whole, &own);
    assert_true(whole >= 200000000 && own < whole / 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_timer),
        cmocka_unit_test(test_watch),
        cmocka_unit_test(test_signal),
        cmocka_unit_test(test_stall),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
