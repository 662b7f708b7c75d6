#include "play.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "util/parse.h"

#define WORDS_MAX 2048 /* a list of as many members as there can be */

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

/* ---------------------------------------------------------------- saying */

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

static void say_commands(struct play *p, const struct lease_commands *commands)
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

static void say_summary(struct play *p)
{
    char text[TRACE_LINE_MAX];

    trace_summary_print(&p->lease, text, sizeof text);
    if (strcmp(text, p->said) == 0)
        return;
    strcpy(p->said, text);
    fprintf(p->out, "  = %s\n", text);
}

/* ---------------------------------------------------------------- stepping */

static void feed(struct play *p, struct lease_event *e)
{
    struct lease_commands commands;

    e->now = p->now;
    memset(e->entropy, 0, sizeof e->entropy);
    p->draws++;
    e->entropy[0] = (uint8_t)(p->draws >> 8 | 0x80);
    e->entropy[1] = (uint8_t)p->draws;
    lease_step(&p->lease, e, &commands);
    say_commands(p, &commands);
}

static int apply(struct play *p)
{
    const struct lease_row *wanted = &p->lease.op.wanted;

    p->row = *wanted;
    p->row.epoch_table = wanted->version.epoch;
    return 0;
}

/* Does the row still have the version that the write compares? */
static bool write_matches(const struct play *p)
{
    const struct lease_version *expected = &p->expected;

    return p->row_exists && expected->epoch == p->row.version.epoch &&
           expected->counter == p->row.version.counter &&
           memcmp(&expected->nonce, &p->row.version.nonce, LEASE_NONCE_SIZE) == 0;
}

static void answer(struct play *p, enum lease_answer answer, bool non_primary)
{
    struct lease_event e = {0};

    if (p->lease.op.is_write) {
        e.type = LEASE_EVENT_WRITE;
        e.write.op = p->lease.op.id;
        e.write.answer = answer;
        if (answer == LEASE_ANSWER_ROW)
            apply(p);
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
    feed(p, &e);
}

static void hook_ends(struct play *p, enum lease_hook_result result)
{
    struct lease_event e = {.type = LEASE_EVENT_HOOK, .hook = {.id = p->lease.hook_id, .result = result}};

    feed(p, &e);
}

/* In a run the world answers by itself, at once: true when it had something to say. */
static bool world_answers(struct play *p)
{
    struct lease *l = &p->lease;

    if (l->save_id != 0) {
        struct lease_event e = {.type = LEASE_EVENT_SAVED, .saved = {.id = l->save_id, .ok = true}};

        feed(p, &e);
        return true;
    }
    if (l->op.id != 0 && !p->silent) {
        if (p->non_primary)
            answer(p, LEASE_ANSWER_REFUSED, true);
        else if (!l->op.is_write)
            answer(p, p->row_exists ? LEASE_ANSWER_ROW : LEASE_ANSWER_NO_ROW, false);
        else
            answer(p, write_matches(p) ? LEASE_ANSWER_ROW : LEASE_ANSWER_MISMATCH, false);
        return true;
    }
    if (l->hook_id != 0 && !p->frozen_hooks) {
        if (l->hook != LEASE_HOOK_CHECK)
            p->runs = l->hook == LEASE_HOOK_PROMOTE;
        hook_ends(p, l->hook != LEASE_HOOK_CHECK || p->runs ? LEASE_HOOK_DONE : LEASE_HOOK_STOPPED);
        return true;
    }
    return false;
}

/* Time passes; the core wakes when it asked to, and the world answers. */
static int run(struct play *p, uint64_t length_ns, uint64_t slow_ns)
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

        feed(p, &e);
    }
    p->terse = false;
    return 0;
}

/* ---------------------------------------------------------------- verbs */

struct verb {
    const char *name;
    int (*play)(struct play *p, char *words[], unsigned count, const char **ret_what);
};

static int wrong(const char *what, const char **ret_what)
{
    *ret_what = what;
    return -EINVAL;
}

/* A word out of a list; its place, or -1. */
static int choose(const char *word, const char *const *list)
{
    for (int i = 0; list[i]; i++)
        if (strcmp(word, list[i]) == 0)
            return i;
    return -1;
}

