/*
 * The core against whatever it may be told: answers to what it asked for, late and unasked-for ones, rows
 * with any numbers in them, clocks that jump. Its own invariants are the judge, and:
 *
 *   - it asks to be woken later than now, or never
 *   - the same state and the same event give the same commands and the same state
 *   - no more commands than there is room for
 *
 * An input is a configuration, then events of a few bytes each. One that breaks something is printed as a
 * scenario.
 */
#include <string.h>

#include "caught.h"
#include "core/lease.h"
#include "fuzz.h"
#include "retell.h"

#define EVENTS_MAX 400

struct input {
    const uint8_t *data;
    size_t size, at;
};

struct world {
    struct lease lease;
    struct lease_config config;
    struct lease_now now;
    struct lease_row row; /* what the database has, as far as it is honest */
    struct lease_command read, write, hook, save;
    struct lease_nonce nonces[8]; /* lately drawn by the core */
    unsigned draws;
    struct lease_member members[4];
};

static uint8_t take(struct input *in)
{
    return in->at < in->size ? in->data[in->at++] : 0;
}

static const char *const names[] = {"m1", "m2", "a", "", "m1x"};

static void take_name(struct input *in, char ret[LEASE_NAME_MAX + 1])
{
    uint8_t b = take(in);

    memset(ret, 0, LEASE_NAME_MAX + 1);
    if (b >= 250)
        memset(ret, 'n', LEASE_NAME_MAX);
    else
        strcpy(ret, names[b % (sizeof names / sizeof names[0])]);
}

/* Numbers near what is there, and at the edges. */
static uint64_t take_number(struct input *in, uint64_t near)
{
    static const uint64_t edges[] = {
        0,         1, UINT32_MAX, LEASE_EPOCH_MAX - 1, LEASE_EPOCH_MAX, LEASE_EPOCH_MAX + 1, UINT64_MAX - 1,
        UINT64_MAX};
    uint8_t b = take(in);

    if (b >= 0xf0)
        return edges[b & 7];
    return b < 0xc0 ? near : near + (uint64_t)(b & 0x1f) - 8;
}

/* Of a row, which has passed its decoder. */
static uint64_t take_version(struct input *in, uint64_t near)
{
    uint64_t n = take_number(in, near);

    return n <= LEASE_EPOCH_MAX ? n : LEASE_EPOCH_MAX;
}

static void take_nonce(struct world *w, struct input *in, struct lease_nonce *ret)
{
    uint8_t b = take(in);

    if (b < 0x80)
        return; /* as it is */
    *ret = b < 0xe0 ? w->nonces[b % 8] : (struct lease_nonce){{(uint8_t)(b & 1 ? b : 0)}};
}

static uint64_t take_duration(struct input *in, uint64_t ttl_ns)
{
    static const uint64_t odd[] = {0, 1, LEASE_HOLD_MAX_NS, UINT64_MAX / 2, UINT64_MAX - 1, UINT64_MAX};
    uint8_t b = take(in);

    return b >= 0xf8 ? odd[b % 6] : ttl_ns / 64 * b;
}

/* The clocks only go forward in a host; how far, and how far apart, is anybody's guess. */
static void pass_time(struct world *w, struct input *in)
{
    struct lease_now wake = lease_wake(&w->lease);
    uint8_t how = take(in);
    uint64_t fast = 0, ttl = w->config.timing.ttl_ns;

    if (how >= 0x40 && how < 0xc0 && wake.fast_ns != LEASE_NEVER && wake.fast_ns > w->now.fast_ns)
        fast = wake.fast_ns - w->now.fast_ns;
    else if (how >= 0xc0 && how < 0xfe)
        fast = ttl / 32 * (how & 0x3f);
    else if (how >= 0xfe)
        fast = 100 * ttl;
    w->now.fast_ns += fast;
    w->now.slow_ns += how & 1 ? fast : fast / 100 * 92;
}

static void take_row(struct world *w, struct input *in, struct lease_row *row)
{
    uint8_t what = take(in);

    *row = w->row;
    if (what < 0x80)
        return;
    if (what & 1)
        row->version.epoch = take_version(in, row->version.epoch);
    if (what & 2)
        row->version.counter = take_version(in, row->version.counter);
    if (what & 4)
        take_nonce(w, in, &row->version.nonce);
    if (what & 8)
        row->epoch_table = take_version(in, row->version.epoch);
    if (what & 16) {
        row->state = (enum lease_row_state)(take(in) % 3);
        take_name(in, row->holder);
    }
    if (what & 32)
        take_name(in, row->target);
    if (what & 64) {
        row->ttl_ms = (uint32_t)take_number(in, w->config.timing.ttl_ns / LEASE_NS_PER_MS);
        if (row->ttl_ms == 0) /* the decoder refuses it */
            row->ttl_ms = 1;
    }
    if (take(in) & 1)
        w->row = *row; /* it stays */
}

