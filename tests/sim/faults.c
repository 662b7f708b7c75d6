/*
 * Faults of hosts, processes, clocks and hooks, and who picks the next one.
 *
 * The bounds of the promise are kept here: a guardian (or a whole host whose page is armed) is held up for
 * less than M, and never again before a ttl has passed; sidecar and guardian are not lost together. Profiles
 * named control-… break them on purpose.
 */
#include "check.h"
#include "profile.h"
#include "world.h"

static const char *const names[FAULTS] = {
    [FAULT_SIDECAR_KILL] = "sidecar killed",
    [FAULT_SIDECAR_PAUSE] = "sidecar paused",
    [FAULT_BOTH_PAUSE] = "sidecar and guardian paused",
    [FAULT_BOTH_RESTART] = "sidecar and guardian killed, back at once",
    [FAULT_BOTH_KILL] = "sidecar and guardian killed",
    [FAULT_HOST_FREEZE] = "host frozen, clocks go on",
    [FAULT_HOST_SUSPEND] = "host suspended",
    [FAULT_HOST_HYPERVISOR] = "guest stopped with its clocks",
    [FAULT_HOST_CRASH] = "host crashed",
    [FAULT_DISK_LOST] = "host crashed, state file lost",
    [FAULT_GUARDIAN_KILL] = "guardian killed",
    [FAULT_CONTROLLER_DIES] = "controller died",
    [FAULT_CONTROLLER_STUCK] = "controller can't be killed",
    [FAULT_ROGUE] = "controller started by somebody else",
    [FAULT_CLOCK] = "clock rates changed",
    [FAULT_WALL_CLOCK] = "wall clock jumped",
    [FAULT_HOOKS] = "hooks slow, failing or hung",
    [FAULT_DISK] = "disk slow or failing",
    [FAULT_LINK] = "link cut, one way",
    [FAULT_CUT_OFF] = "member cut off",
    [FAULT_ANSWERS] = "answers lost",
    [FAULT_LATE_ANSWERS] = "answers late",
    [FAULT_REFUSALS] = "statements refused",
    [FAULT_NODE_KILL] = "node killed",
    [FAULT_NODE_STOP] = "node stopped in order",
    [FAULT_NODE_FREEZE] = "node frozen",
    [FAULT_PARTITION] = "nodes partitioned",
    [FAULT_STALL] = "commits stalled",
    [FAULT_LAG] = "node applies late",
    [FAULT_CLUSTER_CRASH] = "cluster crashed, commits lost",
    [FAULT_STALE_BOOTSTRAP] = "bootstrap from a stale node",
    [FAULT_SECRET_LOSS] = "commits lost unseen",
    [FAULT_EDIT_TTL] = "ttl edited",
    [FAULT_EDIT_EPOCH] = "epoch lowered",
    [FAULT_ROW_DELETED] = "row deleted and made again",
    [FAULT_STEP_DOWN] = "step-down asked",
    [FAULT_SWITCHOVER] = "switchover asked",
    [FAULT_HOLD] = "hold asked",
    [FAULT_UNHOLD] = "unhold asked",
    [FAULT_STOP] = "sidecar told to end",
};

const char *fault_name(enum fault fault)
{
    return names[fault];
}

static void undo_later(struct world *w, uint64_t delay, enum fault fault, unsigned host, uint64_t arg)
{
    schedule(w, delay, EV_UNDO, (unsigned)fault, host, 0, arg);
}

static uint64_t length(struct world *w)
{
    uint64_t ttl = w->options.timing.ttl_ns;

    return chance(w, 50) ? random_below(w, ttl) : random_below(w, 3 * ttl);
}

/* Most faults are worth more where a controller runs. */
static struct host *victim(struct world *w)
{
    struct host *h = &w->hosts[random_below(w, w->options.members)];

    for (unsigned i = 0; i < w->options.members && chance(w, 60); i++)
        if (w->hosts[i].controller.alive)
            return &w->hosts[i];
    return h;
}

static bool armed(const struct host *h)
{
    return atomic_load(&h->page.word) != 0 || h->controller.alive || h->promote.alive;
}

/* The guardian must not be missing while the sidecar is, and the other way round. */
static bool both_there(const struct world *w, const struct host *h)
{
    return h->up && h->sidecar.alive && h->guardian.alive && h->sidecar.paused_until <= w->now &&
           h->guardian.paused_until <= w->now && h->frozen_until <= w->now;
}

/* ------------------------------------------------------------------ clocks */

