/* The state file: written by a thread, readable at once, safe against a power cut only after fsync. */
#include "world.h"

static struct state_file waiting[HOSTS_MAX][64];
static unsigned waiting_next[HOSTS_MAX];

#define ARG_FAILS   (UINT64_C(1) << 62)
#define ARG_DURABLE (UINT64_C(1) << 63)

void state_save(struct world *w, struct host *h, const struct lease_command *c)
{
    struct sim_sidecar *s = &h->sidecar;
    unsigned place = waiting_next[h->index]++ % 64;
    struct state_file *f = &waiting[h->index][place];
    bool bad = w->now < h->disk_bad_until;
    uint64_t took = c->save.durable ? random_between(w, MS, 20 * MS) : random_between(w, 50 * US, 2 * MS);

    if (bad && !h->disk_fails)
        took += random_below(w, w->options.timing.ttl_ns / 2);
    *f = (struct state_file){.there = true,
                             .boot = h->boot,
                             .epoch_seen = c->save.epoch_seen,
                             .epoch = c->save.epoch,
                             .nonce = c->save.nonce,
                             .next = c->save.next,
                             .at = clock_read(h, w->now)};
    if (c->save.deadline_ns > s->clocks.fast_ns)
        f->remaining_ns = c->save.deadline_ns - s->clocks.fast_ns;
    /* One thread: in order. */
    if (s->saved_at < w->now)
        s->saved_at = w->now;
    s->saved_at += took;
    uint64_t arg = c->save.id | (uint64_t)place << 32;

    if (bad && h->disk_fails)
        arg |= ARG_FAILS;
    if (c->save.durable)
        arg |= ARG_DURABLE;
    schedule(w, s->saved_at - w->now, EV_SAVED, h->index, 0, s->gen, arg);
}

void state_saved(struct world *w, const struct event *e)
{
    struct host *h = &w->hosts[e->a];
    const struct state_file *f = &waiting[e->a][e->arg >> 32 & 63];
    struct lease_event event = {.type = LEASE_EVENT_SAVED};

    if (!h->sidecar.alive || h->sidecar.gen != e->gen)
        return; /* the thread died with its process */
    if (!(e->arg & ARG_FAILS)) {
        h->cache = *f;
        if (e->arg & ARG_DURABLE)
            h->disk = *f;
    }
    if (!(e->arg & ARG_DURABLE))
        return;
    event.saved.id = (uint32_t)e->arg;
    event.saved.ok = !(e->arg & ARG_FAILS);
    sidecar_feed(w, h, &event);
}

void state_load(struct world *w, struct host *h, struct lease_memory *ret)
{
    const struct state_file *f = &h->cache;
    struct clocks_instant now = clock_read(h, w->now);

    memset(ret, 0, sizeof *ret);
    if (!f->there)
        return;
    ret->epoch_seen = f->epoch_seen;
    if (f->boot != h->boot)
        return;
    uint64_t elapsed = clocks_elapsed_fast_ns(&f->at, &now);

    ret->nonce = f->nonce;
    ret->next = f->next;
    ret->epoch = f->epoch;
    ret->remaining_ns = f->remaining_ns > elapsed ? f->remaining_ns - elapsed : 0;
}
