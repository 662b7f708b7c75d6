/*
 * The pure core, driven by hand: a world of one member, a database that answers what the test says, and
 * clocks that the test moves. Each test names the rule that it would catch the loss of.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/lease.h"

#define S  LEASE_NS_PER_S
#define MS LEASE_NS_PER_MS

_Noreturn void lease_assert_failed(const char *expression, const char *file, int line)
{
    fprintf(stderr, "%s:%d: the core's own invariant does not hold: %s\n", file, line, expression);
    abort();
}

struct world {
    struct lease lease;
    struct lease_now now;
    struct lease_commands out;
    struct lease_command write, read, hook, save, guard; /* the last of each */
    unsigned writes, promotes, fences, releases, exits;
    uint8_t seed;
    struct lease_row row;
};

static void feed(struct world *w, struct lease_event *e)
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

static void tick(struct world *w, uint64_t ns)
{
    struct lease_event e = {.type = LEASE_EVENT_TICK};

    w->now.fast_ns += ns;
    w->now.slow_ns += ns;
    feed(w, &e);
}

static void answer_read(struct world *w, enum lease_answer answer)
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

static void answer_write(struct world *w, enum lease_answer answer)
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

static void hook_ends(struct world *w, enum lease_hook_result result)
{
    struct lease_event e = {.type = LEASE_EVENT_HOOK};

    assert_true(w->lease.hook_id != 0);
    e.hook.id = w->lease.hook_id;
    e.hook.result = result;
    feed(w, &e);
}

static void guardian(struct world *w, enum lease_guardian_news news)
{
    struct lease_event e = {.type = LEASE_EVENT_GUARDIAN};

    e.guardian.news = news;
    e.guardian.epoch = w->lease.armed_epoch;
    feed(w, &e);
}

static void saved(struct world *w)
{
    struct lease_event e = {.type = LEASE_EVENT_SAVED, .saved = {.id = w->lease.save_id, .ok = true}};

    assert_true(w->lease.save_id != 0);
    feed(w, &e);
}

static void start(struct world *w, const struct lease_memory *memory)
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

/* Up to FOLLOWER, with the row read once. */
static void follow(struct world *w, const struct lease_row *row)
{
    struct lease_row mine = *row;

    start(w, NULL);
    w->row = mine;
    guardian(w, LEASE_GUARDIAN_UP);
    answer_read(w, LEASE_ANSWER_ROW);
    hook_ends(w, LEASE_HOOK_DONE);
    hook_ends(w, LEASE_HOOK_STOPPED);
}

static void lead(struct world *w)
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

static struct lease_row held_row(uint64_t epoch, uint64_t counter)
{
    struct lease_row row = {.version = {.epoch = epoch, .counter = counter, .nonce = {{9}}},
                            .ttl_ms = 20000,
                            .state = LEASE_ROW_HELD,
                            .holder = "m2",
                            .epoch_table = epoch};

    return row;
}

static void test_start_needs_epoch_saved_and_seen(void **state)
{
    struct world w;

    (void)state;
    follow(&w, &(struct lease_row){.ttl_ms = 20000});
    answer_write(&w, LEASE_ANSWER_ROW);
    assert_true(w.save.save.durable && w.save.save.epoch_seen == 1); /* R8 */
    assert_int_equal(w.promotes, 0);
    saved(&w);
    assert_true(w.read.read.causal && w.read.read.controller_endpoint); /* R9 */
    assert_int_equal(w.promotes, 0);
    answer_read(&w, LEASE_ANSWER_ROW);
    assert_int_equal(w.promotes, 1);
    assert_int_equal(w.hook.hook.epoch, 1);
    assert_int_equal(w.guard.type, LEASE_COMMAND_ARM); /* R5: armed before the hook */
}

static void test_deadline_counts_from_send(void **state)
{
    struct world w;
    uint64_t sent;

    (void)state;
    lead(&w);
    tick(&w, 2 * S);
    assert_int_equal(w.write.write.kind, LEASE_WRITE_RENEW);
    sent = w.now.fast_ns;
    w.now.fast_ns += 3 * S;
    w.now.slow_ns += 3 * S;
    answer_write(&w, LEASE_ANSWER_ROW);
    assert_int_equal(w.lease.deadline_ns, sent + 20 * S - S / 5); /* R1 */
    assert_int_equal(w.guard.guard.deadline_ns, w.lease.deadline_ns);
}