/* "key=value" words of a trace line of that type, parsed with its own parser. */
static int parse_as(const char *type, char *words[], unsigned count, struct trace_event *ret,
                    const char **ret_what)
{
    static char line[TRACE_LIST_MAX];
    struct trace_error error;
    size_t length = (size_t)snprintf(line, sizeof line, "%s", type);

    for (unsigned i = 0; i < count && length < sizeof line; i++)
        length += (size_t)snprintf(line + length, sizeof line - length, " %s", words[i]);
    return trace_event_parse(line, ret, &error) < 0 ? wrong(error.what, ret_what) : 0;
}

static const struct {
    const char *name;
    size_t offset;
} config_times[] = {
    {"restart_window=", offsetof(struct lease_config, restart_window_ns)},
    {"renew=", offsetof(struct lease_config, timing.renew_ns)},
    {"demote_budget=", offsetof(struct lease_config, timing.demote_budget_ns)},
    {"kill_budget=", offsetof(struct lease_config, timing.kill_budget_ns)},
    {"margin=", offsetof(struct lease_config, timing.margin_ns)},
    {"promote_budget=", offsetof(struct lease_config, timing.promote_budget_ns)},
    {"poll=", offsetof(struct lease_config, timing.poll_ns)},
    {"check_interval=", offsetof(struct lease_config, timing.check_interval_ns)},
    {"check_budget=", offsetof(struct lease_config, timing.check_budget_ns)},
};

static int config_time(struct play *p, const char *word)
{
    for (size_t i = 0; i < sizeof config_times / sizeof config_times[0]; i++) {
        size_t length = strlen(config_times[i].name);

        if (strncmp(word, config_times[i].name, length) == 0)
            return parse_duration_ns(word + length,
                                     (uint64_t *)((char *)&p->config + config_times[i].offset));
    }
    return -EINVAL;
}

static int config_word(struct play *p, const char *word)
{
    uint64_t value;

    if (sscanf(word, "member=%63s", p->config.member) == 1)
        return 0;
    if (strncmp(word, "ttl=", 4) == 0 && parse_duration_ns(word + 4, &value) == 0)
        lease_timing_defaults(value, &p->config.timing);
    else if (strncmp(word, "priority=", 9) == 0 && parse_u64(word + 9, &value) == 0)
        p->config.priority = (uint32_t)value;
    else if (strncmp(word, "restarts=", 9) == 0 && parse_u64(word + 9, &value) == 0)
        p->config.restarts = (uint32_t)value;
    else if (strncmp(word, "check_failures=", 15) == 0 && parse_u64(word + 15, &value) == 0)
        p->config.check_failures = (uint32_t)value;
    else if (strcmp(word, "prechecked") == 0)
        p->config.prechecked = true;
    else if (strcmp(word, "require_match") == 0)
        p->config.require_match = true;
    else if (strncmp(word, "incarnation=", 12) == 0)
        return parse_hex(word + 12, p->config.incarnation.bytes, strlen(word + 12) / 2);
    else
        return config_time(p, word);
    return 0;
}

static int verb_config(struct play *p, char *words[], unsigned count, const char **what)
{
    if (p->started)
        return wrong("config comes before start", what);
    for (unsigned i = 0; i < count; i++)
        if (config_word(p, words[i]) < 0)
            return wrong(
                "member= ttl= priority= restarts= check_failures= incarnation= prechecked require_match or "
                "a time",
                what);
    return 0;
}

static int verb_start(struct play *p, char *words[], unsigned count, const char **what)
{
    static struct trace_event t;
    int r = parse_as("start", words, count, &t, what);

    if (r < 0)
        return r;
    lease_init(&p->lease, &p->config);
    p->started = true;
    feed(p, &t.event);
    return 0;
}

/* @t with some of its fields replaced; those not named stay. */
static int parse_over(struct trace_event *t, const char *type, char *words[], unsigned count,
                      const char **what)
{
    char now[TRACE_LINE_MAX], *known[WORDS_MAX], *save = NULL;
    unsigned n = 0;

    trace_event_print(&t->event, now, sizeof now);
    for (char *w = strtok_r(now, " ", &save); w && n < WORDS_MAX / 2; w = strtok_r(NULL, " ", &save))
        if (strcmp(w, type) != 0)
            known[n++] = w;
    for (unsigned i = 0; i < count && n < WORDS_MAX; i++)
        known[n++] = words[i]; /* the later one counts */
    return parse_as(type, known, n, t, what);
}

