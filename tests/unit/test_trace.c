/*
 * Every event, command and state survives the way into text and back. Random ones: the seed is printed and
 * may be given as the first argument.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "trace/fields.h"
#include "trace/trace.h"

#define ROUNDS 20000

static uint64_t seed, dice;
static char text[TRACE_LIST_MAX], again[TRACE_LIST_MAX];

_Noreturn void lease_assert_failed(const char *expression, const char *file, int line)
{
    fprintf(stderr, "%s:%d: %s\n", file, line, expression);
    abort();
}

static uint64_t roll(void) /* xorshift */
{
    dice ^= dice << 13;
    dice ^= dice >> 7;
    dice ^= dice << 17;
    return dice;
}

/* Zero, small, round, or anything. */
static uint64_t number(void)
{
    switch (roll() % 4) {
    case 0: return 0;
    case 1: return roll() % 100;
    case 2: return roll() % 100000 * 1000000;
    default: return roll();
    }
}

static unsigned below(unsigned n)
{
    return (unsigned)(roll() % n);
}

static void name(char *to)
{
    size_t length = below(LEASE_NAME_MAX + 1);

    for (size_t i = 0; i < length; i++)
        to[i] = (char)(1 + below(255));
}

static void nonce(uint8_t *to)
{
    size_t length = below(LEASE_NONCE_SIZE + 1);

    for (size_t i = 0; i < length; i++)
        to[i] = (uint8_t)roll();
}

static void version(struct lease_version *v)
{
    v->epoch = number();
    v->counter = number();
    nonce(v->nonce.bytes);
}

static void row(struct lease_row *r)
{
    version(&r->version);
    r->ttl_ms = (uint32_t)number();
    r->state = below(3);
    name(r->holder);
    name(r->target);
    r->epoch_table = number();
    r->hold_ms = (uint32_t)number();
    r->hold_request = number();
}

static void random_event(struct trace_event *t)
{
    struct lease_event *e = &t->event;

    memset(t, 0, sizeof *t);
    e->type = below(LEASE_EVENT_STOP + 1);
    e->now.fast_ns = number();
    e->now.slow_ns = below(2) ? e->now.fast_ns : number() + 1;
    nonce(e->entropy);
    switch (e->type) {
    case LEASE_EVENT_START:
        e->start = (struct lease_memory){
            .epoch_seen = number(), .epoch = number(), .remaining_ns = number(), .unfinished = below(2)};
        nonce(e->start.nonce.bytes);
        nonce(e->start.next.bytes);
        nonce(e->start.incarnation.bytes);
        break;
    case LEASE_EVENT_READ:
        e->read.op = (uint32_t)number();
        e->read.answer = below(5);
        e->read.non_primary = below(2);
        e->read.instance = number();
        e->read.instance_up_ns = number();
        row(&e->read.row);
        break;
    case LEASE_EVENT_WRITE:
        e->write.op = (uint32_t)number();
        e->write.answer = below(5);
        break;
    case LEASE_EVENT_HOOK:
        e->hook.id = (uint32_t)number();
        e->hook.result = below(3);
        break;
    case LEASE_EVENT_GUARDIAN:
        e->guardian.news = below(4);
        e->guardian.epoch = number();
        break;
    case LEASE_EVENT_SAVED:
        e->saved.id = (uint32_t)number();
        e->saved.ok = below(2);
        break;
    case LEASE_EVENT_MEMBERS:
        e->members.list = t->members;
        e->members.count = below(4);
        for (size_t i = 0; i < e->members.count; i++) {
            struct lease_member *m = &t->members[i];

            m->name[0] = 'm'; /* a member without a name is none */
            name(m->name + 1 - (m->name[1] != 0));
            nonce(m->incarnation.bytes);
            m->heartbeat = number();
            m->epoch_seen = number();
            m->priority = (uint32_t)number();
            m->drifted = below(2);
            m->name[0] = 'm';
            m->name[LEASE_NAME_MAX] = '\0';
        }
        break;
    case LEASE_EVENT_REQUEST:
        e->request.kind = below(3);
        e->request.id = number();
        e->request.reason = below(LEASE_REASONS);
        e->request.hold_ns = number();
        name(e->request.target);
        break;
    case LEASE_EVENT_FITNESS: e->fitness.fit = below(2); break;
    case LEASE_EVENT_SETTINGS:
        e->settings.priority = (uint32_t)number();
        e->settings.restarts = (uint32_t)number();
        e->settings.check_failures = (uint32_t)number();
        e->settings.restart_window_ns = number();
        break;
    case LEASE_EVENT_HEALTH:
        e->health.epoch = below(100);
        e->health.healthy = below(2);
        break;
    case LEASE_EVENT_TICK:
    case LEASE_EVENT_STOP: break;
    }
    if (e->now.fast_ns == 0)
        e->now.slow_ns = 0; /* at time zero both are */
}

