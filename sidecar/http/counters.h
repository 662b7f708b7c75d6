#pragma once
/*
 * What a sidecar counts about itself, for its metrics. Plain data that the loop feeds and copies; pure, times
 * are given. Thread: the loop's.
 */
#include <stdbool.h>
#include <stdint.h>

#include "core/lease.h"
#include "util/histogram.h"

/* How a write of the lease row ended: the answers of the database, and none in time. */
enum counters_outcome {
    COUNTERS_CONFIRMED,
    COUNTERS_MISMATCH,
    COUNTERS_REFUSED,
    COUNTERS_UNKNOWN,
    COUNTERS_SILENT, /* given up on */
    COUNTERS_OUTCOMES
};

enum counters_hook {
    COUNTERS_PROMOTE,
    COUNTERS_DEMOTE,
    COUNTERS_CHECK,
    COUNTERS_FENCE, /* the guardian's, from its begin to the confirmed stop */
    COUNTERS_PRECHECK,
    COUNTERS_HOOKS
};

struct counters {
    uint64_t renewals[COUNTERS_OUTCOMES];
    struct histogram renewal;               /* of the confirmed ones */
    uint64_t elections;                     /* won */
    uint64_t roles[LEASE_ROLES];            /* how often each was entered */
    uint64_t alarms[LEASE_NOTE_DOUBLE + 1]; /* raised here */
    struct {
        struct histogram duration;
        uint64_t failures;
        uint64_t begun_ns; /* 0: none runs, or nobody said so */
    } hooks[COUNTERS_HOOKS];
    uint64_t guardian_starts;
    uint64_t healthy, unhealthy; /* answers of the health URL */

    bool renewing; /* a renewal is under way */
    uint64_t renewal_sent_ns;
};

/* A write of the lease row was handed over; one at a time. Only renewals are counted. */
void counters_write(struct counters *counters, enum lease_write kind, uint64_t now_ns);
void counters_written(struct counters *counters, enum lease_answer answer, uint64_t now_ns);
void counters_silent(struct counters *counters); /* ... or nothing was: no harm */

void counters_note(struct counters *counters, enum lease_note note, enum lease_role role, bool alarm);

/* An end without a beginning is none. */
void counters_hook_begun(struct counters *counters, enum counters_hook hook, uint64_t now_ns);
void counters_hook_ended(struct counters *counters, enum counters_hook hook, bool failed, uint64_t now_ns);
void counters_hook_took(struct counters *counters, enum counters_hook hook, bool failed, uint64_t took_ns);

/* Is the guardian at it? Its fence begins and ends with the change of the answer. */
void counters_fencing(struct counters *counters, bool fencing, uint64_t now_ns);
uint64_t counters_fences(const struct counters *counters);

const char *counters_outcome_name(enum counters_outcome outcome);
const char *counters_hook_name(enum counters_hook hook);
