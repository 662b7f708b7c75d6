/* Watching the row, ranking the members, and competing for the lease (R4, R8, R11). */
#include "core/internal.h"

#define ROW_TTL_MIN_NS (1 * LEASE_NS_PER_S)
#define ROW_TTL_MAX_NS LEASE_HOLD_MAX_NS

static uint64_t row_ttl(const struct lease_row *row)
{
    uint64_t ttl = (uint64_t)row->ttl_ms * LEASE_NS_PER_MS;

    return max_u64(ROW_TTL_MIN_NS, min_u64(ttl, ROW_TTL_MAX_NS));
}

/*
 * How long a row that may have lost commits is watched (R4): the holder that it forgot may count on the
 * configured ttl, or on the longer one of a hold (R12) that we saw.
 */
uint64_t distrust_ns(const struct lease *l)
{
    return lease_timing_watch_ns(max_u64(l->config.timing.ttl_ns, l->held_ttl_ns));
}

static bool never_held(const struct lease *l)
{
    return l->row.version.epoch == 0 && l->row.version.counter == 0 && l->epoch_seen == 0;
}

/*
 * A row that was deleted and made again, between two of our reads: it keeps its epoch, but nobody has counted
 * in it yet. Whoever held the old one may still count on it, so it is watched (R4).
 */
static bool made_again(const struct lease *l, const struct lease_row *row)
{
    if (row->version.epoch != 0 && row->version.counter == 0)
        return true;
    return l->row_known && row->version.epoch == l->row.version.epoch &&
           row->version.counter < l->row.version.counter && row->state == LEASE_ROW_FREE;
}

void watch_row(struct lease *l, const struct lease_event *e, const struct lease_row *row)
{
    uint64_t now = l->now.slow_ns;

    if (e->read.instance != l->instance) {
        /* A server that was just started may have lost commits that were acknowledged. */
        l->instance = e->read.instance;
        l->instance_ok_slow_ns = add_ns(now, sub_ns(distrust_ns(l), e->read.instance_up_ns));
    }
    /* One that is renewed in its handover, because its stop is not confirmed, is no news (R6). */
    if (!l->row_known || !nonce_equal(&row->version.nonce, &l->row.version.nonce) ||
        row->state != l->row.state) {
        if (row->state != LEASE_ROW_HELD) {
            l->quick_until_fast_ns = add_ns(l->now.fast_ns, lease_timing_demote_lead_ns(&l->config.timing));
            /* It may be over before the read that is already planned. */
            l->poll_fast_ns = min_u64(l->poll_fast_ns, add_ns(l->now.fast_ns, QUICK_POLL_NS));
        }
    }
    if (!l->row_known || !version_equal(&row->version, &l->row.version)) {
        if (made_again(l, row))
            l->quorum_ok_slow_ns = max_u64(l->quorum_ok_slow_ns, add_ns(now, distrust_ns(l)));
        l->row_since_slow_ns = now;
        l->row_ttl_ns = l->config.timing.ttl_ns; /* at least: a ttl edited by hand may be too short */
    }
    /* Somebody started above everything remembered: should the row go back once more, that is news (R8). */
    if (l->row_known && row->version.epoch > l->row.version.epoch && row->version.epoch >= l->epoch_seen &&
        row->state == LEASE_ROW_HELD)
        l->regression = false;
    l->row_ttl_ns = max_u64(l->row_ttl_ns, row_ttl(row));
    if (row->version.epoch >= l->epoch_seen && row->state != LEASE_ROW_FREE)
        l->held_ttl_ns = row_ttl(row);
    l->row = *row;
    l->row.holder[LEASE_NAME_MAX] = '\0';
    l->row.target[LEASE_NAME_MAX] = '\0';
    l->row_known = true;
    l->row_missing = false;
    /* It has moved on: should the row go back, it is not ours to give away. */
    if (!nonce_equal(&row->version.nonce, &l->left_nonce))
        l->left_nonce = (struct lease_nonce){{0}};
    l->row_read_fast_ns = l->now.fast_ns;
    l->row_suspect =
        row->state == LEASE_ROW_FREE && !never_held(l) &&
        (row->version.epoch < l->epoch_seen || now < l->instance_ok_slow_ns || now < l->quorum_ok_slow_ns);
}

