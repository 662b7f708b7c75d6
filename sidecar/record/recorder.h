#pragma once
/*
 * Records on disk, in a thread of its own: the loop hands over text and goes on, however slow the disk is.
 *
 * Two files: PATH is the newer, PATH.1 what came before; at half of the bound PATH takes the place of PATH.1.
 * A restarted sidecar goes on in PATH with a new segment. What cannot be kept (the queue is full, the disk is
 * full) is dropped, and the next segment says how many steps that was. A file that is there already must
 * be a recording, and nobody else's: a wrong path costs nobody a file.
 */
#include "record/record.h"

#define RECORDER_QUEUE 131072      /* bytes that may wait */
#define RECORDER_BOUND (32u << 20) /* bytes on disk, of both files together */

struct recorder;

struct recorder_counts {
    uint64_t recorded, dropped; /* steps handed over, and those among them that were lost */
    int error;                  /* negative errno of the last write; 0: it went well */
};

/* Opens the file and records @state, which is the one before the first step. 0, or negative errno:
 * -EINVAL: not a regular file of this user, or no recording; -EEXIST: the same of @path.1. @path is copied.
 */
int recorder_new(const char *path, uint64_t bound, const char *lease, const struct lease *state,
                 struct recorder **ret);

/* A step's text, and the state after it. Never waits for the disk. @text NULL: a step that was too long. */
void recorder_put(struct recorder *recorder, const char *text, size_t length, const struct lease *after);

void recorder_counts(struct recorder *recorder, struct recorder_counts *ret);

/* Writes what waits and the end, for @patience_ns at most: a disk that hangs is left to the end of the
 * process. */
void recorder_end(struct recorder *recorder, uint64_t patience_ns);
