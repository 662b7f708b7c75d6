/*
 * A statement's way: client, node, total order, and back, each of which may fail alone.
 *
 * What a client hears is one thing, what happens another: a write goes on after its client gave up, and
 * certification lets the first committer win.
 */
#include "world.h"

#include "check.h"

static uint64_t hop(struct world *w)
{
    uint64_t usual = w->options.network_ns;

    return chance(w, 1) ? random_below(w, 40 * usual) : usual / 2 + random_below(w, usual);
}

int stmt_new(struct world *w)
{
    if (w->db.free_count == 0)
        return -1;
    int id = w->db.free_stmts[--w->db.free_count];

    memset(&w->db.stmts[id], 0, sizeof w->db.stmts[id]);
    w->db.stmts[id].used = true;
    return id;
}

static void stmt_free(struct world *w, unsigned id)
{
    w->db.stmts[id].used = false;
    w->db.free_stmts[w->db.free_count++] = (int)id;
}

static void answer(struct world *w, unsigned id, enum lease_answer answer)
{
    struct statement *s = &w->db.stmts[id];

    s->answer = answer;
    if (s->guarded) {
        stmt_free(w, id);
        return;
    }
    /* Less than what a client waits for. */
    uint64_t late = w->delay[s->host] && s->is_write ? random_below(w, w->options.timing.ttl_ns * 7 / 20) : 0;

    schedule(w, hop(w) + late, EV_STMT_ANSWER, 0, 0, 0, id);
}

/* The age of a server as a client reads it when it connects: whole seconds, rounded down, and a tenth off. */
static void connect(struct world *w, struct host *h, unsigned node)
{
    const struct node *n = &w->db.nodes[node];
    uint64_t age = (w->now - n->started) / S;

    h->sidecar.connected[node] = n->instance;
    h->sidecar.connected_age[node] = age < 2 ? 0 : (age - 2) * (S / 10 * 9);
    h->sidecar.connected_raw_ns[node] = clock_read(h, w->now).raw_ns;
}

/* For as long as the connection stands the server lives. */
static uint64_t age_by_now(const struct world *w, const struct host *h, unsigned node)
{
    const struct sim_sidecar *s = &h->sidecar;

    return s->connected[node] == 0
               ? 0
               : s->connected_age[node] + (clock_read(h, w->now).raw_ns - s->connected_raw_ns[node]);
}

/* ------------------------------------------------------------------ the client's side */

static void next_endpoint(struct world *w, struct host *h)
{
    struct sim_sidecar *s = &h->sidecar;

    s->connected[s->endpoint] = 0; /* it is closed, and another one opened */
    s->endpoint = (s->endpoint + 1) % w->db.count;
    s->preferred_at = w->now;
}

static unsigned local_node(const struct world *w, const struct host *h)
{
    return h->index % w->db.count;
}

static bool answers_pings(const struct world *w, unsigned host, unsigned node)
{
    const struct node *n = &w->db.nodes[node];

    return n->state == NODE_UP && n->primary && w->to_node[host][node] && w->from_node[host][node];
}

void stmt_client(struct world *w, struct host *h, const struct lease_command *c)
{
    int id = stmt_new(w);
    bool is_write = c->type == LEASE_COMMAND_WRITE;

    if (id < 0) /* all under way are stuck: as if the network had swallowed it */
        return;
    struct statement *s = &w->db.stmts[id];

    /* Back to the preferred endpoint once it answers again. */
    if (h->sidecar.endpoint != local_node(w, h) && w->now - h->sidecar.preferred_at > 30 * S &&
        answers_pings(w, h->index, local_node(w, h))) {
        h->sidecar.connected[h->sidecar.endpoint] = 0;
        h->sidecar.endpoint = local_node(w, h);
        h->sidecar.connected[h->sidecar.endpoint] = 0;
    }
    s->from_client = true;
    s->host = (uint8_t)h->index;
    s->node = (uint8_t)h->sidecar.endpoint;
    s->sidecar_gen = h->sidecar.gen;
    s->is_write = is_write;
    s->give_up = w->now + 3 * w->options.timing.ttl_ns;
    if (is_write) {
        s->op = c->write.op;
        s->kind = c->write.kind;
        s->expected = c->write.expected;
        s->row = c->write.wanted;
    } else {
        s->op = c->read.op;
        s->causal = c->read.causal;
        if (c->read.controller_endpoint)
            s->node = (uint8_t)local_node(w, h);
    }
    s->connection = h->sidecar.connected[s->node];
    h->sidecar.stmt = id;
    schedule(w, hop(w), EV_STMT, 0, 0, 0, (uint64_t)id);
}

