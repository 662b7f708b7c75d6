#include "util/loop.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <systemd/sd-event.h>
#include <time.h>

#include "util/cleanup.h"

#define LOOP_WATCHES 64

struct watch {
    struct loop *loop;
    sd_event_source *source;
    int fd;
    loop_fn fn;
    loop_signal_fn signal_fn;
    void *userdata;
};

struct loop {
    sd_event *event;
    struct watch watches[LOOP_WATCHES];
    struct watch timers[LOOP_TIMERS];
    uint64_t stall_ns;
    struct histogram lateness;
};

static uint64_t now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_BOOTTIME, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void timed_call(struct watch *w)
{
    struct loop *loop = w->loop;
    uint64_t start = now_ns();

    w->fn(w->userdata);
    uint64_t took = now_ns() - start;

    if (took > loop->stall_ns)
        loop->stall_ns = took;
}

static int on_io(sd_event_source *s, int fd, uint32_t revents, void *userdata)
{
    (void)s;
    (void)fd;
    (void)revents;
    timed_call(userdata);
    return 0;
}

static int on_timer(sd_event_source *s, uint64_t usec, void *userdata)
{
    struct watch *w = userdata;
    uint64_t now = now_ns(), due = usec * 1000;

    (void)s;
    histogram_add(&w->loop->lateness, now > due ? now - due : 0);
    timed_call(w);
    return 0;
}

static int on_signal(sd_event_source *s, const struct signalfd_siginfo *si, void *userdata)
{
    struct watch *w = userdata;

    (void)s;
    w->signal_fn(w->userdata, (int)si->ssi_signo);
    return 0;
}

int loop_new(struct loop **ret)
{
    struct loop *loop = calloc(1, sizeof *loop);

    if (!loop)
        return -ENOMEM;
    for (unsigned i = 0; i < LOOP_WATCHES; i++)
        loop->watches[i] = (struct watch){.loop = loop, .fd = -1};
    for (unsigned i = 0; i < LOOP_TIMERS; i++)
        loop->timers[i] = (struct watch){.loop = loop, .fd = -1};
    int r = sd_event_new(&loop->event);

    if (r < 0) {
        free(loop);
        return r;
    }
    *ret = loop;
    return 0;
}

struct loop *loop_free(struct loop *loop)
{
    if (!loop)
        return NULL;
    for (unsigned i = 0; i < LOOP_WATCHES; i++)
        sd_event_source_unref(loop->watches[i].source);
    for (unsigned i = 0; i < LOOP_TIMERS; i++)
        sd_event_source_unref(loop->timers[i].source);
    sd_event_unref(loop->event);
    free(loop);
    return NULL;
}

int loop_run(struct loop *loop)
{
    return sd_event_loop(loop->event);
}

void loop_exit(struct loop *loop, int code)
{
    sd_event_exit(loop->event, code);
}

static struct watch *free_watch(struct loop *loop)
{
    for (unsigned i = 0; i < LOOP_WATCHES; i++)
        if (!loop->watches[i].source)
            return &loop->watches[i];
    return NULL;
}

int loop_watch(struct loop *loop, int fd, loop_fn fn, void *userdata)
{
    struct watch *w = free_watch(loop);

    if (!w)
        return -ENOSPC;
    w->fd = fd;
    w->fn = fn;
    w->userdata = userdata;
    return sd_event_add_io(loop->event, &w->source, fd, EPOLLIN, on_io, w);
}

void loop_unwatch(struct loop *loop, int fd)
{
    for (unsigned i = 0; i < LOOP_WATCHES; i++) {
        struct watch *w = &loop->watches[i];

        if (w->source && w->fd == fd) {
            sd_event_source_set_enabled(w->source, SD_EVENT_OFF);
            w->source = sd_event_source_unref(w->source);
            w->fd = -1;
        }
    }
}

int loop_signal(struct loop *loop, int signal, loop_signal_fn fn, void *userdata)
{
    struct watch *w = free_watch(loop);
    sigset_t set;

    if (!w)
        return -ENOSPC;
    sigemptyset(&set);
    sigaddset(&set, signal);
    if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
        return -errno;
    w->signal_fn = fn;
    w->userdata = userdata;
    return sd_event_add_signal(loop->event, &w->source, signal, on_signal, w);
}

int loop_timer(struct loop *loop, unsigned index, uint64_t delay_ns, loop_fn fn, void *userdata)
{
    struct watch *w = &loop->timers[index];
    uint64_t at_us = (now_ns() + delay_ns + 999) / 1000;

    w->fn = fn;
    w->userdata = userdata;
    if (!w->source)
        return sd_event_add_time(loop->event, &w->source, CLOCK_BOOTTIME, at_us, 1, on_timer, w);
    int r = sd_event_source_set_time(w->source, at_us);

    return r < 0 ? r : sd_event_source_set_enabled(w->source, SD_EVENT_ONESHOT);
}

uint64_t loop_stall_ns(struct loop *loop)
{
    uint64_t stall = loop->stall_ns;

    loop->stall_ns = 0;
    return stall;
}

const struct histogram *loop_lateness(const struct loop *loop)
{
    return &loop->lateness;
}
