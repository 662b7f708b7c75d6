#include "step.h"

#include <errno.h>
#include <string.h>

struct taken play_taken;

void play_init(struct play *p, FILE *out)
{
    memset(p, 0, sizeof *p);
    p->out = out;
    p->config = (struct lease_config){.member = "m1",
                                      .priority = 100,
                                      .restarts = 1,
                                      .check_failures = 2,
                                      .restart_window_ns = 600 * LEASE_NS_PER_S};
    lease_timing_defaults(20 * LEASE_NS_PER_S, &p->config.timing);
    p->now = (struct lease_now){.fast_ns = LEASE_NS_PER_S, .slow_ns = LEASE_NS_PER_S};
    p->row_exists = true;
    p->row.ttl_ms = 20000;
    p->instance = 7;
    p->instance_up_ns = 1000 * LEASE_NS_PER_S;
}

static bool is_news(const struct lease_command *c)
{
    switch (c->type) {
    case LEASE_COMMAND_READ:
    case LEASE_COMMAND_EXTEND: return false;
    case LEASE_COMMAND_WRITE: return c->write.kind != LEASE_WRITE_RENEW;
    case LEASE_COMMAND_HOOK: return c->hook.hook != LEASE_HOOK_CHECK;
    case LEASE_COMMAND_SAVE: return c->save.durable;
    case LEASE_COMMAND_CANCEL:
    case LEASE_COMMAND_HOOK_KILL:
    case LEASE_COMMAND_ARM:
    case LEASE_COMMAND_FENCE:
    case LEASE_COMMAND_DISARM:
    case LEASE_COMMAND_NOTE:
    case LEASE_COMMAND_EXIT: return true;
    }
    return true;
}

void play_say_commands(struct play *p, const struct lease_commands *commands)
{
    char text[TRACE_LINE_MAX];

    for (size_t i = 0; i < commands->count; i++) {
        const struct lease_command *c = &commands->list[i];

        if (c->type == LEASE_COMMAND_WRITE)
            p->expected = c->write.expected;

        taken_count(&play_taken, c);
        if (p->terse && !is_news(c))
            continue;
        trace_command_print(c, text, sizeof text);
        if (p->terse)
            fprintf(p->out, "  +%.3fs %s\n", (double)(p->now.fast_ns - p->run_began_ns) / 1e9, text);
        else
            fprintf(p->out, "  %s\n", text);
    }
}

void play_say_summary(struct play *p)
{
    char text[TRACE_LINE_MAX];

    trace_summary_print(&p->lease, text, sizeof text);
    if (strcmp(text, p->said) == 0)
        return;
    strcpy(p->said, text);
    fprintf(p->out, "  = %s\n", text);
}

void play_feed(struct play *p, struct lease_event *e)
{
    struct lease_commands commands;

    e->now = p->now;
    memset(e->entropy, 0, sizeof e->entropy);
    p->draws++;
    e->entropy[0] = (uint8_t)(p->draws >> 8 | 0x80);
    e->entropy[1] = (uint8_t)p->draws;
    lease_step(&p->lease, e, &commands);
    play_say_commands(p, &commands);
}

void play_apply(struct play *p)
{
    const struct lease_row *wanted = &p->lease.op.wanted;

    p->row = *wanted;
    p->row.epoch_table = wanted->version.epoch;
}

/* Does the row still have the version that the write compares? */
static bool write_matches(const struct play *p)
{
    const struct lease_version *expected = &p->expected;

    return p->row_exists && expected->epoch == p->row.version.epoch &&
           expected->counter == p->row.version.counter &&
           memcmp(&expected->nonce, &p->row.version.nonce, LEASE_NONCE_SIZE) == 0;
}

