/* What an event says goes into the state. Nothing is decided here. */
#include "core/internal.h"

/* What lies above comes from a row edited by hand, and is not to be counted on. */
static void remember_epoch(struct lease *l, uint64_t epoch)
{
    if (epoch <= LEASE_EPOCH_MAX)
        l->epoch_seen = max_u64(l->epoch_seen, epoch);
}

/* R8: a claim on its way must end above what others remember, also if that is the very number it chose. */
static void outrun_claim(struct lease *l, uint64_t epoch)
{
    if (l->claim_open && !l->claim_resume && epoch >= l->claim_epoch && epoch <= LEASE_EPOCH_MAX)
        l->claim_epoch = epoch + 1;
}

static void absorb_start(struct lease *l, const struct lease_memory *m, struct lease_commands *out)
{
    lease_assert(!l->started);
    l->started = true;
    l->name_previous = m->incarnation;
    remember_epoch(l, m->epoch_seen);
    remember_epoch(l, m->epoch); /* a file says both, and need not be of our own making */
    l->epoch_saved = l->epoch_seen;
    l->check_fast_ns = add_ns(l->now.fast_ns, l->config.timing.check_interval_ns);
    l->poll_fast_ns = l->now.fast_ns;
    l->guardian_failed_fast_ns = l->now.fast_ns; /* there is none yet */
    if (nonce_is_zero(&m->nonce) || m->remaining_ns == 0 || m->epoch == 0 || m->epoch > LEASE_EPOCH_MAX) {
        l->saved_erased = true;
        return;
    }
    /* R7: maybe a resume. Whatever runs is fenced at the stored deadline in any case. */
    l->boot_resume = true;
    l->boot_unfinished = m->unfinished;
    l->own.epoch = m->epoch;
    l->own.nonce = m->nonce;
    l->boot_next = m->next;
    l->deadline_ns = add_ns(l->now.fast_ns, min_u64(m->remaining_ns, LEASE_HOLD_MAX_NS));
    l->saved_deadline_ns = l->deadline_ns;
    l->armed = true;
    l->armed_epoch = m->epoch;

    struct lease_command *c = emit(out, LEASE_COMMAND_ARM);

    c->guard.epoch = m->epoch;
    c->guard.deadline_ns = l->deadline_ns;
    c->guard.nonce = m->nonce;
}

/* R8: what an answer says has been seen, also if nobody waits for that answer any more. */
static void see_epochs(struct lease *l, const struct lease_row *row)
{
    if (!nonce_equal(&row->version.nonce, &l->claim_nonce))
        outrun_claim(l, max_u64(row->version.epoch, row->epoch_table));
    remember_epoch(l, row->version.epoch);
    remember_epoch(l, row->epoch_table);
}

static void absorb_read(struct lease *l, const struct lease_event *e, struct lease_commands *out)
{
    if (e->read.answer == LEASE_ANSWER_ROW)
        see_epochs(l, &e->read.row);
    if (l->op.id == 0 || l->op.is_write || e->read.op != l->op.id)
        return; /* given up on earlier */
    struct lease_op op = l->op;

    l->op.id = 0;
    if (e->read.non_primary)
        l->quorum_ok_slow_ns = add_ns(l->now.slow_ns, distrust_ns(l));
    if (e->read.answer == LEASE_ANSWER_NO_ROW) {
        if (!l->row_missing)
            emit_note(l, out, LEASE_NOTE_NO_ROW, LEASE_REASON_ROW_MISSING);
        l->row_missing = true;
        l->row_known = false;
        /* A row that comes back was re-created: it is watched like a held one (R4). */
        l->quorum_ok_slow_ns = add_ns(l->now.slow_ns, distrust_ns(l));
    }
    if (e->read.answer == LEASE_ANSWER_ROW)
        watch_row(l, e, &e->read.row);
    settle_answer(l, out, &op, e->read.answer, &e->read.row);
}

static void absorb_write(struct lease *l, const struct lease_event *e, struct lease_commands *out)
{
    if (l->op.id == 0 || !l->op.is_write || e->write.op != l->op.id)
        return;
    struct lease_op op = l->op;

    l->op.id = 0;
    settle_answer(l, out, &op, e->write.answer, NULL);
}

static void absorb_guardian(struct lease *l, const struct lease_event *e, struct lease_commands *out)
{
    switch (e->guardian.news) {
    case LEASE_GUARDIAN_UP: l->guardian_up = true; break;
    case LEASE_GUARDIAN_DOWN:
        l->guardian_up = false;
        if (sub_ns(l->now.fast_ns, l->guardian_failed_fast_ns) > 3 * l->config.timing.ttl_ns)
            l->guardian_failures = 0;
        l->guardian_failures++;
        l->guardian_failed_fast_ns = l->now.fast_ns;
        break;
    case LEASE_GUARDIAN_FENCING: l->fencing = true; break;
    case LEASE_GUARDIAN_STOPPED:
        if (!l->fencing || e->guardian.epoch != l->armed_epoch)
            return;
        l->fencing = false;
        l->armed = false;
        if (!l->controller_stopped)
            emit_note(l, out, LEASE_NOTE_STOPPED, l->reason);
        stop_seen(l);
        if (l->stop != LEASE_STOP_NONE)
            l->stop = LEASE_STOP_CONFIRMED;
        emit(out, LEASE_COMMAND_DISARM)->guard.epoch = l->armed_epoch;
        break;
    }
}

