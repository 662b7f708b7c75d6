#pragma once
/*
 * The timing arithmetic: one knob (ttl), everything else derived from it, and the validator that refuses a
 * set in which a rule cannot hold.
 *
 * What the numbers mean for a holder, on its own fast clock, after a renewal was sent at time 0:
 *
 *   0 ............ silent_ns ............. demote at ......... fence at ........ deadline
 *   |--- database may be silent this long ---|--- D: demote ---|--- K: kill ---|-- M --|
 *
 * Units are nanoseconds. Pure: no clock, no allocation.
 */
#include <stdbool.h>
#include <stdint.h>

#define LEASE_NS_PER_MS UINT64_C(1000000)
#define LEASE_NS_PER_S  UINT64_C(1000000000)

/* What slewing and oscillators leave after the two-clock arithmetic, as a fraction 1/100 (R4, "Two clocks").
 */
#define LEASE_EPSILON_DIVISOR 100

struct lease_timing {
    uint64_t ttl_ns;            /* how long one renewal lasts */
    uint64_t renew_ns;          /* R: a renewal is sent this long after the last one was */
    uint64_t demote_budget_ns;  /* D: demote hook and its confirming check */
    uint64_t kill_budget_ns;    /* K: fence hook and its confirming check */
    uint64_t margin_ns;         /* M: scheduling delay and rounding */
    uint64_t promote_budget_ns; /* promote hook */
    uint64_t poll_ns;           /* a follower reads the row this often */
    uint64_t check_interval_ns; /* the check hook runs this often */
    uint64_t check_budget_ns;   /* one check hook */
};

enum lease_timing_problem {
    LEASE_TIMING_OK = 0,
    LEASE_TIMING_TTL_RANGE,      /* ttl outside 1 s .. 1 h */
    LEASE_TIMING_ZERO,           /* some duration is zero or absurd */
    LEASE_TIMING_RENEW_TOO_SLOW, /* R > ttl/3: fewer than two tries before the demote point */
    LEASE_TIMING_NO_SILENCE,     /* ttl - (D+K+M) - R leaves less than one renewal interval */
    LEASE_TIMING_POLL_TOO_SLOW,  /* poll > ttl/4: fail-over would be dominated by polling */
    LEASE_TIMING_MARGIN,         /* M < 2 % of the ttl */
    LEASE_TIMING_CHECK_BUDGET,   /* a check cannot fit into K, so a stop could never be confirmed in time */
    LEASE_TIMING_PROBLEMS
};

/* Fills @ret_t from the ttl alone. */
void lease_timing_defaults(uint64_t ttl_ns, struct lease_timing *ret_t);

/* Does @t break the rule behind @problem? */
bool lease_timing_breaks(const struct lease_timing *t, enum lease_timing_problem problem);

/* The first rule that @t breaks, or LEASE_TIMING_OK. */
enum lease_timing_problem lease_timing_check(const struct lease_timing *t);

/* A sentence for an operator that names the rule behind @problem; never NULL. */
const char *lease_timing_problem_text(enum lease_timing_problem problem);

/* How long a holder may count on a renewal: ttl*(1-epsilon), from the moment before sending (R1). */
uint64_t lease_timing_hold_ns(uint64_t ttl_ns);

/* The other way round: the shortest ttl, but for rounding, that lasts so long. */
uint64_t lease_timing_ttl_for_ns(uint64_t hold_ns);

/* How long a challenger must see nothing change: ttl*(1+epsilon), from receipt (R4). Rounded up. */
uint64_t lease_timing_watch_ns(uint64_t ttl_ns);

/* K+M and D+K+M: how long before the deadline the guardian fences and the sidecar demotes (R5). */
uint64_t lease_timing_fence_lead_ns(const struct lease_timing *t);
uint64_t lease_timing_demote_lead_ns(const struct lease_timing *t);

/* The longest silence of the database that costs nothing: ttl-(D+K+M)-R; 0 when there is none. */
uint64_t lease_timing_silent_ns(const struct lease_timing *t);

/*
 * An endpoint that is silent for so long is left for the next one: after 0.4 ttl, but early enough that what
 * is sent there has half of what remains until the demote point, or ttl*9/100, to be answered.
 */
uint64_t lease_timing_endpoint_limit_ns(const struct lease_timing *t);
