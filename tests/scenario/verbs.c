/* The verbs that make something happen, and the table of all. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "step.h"
#include "util/parse.h"
#include "verbs.h"

static int verb_answer(struct play *p, char *words[], unsigned count, const char **what)
{
    static const char *const answers[] = {"row",     "mismatch",    "no-row", "refused",
                                          "unknown", "non-primary", NULL};
    int a = count > 0 ? verb_choose(words[0], answers) : -1;
    bool applied = count == 2 && strcmp(words[1], "applied") == 0;

    if (a < 0 || (count > 1 && !applied))
        return verb_wrong("row, mismatch, no-row, refused, unknown [applied] or non-primary", what);
    if (p->lease.op.id == 0)
        return verb_wrong("no statement is under way", what);
    if (applied)
        play_apply(p); /* it took place, and nobody heard */
    play_answer(p, a == 5 ? LEASE_ANSWER_REFUSED : (enum lease_answer)a, a == 5);
    return 0;
}

static int verb_hook(struct play *p, char *words[], unsigned count, const char **what)
{
    static const char *const results[] = {"done", "stopped", "failed", NULL};
    int result = count == 1 ? verb_choose(words[0], results) : -1;

    if (result < 0)
        return verb_wrong("done, stopped or failed", what);
    if (p->lease.hook_id == 0)
        return verb_wrong("no hook runs", what);
    play_hook_ends(p, (enum lease_hook_result)result);
    return 0;
}

static int verb_saved(struct play *p, char *words[], unsigned count, const char **what)
{
    static const char *const results[] = {"failed", "ok", NULL};
    int ok = count == 1 ? verb_choose(words[0], results) : -1;
    struct lease_event e = {.type = LEASE_EVENT_SAVED, .saved = {.id = p->lease.save_id, .ok = ok == 1}};

    if (ok < 0 || p->lease.save_id == 0)
        return verb_wrong(ok < 0 ? "ok or failed" : "nothing is being saved", what);
    play_feed(p, &e);
    return 0;
}

static int verb_guardian(struct play *p, char *words[], unsigned count, const char **what)
{
    static const char *const news[] = {"up", "down", "fencing", "stopped", NULL};
    int n = count == 1 ? verb_choose(words[0], news) : -1;
    struct lease_event e = {.type = LEASE_EVENT_GUARDIAN, .guardian = {.epoch = p->lease.armed_epoch}};

    if (n < 0)
        return verb_wrong("up, down, fencing or stopped", what);
    e.guardian.news = (enum lease_guardian_news)n;
    if (e.guardian.news == LEASE_GUARDIAN_STOPPED)
        p->runs = false;
    play_feed(p, &e);
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
            return verb_wrong("NAME:PRIORITY[:EPOCH_SEEN][:drifted|:matches]", what);
        if (told && strcmp(m.name, p->config.member) == 0)
            m.incarnation = p->config.incarnation;
        while (k < p->member_count && strcmp(p->members[k].name, m.name) != 0)
            k++;
        if (k == LEASE_MEMBERS_MAX)
            return verb_wrong("too many members", what);
        m.heartbeat = k < p->member_count ? p->members[k].heartbeat + 1 : 1;
        m.epoch_seen = epoch;
        p->members[k] = m;
        if (k == p->member_count)
            p->member_count++;
    }
    e.members.list = p->members;
    e.members.count = p->member_count;
    play_feed(p, &e);
    return 0;
}

static int verb_ask(struct play *p, char *words[], unsigned count, const char **what)
{
    static const char *const kinds[] = {"step-down", "switchover", "hold", "unhold", NULL};
    int kind = count > 0 ? verb_choose(words[0], kinds) : -1;
    struct lease_event e = {.type = LEASE_EVENT_REQUEST,
                            .request = {.id = 1, .reason = LEASE_REASON_STEP_DOWN}};

    if (kind < 0 || count != (kind == 1 || kind == 2 ? 2 : 1))
        return verb_wrong("step-down, switchover MEMBER, hold TIME or unhold", what);
    if (kind == 1) {
        e.request.reason = LEASE_REASON_SWITCHOVER;
        snprintf(e.request.target, sizeof e.request.target, "%s", words[1]);
    }
    if (kind == 2 && parse_duration_ns(words[1], &e.request.hold_ns) < 0)
        return verb_wrong("how long?", what);
    if (kind >= 2)
        e.request.kind = kind == 2 ? LEASE_REQUEST_HOLD : LEASE_REQUEST_UNHOLD;
    play_feed(p, &e);
    return 0;
}