static void absorb_saved(struct lease *l, const struct lease_event *e)
{
    if (l->save_id == 0 || e->saved.id != l->save_id)
        return;
    l->save_id = 0;
    if (!e->saved.ok) {
        l->attempt_fast_ns = add_ns(l->now.fast_ns, l->config.timing.ttl_ns / 20);
        if (l->role == LEASE_FENCED) /* nothing can be given back: then whether it is gone is what counts */
            l->settle = true;
        return;
    }
    l->epoch_saved = max_u64(l->epoch_saved, l->save_epoch);
    l->saved_deadline_ns = l->save_deadline_ns;
    if (l->save_erases)
        l->saved_erased = true;
}

static bool told_of(const struct lease_event *e, const char *name)
{
    for (size_t i = 0; i < e->members.count; i++)
        if (strncmp(e->members.list[i].name, name, sizeof e->members.list[i].name) == 0)
            return true;
    return false;
}

/* Names come and go. Without room, one that the database told nothing of this time makes some. */
static struct lease_peer *new_peer(struct lease *l, const struct lease_event *e)
{
    if (l->peer_count < LEASE_MEMBERS_MAX)
        return &l->peers[l->peer_count++];
    for (uint32_t i = 0; i < l->peer_count; i++)
        if (!told_of(e, l->peers[i].member.name))
            return &l->peers[i];
    return NULL;
}

static struct lease_peer *find_peer(struct lease *l, const struct lease_event *e,
                                    const struct lease_member *m)
{
    for (uint32_t i = 0; i < l->peer_count; i++)
        if (strncmp(l->peers[i].member.name, m->name, sizeof m->name) == 0)
            return &l->peers[i];
    struct lease_peer *p = new_peer(l, e);

    if (!p)
        return NULL;
    memset(p, 0, sizeof *p);
    p->member = *m;
    return p;
}

/* R11: alive is who moved lately, on our own clock; a first sight is not yet a movement. */
static void absorb_members(struct lease *l, const struct lease_event *e)
{
    for (size_t i = 0; i < e->members.count; i++) {
        const struct lease_member *m = &e->members.list[i];
        struct lease_peer *p = find_peer(l, e, m);

        outrun_claim(l, m->epoch_seen);
        remember_epoch(l, m->epoch_seen);
        if (strncmp(m->name, l->config.member, sizeof m->name) == 0 &&
            nonce_equal(&m->incarnation, &l->config.incarnation))
            l->drifted = m->drifted;
        if (!p)
            continue;
        if (p->member.heartbeat != m->heartbeat || !nonce_equal(&p->member.incarnation, &m->incarnation))
            p->moved_slow_ns = l->now.slow_ns;
        p->member = *m;
        p->member.name[LEASE_NAME_MAX] = '\0';
    }
}

/* R12: asked for now, sent at once. What of it the database confirms is another matter. */
static void absorb_hold(struct lease *l, const struct lease_event *e)
{
    bool hold = e->request.kind == LEASE_REQUEST_HOLD;

    l->hold_until_fast_ns = hold ? add_ns(l->now.fast_ns, min_u64(e->request.hold_ns, LEASE_HOLD_MAX_NS)) : 0;
    l->hold_request = hold ? e->request.id : 0;
    if (hold)
        l->hold_confirmed = false;
    l->retry = true;
}

static void absorb_request(struct lease *l, const struct lease_event *e)
{
    bool can = l->role == LEASE_LEADER || l->role == LEASE_PROMOTING;

    if (!can || l->handover)
        return;
    if (e->request.kind != LEASE_REQUEST_LEAVE) {
        absorb_hold(l, e);
        return;
    }
    l->handover = true;
    l->handover_sent = false;
    l->leave_reason = e->request.reason;
    memcpy(l->target, e->request.target, sizeof l->target);
    l->target[LEASE_NAME_MAX] = '\0';
    l->leave_fast_ns = add_ns(l->now.fast_ns, 2 * l->config.timing.poll_ns + ANNOUNCE_SLACK_NS);
}

/* They count from the next decision on: what was counted against the old ones stays. */
static void absorb_settings(struct lease *l, const struct lease_event *e)
{
    l->config.priority = e->settings.priority;
    l->config.restarts = e->settings.restarts;
    l->config.check_failures = e->settings.check_failures;
    l->config.restart_window_ns = e->settings.restart_window_ns;
}

/* R9: what was asked about an earlier start says nothing about this one, and only one that leads is judged:
 * while it is being started or stopped it need not answer. */
static void absorb_health(struct lease *l, const struct lease_event *e)
{
    if (l->role == LEASE_LEADER && e->health.epoch == l->own.epoch)
        l->health_failures = e->health.healthy ? 0 : l->health_failures + 1;
}

void absorb(struct lease *l, const struct lease_event *e, struct lease_commands *out)
{
    switch (e->type) {
    case LEASE_EVENT_START: absorb_start(l, &e->start, out); break;
    case LEASE_EVENT_TICK: break;
    case LEASE_EVENT_READ: absorb_read(l, e, out); break;
    case LEASE_EVENT_WRITE: absorb_write(l, e, out); break;
    case LEASE_EVENT_HOOK:
        if (l->hook_id != 0 && e->hook.id == l->hook_id) {
            l->hook_id = 0;
            l->hook_ready = true;
            l->hook_result = e->hook.result;
        }
        break;
    case LEASE_EVENT_GUARDIAN: absorb_guardian(l, e, out); break;
    case LEASE_EVENT_SAVED: absorb_saved(l, e); break;
    case LEASE_EVENT_MEMBERS:
        absorb_members(l, e);
        absorb_identity(l, e, out);
        break;
    case LEASE_EVENT_REQUEST: absorb_request(l, e); break;
    case LEASE_EVENT_FITNESS: l->fit = e->fitness.fit; break;
    case LEASE_EVENT_SETTINGS: absorb_settings(l, e); break;
    case LEASE_EVENT_HEALTH: absorb_health(l, e); break;
    case LEASE_EVENT_STOP: l->stop_wanted = true; break;
    }
}
