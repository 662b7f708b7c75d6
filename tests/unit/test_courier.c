/* The courier: order, retries, the bound of its queue, and that a receiver that hangs delays nobody who puts.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "notice/courier.h"

#define MS UINT64_C(1000000)

/* A receiver that does as told. */
struct receiver {
    pthread_mutex_t lock;
    pthread_cond_t change;
    uint64_t seen[256];
    unsigned tries, failures;   /* fail so many times first */
    enum courier_result answer; /* ... like this */
    bool hang;
    unsigned given_up, given_up_tries;
};

static uint64_t now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 * MS + (uint64_t)t.tv_nsec;
}

static enum courier_result deliver(void *userdata, const struct notice *notice)
{
    struct receiver *r = userdata;
    enum courier_result result = COURIER_DELIVERED;

    pthread_mutex_lock(&r->lock);
    r->seen[r->tries++] = notice->number;
    pthread_cond_broadcast(&r->change);
    while (r->hang)
        pthread_cond_wait(&r->change, &r->lock);
    if (r->failures > 0) {
        r->failures--;
        result = r->answer;
    }
    pthread_mutex_unlock(&r->lock);
    return result;
}

static void failed(void *userdata, const struct notice *notice, unsigned tries)
{
    struct receiver *r = userdata;

    pthread_mutex_lock(&r->lock);
    r->given_up = (unsigned)notice->number;
    r->given_up_tries = tries;
    pthread_mutex_unlock(&r->lock);
}

static struct receiver receiver;

static struct courier *begin(unsigned tries, uint64_t pause_ns)
{
    struct courier_config config = {.deliver = deliver,
                                    .failed = failed,
                                    .userdata = &receiver,
                                    .tries = tries,
                                    .pause_ns = pause_ns,
                                    .pause_max_ns = 4 * pause_ns};
    struct courier *c = NULL;

    memset(&receiver, 0, sizeof receiver);
    pthread_mutex_init(&receiver.lock, NULL);
    pthread_cond_init(&receiver.change, NULL);
    assert_int_equal(courier_new(&config, &c), 0);
    return c;
}

static bool put(struct courier *c, uint64_t number, uint64_t *ret_dropped)
{
    struct notice notice = {.number = number};

    return courier_put(c, &notice, ret_dropped);
}

static void wait_tries(unsigned tries)
{
    struct timespec until;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += 10;
    pthread_mutex_lock(&receiver.lock);
    while (receiver.tries < tries)
        if (pthread_cond_timedwait(&receiver.change, &receiver.lock, &until) != 0)
            fail_msg("%u of %u deliveries", receiver.tries, tries);
    pthread_mutex_unlock(&receiver.lock);
}

static void let_go(void)
{
    pthread_mutex_lock(&receiver.lock);
    receiver.hang = false;
    pthread_cond_broadcast(&receiver.change);
    pthread_mutex_unlock(&receiver.lock);
}

static void test_in_order(void **state)
{
    struct courier *c = begin(3, MS);
    struct courier_counts counts;
    uint64_t dropped;

    (void)state;
    for (uint64_t i = 1; i <= 20; i++)
        assert_false(put(c, i, &dropped));
    wait_tries(20);
    for (unsigned i = 0; i < 20; i++)
        assert_int_equal(receiver.seen[i], i + 1);
    do
        courier_counts(c, &counts);
    while (counts.waiting > 0);
    assert_int_equal(counts.put, 20);
    assert_int_equal(counts.delivered, 20);
    assert_int_equal(counts.failed + counts.dropped + counts.retries, 0);
    assert_true(courier_end(c, 1000 * MS));
}

static void test_tried_again(void **state)
{
    struct courier *c = begin(4, 20 * MS);
    struct courier_counts counts;
    uint64_t dropped, start = now_ns();

    (void)state;
    receiver.failures = 3;
    receiver.answer = COURIER_AGAIN;
    put(c, 1, &dropped);
    put(c, 2, &dropped);
    wait_tries(5);
    assert_true(now_ns() - start >= (20 + 40 + 80) * MS);
    assert_int_equal(receiver.seen[3], 1); /* the second waits for the first */
    assert_int_equal(receiver.seen[4], 2);
    do
        courier_counts(c, &counts);
    while (counts.waiting > 0);
    assert_int_equal(counts.delivered, 2);
    assert_int_equal(counts.retries, 3);
    assert_true(courier_end(c, 1000 * MS));
}

