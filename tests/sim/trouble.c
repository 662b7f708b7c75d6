/* Faults of the database and the network to it, hands on the row, operators, and the healing of it all. */
#include "check.h"
#include "profile.h"
#include "world.h"

#define FAULTS_MIN 10

static void undo_later(struct world *w, uint64_t delay, enum fault fault, unsigned what, uint64_t arg)
{
    schedule(w, delay, EV_UNDO, (unsigned)fault, what, 0, arg);
}

static uint64_t length(struct world *w)
{
    uint64_t ttl = w->options.timing.ttl_ns;

    return chance(w, 60) ? random_below(w, ttl) : random_below(w, 3 * ttl);
}

static unsigned leader(struct world *w)
{
    unsigned any = (unsigned)random_below(w, w->options.members);

    for (unsigned i = 0; i < w->options.members && chance(w, 70); i++)
        if (w->hosts[i].controller.alive)
            return i;
    return any;
}

static bool one_is_missing(const struct world *w)
{
    for (unsigned i = 0; i < w->db.count; i++)
        if (w->db.nodes[i].state != NODE_UP || !w->db.nodes[i].primary)
            return true;
    /* One stall on the heels of another is longer than either: first a renewal must come through. */
    return w->now < w->db.stall_until + 2 * w->options.timing.renew_ns;
}

/* ------------------------------------------------------------------ nodes */

static bool lose_node(struct world *w, enum fault fault)
{
    unsigned i = (unsigned)random_below(w, w->db.count);
    struct node *n = &w->db.nodes[i];
    uint64_t how_long = length(w) + S;

    if (n->state != NODE_UP || (w->options.profile->reigns_last && one_is_missing(w)))
        return false;
    /* Its return stalls the others too: a second stall on top of the first is another fault. */
    if (w->options.profile->reigns_last)
        how_long += w->options.timing.ttl_ns;
    trace(w, "db", "node %u", i);
    if (fault == FAULT_NODE_FREEZE) {
        db_view(w, i);
        n->state = NODE_FROZEN;
        db_members_changed(w, db_stall(w));
        schedule(w, how_long, EV_NODE_THAW, i, 0, n->gen, 0);
        return true;
    }
    db_node_down(w, i, fault == FAULT_NODE_STOP);
    schedule(w, how_long, EV_NODE_UP, i, 0, n->gen, 0);
    return true;
}

static bool partition(struct world *w)
{
    struct database *db = &w->db;
    uint32_t side = (uint32_t)random_between(w, 1, (1u << db->count) - 1);
    bool pair = db->count > 2 && chance(w, 25);
    unsigned x = (unsigned)random_below(w, db->count), y = (unsigned)random_below(w, db->count);

    for (unsigned a = 0; a < db->count; a++)
        for (unsigned b = 0; b < db->count; b++)
            if (pair ? a == x && b == y && x != y : ((side >> a ^ side >> b) & 1) != 0)
                db->cut[a][b] = true;
    trace(w, "db", pair ? "nodes %u and %u do not see each other" : "side %x is cut from the rest (%u)",
          pair ? x : side, y);
    db_members_changed(w, pair ? 4 * S : db_stall(w));
    undo_later(w, length(w) + S, FAULT_PARTITION, 0, 0);
    return true;
}

/* All at once; what was not yet on the disks is gone. */
static void crash_cluster(struct world *w, uint64_t lost, bool stale)
{
    struct database *db = &w->db;
    uint64_t oldest = db->head;

    for (unsigned i = 0; i < db->count; i++) {
        db_view(w, i);
        if (db->nodes[i].applied < oldest)
            oldest = db->nodes[i].applied;
    }
    if (stale)
        lost = db->head - oldest;
    for (unsigned i = 0; i < db->count; i++)
        if (db->nodes[i].state != NODE_DOWN)
            db_node_down(w, i, false);
    db_lose(w, lost);
    uint64_t back = random_between(w, S, 4 * S);

    for (unsigned i = 0; i < db->count; i++)
        schedule(w, back + random_below(w, 2 * S), EV_NODE_UP, i, 0, db->nodes[i].gen, 0);
}

