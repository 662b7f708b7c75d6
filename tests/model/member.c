/* The sidecar around the core: what node.c and execute.c do, a command at a time. */
#include "world.h"

#define QUEUE 8

struct queue {
    unsigned count;
    struct lease_event list[QUEUE];
};

static void news_at_once(struct queue *q)
{
    struct lease_event *e = &q->list[q->count++];

    memset(e, 0, sizeof *e);
    e->type = LEASE_EVENT_GUARDIAN;
    e->guardian.news = LEASE_GUARDIAN_FENCING;
}

static void save(struct host *h, const struct lease_command *c)
{
    struct state_file record = {.epoch_seen = c->save.epoch_seen,
                                .epoch = c->save.epoch,
                                .deadline_ns = c->save.deadline_ns,
                                .nonce = c->save.nonce,
                                .next = c->save.next};

    if (!c->save.durable) {
        h->file = record;
        return;
    }
    h->save.pending = true;
    h->save.id = c->save.id;
    h->save.record = record;
}

/* What its death leaves: a write that may still be executed, a promote hook, and a guardian without parent.
 */
void member_gone(struct world *w, unsigned i)
{
    struct host *h = &w->hosts[i];

    h->alive = h->paused = false;
    statement_given_up(w, i);
    for (unsigned k = 0; k < LATE_MAX; k++)
        if (w->late[k].used && w->late[k].host == i)
            w->late[k].orphan = true;
    memset(&h->save, 0, sizeof h->save);
    memset(&h->hook, 0, sizeof h->hook);
    h->guardian.gone = h->guardian.news = false;
    h->guardian.parent_dead = h->guardian.alive;
    h->demoted = false;
    h->shown_epoch = 0;
}

static void perform(struct world *w, unsigned i, struct queue *q, const struct lease_command *c)
{
    struct host *h = &w->hosts[i];

    check_command(w, i, c);
    switch (c->type) {
    case LEASE_COMMAND_READ:
    case LEASE_COMMAND_WRITE: statement_send(w, i, c); break;
    case LEASE_COMMAND_CANCEL: statement_given_up(w, i); break;
    case LEASE_COMMAND_HOOK: hook_begin(w, i, c); break;
    case LEASE_COMMAND_HOOK_KILL:
        if (h->hook.active && h->hook.id == c->hook_kill.id)
            hook_kill(w, i);
        break;
    case LEASE_COMMAND_ARM:
        if (machine_arm(w, i, c))
            news_at_once(q);
        break;
    case LEASE_COMMAND_EXTEND:
        if (machine_extend(w, i, c))
            news_at_once(q);
        break;
    case LEASE_COMMAND_FENCE: machine_fence(w, i, c->guard.epoch); break;
    case LEASE_COMMAND_DISARM:
        if (machine_disarm(w, i))
            news_at_once(q);
        break;
    case LEASE_COMMAND_SAVE: save(h, c); break;
    case LEASE_COMMAND_NOTE: break;
    case LEASE_COMMAND_EXIT: member_gone(w, i); break;
    }
}

static void step(struct world *w, unsigned i, struct queue *q, struct lease_event *e)
{
    static struct lease_commands commands;
    struct host *h = &w->hosts[i];

    /* No two events of a tick come at the same instant; a challenger's times are exact all the same. */
    e->now = (struct lease_now){.fast_ns = h->fast_ns + ++h->instant_ns, .slow_ns = h->slow_ns};
    w->draws++;
    memcpy(e->entropy, &w->draws, sizeof w->draws);
    if (telling)
        tell_event(w, i, e);
    verdict.host = i; /* should an assertion end this */
    lease_step(&w->leases[i], e, &commands);
    for (size_t k = 0; k < commands.count; k++) {
        if (telling)
            tell_command(&commands.list[k]);
        perform(w, i, q, &commands.list[k]);
    }
}

void member_feed(struct world *w, unsigned i, struct lease_event *first)
{
    static struct queue q;
    unsigned done = 0;

    q.count = 0;
    step(w, i, &q, first);
    while (done < q.count && w->hosts[i].alive)
        step(w, i, &q, &q.list[done++]);
}

