/*
 * One row, in one total order, and what a client hears of its statements.
 *
 * A statement is executed at one instant. Until then it is on its way; afterwards its answer is. A write that
 * its client has given up on may still be executed, whenever it likes, or never.
 */
#include "world.h"

static bool same(const struct lease_version *a, const struct lease_version *b)
{
    return memcmp(a, b, sizeof *a) == 0;
}

static void commit(struct world *w, const struct lease_row *wanted)
{
    uint64_t epoch = w->head.epoch_table;

    w->before = w->head;
    w->head = *wanted;
    /* the trigger on the lease row */
    w->head.epoch_table = wanted->version.epoch > epoch ? wanted->version.epoch : epoch;
    /* Counters only rise, but for a loss, and that takes these along: they will never find their row again.
     */
    for (unsigned i = 0; i < LATE_MAX; i++)
        if (w->late[i].used && w->late[i].expected.counter < w->head.version.counter)
            memset(&w->late[i], 0, sizeof w->late[i]);
}

void statement_send(struct world *w, unsigned i, const struct lease_command *c)
{
    struct statement *s = &w->hosts[i].statement;

    memset(s, 0, sizeof *s);
    s->state = STATEMENT_SENT;
    s->is_write = c->type == LEASE_COMMAND_WRITE;
    if (s->is_write) {
        s->op = c->write.op;
        s->kind = c->write.kind;
        s->expected = c->write.expected;
        s->row = c->write.wanted;
    } else {
        s->op = c->read.op;
        s->causal = c->read.causal;
        s->own_node = c->read.controller_endpoint;
    }
}

/* No room: it never will be executed. */
static void goes_on(struct world *w, unsigned i)
{
    const struct statement *s = &w->hosts[i].statement;

    if (!same(&s->expected, &w->head.version))
        return;
    for (unsigned k = 0; k < LATE_MAX; k++)
        if (!w->late[k].used) {
            w->late[k] = (struct late_write){.used = true,
                                             .orphan = !w->hosts[i].alive,
                                             .host = (uint8_t)i,
                                             .kind = s->kind,
                                             .expected = s->expected,
                                             .wanted = s->row};
            return;
        }
}

void statement_given_up(struct world *w, unsigned i)
{
    struct statement *s = &w->hosts[i].statement;

    if (s->state == STATEMENT_SENT && s->is_write)
        goes_on(w, i);
    memset(s, 0, sizeof *s);
}

static void execute(struct world *w, struct statement *s)
{
    s->answer = LEASE_ANSWER_ROW;
    if (!s->is_write)
        s->row = w->head;
    else if (same(&s->expected, &w->head.version))
        commit(w, &s->row);
    else
        s->answer = LEASE_ANSWER_MISMATCH;
}

static void deliver(struct world *w, unsigned i)
{
    struct host *h = &w->hosts[i];
    struct statement *s = &h->statement;
    struct lease_event e = {.type = s->is_write ? LEASE_EVENT_WRITE : LEASE_EVENT_READ};

    if (s->is_write) {
        e.write.op = s->op;
        e.write.answer = s->answer;
    } else {
        e.read.op = s->op;
        e.read.answer = s->answer;
        e.read.instance = w->instance;
        e.read.instance_up_ns = w->instance == 1 ? UINT64_C(24) * 3600 * LEASE_NS_PER_S : 0;
        if (s->answer == LEASE_ANSWER_ROW)
            e.read.row = s->row;
    }
    check_event(w, i, &e);
    memset(s, 0, sizeof *s);
    member_feed(w, i, &e);
}

static bool answers_come(const struct host *h)
{
    return h->alive && !h->paused && !h->silent;
}

static void executed(struct world *w, unsigned i)
{
    w->hosts[i].statement.state = STATEMENT_ANSWERED;
    if (answers_come(&w->hosts[i]))
        deliver(w, i);
}

/* A node that has not applied the last write: an old row; for a write, 0 changed rows, or the loser's 1213.
 */
static bool lag(struct world *w, struct statement *s)
{
    if (s->causal || same(&w->before.version, &w->head.version))
        return false;
    if (!s->is_write) {
        s->row = w->before;
        s->answer = LEASE_ANSWER_ROW;
    } else if (same(&s->expected, &w->head.version)) {
        s->answer = LEASE_ANSWER_MISMATCH;
    } else if (same(&s->expected, &w->before.version)) {
        s->answer = LEASE_ANSWER_REFUSED;
    } else {
        return false;
    }
    return true;
}