static void test_unknown_extends_nothing_and_loses_nothing(void **state)
{
    struct world w;
    uint64_t deadline;

    (void)state;
    lead(&w);
    deadline = w.lease.deadline_ns;
    tick(&w, 2 * S);
    answer_write(&w, LEASE_ANSWER_UNKNOWN);
    assert_int_equal(w.lease.deadline_ns, deadline); /* R3 */
    assert_int_equal(w.lease.role, LEASE_LEADER);
    /* It had landed: the next write meets MISMATCH, the causal read shows our nonce, and it goes on from
     * there. */
    tick(&w, S);
    w.row.version.counter++;
    answer_write(&w, LEASE_ANSWER_MISMATCH);
    assert_true(w.read.read.causal);
    assert_int_equal(w.lease.role, LEASE_LEADER);
    answer_read(&w, LEASE_ANSWER_ROW);
    assert_int_equal(w.write.write.expected.counter, w.row.version.counter);
    answer_write(&w, LEASE_ANSWER_ROW);
    assert_true(w.lease.deadline_ns > deadline);
}

static void test_another_nonce_fences_now(void **state)
{
    struct world w;

    (void)state;
    lead(&w);
    tick(&w, 2 * S);
    w.row = held_row(5, 50);
    answer_write(&w, LEASE_ANSWER_MISMATCH);
    answer_read(&w, LEASE_ANSWER_ROW);
    assert_int_equal(w.lease.role, LEASE_FENCED); /* R2 */
    assert_int_equal(w.fences, 1);
    assert_int_equal(w.releases, 0);
    guardian(&w, LEASE_GUARDIAN_STOPPED);
    assert_int_equal(w.lease.role, LEASE_FOLLOWER);
}

static void test_twin_is_lost(void **state)
{
    struct world w;

    (void)state;
    lead(&w);
    tick(&w, 2 * S);
    w.row.version.counter += 5; /* our nonce, a counter that we never wrote */
    answer_write(&w, LEASE_ANSWER_MISMATCH);
    answer_read(&w, LEASE_ANSWER_ROW);
    assert_int_equal(w.lease.role, LEASE_FENCED);
    assert_int_equal(w.lease.reason, LEASE_REASON_TWIN);
}

static void test_silence_demotes_in_time(void **state)
{
    struct world w;
    uint64_t deadline;

    (void)state;
    lead(&w);
    deadline = w.lease.deadline_ns;
    while (w.lease.role == LEASE_LEADER) {
        struct lease_now wake = lease_wake(&w.lease);
        uint64_t delay = wake.fast_ns - w.now.fast_ns;

        tick(&w, delay < MS ? MS : delay);
        if (w.lease.hook_id != 0 && w.lease.hook == LEASE_HOOK_CHECK && w.lease.role == LEASE_LEADER)
            hook_ends(&w, LEASE_HOOK_DONE);
        assert_true(w.now.fast_ns < deadline);
    }
    assert_int_equal(w.lease.role, LEASE_DEMOTING); /* R5 */
    assert_true(w.now.fast_ns >= deadline - 8 * S && w.now.fast_ns < deadline - 8 * S + 10 * MS);
}

static void test_release_only_after_confirmed_stop(void **state)
{
    struct world w;
    struct lease_event e = {.type = LEASE_EVENT_STOP};

    (void)state;
    lead(&w);
    feed(&w, &e);
    answer_write(&w, LEASE_ANSWER_ROW); /* the handover is announced */
    tick(&w, 2 * S);
    assert_int_equal(w.lease.role, LEASE_DEMOTING);
    while (w.lease.op.id != 0)
        answer_write(&w, LEASE_ANSWER_ROW);
    hook_ends(&w, LEASE_HOOK_DONE);
    hook_ends(&w, LEASE_HOOK_DONE); /* the check: it still runs */
    assert_int_equal(w.fences, 1);
    tick(&w, 3 * S);
    answer_write(&w, LEASE_ANSWER_ROW); /* R6: renewed meanwhile */
    assert_int_equal(w.write.write.kind, LEASE_WRITE_RENEW);
    assert_int_equal(w.releases, 0);
    guardian(&w, LEASE_GUARDIAN_STOPPED);
    assert_int_equal(w.save.save.deadline_ns, 0); /* R7: erased before */
    assert_int_equal(w.releases, 0);
    saved(&w);
    assert_int_equal(w.releases, 1);
    answer_write(&w, LEASE_ANSWER_ROW);
    assert_int_equal(w.exits, 1);
}

static void test_held_row_is_watched_for_a_whole_ttl(void **state)
{
    struct world w;
    struct lease_row row = held_row(3, 30);

    (void)state;
    follow(&w, &row);
    uint64_t since = w.lease.row_since_slow_ns;

    while (w.lease.role == LEASE_FOLLOWER) {
        tick(&w, 500 * MS);
        if (w.lease.op.id != 0 && !w.lease.op.is_write)
            answer_read(&w, LEASE_ANSWER_ROW);
        if (w.lease.hook_id != 0)
            hook_ends(&w, LEASE_HOOK_STOPPED);
    }
    assert_int_equal(w.lease.role, LEASE_ACQUIRING);
    assert_true(w.now.slow_ns - since >= 20 * S + S / 5); /* R4 */
    assert_true(w.now.slow_ns - since < 22 * S);
    assert_int_equal(w.write.write.wanted.version.epoch, 4);
}

