/* Bookkeeping as the sidecar does it: its own row of the member table, and the rows of all. */
#include "world.h"

static const struct lease_nonce nobody;

static unsigned name_of(const struct world *w, unsigned host)
{
    return w->options.namesakes && host == w->options.members - 1 && host > 0 ? host - 1 : host;
}

void book_beat(struct world *w, struct host *h)
{
    if (lease_name_right(&h->sidecar.lease) != LEASE_NAME_WAIT)
        h->sidecar.heartbeat++;
    schedule(w, w->options.network_ns / 2 + random_below(w, w->options.network_ns), EV_BOOK, h->index,
             h->sidecar.book_endpoint, h->sidecar.gen, 0);
}

static void heartbeat(struct world *w, const struct host *h)
{
    const struct lease *l = &h->sidecar.lease;
    enum lease_name_right right = lease_name_right(l);
    struct member_version *m = w->db.members[name_of(w, h->index)];
    bool ours = m[0].there && memcmp(&m[0].incarnation, &h->sidecar.incarnation, sizeof nobody) == 0;

    if (right == LEASE_NAME_WAIT || (m[0].there && !ours && (right != LEASE_NAME_TAKE || l->exited)))
        return;
    memmove(&m[1], &m[0], (VERSIONS - 1) * sizeof *m);
    m[0] = (struct member_version){.at = w->now,
                                   .there = true,
                                   .incarnation = l->exited ? nobody : h->sidecar.incarnation,
                                   .heartbeat = h->sidecar.heartbeat,
                                   .epoch_seen = l->epoch_seen,
                                   .priority = lease_priority_now(l)};
}

void book_arrives(struct world *w, const struct event *e)
{
    struct host *h = &w->hosts[e->a];
    const struct node *n = &w->db.nodes[e->b];
    bool works = w->to_node[e->a][e->b] && n->state == NODE_UP && n->primary;

    if (h->sidecar.gen != e->gen)
        return;
    if (!works) {
        h->sidecar.book_endpoint = (h->sidecar.book_endpoint + 1) % w->db.count;
        return;
    }
    if (w->now < w->db.stall_until) {
        schedule(w, w->db.stall_until - w->now + 1, EV_BOOK, e->a, e->b, e->gen, 0);
        return;
    }
    heartbeat(w, h);
    if (w->from_node[e->a][e->b] && h->sidecar.alive)
        schedule(w, w->options.network_ns, EV_BOOK_ANSWER, e->a, e->b, e->gen, 0);
}

/* The newest version of a row that the node has seen. */
static const struct member_version *version_at(const struct world *w, unsigned member, uint64_t seen)
{
    for (unsigned i = 0; i < VERSIONS; i++) {
        const struct member_version *m = &w->db.members[member][i];

        if (!m->there || m->at <= seen)
            return m->there ? m : NULL;
    }
    return NULL;
}

void book_answered(struct world *w, const struct event *e)
{
    static struct lease_member list[HOSTS_MAX];
    struct host *h = &w->hosts[e->a];
    const struct node *n = &w->db.nodes[e->b];
    uint64_t seen = w->now - (n->lag_ns < w->now ? n->lag_ns : 0);
    struct lease_event event;
    size_t count = 0;

    if (!h->sidecar.alive || h->sidecar.gen != e->gen)
        return;
    for (unsigned i = 0; i < w->options.members; i++) {
        const struct member_version *m = version_at(w, i, seen);

        if (!m)
            continue;
        struct lease_member *out = &list[count++];

        strcpy(out->name, host_name(i));
        out->incarnation = m->incarnation;
        out->heartbeat = m->heartbeat;
        out->epoch_seen = m->epoch_seen;
        out->priority = m->priority;
        out->drifted = false;
    }
    memset(&event, 0, sizeof event);
    event.type = LEASE_EVENT_MEMBERS;
    event.members.list = list;
    event.members.count = count;
    enum lease_name_right before = lease_name_right(&h->sidecar.lease);

    sidecar_feed(w, h, &event);
    if (h->sidecar.alive && before != LEASE_NAME_TAKE &&
        lease_name_right(&h->sidecar.lease) == LEASE_NAME_TAKE)
        book_beat(w, h);
}
