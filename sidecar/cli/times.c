#include "cli/times.h"

#include <stdio.h>
#include <string.h>

#include "app/config.h"
#include "app/options.h"
#include "util/parse.h"

#define ABSURD_NS   (LEASE_NS_PER_S * 3600 * 1000) /* sums of a few of these still fit */
#define ELECTION_NS (300 * LEASE_NS_PER_MS)        /* ranks of two others, and what a statement takes */

static uint64_t deadline(const struct lease_timing *t)
{
    return lease_timing_hold_ns(t->ttl_ns);
}

static uint64_t before_deadline(const struct lease_timing *t, uint64_t lead_ns)
{
    return lead_ns < deadline(t) ? deadline(t) - lead_ns : 0;
}

static uint64_t fence_at(const struct lease_timing *t)
{
    return before_deadline(t, lease_timing_fence_lead_ns(t));
}

static uint64_t demote_at(const struct lease_timing *t)
{
    return before_deadline(t, lease_timing_demote_lead_ns(t));
}

static uint64_t watch(const struct lease_timing *t)
{
    return lease_timing_watch_ns(t->ttl_ns);
}

static uint64_t takeover(const struct lease_timing *t)
{
    return watch(t) + t->poll_ns + ELECTION_NS;
}

const struct times_row times_rows[] = {
    {"deadline", "ttl - ttl/100", deadline,
     "so long a leader counts on a renewal, from before it was sent, on its own clock"},
    {"demote_at", "deadline - (demote_budget + kill_budget + margin)", demote_at,
     "without another renewal the demote hook runs then"},
    {"fence_at", "deadline - (kill_budget + margin)", fence_at,
     "and the guardian runs the fence hook then, whether or not the sidecar lives"},
    {"silence", "ttl - (demote_budget + kill_budget + margin) - renew", lease_timing_silent_ns,
     "so long the database may be silent, and no controller is stopped"},
    {"endpoint_limit", "min(ttl*2/5, max((silence - ttl/100)/2, silence - ttl/10))",
     lease_timing_endpoint_limit_ns,
     "an endpoint that is silent for so long is left for the next one, at the latest"},
    {"watch", "ttl + ttl/100", watch,
     "so long the others see nothing change before they take the lease of a leader that is gone"},
    {"takeover", "watch + poll + 300ms", takeover,
     "its controller starts elsewhere so long after its last renewal, at the latest"},
};
const size_t times_row_count = sizeof times_rows / sizeof times_rows[0];

const struct times_rule times_rules[] = {
    {LEASE_TIMING_TTL_RANGE, "1s <= ttl <= 1h"},
    {LEASE_TIMING_ZERO, "0s < every duration <= 24h"},
    {LEASE_TIMING_RENEW_TOO_SLOW, "renew <= ttl/3"},
    {LEASE_TIMING_NO_SILENCE, "silence >= renew + ttl/100"},
    {LEASE_TIMING_POLL_TOO_SLOW, "poll <= ttl/4"},
    {LEASE_TIMING_MARGIN, "margin >= ttl/50"},
    {LEASE_TIMING_CHECK_BUDGET, "check_budget <= kill_budget"},
};
const size_t times_rule_count = sizeof times_rules / sizeof times_rules[0];

static uint64_t timing_value(const struct lease_timing *t, const struct option_row *o)
{
    uint64_t ns;

    memcpy(&ns, (const char *)t + (o->offset - offsetof(struct config, timing)), sizeof ns);
    return ns;
}

bool times_meaningful(const struct lease_timing *t)
{
    for (size_t i = 0; i < option_row_count; i++)
        if ((option_rows[i].flags & OPTION_TIMING) && timing_value(t, &option_rows[i]) > ABSURD_NS)
            return false;
    return true;
}

static bool find_value(const char *word, const struct lease_timing *t, uint64_t *ret_ns)
{
    const struct option_row *o = option_find(word);

    if (o && (o->flags & OPTION_TIMING)) {
        *ret_ns = timing_value(t, o);
        return true;
    }
    for (size_t i = 0; i < times_row_count; i++)
        if (strcmp(times_rows[i].name, word) == 0) {
            *ret_ns = times_rows[i].value_ns(t);
            return true;
        }
    return false;
}

void times_with_values(const char *formula, const struct lease_timing *t, char *buf, size_t size)
{
    char word[64], value[32];
    uint64_t ns;

    for (buf[0] = '\0'; *formula;) {
        size_t length = strspn(formula, "abcdefghijklmnopqrstuvwxyz_");

        snprintf(word, sizeof word, "%.*s", (int)(length ? length : 1), formula);
        formula += strlen(word);
        if (length > 0 && find_value(word, t, &ns))
            format_duration(ns, value, sizeof value);
        else
            strcpy(value, length < sizeof value ? word : "?");
        snprintf(buf + strlen(buf), size - strlen(buf), "%s", value);
    }
}
