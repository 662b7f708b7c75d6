#pragma once
/*
 * The last steps, always in memory: for the day on which the core finds itself in a state that should not
 * exist.
 *
 * Two halves, each a segment that opens with a whole state; when one is full the other is begun anew. So
 * there is always at least half of the ring to look back on, and it can be replayed. No allocation, no I/O
 * but in ring_save(). Thread: the loop's.
 */
#include "record/record.h"

#define RING_HALF 65536
#define RING_ROOM 16384 /* a half with less than this left is full: the next step should find room */

struct ring {
    char lease[LEASE_NAME_MAX + 1];
    struct {
        size_t length;
        char text[RING_HALF];
    } halves[2];
    unsigned newest;
};

/* @state is the one before the first step. */
void ring_init(struct ring *ring, const char *lease, const struct lease *state);

/* A step's text, and the state after it. */
void ring_put(struct ring *ring, const char *text, size_t length, const struct lease *after);

/* A step that has no text: it was too long. */
void ring_gap(struct ring *ring, const struct lease *after);

/* A line of it, without its newline. */
struct ring_line {
    const char *text;
    size_t length;
};

/* The last @count lines, or as many as there are, oldest first. How many. */
unsigned ring_last(const struct ring *ring, unsigned count, struct ring_line *ret_lines);

/* What stopped the core. */
struct ring_assertion {
    const struct lease_event *event; /* the step it was in; NULL: it was not in one */
    const char *expression, *file;
    int line;
};

/* Writes it all, oldest first, and the assertion at the end. 0 or negative errno. */
int ring_save(const struct ring *ring, const struct ring_assertion *assertion, const char *path);
