/* Stopping the controller (R5, R9), and giving the lease back only after that is confirmed (R6, R7). */
#include "core/internal.h"

void start_hook(struct lease *l, struct lease_commands *out, enum lease_hook hook, uint64_t budget_ns)
{
    lease_assert(l->hook_id == 0);
    struct lease_command *c = emit(out, LEASE_COMMAND_HOOK);

    l->hook_id = next_id(l);
    l->hook = hook;
    l->hook_ready = false;
    l->hook_until_fast_ns = add_ns(l->now.fast_ns, budget_ns);
    c->hook.id = l->hook_id;
    c->hook.hook = hook;
    c->hook.budget_ns = budget_ns;
    c->hook.epoch = l->own.epoch != 0 ? l->own.epoch : l->armed_epoch;
    c->hook.nonce = l->own.nonce;
    c->hook.reason = l->reason;
    memcpy(c->hook.previous, l->previous, sizeof c->hook.previous);
}

void kill_hook(struct lease *l, struct lease_commands *out)
{
    l->hook_ready = false;
    if (l->hook_id == 0)
        return;
    emit(out, LEASE_COMMAND_HOOK_KILL)->hook_kill.id = l->hook_id;
    l->hook_id = 0;
}

/* R9: a demote first kills what a running promote left. */
void begin_stop(struct lease *l, struct lease_commands *out)
{
    const struct lease_timing *t = &l->config.timing;

    kill_hook(l, out);
    l->stop = LEASE_STOP_DEMOTE;
    /* D includes the confirming check. */
    uint64_t budget = t->demote_budget_ns > 2 * t->check_budget_ns ? t->demote_budget_ns - t->check_budget_ns
                                                                   : t->demote_budget_ns / 2;

    start_hook(l, out, LEASE_HOOK_DEMOTE, budget);
}

/* Only the guardian fences; it repeats until its check confirms the stop. */
void begin_fence(struct lease *l, struct lease_commands *out)
{
    kill_hook(l, out);
    l->stop = LEASE_STOP_FENCE;
    if (l->fencing)
        return;
    if (!l->armed)
        l->armed_epoch = max_u64(l->own.epoch, l->epoch_seen);
    l->fencing = true;
    emit(out, LEASE_COMMAND_FENCE)->guard.epoch = l->armed_epoch;
}

/* From this answer on a confirmation counts for one check interval. */
void stop_seen(struct lease *l)
{
    l->controller_stopped = true;
    l->check_failures = 0;
    l->check_fast_ns = add_ns(l->now.fast_ns, l->config.timing.check_interval_ns);
}

static void confirm_stop(struct lease *l, struct lease_commands *out)
{
    l->stop = LEASE_STOP_CONFIRMED;
    stop_seen(l);
    emit_note(l, out, LEASE_NOTE_STOPPED, l->reason);
    if (l->armed) {
        l->armed = false;
        emit(out, LEASE_COMMAND_DISARM)->guard.epoch = l->armed_epoch;
    }
}

void drive_stop(struct lease *l, struct lease_commands *out)
{
    bool ended = l->hook_ready;
    enum lease_hook_result result = l->hook_result;

    if (l->stop != LEASE_STOP_DEMOTE && l->stop != LEASE_STOP_CHECK)
        return;
    if (!ended && l->hook_id != 0 && l->now.fast_ns >= l->hook_until_fast_ns) {
        kill_hook(l, out);
        ended = true;
        result = LEASE_HOOK_FAILED; /* a hanging check is "not stopped" */
    }
    if (!ended)
        return;
    l->hook_ready = false;
    if (l->stop == LEASE_STOP_DEMOTE) {
        /* Whatever the hook said, the check decides. */
        l->stop = LEASE_STOP_CHECK;
        start_hook(l, out, LEASE_HOOK_CHECK, l->config.timing.check_budget_ns);
    } else if (result == LEASE_HOOK_STOPPED) {
        confirm_stop(l, out);
    } else {
        emit_note(l, out, LEASE_NOTE_UNSTOPPED, l->reason);
        begin_fence(l, out);
    }
}

