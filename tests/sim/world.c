/* Time, chance and the queue of events. Nothing here knows what a lease is. */
#include "world.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "check.h"

#define LINES 400

static struct {
    char text[LINES][220];
    unsigned long count;
} story;

/* ------------------------------------------------------------------ chance */

static uint64_t splitmix(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

/* xoroshiro128+ */
uint64_t random_u64(struct world *w)
{
    uint64_t a = w->random[0], b = w->random[1], result = a + b;

    b ^= a;
    w->random[0] = (a << 24 | a >> 40) ^ b ^ b << 16;
    w->random[1] = b << 37 | b >> 27;
    return result;
}

uint64_t random_below(struct world *w, uint64_t n)
{
    return n == 0 ? 0 : (uint64_t)(((unsigned __int128)random_u64(w) * n) >> 64);
}

uint64_t random_between(struct world *w, uint64_t low, uint64_t high)
{
    return high <= low ? low : low + random_below(w, high - low + 1);
}

bool chance(struct world *w, unsigned percent)
{
    return random_below(w, 100) < percent;
}

/* ------------------------------------------------------------------ the queue */

static inline bool sooner(const struct event *a, const struct event *b)
{
    return a->at != b->at ? a->at < b->at : a->order < b->order;
}

void schedule(struct world *w, uint64_t delay, enum event_kind kind, unsigned a, unsigned b, uint32_t gen,
              uint64_t arg)
{
    struct event e = {.at = w->now + delay,
                      .order = w->order++,
                      .kind = (uint16_t)kind,
                      .a = (uint8_t)a,
                      .b = (uint8_t)b,
                      .gen = gen,
                      .arg = arg};

    if (w->heap_count == w->heap_size) {
        w->heap_size = w->heap_size ? 2 * w->heap_size : 1024;
        w->heap = realloc(w->heap, w->heap_size * sizeof *w->heap);
        if (!w->heap)
            abort();
    }
    size_t i = w->heap_count++;

    while (i > 0 && sooner(&e, &w->heap[(i - 1) / 2])) {
        w->heap[i] = w->heap[(i - 1) / 2];
        i = (i - 1) / 2;
    }
    w->heap[i] = e;
}

static struct event next_event(struct world *w)
{
    struct event top = w->heap[0], last = w->heap[--w->heap_count];
    size_t i = 0;

    for (;;) {
        size_t child = 2 * i + 1;

        if (child >= w->heap_count)
            break;
        if (child + 1 < w->heap_count && sooner(&w->heap[child + 1], &w->heap[child]))
            child++;
        if (!sooner(&w->heap[child], &last))
            break;
        w->heap[i] = w->heap[child];
        i = child;
    }
    w->heap[i] = last;
    return top;
}

/* ------------------------------------------------------------------ who gets what */

/* When the process that this is for can look at it; 0: at once. */
static uint64_t held_up(const struct world *w, const struct event *e)
{
    const struct host *h = &w->hosts[e->a];

    switch ((enum event_kind)e->kind) {
    case EV_TIMER: return e->b == TIMER_GUARD ? h->frozen_until : sidecar_held_up(h, w->now);
    case EV_NEWS:
    case EV_SAVED:
    case EV_HEALTH:
    case EV_GUARDIAN_GONE:
    case EV_BOOK_ANSWER: return sidecar_held_up(h, w->now);
    case EV_HOOK_END: return e->b == SLOT_SIDECAR ? sidecar_held_up(h, w->now) : h->frozen_until;
    case EV_SIDECAR_UP:
    case EV_HOOK_RUN:
    case EV_HOOK_ACT:
    case EV_CONTROLLER_UP:
    case EV_CONTROLLER_DIES:
    case EV_CONTROLLER_WRITES: return h->frozen_until;
    case EV_GUARDIAN:
    case EV_PARENT_DEAD:
        return h->guardian.paused_until > h->frozen_until ? h->guardian.paused_until : h->frozen_until;
    case EV_STMT_ANSWER:
        return w->db.stmts[e->arg].guarded ? 0 : sidecar_held_up(&w->hosts[w->db.stmts[e->arg].host], w->now);
    case EV_HOST_UP:
    case EV_THAW:
    case EV_STMT:
    case EV_STMT_ORDER:
    case EV_BOOK:
    case EV_VIEW:
    case EV_NODE_UP:
    case EV_NODE_THAW:
    case EV_FAULT:
    case EV_UNDO:
    case EV_REQUEST:
    case EV_HEAL:
    case EV_SETTLED:
    case EV_END:
    case EV_KINDS: break;
    }
    return 0;
}

static void dispatch_host(struct world *w, const struct event *e)
{
    struct host *h = &w->hosts[e->a];

    switch ((enum event_kind)e->kind) {
    case EV_TIMER:
        if (!timer_due(w, h, e))
            break;
        if (e->b == TIMER_GUARD)
            schedule(w, 0, EV_GUARDIAN, e->a, 0, h->guardian.gen, 0);
        else
            sidecar_timer(w, h, (enum timer)e->b);
        break;
    case EV_SIDECAR_UP: sidecar_start(w, h); break;
    case EV_HOST_UP:
        h->up = true;
        sidecar_start(w, h);
        break;
    case EV_THAW: host_thaw(w, h); break;
    case EV_PARENT_DEAD:
        if (h->guardian.gen == e->gen) {
            h->guardian.parent_dead = true;
            guardian_run(w, h);
        }
        break;
    case EV_GUARDIAN:
        if (h->guardian.gen == e->gen)
            guardian_run(w, h);
        break;
    case EV_GUARDIAN_GONE:
        if (h->sidecar.gen == e->gen)
            sidecar_guardian_gone(w, h);
        break;
    case EV_NEWS:
        if (h->sidecar.gen == e->gen)
            sidecar_news(w, h);
        break;
    case EV_SAVED: state_saved(w, e); break;
    case EV_HEALTH: sidecar_health(w, e); break;
    case EV_BOOK: book_arrives(w, e); break;
    case EV_BOOK_ANSWER: book_answered(w, e); break;
    case EV_HOOK_RUN: hook_run_event(w, e); break;
    case EV_HOOK_ACT: hook_act_event(w, e); break;
    case EV_HOOK_END: hook_end_event(w, e); break;
    case EV_CONTROLLER_UP:
        if (h->promote.alive && h->promote.gen == e->gen)
            controller_begin(w, h, h->promote.epoch, true);
        break;
    case EV_CONTROLLER_DIES:
        if (h->controller.alive && h->controller.gen == e->gen)
            controller_gone(w, h);
        break;
    case EV_CONTROLLER_WRITES: controller_writes(w, e); break;
    case EV_STMT:
    case EV_STMT_ORDER:
    case EV_STMT_ANSWER:
    case EV_VIEW:
    case EV_NODE_UP:
    case EV_NODE_THAW:
    case EV_FAULT:
    case EV_UNDO:
    case EV_REQUEST:
    case EV_HEAL:
    case EV_SETTLED:
    case EV_END:
    case EV_KINDS: break;
    }
}

static void dispatch(struct world *w, const struct event *e)
{
    uint64_t until = held_up(w, e);

    if (until > w->now) {
        schedule(w, until - w->now, (enum event_kind)e->kind, e->a, e->b, e->gen, e->arg);
        return;
    }
    switch ((unsigned)e->kind) {
    case EV_STMT: stmt_arrives(w, (unsigned)e->arg); break;
    case EV_STMT_ORDER: stmt_ordered(w, (unsigned)e->arg); break;
    case EV_STMT_ANSWER: stmt_answered(w, (unsigned)e->arg); break;
    case EV_VIEW: db_view_event(w, e); break;
    case EV_NODE_UP:
        if (w->db.nodes[e->a].gen == e->gen)
            db_node_up(w, e->a);
        break;
    case EV_NODE_THAW:
        if (w->db.nodes[e->a].gen == e->gen && w->db.nodes[e->a].state == NODE_FROZEN) {
            w->db.nodes[e->a].state = NODE_UP;
            db_members_changed(w, 300 * MS);
        }
        break;
    case EV_FAULT: fault_event(w); break;
    case EV_UNDO: fault_undo(w, e); break;
    case EV_REQUEST: request_event(w, e); break;
    case EV_HEAL: heal(w); break;
    case EV_SETTLED: db_put_back(w); break;
    case EV_END: check_liveness(w); break;
    default: dispatch_host(w, e);
    }
}

void world_run(struct world *w)
{
    while (!w->ended && w->heap_count > 0) {
        struct event e = next_event(w);

        w->now = e.at;
        tally.events++;
        dispatch(w, &e);
        check_failed_stops(w);
    }
    tally.simulated_ns += w->now;
}

/* ------------------------------------------------------------------ beginning and end */

void world_init(struct world *w, const struct options *o, bool tracing)
{
    uint64_t seed = o->seed;

    memset(w, 0, sizeof *w);
    w->options = *o;
    w->tracing = tracing;
    w->random[0] = splitmix(&seed);
    w->random[1] = splitmix(&seed);
    w->now = S; /* zero means "never" in many places */
    if (tracing)
        story.count = 0;
    memset(w->to_node, true, sizeof w->to_node);
    memset(w->from_node, true, sizeof w->from_node);
    db_init(w);
    for (unsigned i = 0; i < o->members; i++) {
        struct host *h = &w->hosts[i];

        h->index = i;
        h->up = true;
        h->boot = 1;
        h->clock = (struct host_clock){.since = w->now,
                                       .mono_ns = random_between(w, 10 * S, 1000000 * S),
                                       .raw_ns = random_between(w, 10 * S, 1000000 * S),
                                       .asleep_ns = random_between(w, 0, 1000 * S)};
        clock_disturb(w, h);
        schedule(w, random_below(w, 3 * S), EV_SIDECAR_UP, i, 0, 0, 0);
    }
    schedule(w, random_between(w, 10 * S, o->timing.ttl_ns * 2), EV_FAULT, 0, 0, 0, 0);
    schedule(w, o->chaos_ns, EV_HEAL, 0, 0, 0, 0);
}

void world_deinit(struct world *w)
{
    free(w->heap);
    w->heap = NULL;
}

/* ------------------------------------------------------------------ the story */

const char *host_name(unsigned host)
{
    static const char *const names[HOSTS_MAX] = {"m1", "m2", "m3", "m4", "m5", "m6", "m7", "m8", "m9"};

    return names[host];
}

void trace_line(struct world *w, const char *who, const char *format, ...)
{
    char *line = story.text[story.count++ % LINES];
    va_list ap;
    int n = snprintf(line, sizeof story.text[0], "%10.4f %-5s ", (double)w->now / 1e9, who);

    va_start(ap, format);
    vsnprintf(line + n, sizeof story.text[0] - (size_t)n, format, ap);
    va_end(ap);
    if (w->telling)
        puts(line);
}

void trace_print(unsigned last)
{
    unsigned long from = story.count > last ? story.count - last : 0;

    if (story.count - from > LINES)
        from = story.count - LINES;
    for (unsigned long i = from; i < story.count; i++)
        printf("    %s\n", story.text[i % LINES]);
}