static int verb_precheck(struct play *p, char *words[], unsigned count, const char **what)
{
    static const char *const says[] = {"no", "yes", NULL};
    int n = count == 1 ? verb_choose(words[0], says) : -1;
    struct lease_event e = {.type = LEASE_EVENT_FITNESS, .fitness = {.fit = n == 1}};

    if (n < 0)
        return verb_wrong("yes or no", what);
    play_feed(p, &e);
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
    int r = verb_parse_over(&t, "settings", words, count, what);

    if (r == 0)
        play_feed(p, &t.event);
    return r;
}

/* no [EPOCH]: about an earlier start than the one that leads. */
static int verb_health(struct play *p, char *words[], unsigned count, const char **what)
{
    static const char *const says[] = {"no", "yes", NULL};
    int n = count == 1 || count == 2 ? verb_choose(words[0], says) : -1;
    struct lease_event e = {.type = LEASE_EVENT_HEALTH,
                            .health = {.epoch = p->lease.own.epoch, .healthy = n == 1}};

    if (n < 0 || (count == 2 && parse_u64(words[1], &e.health.epoch) < 0))
        return verb_wrong("yes or no, and of which epoch", what);
    play_feed(p, &e);
    return 0;
}

static int verb_stop(struct play *p, char *words[], unsigned count, const char **what)
{
    struct lease_event e = {.type = LEASE_EVENT_STOP};

    (void)words;
    if (count != 0)
        return verb_wrong("stop stands alone", what);
    play_feed(p, &e);
    return 0;
}

static int verb_run(struct play *p, char *words[], unsigned count, const char **what)
{
    uint64_t fast, slow;

    if (verb_times(words, count, &fast, &slow) < 0)
        return verb_wrong("run TIME [slow=TIME]", what);
    return play_run(p, fast, slow) < 0
               ? verb_wrong("the core asks to be woken again and again without time going on", what)
               : 0;
}

static int verb_tick(struct play *p, char *words[], unsigned count, const char **what)
{
    struct lease_event e = {.type = LEASE_EVENT_TICK};

    (void)words;
    if (count != 0)
        return verb_wrong("tick stands alone", what);
    play_feed(p, &e);
    return 0;
}

/* A line of a trace as it stands: from a failing run of another driver. Its times are absolute. */
static int verb_event(struct play *p, char *words[], unsigned count, const char **what)
{
    static struct trace_event t;
    struct lease_commands commands;
    int r = count > 0 ? verb_parse(words[0], words + 1, count - 1, &t, what) : verb_wrong("event LINE", what);

    if (r < 0)
        return r;
    p->now = t.event.now;
    if (t.event.type == LEASE_EVENT_START) {
        lease_init(&p->lease, &p->config);
        p->started = true;
    }
    lease_step(&p->lease, &t.event, &commands);
    play_say_commands(p, &commands);
    return 0;
}

/* wait: the clocks go on, nobody wakes. run: they wake, and the world answers. tick: one step. */
static const struct {
    const char *name;
    int (*play)(struct play *p, char *words[], unsigned count, const char **ret_what);
    bool early; /* it may come before start */
} verbs[] = {
    {"config", verb_config, true},
    {"start", verb_start, true},
    {"row", verb_row, true},
    {"server", verb_server, true},
    {"controller", verb_controller, true},
    {"hooks", verb_hooks, true},
    {"answer", verb_answer, false},
    {"hook", verb_hook, false},
    {"saved", verb_saved, false},
    {"guardian", verb_guardian, false},
    {"members", verb_members, false},
    {"ask", verb_ask, false},
    {"precheck", verb_precheck, false},
    {"settings", verb_settings, false},
    {"health", verb_health, false},
    {"stop", verb_stop, false},
    {"wait", verb_wait, true},
    {"run", verb_run, false},
    {"tick", verb_tick, false},
    {"event", verb_event, true},
};

int play_line(struct play *p, const char *line, const char **what)
{
    static char copy[TRACE_LIST_MAX], *words[WORDS_MAX];
    char *save = NULL;
    unsigned count = 0;

    if (snprintf(copy, sizeof copy, "%s", line) >= (int)sizeof copy)
        return verb_wrong("the line is too long", what);
    for (char *w = strtok_r(copy, " ", &save); w; w = strtok_r(NULL, " ", &save)) {
        if (count == WORDS_MAX)
            return verb_wrong("too many words", what);
        words[count++] = w;
    }
    for (unsigned i = 0; count > 0 && i < sizeof verbs / sizeof verbs[0]; i++) {
        if (strcmp(words[0], verbs[i].name) != 0)
            continue;
        if (!p->started && !verbs[i].early)
            return verb_wrong("start comes first", what);
        if (p->lease.exited && verbs[i].play != verb_config)
            return verb_wrong("the member has ended", what);
        int r = verbs[i].play(p, words + 1, count - 1, what);

        if (r == 0 && p->started)
            play_say_summary(p);
        return r;
    }
    return verb_wrong("there is no such verb", what);
}
