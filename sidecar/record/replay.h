#pragma once
/*
 * Tells the core again what it was told, and compares what it answers with what it answered, line by line
 * and byte by byte.
 *
 * Opens nothing: the caller hands over the lines. Segments of another core are counted and left alone:
 * whether it decides otherwise is no question of right or wrong. One at a time in a process, in any one
 * thread.
 */
#include "record/record.h"

enum replay_result {
    REPLAY_OK = 0,
    REPLAY_DIFFERS, /* from here on nothing can be compared */
    REPLAY_DAMAGED, /* this is no line of a recording */
};

struct replay_error {
    const char *what;
    size_t column;                                      /* of a damaged line; 0: all of it */
    char recorded[TRACE_LINE_MAX], now[TRACE_LINE_MAX]; /* of a difference; empty: nothing */
};

struct replay {
    struct lease lease;
    struct trace_event told;
    struct lease_commands commands;
    struct record_header header; /* of the segment that is played */
    enum { REPLAY_HEADER, REPLAY_STATE, REPLAY_STEPS, REPLAY_OTHER, REPLAY_OVER } expects;
    bool in_step;        /* not all of its commands have been compared */
    size_t compared;     /* of them */
    char assertion[256]; /* of the core, in this step; empty: none */
    uint64_t steps, segments, gaps, dropped, starts, cut_short, other_core;
    uint64_t edges[LEASE_ROLES][LEASE_ROLES], reasons[LEASE_REASONS];
};

void replay_init(struct replay *replay);

/* The next line, without its newline. */
enum replay_result replay_line(struct replay *replay, const char *line, struct replay_error *ret_error);

/* There are no more lines. */
enum replay_result replay_end(struct replay *replay, struct replay_error *ret_error);

/*
 * For the program's lease_assert_failed(): does not return while a replay steps the core, whose assertion is
 * then something to compare.
 */
void replay_assertion(const char *expression, const char *file, int line);