void stmt_cancel(struct world *w, struct host *h, uint32_t op)
{
    (void)op;
    h->sidecar.connected[h->sidecar.endpoint] = 0;
    h->sidecar.stmt = -1;
    next_endpoint(w, h);
}

void stmt_answered(struct world *w, unsigned id)
{
    struct statement s = w->db.stmts[id];
    struct host *h = &w->hosts[s.host];
    struct lease_event e;

    stmt_free(w, id);
    if (!h->sidecar.alive || h->sidecar.gen != s.sidecar_gen || h->sidecar.stmt != (int)id)
        return; /* given up on */
    if (!w->from_node[s.host][s.node] || w->swallow[s.host])
        return; /* silence */
    h->sidecar.stmt = -1;
    tally.answers[s.answer]++;
    if (s.answer == LEASE_ANSWER_UNKNOWN || (s.answer == LEASE_ANSWER_REFUSED && chance(w, 80)))
        next_endpoint(w, h);
    memset(&e, 0, sizeof e);
    if (s.is_write) {
        e.type = LEASE_EVENT_WRITE;
        e.write.op = s.op;
        e.write.answer = s.answer;
    } else {
        e.type = LEASE_EVENT_READ;
        e.read.op = s.op;
        e.read.answer = s.answer;
        e.read.non_primary = s.non_primary;
        tally.non_primary += s.non_primary;
        if (s.answer == LEASE_ANSWER_ROW) {
            e.read.instance = s.instance;
            e.read.instance_up_ns = s.up_ns;
            e.read.row = s.row;
        }
    }
    sidecar_feed(w, h, &e);
}

/* ------------------------------------------------------------------ the node's side */

static bool version_equal(const struct lease_version *a, const struct lease_version *b)
{
    return a->epoch == b->epoch && a->counter == b->counter &&
           memcmp(&a->nonce, &b->nonce, sizeof a->nonce) == 0;
}

static void later(struct world *w, unsigned id, enum event_kind kind, uint64_t delay)
{
    if (w->now >= w->db.stmts[id].give_up) {
        stmt_free(w, id);
        return;
    }
    schedule(w, delay + random_below(w, 2 * MS), kind, 0, 0, 0, id);
}

/* True when the node can look at it. */
static bool reached(struct world *w, unsigned id)
{
    struct statement *s = &w->db.stmts[id];
    struct node *n = &w->db.nodes[s->node];
    struct host *h = &w->hosts[s->host];
    /* Once it is given up on nobody connects for it, and what was sent dies with the server it was sent to.
     */
    bool current = s->from_client && h->sidecar.stmt == (int)id && h->sidecar.gen == s->sidecar_gen;
    bool known = !s->from_client || (s->connection != 0 && s->connection == n->instance);

    if (s->from_client && !current && (!known || n->state == NODE_DOWN)) {
        stmt_free(w, id);
        return false;
    }
    if (s->from_client && !w->to_node[s->host][s->node]) {
        /* TCP may still bring it when the link is back, long after the client has given up. */
        if (s->op % 2 == 0)
            stmt_free(w, id);
        else
            later(w, id, EV_STMT, w->options.timing.ttl_ns / 10);
        return false;
    }
    if (n->state == NODE_FROZEN) {
        later(w, id, EV_STMT, w->options.timing.ttl_ns / 10);
        return false;
    }
    if (n->state == NODE_DOWN || !known) {
        bool broke = s->connection != 0;

        if (s->from_client)
            h->sidecar.connected[s->node] = 0;
        if (n->state == NODE_DOWN || broke) { /* connection refused: not sent; broken: who knows */
            answer(w, id, broke && s->is_write ? LEASE_ANSWER_UNKNOWN : LEASE_ANSWER_REFUSED);
            return false;
        }
        connect(w, h, s->node);
        s->connection = n->instance;
    }
    if (!n->primary || (w->now < w->refuse_until && chance(w, 60))) {
        s->non_primary = !n->primary;
        answer(w, id, LEASE_ANSWER_REFUSED);
        return false;
    }
    return true;
}

static void read_row(struct world *w, unsigned id, const struct write_set *view)
{
    struct statement *s = &w->db.stmts[id];

    if (s->causal && (w->now < w->db.stall_until || !db_caught_up(w, s->node))) {
        later(w, id, EV_STMT, 5 * MS);
        return;
    }
    s->instance = w->hosts[s->host].sidecar.connected[s->node];
    s->up_ns = age_by_now(w, &w->hosts[s->host], s->node);
    s->row = view->row;
    if (s->row.state == LEASE_ROW_FREE && memcmp(&s->row.version.nonce, &(struct lease_nonce){{0}}, 16) != 0)
        s->row.state = LEASE_ROW_HELD; /* as the decoder does */
    answer(w, id, view->exists ? LEASE_ANSWER_ROW : LEASE_ANSWER_NO_ROW);
}