/*
 * R13: who still holds the lease and waits for the database, or the disk, may do so for hours, and meanwhile
 * somebody starts the controller. False: it is not stopped any more, and is being stopped again.
 */
static bool still_stopped(struct lease *l, struct lease_commands *out)
{
    enum lease_reason leaves_for = l->reason;
    bool runs;

    if (l->fencing || !stop_unproven(l, out, &runs))
        return true;
    if (runs)
        emit_note(l, out, LEASE_NOTE_ROGUE, LEASE_REASON_ROGUE);
    l->controller_stopped = false;
    l->reason = runs ? LEASE_REASON_ROGUE : LEASE_REASON_UNHEALTHY; /* for the hook */
    if (l->role == LEASE_FENCED)
        begin_fence(l, out);
    else
        begin_stop(l, out);
    l->reason = leaves_for;
    return false;
}

/* R6: nothing is given back on an old word. stop_unproven() asks anew in the step in which it becomes old. */
bool stop_is_fresh(const struct lease *l)
{
    return l->hook_id == 0 && l->check_failures == 0 && l->now.fast_ns < l->check_fast_ns;
}

/* Give up leading: stop first, release (or start anew) afterwards. */
void leave(struct lease *l, struct lease_commands *out, enum lease_reason reason)
{
    bool stopped = l->controller_stopped;

    become(l, out, LEASE_DEMOTING, reason);
    if (stopped) {
        kill_hook(l, out);
        l->stop = LEASE_STOP_CONFIRMED;
    } else {
        begin_stop(l, out);
    }
}

/* The lease is lost, or the guardian has already begun: stop by force, now. */
void fence(struct lease *l, struct lease_commands *out, enum lease_reason reason)
{
    if (l->role == LEASE_FENCED)
        return;
    if (l->controller_stopped) { /* nothing runs: losing the lease is no emergency */
        kill_hook(l, out);
        if (l->role != LEASE_DEMOTING) /* that ends by itself, in this step, and backs off (R9) */
            to_follower(l, out);
        return;
    }
    become(l, out, LEASE_FENCED, reason);
    begin_fence(l, out);
}

/*
 * Told to end, and the database has not said what became of the lease, or of its resume: what the disk has
 * lets the next start go on with it (R7).
 */
bool keeps_saved(const struct lease *l)
{
    return l->stop_wanted && (!l->row_known || (l->claim_open && l->claim_resume));
}

void to_follower(struct lease *l, struct lease_commands *out)
{
    lease_assert(l->controller_stopped);
    if (l->holding)
        l->left_nonce = l->own.nonce;
    forget_hold(l);
    l->stop = LEASE_STOP_NONE;
    l->restart = false;
    l->boot_resume = false;
    l->poll_fast_ns = l->now.fast_ns;
    if (l->role != LEASE_FOLLOWER)
        become(l, out, LEASE_FOLLOWER, l->reason);
    if (!l->saved_erased && l->save_id == 0 && !keeps_saved(l))
        save(l, out, true, true);
}

/*
 * R7: the stored deadline is gone from the disk before a release is sent. That of a hold (R12) goes no
 * earlier than the database has answered, in this very step: without it nobody could resume, and if no
 * release arrives then, all wait for the end of the hold.
 */
static void release(struct lease *l, struct lease_commands *out)
{
    if (l->save_id != 0 || !may_send(l))
        return;
    if (!l->saved_erased && outlasts_ttl(l) && l->row_read_fast_ns != l->now.fast_ns)
        l->settle = true;
    if (l->settle)
        send_read(l, out, true, false);
    else if (!l->saved_erased)
        save(l, out, true, true);
    else if (stop_is_fresh(l))
        send_write(l, out, LEASE_WRITE_RELEASE);
}