void clock_disturb(struct world *w, struct host *h)
{
    int64_t bound = w->options.drift_ppm, slew = w->options.slew_ppm;
    int64_t raw = chance(w, 30) ? (chance(w, 50) ? bound : -bound)
                                : (int64_t)random_below(w, (uint64_t)(2 * bound + 1)) - bound;
    int64_t more = (int64_t)random_below(w, (uint64_t)(2 * slew + 1)) - slew;

    if (w->options.profile->edge) {
        raw = chance(w, 50) ? bound : -bound;
        more = chance(w, 50) ? slew : -slew;
    }
    clock_fold(h, w->now);
    h->clock.raw_ppm = (int32_t)raw;
    h->clock.mono_ppm = (int32_t)(raw + more);
    timers_rearm(w, h);
}

/* ------------------------------------------------------------------ hosts */

void host_freeze(struct world *w, struct host *h, uint64_t long_ns)
{
    h->frozen_until = w->now + long_ns;
    schedule(w, long_ns, EV_THAW, h->index, 0, h->gen, 0);
}

void host_thaw(struct world *w, struct host *h)
{
    if (h->frozen_until > w->now)
        return;
    if (h->clock.asleep) {
        clock_fold(h, w->now);
        h->clock.asleep = h->clock.stopped = false;
        timers_rearm(w, h);
    }
    trace(w, host_name(h->index), "the host goes on");
    check_acting(w);
}

void host_crash(struct world *w, struct host *h, bool disk_lost)
{
    if (h->controller.alive)
        controller_gone(w, h);
    h->promote.alive = false;
    h->promote.gen++;
    h->sidecar.alive = false;
    h->sidecar.gen++;
    h->sidecar.stmt = -1;
    h->guardian.alive = false;
    h->guardian.gen++;
    for (unsigned i = 0; i < SLOTS; i++)
        h->hooks[i].active = false;
    for (unsigned i = 0; i < TIMERS; i++)
        h->timers[i].set = false;
    atomic_store(&h->page.word, 0);
    h->up = false;
    h->gen++;
    h->boot++;
    h->frozen_until = 0;
    memset(&h->run_incarnation, 0, sizeof h->run_incarnation);
    if (chance(w, 50)) /* what was not fsynced may or may not have reached the disk */
        h->cache = h->disk;
    else
        h->disk = h->cache;
    if (disk_lost)
        h->cache = h->disk = (struct state_file){0};
    clock_fold(h, w->now);
    h->clock.asleep = h->clock.stopped = false;
    h->clock.mono_ns = h->clock.raw_ns = random_between(w, 5 * S, 20 * S);
    h->clock.asleep_ns = 0;
    schedule(w, random_between(w, 2 * S, 2 * w->options.timing.ttl_ns + 2 * S), EV_HOST_UP, h->index, 0, 0,
             0);
}

static bool hold_up_host(struct world *w, struct host *h, enum fault fault)
{
    const struct lease_timing *t = &w->options.timing;
    uint64_t how_long = length(w);

    if (!both_there(w, h) || h->disturbed_until > w->now)
        return false;
    if (fault != FAULT_HOST_HYPERVISOR && armed(h))
        how_long = random_below(w, t->margin_ns / 2);
    h->disturbed_until = w->now + how_long + t->ttl_ns;
    if (fault != FAULT_HOST_FREEZE) {
        clock_fold(h, w->now);
        h->clock.asleep = true;
        h->clock.stopped = fault == FAULT_HOST_HYPERVISOR;
    }
    host_freeze(w, h, how_long);
    return true;
}

/* ------------------------------------------------------------------ processes */

static bool kill_both(struct world *w, struct host *h)
{
    if (!h->controller.alive)
        return false;
    h->no_restart = true;
    sidecar_kill(w, h);
    guardian_kill(w, h);
    return true;
}

/* Both gone, but started again long before anybody would have had to fence: it resumes (R7). */
static bool restart_both(struct world *w, struct host *h)
{
    const struct lease *l = &h->sidecar.lease;
    uint64_t needed = lease_timing_demote_lead_ns(&w->options.timing) + 2 * S;

    if (!both_there(w, h) || h->disturbed_until > w->now || l->deadline_ns < l->now.fast_ns + needed ||
        h->sidecar.clocks.fast_ns > l->now.fast_ns + S)
        return false;
    h->disturbed_until = w->now + w->options.timing.ttl_ns;
    sidecar_kill(w, h);
    guardian_kill(w, h);
    schedule(w, random_between(w, 50 * MS, S), EV_SIDECAR_UP, h->index, 0, 0, 0);
    return true;
}