static void test_challenger_counts_on_the_slow_clock(void **state)
{
    struct world w;
    struct lease_row row = held_row(3, 30);

    (void)state;
    follow(&w, &row);
    w.now.fast_ns += 100 * S; /* suspended, by one of both clocks */
    tick(&w, MS);
    if (w.lease.hook_id != 0)
        hook_ends(&w, LEASE_HOOK_STOPPED);
    answer_read(&w, LEASE_ANSWER_ROW);
    assert_int_equal(w.lease.role, LEASE_FOLLOWER);
}

static void test_free_row_below_memory_is_watched(void **state)
{
    struct world w;
    struct lease_row row = {
        .version = {.epoch = 3, .counter = 30}, .ttl_ms = 20000, .holder = "m2", .epoch_table = 3};
    struct lease_member member = {.name = "m3", .heartbeat = 1, .epoch_seen = 9, .priority = 100};
    struct lease_event e = {.type = LEASE_EVENT_MEMBERS, .members = {.list = &member, .count = 1}};

    (void)state;
    start(&w, NULL);
    w.row = row;
    guardian(&w, LEASE_GUARDIAN_UP);
    feed(&w, &e);
    answer_read(&w, LEASE_ANSWER_ROW);
    hook_ends(&w, LEASE_HOOK_DONE);
    hook_ends(&w, LEASE_HOOK_STOPPED);
    assert_int_equal(w.lease.role, LEASE_FOLLOWER); /* not at once */
    for (unsigned i = 0; i < 60 && w.lease.role == LEASE_FOLLOWER; i++) {
        tick(&w, 500 * MS);
        if (w.lease.op.id != 0 && !w.lease.op.is_write)
            answer_read(&w, LEASE_ANSWER_ROW);
        if (w.lease.hook_id != 0)
            hook_ends(&w, LEASE_HOOK_STOPPED);
    }
    assert_int_equal(w.write.write.wanted.version.epoch, 10); /* R8: above every memory */
}

static void test_unsettled_nonce_is_not_replaced(void **state)
{
    struct world w;
    struct lease_nonce first;

    (void)state;
    follow(&w, &(struct lease_row){.ttl_ms = 20000});
    first = w.write.write.wanted.version.nonce;
    answer_write(&w, LEASE_ANSWER_UNKNOWN);
    tick(&w, S);
    answer_read(&w, LEASE_ANSWER_ROW);                                              /* not there, not yet */
    assert_memory_equal(&w.write.write.wanted.version.nonce, &first, sizeof first); /* R3 */
    /* It lands late: a read is no proof of holding, a renewal is. */
    w.row = w.write.write.wanted;
    answer_write(&w, LEASE_ANSWER_MISMATCH);
    answer_read(&w, LEASE_ANSWER_ROW);
    assert_int_equal(w.write.write.kind, LEASE_WRITE_RENEW);
    assert_int_equal(w.lease.deadline_ns, 0);
    assert_int_equal(w.promotes, 0);
}

static void test_resume_is_a_new_nonce_and_a_new_epoch(void **state)
{
    struct world w;
    struct lease_memory memory = {.epoch_seen = 4, .epoch = 4, .nonce = {{9}}, .remaining_ns = 15 * S};

    (void)state;
    start(&w, &memory);
    assert_int_equal(w.guard.type, LEASE_COMMAND_ARM);
    w.row = held_row(4, 40);
    guardian(&w, LEASE_GUARDIAN_UP);
    answer_read(&w, LEASE_ANSWER_ROW);
    assert_int_equal(w.write.write.kind, LEASE_WRITE_RESUME); /* R7 */
    assert_true(memcmp(&w.write.write.wanted.version.nonce, &memory.nonce, sizeof memory.nonce) != 0);
    answer_write(&w, LEASE_ANSWER_ROW);
    hook_ends(&w, LEASE_HOOK_STOPPED);
    assert_int_equal(w.write.write.kind, LEASE_WRITE_BUMP); /* R9 */
    assert_int_equal(w.write.write.wanted.version.epoch, 5);
    assert_int_equal(w.promotes, 0);
}

static void test_rogue_controller_is_stopped(void **state)
{
    struct world w;
    struct lease_row row = held_row(3, 30);

    (void)state;
    follow(&w, &row);
    if (w.lease.op.id != 0)
        answer_read(&w, LEASE_ANSWER_ROW);
    tick(&w, 5 * S);
    assert_int_equal(w.hook.hook.hook, LEASE_HOOK_CHECK);
    hook_ends(&w, LEASE_HOOK_DONE);
    assert_int_equal(w.lease.role, LEASE_DEMOTING); /* R13 */
    assert_int_equal(w.lease.reason, LEASE_REASON_ROGUE);
    assert_int_equal(w.hook.hook.hook, LEASE_HOOK_DEMOTE);
}