static void answer_write(struct world *w, struct input *in, struct lease_event *e)
{
    uint8_t how = take(in);

    e->type = LEASE_EVENT_WRITE;
    e->write.op = how & 0x40 ? (uint32_t)(w->write.write.op - 1 + (how & 3)) : w->write.write.op;
    e->write.answer = (enum lease_answer)(how % (LEASE_ANSWER_UNKNOWN + 1));
    if (e->write.answer == LEASE_ANSWER_ROW || how & 0x80)
        w->row = w->write.write.wanted;
}

static void answer_read(struct world *w, struct input *in, struct lease_event *e)
{
    uint8_t how = take(in);

    e->type = LEASE_EVENT_READ;
    e->read.op = how & 0x40 ? (uint32_t)(w->read.read.op - 1 + (how & 3)) : w->read.read.op;
    e->read.answer = how & 0x20 ? (enum lease_answer)(how % (LEASE_ANSWER_UNKNOWN + 1)) : LEASE_ANSWER_ROW;
    e->read.non_primary = e->read.answer == LEASE_ANSWER_REFUSED && how & 0x80;
    e->read.instance = 1 + (how >> 3 & 1);
    e->read.instance_up_ns = how & 0x10 ? take_duration(in, w->config.timing.ttl_ns) : UINT64_MAX / 4;
    take_row(w, in, &e->read.row);
}

static void members(struct world *w, struct input *in, struct lease_event *e)
{
    size_t count = take(in) % 5;

    e->type = LEASE_EVENT_MEMBERS;
    for (size_t i = 0; i < count; i++) {
        struct lease_member *m = &w->members[i];
        uint8_t what = take(in);

        take_name(in, m->name);
        m->heartbeat += what & 3;
        m->priority = what >> 2 & 3;
        m->drifted = what & 16;
        if (what & 32)
            m->epoch_seen = take_number(in, w->lease.epoch_seen);
        if (what & 64)
            m->incarnation = what & 128 ? w->config.incarnation : (struct lease_nonce){{what}};
    }
    e->members.list = w->members;
    e->members.count = count;
}

static void request(struct world *w, struct input *in, struct lease_event *e)
{
    uint8_t what = take(in);

    e->type = LEASE_EVENT_REQUEST;
    e->request.kind = (enum lease_request)(what % 3);
    e->request.id = what;
    e->request.reason = what & 64 ? LEASE_REASON_SWITCHOVER : LEASE_REASON_STEP_DOWN;
    e->request.hold_ns = take_duration(in, w->config.timing.ttl_ns);
    take_name(in, e->request.target);
}

static void next_event(struct world *w, struct input *in, struct lease_event *e)
{
    uint8_t what = take(in), how;

    memset(e, 0, sizeof *e);
    switch (what % 16) {
    case 0:
    case 1:
    case 2:
    case 3: answer_read(w, in, e); break;
    case 4:
    case 5:
    case 6: answer_write(w, in, e); break;
    case 7:
    case 8:
        how = take(in);
        e->type = LEASE_EVENT_HOOK;
        e->hook.id = w->hook.hook.id - (how >> 6 & 1);
        e->hook.result = (enum lease_hook_result)(how % 3);
        break;
    case 9:
        how = take(in);
        e->type = LEASE_EVENT_SAVED;
        e->saved.id = w->save.save.id - (how >> 6 & 1);
        e->saved.ok = how & 1;
        break;
    case 10:
        how = take(in);
        e->type = LEASE_EVENT_GUARDIAN;
        e->guardian.news = (enum lease_guardian_news)(how % 4);
        e->guardian.epoch = how & 0x80 ? take_number(in, w->lease.armed_epoch) : w->lease.armed_epoch;
        break;
    case 11: members(w, in, e); break;
    case 12: request(w, in, e); break;
    case 13:
        e->type = LEASE_EVENT_FITNESS;
        e->fitness.fit = what & 16;
        break;
    case 14: e->type = what >= 0xe0 ? LEASE_EVENT_STOP : LEASE_EVENT_TICK; break;
    default: e->type = LEASE_EVENT_TICK; break;
    }
}

