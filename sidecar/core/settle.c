/*
 * Statements on the lease row, and what their answers mean for our hold (R1, R2, R3).
 *
 * A confirmed write moves the deadline to its send time + ttl(1-epsilon). UNKNOWN moves nothing. MISMATCH is
 * not yet "lost": a causal read decides.
 */
#include "core/internal.h"

uint64_t demote_point(const struct lease *l)
{
    return sub_ns(l->deadline_ns, lease_timing_demote_lead_ns(&l->config.timing));
}

/* R12: only a hold lasts longer than a whole ttl from now. */
bool outlasts_ttl(const struct lease *l)
{
    return l->deadline_ns > add_ns(l->now.fast_ns, l->config.timing.ttl_ns);
}

bool may_send(const struct lease *l)
{
    return l->op.id == 0 && l->now.fast_ns >= l->attempt_fast_ns;
}

static void pace(struct lease *l)
{
    /* Next endpoint at once, but never a busy loop against a database that refuses at once. */
    l->attempt_fast_ns = add_ns(l->now.fast_ns, max_u64(l->config.timing.ttl_ns / 100, QUICK_POLL_NS));
}

void send_read(struct lease *l, struct lease_commands *out, bool causal, bool controller_endpoint)
{
    struct lease_command *c = emit(out, LEASE_COMMAND_READ);

    l->op = (struct lease_op){.id = next_id(l),
                              .causal = causal,
                              .controller_endpoint = controller_endpoint,
                              .sent_fast_ns = l->now.fast_ns};
    c->read.op = l->op.id;
    c->read.causal = causal;
    c->read.controller_endpoint = controller_endpoint;
}

/* An epoch above everything that anybody remembers (R8). */
static uint64_t fresh_epoch(const struct lease *l)
{
    uint64_t highest = max_u64(l->epoch_seen, max_u64(l->row.version.epoch, l->row.epoch_table));

    return max_u64(highest, max_u64(l->own.epoch, l->own_epoch_max)) + 1;
}

uint64_t lease_hold_left_ns(const struct lease *l)
{
    return sub_ns(l->hold_until_fast_ns, l->now.fast_ns);
}

/* R12: a hold is nothing but a longer lease; it shrinks with every renewal towards its end. */
static uint64_t wanted_ttl_ns(const struct lease *l)
{
    return max_u64(l->config.timing.ttl_ns, lease_hold_left_ns(l));
}

/* R7: whoever restarts here may count on the deadline that the disk has, so no lease ends before that. */
static uint32_t ttl_now_ms(const struct lease *l)
{
    uint64_t promised =
        l->saved_erased ? 0 : lease_timing_ttl_for_ns(sub_ns(l->saved_deadline_ns, l->now.fast_ns));

    return (uint32_t)(max_u64(wanted_ttl_ns(l), promised) / LEASE_NS_PER_MS);
}

static void fill_wanted(struct lease *l, enum lease_write kind, const struct lease_version *expected,
                        struct lease_row *w)
{
    w->version = *expected;
    w->version.counter++;
    w->ttl_ms = ttl_now_ms(l);
    w->hold_ms = (uint32_t)(lease_hold_left_ns(l) / LEASE_NS_PER_MS);
    w->hold_request = w->hold_ms != 0 ? l->hold_request : 0;
    w->state = l->handover ? LEASE_ROW_HANDOVER : LEASE_ROW_HELD;
    memcpy(w->holder, l->config.member, sizeof w->holder);
    if (l->handover || kind == LEASE_WRITE_RELEASE)
        memcpy(w->target, l->target, sizeof w->target);
    switch (kind) {
    case LEASE_WRITE_ACQUIRE:
        w->version.epoch = l->claim_epoch;
        w->version.nonce = l->claim_nonce;
        w->state = LEASE_ROW_HELD;
        break;
    case LEASE_WRITE_RESUME: w->version.nonce = l->claim_nonce; break;
    case LEASE_WRITE_RENEW: break;
    case LEASE_WRITE_BUMP: w->version.epoch = fresh_epoch(l); break;
    case LEASE_WRITE_RELEASE:
        memset(&w->version.nonce, 0, sizeof w->version.nonce);
        w->state = LEASE_ROW_FREE;
        w->ttl_ms = (uint32_t)(l->config.timing.ttl_ns / LEASE_NS_PER_MS);
        w->hold_ms = 0;
        w->hold_request = 0;
        break;
    }
}

