/* What can happen next, and when time may go on. */
#include "world.h"

#include "caught.h"

void world_init(struct world *w)
{
    memset(w, 0, sizeof *w);
    w->head.ttl_ms = TTL_TICKS * (uint32_t)(TICK_NS / LEASE_NS_PER_MS);
    w->before = w->head;
    w->instance = 1;
    memcpy(w->left, design->budget, sizeof w->left);
    w->left_in_all = design->in_all;
    for (unsigned i = 0; i < design->hosts; i++)
        w->hosts[i].fast_ns = w->hosts[i].slow_ns = 1000 * TICK_NS;
    for (unsigned i = 0; i < design->hosts; i++)
        member_start(w, i);
}

/* Nobody has peers here, and they are most of a lease. */
void world_copy(struct world *to, const struct world *from)
{
    memcpy(to, from, offsetof(struct world, leases));
    for (unsigned i = 0; i < design->hosts; i++)
        memcpy(&to->leases[i], &from->leases[i], offsetof(struct lease, peers));
}

bool spend(struct world *w, enum fault fault)
{
    if (w->left[fault] == 0 || w->left_in_all == 0)
        return false;
    w->left[fault]--;
    if (--w->left_in_all == 0) /* states that differ in what can't be spent any more are one */
        memset(w->left, 0, sizeof w->left);
    return true;
}

/* Nothing that is due is left undone. */
static bool settled(struct world *w, unsigned i)
{
    const struct host *h = &w->hosts[i];
    bool hears = h->alive && !h->paused;

    if (h->hurry || (hears && member_due(w, i)))
        return false;
    if (!h->silent &&
        (h->statement.state == STATEMENT_SENT || (hears && h->statement.state != STATEMENT_NONE)))
        return false;
    if (hears && (h->save.pending || h->guardian.news || h->guardian.gone))
        return false;
    return machine_allows_tick(w, i);
}

static bool tick(struct world *w)
{
    for (unsigned i = 0; i < design->hosts; i++)
        if (!settled(w, i))
            return false;
    for (unsigned i = 0; i < design->hosts; i++) {
        w->hosts[i].fast_ns += design->fast[i] * (TICK_NS / 1000);
        w->hosts[i].instant_ns = 0;
        w->hosts[i].slow_ns += design->slow[i] * (TICK_NS / 1000);
    }
    w->ticks++;
    return true;
}

static bool act(struct world *w, struct action a)
{
    switch ((unsigned)a.move) {
    case MOVE_GUARD:
    case MOVE_GUARD_KILL:
    case MOVE_HOOK:
    case MOVE_LAUNCH:
    case MOVE_BEGIN:
    case MOVE_FAULT + FAULT_GUARDIAN:
    case MOVE_FAULT + FAULT_PROMOTE:
    case MOVE_FAULT + FAULT_DEMOTE:
    case MOVE_FAULT + FAULT_CHECK:
    case MOVE_FAULT + FAULT_DIES:
    case MOVE_FAULT + FAULT_ROGUE: return machine_act(w, a);
    case MOVE_EXECUTE:
    case MOVE_DELIVER:
    case MOVE_LATE_COMMIT:
    case MOVE_FAULT + FAULT_UNKNOWN:
    case MOVE_FAULT + FAULT_REFUSED:
    case MOVE_FAULT + FAULT_LAG:
    case MOVE_FAULT + FAULT_LOSS:
    case MOVE_FAULT + FAULT_SILENCE:
    case MOVE_HEAL: return database_act(w, a);
    case MOVE_TICK: return a.host == 0 && a.variant == 0 && tick(w);
    default: return member_act(w, a);
    }
}

bool world_act(struct world *w, struct action a)
{
    unsigned before = verdict.host;

    if (a.move >= MOVE_FAULT && (w->left[a.move - MOVE_FAULT] == 0 || w->left_in_all == 0))
        return false;
    if (setjmp(caught_escape) != 0) {
        check_fail(RULE_CORE, verdict.host, "%s, in %s: %s", host_name(verdict.host),
                   lease_role_name(w->leases[verdict.host].role), caught_text);
        return true;
    }
    bool done = act(w, a);

    if (!verdict.failed)
        verdict.host = before;
    return done;
}