static int verb_row(struct play *p, char *words[], unsigned count, const char **what)
{
    static struct trace_event t;

    p->row_exists = !(count == 1 && strcmp(words[0], "gone") == 0);
    if (!p->row_exists)
        return 0;
    t.event = (struct lease_event){.type = LEASE_EVENT_READ};
    t.event.read.row = p->row;
    int r = parse_over(&t, "read", words, count, what);

    if (r == 0)
        p->row = t.event.read.row;
    return r;
}

static int verb_server(struct play *p, char *words[], unsigned count, const char **what)
{
    for (unsigned i = 0; i < count; i++) {
        uint64_t up;

        if (strcmp(words[i], "silent") == 0 || strcmp(words[i], "answers") == 0) {
            p->silent = words[i][0] == 's';
        } else if (strcmp(words[i], "non-primary") == 0 || strcmp(words[i], "primary") == 0) {
            p->non_primary = words[i][0] == 'n';
        } else if (strncmp(words[i], "restarted=", 10) == 0 && parse_duration_ns(words[i] + 10, &up) == 0) {
            p->instance++;
            p->instance_up_ns = up;
        } else {
            return wrong("silent, answers, non-primary, primary or restarted=TIME (that long ago)", what);
        }
    }
    return 0;
}

static int verb_controller(struct play *p, char *words[], unsigned count, const char **what)
{
    static const char *const states[] = {"stopped", "runs", NULL};
    int state = count == 1 ? choose(words[0], states) : -1;

    if (state < 0)
        return wrong("runs or stopped", what);
    p->runs = state == 1;
    return 0;
}

static int verb_hooks(struct play *p, char *words[], unsigned count, const char **what)
{
    static const char *const states[] = {"end", "hang", NULL};
    int state = count == 1 ? choose(words[0], states) : -1;

    if (state < 0)
        return wrong("end or hang", what);
    p->frozen_hooks = state == 1;
    return 0;
}

static int verb_answer(struct play *p, char *words[], unsigned count, const char **what)
{
    static const char *const answers[] = {"row",     "mismatch",    "no-row", "refused",
                                          "unknown", "non-primary", NULL};
    int a = count > 0 ? choose(words[0], answers) : -1;
    bool applied = count == 2 && strcmp(words[1], "applied") == 0;

    if (a < 0 || (count > 1 && !applied))
        return wrong("row, mismatch, no-row, refused, unknown [applied] or non-primary", what);
    if (p->lease.op.id == 0)
        return wrong("no statement is under way", what);
    if (applied)
        apply(p); /* it took place, and nobody heard */
    answer(p, a == 5 ? LEASE_ANSWER_REFUSED : (enum lease_answer)a, a == 5);
    return 0;
}

static int verb_hook(struct play *p, char *words[], unsigned count, const char **what)
{
    static const char *const results[] = {"done", "stopped", "failed", NULL};
    int result = count == 1 ? choose(words[0], results) : -1;

    if (result < 0)
        return wrong("done, stopped or failed", what);
    if (p->lease.hook_id == 0)
        return wrong("no hook runs", what);
    hook_ends(p, (enum lease_hook_result)result);
    return 0;
}

static int verb_saved(struct play *p, char *words[], unsigned count, const char **what)
{
    static const char *const results[] = {"failed", "ok", NULL};
    int ok = count == 1 ? choose(words[0], results) : -1;
    struct lease_event e = {.type = LEASE_EVENT_SAVED, .saved = {.id = p->lease.save_id, .ok = ok == 1}};

    if (ok < 0 || p->lease.save_id == 0)
        return wrong(ok < 0 ? "ok or failed" : "nothing is being saved", what);
    feed(p, &e);
    return 0;
}

static int verb_guardian(struct play *p, char *words[], unsigned count, const char **what)
{
    static const char *const news[] = {"up", "down", "fencing", "stopped", NULL};
    int n = count == 1 ? choose(words[0], news) : -1;
    struct lease_event e = {.type = LEASE_EVENT_GUARDIAN, .guardian = {.epoch = p->lease.armed_epoch}};

    if (n < 0)
        return wrong("up, down, fencing or stopped", what);
    e.guardian.news = (enum lease_guardian_news)n;
    if (e.guardian.news == LEASE_GUARDIAN_STOPPED)
        p->runs = false;
    feed(p, &e);
    return 0;
}

/* NAME:PRIORITY[:EPOCH_SEEN][:drifted|:matches]; those named beat once, the others stand still. Our own row
 * is ours, and not a namesake's, when it says how our files are. */