static void lower_deadline(struct lease *l, struct lease_commands *out, uint64_t until)
{
    if (l->deadline_ns == 0 || until >= l->deadline_ns)
        return;
    l->deadline_ns = until;
    if (l->armed) {
        struct lease_command *c = emit(out, LEASE_COMMAND_EXTEND);

        c->guard.epoch = l->armed_epoch;
        c->guard.deadline_ns = until;
    }
}

/* R1: the answer may be lost, so a shorter ttl shortens our own deadline before it is sent. */
static void shorten_first(struct lease *l, struct lease_commands *out, uint64_t new_ttl_ns)
{
    if (new_ttl_ns < l->ttl_sent_ns)
        lower_deadline(l, out, add_ns(l->now.fast_ns, lease_timing_hold_ns(new_ttl_ns)));
}

/*
 * R1 for the disk: the next lease is to end earlier than a restart would believe. Says so first; until the
 * disk has it renewals go on as before. True while the shorter one has to wait. A ttl is in ms, so less is no
 * news.
 */
bool shorten_saved(struct lease *l, struct lease_commands *out)
{
    uint64_t until = add_ns(l->now.fast_ns, lease_timing_hold_ns(wanted_ttl_ns(l)));

    if (l->saved_erased || l->deadline_ns == 0 || l->saved_deadline_ns <= add_ns(until, LEASE_NS_PER_MS))
        return false;
    if (l->save_id == 0) {
        lower_deadline(l, out, until);
        save(l, out, true, false);
    }
    return true;
}

void send_write(struct lease *l, struct lease_commands *out, enum lease_write kind)
{
    bool claim = kind == LEASE_WRITE_ACQUIRE || kind == LEASE_WRITE_RESUME;
    struct lease_version expected = claim ? l->claim_expected : l->own;
    struct lease_row wanted = {0};

    fill_wanted(l, kind, &expected, &wanted);
    uint64_t ttl_ns = (uint64_t)wanted.ttl_ms * LEASE_NS_PER_MS;

    if (kind != LEASE_WRITE_ACQUIRE && kind != LEASE_WRITE_RELEASE)
        shorten_first(l, out, ttl_ns);
    if (kind != LEASE_WRITE_RELEASE)
        l->ttl_sent_ns = ttl_ns;

    struct lease_command *c = emit(out, LEASE_COMMAND_WRITE);

    l->op = (struct lease_op){
        .id = next_id(l), .is_write = true, .kind = kind, .sent_fast_ns = l->now.fast_ns, .wanted = wanted};
    c->write.op = l->op.id;
    c->write.kind = kind;
    c->write.expected = expected;
    c->write.wanted = wanted;
    if (!claim) {
        l->own_counter_max = max_u64(l->own_counter_max, wanted.version.counter);
        l->own_epoch_max = max_u64(l->own_epoch_max, wanted.version.epoch);
        l->renewed_fast_ns = l->now.fast_ns;
    }
}

/* State file: what a restart needs to resume, or that there is nothing to resume (R7, R8). */
void save(struct lease *l, struct lease_commands *out, bool durable, bool erase)
{
    struct lease_command *c = emit(out, LEASE_COMMAND_SAVE);

    c->save.id = next_id(l);
    c->save.durable = durable;
    c->save.epoch_seen = l->epoch_seen;
    if (!erase) {
        c->save.nonce = l->own.nonce;
        c->save.epoch = l->own.epoch;
        c->save.deadline_ns = l->deadline_ns;
        l->saved_erased = false;
        l->saved_deadline_ns = max_u64(l->saved_deadline_ns, l->deadline_ns);
    }
    if (durable) {
        l->save_deadline_ns = erase ? 0 : l->deadline_ns;
        l->save_id = c->save.id;
        l->save_erases = erase;
        l->save_epoch = l->epoch_seen;
    }
}

void forget_hold(struct lease *l)
{
    l->holding = false;
    l->settle = false;
    l->deadline_ns = 0;
    memset(&l->own, 0, sizeof l->own);
    l->own_counter_max = 0;
    l->own_epoch_max = 0;
    l->handover = false;
    l->handover_sent = false;
    memset(l->target, 0, sizeof l->target);
    l->hold_until_fast_ns = 0;
    l->hold_request = 0;
    l->hold_confirmed = false;
}

static void adopt(struct lease *l, const struct lease_version *v)
{
    l->holding = true;
    l->settle = false;
    l->own = *v;
    l->own_counter_max = max_u64(l->own_counter_max, v->counter);
    l->own_epoch_max = max_u64(l->own_epoch_max, v->epoch);
}

