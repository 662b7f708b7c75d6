/*
 * The sidecar around the core: what node.c and execute.c do, with simulated processes, disk and database.
 *
 * Each command has the meaning it has in execute.c; what is produced at once is queued, never stepped from
 * within.
 */
#include "world.h"

#include "check.h"
#include "retell.h"
#include "trace/trace.h"

#define QUEUE             32
#define GUARDIAN_RETRY_NS (100 * MS)

/* Until when the process is stopped (SIGSTOP, or its whole host). */
uint64_t sidecar_held_up(const struct host *h, uint64_t now)
{
    uint64_t until = h->sidecar.paused_until > h->frozen_until ? h->sidecar.paused_until : h->frozen_until;

    return until > now ? until : 0;
}

static void random_nonce(struct world *w, uint8_t *bytes)
{
    uint64_t a = random_u64(w), b = random_u64(w);

    memcpy(bytes, &a, 8);
    memcpy(bytes + 8, &b, 8);
}

/* ------------------------------------------------------------------ commands */

struct queue {
    unsigned count;
    struct lease_event list[QUEUE];
};

static struct lease_event *push(struct queue *q, enum lease_event_type type)
{
    if (q->count == QUEUE)
        sim_bug("the event queue is full");
    struct lease_event *e = &q->list[q->count++];

    memset(e, 0, sizeof *e);
    e->type = type;
    return e;
}

static void news_at_once(struct queue *q, enum lease_guardian_news news)
{
    push(q, LEASE_EVENT_GUARDIAN)->guardian.news = news;
}

static void arm(struct world *w, struct host *h, struct queue *q, const struct lease_command *c)
{
    struct sim_sidecar *s = &h->sidecar;

    s->armed_deadline_ns = c->guard.deadline_ns;
    if (page_arm(&h->page, c->guard.epoch, c->guard.deadline_ns, &s->clocks) == PAGE_FENCING)
        news_at_once(q, LEASE_GUARDIAN_FENCING);
    guardian_wake(w, h);
}

static void extend(struct world *w, struct host *h, struct queue *q, const struct lease_command *c)
{
    struct sim_sidecar *s = &h->sidecar;
    bool earlier = c->guard.deadline_ns < s->armed_deadline_ns;

    s->armed_deadline_ns = c->guard.deadline_ns;
    if (page_extend(&h->page, c->guard.deadline_ns, &s->clocks) == PAGE_FENCING)
        news_at_once(q, LEASE_GUARDIAN_FENCING);
    if (earlier)
        guardian_wake(w, h);
}

static void disarm(struct world *w, struct host *h, struct queue *q)
{
    if (page_disarm(&h->page) == PAGE_FENCING)
        news_at_once(q, LEASE_GUARDIAN_FENCING);
    guardian_wake(w, h);
}

static void ended(struct world *w, struct host *h)
{
    struct sim_sidecar *s = &h->sidecar;

    trace(w, host_name(h->index), "the sidecar ends in order");
    book_beat(w, h); /* the last one says that nobody is behind the row any more */
    s->alive = false;
    schedule(w, random_between(w, US, MS), EV_PARENT_DEAD, h->index, 0, h->guardian.gen, 0);
    schedule(w, random_between(w, 100 * MS, 2 * w->options.timing.ttl_ns), EV_SIDECAR_UP, h->index, 0, 0, 0);
}

static void told(struct world *w, struct host *h, const struct lease_command *c)
{
    if (c->note.note != LEASE_NOTE_ROLE) {
        trace(w, host_name(h->index), "note %s: %s, epoch %" PRIu64, lease_note_name(c->note.note),
              lease_reason_name(c->note.reason), c->note.epoch);
        return;
    }
    taken_count(&tally.taken, c);
    trace(w, host_name(h->index), "role %s -> %s: %s, epoch %" PRIu64, lease_role_name(c->note.from),
          lease_role_name(c->note.role), lease_reason_name(c->note.reason), c->note.epoch);
    check_role(w, h, c->note.from, c->note.role, c->note.reason);
    book_beat(w, h);
}