static void test_events(void **state)
{
    static struct trace_event t, back;
    struct trace_error error;

    (void)state;
    for (unsigned i = 0; i < ROUNDS; i++) {
        random_event(&t);
        assert_true(trace_event_print(&t.event, text, sizeof text) > 0);
        if (trace_event_parse(text, &back, &error) < 0)
            fail_msg("column %zu: %s: %s", error.column, error.what, text);
        if (t.event.type == LEASE_EVENT_MEMBERS)
            back.event.members.list = t.event.members.list; /* the same list elsewhere */
        assert_memory_equal(&back, &t, sizeof t);
        back.event.members.list =
            t.event.type == LEASE_EVENT_MEMBERS ? back.members : back.event.members.list;
        assert_true(trace_event_print(&back.event, again, sizeof again) > 0);
        assert_string_equal(text, again);
    }
}

static void random_command(struct lease_command *c)
{
    memset(c, 0, sizeof *c);
    c->type = below(LEASE_COMMAND_EXIT + 1);
    switch (c->type) {
    case LEASE_COMMAND_READ:
        c->read.op = (uint32_t)number();
        c->read.causal = below(2);
        c->read.controller_endpoint = below(2);
        break;
    case LEASE_COMMAND_WRITE:
        c->write.op = (uint32_t)number();
        c->write.kind = below(5);
        version(&c->write.expected);
        row(&c->write.wanted);
        break;
    case LEASE_COMMAND_CANCEL: c->cancel.op = (uint32_t)number(); break;
    case LEASE_COMMAND_HOOK:
        c->hook.id = (uint32_t)number();
        c->hook.hook = below(3);
        c->hook.budget_ns = number();
        c->hook.epoch = number();
        nonce(c->hook.nonce.bytes);
        c->hook.reason = below(LEASE_REASONS);
        name(c->hook.previous);
        break;
    case LEASE_COMMAND_HOOK_KILL: c->hook_kill.id = (uint32_t)number(); break;
    case LEASE_COMMAND_ARM:
    case LEASE_COMMAND_EXTEND:
    case LEASE_COMMAND_FENCE:
    case LEASE_COMMAND_DISARM:
        c->guard.epoch = number();
        c->guard.deadline_ns = number();
        nonce(c->guard.nonce.bytes);
        break;
    case LEASE_COMMAND_SAVE:
        c->save.id = (uint32_t)number();
        c->save.durable = below(2);
        c->save.epoch_seen = number();
        nonce(c->save.nonce.bytes);
        nonce(c->save.next.bytes);
        c->save.epoch = number();
        c->save.deadline_ns = number();
        break;
    case LEASE_COMMAND_NOTE:
        c->note.note = below(LEASE_NOTE_DOUBLE + 1);
        c->note.from = below(LEASE_ROLES);
        c->note.role = below(LEASE_ROLES);
        c->note.reason = below(LEASE_REASONS);
        c->note.epoch = number();
        break;
    case LEASE_COMMAND_EXIT: break;
    }
}

static void test_commands(void **state)
{
    struct lease_command c, back;
    struct trace_error error;

    (void)state;
    for (unsigned i = 0; i < ROUNDS; i++) {
        random_command(&c);
        assert_true(trace_command_print(&c, text, sizeof text) > 0);
        if (trace_command_parse(text, &back, &error) < 0)
            fail_msg("column %zu: %s: %s", error.column, error.what, text);
        assert_memory_equal(&back, &c, sizeof c);
    }
}

static void test_states(void **state)
{
    static struct lease lease, back;
    static char line[TRACE_STATE_MAX];
    struct lease_config config = {.member = "m1", .priority = 100};
    struct trace_error error;

    (void)state;
    lease_timing_defaults(20 * LEASE_NS_PER_S, &config.timing);
    lease_init(&lease, &config);
    for (unsigned i = 0; i < 200; i++) {
        ((uint8_t *)&lease)[roll() % sizeof lease] = (uint8_t)roll();
        assert_true(trace_state_print(&lease, line, sizeof line) > 0);
        assert_int_equal(trace_state_parse(line, &back, &error), 0);
        assert_memory_equal(&back, &lease, sizeof lease);
    }
    strcat(line, "00");
    assert_int_equal(trace_state_parse(line, &back, &error), -EINVAL);
    assert_int_equal(trace_state_parse("state build=0 size=1 bytes=00", &back, &error), -EINVAL);
    assert_string_equal(error.what, "this state is of another build");
    memset(&lease, 0xa5, sizeof lease); /* the longest that there is */
    assert_true(trace_state_print(&lease, line, sizeof line) > 0);
}

