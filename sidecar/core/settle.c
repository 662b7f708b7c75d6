/*
 * What the answers to our statements mean for our hold (R1, R2, R3).
 *
 * A confirmed write moves the deadline to its send time + ttl(1-epsilon). UNKNOWN moves nothing. MISMATCH is
 * not yet "lost": a causal read decides.
 */
#include "core/internal.h"

static void pace(struct lease *l)
{
    /* Next endpoint at once, but never a busy loop against a database that refuses at once. */
    l->attempt_fast_ns = add_ns(l->now.fast_ns, max_u64(l->config.timing.ttl_ns / 100, QUICK_POLL_NS));
}

void forget_hold(struct lease *l)
{
    l->holding = false;
    l->settle = false;
    l->deadline_ns = 0;
    memset(&l->own, 0, sizeof l->own);
    memset(&l->boot_next, 0, sizeof l->boot_next);
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
    memset(&l->boot_next, 0, sizeof l->boot_next);
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
    if (row && l->claim_resume && left_to_us(l, &row->version.nonce)) {
        /* A renewal, or a resume, that the sidecar before us had sent landed late: still ours to resume. What
           was sent for the version before can't land any more. */
        l->claim_expected = row->version;
        resume_handover(l); /* it may have been the one that announced the end */
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

/* R3: the loop owns the time. A statement that says nothing for that long is given up; it may still commit
 * later. */
void expire_op(struct lease *l, struct lease_commands *out)
{
    if (l->op.id == 0 ||
        l->now.fast_ns < add_ns(l->op.sent_fast_ns, lease_timing_endpoint_limit_ns(&l->config.timing)))
        return;
    struct lease_op op = l->op;
    struct lease_command *c = emit(out, LEASE_COMMAND_CANCEL);

    c->cancel.op = op.id;
    l->op.id = 0;
    settle_answer(l, out, &op, LEASE_ANSWER_UNKNOWN, NULL);
    l->attempt_fast_ns = l->now.fast_ns;
}
