/* The clocks of a host, each wrong in its own way, and the kernel timers that count on BOOTTIME. */
#include <sys/types.h>

#include "world.h"

static uint64_t scaled(uint64_t ns, int32_t ppm)
{
    int64_t rest = (int64_t)(ns % 1000000) * ppm / 1000000;

    return ns + (uint64_t)((int64_t)(ns / 1000000) * ppm) + (uint64_t)rest;
}

struct clocks_instant clock_read(const struct host *h, uint64_t now)
{
    const struct host_clock *c = &h->clock;
    uint64_t elapsed = now - c->since;
    uint64_t asleep = c->asleep_ns, mono = c->mono_ns, raw = c->raw_ns;

    if (c->asleep) {
        asleep += c->stopped ? 0 : elapsed;
    } else {
        mono += scaled(elapsed, c->mono_ppm);
        raw += scaled(elapsed, c->raw_ppm);
    }
    return (struct clocks_instant){.boot_ns = mono + asleep, .raw_ns = raw, .mono_ns = mono};
}

/* Before any change of rate: what has passed so far passed at the old one. */
void clock_fold(struct host *h, uint64_t now)
{
    struct clocks_instant i = clock_read(h, now);

    h->clock.since = now;
    h->clock.mono_ns = i.mono_ns;
    h->clock.raw_ns = i.raw_ns;
    h->clock.asleep_ns = i.boot_ns - i.mono_ns;
}

void clock_sample(const struct host *h, uint64_t now, struct clocks *c)
{
    struct clocks_instant i = clock_read(h, now);

    clocks_advance(c, i.boot_ns, i.raw_ns);
}

static struct {
    const struct host *host;
    uint64_t now;
} looking;

/* The page reads the clocks itself: of this host, then. */
void clock_look_as(const struct host *h, uint64_t now)
{
    looking.host = h;
    looking.now = now;
}

/* In place of the kernel's, by the linker (meson.build). */
void __wrap_clocks_sample(struct clocks *c);
uint64_t __wrap_kill_identity(pid_t pid);

void __wrap_clocks_sample(struct clocks *c)
{
    clock_sample(looking.host, looking.now, c);
}

uint64_t __wrap_kill_identity(pid_t pid)
{
    return pid > 0;
}

static uint64_t until(const struct world *w, const struct host *h, const struct sim_timer *t)
{
    uint64_t boot = clock_read(h, w->now).boot_ns;
    uint64_t left = t->boot_ns > boot ? t->boot_ns - boot : 0;

    if (left == 0 || h->clock.asleep)
        return left;
    /* Rounded up: a timer never fires before its time. */
    return (uint64_t)((double)left * 1e6 / (double)(1000000 + h->clock.mono_ppm)) + 2;
}

static void queue_timer(struct world *w, struct host *h, enum timer timer)
{
    struct sim_timer *t = &h->timers[timer];
    uint64_t at = w->now + until(w, h, t);

    /* One that fires too early looks at the clock and waits on. */
    if (t->queued != 0 && t->queued <= at)
        return;
    t->queued = at;
    /* From the kernel's wake-up to the process. */
    uint64_t late = chance(w, 2) ? random_below(w, 5 * MS) : random_below(w, 200 * US);

    schedule(w, at - w->now + late, EV_TIMER, h->index, timer, ++t->gen, 0);
}

void timer_arm(struct world *w, struct host *h, enum timer timer, uint64_t delay_ns)
{
    struct sim_timer *t = &h->timers[timer];

    t->set = true;
    t->boot_ns = clock_read(h, w->now).boot_ns + delay_ns;
    queue_timer(w, h, timer);
}

void timers_rearm(struct world *w, struct host *h)
{
    for (unsigned i = 0; i < TIMERS; i++)
        if (h->timers[i].set) {
            h->timers[i].queued = 0;
            queue_timer(w, h, (enum timer)i);
        }
}

bool timer_due(struct world *w, struct host *h, const struct event *e)
{
    struct sim_timer *t = &h->timers[e->b];

    if (e->gen != t->gen)
        return false;
    t->queued = 0;
    if (!t->set)
        return false;
    if (clock_read(h, w->now).boot_ns < t->boot_ns) {
        queue_timer(w, h, (enum timer)e->b);
        return false;
    }
    t->set = false;
    return true;
}