static void perform(struct world *w, struct host *h, struct queue *q, const struct lease_command *c)
{
    struct sim_sidecar *s = &h->sidecar;

    switch (c->type) {
    case LEASE_COMMAND_READ: stmt_client(w, h, c); break;
    case LEASE_COMMAND_WRITE:
        trace(w, host_name(h->index), "writes %s, epoch %" PRIu64 " counter %" PRIu64 " ttl %u ms",
              lease_write_name(c->write.kind), c->write.wanted.version.epoch, c->write.wanted.version.counter,
              c->write.wanted.ttl_ms);
        check_write(w, h, c);
        stmt_client(w, h, c);
        break;
    case LEASE_COMMAND_CANCEL: stmt_cancel(w, h, c->cancel.op); break;
    case LEASE_COMMAND_HOOK:
        check_hook(w, h, c);
        hook_begin(w, h, SLOT_SIDECAR, (int)c->hook.hook, c->hook.id, c->hook.epoch);
        break;
    case LEASE_COMMAND_HOOK_KILL:
        if (h->hooks[SLOT_SIDECAR].active && h->hooks[SLOT_SIDECAR].id == c->hook_kill.id)
            hook_cancel(w, h, SLOT_SIDECAR);
        break;
    case LEASE_COMMAND_ARM: arm(w, h, q, c); break;
    case LEASE_COMMAND_EXTEND: extend(w, h, q, c); break;
    case LEASE_COMMAND_FENCE:
        page_order_fence(&h->page, c->guard.epoch);
        guardian_wake(w, h);
        break;
    case LEASE_COMMAND_DISARM: disarm(w, h, q); break;
    case LEASE_COMMAND_SAVE: state_save(w, h, c); break;
    case LEASE_COMMAND_NOTE: told(w, h, c); break;
    case LEASE_COMMAND_EXIT: ended(w, h); break;
    }
    (void)s;
}

static void tell_event(struct world *w, const struct host *h, const struct lease_event *e)
{
    char text[TRACE_LINE_MAX];
    bool dull = e->type == LEASE_EVENT_TICK || e->type == LEASE_EVENT_READ ||
                e->type == LEASE_EVENT_MEMBERS || (e->type == LEASE_EVENT_HEALTH && e->health.healthy) ||
                (e->type == LEASE_EVENT_WRITE && e->write.answer == LEASE_ANSWER_ROW) ||
                (e->type == LEASE_EVENT_HOOK && h->sidecar.lease.hook == LEASE_HOOK_CHECK);

    if ((!dull || w->telling) && trace_event_print(e, text, sizeof text) > 0)
        trace(w, host_name(h->index), "< %s", text);
}

static void set_wake(struct world *w, struct host *h)
{
    const struct lease *l = &h->sidecar.lease;
    struct lease_now wake = lease_wake(l);
    uint64_t fast = wake.fast_ns == LEASE_NEVER ? LEASE_NEVER : wake.fast_ns - l->now.fast_ns;
    uint64_t slow = wake.slow_ns == LEASE_NEVER ? LEASE_NEVER : wake.slow_ns - l->now.slow_ns;
    uint64_t delay = fast < slow ? fast : slow;

    if (delay == LEASE_NEVER)
        return;
    timer_arm(w, h, TIMER_WAKE, delay > S ? delay / 10 * 9 : delay);
}

void sidecar_feed(struct world *w, struct host *h, struct lease_event *first)
{
    static struct queue q;
    struct sim_sidecar *s = &h->sidecar;
    struct lease_event *e = first;
    unsigned done = 0;

    q.count = 0;
    if (!s->alive || s->lease.exited)
        return;
    for (;;) {
        clock_sample(h, w->now, &s->clocks);
        e->now = (struct lease_now){.fast_ns = s->clocks.fast_ns, .slow_ns = s->clocks.slow_ns};
        random_nonce(w, e->entropy);
        tally.steps++;
        if (w->tracing)
            tell_event(w, h, e);
        if (w->retelling)
            retell_note(h->index, &s->lease.config, e);
        check_stepping(w, h);
        check_told(w, h, e);
        lease_step(&s->lease, e, &w->commands);
        for (size_t i = 0; i < w->commands.count; i++)
            perform(w, h, &q, &w->commands.list[i]);
        if (!s->alive || s->lease.exited || done == q.count)
            break;
        e = &q.list[done++];
    }
    if (s->alive && !s->lease.exited)
        set_wake(w, h);
}

/* ------------------------------------------------------------------ what the loop hears */

static void start_guardian(struct world *w, struct host *h)
{
    struct lease_event e = {.type = LEASE_EVENT_GUARDIAN, .guardian = {.news = LEASE_GUARDIAN_UP}};

    guardian_start(w, h);
    h->sidecar.guardian_started = w->now;
    sidecar_feed(w, h, &e);
}

void sidecar_guardian_gone(struct world *w, struct host *h)
{
    struct lease_event e = {.type = LEASE_EVENT_GUARDIAN, .guardian = {.news = LEASE_GUARDIAN_DOWN}};

    if (!h->sidecar.alive)
        return;
    sidecar_feed(w, h, &e);
    if (w->now - h->sidecar.guardian_started > GUARDIAN_RETRY_NS)
        start_guardian(w, h);
    else
        timer_arm(w, h, TIMER_GUARDIAN, GUARDIAN_RETRY_NS / 2);
}

void sidecar_news(struct world *w, struct host *h)
{
    struct lease_event e = {.type = LEASE_EVENT_GUARDIAN};
    uint64_t epoch;

    if (!h->sidecar.alive || !page_fencing(&h->page))
        return;
    if (!h->sidecar.lease.fencing) {
        e.guardian.news = LEASE_GUARDIAN_FENCING;
        sidecar_feed(w, h, &e);
    }
    if (page_stopped(&h->page, &epoch)) {
        e.guardian.news = LEASE_GUARDIAN_STOPPED;
        e.guardian.epoch = epoch;
        sidecar_feed(w, h, &e);
    }
}

