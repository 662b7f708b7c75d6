/* A configuration as the first line of a scenario (tests/scenario): what differs from the usual. */
#include <errno.h>
#include <inttypes.h>

#include "trace/fields.h"

#define MS UINT64_C(1000000)

static void add_times(struct line *line, const struct lease_timing *t)
{
    struct lease_timing usual;

    lease_timing_defaults(t->ttl_ns, &usual);
    const struct {
        const char *name;
        uint64_t is, usual;
    } times[] = {
        {"renew", t->renew_ns, usual.renew_ns},
        {"demote_budget", t->demote_budget_ns, usual.demote_budget_ns},
        {"kill_budget", t->kill_budget_ns, usual.kill_budget_ns},
        {"margin", t->margin_ns, usual.margin_ns},
        {"promote_budget", t->promote_budget_ns, usual.promote_budget_ns},
        {"poll", t->poll_ns, usual.poll_ns},
        {"check_interval", t->check_interval_ns, usual.check_interval_ns},
        {"check_budget", t->check_budget_ns, usual.check_budget_ns},
    };

    for (size_t i = 0; i < sizeof times / sizeof times[0]; i++)
        if (times[i].is != times[i].usual)
            line_add(line, " %s=%" PRIu64 "ms", times[i].name, times[i].is / MS);
}

int trace_config_print(const struct lease_config *c, char *buf, size_t size)
{
    struct line line;

    line_init(&line, buf, size);
    line_add(&line,
             "config member=%s ttl=%" PRIu64
             "ms priority=%u restarts=%u check_failures=%u restart_window=%" PRIu64 "ms incarnation=",
             c->member, c->timing.ttl_ns / MS, c->priority, c->restarts, c->check_failures,
             c->restart_window_ns / MS);
    line_hex(&line, c->incarnation.bytes, LEASE_NONCE_SIZE);
    line_add(&line, "%s%s", c->prechecked ? " prechecked" : "", c->require_match ? " require_match" : "");
    add_times(&line, &c->timing);
    return line.length;
}
