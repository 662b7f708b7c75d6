/* What each role does next. Every function is called in every step, and must do nothing when nothing is due.
 */
#include "core/internal.h"

/* Keeps the hold alive: settles what is unclear, renews what is due. True when a statement was sent. */
bool drive_hold(struct lease *l, struct lease_commands *out)
{
    if (!l->holding || !may_send(l))
        return false;
    if (l->settle) {
        send_read(l, out, true, false);
        return true;
    }
    bool due = l->now.fast_ns >= add_ns(l->renewed_fast_ns, l->config.timing.renew_ns);

    if (shorten_saved(l, out) && !due)
        return false;
    if (!due && !l->retry && l->deadline_ns != 0 && (!l->handover || l->handover_sent))
        return false;
    send_write(l, out, LEASE_WRITE_RENEW);
    return true;
}

static void begin_handover(struct lease *l, enum lease_reason reason)
{
    if (l->handover)
        return;
    l->handover = true;
    l->handover_sent = false;
    l->leave_reason = reason;
    l->leave_fast_ns = add_ns(l->now.fast_ns, 2 * l->config.timing.poll_ns + ANNOUNCE_SLACK_NS);
}

bool out_of_time(const struct lease *l)
{
    return l->deadline_ns == 0 || l->now.fast_ns >= demote_point(l);
}

/* Once the row announces the handover, followers need one poll to notice; then the controller is stopped. */
static bool handover_due(struct lease *l)
{
    if (!l->handover)
        return false;
    if (l->handover_sent) {
        uint64_t noticed = add_ns(l->renewed_fast_ns, l->config.timing.poll_ns + ANNOUNCE_SLACK_NS);

        l->leave_fast_ns = min_u64(l->leave_fast_ns, noticed);
    }
    return l->now.fast_ns >= l->leave_fast_ns;
}

/* R5: without a guardian nobody fences when we can't. One that dies is started again; if that takes as long
   as its fence may, or it dies again, it is no safety net. */
uint64_t unguarded_from(const struct lease *l)
{
    return add_ns(l->guardian_failed_fast_ns, lease_timing_fence_lead_ns(&l->config.timing));
}

static bool unguarded(const struct lease *l)
{
    return l->guardian_failures >= GUARDIAN_DEATHS_MAX ||
           (!l->guardian_up && l->now.fast_ns >= unguarded_from(l));
}

/* What ends leading (or promoting), whatever the controller does. True when the role changed. */
static bool must_leave(struct lease *l, struct lease_commands *out)
{
    if (l->fencing) {
        fence(l, out, LEASE_REASON_GUARDIAN);
    } else if (out_of_time(l)) {
        leave(l, out, LEASE_REASON_DEADLINE);
    } else if (unguarded(l)) {
        l->guardian_failures = 0;
        l->handover = true;
        leave(l, out, LEASE_REASON_GUARDIAN);
    } else if (l->epoch_seen > l->own.epoch) {
        l->regression = true;
        emit_note(l, out, LEASE_NOTE_REGRESSION, LEASE_REASON_HIGHER_EPOCH);
        l->restart = true;
        leave(l, out, LEASE_REASON_HIGHER_EPOCH);
    } else {
        return false;
    }
    return true;
}

static void controller_failed(struct lease *l, struct lease_commands *out)
{
    l->restart = l->restarts_used < l->config.restarts;
    if (l->restart)
        l->restarts_used++;
    else
        l->handover = true; /* no announcement to wait for: nothing runs any more */
    leave(l, out, LEASE_REASON_UNHEALTHY);
}

static bool check_says_failed(struct lease *l, struct lease_commands *out)
{
    if (l->hook_id != 0 && l->now.fast_ns >= l->hook_until_fast_ns) {
        kill_hook(l, out);
        l->hook_ready = true;
        l->hook_result = LEASE_HOOK_FAILED;
    }
    if (l->hook_ready) {
        l->hook_ready = false;
        if (l->hook_result == LEASE_HOOK_STOPPED)
            return true;
        if (l->hook_result == LEASE_HOOK_FAILED)
            return ++l->check_failures >= l->config.check_failures;
        l->check_failures = 0;
        if (l->health_failures == 0 &&
            sub_ns(l->now.fast_ns, l->role_since_fast_ns) >= l->config.restart_window_ns) {
            l->restarts_used = 0;
            l->promote_failures = 0;
        }
    }
    if (l->hook_id == 0 && l->now.fast_ns >= l->check_fast_ns) {
        l->check_fast_ns = add_ns(l->now.fast_ns, l->config.timing.check_interval_ns);
        start_hook(l, out, LEASE_HOOK_CHECK, l->config.timing.check_budget_ns);
    }
    return false;
}