static void test_restart_in_place_bumps_the_epoch(void **state)
{
    struct world w;

    (void)state;
    lead(&w);
    tick(&w, 5 * S);
    while (w.lease.op.id != 0)
        answer_write(&w, LEASE_ANSWER_ROW);
    hook_ends(&w, LEASE_HOOK_STOPPED);
    assert_int_equal(w.lease.role, LEASE_DEMOTING);
    hook_ends(&w, LEASE_HOOK_DONE);
    hook_ends(&w, LEASE_HOOK_STOPPED);
    assert_int_equal(w.lease.role, LEASE_ACQUIRING);
    assert_int_equal(w.write.write.kind, LEASE_WRITE_BUMP);
    assert_int_equal(w.write.write.wanted.version.epoch, 2);
}

static void test_rank_follows_priority_then_name(void **state)
{
    struct world w;
    struct lease_row row = held_row(3, 30);
    struct lease_member members[] = {{.name = "m2", .heartbeat = 1, .priority = 900},
                                     {.name = "a1", .heartbeat = 1, .priority = 100},
                                     {.name = "m3", .heartbeat = 1, .priority = 200},
                                     {.name = "a0", .heartbeat = 1, .priority = 0}};
    struct lease_event e = {.type = LEASE_EVENT_MEMBERS, .members = {.list = members, .count = 4}};

    (void)state;
    follow(&w, &row);
    feed(&w, &e);
    assert_int_equal(lease_rank(&w.lease), 0); /* nobody was seen moving yet */
    for (unsigned i = 0; i < 4; i++)
        members[i].heartbeat++;
    feed(&w, &e);
    assert_int_equal(lease_rank(&w.lease), 2); /* R11: a1 and m3; not the holder, not priority 0 */
    w.now.slow_ns += 60 * S;
    w.now.fast_ns += 60 * S;
    tick(&w, 0);
    assert_int_equal(lease_rank(&w.lease), 0); /* they went quiet */
}

/* Hosts come and go; the names of those that are gone keep no room from those that live. */
static void test_a_full_memory_of_names_makes_room(void **state)
{
    struct world w;
    struct lease_row row = held_row(3, 30);
    struct lease_member gone[LEASE_MEMBERS_MAX] = {0}, living[] = {{.name = "new", .priority = 200}};
    struct lease_event e = {.type = LEASE_EVENT_MEMBERS,
                            .members = {.list = gone, .count = LEASE_MEMBERS_MAX}};

    (void)state;
    follow(&w, &row);
    for (unsigned i = 0; i < LEASE_MEMBERS_MAX; i++)
        snprintf(gone[i].name, sizeof gone[i].name, "gone%u", i);
    feed(&w, &e);
    e.members.list = living;
    e.members.count = 1;
    feed(&w, &e);
    living[0].heartbeat++;
    feed(&w, &e);
    assert_int_equal(lease_rank(&w.lease), 1); /* R11 */
    /* Our own row is heard also when there is no room for it. */
    gone[LEASE_MEMBERS_MAX - 1] = (struct lease_member){.name = "m1", .drifted = true};
    e.members.list = gone;
    e.members.count = LEASE_MEMBERS_MAX;
    feed(&w, &e);
    assert_true(w.lease.drifted);
}

static void ask(struct world *w, enum lease_request kind, uint64_t hold_ns)
{
    struct lease_event e = {.type = LEASE_EVENT_REQUEST,
                            .request = {.kind = kind, .id = 8, .hold_ns = hold_ns}};

    feed(w, &e);
}

static void test_hold_lengthens_and_shortens_first(void **state)
{
    struct world w;

    (void)state;
    lead(&w);
    ask(&w, LEASE_REQUEST_HOLD, 600 * S);
    assert_int_equal(w.write.write.kind, LEASE_WRITE_RENEW); /* at once */
    assert_int_equal(w.write.write.wanted.ttl_ms, 600000);   /* R12 */
    assert_int_equal(w.write.write.wanted.hold_ms, 600000);
    assert_true(w.lease.deadline_ns <= w.now.fast_ns + 20 * S); /* not before it is confirmed */
    answer_write(&w, LEASE_ANSWER_ROW);
    assert_int_equal(w.lease.deadline_ns, w.now.fast_ns + 594 * S);
    tick(&w, 100 * S); /* a silent database costs nothing now */
    assert_int_equal(w.lease.role, LEASE_LEADER);
    assert_int_equal(w.write.write.wanted.ttl_ms, 500000); /* towards the same end */
    uint64_t before = w.lease.deadline_ns;

    assert_int_equal(w.guard.guard.deadline_ns, before);
    answer_write(&w, LEASE_ANSWER_ROW);
    assert_true(w.lease.deadline_ns >= before && w.lease.deadline_ns <= before + S);
    while (w.lease.hook_id != 0)
        hook_ends(&w, LEASE_HOOK_DONE);
    ask(&w, LEASE_REQUEST_UNHOLD, 0);
    assert_int_equal(w.lease.op.id, 0); /* R7: a restart would count on what the disk says */
    assert_int_equal(w.lease.save_deadline_ns, w.now.fast_ns + 19800 * MS);
    saved(&w);
    assert_int_equal(w.write.write.wanted.ttl_ms, 20000);
    /* R1: the answer may be lost, so the deadline falls before it is known. */
    assert_int_equal(w.lease.deadline_ns, w.now.fast_ns + 19800 * MS);
    assert_int_equal(w.guard.type, LEASE_COMMAND_EXTEND);
    assert_int_equal(w.guard.guard.deadline_ns, w.now.fast_ns + 19800 * MS);
}