static bool unknown(struct world *w, unsigned i, unsigned variant)
{
    struct statement *s = &w->hosts[i].statement;

    if (!s->is_write || variant > 2)
        return false;
    if (variant == 0)
        execute(w, s);
    else if (variant == 2)
        goes_on(w, i);
    s->answer = LEASE_ANSWER_UNKNOWN;
    return true;
}

/* Not before the member has given up what it held or claimed: shorter silences are those of FAULT_UNKNOWN. */
static bool heal(struct world *w, unsigned i)
{
    struct host *h = &w->hosts[i];

    if (!h->silent || (w->leases[i].role != LEASE_FOLLOWER && w->leases[i].role != LEASE_FENCED))
        return false;
    h->silent = false;
    return true;
}

static bool silence(struct world *w, unsigned i, unsigned variant)
{
    struct host *h = &w->hosts[i];

    if (!h->statement.is_write || !spend(w, FAULT_SILENCE))
        return false;
    if (variant <= 2) {
        unknown(w, i, variant);
        executed(w, i);
    } else {
        execute(w, &h->statement);
        h->statement.state = STATEMENT_ANSWERED;
    }
    h->silent = true;
    return true;
}

static bool fault_in_statement(struct world *w, struct action a, enum fault fault)
{
    struct statement *s = &w->hosts[a.host].statement;
    bool done = false;

    if (s->state != STATEMENT_SENT || w->left[fault] == 0)
        return false;
    if (fault == FAULT_SILENCE)
        return silence(w, a.host, a.variant);
    if (fault == FAULT_UNKNOWN) {
        done = unknown(w, a.host, a.variant);
    } else if (a.variant == 0 && fault == FAULT_LAG) {
        done = lag(w, s);
    } else if (a.variant == 0) {
        s->answer = LEASE_ANSWER_REFUSED;
        done = true;
    }
    if (!done)
        return false;
    spend(w, fault);
    executed(w, a.host);
    return true;
}

/* What was sent dies with the server that it was sent to. A row that was never held cannot come back. */
static bool loss(struct world *w)
{
    if (w->before.version.epoch == 0 || same(&w->before.version, &w->head.version) || !spend(w, FAULT_LOSS))
        return false;
    if (w->head.epoch_table > w->before.epoch_table)
        w->lost_epoch = w->head.epoch_table;
    w->head = w->before;
    w->instance++;
    memset(w->late, 0, sizeof w->late);
    for (unsigned i = 0; i < design->hosts; i++) {
        struct statement *s = &w->hosts[i].statement;

        if (s->state != STATEMENT_SENT)
            continue;
        s->state = STATEMENT_ANSWERED;
        s->answer = s->is_write ? LEASE_ANSWER_UNKNOWN : LEASE_ANSWER_REFUSED;
    }
    return true;
}

static bool late(struct world *w, struct action a)
{
    if (a.host >= LATE_MAX || a.variant != 0 || !w->late[a.host].used)
        return false;
    struct lease_row wanted = w->late[a.host].wanted;

    commit(w, &wanted);
    return true;
}

bool database_act(struct world *w, struct action a)
{
    if (a.move == MOVE_LATE_COMMIT)
        return late(w, a);
    if (a.move == MOVE_FAULT + FAULT_LOSS)
        return a.host == 0 && a.variant == 0 && loss(w);
    if (a.move == MOVE_HEAL)
        return a.variant == 0 && heal(w, a.host);
    if (a.move >= MOVE_FAULT)
        return fault_in_statement(w, a, (enum fault)(a.move - MOVE_FAULT));

    struct host *h = &w->hosts[a.host];

    if (a.move == MOVE_EXECUTE && h->statement.state == STATEMENT_SENT && !h->silent) {
        execute(w, &h->statement);
        executed(w, a.host);
        return true;
    }
    if (a.move == MOVE_DELIVER && h->statement.state == STATEMENT_ANSWERED && h->alive && !h->paused) {
        deliver(w, a.host);
        return true;
    }
    return false;
}
