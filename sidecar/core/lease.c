/* The step, the table of legal role changes, and the few things every file of the core needs. */
#include "core/internal.h"

#define EDGE(to) (1u << (to))

/* Legality is a table, decisions are code. DEMOTING never returns to LEADER: it starts anew, with a new
 * epoch. */
static const uint8_t legal_edges[LEASE_ROLES] = {
    [LEASE_BOOT] = EDGE(LEASE_FOLLOWER) | EDGE(LEASE_ACQUIRING),
    [LEASE_FOLLOWER] = EDGE(LEASE_ACQUIRING) | EDGE(LEASE_DEMOTING),
    [LEASE_ACQUIRING] = EDGE(LEASE_FOLLOWER) | EDGE(LEASE_PROMOTING) | EDGE(LEASE_LEADER) |
                        EDGE(LEASE_DEMOTING) | EDGE(LEASE_FENCED),
    [LEASE_PROMOTING] = EDGE(LEASE_LEADER) | EDGE(LEASE_DEMOTING) | EDGE(LEASE_FENCED),
    [LEASE_LEADER] = EDGE(LEASE_DEMOTING) | EDGE(LEASE_FENCED),
    [LEASE_DEMOTING] = EDGE(LEASE_FOLLOWER) | EDGE(LEASE_ACQUIRING) | EDGE(LEASE_FENCED),
    [LEASE_FENCED] = EDGE(LEASE_FOLLOWER),
};

bool lease_edge_legal(enum lease_role from, enum lease_role to)
{
    return (unsigned)from < LEASE_ROLES && (unsigned)to < LEASE_ROLES && (legal_edges[from] & EDGE(to)) != 0;
}

void lease_init(struct lease *l, const struct lease_config *config)
{
    memset(l, 0, sizeof *l);
    l->config = *config;
    l->role = LEASE_BOOT;
    l->reason = LEASE_REASON_START;
    l->fit = !config->prechecked;
    l->drifted = config->require_match; /* until our own row says that they match */
    l->name = nonce_is_zero(&config->incarnation) ? LEASE_NAME_OURS : LEASE_NAME_OPEN;
}

struct lease_command *emit(struct lease_commands *out, enum lease_command_type type)
{
    lease_assert(out->count < LEASE_COMMANDS_MAX);
    struct lease_command *c = &out->list[out->count++];

    memset(c, 0, sizeof *c);
    c->type = type;
    return c;
}

void emit_note(struct lease *l, struct lease_commands *out, enum lease_note note, enum lease_reason reason)
{
    struct lease_command *c = emit(out, LEASE_COMMAND_NOTE);

    c->note.note = note;
    c->note.from = l->role;
    c->note.role = l->role;
    c->note.reason = reason;
    c->note.epoch = l->own.epoch;
}

uint32_t next_id(struct lease *l)
{
    if (++l->next_id == 0)
        l->next_id = 1;
    return l->next_id;
}

/* The one place where the role changes. */
void become(struct lease *l, struct lease_commands *out, enum lease_role role, enum lease_reason reason)
{
    lease_assert(lease_edge_legal(l->role, role));
    enum lease_role from = l->role;

    l->role = role;
    l->reason = reason;
    l->role_since_fast_ns = l->now.fast_ns;
    emit_note(l, out, LEASE_NOTE_ROLE, reason);
    out->list[out->count - 1].note.from = from;
}

void lease_step(struct lease *l, const struct lease_event *event, struct lease_commands *out)
{
    out->count = 0;
    lease_assert(!l->exited);

    /* time: a shell whose clock stands still is harmless, one that goes back is not believed */
    l->now.fast_ns = max_u64(l->now.fast_ns, event->now.fast_ns);
    l->now.slow_ns = max_u64(l->now.slow_ns, event->now.slow_ns);
    memcpy(l->entropy, event->entropy, sizeof l->entropy);

    expire_op(l, out);
    absorb(l, event, out);
    if (l->started)
        decide(l, out);
    check_invariants(l, out);
}

/*
 * What is due already was decided on in the step just taken: what still waits then waits for an answer, and
 * waking at once would only spin.
 */
static uint64_t earlier(const struct lease *l, uint64_t wake, uint64_t at)
{
    return at > l->now.fast_ns && at < wake ? at : wake;
}

/* Everything that is due by itself on the holder's clock. */
static uint64_t wake_fast(const struct lease *l)
{
    uint64_t wake = LEASE_NEVER;
    bool rests = l->role == LEASE_FOLLOWER, leads = l->role == LEASE_LEADER;

    if (l->op.id != 0)
        wake =
            earlier(l, wake, add_ns(l->op.sent_fast_ns, lease_timing_endpoint_limit_ns(&l->config.timing)));
    else
        wake = earlier(l, wake, l->attempt_fast_ns);
    if (l->hook_id != 0)
        wake = earlier(l, wake, l->hook_until_fast_ns);
    else if (rests || leads || l->stop == LEASE_STOP_CONFIRMED)
        wake = earlier(l, wake, l->check_fast_ns);
    if (l->holding && l->op.id == 0)
        wake = earlier(l, wake, add_ns(l->renewed_fast_ns, l->config.timing.renew_ns));
    if (l->deadline_ns != 0) { /* also of a lease that is being resumed */
        wake = earlier(l, wake, demote_point(l));
        wake = earlier(l, wake, l->deadline_ns);
    }
    if (!l->guardian_up && (leads || l->role == LEASE_PROMOTING))
        wake = earlier(l, wake, unguarded_from(l));
    if (l->handover && leads)
        wake = earlier(l, wake, l->leave_fast_ns);
    if (l->op.id == 0 && (rests || l->role == LEASE_BOOT))
        wake = earlier(l, wake, l->poll_fast_ns);
    if (rests)
        wake = earlier(l, wake, l->backoff_fast_ns);
    if (l->role == LEASE_ACQUIRING || (l->stop_wanted && outlasts_ttl(l))) /* its patience */
        wake = earlier(l, wake, add_ns(l->role_since_fast_ns, l->config.timing.ttl_ns));
    return wake;
}

struct lease_now lease_wake(const struct lease *l)
{
    struct lease_now wake = {.fast_ns = LEASE_NEVER, .slow_ns = LEASE_NEVER};

    if (!l->started || l->exited)
        return wake;
    wake.fast_ns = wake_fast(l);
    if (l->role == LEASE_FOLLOWER && l->op.id == 0 && may_compete(l)) {
        uint64_t at = attempt_slow_ns(l);

        /* Due already means that the next poll tries; it must not spin until then. */
        if (at > l->now.slow_ns)
            wake.slow_ns = at;
    }
    return wake;
}
