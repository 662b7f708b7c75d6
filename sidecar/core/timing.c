#include "core/timing.h"

#define TTL_MIN_NS (1 * LEASE_NS_PER_S)
#define TTL_MAX_NS (3600 * LEASE_NS_PER_S)

void lease_timing_defaults(uint64_t ttl_ns, struct lease_timing *ret_t)
{
    *ret_t = (struct lease_timing){
        .ttl_ns = ttl_ns,
        .renew_ns = ttl_ns / 10,
        .demote_budget_ns = ttl_ns / 4,
        .kill_budget_ns = ttl_ns / 10,
        .margin_ns = ttl_ns / 20,
        .promote_budget_ns = 3 * ttl_ns,
        .poll_ns = ttl_ns / 40,
        .check_interval_ns = ttl_ns / 4,
        .check_budget_ns = ttl_ns / 10,
    };
}

uint64_t lease_timing_hold_ns(uint64_t ttl_ns)
{
    return ttl_ns - ttl_ns / LEASE_EPSILON_DIVISOR - (ttl_ns % LEASE_EPSILON_DIVISOR ? 1 : 0);
}

uint64_t lease_timing_ttl_for_ns(uint64_t hold_ns)
{
    return hold_ns + hold_ns / (LEASE_EPSILON_DIVISOR - 1);
}

uint64_t lease_timing_watch_ns(uint64_t ttl_ns)
{
    return ttl_ns + ttl_ns / LEASE_EPSILON_DIVISOR + (ttl_ns % LEASE_EPSILON_DIVISOR ? 1 : 0);
}

uint64_t lease_timing_fence_lead_ns(const struct lease_timing *t)
{
    return t->kill_budget_ns + t->margin_ns;
}

uint64_t lease_timing_demote_lead_ns(const struct lease_timing *t)
{
    return t->demote_budget_ns + lease_timing_fence_lead_ns(t);
}

uint64_t lease_timing_silent_ns(const struct lease_timing *t)
{
    uint64_t used = lease_timing_demote_lead_ns(t) + t->renew_ns;

    return used < t->ttl_ns ? t->ttl_ns - used : 0;
}

static uint64_t above(uint64_t a, uint64_t b)
{
    return a > b ? a - b : 0;
}

uint64_t lease_timing_endpoint_limit_ns(const struct lease_timing *t)
{
    uint64_t silent = lease_timing_silent_ns(t);
    uint64_t half = above(silent, t->ttl_ns / LEASE_EPSILON_DIVISOR) / 2; /* the deadline is epsilon early */
    uint64_t all_but_a_tenth = above(silent, t->ttl_ns / 10);
    uint64_t limit = half > all_but_a_tenth ? half : all_but_a_tenth;

    return limit < t->ttl_ns * 2 / 5 ? limit : t->ttl_ns * 2 / 5;
}

static bool duration_absurd(uint64_t ns)
{
    return ns == 0 || ns > 24 * TTL_MAX_NS;
}

static bool any_absurd(const struct lease_timing *t)
{
    return duration_absurd(t->renew_ns) || duration_absurd(t->demote_budget_ns) ||
           duration_absurd(t->kill_budget_ns) || duration_absurd(t->margin_ns) ||
           duration_absurd(t->promote_budget_ns) || duration_absurd(t->poll_ns) ||
           duration_absurd(t->check_interval_ns) || duration_absurd(t->check_budget_ns);
}

bool lease_timing_breaks(const struct lease_timing *t, enum lease_timing_problem problem)
{
    switch (problem) {
    case LEASE_TIMING_TTL_RANGE: return t->ttl_ns < TTL_MIN_NS || t->ttl_ns > TTL_MAX_NS;
    case LEASE_TIMING_ZERO: return any_absurd(t);
    case LEASE_TIMING_RENEW_TOO_SLOW: return t->renew_ns > t->ttl_ns / 3;
    case LEASE_TIMING_NO_SILENCE:
        return lease_timing_silent_ns(t) < t->renew_ns + t->ttl_ns / LEASE_EPSILON_DIVISOR;
    case LEASE_TIMING_POLL_TOO_SLOW: return t->poll_ns > t->ttl_ns / 4;
    case LEASE_TIMING_MARGIN: return t->margin_ns < t->ttl_ns / 50;
    case LEASE_TIMING_CHECK_BUDGET: return t->check_budget_ns > t->kill_budget_ns;
    case LEASE_TIMING_OK:
    case LEASE_TIMING_PROBLEMS: break;
    }
    return false;
}

enum lease_timing_problem lease_timing_check(const struct lease_timing *t)
{
    for (enum lease_timing_problem problem = LEASE_TIMING_OK + 1; problem < LEASE_TIMING_PROBLEMS; problem++)
        if (lease_timing_breaks(t, problem))
            return problem;
    return LEASE_TIMING_OK;
}

const char *lease_timing_problem_text(enum lease_timing_problem problem)
{
    switch (problem) {
    case LEASE_TIMING_OK: return "the times fit together";
    case LEASE_TIMING_TTL_RANGE: return "ttl must lie between 1s and 1h";
    case LEASE_TIMING_ZERO: return "every duration must be above zero and below a day";
    case LEASE_TIMING_NO_SILENCE:
        return "ttl - (demote_budget + kill_budget + margin) - renew must be at least one renew and ttl/100: "
               "otherwise "
               "a single lost renewal stops the controller";
    case LEASE_TIMING_RENEW_TOO_SLOW:
        return "renew must be at most ttl/3: otherwise one lost renewal is too many";
    case LEASE_TIMING_POLL_TOO_SLOW:
        return "poll must be at most ttl/4: followers would notice a free lease late";
    case LEASE_TIMING_MARGIN:
        return "margin must be at least ttl/50: it covers scheduling delay before the deadline";
    case LEASE_TIMING_CHECK_BUDGET:
        return "check_budget must be at most kill_budget: otherwise a stop can't be confirmed before the "
               "deadline";
    case LEASE_TIMING_PROBLEMS: break;
    }
    return "unknown problem";
}