/* Now and then of the leading controller; the answer may come when that start is long over. */
static void ask_health(struct world *w, struct host *h)
{
    const struct lease *l = &h->sidecar.lease;

    if (l->role == LEASE_LEADER && chance(w, 50))
        schedule(w, random_below(w, 2 * w->options.timing.check_interval_ns), EV_HEALTH, h->index,
                 hook_url_healthy(w, h), h->sidecar.gen, l->own.epoch);
}

void sidecar_health(struct world *w, const struct event *e)
{
    struct host *h = &w->hosts[e->a];
    struct lease_event event = {.type = LEASE_EVENT_HEALTH, .health = {.epoch = e->arg, .healthy = e->b}};

    if (h->sidecar.alive && h->sidecar.gen == e->gen)
        sidecar_feed(w, h, &event);
}

void sidecar_timer(struct world *w, struct host *h, enum timer timer)
{
    struct lease_event e = {.type = LEASE_EVENT_TICK};

    if (!h->sidecar.alive)
        return;
    if (timer == TIMER_WAKE) {
        sidecar_feed(w, h, &e);
    } else if (timer == TIMER_GUARDIAN) {
        start_guardian(w, h);
    } else if (timer == TIMER_BEAT) {
        book_beat(w, h);
        ask_health(w, h);
        timer_arm(w, h, TIMER_BEAT, w->options.timing.renew_ns);
    }
}

/* ------------------------------------------------------------------ birth and death */

static void make_page(struct world *w, struct host *h)
{
    const struct lease_timing *t = &w->options.timing;

    memset(&h->page, 0, sizeof h->page);
    h->page.config.kill_budget_ns = t->kill_budget_ns;
    h->page.config.margin_ns = t->margin_ns;
    h->page.config.check_budget_ns = t->check_budget_ns;
}

void sidecar_start(struct world *w, struct host *h)
{
    struct sim_sidecar *s = &h->sidecar;
    struct lease_event e = {.type = LEASE_EVENT_START};
    const struct options *o = &w->options;
    struct lease_config config = {.timing = o->timing,
                                  .priority = o->priority[h->index],
                                  .restarts = o->restarts,
                                  .check_failures = o->check_failures,
                                  .restart_window_ns = o->restart_window_ns};

    if (s->alive || !h->up || h->no_restart)
        return;
    if (h->guardian.alive) { /* it has the lock until it has confirmed the stop (R7) */
        schedule(w, 20 * MS, EV_SIDECAR_UP, h->index, 0, 0, 0);
        return;
    }
    s->alive = true;
    s->gen++;
    s->clocks = (struct clocks){.fast_ns = S, .slow_ns = S};
    clock_sample(h, w->now, &s->clocks); /* the first reading is where it counts from */
    s->clocks.fast_ns = s->clocks.slow_ns = S;
    s->paused_until = 0;
    s->stmt = -1;
    s->heartbeat = 0;
    s->armed_deadline_ns = 0;
    s->endpoint = s->book_endpoint = h->index % w->db.count;
    memset(s->connected, 0, sizeof s->connected);
    random_nonce(w, s->incarnation.bytes);
    strcpy(config.member,
           host_name(o->namesakes && h->index == o->members - 1 && h->index > 0 ? h->index - 1 : h->index));
    config.incarnation = s->incarnation;
    lease_init(&s->lease, &config);
    h->hooks[SLOT_SIDECAR].active = false;
    make_page(w, h);
    state_load(w, h, &e.start);
    e.start.incarnation = h->run_incarnation;
    h->run_incarnation = s->incarnation;
    e.start.unfinished = h->promote.alive; /* run_dir says so */
    trace(w, host_name(h->index), "the sidecar starts, %s",
          e.start.remaining_ns ? "maybe to resume" : "no resume");
    sidecar_feed(w, h, &e);
    start_guardian(w, h);
    book_beat(w, h);
    timer_arm(w, h, TIMER_BEAT, o->timing.renew_ns);
}

void sidecar_kill(struct world *w, struct host *h)
{
    struct sim_sidecar *s = &h->sidecar;

    if (!s->alive)
        return;
    trace(w, host_name(h->index), "the sidecar is killed");
    s->alive = false;
    s->gen++;
    s->stmt = -1;
    h->timers[TIMER_WAKE].set = h->timers[TIMER_BEAT].set = h->timers[TIMER_GUARDIAN].set = false;
    h->hooks[SLOT_SIDECAR].active = false; /* its children go on, unheard */
    if (h->guardian.alive)
        schedule(w, random_between(w, 10 * US, 2 * MS), EV_PARENT_DEAD, h->index, 0, h->guardian.gen, 0);
}