static bool lose_commits(struct world *w, enum fault fault)
{
    uint64_t lost = chance(w, 30) ? 0 : random_below(w, chance(w, 50) ? 4 : 40);

    if (fault == FAULT_SECRET_LOSS) {
        const struct write_set *head = db_head(w);
        uint64_t back = 0;

        /* back to a free row, if there is one */
        while (back < 60 && back < w->db.head &&
               w->db.history[(w->db.head - back) % HISTORY_MAX].row.state != LEASE_ROW_FREE)
            back++;
        if (head->row.state == LEASE_ROW_FREE || back >= 60)
            return false;
        db_lose(w, back);
        return true;
    }
    crash_cluster(w, lost, fault == FAULT_STALE_BOOTSTRAP);
    return true;
}

/* ------------------------------------------------------------------ network */

static void cut(struct world *w, unsigned host, unsigned node, bool to, bool from, bool up)
{
    if (to)
        w->to_node[host][node] = up;
    if (from)
        w->from_node[host][node] = up;
}

static bool hurt_network(struct world *w, enum fault fault)
{
    unsigned host = leader(w), node = (unsigned)random_below(w, w->db.count);

    if (fault == FAULT_LINK) {
        unsigned way = (unsigned)random_between(w, 1, 3);

        trace(w, "fault", "%s and node %u, ways %u", host_name(host), node, way);
        cut(w, host, node, way & 1, way & 2, false);
        undo_later(w, length(w), FAULT_LINK, host, node << 8 | way);
    } else if (fault == FAULT_CUT_OFF) {
        bool both = !w->options.profile->edge || chance(w, 50);

        trace(w, "fault", "%s%s", host_name(host), both ? "" : ", what it sends");
        for (unsigned i = 0; i < w->db.count; i++)
            cut(w, host, i, true, both, false);
        undo_later(w, length(w), FAULT_CUT_OFF, host, 0);
    } else if (fault == FAULT_ANSWERS) {
        trace(w, "fault", "%s", host_name(host));
        w->swallow[host] = true;
        undo_later(w, random_below(w, w->options.timing.ttl_ns), FAULT_ANSWERS, host, 0);
    } else if (fault == FAULT_LATE_ANSWERS) {
        trace(w, "fault", "%s", host_name(host));
        w->delay[host] = true;
        undo_later(w, w->options.timing.ttl_ns, FAULT_LATE_ANSWERS, host, 0);
    } else {
        w->refuse_until = w->now + random_below(w, w->options.timing.ttl_ns / 2);
    }
    return true;
}

/* ------------------------------------------------------------------ hands on the row */

static bool edit(struct world *w, enum fault fault)
{
    struct lease_row row = db_head(w)->row;

    if (!db_head(w)->exists || w->now < w->db.stall_until)
        return false;
    if (fault == FAULT_EDIT_TTL) {
        if (row.ttl_ms != w->options.timing.ttl_ns / MS)
            return false; /* in the middle of a hold nobody can know what its holder counts on */
        row.ttl_ms = (uint32_t)random_between(w, row.ttl_ms / 4 + 1, (uint64_t)row.ttl_ms * 2);
    } else if (fault == FAULT_EDIT_EPOCH) {
        if (row.version.epoch == 0)
            return false;
        row.version.epoch -= random_between(w, 1, row.version.epoch);
    } else {
        db_append(w, &row, false, false);
        schedule(w, chance(w, 50) ? random_below(w, S) : random_below(w, 10 * S), EV_SETTLED, 0, 0, 0, 0);
        return true;
    }
    trace(w, "hand", "ttl %u ms, epoch %" PRIu64, row.ttl_ms, row.version.epoch);
    db_append(w, &row, true, false);
    return true;
}

bool fault_in_database(struct world *w, enum fault fault)
{
    unsigned node = (unsigned)random_below(w, w->db.count);

    switch ((unsigned)fault) {
    case FAULT_NODE_KILL:
    case FAULT_NODE_STOP:
    case FAULT_NODE_FREEZE: return lose_node(w, fault);
    case FAULT_PARTITION: return partition(w);
    case FAULT_STALL:
        if (w->options.profile->reigns_last && one_is_missing(w))
            return false;
        w->db.stall_until = w->now + db_stall(w);
        return true;
    case FAULT_LAG:
        db_view(w, node);
        if (chance(w, 50))
            w->db.nodes[node].blocked_until = w->now + random_below(w, w->options.timing.ttl_ns);
        else
            w->db.nodes[node].lag_ns = random_below(w, w->options.timing.ttl_ns / 2);
        undo_later(w, length(w), FAULT_LAG, node, 0);
        return true;
    case FAULT_CLUSTER_CRASH:
    case FAULT_STALE_BOOTSTRAP:
    case FAULT_SECRET_LOSS: return lose_commits(w, fault);
    case FAULT_EDIT_TTL:
    case FAULT_EDIT_EPOCH:
    case FAULT_ROW_DELETED: return edit(w, fault);
    default: return hurt_network(w, fault);
    }
}

