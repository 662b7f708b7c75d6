#include "check.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "caught.h"

static const char *const names[RULES] = {"S1", "S2", "S3", "S4", "S5", "L1", "L2", "CORE"};

const char *rule_name(enum rule rule)
{
    return names[rule];
}

void check_init(struct check *c, const struct profile *profile)
{
    memset(c, 0, sizeof *c);
    c->off = profile ? profile->not_promised : 0;
}

void check_fail(struct check *c, enum rule rule, int host, const char *format, ...)
{
    va_list ap;

    c->fired |= 1u << rule;
    if (c->failed || (c->off & 1u << rule))
        return;
    c->failed = true;
    c->rule = rule;
    c->host = host;
    va_start(ap, format);
    vsnprintf(c->text, sizeof c->text, format, ap);
    va_end(ap);
}

/* ------------------------------------------------------------------ S1, S2 */

void check_acting(struct world *w)
{
    const struct host *first = NULL;

    for (unsigned i = 0; i < w->options.members; i++) {
        const struct host *h = &w->hosts[i];

        if (!h->controller.ours || !controller_acts(h, w->now))
            continue;
        if (first)
            check_fail(w->check, RULE_S1, (int)i,
                       "the controllers of %s (epoch %" PRIu64 ") and %s (epoch %" PRIu64 ") act at once",
                       host_name(first->index), first->controller.epoch, host_name(i), h->controller.epoch);
        first = h;
    }
}

static void told(uint64_t *witness, uint64_t epoch)
{
    if (epoch > *witness)
        *witness = epoch;
}

/* What this member has been told, and so must remember (R8). */
void check_told(struct world *w, struct host *h, const struct lease_event *e)
{
    uint64_t *witness = &w->check->witness[h->index];

    if (e->type == LEASE_EVENT_START) {
        *witness = e->start.epoch_seen; /* what was never on the disk is forgotten */
    } else if (e->type == LEASE_EVENT_READ && e->read.answer == LEASE_ANSWER_ROW) {
        told(witness, e->read.row.version.epoch);
        told(witness, e->read.row.epoch_table);
    } else if (e->type == LEASE_EVENT_MEMBERS) {
        for (size_t i = 0; i < e->members.count; i++)
            told(witness, e->members.list[i].epoch_seen);
    }
}

/*
 * Rising, unless the commits that said so are lost and the starter was never told: that is the loss that
 * nobody could observe. (The watch of a whole ttl gives those who remember the time to say so.)
 */
void check_start(struct world *w, struct host *h)
{
    struct check *c = w->check;
    bool forgotten = w->db.lost_epoch >= c->highest_started && c->witnessed[h->index] < c->highest_started;

    if (h->controller.epoch <= c->highest_started && !forgotten)
        check_fail(c, RULE_S2, (int)h->index,
                   "%s starts with epoch %" PRIu64 ", but %" PRIu64 " has been started before",
                   host_name(h->index), h->controller.epoch, c->highest_started);
    if (h->controller.epoch > c->highest_started)
        c->highest_started = h->controller.epoch;
    told(&c->witness[h->index], h->controller.epoch);
    check_acting(w);
}

/* ------------------------------------------------------------------ S3 */

void check_guarded_commit(struct world *w, const struct statement *s)
{
    const struct write_set *head = db_head(w);

    if (s->epoch < head->highest)
        check_fail(w->check, RULE_S3, s->host,
                   "guarded work of epoch %" PRIu64 " (%s) commits after epoch %" PRIu64 " took over",
                   s->epoch, host_name(s->host), head->highest);
}

/* ------------------------------------------------------------------ S4 */

void check_write(struct world *w, struct host *h, const struct lease_command *c)
{
    const struct sim_controller *k = &h->controller;

    if (c->write.kind == LEASE_WRITE_ACQUIRE || c->write.kind == LEASE_WRITE_BUMP)
        w->check->witnessed[h->index] = w->check->witness[h->index]; /* before it reads of its own */
    if (c->write.kind != LEASE_WRITE_RELEASE)
        return;
    if ((k->alive && k->ours) || (h->promote.alive && h->promote.asked))
        check_fail(w->check, RULE_S4, (int)h->index,
                   "%s releases while its controller (epoch %" PRIu64 ") is not stopped", host_name(h->index),
                   k->alive ? k->epoch : h->promote.epoch);
}

/* ------------------------------------------------------------------ S5 */

/* A start is an epoch of one acquisition: after lost commits a number may come again, a start never. */
static void check_promote(struct world *w, struct host *h, const struct lease_command *c)
{
    struct check *k = w->check;

    for (unsigned i = 0; i < PROMOTED_MAX && i < k->promoted_count; i++)
        if (k->promoted[i].epoch == c->hook.epoch &&
            memcmp(&k->promoted[i].nonce, &c->hook.nonce, sizeof c->hook.nonce) == 0)
            check_fail(k, RULE_S5, (int)h->index, "%s runs the promote hook a second time for epoch %" PRIu64,
                       host_name(h->index), c->hook.epoch);
    k->promoted[k->promoted_count % PROMOTED_MAX].epoch = c->hook.epoch;
    k->promoted[k->promoted_count++ % PROMOTED_MAX].nonce = c->hook.nonce;
}

