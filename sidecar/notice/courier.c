#include "notice/courier.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define GRACE_NS 150000000u /* for a delivery to see that nobody waits any more */

struct courier {
    struct courier_config config;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t news;  /* for the thread: something waits, or it is to end */
    pthread_cond_t ended; /* for who waits for that end */
    struct notice queue[COURIER_QUEUE];
    unsigned count;
    bool under_way, ending, over;
    atomic_bool abandoned; /* nobody waits any more */
    struct courier_counts counts;
};

static struct timespec in_ns(uint64_t ns)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    ns += (uint64_t)t.tv_nsec;
    t.tv_sec += (time_t)(ns / 1000000000u);
    t.tv_nsec = (long)(ns % 1000000000u);
    return t;
}

/* The lock is held. Ends early when the courier is to end. */
static void pause_for(struct courier *c, uint64_t ns)
{
    struct timespec until = in_ns(ns);

    while (!c->ending && pthread_cond_timedwait(&c->news, &c->lock, &until) != ETIMEDOUT)
        ;
}

/* The lock is held, and let go of while delivering. */
static void carry(struct courier *c, const struct notice *notice)
{
    uint64_t pause = c->config.pause_ns;
    enum courier_result result;
    unsigned tries = 0;

    for (;;) {
        pthread_mutex_unlock(&c->lock);
        result = c->config.deliver(c->config.userdata, notice);
        pthread_mutex_lock(&c->lock);
        tries++;
        if (result != COURIER_AGAIN || tries >= c->config.tries || c->ending)
            break;
        c->counts.retries++;
        pause_for(c, pause);
        pause = 2 * pause < c->config.pause_max_ns ? 2 * pause : c->config.pause_max_ns;
    }
    if (result == COURIER_DELIVERED)
        c->counts.delivered++;
    else
        c->counts.failed++;
    if (result != COURIER_DELIVERED && c->config.failed) {
        pthread_mutex_unlock(&c->lock);
        c->config.failed(c->config.userdata, notice, tries);
        pthread_mutex_lock(&c->lock);
    }
}

static void *work(void *userdata)
{
    struct courier *c = userdata;

    pthread_mutex_lock(&c->lock);
    for (;;) {
        while (c->count == 0 && !c->ending)
            pthread_cond_wait(&c->news, &c->lock);
        if (c->count == 0 || atomic_load(&c->abandoned))
            break;
        struct notice notice = c->queue[0];

        memmove(c->queue, c->queue + 1, --c->count * sizeof notice);
        c->under_way = true;
        carry(c, &notice);
        c->under_way = false;
    }
    c->over = true;
    pthread_cond_signal(&c->ended);
    pthread_mutex_unlock(&c->lock);
    return NULL;
}

int courier_new(const struct courier_config *config, struct courier **ret)
{
    struct courier *c = calloc(1, sizeof *c);
    pthread_condattr_t monotonic;

    if (!c)
        return -ENOMEM;
    c->config = *config;
    pthread_mutex_init(&c->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&c->news, &monotonic);
    pthread_cond_init(&c->ended, &monotonic);
    pthread_condattr_destroy(&monotonic);
    int r = pthread_create(&c->thread, NULL, work, c);

    if (r != 0) {
        free(c);
        return -r;
    }
    *ret = c;
    return 0;
}

bool courier_put(struct courier *c, const struct notice *notice, uint64_t *ret_dropped)
{
    bool full;

    pthread_mutex_lock(&c->lock);
    full = c->count == COURIER_QUEUE;
    if (full) {
        *ret_dropped = c->queue[0].number;
        memmove(c->queue, c->queue + 1, --c->count * sizeof *notice);
        c->counts.dropped++;
    }
    c->queue[c->count++] = *notice;
    c->counts.put++;
    pthread_cond_signal(&c->news);
    pthread_mutex_unlock(&c->lock);
    return full;
}

void courier_counts(struct courier *c, struct courier_counts *ret)
{
    pthread_mutex_lock(&c->lock);
    *ret = c->counts;
    ret->waiting = c->count + c->under_way;
    pthread_mutex_unlock(&c->lock);
}

bool courier_ending(struct courier *c)
{
    return atomic_load(&c->abandoned);
}

void courier_stop(struct courier *c)
{
    pthread_mutex_lock(&c->lock);
    c->ending = true;
    pthread_cond_signal(&c->news);
    pthread_mutex_unlock(&c->lock);
}

/* The lock is held. */
static void wait_end(struct courier *c, uint64_t ns)
{
    struct timespec until = in_ns(ns);

    while (!c->over && pthread_cond_timedwait(&c->ended, &c->lock, &until) != ETIMEDOUT)
        ;
}

bool courier_end(struct courier *c, uint64_t patience_ns)
{
    bool over;

    courier_stop(c);
    pthread_mutex_lock(&c->lock);
    wait_end(c, patience_ns);
    atomic_store(&c->abandoned, true);
    wait_end(c, GRACE_NS);
    over = c->over;
    pthread_mutex_unlock(&c->lock);
    if (!over) {
        pthread_detach(c->thread);
        return false;
    }
    pthread_join(c->thread, NULL);
    pthread_mutex_destroy(&c->lock);
    pthread_cond_destroy(&c->news);
    pthread_cond_destroy(&c->ended);
    free(c);
    return true;
}
