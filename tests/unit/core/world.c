#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "world.h"

_Noreturn void lease_assert_failed(const char *expression, const char *file, int line)
{
    fprintf(stderr, "%s:%d: the core's own invariant does not hold: %s\n", file, line, expression);
    abort();
}

void feed(struct world *w, struct lease_event *e)
{
    struct lease twin = w->lease;
    struct lease_commands other;

    e->now = w->now;
    memset(e->entropy, ++w->seed, sizeof e->entropy);
    lease_step(&w->lease, e, &w->out);
    /* Same state and same event: same commands and same state. */
    lease_step(&twin, e, &other);
    assert_int_equal(w->out.count, other.count);
    assert_memory_equal(w->out.list, other.list, other.count * sizeof other.list[0]);
    assert_memory_equal(&w->lease, &twin, sizeof twin);
    for (size_t i = 0; i < w->out.count; i++) {
        struct lease_command *c = &w->out.list[i];

        switch (c->type) {
        case LEASE_COMMAND_WRITE:
            w->write = *c;
            w->writes++;
            w->releases += c->write.kind == LEASE_WRITE_RELEASE;
            break;
        case LEASE_COMMAND_READ: w->read = *c; break;
        case LEASE_COMMAND_HOOK:
            w->hook = *c;
            w->promotes += c->hook.hook == LEASE_HOOK_PROMOTE;
            break;
        case LEASE_COMMAND_SAVE: w->save = *c; break;
        case LEASE_COMMAND_ARM:
        case LEASE_COMMAND_EXTEND: w->guard = *c; break;
        case LEASE_COMMAND_FENCE:
            w->guard = *c;
            w->fences++;
            break;
        case LEASE_COMMAND_EXIT: w->exits++; break;
        case LEASE_COMMAND_CANCEL:
        case LEASE_COMMAND_HOOK_KILL:
        case LEASE_COMMAND_DISARM:
        case LEASE_COMMAND_NOTE: break;
        }
    }
}

void tick(struct world *w, uint64_t ns)
{
    struct lease_event e = {.type = LEASE_EVENT_TICK};

    w->now.fast_ns += ns;
    w->now.slow_ns += ns;
    feed(w, &e);
}

void answer_read(struct world *w, enum lease_answer answer)
{
    struct lease_event e = {.type = LEASE_EVENT_READ};

    assert_true(w->lease.op.id != 0 && !w->lease.op.is_write);
    e.read.op = w->lease.op.id;
    e.read.answer = answer;
    e.read.instance = 7;
    e.read.instance_up_ns = 1000 * S;
    e.read.row = w->row;
    feed(w, &e);
}

void answer_read_of_new_server(struct world *w)
{
    struct lease_event e = {.type = LEASE_EVENT_READ};

    e.read.op = w->lease.op.id;
    e.read.answer = LEASE_ANSWER_ROW;
    e.read.instance = 8;
    e.read.row = w->row;
    feed(w, &e);
}

void answer_write(struct world *w, enum lease_answer answer)
{
    struct lease_event e = {.type = LEASE_EVENT_WRITE};

    assert_true(w->lease.op.id != 0 && w->lease.op.is_write);
    e.write.op = w->lease.op.id;
    e.write.answer = answer;
    if (answer == LEASE_ANSWER_ROW) {
        w->row = w->lease.op.wanted;
        w->row.epoch_table = w->row.version.epoch;
    }
    feed(w, &e);
}

void hook_ends(struct world *w, enum lease_hook_result result)
{
    struct lease_event e = {.type = LEASE_EVENT_HOOK};

    assert_true(w->lease.hook_id != 0);
    e.hook.id = w->lease.hook_id;
    e.hook.result = result;
    feed(w, &e);
}

void guardian(struct world *w, enum lease_guardian_news news)
{
    struct lease_event e = {.type = LEASE_EVENT_GUARDIAN};

    e.guardian.news = news;
    e.guardian.epoch = w->lease.armed_epoch;
    feed(w, &e);
}

void saved(struct world *w)
{
    struct lease_event e = {.type = LEASE_EVENT_SAVED, .saved = {.id = w->lease.save_id, .ok = true}};

    assert_true(w->lease.save_id != 0);
    feed(w, &e);
}

void start(struct world *w, const struct lease_memory *memory)
{
    struct lease_config config = {
        .member = "m1", .priority = 100, .restarts = 1, .check_failures = 2, .restart_window_ns = 600 * S};
    struct lease_event e = {.type = LEASE_EVENT_START};

    lease_timing_defaults(20 * S, &config.timing);
    memset(w, 0, sizeof *w);
    w->now = (struct lease_now){.fast_ns = 1 * S, .slow_ns = 1 * S};
    w->row.ttl_ms = 20000;
    lease_init(&w->lease, &config);
    if (memory)
        e.start = *memory;
    feed(w, &e);
}

void follow(struct world *w, const struct lease_row *row)
{
    struct lease_row mine = *row;

    start(w, NULL);
    w->row = mine;
    guardian(w, LEASE_GUARDIAN_UP);
    answer_read(w, LEASE_ANSWER_ROW);
    hook_ends(w, LEASE_HOOK_DONE);
    hook_ends(w, LEASE_HOOK_STOPPED);
}

void lead(struct world *w)
{
    follow(w, &(struct lease_row){.ttl_ms = 20000});
    assert_int_equal(w->lease.role, LEASE_ACQUIRING);
    answer_write(w, LEASE_ANSWER_ROW);
    saved(w);
    answer_read(w, LEASE_ANSWER_ROW);
    assert_int_equal(w->lease.role, LEASE_PROMOTING);
    hook_ends(w, LEASE_HOOK_DONE);
    assert_int_equal(w->lease.role, LEASE_LEADER);
}

void watch(struct world *w, uint64_t ns)
{
    uint64_t until = w->now.fast_ns + ns;

    while (w->lease.role == LEASE_FOLLOWER && w->now.fast_ns < until) {
        tick(w, 100 * MS);
        if (w->lease.op.id != 0 && !w->lease.op.is_write)
            answer_read(w, LEASE_ANSWER_ROW);
        if (w->lease.hook_id != 0)
            hook_ends(w, LEASE_HOOK_STOPPED);
    }
}

struct lease_row held_row(uint64_t epoch, uint64_t counter)
{
    struct lease_row row = {.version = {.epoch = epoch, .counter = counter, .nonce = {{9}}},
                            .ttl_ms = 20000,
                            .state = LEASE_ROW_HELD,
                            .holder = "m2",
                            .epoch_table = epoch};

    return row;
}