/*
 * When the row, as it stands, may be taken, on the slow clock.
 *
 * After a restart or without quorum commits may be lost that were acknowledged, and a row that we saw stand
 * still may have been something else meanwhile: then the watch begins anew, also for a held row, whose holder
 * may count on a renewal that it forgot (R4).
 */
uint64_t takeable_slow_ns(const struct lease *l)
{
    uint64_t trusted = max_u64(l->row_since_slow_ns, max_u64(l->instance_ok_slow_ns, l->quorum_ok_slow_ns));
    uint64_t watched = add_ns(l->row_since_slow_ns, lease_timing_watch_ns(l->row_ttl_ns));
    uint64_t distrusted = add_ns(l->row_since_slow_ns, distrust_ns(l));

    if (l->row.version.epoch < l->epoch_seen)
        return max_u64(trusted, max_u64(watched, distrusted));
    if (l->row.state != LEASE_ROW_FREE)
        return max_u64(trusted, watched);
    return never_held(l) ? l->row_since_slow_ns : trusted;
}

bool lease_waiting(const struct lease *l, uint64_t *ret_stood_ns, uint64_t *ret_left_ns)
{
    uint64_t now = l->now.slow_ns;

    *ret_stood_ns = sub_ns(now, l->row_since_slow_ns);
    *ret_left_ns = sub_ns(takeable_slow_ns(l), now);
    return l->role == LEASE_FOLLOWER && l->row_known && l->row.state != LEASE_ROW_FREE &&
           *ret_stood_ns > 2 * l->config.timing.renew_ns;
}

/* Three heartbeats missed, and some. */
uint64_t peer_patience_ns(const struct lease *l)
{
    return 3 * l->config.timing.renew_ns + l->config.timing.ttl_ns / 10;
}

static bool alive(const struct lease *l, const struct lease_peer *p)
{
    return p->moved_slow_ns != 0 && sub_ns(l->now.slow_ns, p->moved_slow_ns) <= peer_patience_ns(l);
}

static bool before_us(const struct lease *l, const struct lease_member *m)
{
    if (m->drifted != l->drifted)
        return l->drifted;
    if (m->priority != l->config.priority)
        return m->priority > l->config.priority;
    return strcmp(m->name, l->config.member) < 0;
}

unsigned lease_rank(const struct lease *l)
{
    unsigned rank = 0;

    if (l->row.target[0] != '\0' && strcmp(l->row.target, l->config.member) == 0)
        return 0;
    for (uint32_t i = 0; i < l->peer_count; i++) {
        const struct lease_peer *p = &l->peers[i];
        bool other =
            strcmp(p->member.name, l->config.member) != 0 && strcmp(p->member.name, l->row.holder) != 0;

        if (other && p->member.priority != 0 && alive(l, p) && before_us(l, &p->member))
            rank++;
    }
    return rank;
}

static bool target_waits(const struct lease *l)
{
    if (l->row.target[0] == '\0' || strcmp(l->row.target, l->config.member) == 0)
        return false;
    for (uint32_t i = 0; i < l->peer_count; i++)
        if (strcmp(l->peers[i].member.name, l->row.target) == 0)
            /* We may have started just now, and not have seen it move yet. */
            return l->peers[i].moved_slow_ns == 0 || alive(l, &l->peers[i]);
    return false;
}

/* takeable, plus the turn that is ours */
uint64_t attempt_slow_ns(const struct lease *l)
{
    uint64_t at = add_ns(takeable_slow_ns(l), lease_rank(l) * RANK_STEP_NS);

    if (l->row.state == LEASE_ROW_FREE && target_waits(l))
        at = add_ns(at, l->config.timing.ttl_ns / 4);
    return at;
}

/*
 * The version that an unsettled claim waits for is not there, and for a whole watch nothing has moved: the
 * row went back behind it. It must not keep us from competing for ever.
 */
