/* The rules, seen from outside: on what really runs and what really is in the row. */
#include <stdarg.h>
#include <stdio.h>

#include "world.h"

struct verdict verdict;

const char *rule_name(enum rule rule)
{
    static const char *const names[RULES] = {"S1", "S2", "S4", "S5", "R3", "R9", "L1", "STUCK", "CORE"};

    return names[rule];
}

const char *host_name(unsigned host)
{
    static const char *const names[HOSTS_MAX] = {"m1", "m2", "m3"};

    return host < HOSTS_MAX ? names[host] : "?";
}

void check_fail(enum rule rule, unsigned host, const char *format, ...)
{
    va_list ap;

    if (verdict.failed)
        return;
    verdict.failed = true;
    verdict.rule = rule;
    verdict.host = host;
    va_start(ap, format);
    vsnprintf(verdict.text, sizeof verdict.text, format, ap);
    va_end(ap);
}

static void told(uint64_t *witness, uint64_t epoch)
{
    if (epoch > *witness)
        *witness = epoch;
}

/* What this member has been told, and must remember (R8); and what the controller's own node showed (R9). */
void check_event(struct world *w, unsigned i, const struct lease_event *e)
{
    struct host *h = &w->hosts[i];

    if (e->type == LEASE_EVENT_START) {
        h->witness = e->start.epoch_seen;
        h->shown_epoch = 0;
    } else if (e->type == LEASE_EVENT_READ && e->read.answer == LEASE_ANSWER_ROW) {
        told(&h->witness, e->read.row.version.epoch);
        told(&h->witness, e->read.row.epoch_table);
        if (h->statement.own_node && h->statement.causal)
            h->shown_epoch = e->read.row.epoch_table;
    }
}

/* The commits that said so are lost, and the starter was never told. */
static bool forgotten(const struct world *w, unsigned i, uint64_t epoch)
{
    return w->lost_epoch >= epoch && w->hosts[i].witnessed < epoch;
}

/* S1, S2: epochs rise. */
void check_start(struct world *w, unsigned i)
{
    struct host *h = &w->hosts[i];
    uint64_t epoch = h->controller.epoch;

    if (epoch <= w->highest_started && !forgotten(w, i, w->highest_started))
        check_fail(RULE_S2, i, "%s starts with epoch %" PRIu64 ", but %" PRIu64 " has been started before",
                   host_name(i), epoch, w->highest_started);
    told(&w->highest_started, epoch);
    told(&h->witness, epoch);
    for (unsigned k = 0; k < design->hosts; k++) {
        const struct controller *c = &w->hosts[k].controller;

        if (k != i && c->alive && c->ours)
            check_fail(RULE_S1, i,
                       "the controllers of %s (epoch %" PRIu64 ") and %s (epoch %" PRIu64 ") act at once",
                       host_name(k), c->epoch, host_name(i), epoch);
    }
}

/* R3: a second nonce is drawn while the first can still land. */
static void check_claim(const struct world *w, unsigned i, const struct lease_command *c)
{
    for (unsigned k = 0; k < LATE_MAX; k++) {
        const struct late_write *l = &w->late[k];

        if (l->used && !l->orphan && l->host == i && l->kind == LEASE_WRITE_ACQUIRE &&
            memcmp(&l->expected, &w->head.version, sizeof l->expected) == 0 &&
            memcmp(&l->wanted.version.nonce, &c->write.wanted.version.nonce, LEASE_NONCE_SIZE) != 0)
            check_fail(RULE_R3, i, "%s draws a new nonce while an older one can still land", host_name(i));
    }
}

static void check_write(struct world *w, unsigned i, const struct lease_command *c)
{
    struct host *h = &w->hosts[i];

    if (c->write.kind == LEASE_WRITE_ACQUIRE || c->write.kind == LEASE_WRITE_BUMP)
        h->witnessed = h->witness;
    if (c->write.kind == LEASE_WRITE_ACQUIRE)
        check_claim(w, i, c);
    if (c->write.kind == LEASE_WRITE_RELEASE &&
        ((h->controller.alive && h->controller.ours) || h->promote.state == PROMOTE_RUNNING))
        check_fail(RULE_S4, i, "%s releases while its controller (epoch %" PRIu64 ") is not stopped",
                   host_name(i), h->controller.alive ? h->controller.epoch : h->promote.epoch);
}

/* S5: promote once a start, and epochs rise from start to start; demote once a reign. */
static void check_hook(struct world *w, unsigned i, const struct lease_command *c)
{
    struct host *h = &w->hosts[i];
    const struct lease *l = &w->leases[i];
    uint64_t epoch = c->hook.epoch;

    if (c->hook.hook == LEASE_HOOK_PROMOTE) {
        if (epoch <= w->highest_promoted && !forgotten(w, i, w->highest_promoted))
            check_fail(RULE_S5, i, "%s runs the promote hook for epoch %" PRIu64 ", which had its turn",
                       host_name(i), epoch);
        if (h->shown_epoch != epoch)
            check_fail(RULE_R9, i,
                       "%s starts a controller with epoch %" PRIu64 ", which its own node has not shown",
                       host_name(i), epoch);
        told(&w->highest_promoted, epoch);
        h->shown_epoch = 0;
        h->demoted = false;
    }
    if (c->hook.hook != LEASE_HOOK_DEMOTE || l->role != LEASE_DEMOTING ||
        c->hook.reason == LEASE_REASON_ROGUE || c->hook.reason == LEASE_REASON_UNHEALTHY)
        return;
    if (h->demoted)
        check_fail(RULE_S5, i, "%s runs the demote hook a second time for epoch %" PRIu64, host_name(i),
                   epoch);
    h->demoted = true;
}

void check_command(struct world *w, unsigned i, const struct lease_command *c)
{
    if (c->type == LEASE_COMMAND_WRITE)
        check_write(w, i, c);
    else if (c->type == LEASE_COMMAND_HOOK)
        check_hook(w, i, c);
}

/* What L1 asks for. */
bool check_led(const struct world *w)
{
    for (unsigned i = 0; i < design->hosts; i++)
        if (w->hosts[i].alive && w->leases[i].role == LEASE_LEADER && w->hosts[i].controller.alive)
            return true;
    return false;
}
