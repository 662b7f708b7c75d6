/* The guardian as an actor of its own: the real page, and the loop of guardian/main.c as events. */
#include "profile.h"
#include "world.h"

#define RETRY_NS    (200 * MS)
#define STEP_MIN_NS (500 * US)

static void notify(struct world *w, struct host *h)
{
    schedule(w, random_between(w, 5 * US, 300 * US), EV_NEWS, h->index, 0, h->sidecar.gen, 0);
}

void guardian_start(struct world *w, struct host *h)
{
    struct sim_guardian *g = &h->guardian;

    *g = (struct sim_guardian){.alive = true, .gen = g->gen + 1};
    schedule(w, random_between(w, MS, 8 * MS), EV_GUARDIAN, h->index, 0, g->gen, 0);
}

void guardian_kill(struct world *w, struct host *h)
{
    struct sim_guardian *g = &h->guardian;

    if (!g->alive)
        return;
    trace(w, host_name(h->index), "the guardian is killed");
    g->alive = false;
    g->gen++;
    h->hooks[SLOT_GUARDIAN].active = false; /* what its hook began goes on */
    h->timers[TIMER_GUARD].set = false;
    schedule(w, random_between(w, 10 * US, MS), EV_GUARDIAN_GONE, h->index, 0, h->sidecar.gen, 0);
}

void guardian_wake(struct world *w, struct host *h)
{
    if (h->guardian.alive)
        schedule(w, random_between(w, 5 * US, 500 * US), EV_GUARDIAN, h->index, 0, h->guardian.gen, 0);
}

static void attempt(struct world *w, struct host *h)
{
    h->guardian.phase = GUARD_FENCE;
    if (atomic_load(&h->page.promotes[0]) != 0)
        promote_kill(w, h);
    hook_begin(w, h, SLOT_GUARDIAN, HOOK_IS_FENCE, 0, atomic_load(&h->page.epoch));
}

static void fence(struct world *w, struct host *h, const char *reason)
{
    trace(w, host_name(h->index), "the guardian fences: %s", reason);
    notify(w, h);
    attempt(w, h);
}

void guardian_hook_ended(struct world *w, struct host *h, enum lease_hook_result result)
{
    struct sim_guardian *g = &h->guardian;

    if (g->phase == GUARD_FENCE) {
        g->phase = GUARD_CHECK;
        hook_begin(w, h, SLOT_GUARDIAN, LEASE_HOOK_CHECK, 0, atomic_load(&h->page.epoch));
    } else if (g->phase == GUARD_CHECK && result == LEASE_HOOK_STOPPED) {
        trace(w, host_name(h->index), "the guardian has confirmed the stop");
        if (page_set_stopped(&h->page, &g->view))
            notify(w, h);
        g->phase = GUARD_WATCH;
        guardian_run(w, h);
    } else {
        g->phase = GUARD_RETRY;
        timer_arm(w, h, TIMER_GUARD, RETRY_NS);
    }
}

/* A profile of edges: held up for almost all of M, just when the deadline comes. */
static bool held_up(struct world *w, struct host *h)
{
    struct sim_guardian *g = &h->guardian;
    uint64_t how_long = w->options.timing.margin_ns / 100 * 95;

    if (!w->options.profile->edge || w->healed || g->late || g->view.remaining_ns != 0)
        return false;
    g->late = true;
    g->paused_until = w->now + how_long;
    schedule(w, how_long, EV_GUARDIAN, h->index, 0, g->gen, 0);
    return true;
}

static void leave(struct host *h)
{
    h->guardian.alive = false; /* nothing runs: the lock may go */
    h->guardian.gen++;
    h->timers[TIMER_GUARD].set = false;
}

static void look(struct world *w, struct host *h)
{
    struct sim_guardian *g = &h->guardian;

    for (;;) {
        clock_look_as(h, w->now);
        g->view = page_look(&h->page, &g->clock);
        if (g->view.state == PAGE_STATE_FENCING) {
            fence(w, h, "ordered");
            return;
        }
        bool due = g->view.state == PAGE_STATE_ARMED && (g->parent_dead || g->view.remaining_ns == 0);

        if (due && held_up(w, h))
            return;
        g->late = false;
        if (due && page_begin_fence(&h->page, &g->view)) {
            fence(w, h, g->parent_dead ? "the sidecar died" : "deadline");
            return;
        }
        if (due)
            continue;
        if (g->parent_dead) {
            leave(h);
            return;
        }
        uint64_t step = g->view.remaining_ns / 10 * 9;

        h->timers[TIMER_GUARD].set = false;
        if (g->view.remaining_ns != UINT64_MAX)
            timer_arm(w, h, TIMER_GUARD, step > STEP_MIN_NS ? step : STEP_MIN_NS);
        return;
    }
}

void guardian_run(struct world *w, struct host *h)
{
    struct sim_guardian *g = &h->guardian;

    if (!g->alive)
        return;
    if (!g->begun)
        notify(w, h); /* one before it may have died between "stopped" and saying so */
    g->begun = true;
    if (g->phase == GUARD_RETRY && !h->timers[TIMER_GUARD].set)
        attempt(w, h);
    else if (g->phase == GUARD_WATCH)
        look(w, h);
}