static void test_hold_ends_by_itself(void **state)
{
    struct world w;

    (void)state;
    lead(&w);
    ask(&w, LEASE_REQUEST_HOLD, 30 * S);
    for (unsigned i = 0; i < 70; i++) {
        if (w.lease.op.id != 0)
            answer_write(&w, LEASE_ANSWER_ROW);
        if (w.lease.hook_id != 0)
            hook_ends(&w, LEASE_HOOK_DONE);
        tick(&w, 500 * MS);
    }
    assert_int_equal(w.lease.role, LEASE_LEADER);
    assert_int_equal(lease_hold_left_ns(&w.lease), 0);
    assert_int_equal(w.write.write.wanted.ttl_ms, 20000);
    assert_int_equal(w.write.write.wanted.hold_ms, 0);
    assert_false(w.lease.hold_confirmed);
}

static void test_hold_outlives_its_sidecar(void **state)
{
    struct world w;
    struct lease_memory memory = {.epoch_seen = 4, .epoch = 4, .nonce = {{9}}, .remaining_ns = 300 * S};

    (void)state;
    start(&w, &memory);
    w.row = held_row(4, 40);
    w.row.ttl_ms = 400000;
    guardian(&w, LEASE_GUARDIAN_UP);
    answer_read(&w, LEASE_ANSWER_ROW);
    assert_int_equal(w.write.write.kind, LEASE_WRITE_RESUME);
    assert_int_equal(w.write.write.wanted.ttl_ms, 303030);  /* to the stored deadline */
    assert_true(lease_hold_left_ns(&w.lease) >= 300 * S);   /* and on, until its end */
    assert_int_equal(w.write.write.wanted.hold_request, 0); /* the reason stands in the row */
}

/* R4 and R12: a free row that lost a hold is watched as long as that hold's holder may act. */
static void test_lost_hold_is_watched_in_full(void **state)
{
    struct world w;
    struct lease_row row = held_row(3, 30);
    struct lease_row stale = {
        .ttl_ms = 20000, .version = {.epoch = 2, .counter = 20}, .holder = "m2", .epoch_table = 2};

    (void)state;
    row.ttl_ms = 600000;
    follow(&w, &row);
    w.row = stale;
    for (unsigned i = 0; i < 600 && w.lease.role == LEASE_FOLLOWER; i++) {
        tick(&w, S);
        if (w.lease.op.id != 0 && !w.lease.op.is_write)
            answer_read(&w, LEASE_ANSWER_ROW);
        if (w.lease.hook_id != 0)
            hook_ends(&w, LEASE_HOOK_STOPPED);
    }
    assert_int_equal(w.lease.role, LEASE_FOLLOWER);
}

static void members(struct world *w, uint8_t incarnation, uint64_t heartbeat)
{
    struct lease_member row = {.name = "m1", .heartbeat = heartbeat, .incarnation = {{incarnation}}};
    struct lease_event e = {.type = LEASE_EVENT_MEMBERS, .members = {.list = &row, .count = 1}};

    feed(w, &e);
}

static void start_named(struct world *w, uint8_t previous)
{
    struct lease_event e = {.type = LEASE_EVENT_START, .start = {.incarnation = {{previous}}}};
    struct lease_config config;

    start(w, NULL);
    config = w->lease.config;
    config.incarnation = (struct lease_nonce){{5}};
    lease_init(&w->lease, &config);
    feed(w, &e);
    guardian(w, LEASE_GUARDIAN_UP);
    answer_read(w, LEASE_ANSWER_ROW);
    hook_ends(w, LEASE_HOOK_DONE);
    hook_ends(w, LEASE_HOOK_STOPPED);
    assert_int_equal(w->lease.role, LEASE_FOLLOWER); /* R10: first of all the name */
    assert_int_equal(lease_name_right(&w->lease), LEASE_NAME_WAIT);
}

static void test_newcomer_of_a_live_name_ends(void **state)
{
    struct world w;

    (void)state;
    start_named(&w, 0);
    members(&w, 7, 100);
    assert_int_equal(w.lease.role, LEASE_FOLLOWER);
    members(&w, 7, 101);
    assert_int_equal(w.lease.name, LEASE_NAME_DOUBLE); /* R10 */
    if (w.lease.save_id != 0)
        saved(&w);
    assert_int_equal(w.exits, 1);
}

