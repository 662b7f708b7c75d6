/*
 * A Galera cluster: write sets in one total order, nodes that apply them late, and who is Primary.
 *
 * A node sees what it has applied. A change of members stops all commits until the survivors agree (6 s at
 * the defaults); those cut off believe in their old view for that long, then refuse everything.
 */
#include "world.h"

#include "check.h"

static struct write_set *entry(struct database *db, uint64_t index)
{
    return &db->history[index % HISTORY_MAX];
}

void db_init(struct world *w)
{
    struct database *db = &w->db;
    struct write_set *first = entry(db, 0);

    db->count = w->options.nodes;
    db->primary_set = (1u << db->count) - 1;
    first->exists = true;
    first->row.ttl_ms = (uint32_t)(w->options.timing.ttl_ns / MS);
    for (unsigned i = 0; i < db->count; i++) {
        struct node *n = &db->nodes[i];

        n->state = NODE_UP;
        n->primary = true;
        n->instance = ++w->next_id;
        n->lag_ns = random_below(w, 3 * MS);
    }
    for (int i = 0; i < STMTS_MAX; i++)
        db->free_stmts[db->free_count++] = STMTS_MAX - 1 - i;
}

const struct write_set *db_head(const struct world *w)
{
    return &w->db.history[w->db.head % HISTORY_MAX];
}

/* What the node has applied by now. Nothing reaches a node outside the primary component, or a frozen one. */
const struct write_set *db_view(struct world *w, unsigned node)
{
    struct database *db = &w->db;
    struct node *n = &db->nodes[node];

    if (db->head - n->applied >= HISTORY_MAX)
        n->applied = db->head - HISTORY_MAX + 1;
    bool fed =
        n->primary && n->state == NODE_UP && (db->primary_set & 1u << node) && w->now >= n->blocked_until;

    while (fed && n->applied < db->head && entry(db, n->applied + 1)->at + n->lag_ns <= w->now)
        n->applied++;
    return entry(db, n->applied);
}

bool db_caught_up(struct world *w, unsigned node)
{
    db_view(w, node);
    return w->db.nodes[node].applied == w->db.head;
}

void db_append(struct world *w, const struct lease_row *row, bool exists, bool takes)
{
    struct database *db = &w->db;
    const struct write_set before = *db_head(w);
    struct write_set *e = entry(db, ++db->head);

    *e = (struct write_set){.at = w->now, .exists = exists, .row = *row, .takes = takes};
    /* The trigger on the lease row: the epoch table only rises. */
    e->row.epoch_table = before.row.epoch_table;
    if (exists && row->version.epoch > e->row.epoch_table)
        e->row.epoch_table = row->version.epoch;
    e->moves_epoch = e->row.epoch_table != before.row.epoch_table;
    e->takeover = takes ? ++w->next_id : before.takeover;
    e->highest = e->row.epoch_table > before.highest ? e->row.epoch_table : before.highest;
    if (takes)
        tally.takeovers++;
}

/*
 * A hold that still lasts, and of which the row would say nothing any more. Nobody could observe it but those
 * who had read it: its holder, cut off, may act for longer than anybody watches. Not promised, see README's
 * limits.
 */
static bool forgets_a_hold(struct world *w, uint64_t entries)
{
    struct database *db = &w->db;
    uint64_t kept_ms = entry(db, db->head - entries)->row.ttl_ms;

    for (uint64_t i = 0; i < entries; i++) {
        const struct write_set *e = entry(db, db->head - i);

        if (e->row.ttl_ms > kept_ms && e->at + e->row.ttl_ms * MS > w->now)
            return true;
    }
    return false;
}

/* It has what the others do not: it is let in again only with their data, and what ran there has ended. */
static void takes_a_new_copy(struct database *db, unsigned node)
{
    db->nodes[node].applied = db->head;
    for (unsigned i = 0; i < STMTS_MAX; i++)
        if (db->stmts[i].used && db->stmts[i].node == node)
            db->stmts[i].node_gen = db->nodes[node].gen - 1;
}

/* Commits that were acknowledged are gone. */
void db_lose(struct world *w, uint64_t entries)
{
    struct database *db = &w->db;

    if (entries > db->head)
        entries = db->head;
    if (entries > HISTORY_MAX / 2)
        entries = HISTORY_MAX / 2;
    /* A row that was never held, and of which nobody remembers a holder, is simply free (R4): what was lost
     * down to there, nobody can observe. */
    while (entries > 0 && db_head(w)->row.version.epoch != 0 &&
           entry(db, db->head - entries)->row.version.epoch == 0)
        entries--;
    while (entries > 0 && forgets_a_hold(w, entries))
        entries--;
    uint64_t from = entry(db, db->head - entries)->at;
    uint64_t highest = db_head(w)->highest;

    db->head -= entries;
    tally.lost_commits += entries;
    if (db_head(w)->highest < highest && highest > db->lost_epoch)
        db->lost_epoch = highest;
    trace(w, "db", "%" PRIu64 " commits are lost; the row is at epoch %" PRIu64 " counter %" PRIu64, entries,
          db_head(w)->row.version.epoch, db_head(w)->row.version.counter);
    for (unsigned i = 0; i < db->count; i++)
        if (db->nodes[i].applied > db->head)
            takes_a_new_copy(db, i);
    for (unsigned m = 0; entries > 0 && m < HOSTS_MAX; m++)
        while (db->members[m][0].there && db->members[m][0].at > from) {
            memmove(&db->members[m][0], &db->members[m][1], (VERSIONS - 1) * sizeof db->members[m][0]);
            db->members[m][VERSIONS - 1].there = false;
        }
    if (!db_head(w)->exists) /* that it was made again is lost too: whoever did that does it once more */
        schedule(w, random_below(w, 10 * S), EV_SETTLED, 0, 0, 0, 0);
}