static void note_commands(struct world *w, const struct lease_commands *out)
{
    for (size_t i = 0; i < out->count; i++) {
        const struct lease_command *c = &out->list[i];

        if (c->type == LEASE_COMMAND_READ)
            w->read = *c;
        if (c->type == LEASE_COMMAND_HOOK)
            w->hook = *c;
        if (c->type == LEASE_COMMAND_SAVE && c->save.durable)
            w->save = *c;
        if (c->type == LEASE_COMMAND_WRITE) {
            w->write = *c;
            w->nonces[w->draws++ % 8] = c->write.wanted.version.nonce;
        }
    }
}

static void step(struct world *w, struct lease_event *e)
{
    static struct lease again;
    static struct lease_commands commands, same;

    e->now = w->now;
    w->draws++;
    e->entropy[0] = 0x80;
    e->entropy[1] = (uint8_t)w->draws;
    e->entropy[2] = (uint8_t)(w->draws >> 8);
    retell_note(0, &w->config, e);
    again = w->lease;
    lease_step(&w->lease, e, &commands);
    lease_step(&again, e, &same);
    FUZZ_MUST(memcmp(&again, &w->lease, sizeof again) == 0);
    FUZZ_MUST(commands.count == same.count && commands.count <= LEASE_COMMANDS_MAX);
    FUZZ_MUST(memcmp(commands.list, same.list, commands.count * sizeof commands.list[0]) == 0);
    struct lease_now wake = lease_wake(&w->lease);

    FUZZ_MUST(wake.fast_ns > w->now.fast_ns && wake.slow_ns > w->now.slow_ns);
    FUZZ_MUST(lease_rank(&w->lease) <= LEASE_MEMBERS_MAX && lease_why_not(&w->lease) != NULL);
    note_commands(w, &commands);
}

static void configure(struct world *w, struct input *in)
{
    static const uint64_t ttls_s[] = {1, 6, 20, 3600};
    uint8_t b = take(in), c = take(in);

    lease_timing_defaults(ttls_s[b & 3] * LEASE_NS_PER_S, &w->config.timing);
    strcpy(w->config.member, "m1");
    w->config.priority = b & 4 ? 0 : 100;
    w->config.restarts = b >> 3 & 3;
    w->config.check_failures = 1 + (b >> 5 & 1);
    w->config.prechecked = b & 64;
    w->config.require_match = b & 128;
    w->config.restart_window_ns = LEASE_NS_PER_S * 30;
    if (c & 1)
        w->config.incarnation.bytes[0] = 1;
    w->row.ttl_ms = (uint32_t)(w->config.timing.ttl_ns / LEASE_NS_PER_MS);
    w->now = (struct lease_now){.fast_ns = LEASE_NS_PER_S, .slow_ns = LEASE_NS_PER_S};
}

static void begin(struct world *w, struct input *in)
{
    struct lease_event start = {.type = LEASE_EVENT_START};
    uint8_t b = take(in);

    if (b & 1)
        start.start.epoch_seen = take_number(in, 5);
    if (b & 2) {
        start.start.nonce.bytes[0] = 9;
        start.start.epoch = take_number(in, 5);
        start.start.remaining_ns = take_duration(in, w->config.timing.ttl_ns);
        w->row.version = (struct lease_version){.epoch = 5, .counter = 50, .nonce = {{9}}};
        w->row.state = LEASE_ROW_HELD;
        w->nonces[0] = start.start.nonce;
    }
    start.start.unfinished = b & 4;
    lease_init(&w->lease, &w->config);
    step(w, &start);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct input in;
    static struct world w;

    in = (struct input){.data = data, .size = size};
    memset(&w, 0, sizeof w);
    retell_forget();
    if (setjmp(caught_escape) != 0) {
        fprintf(stderr, "the core's own invariant does not hold: %s\n", caught_text);
        printf("# found by a fuzzer: %s\n", caught_text);
        retell_print(0);
        fflush(stdout);
        abort();
    }
    configure(&w, &in);
    begin(&w, &in);
    for (unsigned i = 0; i < EVENTS_MAX && in.at < in.size && !w.lease.exited; i++) {
        struct lease_event e;

        pass_time(&w, &in);
        next_event(&w, &in, &e);
        step(&w, &e);
    }
    return 0;
}
