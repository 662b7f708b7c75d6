/* The verbs that say what the world is like: they may come before start. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "step.h"
#include "util/parse.h"
#include "verbs.h"

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

int verb_config(struct play *p, char *words[], unsigned count, const char **what)
{
    if (p->started)
        return verb_wrong("config comes before start", what);
    for (unsigned i = 0; i < count; i++)
        if (config_word(p, words[i]) < 0)
            return verb_wrong(
                "member= ttl= priority= restarts= check_failures= incarnation= prechecked require_match or "
                "a time",
                what);
    return 0;
}

int verb_start(struct play *p, char *words[], unsigned count, const char **what)
{
    static struct trace_event t;
    int r = verb_parse("start", words, count, &t, what);

    if (r < 0)
        return r;
    lease_init(&p->lease, &p->config);
    p->started = true;
    play_feed(p, &t.event);
    return 0;
}

int verb_row(struct play *p, char *words[], unsigned count, const char **what)
{
    static struct trace_event t;

    p->row_exists = !(count == 1 && strcmp(words[0], "gone") == 0);
    if (!p->row_exists)
        return 0;
    t.event = (struct lease_event){.type = LEASE_EVENT_READ};
    t.event.read.row = p->row;
    int r = verb_parse_over(&t, "read", words, count, what);

    if (r == 0)
        p->row = t.event.read.row;
    return r;
}

int verb_server(struct play *p, char *words[], unsigned count, const char **what)
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
            return verb_wrong("silent, answers, non-primary, primary or restarted=TIME (that long ago)",
                              what);
        }
    }
    return 0;
}

int verb_controller(struct play *p, char *words[], unsigned count, const char **what)
{
    static const char *const states[] = {"stopped", "runs", NULL};
    int state = count == 1 ? verb_choose(words[0], states) : -1;

    if (state < 0)
        return verb_wrong("runs or stopped", what);
    p->runs = state == 1;
    return 0;
}

int verb_hooks(struct play *p, char *words[], unsigned count, const char **what)
{
    static const char *const states[] = {"end", "hang", NULL};
    int state = count == 1 ? verb_choose(words[0], states) : -1;

    if (state < 0)
        return verb_wrong("end or hang", what);
    p->frozen_hooks = state == 1;
    return 0;
}

int verb_wait(struct play *p, char *words[], unsigned count, const char **what)
{
    uint64_t fast, slow;

    if (verb_times(words, count, &fast, &slow) < 0)
        return verb_wrong("wait TIME [slow=TIME]", what);
    p->now.fast_ns += fast;
    p->now.slow_ns += slow;
    return 0;
}