void fault_undo_in_database(struct world *w, const struct event *e)
{
    switch ((unsigned)e->a) {
    case FAULT_LINK: cut(w, e->b, (unsigned)(e->arg >> 8), e->arg & 1, e->arg & 2, true); break;
    case FAULT_CUT_OFF:
        for (unsigned i = 0; i < w->db.count; i++)
            cut(w, e->b, i, true, true, true);
        break;
    case FAULT_ANSWERS: w->swallow[e->b] = false; break;
    case FAULT_LATE_ANSWERS: w->delay[e->b] = false; break;
    case FAULT_LAG: w->db.nodes[e->b].lag_ns = random_below(w, 3 * MS); break;
    case FAULT_PARTITION:
        memset(w->db.cut, 0, sizeof w->db.cut);
        db_members_changed(w, random_between(w, 300 * MS, S));
        break;
    default: break;
    }
}

/* ------------------------------------------------------------------ operators */

bool fault_request(struct world *w, enum fault fault)
{
    schedule(w, random_below(w, w->options.timing.poll_ns), EV_REQUEST, (unsigned)fault,
             (unsigned)random_below(w, w->options.members), 8, random_below(w, 3 * w->options.timing.ttl_ns));
    return true;
}

/* The one who leads claims it; nobody there: somebody asks again a little later. */
void request_event(struct world *w, const struct event *e)
{
    struct lease_event event = {.type = LEASE_EVENT_REQUEST};

    if (w->healed || e->gen == 0)
        return;
    for (unsigned i = 0; i < w->options.members; i++) {
        struct host *h = &w->hosts[i];
        const struct node *n = &w->db.nodes[h->sidecar.book_endpoint];
        bool hears = w->to_node[i][h->sidecar.book_endpoint] && w->from_node[i][h->sidecar.book_endpoint];

        if (!h->sidecar.alive || h->sidecar.lease.role != LEASE_LEADER || h->sidecar.lease.handover ||
            sidecar_held_up(h, w->now) || !n->primary || n->state != NODE_UP || !hears ||
            w->now < w->db.stall_until)
            continue;
        event.request.id = ++w->request_id;
        event.request.reason = LEASE_REASON_STEP_DOWN;
        if (e->a == FAULT_SWITCHOVER) {
            event.request.reason = LEASE_REASON_SWITCHOVER;
            strcpy(event.request.target, host_name(e->b));
        } else if (e->a == FAULT_HOLD) {
            event.request.kind = LEASE_REQUEST_HOLD;
            event.request.hold_ns = e->arg;
        } else if (e->a == FAULT_UNHOLD) {
            if (lease_hold_left_ns(&h->sidecar.lease) == 0)
                return;
            event.request.kind = LEASE_REQUEST_UNHOLD;
        }
        trace(w, host_name(i), "hears a request: %s", fault_name((enum fault)e->a));
        sidecar_feed(w, h, &event);
        return;
    }
    schedule(w, S, EV_REQUEST, e->a, e->b, e->gen - 1, e->arg);
}

/* ------------------------------------------------------------------ healing */

static bool hung_promote(const struct host *h)
{
    return h->sidecar.alive && h->hooks[SLOT_SIDECAR].active &&
           h->hooks[SLOT_SIDECAR].kind == LEASE_HOOK_PROMOTE;
}

/* What a member that is able to lead still has to wait for, because of what it did before. */
static uint64_t shortest_backoff(const struct world *w)
{
    uint64_t least = UINT64_MAX, cap = 16 * w->options.timing.ttl_ns;

    for (unsigned i = 0; i < w->options.members; i++) {
        const struct lease *l = &w->hosts[i].sidecar.lease;
        uint64_t left = 0;

        if (w->options.priority[i] == 0)
            continue;
        if (hung_promote(&w->hosts[i]))
            left = w->options.timing.ttl_ns << (l->promote_failures < 3 ? l->promote_failures + 1 : 4);
        if (w->hosts[i].sidecar.alive && l->backoff_fast_ns > l->now.fast_ns)
            left = l->backoff_fast_ns - l->now.fast_ns;
        if (w->hosts[i].sidecar.alive && l->role == LEASE_DEMOTING &&
            l->reason == LEASE_REASON_PROMOTE_FAILED)
            left = w->options.timing.ttl_ns
                   << (l->promote_failures < 4 ? l->promote_failures : 4); /* from its end on */
        if (left < least)
            least = left;
    }
    return least < cap ? least : cap;
}

