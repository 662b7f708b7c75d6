#pragma once
/*
 * One member of one lease, played from a script: the pure core, a database row, and a controller that do what
 * the lines say. README.md lists the verbs.
 */
#include <stdbool.h>
#include <stdio.h>

#include "core/lease.h"
#include "taken.h"
#include "trace/trace.h"

struct play {
    struct lease_config config;
    struct lease lease;
    struct lease_now now;
    bool started;
    uint32_t draws; /* entropy is counted, so that a script names it */

    struct lease_row row;          /* what the database has */
    struct lease_version expected; /* by the write under way */
    bool row_exists, silent, non_primary, frozen_hooks, runs;
    uint64_t instance, instance_up_ns;
    struct lease_member members[LEASE_MEMBERS_MAX];
    size_t member_count;

    bool terse; /* in a run: say only what is news */
    uint64_t run_began_ns;
    FILE *out;                 /* what came of the lines */
    char said[TRACE_LINE_MAX]; /* the last summary */
};

/* What all scripts together took. */
extern struct taken play_taken;

void play_init(struct play *play, FILE *out);

/* Plays one line; what comes of it is printed, each line with "  " before it. 0, or -EINVAL with *@ret_what.
 */
int play_line(struct play *play, const char *line, const char **ret_what);
