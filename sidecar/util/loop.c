#include "util/loop.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <systemd/sd-event.h>
#include <time.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/clocks.h"

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
    uint64_t stall_ns, stall_own_ns;
    int schedstat_fd; /* of the loop's thread; -1: this kernel has none */
    struct histogram lateness;
};

/* How long the loop's thread was ready to run and got no CPU, since it began. */
static uint64_t starved_ns(const struct loop *loop)
{
    char text[96];
    ssize_t n = loop->schedstat_fd < 0 ? -1 : pread(loop->schedstat_fd, text, sizeof text - 1, 0);
    unsigned long long ran, waited;

    if (n < 0)
        return 0;
    text[n] = '\0';
    return sscanf(text, "%llu %llu", &ran, &waited) == 2 ? waited : 0;
}

static void measure(struct loop *loop, uint64_t start, uint64_t starved)
{
    uint64_t took = clocks_boot_ns() - start;
    uint64_t without = starved_ns(loop) - starved;
    uint64_t own = took > without ? took - without : 0;

    if (took > loop->stall_ns)
        loop->stall_ns = took;
    if (own > loop->stall_own_ns)
        loop->stall_own_ns = own;
}

static void timed_call(struct watch *w)
{
    uint64_t start = clocks_boot_ns(), starved = starved_ns(w->loop);

    w->fn(w->userdata);
    measure(w->loop, start, starved);
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
    uint64_t now = clocks_boot_ns(), due = usec * 1000;

    (void)s;
    histogram_add(&w->loop->lateness, now > due ? now - due : 0);
    timed_call(w);
    return 0;
}

static int on_signal(sd_event_source *s, const struct signalfd_siginfo *si, void *userdata)
{
    struct watch *w = userdata;
    uint64_t start = clocks_boot_ns(), starved = starved_ns(w->loop);

    (void)s;
    w->signal_fn(w->userdata, (int)si->ssi_signo);
    measure(w->loop, start, starved);
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
    loop->schedstat_fd = open("/proc/thread-self/schedstat", O_RDONLY | O_CLOEXEC);
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
    if (loop->schedstat_fd >= 0)
        close(loop->schedstat_fd);
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
    uint64_t at_us = (clocks_boot_ns() + delay_ns + 999) / 1000;

    w->fn = fn;
    w->userdata = userdata;
    if (!w->source)
        return sd_event_add_time(loop->event, &w->source, CLOCK_BOOTTIME, at_us, 1, on_timer, w);
    int r = sd_event_source_set_time(w->source, at_us);

    return r < 0 ? r : sd_event_source_set_enabled(w->source, SD_EVENT_ONESHOT);
}

uint64_t loop_stall_own_ns(struct loop *loop)
{
    uint64_t stall = loop->stall_own_ns;

    loop->stall_own_ns = 0;
    return stall;
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