static void back_off(struct lease *l)
{
    uint64_t ttl = l->config.timing.ttl_ns;
    uint64_t wait = 0;

    switch (l->reason) {
    case LEASE_REASON_PROMOTE_FAILED:
        wait = ttl << (l->promote_failures < 4 ? l->promote_failures : 4);
        break;
    case LEASE_REASON_UNVERIFIED:
    case LEASE_REASON_UNHEALTHY:
    case LEASE_REASON_GUARDIAN: wait = ttl; break;
    case LEASE_REASON_STEP_DOWN:
    case LEASE_REASON_SWITCHOVER: wait = ttl / 2; break;
    case LEASE_REASON_NONE:
    case LEASE_REASON_START:
    case LEASE_REASON_RESUME:
    case LEASE_REASON_FREE:
    case LEASE_REASON_EXPIRED:
    case LEASE_REASON_SHUTDOWN:
    case LEASE_REASON_DEADLINE:
    case LEASE_REASON_LOST:
    case LEASE_REASON_TWIN:
    case LEASE_REASON_ROW_MISSING:
    case LEASE_REASON_REGRESSION:
    case LEASE_REASON_HIGHER_EPOCH:
    case LEASE_REASON_ROGUE:
    case LEASE_REASON_HOLD:
    case LEASE_REASON_DOUBLE:
    case LEASE_REASONS: break;
    }
    if (wait != 0)
        l->backoff_fast_ns = add_ns(l->now.fast_ns, wait);
}

/*
 * Told to end, and for a whole ttl a hold that goes on for longer could not be given back: the database is
 * away, or the disk can't be written. Nothing of ours runs; what the disk has lets the next start go on with
 * it (R7).
 */
static bool end_holding(struct lease *l, struct lease_commands *out)
{
    bool writing = l->op.id != 0 && l->op.is_write;
    bool answered = l->row_read_fast_ns == l->now.fast_ns;

    if (!l->stop_wanted || l->saved_erased || l->save_id != 0 || l->fencing || writing || answered ||
        !outlasts_ttl(l) || l->now.fast_ns < add_ns(l->role_since_fast_ns, l->config.timing.ttl_ns))
        return false;
    save(l, out, false, false);
    forget_hold(l);
    l->stop = LEASE_STOP_NONE;
    l->restart = false;
    become(l, out, LEASE_FOLLOWER, l->reason); /* which ends, in this step */
    return true;
}

void decide_demoting(struct lease *l, struct lease_commands *out)
{
    if (l->fencing && l->stop != LEASE_STOP_CONFIRMED && l->stop != LEASE_STOP_FENCE) {
        fence(l, out, LEASE_REASON_GUARDIAN);
        return;
    }
    drive_stop(l, out);
    if (l->stop != LEASE_STOP_CONFIRMED) {
        drive_hold(l, out); /* R6: nobody else may start meanwhile */
        return;
    }
    if (!still_stopped(l, out))
        return;
    bool in_time = l->holding && l->deadline_ns != 0 && l->now.fast_ns < demote_point(l);

    if (l->restart && in_time && !l->stop_wanted && !l->handover && !l->fencing) {
        l->restart = false;
        l->stop = LEASE_STOP_NONE;
        l->start = LEASE_START_BUMP;
        become(l, out, LEASE_ACQUIRING, l->reason);
        return;
    }
    if (l->stop_wanted && claim_under_way(l))
        return; /* its answer, or its time-out, comes first: what it took is given back */
    if (!l->holding || l->deadline_ns == 0 || l->now.fast_ns >= l->deadline_ns) {
        back_off(l);
        to_follower(l, out);
        return;
    }
    l->restart = false;
    if (!end_holding(l, out))
        release(l, out);
}

/* FENCED ends once the stop is confirmed and the lease is seen gone. */
void decide_fenced(struct lease *l, struct lease_commands *out)
{
    if (l->stop != LEASE_STOP_CONFIRMED) {
        drive_hold(l, out);
        return;
    }
    if (!still_stopped(l, out))
        return;
    bool over = l->deadline_ns == 0 || l->now.fast_ns >= l->deadline_ns;

    if (l->stop_wanted && claim_under_way(l))
        return;
    if (!l->holding || (l->stop_wanted && over)) {
        back_off(l);
        to_follower(l, out);
        return;
    }
    if (!end_holding(l, out))
        release(l, out);
}