static int verb_members(struct play *p, char *words[], unsigned count, const char **what)
{
    struct lease_event e = {.type = LEASE_EVENT_MEMBERS};

    for (unsigned i = 0; i < count; i++) {
        struct lease_member m = {.incarnation = {{0xee}}};
        unsigned long long epoch = 0;
        char *files = strrchr(words[i], ':');
        size_t k = 0;

        m.drifted = files && strcmp(files, ":drifted") == 0;
        bool told = m.drifted || (files && strcmp(files, ":matches") == 0);

        if (told)
            *files = '\0';
        if (sscanf(words[i], "%63[^:]:%u:%llu", m.name, &m.priority, &epoch) < 2)
            return wrong("NAME:PRIORITY[:EPOCH_SEEN][:drifted|:matches]", what);
        if (told && strcmp(m.name, p->config.member) == 0)
            m.incarnation = p->config.incarnation;
        while (k < p->member_count && strcmp(p->members[k].name, m.name) != 0)
            k++;
        if (k == LEASE_MEMBERS_MAX)
            return wrong("too many members", what);
        m.heartbeat = k < p->member_count ? p->members[k].heartbeat + 1 : 1;
        m.epoch_seen = epoch;
        p->members[k] = m;
        if (k == p->member_count)
            p->member_count++;
    }
    e.members.list = p->members;
    e.members.count = p->member_count;
    feed(p, &e);
    return 0;
}

static int verb_ask(struct play *p, char *words[], unsigned count, const char **what)
{
    static const char *const kinds[] = {"step-down", "switchover", "hold", "unhold", NULL};
    int kind = count > 0 ? choose(words[0], kinds) : -1;
    struct lease_event e = {.type = LEASE_EVENT_REQUEST,
                            .request = {.id = 1, .reason = LEASE_REASON_STEP_DOWN}};

    if (kind < 0 || count != (kind == 1 || kind == 2 ? 2 : 1))
        return wrong("step-down, switchover MEMBER, hold TIME or unhold", what);
    if (kind == 1) {
        e.request.reason = LEASE_REASON_SWITCHOVER;
        snprintf(e.request.target, sizeof e.request.target, "%s", words[1]);
    }
    if (kind == 2 && parse_duration_ns(words[1], &e.request.hold_ns) < 0)
        return wrong("how long?", what);
    if (kind >= 2)
        e.request.kind = kind == 2 ? LEASE_REQUEST_HOLD : LEASE_REQUEST_UNHOLD;
    feed(p, &e);
    return 0;
}

static int verb_precheck(struct play *p, char *words[], unsigned count, const char **what)
{
    static const char *const says[] = {"no", "yes", NULL};
    int n = count == 1 ? choose(words[0], says) : -1;
    struct lease_event e = {.type = LEASE_EVENT_FITNESS, .fitness = {.fit = n == 1}};

    if (n < 0)
        return wrong("yes or no", what);
    feed(p, &e);
    return 0;
}

static int verb_settings(struct play *p, char *words[], unsigned count, const char **what)
{
    static struct trace_event t;
    struct lease_config *c = &p->lease.config;

    t.event = (struct lease_event){.type = LEASE_EVENT_SETTINGS,
                                   .settings = {.priority = c->priority,
                                                .restarts = c->restarts,
                                                .check_failures = c->check_failures,
                                                .restart_window_ns = c->restart_window_ns}};
    int r = parse_over(&t, "settings", words, count, what);

    if (r == 0)
        feed(p, &t.event);
    return r;
}

/* no [EPOCH]: about an earlier start than the one that leads. */
static int verb_health(struct play *p, char *words[], unsigned count, const char **what)
{
    static const char *const says[] = {"no", "yes", NULL};
    int n = count == 1 || count == 2 ? choose(words[0], says) : -1;
    struct lease_event e = {.type = LEASE_EVENT_HEALTH,
                            .health = {.epoch = p->lease.own.epoch, .healthy = n == 1}};

    if (n < 0 || (count == 2 && parse_u64(words[1], &e.health.epoch) < 0))
        return wrong("yes or no, and of which epoch", what);
    feed(p, &e);
    return 0;
}

static int verb_stop(struct play *p, char *words[], unsigned count, const char **what)
{
    struct lease_event e = {.type = LEASE_EVENT_STOP};

    (void)words;
    if (count != 0)
        return wrong("stop stands alone", what);
    feed(p, &e);
    return 0;
}