bool member_due(const struct world *w, unsigned i)
{
    const struct host *h = &w->hosts[i];

    if (!h->alive)
        return false;
    struct lease_now wake = lease_wake(&w->leases[i]);

    return wake.fast_ns <= h->fast_ns || wake.slow_ns <= h->slow_ns;
}

static void start_guardian(struct world *w, unsigned i)
{
    struct lease_event e = {.type = LEASE_EVENT_GUARDIAN, .guardian = {.news = LEASE_GUARDIAN_UP}};

    /* One before it may have died between "stopped" and saying so. */
    w->hosts[i].guardian = (struct guardian){.alive = true, .news = page_is_fencing(w, i)};
    member_feed(w, i, &e);
}

void member_start(struct world *w, unsigned i)
{
    static const uint64_t budget = TICK_NS, every = TICK_NS / 10 * 9;
    /* Due in every tick all the same, and the silence that it leaves lets a statement be answered a tick
     * late. */
    static const uint64_t renew = TICK_NS / 10 * 4;
    struct host *h = &w->hosts[i];
    struct lease_event e = {.type = LEASE_EVENT_START};
    struct lease_config config = {.timing = {.ttl_ns = TTL_TICKS * TICK_NS,
                                             .renew_ns = renew,
                                             .demote_budget_ns = budget,
                                             .kill_budget_ns = budget,
                                             .margin_ns = budget,
                                             .promote_budget_ns = 2 * budget,
                                             .poll_ns = every,
                                             .check_interval_ns = design->checks ? every : 3600 * TICK_NS,
                                             .check_budget_ns = budget},
                                  .priority = 100,
                                  .restarts = design->restarts,
                                  .check_failures = design->check_failures,
                                  .restart_window_ns = TTL_TICKS * TICK_NS};

    h->alive = true;
    h->hurry = false;
    memset(&h->hook, 0, sizeof h->hook);
    if (h->promote.state == PROMOTE_LAUNCHED) /* it asks the page of the sidecar before, which is fenced */
        memset(&h->promote, 0, sizeof h->promote);
    page_words_clear(w, i);
    strcpy(config.member, host_name(i));
    lease_init(&w->leases[i], &config);
    e.start.epoch_seen = h->file.epoch_seen;
    e.start.nonce = h->file.nonce;
    e.start.next = h->file.next;
    e.start.epoch = h->file.epoch;
    e.start.remaining_ns = h->file.deadline_ns > h->fast_ns ? h->file.deadline_ns - h->fast_ns : 0;
    check_event(w, i, &e);
    member_feed(w, i, &e);
    start_guardian(w, i);
}

static void saved(struct world *w, unsigned i, bool ok)
{
    struct host *h = &w->hosts[i];
    struct lease_event e = {.type = LEASE_EVENT_SAVED, .saved = {.id = h->save.id, .ok = ok}};

    if (ok) {
        h->file = h->save.record;
        h->disk_epoch_seen = h->file.epoch_seen;
    }
    memset(&h->save, 0, sizeof h->save);
    member_feed(w, i, &e);
}

static void news(struct world *w, unsigned i)
{
    struct lease_event e = {.type = LEASE_EVENT_GUARDIAN, .guardian = {.news = LEASE_GUARDIAN_FENCING}};
    uint64_t epoch;

    w->hosts[i].guardian.news = false;
    if (!page_is_fencing(w, i))
        return;
    if (!w->leases[i].fencing)
        member_feed(w, i, &e);
    if (w->hosts[i].alive && page_has_stopped(w, i, &epoch)) {
        e.guardian.news = LEASE_GUARDIAN_STOPPED;
        e.guardian.epoch = epoch;
        member_feed(w, i, &e);
    }
}

static void guardian_again(struct world *w, unsigned i)
{
    struct lease_event e = {.type = LEASE_EVENT_GUARDIAN, .guardian = {.news = LEASE_GUARDIAN_DOWN}};

    w->hosts[i].guardian.gone = false;
    member_feed(w, i, &e);
    if (w->hosts[i].alive)
        start_guardian(w, i);
}

