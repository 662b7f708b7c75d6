#include "member.h"

#include <stdio.h>
#include <string.h>

void member_begin(struct member *m)
{
    struct lease_config config = {.member = "m1", .priority = 100, .incarnation = {{1, 2, 3}}};

    memset(m, 0, sizeof *m);
    lease_timing_defaults(20 * LEASE_NS_PER_S, &config.timing);
    lease_init(&m->lease, &config);
    m->now = (struct lease_now){.fast_ns = LEASE_NS_PER_S, .slow_ns = LEASE_NS_PER_S};
    m->row.ttl_ms = 20000;
    m->others = 3;
}

/* Somebody else renews whenever we look. */
static void renew_elsewhere(struct member *m)
{
    m->row.version.counter++;
    m->row.version.epoch = m->row.epoch_table = 3;
    m->row.version.nonce.bytes[0] = 9;
    m->row.state = LEASE_ROW_HELD;
    snprintf(m->row.holder, sizeof m->row.holder, "member-1");
}

static void answer(struct member *m, struct lease_event *e)
{
    const struct lease_op *op = &m->lease.op;

    if (op->is_write) {
        e->type = LEASE_EVENT_WRITE;
        e->write.op = op->id;
        m->row = op->wanted;
        m->row.epoch_table = m->row.version.epoch;
        return;
    }
    if (m->follows)
        renew_elsewhere(m);
    e->type = LEASE_EVENT_READ;
    e->read.op = op->id;
    e->read.instance = 7;
    e->read.instance_up_ns = 1000 * LEASE_NS_PER_S;
    e->read.row = m->row;
}

static void members(struct member *m, struct lease_event *e)
{
    e->type = LEASE_EVENT_MEMBERS;
    e->members.list = m->list;
    e->members.count = m->others;
    for (unsigned i = 0; i < m->others; i++) {
        snprintf(m->list[i].name, sizeof m->list[i].name, "member-%u", i);
        m->list[i].incarnation.bytes[0] = (uint8_t)(i + 1);
        m->list[i].heartbeat++;
        m->list[i].priority = 100;
    }
}

void member_event(struct member *m, struct lease_event *e)
{
    const struct lease *l = &m->lease;

    memset(e, 0, sizeof *e);
    if (m->steps == 0) {
        e->type = LEASE_EVENT_START;
    } else if (m->steps == 1) {
        e->type = LEASE_EVENT_GUARDIAN;
    } else if (l->save_id != 0) {
        e->type = LEASE_EVENT_SAVED;
        e->saved.id = l->save_id;
        e->saved.ok = true;
    } else if (l->op.id != 0) {
        answer(m, e);
    } else if (l->hook_id != 0) {
        e->type = LEASE_EVENT_HOOK;
        e->hook.id = l->hook_id;
        e->hook.result =
            l->hook != LEASE_HOOK_CHECK || l->role == LEASE_LEADER ? LEASE_HOOK_DONE : LEASE_HOOK_STOPPED;
    } else if (m->steps % 7 == 0) {
        members(m, e);
    } else {
        e->type = LEASE_EVENT_TICK;
        m->now.fast_ns += LEASE_NS_PER_S / 2;
        m->now.slow_ns += LEASE_NS_PER_S / 2 - 1000000;
    }
    e->now = m->now;
    m->steps++;
    memcpy(e->entropy, &m->steps, sizeof m->steps);
}
