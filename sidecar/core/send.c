/*
 * What is sent: statements on the lease row, and what the state file is told.
 *
 * Before anything goes out that makes the lease shorter, our own deadline and that of the disk are (R1, R7).
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
        if (l->claim_open && l->claim_resume)
            c->save.next = l->claim_nonce;
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