/* The longest lease that the row, or a statement on its way to it, may still show. */
static uint64_t longest_ttl(const struct world *w)
{
    uint64_t most = (uint64_t)db_head(w)->row.ttl_ms * MS;

    for (unsigned i = 0; i < w->options.members; i++)
        if (w->hosts[i].sidecar.alive && w->hosts[i].sidecar.lease.ttl_sent_ns > most)
            most = w->hosts[i].sidecar.lease.ttl_sent_ns;
    for (unsigned i = 0; i < STMTS_MAX; i++)
        if (w->db.stmts[i].used && w->db.stmts[i].is_write && (uint64_t)w->db.stmts[i].row.ttl_ms * MS > most)
            most = (uint64_t)w->db.stmts[i].row.ttl_ms * MS;
    return most;
}

static uint64_t longest_pause(const struct world *w)
{
    uint64_t until = 0;

    for (unsigned i = 0; i < w->options.members; i++) {
        const struct host *h = &w->hosts[i];

        if (h->sidecar.paused_until > until)
            until = h->sidecar.paused_until;
        if (h->guardian.paused_until > until)
            until = h->guardian.paused_until;
    }
    return until;
}

static void heal_hosts(struct world *w)
{
    for (unsigned i = 0; i < w->options.members; i++) {
        struct host *h = &w->hosts[i];

        h->disk_bad_until = 0;
        h->mode[0] = h->mode[1] = h->mode[2] = HOOKS_WELL;
        h->controller.unkillable = false;
        h->no_restart = false;
        w->swallow[i] = w->delay[i] = false;
        if (h->frozen_until > w->now) {
            h->frozen_until = w->now;
            host_thaw(w, h);
        }
        if (!h->up)
            schedule(w, random_below(w, S), EV_HOST_UP, i, 0, 0, 0);
        else if (!h->sidecar.alive)
            schedule(w, random_below(w, S), EV_SIDECAR_UP, i, 0, 0, 0);
    }
}

void heal(struct world *w)
{
    const struct lease_timing *t = &w->options.timing;
    struct database *db = &w->db;

    if (w->faults_done < FAULTS_MIN) { /* a run shows little without enough of them */
        schedule(w, w->options.fault_gap_ns, EV_HEAL, 0, 0, 0, 0);
        return;
    }
    uint64_t held_up = longest_pause(w);

    if (held_up > w->now) { /* what reached a process that stands still waits until it goes on */
        schedule(w, held_up - w->now, EV_HEAL, 0, 0, 0, 0);
        return;
    }
    w->healed = true;
    trace(w, "fault", "all is healed");
    memset(w->to_node, true, sizeof w->to_node);
    memset(w->from_node, true, sizeof w->from_node);
    memset(db->cut, 0, sizeof db->cut);
    w->refuse_until = 0;
    for (unsigned i = 0; i < db->count; i++) {
        struct node *n = &db->nodes[i];

        n->lag_ns = MS;
        n->blocked_until = 0;
        if (n->state == NODE_FROZEN)
            n->state = NODE_UP;
        else if (n->state == NODE_DOWN)
            db_node_up(w, i);
    }
    db_members_changed(w, 200 * MS);
    db_put_back(w);
    heal_hosts(w);
    uint64_t longest = longest_ttl(w);
    uint64_t more = longest > t->ttl_ns ? longest - t->ttl_ns : 0;

    for (unsigned i = 0; i < w->options.members; i++)
        if (hung_promote(&w->hosts[i])) { /* it may hang on for all its budget, then is stopped */
            more += t->promote_budget_ns + lease_timing_demote_lead_ns(t);
            break;
        }

    /* 2 ttl + promote, and: a lease that was lengthened runs out first; a member that failed to start backs
     * off; both counted on clocks that are 1 % (and, slewed, 8 %) apart. */
    uint64_t bound = 2 * t->ttl_ns + t->promote_budget_ns + more + shortest_backoff(w);

    check_healed(w, bound + bound / 10);
}