static bool claim_dead(const struct lease *l)
{
    return !version_equal(&l->row.version, &l->claim_expected) &&
           l->now.slow_ns >= add_ns(l->row_since_slow_ns, distrust_ns(l));
}

/* Elections only: a leader that is no longer fit leads on, and a restart in place is no election. */
static bool electable(const struct lease *l)
{
    return l->config.priority != 0 && l->fit && !(l->drifted && l->config.require_match);
}

bool may_compete(const struct lease *l)
{
    return l->role == LEASE_FOLLOWER && l->row_known && !l->row_missing && electable(l) && l->guardian_up &&
           !l->fencing && l->controller_stopped && !l->stop_wanted && l->now.fast_ns >= l->backoff_fast_ns &&
           l->saved_erased && l->name == LEASE_NAME_OURS &&
           (!l->claim_open || version_equal(&l->row.version, &l->claim_expected) || claim_dead(l));
}

uint32_t lease_priority_now(const struct lease *l)
{
    bool able = electable(l) && l->guardian_up && !l->stop_wanted && l->now.fast_ns >= l->backoff_fast_ns &&
                l->name == LEASE_NAME_OURS;

    return able ? l->config.priority : 0;
}

/* What a check was about to say is not known: it is due again. */
static void cut_check(struct lease *l, struct lease_commands *out)
{
    if (l->hook_id != 0)
        l->check_fast_ns = l->now.fast_ns;
    kill_hook(l, out);
}

static void claim(struct lease *l, struct lease_commands *out)
{
    bool free = l->row.state == LEASE_ROW_FREE;
    uint64_t new_epoch = max_u64(l->epoch_seen, max_u64(l->row.version.epoch, l->row.epoch_table)) + 1;

    if (l->row.version.epoch < l->epoch_seen && !l->regression) {
        l->regression = true;
        emit_note(l, out, LEASE_NOTE_REGRESSION, LEASE_REASON_REGRESSION);
    }
    if (!l->claim_open || claim_dead(l)) { /* R3: an unsettled nonce is tried again, not replaced */
        l->claim_open = true;
        l->claim_resume = false;
        l->claim_expected = l->row.version;
        memcpy(l->claim_nonce.bytes, l->entropy, sizeof l->claim_nonce.bytes);
        l->claim_epoch = new_epoch;
    } else if (l->claim_resume) { /* what it would have resumed is over: an acquisition, with an epoch of its
                                     own */
        l->claim_resume = false;
        l->claim_epoch = new_epoch;
    }
    l->start = LEASE_START_CLAIM;
    l->settle = false;
    memcpy(l->previous, l->row.holder, sizeof l->previous);
    cut_check(l, out);
    become(l, out, LEASE_ACQUIRING, free ? LEASE_REASON_FREE : LEASE_REASON_EXPIRED);
    send_write(l, out, LEASE_WRITE_ACQUIRE);
}

/* R13: nobody else starts the controller. A check that fails again and again can't tell: it is stopped too.
 */
bool stop_unproven(struct lease *l, struct lease_commands *out, bool *ret_runs)
{
    *ret_runs = false;
    if (l->hook_id != 0 && l->now.fast_ns >= l->hook_until_fast_ns) {
        kill_hook(l, out);
        l->hook_ready = true;
        l->hook_result = LEASE_HOOK_FAILED;
    }
    if (l->hook_ready) {
        l->hook_ready = false;
        if (l->hook_result == LEASE_HOOK_STOPPED)
            l->check_failures = 0;
        else
            *ret_runs = l->hook_result == LEASE_HOOK_DONE;
        if (*ret_runs ||
            (l->hook_result == LEASE_HOOK_FAILED && ++l->check_failures >= l->config.check_failures))
            return true;
    }
    if (l->hook_id == 0 && l->now.fast_ns >= l->check_fast_ns) {
        l->check_fast_ns = add_ns(l->now.fast_ns, l->config.timing.check_interval_ns);
        start_hook(l, out, LEASE_HOOK_CHECK, l->config.timing.check_budget_ns);
    }
    return false;
}

