/*
 * Of two live incarnations with one name the newcomer refuses (R10): cloned configuration must not look like
 * one member. Who holds the lease is decided by nonce, never by name; this is about telling members apart.
 *
 * The row of our name in the member table carries the incarnation that wrote it. It is ours to take when
 * nobody wrote it, when its writer ended in order or was the sidecar before us on this host, or when its
 * heartbeat stood still for so long that it can't be alive. If it moves, somebody else lives.
 */
#include "core/internal.h"

static const struct lease_member *own_row(const struct lease *l, const struct lease_event *e)
{
    for (size_t i = 0; i < e->members.count; i++)
        if (strncmp(e->members.list[i].name, l->config.member, sizeof l->config.member) == 0)
            return &e->members.list[i];
    return NULL;
}

static void name_is_ours(struct lease *l, bool take)
{
    l->name = LEASE_NAME_OURS;
    l->name_take = take;
    l->name_seen_slow_ns = 0;
}

static void double_found(struct lease *l, struct lease_commands *out)
{
    emit_note(l, out, LEASE_NOTE_DOUBLE, LEASE_REASON_DOUBLE);
    if (l->holding) { /* whoever leads keeps the name: the other one sees this and ends */
        name_is_ours(l, true);
        return;
    }
    l->name = LEASE_NAME_DOUBLE;
    l->name_take = false;
    l->stop_wanted = true;
}

void absorb_identity(struct lease *l, const struct lease_event *e, struct lease_commands *out)
{
    const struct lease_member *m = own_row(l, e);

    if (nonce_is_zero(&l->config.incarnation) || l->name == LEASE_NAME_DOUBLE)
        return;
    if (!m || nonce_is_zero(&m->incarnation) || nonce_equal(&m->incarnation, &l->name_previous)) {
        name_is_ours(l, true);
    } else if (nonce_equal(&m->incarnation, &l->config.incarnation)) {
        name_is_ours(l, false);
    } else if (l->name_seen_slow_ns == 0) {
        l->name_take = false;
        l->name_seen = m->incarnation;
        l->name_seen_heartbeat = m->heartbeat;
        l->name_seen_slow_ns = l->now.slow_ns;
    } else if (l->name_seen_heartbeat != m->heartbeat || !nonce_equal(&l->name_seen, &m->incarnation)) {
        double_found(l, out);
    } else if (sub_ns(l->now.slow_ns, l->name_seen_slow_ns) > peer_patience_ns(l)) {
        name_is_ours(l, true);
    }
}

enum lease_name_right lease_name_right(const struct lease *l)
{
    if (nonce_is_zero(&l->config.incarnation))
        return LEASE_NAME_TAKE;
    if (l->name == LEASE_NAME_OPEN)
        return LEASE_NAME_WAIT;
    return l->name_take ? LEASE_NAME_TAKE : LEASE_NAME_KEEP;
}
