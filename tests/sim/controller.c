/* The controller: it acts as long as it lives and its host is not frozen, whatever anybody believes. */
#include "world.h"

#include "check.h"

bool controller_acts(const struct host *h, uint64_t now)
{
    return h->controller.alive && h->frozen_until <= now;
}

void controller_begin(struct world *w, struct host *h, uint64_t epoch, bool ours)
{
    struct sim_controller *c = &h->controller;

    if (c->alive && c->ours)
        return;
    c->gen++;
    c->alive = true;
    c->ours = ours;
    c->stopping = false;
    c->epoch = epoch;
    c->start = ++w->next_id;
    trace(w, host_name(h->index), "the controller acts%s, epoch %" PRIu64,
          ours ? "" : " (started by somebody else)", epoch);
    if (!ours)
        return;
    tally.starts++;
    w->starts++;
    check_start(w, h);
    schedule(w, random_below(w, w->options.timing.ttl_ns / 20), EV_CONTROLLER_WRITES, h->index, 0, c->gen, 0);
}

/* It is told to stop, and acts until it has. */
void controller_stop(struct world *w, struct host *h, uint64_t delay)
{
    struct sim_controller *c = &h->controller;

    if (!c->alive || c->unkillable)
        return;
    c->stopping = true;
    schedule(w, delay, EV_CONTROLLER_DIES, h->index, 0, c->gen, 0);
}

void controller_gone(struct world *w, struct host *h)
{
    trace(w, host_name(h->index), "the controller is gone, epoch %" PRIu64, h->controller.epoch);
    h->controller.alive = false;
    h->controller.stopping = false;
    h->controller.gen++;
}

void controller_writes(struct world *w, const struct event *e)
{
    struct host *h = &w->hosts[e->a];

    if (!h->controller.alive || h->controller.gen != e->gen)
        return;
    stmt_guarded(w, h);
    schedule(w, random_between(w, w->options.timing.ttl_ns / 30, w->options.timing.ttl_ns / 8),
             EV_CONTROLLER_WRITES, e->a, 0, e->gen, 0);
}