/* It counts apart from the check hook: neither makes up for the other. */
static bool health_says_failed(const struct lease *l)
{
    return l->health_failures > 0 && l->health_failures >= l->config.check_failures;
}

static void decide_leader(struct lease *l, struct lease_commands *out)
{
    if (must_leave(l, out))
        return;
    if (l->stop_wanted)
        begin_handover(l, LEASE_REASON_SHUTDOWN);
    if (handover_due(l)) {
        leave(l, out, l->leave_reason);
        return;
    }
    if (check_says_failed(l, out) || health_says_failed(l)) {
        controller_failed(l, out);
        return;
    }
    drive_hold(l, out);
}

/* What was found unhealthy earlier is not this start's fault. */
void begin_leading(struct lease *l, struct lease_commands *out, enum lease_reason reason)
{
    l->check_failures = 0;
    l->health_failures = 0;
    l->check_fast_ns = add_ns(l->now.fast_ns, l->config.timing.check_interval_ns);
    become(l, out, LEASE_LEADER, reason);
}

static void decide_promoting(struct lease *l, struct lease_commands *out)
{
    if (must_leave(l, out))
        return;
    if (l->stop_wanted || l->handover) {
        enum lease_reason reason = l->stop_wanted ? LEASE_REASON_SHUTDOWN : l->leave_reason;

        l->handover = true;
        leave(l, out, reason);
        return;
    }
    bool hung = l->hook_id != 0 && l->now.fast_ns >= l->hook_until_fast_ns;

    if (hung || (l->hook_ready && l->hook_result != LEASE_HOOK_DONE)) {
        l->promote_failures++;
        l->handover = true;
        leave(l, out, LEASE_REASON_PROMOTE_FAILED);
        return;
    }
    if (l->hook_ready) {
        l->hook_ready = false;
        begin_leading(l, out, l->reason);
    }
    drive_hold(l, out);
}

/* R5, R9: the guardian is armed before the hook starts. */
static void promote(struct lease *l, struct lease_commands *out)
{
    struct lease_command *c = emit(out, LEASE_COMMAND_ARM);

    c->guard.epoch = l->own.epoch;
    c->guard.deadline_ns = l->deadline_ns;
    c->guard.nonce = l->own.nonce;
    l->armed = true;
    l->armed_epoch = l->own.epoch;
    l->controller_stopped = false;
    l->stop = LEASE_STOP_NONE;
    become(l, out, LEASE_PROMOTING, l->reason);
    start_hook(l, out, LEASE_HOOK_PROMOTE, l->config.timing.promote_budget_ns);
}

/* We hold the lease and no controller of ours runs yet: what is missing before the promote hook? */
static void prepare_start(struct lease *l, struct lease_commands *out)
{
    switch (l->start) {
    case LEASE_START_CLAIM:
    case LEASE_START_RENEW:
        if (l->claim_resume)
            l->start = LEASE_START_CHECK;
        else /* The epoch is new if the claim was confirmed in time. One that landed late may have met a row
                that went back behind it, and a resume left us the epoch of an earlier start (R8, R9). */
            l->start = l->start == LEASE_START_CLAIM && l->own.epoch == l->claim_epoch ? LEASE_START_SAVE
                                                                                       : LEASE_START_BUMP;
        break;
    case LEASE_START_CHECK:
    case LEASE_START_BUMP:
    case LEASE_START_SAVE:
    case LEASE_START_VERIFY:
    case LEASE_START_READY: break;
    }
    if (l->start == LEASE_START_CHECK) {
        resume_check(l, out);
        if (l->role != LEASE_ACQUIRING)
            return;
    }
    if (l->start > LEASE_START_BUMP && l->epoch_seen > l->own.epoch)
        l->start = LEASE_START_BUMP; /* R8: somebody remembers more */
    if (l->start == LEASE_START_BUMP && may_send(l) && !l->settle)
        send_write(l, out, LEASE_WRITE_BUMP);
    if (l->start == LEASE_START_SAVE) {
        if (l->save_id == 0 && l->epoch_saved >= l->own.epoch && !l->saved_erased)
            l->start = LEASE_START_VERIFY;
        else if (l->save_id == 0 && l->now.fast_ns >= l->attempt_fast_ns)
            save(l, out, true, false);
    }
    if (l->start == LEASE_START_VERIFY && may_send(l) && !l->settle)
        send_read(l, out, true, true);
    if (l->start == LEASE_START_READY && l->guardian_up && !l->fencing && !l->settle)
        promote(l, out);
}