/* wait TIME [slow=TIME]: the clocks go on, nobody wakes. run: they wake, and the world answers. tick: one
 * step. */
static int take_times(char *words[], unsigned count, uint64_t *ret_fast, uint64_t *ret_slow)
{
    if (count < 1 || count > 2 || parse_duration_ns(words[0], ret_fast) < 0)
        return -EINVAL;
    *ret_slow = *ret_fast;
    return count == 2 && (strncmp(words[1], "slow=", 5) != 0 || parse_duration_ns(words[1] + 5, ret_slow) < 0)
               ? -EINVAL
               : 0;
}

static int verb_wait(struct play *p, char *words[], unsigned count, const char **what)
{
    uint64_t fast, slow;

    if (take_times(words, count, &fast, &slow) < 0)
        return wrong("wait TIME [slow=TIME]", what);
    p->now.fast_ns += fast;
    p->now.slow_ns += slow;
    return 0;
}

static int verb_run(struct play *p, char *words[], unsigned count, const char **what)
{
    uint64_t fast, slow;

    if (take_times(words, count, &fast, &slow) < 0)
        return wrong("run TIME [slow=TIME]", what);
    return run(p, fast, slow) < 0
               ? wrong("the core asks to be woken again and again without time going on", what)
               : 0;
}

static int verb_tick(struct play *p, char *words[], unsigned count, const char **what)
{
    struct lease_event e = {.type = LEASE_EVENT_TICK};

    (void)words;
    if (count != 0)
        return wrong("tick stands alone", what);
    feed(p, &e);
    return 0;
}

/* A line of a trace as it stands: from a failing run of another driver. Its times are absolute. */
static int verb_event(struct play *p, char *words[], unsigned count, const char **what)
{
    static struct trace_event t;
    struct lease_commands commands;
    int r = count > 0 ? parse_as(words[0], words + 1, count - 1, &t, what) : wrong("event LINE", what);

    if (r < 0)
        return r;
    p->now = t.event.now;
    if (t.event.type == LEASE_EVENT_START) {
        lease_init(&p->lease, &p->config);
        p->started = true;
    }
    lease_step(&p->lease, &t.event, &commands);
    say_commands(p, &commands);
    return 0;
}

static const struct verb verbs[] = {
    {"config", verb_config},
    {"start", verb_start},
    {"row", verb_row},
    {"server", verb_server},
    {"controller", verb_controller},
    {"hooks", verb_hooks},
    {"answer", verb_answer},
    {"hook", verb_hook},
    {"saved", verb_saved},
    {"guardian", verb_guardian},
    {"members", verb_members},
    {"ask", verb_ask},
    {"precheck", verb_precheck},
    {"settings", verb_settings},
    {"health", verb_health},
    {"stop", verb_stop},
    {"wait", verb_wait},
    {"run", verb_run},
    {"tick", verb_tick},
    {"event", verb_event},
};

int play_line(struct play *p, const char *line, const char **what)
{
    static char copy[TRACE_LIST_MAX], *words[WORDS_MAX];
    char *save = NULL;
    unsigned count = 0;

    if (snprintf(copy, sizeof copy, "%s", line) >= (int)sizeof copy)
        return wrong("the line is too long", what);
    for (char *w = strtok_r(copy, " ", &save); w; w = strtok_r(NULL, " ", &save)) {
        if (count == WORDS_MAX)
            return wrong("too many words", what);
        words[count++] = w;
    }
    for (unsigned i = 0; count > 0 && i < sizeof verbs / sizeof verbs[0]; i++) {
        if (strcmp(words[0], verbs[i].name) != 0)
            continue;
        bool before = verbs[i].play == verb_config || verbs[i].play == verb_start ||
                      verbs[i].play == verb_row || verbs[i].play == verb_server ||
                      verbs[i].play == verb_controller || verbs[i].play == verb_event ||
                      verbs[i].play == verb_hooks || verbs[i].play == verb_wait;

        if (!p->started && !before)
            return wrong("start comes first", what);
        if (p->lease.exited && verbs[i].play != verb_config)
            return wrong("the member has ended", what);
        int r = verbs[i].play(p, words + 1, count - 1, what);

        if (r == 0 && p->started)
            say_summary(p);
        return r;
    }
    return wrong("there is no such verb", what);
}