static void test_dead_name_is_taken(void **state)
{
    struct world w;

    (void)state;
    start_named(&w, 0);
    members(&w, 7, 100);
    tick(&w, 7 * S);
    members(&w, 7, 100);
    assert_int_equal(w.lease.name, LEASE_NAME_OPEN); /* may only be slow */
    tick(&w, 2 * S);
    members(&w, 7, 100);
    assert_int_equal(lease_name_right(&w.lease), LEASE_NAME_TAKE);
    members(&w, 5, 1);
    assert_int_equal(lease_name_right(&w.lease), LEASE_NAME_KEEP);
    start_named(&w, 7); /* the sidecar before us on this host */
    members(&w, 7, 100);
    assert_int_equal(lease_name_right(&w.lease), LEASE_NAME_TAKE);
    start_named(&w, 0);
    members(&w, 0, 100); /* ended in order */
    assert_int_equal(lease_name_right(&w.lease), LEASE_NAME_TAKE);
}

static void test_leader_keeps_its_name(void **state)
{
    struct world w;

    (void)state;
    start_named(&w, 0);
    members(&w, 5, 1);
    if (w.lease.save_id != 0)
        saved(&w);
    while (w.lease.role == LEASE_FOLLOWER) {
        tick(&w, 500 * MS);
        if (w.lease.op.id != 0 && !w.lease.op.is_write)
            answer_read(&w, LEASE_ANSWER_ROW);
    }
    answer_write(&w, LEASE_ANSWER_ROW);
    members(&w, 7, 1);
    assert_int_equal(lease_name_right(&w.lease), LEASE_NAME_KEEP);
    members(&w, 7, 2);
    assert_int_equal(lease_name_right(&w.lease), LEASE_NAME_TAKE);
    assert_int_equal(w.lease.name, LEASE_NAME_OURS);
    assert_int_equal(w.exits, 0);
}

static void test_edges(void **state)
{
    (void)state;
    assert_false(lease_edge_legal(LEASE_DEMOTING, LEASE_LEADER));
    assert_false(lease_edge_legal(LEASE_FENCED, LEASE_LEADER));
    assert_false(lease_edge_legal(LEASE_FENCED, LEASE_ACQUIRING));
    assert_false(lease_edge_legal(LEASE_FOLLOWER, LEASE_LEADER));
    assert_true(lease_edge_legal(LEASE_FENCED, LEASE_FOLLOWER));
}

static void test_timing(void **state)
{
    struct lease_timing t;

    (void)state;
    for (uint64_t ttl = 1; ttl <= 3600; ttl *= 2) {
        lease_timing_defaults(ttl * S, &t);
        assert_int_equal(lease_timing_check(&t), LEASE_TIMING_OK);
        assert_true(lease_timing_hold_ns(ttl * S) < ttl * S && lease_timing_watch_ns(ttl * S) > ttl * S);
    }
    lease_timing_defaults(20 * S, &t);
    assert_int_equal(lease_timing_silent_ns(&t), 10 * S);
    t.demote_budget_ns = 15 * S;
    assert_int_equal(lease_timing_check(&t), LEASE_TIMING_NO_SILENCE);
    lease_timing_defaults(20 * S, &t);
    t.check_budget_ns = 3 * S;
    assert_int_equal(lease_timing_check(&t), LEASE_TIMING_CHECK_BUDGET);
}

/* A read from a server that has just been started. */
static void answer_read_of_new_server(struct world *w)
{
    struct lease_event e = {.type = LEASE_EVENT_READ};

    e.read.op = w->lease.op.id;
    e.read.answer = LEASE_ANSWER_ROW;
    e.read.instance = 8;
    e.read.row = w->row;
    feed(w, &e);
}

/* Reads whenever it asks, until @ns have passed or it claims. */
static void watch(struct world *w, uint64_t ns)
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

static void test_row_made_again_is_watched(void **state)
{
    struct lease_row row = held_row(3, 30), again = {.ttl_ms = 20000, .epoch_table = 3};
    struct world w;

    (void)state;
    again.version.epoch = 3;
    follow(&w, &row);
    w.row = again; /* deleted and made again between two reads: its holder may still act */
    watch(&w, 15 * S);
    assert_int_equal(w.lease.role, LEASE_FOLLOWER); /* R4 */
    watch(&w, 6 * S);
    assert_int_equal(w.lease.role, LEASE_ACQUIRING);
}

static void test_edited_ttl_is_not_believed_below_ours(void **state)
{
    struct lease_row row = held_row(3, 30);
    struct world w;

    (void)state;
    row.ttl_ms = 5000; /* the first that we see of this version */
    follow(&w, &row);
    watch(&w, 15 * S);
    assert_int_equal(w.lease.role, LEASE_FOLLOWER); /* R4 */
    watch(&w, 6 * S);
    assert_int_equal(w.lease.role, LEASE_ACQUIRING);
}