void stmt_arrives(struct world *w, unsigned id)
{
    struct statement *s = &w->db.stmts[id];

    if (!reached(w, id))
        return;
    const struct write_set *view = db_view(w, s->node);

    if (!s->is_write) {
        read_row(w, id, view);
        return;
    }
    if (s->guarded && view->row.epoch_table != s->epoch) {
        answer(w, id, LEASE_ANSWER_REFUSED);
        return;
    }
    if (!s->guarded && (!view->exists || !version_equal(&view->row.version, &s->expected))) {
        answer(w, id, LEASE_ANSWER_MISMATCH);
        return;
    }
    s->executed = true;
    s->view = w->db.nodes[s->node].applied;
    s->node_gen = w->db.nodes[s->node].gen;
    schedule(w, hop(w), EV_STMT_ORDER, 0, 0, 0, id);
}

/* Certification: whoever wrote the same row after what this one saw was first. */
static bool certified(const struct world *w, const struct statement *s)
{
    const struct database *db = &w->db;

    if (db->head - s->view >= HISTORY_MAX || s->view > db->head)
        return false;
    for (uint64_t i = s->view + 1; i <= db->head; i++)
        if (!s->guarded || db->history[i % HISTORY_MAX].moves_epoch)
            return false;
    return true;
}

static void commit(struct world *w, unsigned id)
{
    struct statement *s = &w->db.stmts[id];
    struct host *h = &w->hosts[s->host];

    if (s->guarded) {
        tally.guarded++;
        check_guarded_commit(w, s);
        answer(w, id, LEASE_ANSWER_ROW);
        return;
    }
    bool takes = s->kind == LEASE_WRITE_ACQUIRE || s->kind == LEASE_WRITE_RESUME;

    if (h->sidecar.stmt != (int)id || h->sidecar.gen != s->sidecar_gen)
        tally.late_commits++;
    db_append(w, &s->row, true, takes);
    w->db.nodes[s->node].applied = w->db.head;
    trace(w, "db", "committed: %s of %s, epoch %" PRIu64 " counter %" PRIu64, lease_write_name(s->kind),
          host_name(s->host), s->row.version.epoch, s->row.version.counter);
    answer(w, id, LEASE_ANSWER_ROW);
}

void stmt_ordered(struct world *w, unsigned id)
{
    struct statement *s = &w->db.stmts[id];
    struct node *n = &w->db.nodes[s->node];

    if (s->node_gen != n->gen) { /* the node went down before it was replicated */
        answer(w, id, LEASE_ANSWER_UNKNOWN);
        return;
    }
    if (n->state == NODE_FROZEN) {
        later(w, id, EV_STMT_ORDER, w->options.timing.ttl_ns / 10);
        return;
    }
    if (w->now < w->db.stall_until) {
        schedule(w, w->db.stall_until - w->now + random_below(w, 20 * MS) + 1, EV_STMT_ORDER, 0, 0, 0, id);
        return;
    }
    if (!n->primary) {
        unsigned lot = (unsigned)random_below(w, 100);

        if (lot < 20 && certified(w, s) && (w->db.primary_set & 1u << s->node) == 0) {
            commit(w, id); /* its write set had left before the cut; the client hears 1180 */
            if (s->used)
                s->answer = LEASE_ANSWER_UNKNOWN;
        } else if (lot < 60) {
            answer(w, id, LEASE_ANSWER_UNKNOWN);
        } else {
            later(w, id, EV_STMT_ORDER, w->options.timing.ttl_ns / 10);
        }
        return;
    }
    /* A node whose applier is blocked commits nothing of its own either. */
    if (w->now < n->blocked_until) {
        later(w, id, EV_STMT_ORDER, n->blocked_until - w->now);
        return;
    }
    if (certified(w, s)) {
        commit(w, id);
    } else {
        tally.refused_guarded += s->guarded;
        answer(w, id, LEASE_ANSWER_REFUSED);
    }
}

/* ------------------------------------------------------------------ the controller's own work */

void stmt_guarded(struct world *w, struct host *h)
{
    int id = stmt_new(w);

    if (id < 0)
        return;
    struct statement *s = &w->db.stmts[id];

    s->guarded = true;
    s->is_write = true;
    s->host = (uint8_t)h->index;
    s->node = (uint8_t)local_node(w, h);
    s->epoch = h->controller.epoch;
    s->start = h->controller.start;
    s->give_up = w->now + 3 * w->options.timing.ttl_ns;
    schedule(w, hop(w), EV_STMT, 0, 0, 0, (uint64_t)id);
}
