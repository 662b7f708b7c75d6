/*
 * Hooks and their moods: slow, failing, hung, killed. The launcher asks the real page between fork and exec
 * of a promote hook.
 */
#include "profile.h"
#include "world.h"

#include "check.h"

static uint64_t pace(struct world *w)
{
    return random_between(w, w->options.hook_ns / 2, w->options.hook_ns);
}

static enum hook_mode mood(struct world *w, const struct host *h, int kind)
{
    if (w->options.profile->edge && kind == LEASE_HOOK_DEMOTE && !w->healed)
        return HOOKS_HANG; /* so that all is left to the fence */
    enum hook_mode m = h->mode[kind == LEASE_HOOK_PROMOTE ? 0 : kind == LEASE_HOOK_DEMOTE ? 1 : 2];

    return chance(w, 30) ? HOOKS_WELL : m;
}

/* The controller's health URL is in the mood of its check. */
bool hook_url_healthy(struct world *w, const struct host *h)
{
    enum hook_mode m = mood(w, h, LEASE_HOOK_CHECK);

    return h->controller.alive && m != HOOKS_FAIL && m != HOOKS_HANG;
}

void hook_begin(struct world *w, struct host *h, enum slot slot, int kind, uint32_t id, uint64_t epoch)
{
    struct sim_hook *k = &h->hooks[slot];

    *k = (struct sim_hook){.active = true, .gen = k->gen + 1, .id = id, .kind = kind, .epoch = epoch};
    if (kind == LEASE_HOOK_PROMOTE) {
        h->promote = (struct sim_promote){.alive = true, .gen = h->promote.gen + 1, .epoch = epoch};
        trace(w, host_name(h->index), "promote hook, epoch %" PRIu64, epoch);
    } else if (kind != LEASE_HOOK_CHECK) {
        trace(w, host_name(h->index), "%s hook, epoch %" PRIu64, kind == HOOK_IS_FENCE ? "fence" : "demote",
              epoch);
    }
    /* fork and exec; now and then the machine is busy */
    uint64_t launch = chance(w, 3) ? random_below(w, 40 * MS) : random_between(w, 300 * US, 3 * MS);

    schedule(w, launch, EV_HOOK_RUN, h->index, slot, kind == LEASE_HOOK_PROMOTE ? h->promote.gen : k->gen,
             (uint64_t)kind);
}

void hook_cancel(struct world *w, struct host *h, enum slot slot)
{
    struct sim_hook *k = &h->hooks[slot];

    if (k->active && k->kind == LEASE_HOOK_PROMOTE)
        promote_kill(w, h);
    k->active = false;
    k->gen++;
    if (slot == SLOT_SIDECAR)
        page_promote_over(&h->page);
}

/* Everything in its cgroup or session goes with it. */
void promote_kill(struct world *w, struct host *h)
{
    struct sim_promote *p = &h->promote;

    if (!p->alive)
        return;
    p->alive = false;
    p->gen++;
    if (w->options.contained && h->controller.alive && h->controller.ours &&
        h->controller.epoch == p->epoch && !h->controller.unkillable)
        controller_gone(w, h);
}

static void report(struct world *w, struct host *h, unsigned slot, uint64_t delay,
                   enum lease_hook_result result)
{
    h->hooks[slot].result = result;
    schedule(w, delay, EV_HOOK_END, h->index, slot, h->hooks[slot].gen, 0);
}

static void run_promote(struct world *w, struct host *h)
{
    struct sim_promote *p = &h->promote;

    clock_look_as(h, w->now);
    bool may = page_may_start(&h->page, p->epoch);

    if (!may) {
        trace(w, host_name(h->index), "the launcher refuses: epoch %" PRIu64 " may not start any more",
              p->epoch);
        p->alive = false;
        report(w, h, SLOT_SIDECAR, MS, LEASE_HOOK_FAILED);
        return;
    }
    enum hook_mode m = mood(w, h, LEASE_HOOK_PROMOTE);
    uint64_t took = m == HOOKS_SLOW ? random_below(w, w->options.timing.promote_budget_ns) : pace(w);
    uint64_t begins = random_below(w, took);

    p->asked = true;
    if (m == HOOKS_WELL || m == HOOKS_SLOW || chance(w, 50))
        schedule(w, begins, EV_CONTROLLER_UP, h->index, 0, p->gen, 0);
    if (m != HOOKS_HANG && h->hooks[SLOT_SIDECAR].active && h->hooks[SLOT_SIDECAR].kind == LEASE_HOOK_PROMOTE)
        report(w, h, SLOT_SIDECAR, took + 1, m == HOOKS_FAIL ? LEASE_HOOK_FAILED : LEASE_HOOK_DONE);
}