static bool hurt_process(struct world *w, struct host *h, enum fault fault)
{
    const struct lease_timing *t = &w->options.timing;
    bool whole = both_there(w, h);
    struct lease_event stop = {.type = LEASE_EVENT_STOP};

    switch ((unsigned)fault) {
    case FAULT_SIDECAR_KILL:
        if (!whole)
            return false;
        sidecar_kill(w, h);
        schedule(w, chance(w, 50) ? random_below(w, S) : random_below(w, 2 * t->ttl_ns), EV_SIDECAR_UP,
                 h->index, 0, 0, 0);
        return true;
    case FAULT_SIDECAR_PAUSE:
        if (!whole || h->disturbed_until > w->now)
            return false;
        h->sidecar.paused_until = w->now + length(w);
        h->disturbed_until = h->sidecar.paused_until;
        return true;
    case FAULT_BOTH_PAUSE:
        if (!whole || h->disturbed_until > w->now)
            return false;
        h->sidecar.paused_until = h->guardian.paused_until = w->now + random_below(w, t->margin_ns / 2);
        h->disturbed_until = h->sidecar.paused_until + t->ttl_ns;
        return true;
    case FAULT_GUARDIAN_KILL:
        if (!whole || h->disturbed_until > w->now)
            return false;
        guardian_kill(w, h);
        h->disturbed_until = w->now + (chance(w, 30) ? 300 * MS : t->ttl_ns);
        return true;
    case FAULT_BOTH_KILL: return kill_both(w, h);
    case FAULT_BOTH_RESTART: return restart_both(w, h);
    case FAULT_STOP:
        if (!whole)
            return false;
        sidecar_feed(w, h, &stop);
        return true;
    default: return false;
    }
}

static bool hurt_hooks(struct world *w, struct host *h)
{
    uint64_t how_long = random_between(w, S, 4 * w->options.timing.ttl_ns);

    for (unsigned i = 0; i < 3; i++)
        if (chance(w, 60))
            h->mode[i] = (enum hook_mode)random_between(w, HOOKS_SLOW, HOOKS_LIE);
    undo_later(w, how_long, FAULT_HOOKS, h->index, 0);
    return true;
}

bool fault_hurt(struct world *w, enum fault fault)
{
    struct host *h = victim(w);

    switch ((unsigned)fault) {
    case FAULT_SIDECAR_KILL:
    case FAULT_SIDECAR_PAUSE:
    case FAULT_BOTH_PAUSE:
    case FAULT_GUARDIAN_KILL:
    case FAULT_BOTH_KILL:
    case FAULT_BOTH_RESTART:
    case FAULT_STOP: return hurt_process(w, h, fault);
    case FAULT_HOST_FREEZE:
    case FAULT_HOST_SUSPEND:
    case FAULT_HOST_HYPERVISOR: return hold_up_host(w, h, fault);
    case FAULT_HOST_CRASH:
    case FAULT_DISK_LOST:
        if (!h->up)
            return false;
        host_crash(w, h, fault == FAULT_DISK_LOST);
        return true;
    case FAULT_CONTROLLER_DIES:
        if (!h->controller.alive)
            return false;
        controller_gone(w, h);
        return true;
    case FAULT_CONTROLLER_STUCK: h->controller.unkillable = true; return h->controller.alive;
    case FAULT_ROGUE:
        if (!h->up || h->controller.alive || h->promote.alive)
            return false;
        controller_begin(w, h, 0, false);
        return true;
    case FAULT_CLOCK: clock_disturb(w, h); return true;
    case FAULT_WALL_CLOCK: return true; /* no decision reads it: nothing here does either */
    case FAULT_HOOKS: return hurt_hooks(w, h);
    case FAULT_DISK:
        h->disk_bad_until = w->now + length(w);
        h->disk_fails = chance(w, 50);
        return true;
    case FAULT_STEP_DOWN:
    case FAULT_SWITCHOVER:
    case FAULT_HOLD:
    case FAULT_UNHOLD: return fault_request(w, fault);
    default: return fault_in_database(w, fault);
    }
}

void fault_undo(struct world *w, const struct event *e)
{
    struct host *h = &w->hosts[e->b];

    if (w->healed)
        return;
    if (e->a == FAULT_HOOKS)
        h->mode[0] = h->mode[1] = h->mode[2] = HOOKS_WELL;
    else
        fault_undo_in_database(w, e);
}

void fault_event(struct world *w)
{
    const uint8_t *weight = w->options.profile->weight;
    unsigned total = 0;
    uint64_t gap = w->options.fault_gap_ns;

    if (w->healed)
        return;
    for (unsigned i = 0; i < FAULTS; i++)
        total += weight[i];
    for (unsigned attempt = 0; attempt < 10; attempt++) {
        uint64_t lot = random_below(w, total);
        unsigned f = 0;

        while (lot >= weight[f])
            lot -= weight[f++];
        trace(w, "fault", "%s", names[f]);
        if (!fault_hurt(w, (enum fault)f)) {
            trace(w, "fault", "... could not be had");
            continue;
        }
        tally.faults[f]++;
        w->faults_done++;
        break;
    }
    schedule(w, chance(w, 25) ? random_below(w, gap / 20) : random_between(w, gap / 3, gap * 5 / 3), EV_FAULT,
             0, 0, 0, 0);
}