/* One reign, one demote: a sidecar that leaves PROMOTING or LEADER asks its controller to stop once. */
void check_hook(struct world *w, struct host *h, const struct lease_command *c)
{
    const struct lease *l = &h->sidecar.lease;
    struct check *k = w->check;

    if (c->hook.hook == LEASE_HOOK_PROMOTE)
        check_promote(w, h, c);
    if (c->hook.hook != LEASE_HOOK_DEMOTE || l->role != LEASE_DEMOTING)
        return;
    if (c->hook.reason == LEASE_REASON_ROGUE || c->hook.reason == LEASE_REASON_UNHEALTHY)
        return; /* what runs now is not what was stopped then */
    if (c->hook.epoch == k->demoted_epoch[h->index] && h->sidecar.gen == k->demoted_by[h->index])
        check_fail(k, RULE_S5, (int)h->index, "%s runs the demote hook a second time for epoch %" PRIu64,
                   host_name(h->index), c->hook.epoch);
    k->demoted_epoch[h->index] = c->hook.epoch;
    k->demoted_by[h->index] = h->sidecar.gen;
}

/* ------------------------------------------------------------------ L1, L2 */

static bool asked_for(enum lease_reason reason)
{
    return reason == LEASE_REASON_STEP_DOWN || reason == LEASE_REASON_SWITCHOVER ||
           reason == LEASE_REASON_SHUTDOWN;
}

void check_role(struct world *w, struct host *h, enum lease_role from, enum lease_role to,
                enum lease_reason reason)
{
    struct check *c = w->check;

    if (to == LEASE_LEADER && w->healed && c->led_at == 0)
        c->led_at = w->now;
    if (from == LEASE_LEADER && w->options.profile && w->options.profile->reigns_last && !asked_for(reason))
        check_fail(c, RULE_L2, (int)h->index, "%s stops leading (%s), and nothing that happened is a cause",
                   host_name(h->index), lease_reason_name(reason));
}

static bool somebody_leads(const struct world *w)
{
    for (unsigned i = 0; i < w->options.members; i++) {
        const struct host *h = &w->hosts[i];

        /* Whoever started it: a resume can't tell, its check says that it runs. */
        if (h->sidecar.alive && h->sidecar.lease.role == LEASE_LEADER && controller_acts(h, w->now))
            return true;
    }
    return false;
}

void check_healed(struct world *w, uint64_t bound_ns)
{
    w->check->healed_at = w->now;
    w->check->bound_ns = bound_ns;
    if (somebody_leads(w))
        w->check->led_at = w->now;
    schedule(w, bound_ns, EV_END, 0, 0, 0, 0);
}

/* Nobody did anything: the one whose turn it would have been. */
static int first_in_line(const struct world *w)
{
    unsigned best = 0;

    for (unsigned i = 1; i < w->options.members; i++)
        if (w->options.priority[i] > w->options.priority[best])
            best = i;
    return (int)best;
}

void check_liveness(struct world *w)
{
    struct check *c = w->check;

    if (c->led_at == 0 && !somebody_leads(w))
        check_fail(c, RULE_L1, first_in_line(w), "all is healed since %.1f s, and nobody leads",
                   (double)(w->now - c->healed_at) / 1e9);
    if (c->led_at != 0 && c->led_at - c->healed_at > tally.heal_ns_max)
        tally.heal_ns_max = c->led_at - c->healed_at;
    w->ended = true;
}

void check_failed_stops(struct world *w)
{
    if (w->check->failed)
        w->ended = true;
}

/* ------------------------------------------------------------------ the core's own assertions */

static struct {
    struct world *world;
    struct host *host;
} stepping;

void check_stepping(struct world *w, struct host *h)
{
    stepping.world = w;
    stepping.host = h;
}

void check_asserted(void)
{
    check_fail(stepping.world->check, RULE_CORE, (int)stepping.host->index, "%s, in %s: %s",
               host_name(stepping.host->index), lease_role_name(stepping.host->sidecar.lease.role),
               caught_text);
}

void check_guarded(void (*step)(struct world *, struct host *, struct lease_event *), struct world *w,
                   struct host *h, struct lease_event *e)
{
    if (setjmp(caught_escape) == 0)
        step(w, h, e);
    else
        check_asserted();
}

_Noreturn void sim_bug(const char *what)
{
    fprintf(stderr, "sim: %s: the simulator itself is wrong\n", what);
    abort();
}