static void confirmed(struct lease *l, struct lease_commands *out, const struct lease_op *op)
{
    bool claim = op->kind == LEASE_WRITE_ACQUIRE || op->kind == LEASE_WRITE_RESUME;

    if (op->wanted.version.epoch > l->own.epoch)
        l->regression = false; /* above everything remembered: the next one is news again */
    if (claim) {
        l->claim_open = false;
        l->own_counter_max = 0;
        l->own_epoch_max = 0;
        memset(&l->left_nonce, 0, sizeof l->left_nonce);
    }
    adopt(l, &op->wanted.version);
    l->retry = false;
    if (op->kind == LEASE_WRITE_BUMP && l->start == LEASE_START_BUMP)
        l->start = LEASE_START_SAVE;
    l->deadline_ns =
        add_ns(op->sent_fast_ns, lease_timing_hold_ns((uint64_t)op->wanted.ttl_ms * LEASE_NS_PER_MS));
    l->renewed_fast_ns = op->sent_fast_ns;
    l->epoch_seen = max_u64(l->epoch_seen, l->own.epoch);
    l->row = op->wanted;
    l->row.epoch_table = op->wanted.version.epoch;
    l->row_known = true;
    l->row_missing = false;
    if (op->wanted.state == LEASE_ROW_HANDOVER)
        l->handover_sent = true;
    if (!l->hold_confirmed && op->wanted.hold_ms != 0 && op->wanted.hold_request == l->hold_request) {
        l->hold_confirmed = true;
        emit_note(l, out, LEASE_NOTE_HOLD, LEASE_REASON_HOLD);
    } else if (l->hold_confirmed && op->wanted.hold_ms == 0 &&
               op->wanted.ttl_ms <= l->config.timing.ttl_ns / LEASE_NS_PER_MS) {
        l->hold_confirmed = false;
        emit_note(l, out, LEASE_NOTE_UNHOLD, LEASE_REASON_HOLD);
    }
    if (l->armed && !l->fencing) {
        struct lease_command *c = emit(out, LEASE_COMMAND_EXTEND);

        c->guard.epoch = l->armed_epoch;
        c->guard.deadline_ns = l->deadline_ns;
    }
    /* Erased stays erased: a release may be on its way. */
    if (!l->saved_erased && l->save_id == 0)
        save(l, out, false, false);
    if (claim)
        emit_note(l, out, LEASE_NOTE_ACQUIRED, l->reason);
}

static void given_back(struct lease *l, struct lease_commands *out)
{
    emit_note(l, out, LEASE_NOTE_RELEASED, l->reason);
    l->released_fast_ns = l->now.fast_ns;
    memset(&l->left_nonce, 0, sizeof l->left_nonce);
    forget_hold(l);
}

/*
 * A release whose answer was lost took place (R3): free, in our epoch, by a write that may have been ours.
 * The stop is confirmed, so it would be no loss either if hands had freed it.
 */
static bool release_landed(const struct lease *l, const struct lease_row *row)
{
    return row && l->holding && l->stop == LEASE_STOP_CONFIRMED && l->saved_erased &&
           row->state == LEASE_ROW_FREE && nonce_is_zero(&row->version.nonce) &&
           row->version.epoch == l->own.epoch && row->version.counter > l->own.counter &&
           row->version.counter <= l->own_counter_max;
}

static void write_answer(struct lease *l, struct lease_commands *out, const struct lease_op *op,
                         enum lease_answer answer)
{
    bool claim = op->kind == LEASE_WRITE_ACQUIRE || op->kind == LEASE_WRITE_RESUME;

    /* Of a hold or a claim that was given up meanwhile: what it left in the row is settled once that is read.
     */
    if (op->kind != LEASE_WRITE_RELEASE && (l->role == LEASE_FOLLOWER || (!claim && !l->holding)))
        return;
    l->retry = true;
    switch (answer) {
    case LEASE_ANSWER_ROW:
        if (op->kind == LEASE_WRITE_RELEASE) {
            l->row = op->wanted;
            l->row_since_slow_ns = l->now.slow_ns;
            l->row_suspect = false;
            given_back(l, out);
        } else {
            confirmed(l, out, op);
        }
        break;
    case LEASE_ANSWER_MISMATCH: l->settle = true; break;
    case LEASE_ANSWER_UNKNOWN:
        /* A claim has no hold to fall back on, so only the row can tell; a holder simply tries again. */
        l->settle = l->settle || claim;
        pace(l);
        break;
    case LEASE_ANSWER_REFUSED:
    case LEASE_ANSWER_NO_ROW:
        l->settle = l->settle || claim;
        pace(l);
        break;
    }
}