void hook_run_event(struct world *w, const struct event *e)
{
    struct host *h = &w->hosts[e->a];
    struct sim_hook *k = &h->hooks[e->b];

    if (e->arg == LEASE_HOOK_PROMOTE) {
        if (h->promote.alive && h->promote.gen == e->gen)
            run_promote(w, h);
        return;
    }
    if (!k->active || k->gen != e->gen)
        return;
    uint64_t looks = random_below(w, k->kind == LEASE_HOOK_CHECK ? pace(w) / 4 : pace(w));

    schedule(w, looks, EV_HOOK_ACT, e->a, e->b, k->gen, (uint64_t)mood(w, h, k->kind));
}

/* K is a promise about the fence hook: it kills in time; what it says of itself is another matter. */
static void act_fence(struct world *w, struct host *h, unsigned slot, enum hook_mode m)
{
    const struct lease_timing *t = &w->options.timing;
    uint64_t most = t->kill_budget_ns * 9 / 20; /* its share of K is a half */
    uint64_t took = m == HOOKS_WELL ? random_below(w, 50 * MS) : random_below(w, most);

    if (w->options.profile->edge) /* all of its share, but for its own start */
        took = t->kill_budget_ns - t->check_budget_ns - 70 * MS;

    promote_kill(w, h); /* also one that an earlier sidecar left: it is found by its marks */
    controller_stop(w, h, took);
    report(w, h, slot, took + MS, m == HOOKS_FAIL ? LEASE_HOOK_FAILED : LEASE_HOOK_DONE);
}

static void act_demote(struct world *w, struct host *h, unsigned slot, enum hook_mode m)
{
    uint64_t took = pace(w);

    if (m == HOOKS_SLOW)
        took = random_below(w, 2 * w->options.timing.demote_budget_ns);
    if (m == HOOKS_WELL || m == HOOKS_SLOW)
        controller_stop(w, h, took);
    /* One that lies says done, and nothing has been stopped. */
    if (m != HOOKS_HANG)
        report(w, h, slot, took + MS, m == HOOKS_FAIL ? LEASE_HOOK_FAILED : LEASE_HOOK_DONE);
    else if (w->options.profile->edge) /* and its sidecar with it, until the lease is over */
        h->sidecar.paused_until = w->now + lease_timing_demote_lead_ns(&w->options.timing);
}

static void act_check(struct world *w, struct host *h, unsigned slot, enum hook_mode m)
{
    bool nothing = !h->controller.alive && !(h->promote.alive && h->promote.asked);
    enum lease_hook_result truth = nothing ? LEASE_HOOK_STOPPED : LEASE_HOOK_DONE;

    /* starting or stopping: neither running nor stopped */
    if (!nothing && (h->promote.alive || h->controller.stopping))
        truth = LEASE_HOOK_FAILED;
    if (m == HOOKS_HANG && slot == SLOT_SIDECAR)
        return;
    uint64_t took =
        m == HOOKS_SLOW ? random_below(w, w->options.timing.check_budget_ns * 2) : random_below(w, 20 * MS);

    if (slot == SLOT_GUARDIAN && took > w->options.timing.check_budget_ns)
        took = w->options.timing.check_budget_ns;
    report(w, h, slot, took, m == HOOKS_FAIL ? LEASE_HOOK_FAILED : truth);
}

void hook_act_event(struct world *w, const struct event *e)
{
    struct host *h = &w->hosts[e->a];
    struct sim_hook *k = &h->hooks[e->b];
    enum hook_mode m = (enum hook_mode)e->arg;

    if (!k->active || k->gen != e->gen)
        return;
    if (k->kind == HOOK_IS_FENCE)
        act_fence(w, h, e->b, m);
    else if (k->kind == LEASE_HOOK_DEMOTE)
        act_demote(w, h, e->b, m);
    else
        act_check(w, h, e->b, m);
}

void hook_end_event(struct world *w, const struct event *e)
{
    struct host *h = &w->hosts[e->a];
    struct sim_hook *k = &h->hooks[e->b];
    struct lease_event event = {.type = LEASE_EVENT_HOOK};

    if (!k->active || k->gen != e->gen)
        return;
    k->active = false;
    if (e->b == SLOT_GUARDIAN) {
        guardian_hook_ended(w, h, k->result);
        return;
    }
    if (k->kind == LEASE_HOOK_PROMOTE) {
        page_promote_over(&h->page);
        h->promote.alive = false; /* what it left is the controller now */
    }
    event.hook.id = k->id;
    event.hook.result = k->result;
    sidecar_feed(w, h, &event);
}