static void poll_row(struct lease *l, struct lease_commands *out)
{
    if (!may_send(l) || l->now.fast_ns < l->poll_fast_ns)
        return;
    /* A handover that we could take: not while the row must be watched, nor while we may not compete. */
    bool quick = l->row_known && l->row.state != LEASE_ROW_HELD && !l->row_suspect && may_compete(l) &&
                 l->now.fast_ns < l->quick_until_fast_ns;

    l->poll_fast_ns = add_ns(l->now.fast_ns, quick ? QUICK_POLL_NS : l->config.timing.poll_ns);
    send_read(l, out, false, false);
}

static void exit_now(struct lease *l, struct lease_commands *out)
{
    kill_hook(l, out);
    emit(out, LEASE_COMMAND_EXIT);
    l->exited = true;
}

/* A claim that was given up on took place after all. */
static bool late_claim_landed(const struct lease *l)
{
    return may_send(l) && l->row_known && l->row.state != LEASE_ROW_FREE && !l->fencing && l->claim_open &&
           nonce_equal(&l->row.version.nonce, &l->claim_nonce);
}

/* The row still says what we gave up, and the stop was confirmed: the others need not wait for its end. */
static bool left_behind(const struct lease *l)
{
    return l->row_known && l->row.state != LEASE_ROW_FREE && l->saved_erased &&
           !nonce_is_zero(&l->left_nonce) && nonce_equal(&l->row.version.nonce, &l->left_nonce);
}

void decide_follower(struct lease *l, struct lease_commands *out)
{
    bool writing = l->op.id != 0 && l->op.is_write;
    bool runs;

    if (l->guardian_failures >= GUARDIAN_DEATHS_MAX) { /* not one to lead for a while */
        l->guardian_failures = 0;
        l->backoff_fast_ns = max_u64(l->backoff_fast_ns, add_ns(l->now.fast_ns, l->config.timing.ttl_ns));
    }
    if (l->stop_wanted && !writing && l->save_id == 0 && !l->fencing && !left_behind(l)) {
        exit_now(l, out);
        return;
    }
    if (!l->saved_erased && l->save_id == 0 && l->now.fast_ns >= l->attempt_fast_ns && !keeps_saved(l))
        save(l, out, true, true);
    if (!l->fencing && stop_unproven(l, out, &runs)) {
        if (runs)
            emit_note(l, out, LEASE_NOTE_ROGUE, LEASE_REASON_ROGUE);
        l->controller_stopped = false;
        leave(l, out, runs ? LEASE_REASON_ROGUE : LEASE_REASON_UNHEALTHY);
        return;
    }
    if (late_claim_landed(l) && !electable(l)) { /* R11: not to be led with, so it is given back */
        l->claim_open = false;
        l->left_nonce = l->claim_nonce;
    }
    if (late_claim_landed(l)) { /* ours to renew, or to give back */
        l->start = LEASE_START_CLAIM;
        l->settle = true;
        cut_check(l, out);
        become(l, out, LEASE_ACQUIRING, LEASE_REASON_FREE);
        send_read(l, out, true, false);
        return;
    }
    if (may_send(l) && left_behind(l) && stop_is_fresh(l)) {
        l->own = l->row.version;
        send_write(l, out, LEASE_WRITE_RELEASE);
        memset(&l->left_nonce, 0, sizeof l->left_nonce); /* one try: it runs out by itself */
        forget_hold(l);
        return;
    }
    if (may_send(l) && may_compete(l) && l->now.slow_ns >= attempt_slow_ns(l)) {
        /* R4: that it stood unchanged until now is what a read of now says. On an old one, in a network that
         * is cut, a claim would be sent that lands whenever the row looks so again: after a loss, or by hand.
         */
        if (l->row_read_fast_ns == l->now.fast_ns) {
            claim(l, out);
            return;
        }
        l->poll_fast_ns = l->now.fast_ns;
    }
    poll_row(l, out);
}