/* A causal read while we hold, or believe to (R2). */
static void settle_hold(struct lease *l, struct lease_commands *out, const struct lease_row *row)
{
    enum lease_reason lost = LEASE_REASON_LOST;

    if (row && nonce_equal(&row->version.nonce, &l->own.nonce)) {
        bool back = row->version.counter < l->own.counter || row->version.epoch < l->own.epoch;

        if (!back && row->version.counter <= l->own_counter_max && row->version.epoch <= l->own_epoch_max) {
            adopt(l, &row->version);
            return;
        }
        lost = back ? LEASE_REASON_REGRESSION : LEASE_REASON_TWIN;
        if (back)
            l->regression = true;
    } else if (!row) {
        lost = LEASE_REASON_ROW_MISSING;
    }
    emit_note(l, out, LEASE_NOTE_LOST, lost);
    if (lost == LEASE_REASON_REGRESSION)
        emit_note(l, out, LEASE_NOTE_REGRESSION, lost);
    if (lost == LEASE_REASON_REGRESSION || lost == LEASE_REASON_TWIN)
        l->left_nonce = (struct lease_nonce){{0}};
    forget_hold(l);
    fence(l, out, lost);
}

/* A causal read while a claim is open: ours, still possible, or dead (R3). */
static void settle_claim(struct lease *l, const struct lease_row *row)
{
    l->settle = false;
    if (row && l->claim_resume && !nonce_is_zero(&l->own.nonce) &&
        nonce_equal(&row->version.nonce, &l->own.nonce)) {
        /* A renewal that the sidecar before us had sent landed late: still ours to resume. What was sent for
           the version before can't land any more. */
        l->claim_expected = row->version;
        return;
    }
    if (row && nonce_equal(&row->version.nonce, &l->claim_nonce)) {
        l->claim_open = false;
        l->own_counter_max = 0;
        l->own_epoch_max = 0;
        adopt(l, &row->version);   /* a read is no proof of holding: a renewal must be confirmed */
        if (l->controller_stopped) /* what a resume found running ends with the stored deadline still (R5) */
            l->deadline_ns = 0;
        l->start = LEASE_START_RENEW;
        return;
    }
    if (row && version_equal(&row->version, &l->claim_expected))
        return; /* may still land: the same nonce is tried again */
    l->claim_open = false;
}

static void read_answer(struct lease *l, struct lease_commands *out, const struct lease_op *op,
                        enum lease_answer answer, const struct lease_row *row)
{
    if (answer == LEASE_ANSWER_REFUSED || answer == LEASE_ANSWER_UNKNOWN || answer == LEASE_ANSWER_MISMATCH) {
        pace(l);
        return;
    }
    if (answer == LEASE_ANSWER_NO_ROW)
        row = NULL;
    if (op->controller_endpoint) {
        if (row && l->start == LEASE_START_VERIFY && row->version.epoch == l->own.epoch &&
            nonce_equal(&row->version.nonce, &l->own.nonce) && row->epoch_table == l->own.epoch)
            l->start = LEASE_START_READY; /* seen where the controller will look */
        else
            pace(l);
        return;
    }
    if (op->causal && l->settle) {
        if (l->claim_open)
            settle_claim(l, row);
        else if (release_landed(l, row))
            given_back(l, out);
        else if (l->holding)
            settle_hold(l, out, row);
        else
            l->settle = false;
        return;
    }
    if (row && l->claim_open && row->version.counter > l->claim_expected.counter &&
        !nonce_equal(&row->version.nonce, &l->claim_nonce))
        l->claim_open = false; /* the version it waited for has passed: it can never land */
}

void settle_answer(struct lease *l, struct lease_commands *out, const struct lease_op *op,
                   enum lease_answer answer, const struct lease_row *row)
{
    if (op->is_write)
        write_answer(l, out, op, answer);
    else
        read_answer(l, out, op, answer, row);
}

/* R3: the loop owns the time. A statement that says nothing for 0.4 ttl is given up; it may still commit
 * later. */
void expire_op(struct lease *l, struct lease_commands *out)
{
    if (l->op.id == 0 || l->now.fast_ns < add_ns(l->op.sent_fast_ns, l->config.timing.ttl_ns * 2 / 5))
        return;
    struct lease_op op = l->op;
    struct lease_command *c = emit(out, LEASE_COMMAND_CANCEL);

    c->cancel.op = op.id;
    l->op.id = 0;
    settle_answer(l, out, &op, LEASE_ANSWER_UNKNOWN, NULL);
    l->attempt_fast_ns = l->now.fast_ns;
}