static void test_exact_text(void **state)
{
    static struct trace_event t;
    struct trace_error error;
    static const char *const lines[] = {
        "tick at=12.5s",
        "tick at=0.000000001s slow=0.000000002s",
        "read at=3s op=5 answer=row instance=7 instance_up=1000s epoch=3 counter=30 nonce=09 ttl_ms=20000 "
        "state=held "
        "holder=m2 epoch_table=3",
        "members at=1s name=m2 heartbeat=4 priority=100 drifted name=m%20 incarnation=0100ff priority=1",
        "request at=1s entropy=01 kind=hold id=3 reason=none hold=600s",
    };

    (void)state;
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        if (trace_event_parse(lines[i], &t, &error) < 0)
            fail_msg("column %zu: %s: %s", error.column, error.what, lines[i]);
        assert_true(trace_event_print(&t.event, text, sizeof text) > 0);
        assert_string_equal(text, lines[i]);
    }
    assert_int_equal(trace_event_print(&t.event, text, 10), -ENOSPC);
}

static void test_mistakes(void **state)
{
    static struct trace_event t;
    struct lease_command c;
    struct trace_error error;
    static const struct {
        const char *line;
        size_t column;
        const char *what;
    } bad[] = {
        {"", 1, "there is no such event"},
        {"elect at=1s", 1, "there is no such event"},
        {"tick at=1", 6, "this is no value for the field"},
        {"tick at=1s op=3", 12, "there is no such field here"},
        {"read at=1s op=4294967296", 15, "this is no value for the field"},
        {"read at=1s answer=maybe", 19, "this is no value for the field"},
        {"read at=1s op", 12, "this field needs a value"},
        {"read at=1s non_primary=1", 23, "this field stands alone, without a value"},
        {"read at=1s nonce=0", 18, "this is no value for the field"},
        {"read at=1s holder=", 19, "this is no value for the field"},
        {"read at=1s holder=a%0", 19, "this is no value for the field"},
        {"read at=1s holder=a%00", 19, "this is no value for the field"},
        {"start at=1s remaining=18446744074s", 23, "this is no value for the field"},
        {"start at=1s remaining=1.0000000001s", 23, "this is no value for the field"},
        {"members at=1s heartbeat=3", 15, "a member begins with its name"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(trace_event_parse(bad[i].line, &t, &error), -EINVAL);
        assert_string_equal(error.what, bad[i].what);
        assert_int_equal(error.column, bad[i].column);
    }
    assert_int_equal(trace_command_parse("WRITE op=1 kind=renew", &c, &error), -EINVAL);
    assert_int_equal(trace_command_parse("WRITE op=1 kind=renew if epoch=1", &c, &error), -EINVAL);
    assert_string_equal(error.what, "a write says \"then\" what it sets");
}

/* The words here are those that the core prints elsewhere. */
static void test_words(void **state)
{
    (void)state;
    for (unsigned i = 0; i < LEASE_REASONS; i++)
        assert_string_equal(words_reason[i], lease_reason_name(i));
    assert_null(words_reason[LEASE_REASONS]);
    for (unsigned i = 0; i < LEASE_ROLES; i++)
        assert_string_equal(words_role[i], lease_role_name(i));
    assert_null(words_role[LEASE_ROLES]);
    for (unsigned i = 0; words_answer[i]; i++)
        assert_string_equal(words_answer[i], lease_answer_name(i));
    for (unsigned i = 0; words_write[i]; i++)
        assert_string_equal(words_write[i], lease_write_name(i));
    for (unsigned i = 0; i <= LEASE_NOTE_DOUBLE; i++) {
        struct lease_command c = {.type = LEASE_COMMAND_NOTE, .note = {.note = i}};
        char expected[64];

        snprintf(expected, sizeof expected, "NOTE note=%s ", lease_note_name(i));
        assert_true(trace_command_print(&c, text, sizeof text) > 0);
        assert_memory_equal(text, expected, strlen(expected));
    }
}

int main(int argc, char *argv[])
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_events),     cmocka_unit_test(test_commands), cmocka_unit_test(test_states),
        cmocka_unit_test(test_exact_text), cmocka_unit_test(test_mistakes), cmocka_unit_test(test_words),
    };

    seed = argc > 1 ? strtoull(argv[1], NULL, 10) : (uint64_t)time(NULL);
    dice = seed | 1;
    printf("seed %llu\n", (unsigned long long)seed);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
