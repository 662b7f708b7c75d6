/* The first role: a starting sidecar stops its controller, or goes on with the lease that it held (R7). */
#include "core/internal.h"

/* The sidecar before us was giving the lease away, as it was asked to or had to: so do we. */
void resume_handover(struct lease *l)
{
    if (l->row.state != LEASE_ROW_HANDOVER)
        return;
    l->handover = true;
    l->leave_reason = l->row.target[0] != '\0' ? LEASE_REASON_SWITCHOVER : LEASE_REASON_STEP_DOWN;
    l->leave_fast_ns = l->now.fast_ns;
    memcpy(l->target, l->row.target, sizeof l->target);
}

/*
 * Is it what the sidecar before us held, or what its resume, of which it heard no more, was to write? That
 * one is dead: either is ours to go on with, and a new nonce is drawn for it.
 */
bool left_to_us(struct lease *l, const struct lease_nonce *seen)
{
    if (!nonce_is_zero(&l->boot_next) && nonce_equal(seen, &l->boot_next))
        l->own.nonce = *seen;
    return !nonce_is_zero(&l->own.nonce) && nonce_equal(seen, &l->own.nonce);
}

/* R7: boot is a demote, or a resume. */
void decide_boot(struct lease *l, struct lease_commands *out)
{
    if (may_send(l) && l->now.fast_ns >= l->poll_fast_ns && (!l->boot_resume || !l->row_known)) {
        l->poll_fast_ns = add_ns(l->now.fast_ns, l->config.timing.poll_ns);
        send_read(l, out, l->boot_resume, false);
    }
    if (l->boot_resume) {
        bool ours = l->row_known && left_to_us(l, &l->row.version.nonce);

        if (!l->fencing && !out_of_time(l) && !l->row_known && !l->row_missing && !l->stop_wanted)
            return; /* the database has not answered yet */
        l->boot_resume = false;
        if (ours && !l->fencing && !out_of_time(l) && !l->stop_wanted && l->op.id == 0) {
            l->claim_open = true;
            l->claim_resume = true;
            l->claim_expected = l->row.version;
            memcpy(l->claim_nonce.bytes, l->entropy, sizeof l->claim_nonce.bytes);
            l->ttl_sent_ns = (uint64_t)l->row.ttl_ms * LEASE_NS_PER_MS;
            if (l->ttl_sent_ns > l->config.timing.ttl_ns) /* a hold outlives its sidecar (R12) */
                l->hold_until_fast_ns =
                    add_ns(l->now.fast_ns, lease_timing_ttl_for_ns(l->deadline_ns - l->now.fast_ns));
            resume_handover(l);
            memcpy(l->previous, l->row.holder, sizeof l->previous);
            l->start = LEASE_START_CLAIM;
            become(l, out, LEASE_ACQUIRING, LEASE_REASON_RESUME);
            save(l, out, false, false); /* not waited for: a resume must not depend on a disk */
            send_write(l, out, LEASE_WRITE_RESUME);
            return;
        }
        l->left_nonce = l->own.nonce; /* once that is confirmed, it is given back if it is still there */
        l->deadline_ns = 0;
        begin_fence(l, out); /* no resume: whatever runs must be gone now */
        return;
    }
    if (l->stop == LEASE_STOP_NONE)
        begin_stop(l, out);
    if (l->fencing && l->stop != LEASE_STOP_CONFIRMED && l->stop != LEASE_STOP_FENCE)
        begin_fence(l, out);
    drive_stop(l, out);
    if (l->stop == LEASE_STOP_CONFIRMED) {
        struct lease_nonce left = l->left_nonce;

        to_follower(l, out);
        l->left_nonce = left;
    }
}

/* Resume (R7): the lease is ours again; what does the controller do? */
void resume_check(struct lease *l, struct lease_commands *out)
{
    if (l->hook_id != 0 && l->now.fast_ns >= l->hook_until_fast_ns) {
        kill_hook(l, out);
        l->hook_ready = true;
        l->hook_result = LEASE_HOOK_FAILED;
    }
    if (!l->hook_ready) {
        if (l->hook_id == 0)
            start_hook(l, out, LEASE_HOOK_CHECK, l->config.timing.check_budget_ns);
        return;
    }
    l->hook_ready = false;
    /* What runs was started under the epoch that was saved. The row may have another one by now: a bump that
       was never saved, or an edit by hand. */
    bool of_this_epoch = l->armed && l->armed_epoch == l->own.epoch;

    if (l->hook_result == LEASE_HOOK_DONE && of_this_epoch && !l->boot_unfinished &&
        l->epoch_seen <= l->own.epoch) {
        begin_leading(l, out, LEASE_REASON_RESUME);
    } else if (l->hook_result == LEASE_HOOK_STOPPED) {
        stop_seen(l);
        l->start = LEASE_START_BUMP; /* every start has its own epoch */
        if (l->armed) {
            l->armed = false;
            emit(out, LEASE_COMMAND_DISARM)->guard.epoch = l->armed_epoch;
        }
        if (l->handover) { /* nothing is started to be stopped at once */
            leave(l, out, l->leave_reason);
            emit_note(l, out, LEASE_NOTE_STOPPED, l->reason); /* whoever stopped it could not tell any more */
        }
    } else {
        l->controller_stopped = false; /* whatever was confirmed before: this check did not (R6, R13) */
        l->boot_unfinished = false;
        l->restart = true;
        leave(l, out, LEASE_REASON_UNHEALTHY);
    }
}