void play_answer(struct play *p, enum lease_answer answer, bool non_primary)
{
    struct lease_event e = {0};

    if (p->lease.op.is_write) {
        e.type = LEASE_EVENT_WRITE;
        e.write.op = p->lease.op.id;
        e.write.answer = answer;
        if (answer == LEASE_ANSWER_ROW)
            play_apply(p);
    } else {
        e.type = LEASE_EVENT_READ;
        e.read.op = p->lease.op.id;
        e.read.answer = answer;
        e.read.non_primary = non_primary;
        e.read.instance = p->instance;
        e.read.instance_up_ns = p->instance_up_ns;
        if (answer == LEASE_ANSWER_ROW)
            e.read.row = p->row;
    }
    play_feed(p, &e);
}

void play_hook_ends(struct play *p, enum lease_hook_result result)
{
    struct lease_event e = {.type = LEASE_EVENT_HOOK, .hook = {.id = p->lease.hook_id, .result = result}};

    play_feed(p, &e);
}

/* In a run the world answers by itself, at once: true when it had something to say. */
static bool world_answers(struct play *p)
{
    struct lease *l = &p->lease;

    if (l->save_id != 0) {
        struct lease_event e = {.type = LEASE_EVENT_SAVED, .saved = {.id = l->save_id, .ok = true}};

        play_feed(p, &e);
        return true;
    }
    if (l->op.id != 0 && !p->silent) {
        if (p->non_primary)
            play_answer(p, LEASE_ANSWER_REFUSED, true);
        else if (!l->op.is_write)
            play_answer(p, p->row_exists ? LEASE_ANSWER_ROW : LEASE_ANSWER_NO_ROW, false);
        else
            play_answer(p, write_matches(p) ? LEASE_ANSWER_ROW : LEASE_ANSWER_MISMATCH, false);
        return true;
    }
    if (l->hook_id != 0 && !p->frozen_hooks) {
        if (l->hook != LEASE_HOOK_CHECK)
            p->runs = l->hook == LEASE_HOOK_PROMOTE;
        play_hook_ends(p, l->hook != LEASE_HOOK_CHECK || p->runs ? LEASE_HOOK_DONE : LEASE_HOOK_STOPPED);
        return true;
    }
    return false;
}

/* Time passes; the core wakes when it asked to, and the world answers. */
int play_run(struct play *p, uint64_t length_ns, uint64_t slow_ns)
{
    struct lease_now end = {.fast_ns = p->now.fast_ns + length_ns, .slow_ns = p->now.slow_ns + slow_ns};
    unsigned steps = 0;

    p->terse = true;
    p->run_began_ns = p->now.fast_ns;
    while (!p->lease.exited) {
        if (++steps > 100000)
            return -ELOOP;
        if (world_answers(p))
            continue;
        if (p->now.fast_ns >= end.fast_ns && p->now.slow_ns >= end.slow_ns)
            break;
        struct lease_now wake = lease_wake(&p->lease);
        uint64_t fast_left = end.fast_ns - p->now.fast_ns, slow_left = end.slow_ns - p->now.slow_ns;
        uint64_t to_fast = wake.fast_ns > p->now.fast_ns ? wake.fast_ns - p->now.fast_ns : 0;
        uint64_t to_slow = wake.slow_ns > p->now.slow_ns ? wake.slow_ns - p->now.slow_ns : 0;
        /* both clocks move in proportion to what is left of each */
        uint64_t by = to_fast < fast_left ? to_fast : fast_left;

        if (to_slow < slow_left && fast_left > 0) {
            uint64_t as_fast = (uint64_t)((double)to_slow / (double)slow_left * (double)fast_left) + 1;

            by = as_fast < by ? as_fast : by;
        }
        bool last = by >= fast_left;

        p->now.slow_ns =
            last ? end.slow_ns
                 : p->now.slow_ns + (uint64_t)((double)by / (double)fast_left * (double)slow_left);
        p->now.fast_ns = last ? end.fast_ns : p->now.fast_ns + by;
        struct lease_event e = {.type = LEASE_EVENT_TICK};

        play_feed(p, &e);
    }
    p->terse = false;
    return 0;
}