static void given_up(enum courier_result answer, unsigned tries)
{
    struct courier *c = begin(3, MS);
    struct courier_counts counts;
    uint64_t dropped;

    receiver.failures = 3;
    receiver.answer = answer;
    if (answer == COURIER_REFUSED)
        receiver.failures = 1;
    put(c, 1, &dropped);
    put(c, 2, &dropped);
    wait_tries(tries + 1);
    do
        courier_counts(c, &counts);
    while (counts.waiting > 0);
    assert_int_equal(receiver.given_up, 1);
    assert_int_equal(receiver.given_up_tries, tries);
    assert_int_equal(counts.failed, 1);
    assert_int_equal(counts.delivered, 1);
    assert_true(courier_end(c, 1000 * MS));
}

static void test_given_up(void **state)
{
    (void)state;
    given_up(COURIER_AGAIN, 3);
    given_up(COURIER_REFUSED, 1);
}

static void test_a_hanging_receiver_delays_nobody(void **state)
{
    struct courier *c = begin(1, MS);
    struct courier_counts counts;
    uint64_t dropped = 0;

    (void)state;
    receiver.hang = true;
    put(c, 1, &dropped);
    wait_tries(1);
    uint64_t start = now_ns();

    for (uint64_t i = 2; i <= COURIER_QUEUE + 1; i++)
        assert_false(put(c, i, &dropped));
    for (uint64_t i = 0; i < 3; i++) {
        assert_true(put(c, COURIER_QUEUE + 2 + i, &dropped));
        assert_int_equal(dropped, 2 + i); /* the oldest that waits, never the one under way */
    }
    assert_true(now_ns() - start < 500 * MS);
    courier_counts(c, &counts);
    assert_int_equal(counts.waiting, COURIER_QUEUE + 1);
    assert_int_equal(counts.dropped, 3);
    let_go();
    wait_tries(COURIER_QUEUE + 1);
    assert_int_equal(receiver.seen[1], 5);
    assert_int_equal(receiver.seen[COURIER_QUEUE], COURIER_QUEUE + 4);
    assert_true(courier_end(c, 5000 * MS));
}

static void test_the_end_delivers_what_waits(void **state)
{
    struct courier *c = begin(100, MS * 1000 * 3600);
    uint64_t dropped, start = now_ns();

    (void)state;
    receiver.failures = 1;
    receiver.answer = COURIER_AGAIN;
    put(c, 1, &dropped);
    wait_tries(1); /* now it pauses for an hour */
    put(c, 2, &dropped);
    assert_true(courier_end(c, 5000 * MS));
    assert_true(now_ns() - start < 4000 * MS);
    assert_int_equal(receiver.seen[receiver.tries - 1], 2);
}

static void test_the_end_waits_for_nobody_who_hangs(void **state)
{
    struct courier *c = begin(1, MS);
    uint64_t dropped, start;

    (void)state;
    receiver.hang = true;
    put(c, 1, &dropped);
    put(c, 2, &dropped);
    wait_tries(1);
    start = now_ns();
    assert_false(courier_end(c, 50 * MS));
    assert_true(now_ns() - start < 2000 * MS);
    let_go(); /* its thread ends by itself, and delivers no more */
    nanosleep(&(struct timespec){.tv_nsec = 50 * (long)MS}, NULL);
    assert_int_equal(receiver.tries, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_in_order),
        cmocka_unit_test(test_tried_again),
        cmocka_unit_test(test_given_up),
        cmocka_unit_test(test_a_hanging_receiver_delays_nobody),
        cmocka_unit_test(test_the_end_delivers_what_waits),
        cmocka_unit_test(test_the_end_waits_for_nobody_who_hangs),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