static void test_restarted_server_begins_the_watch_anew(void **state)
{
    struct lease_row row = held_row(3, 30);
    struct world w;

    (void)state;
    follow(&w, &row);
    watch(&w, 15 * S);
    while (w.lease.op.id == 0)
        tick(&w, 100 * MS);
    answer_read_of_new_server(&w); /* the same row: but renewals after it may be lost */
    w.lease.instance = 7;          /* the next answers are of the same server */
    watch(&w, 15 * S);
    assert_int_equal(w.lease.role, LEASE_FOLLOWER); /* R4 */
    watch(&w, 6 * S);
    assert_int_equal(w.lease.role, LEASE_ACQUIRING);
}

static void test_claim_is_not_repeated_on_a_restarted_server(void **state)
{
    struct lease_row row = {.ttl_ms = 20000, .version = {.epoch = 3, .counter = 30}, .epoch_table = 3};
    struct world w;

    (void)state;
    follow(&w, &row);
    assert_int_equal(w.lease.role, LEASE_ACQUIRING);
    answer_write(&w, LEASE_ANSWER_UNKNOWN);
    tick(&w, S);
    answer_read_of_new_server(&w);
    assert_int_equal(w.lease.role, LEASE_FOLLOWER); /* R4: what we saw free may have been taken, and lost */
}

static void test_claim_behind_a_lost_row_is_given_up(void **state)
{
    struct lease_row row = {.ttl_ms = 20000, .version = {.epoch = 3, .counter = 30}, .epoch_table = 3};
    struct lease_nonce first;
    struct world w;

    (void)state;
    follow(&w, &row);
    first = w.lease.claim_nonce;
    answer_write(&w, LEASE_ANSWER_UNKNOWN);
    w.row.version.counter = 25; /* the version that the claim waits for is gone for ever */
    tick(&w, S);
    answer_read(&w, LEASE_ANSWER_ROW);
    assert_int_equal(w.lease.role, LEASE_FOLLOWER);
    watch(&w, 60 * S);
    assert_int_equal(w.lease.role, LEASE_ACQUIRING);
    assert_memory_not_equal(&w.lease.claim_nonce, &first, sizeof first);
}

static void test_late_resume_never_starts_under_its_old_epoch(void **state)
{
    struct lease_memory memory = {.epoch_seen = 5, .epoch = 5, .remaining_ns = 15 * S, .nonce = {{9}}};
    struct lease_event stopped;
    struct world w;

    (void)state;
    start(&w, &memory);
    guardian(&w, LEASE_GUARDIAN_UP);
    w.row = held_row(5, 50);
    answer_read(&w, LEASE_ANSWER_ROW);
    assert_int_equal(w.write.write.kind, LEASE_WRITE_RESUME);
    answer_write(&w, LEASE_ANSWER_UNKNOWN);
    while (w.lease.role !=
           LEASE_FOLLOWER) { /* nobody answers: the deadline comes, the controller is stopped */
        tick(&w, 100 * MS);
        if (w.lease.hook_id != 0)
            hook_ends(&w, LEASE_HOOK_STOPPED);
        if (w.lease.save_id != 0)
            saved(&w);
    }
    (void)stopped;
    if (w.lease.save_id != 0)
        saved(&w);
    w.lease.op.id = 0;
    watch(&w, 40 * S);
    assert_int_equal(w.write.write.kind, LEASE_WRITE_ACQUIRE);
    assert_true(w.write.write.wanted.version.epoch > 5); /* R8, R9: never the epoch of the start before */
}

static void test_claim_rises_above_what_others_remember(void **state)
{
    struct lease_row row = {.ttl_ms = 20000, .version = {.epoch = 3, .counter = 30}, .epoch_table = 3};
    struct lease_member m = {.name = "m2", .heartbeat = 1, .epoch_seen = 4, .priority = 100};
    struct lease_event e = {.type = LEASE_EVENT_MEMBERS, .members = {.list = &m, .count = 1}};
    struct world w;

    (void)state;
    follow(&w, &row);
    assert_int_equal(w.write.write.wanted.version.epoch, 4);
    feed(&w, &e); /* 4 has been used, and lost: m2 remembers */
    answer_write(&w, LEASE_ANSWER_ROW);
    assert_int_equal(w.write.write.kind, LEASE_WRITE_BUMP); /* R8 */
    assert_int_equal(w.write.write.wanted.version.epoch, 5);
    assert_int_equal(w.promotes, 0);
}

static void test_renewal_of_a_hold_given_up_is_no_hold(void **state)
{
    struct world w;

    (void)state;
    lead(&w);
    while (w.lease.role != LEASE_DEMOTING) {
        tick(&w, 100 * MS);
        if (w.lease.hook_id != 0 && w.lease.hook == LEASE_HOOK_CHECK)
            hook_ends(&w, LEASE_HOOK_DONE);
    }
    hook_ends(&w, LEASE_HOOK_DONE);
    while (w.lease.op.id == 0 || !w.lease.op.is_write)
        tick(&w, 100 * MS);
    w.lease.deadline_ns = w.now.fast_ns; /* sent before the deadline, answered after it */
    hook_ends(&w, LEASE_HOOK_STOPPED);
    assert_int_equal(w.lease.role, LEASE_FOLLOWER);
    answer_write(&w, LEASE_ANSWER_ROW);
    assert_int_equal(w.lease.role, LEASE_FOLLOWER);
    assert_false(w.lease.holding);
}