/* ------------------------------------------------------------------ members */

uint64_t db_stall(struct world *w)
{
    return random_between(w, w->options.stall_min_ns, w->options.stall_max_ns);
}

/* From now on nobody commits until a new view is agreed on. */
void db_members_changed(struct world *w, uint64_t stall_ns)
{
    struct database *db = &w->db;

    if (w->now + stall_ns > db->stall_until)
        db->stall_until = w->now + stall_ns;
    schedule(w, db->stall_until - w->now, EV_VIEW, 0, 0, ++db->view_gen, 0);
}

/* Those that reach one another, if need be through others. */
static uint32_t component(const struct database *db, unsigned node)
{
    uint32_t set = 1u << node;

    for (unsigned round = 0; round < db->count; round++)
        for (unsigned a = 0; a < db->count; a++)
            for (unsigned b = 0; b < db->count; b++)
                if ((set & 1u << a) && !db->cut[a][b] && !db->cut[b][a] && db->nodes[b].state == NODE_UP)
                    set |= 1u << b;
    return set;
}

static uint64_t newest(const struct database *db, uint32_t set)
{
    uint64_t top = 0;

    for (unsigned i = 0; i < db->count; i++)
        if ((set & 1u << i) && db->nodes[i].applied > top)
            top = db->nodes[i].applied;
    return top;
}

/* A component with more than half of the last primary one goes on; all others refuse. */
void db_view_event(struct world *w, const struct event *e)
{
    struct database *db = &w->db;
    uint32_t winner = 0;

    if (e->gen != db->view_gen)
        return;
    for (unsigned i = 0; i < db->count && winner == 0; i++) {
        uint32_t set = db->nodes[i].state == NODE_UP ? component(db, i) : 0;
        int inside = __builtin_popcount(set & db->primary_set);

        if (2 * inside > __builtin_popcount(db->primary_set))
            winner = set;
    }
    bool was_primary = false;

    for (unsigned i = 0; i < db->count; i++)
        was_primary |= db->nodes[i].primary && (winner & 1u << i);
    /* All had gone: what the survivors of the disk know is all there is. */
    if (winner != 0 && !was_primary && newest(db, winner) < db->head)
        db_lose(w, db->head - newest(db, winner));
    for (unsigned i = 0; i < db->count; i++) {
        struct node *n = &db->nodes[i];
        bool in = (winner & 1u << i) != 0;

        if (in && !n->primary)
            n->applied = db->head; /* it was sent what it missed */
        n->primary = n->state == NODE_FROZEN ? n->primary : in;
    }
    if (winner != 0)
        db->primary_set = winner;
    trace(w, "db", "view: primary set %x", winner);
}

void db_node_down(struct world *w, unsigned node, bool politely)
{
    struct node *n = &w->db.nodes[node];

    db_view(w, node);
    n->state = NODE_DOWN;
    n->primary = false;
    n->gen++;
    if (politely && (w->db.primary_set & ~(1u << node)) != 0)
        w->db.primary_set &= ~(1u << node);
    db_members_changed(w, politely ? random_between(w, 50 * MS, 300 * MS) : db_stall(w));
}

void db_node_up(struct world *w, unsigned node)
{
    struct node *n = &w->db.nodes[node];

    if (n->state != NODE_DOWN)
        return;
    n->state = NODE_UP;
    n->instance = ++w->next_id;
    n->started = w->now;
    n->blocked_until = 0;
    n->gen++;
    trace(w, "db", "node %u is up again", node);
    db_members_changed(w, random_between(w, 100 * MS, 500 * MS));
}

/* init: a row that was deleted is made again; it keeps the epoch that the epoch table remembers. */
void db_put_back(struct world *w)
{
    struct write_set now = *db_head(w);
    struct lease_row row = {.ttl_ms = (uint32_t)(w->options.timing.ttl_ns / MS)};

    if (now.exists)
        return;
    if (w->now < w->db.stall_until) {
        schedule(w, w->db.stall_until - w->now + 100 * MS, EV_SETTLED, 0, 0, 0, 0);
        return;
    }
    row.version.epoch = now.row.epoch_table;
    trace(w, "hand", "the row is made again, epoch %" PRIu64, row.version.epoch);
    db_append(w, &row, true, false);
}