static bool ask(struct world *w, unsigned i, enum fault fault)
{
    struct lease_event e = {.type = LEASE_EVENT_REQUEST,
                            .request = {.kind = LEASE_REQUEST_LEAVE, .reason = LEASE_REASON_STEP_DOWN}};
    const struct lease *l = &w->leases[i];

    if (fault == FAULT_STOP) {
        if (l->stop_wanted || !spend(w, fault))
            return false;
        e = (struct lease_event){.type = LEASE_EVENT_STOP};
    } else if ((l->role != LEASE_LEADER && l->role != LEASE_PROMOTING) || !spend(w, fault)) {
        return false;
    }
    if (fault == FAULT_SWITCHOVER) {
        e.request.reason = LEASE_REASON_SWITCHOVER;
        strcpy(e.request.target, host_name((i + 1) % design->hosts));
    }
    member_feed(w, i, &e);
    return true;
}

static bool killed(struct world *w, unsigned i, enum fault fault)
{
    struct host *h = &w->hosts[i];
    /* Not promised: both lost while a fence is under way, or a sidecar that is paused meanwhile. */
    bool fences = h->guardian.fences || h->guardian.gone || h->guardian.parent_dead;

    if ((fault == FAULT_BOTH && fences) || (fault == FAULT_KILL && h->guardian.gone) || !spend(w, fault))
        return false;
    member_gone(w, i);
    if (fault == FAULT_KILL)
        return true;
    memset(&h->guardian, 0, sizeof h->guardian);
    if (fault == FAULT_BOTH) {
        h->hurry = true;
        return true;
    }
    memset(&h->controller, 0, sizeof h->controller);
    memset(&h->promote, 0, sizeof h->promote);
    h->file = (struct state_file){.epoch_seen = fault == FAULT_REBOOT ? h->disk_epoch_seen : 0};
    h->disk_epoch_seen = h->file.epoch_seen;
    return true;
}

bool member_act(struct world *w, struct action a)
{
    unsigned i = a.host;
    struct host *h = &w->hosts[i];
    bool able = h->alive && !h->paused;

    if (a.variant != 0)
        return false;
    switch ((unsigned)a.move) {
    case MOVE_NEWS:
        if (!able || !h->guardian.news)
            return false;
        news(w, i);
        return true;
    case MOVE_GUARD_UP:
        if (!able || !h->guardian.gone)
            return false;
        guardian_again(w, i);
        return true;
    case MOVE_SAVED:
        if (!able || !h->save.pending)
            return false;
        saved(w, i, true);
        return true;
    case MOVE_WAKE:
        if (!able || !member_due(w, i))
            return false;
        member_feed(w, i, &(struct lease_event){.type = LEASE_EVENT_TICK});
        return true;
    case MOVE_THAW:
        if (!h->paused)
            return false;
        h->paused = false;
        return true;
    case MOVE_START:
        if (h->alive || h->guardian.alive)
            return false;
        member_start(w, i);
        return true;
    case MOVE_FAULT + FAULT_PAUSE:
        if (!able || h->guardian.gone || !spend(w, FAULT_PAUSE))
            return false;
        h->paused = true;
        return true;
    case MOVE_FAULT + FAULT_DISK:
        if (!able || !h->save.pending || !spend(w, FAULT_DISK))
            return false;
        saved(w, i, false);
        return true;
    case MOVE_FAULT + FAULT_STEP_DOWN:
    case MOVE_FAULT + FAULT_SWITCHOVER:
    case MOVE_FAULT + FAULT_STOP: return able && ask(w, i, (enum fault)(a.move - MOVE_FAULT));
    case MOVE_FAULT + FAULT_KILL:
    case MOVE_FAULT + FAULT_BOTH:
    case MOVE_FAULT + FAULT_REBOOT:
    case MOVE_FAULT + FAULT_DISK_LOST: return h->alive && killed(w, i, (enum fault)(a.move - MOVE_FAULT));
    default: return false;
    }
}