static void test_claim_given_up_and_confirmed_is_no_hold(void **state)
{
    struct lease_memory memory = {.epoch_seen = 5, .epoch = 5, .remaining_ns = 12 * S, .nonce = {{9}}};
    struct world w;

    (void)state;
    start(&w, &memory);
    guardian(&w, LEASE_GUARDIAN_UP);
    w.row = held_row(5, 50);
    answer_read(&w, LEASE_ANSWER_ROW);
    assert_int_equal(w.write.write.kind, LEASE_WRITE_RESUME);
    while (w.lease.role == LEASE_ACQUIRING)
        tick(&w, 100 * MS);
    hook_ends(&w, LEASE_HOOK_DONE);
    hook_ends(&w, LEASE_HOOK_STOPPED);
    assert_int_equal(w.lease.role, LEASE_FOLLOWER);
    answer_write(&w, LEASE_ANSWER_ROW); /* the resume, at last */
    assert_int_equal(w.lease.role, LEASE_FOLLOWER);
    tick(&w, S);
    answer_read(&w, LEASE_ANSWER_ROW); /* the row says that it is ours: settled from there (R3) */
    assert_int_equal(w.lease.role, LEASE_ACQUIRING);
}

static void test_two_dead_guardians_and_no_start(void **state)
{
    struct world w;

    (void)state;
    follow(&w, &(struct lease_row){.ttl_ms = 20000});
    assert_int_equal(w.lease.role, LEASE_ACQUIRING);
    guardian(&w, LEASE_GUARDIAN_DOWN);
    guardian(&w, LEASE_GUARDIAN_UP);
    guardian(&w, LEASE_GUARDIAN_DOWN);
    guardian(&w, LEASE_GUARDIAN_UP);
    answer_write(&w, LEASE_ANSWER_ROW);
    assert_int_equal(w.promotes, 0); /* not started, to be stopped in the same step */
    assert_int_equal(w.lease.role, LEASE_DEMOTING);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_start_needs_epoch_saved_and_seen),
        cmocka_unit_test(test_deadline_counts_from_send),
        cmocka_unit_test(test_unknown_extends_nothing_and_loses_nothing),
        cmocka_unit_test(test_another_nonce_fences_now),
        cmocka_unit_test(test_twin_is_lost),
        cmocka_unit_test(test_silence_demotes_in_time),
        cmocka_unit_test(test_release_only_after_confirmed_stop),
        cmocka_unit_test(test_held_row_is_watched_for_a_whole_ttl),
        cmocka_unit_test(test_challenger_counts_on_the_slow_clock),
        cmocka_unit_test(test_free_row_below_memory_is_watched),
        cmocka_unit_test(test_unsettled_nonce_is_not_replaced),
        cmocka_unit_test(test_resume_is_a_new_nonce_and_a_new_epoch),
        cmocka_unit_test(test_rogue_controller_is_stopped),
        cmocka_unit_test(test_restart_in_place_bumps_the_epoch),
        cmocka_unit_test(test_rank_follows_priority_then_name),
        cmocka_unit_test(test_a_full_memory_of_names_makes_room),
        cmocka_unit_test(test_hold_lengthens_and_shortens_first),
        cmocka_unit_test(test_hold_ends_by_itself),
        cmocka_unit_test(test_hold_outlives_its_sidecar),
        cmocka_unit_test(test_lost_hold_is_watched_in_full),
        cmocka_unit_test(test_newcomer_of_a_live_name_ends),
        cmocka_unit_test(test_dead_name_is_taken),
        cmocka_unit_test(test_leader_keeps_its_name),
        cmocka_unit_test(test_row_made_again_is_watched),
        cmocka_unit_test(test_edited_ttl_is_not_believed_below_ours),
        cmocka_unit_test(test_restarted_server_begins_the_watch_anew),
        cmocka_unit_test(test_claim_is_not_repeated_on_a_restarted_server),
        cmocka_unit_test(test_claim_behind_a_lost_row_is_given_up),
        cmocka_unit_test(test_late_resume_never_starts_under_its_old_epoch),
        cmocka_unit_test(test_claim_rises_above_what_others_remember),
        cmocka_unit_test(test_renewal_of_a_hold_given_up_is_no_hold),
        cmocka_unit_test(test_claim_given_up_and_confirmed_is_no_hold),
        cmocka_unit_test(test_two_dead_guardians_and_no_start),
        cmocka_unit_test(test_edges),
        cmocka_unit_test(test_timing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