/* A claim without a confirmed hold: settle it, write it again, or let it rest. */
static void drive_claim(struct lease *l, struct lease_commands *out)
{
    uint64_t patience = add_ns(l->role_since_fast_ns, l->config.timing.ttl_ns);

    if (!l->claim_open || (l->controller_stopped && (l->stop_wanted || l->now.fast_ns >= patience))) {
        if (l->op.id != 0 && l->op.is_write && l->claim_open)
            return; /* its answer, or its time-out, comes first */
        fence(l, out, LEASE_REASON_LOST);
        return;
    }
    if (!l->controller_stopped && (l->stop_wanted || out_of_time(l))) {
        leave(l, out, l->stop_wanted ? LEASE_REASON_SHUTDOWN : LEASE_REASON_DEADLINE);
        return;
    }
    if (!may_send(l))
        return;
    if (l->settle)
        send_read(l, out, true, false);
    else if (l->claim_resume)
        send_write(l, out, LEASE_WRITE_RESUME);
    else if (l->now.slow_ns >= takeable_slow_ns(l))
        send_write(l, out, LEASE_WRITE_ACQUIRE);
    else /* meanwhile the database was restarted, or lost its quorum: watch again (R4) */
        fence(l, out, LEASE_REASON_LOST);
}

static void decide_acquiring(struct lease *l, struct lease_commands *out)
{
    if (l->fencing && !l->controller_stopped) {
        fence(l, out, LEASE_REASON_GUARDIAN);
        return;
    }
    if (!l->holding) {
        drive_claim(l, out);
        return;
    }
    bool unconfirmed = l->deadline_ns == 0 || (l->start == LEASE_START_RENEW && l->retry);
    bool late =
        l->controller_stopped && l->now.fast_ns >= add_ns(l->role_since_fast_ns, l->config.timing.ttl_ns);

    bool dies = l->guardian_failures >= GUARDIAN_DEATHS_MAX;

    if (l->stop_wanted || late || dies || (l->deadline_ns != 0 && out_of_time(l))) {
        enum lease_reason reason = l->stop_wanted ? LEASE_REASON_SHUTDOWN
                                   : dies         ? LEASE_REASON_GUARDIAN
                                   : late         ? LEASE_REASON_UNVERIFIED
                                                  : LEASE_REASON_DEADLINE;

        if (dies)
            l->guardian_failures = 0;
        leave(l, out, reason);
        return;
    }
    if (drive_hold(l, out) || unconfirmed)
        return;
    prepare_start(l, out);
}

void decide(struct lease *l, struct lease_commands *out)
{
    enum lease_role before;
    unsigned rounds = 0;

    /* A new role acts at once; no path is longer than the number of roles. */
    do {
        before = l->role;
        switch (l->role) {
        case LEASE_BOOT: decide_boot(l, out); break;
        case LEASE_FOLLOWER: decide_follower(l, out); break;
        case LEASE_ACQUIRING: decide_acquiring(l, out); break;
        case LEASE_PROMOTING: decide_promoting(l, out); break;
        case LEASE_LEADER: decide_leader(l, out); break;
        case LEASE_DEMOTING: decide_demoting(l, out); break;
        case LEASE_FENCED: decide_fenced(l, out); break;
        case LEASE_ROLES: lease_assert(false);
        }
        lease_assert(++rounds <= LEASE_ROLES);
    } while (l->role != before && !l->exited);
}
