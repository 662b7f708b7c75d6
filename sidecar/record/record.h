#pragma once
/*
 * A recording: everything that one sidecar's core was told, and what it answered, as text.
 *
 *     segment format=1 core=4f0c… version=0.1.0 lease=cmon member=m1 why=start utc=2026-11-24T23:28:01Z
 *     state build=0.1.0 size=15632 bytes=…
 *     start at=12.5s entropy=80… epoch_seen=3
 *       READ op=1 causal
 *     read at=12.502s entropy=… op=1 answer=row …
 *     end
 *
 * A segment opens with the whole state and can be replayed alone. An event stands at the left, with both
 * clocks and its entropy; the commands that it produced follow, two spaces in. `end` is written by a sidecar
 * that ended in good order. `assert in_step file=… line=… expression=…` is the last line of a dump: the core
 * found itself in a state that should not exist, in_step while it was told the event above.
 *
 * Nonces stand in it, as in the state file: it is for its owner's eyes (mode 0600).
 */
#include <stddef.h>

#include "trace/trace.h"

/* The longest text of one step. Lists are bounded by TRACE_LIST_MAX; this many commands are never all long.
 */
#define RECORD_STEP_MAX    (TRACE_LIST_MAX + LEASE_COMMANDS_MAX * 1024)
#define RECORD_HEADER_MAX  512
#define RECORD_OPENING_MAX (RECORD_HEADER_MAX + 2 * sizeof(struct lease) + 256) /* header and state */

enum record_why {
    RECORD_START, /* a sidecar started */
    RECORD_SIZE,  /* the segment before was full; nothing is missing */
    RECORD_GAP,   /* steps are missing: they came faster than they could be written, or the disk was full */
};

/* The first line of a segment. */
struct record_header {
    uint32_t format;
    struct lease_nonce core; /* the digest of the core that did this */
    char version[LEASE_NAME_MAX + 1], lease[LEASE_NAME_MAX + 1], member[LEASE_NAME_MAX + 1];
    enum record_why why;
    uint64_t dropped; /* steps that are missing before this segment */
    char utc[LEASE_NAME_MAX + 1];
};

/* Header and state, each with its newline. The length, or -ENOSPC. */
int record_opening_print(const char *lease, enum record_why why, uint64_t dropped, const struct lease *state,
                         char *buf, size_t size);

/* One step: the event, then the commands, each with its newline. The length, or -ENOSPC. @commands may be
 * NULL: nothing came of it. */
int record_step_print(const struct lease_event *event, const struct lease_commands *commands, char *buf,
                      size_t size);

/* Is this the first line of a segment? Then 0 or -EINVAL. */
bool record_is_header(const char *line);
int record_header_parse(const char *line, struct record_header *ret, struct trace_error *ret_error);

/* Of this program's core. */
const char *record_core_digest(void);
bool record_same_core(const struct record_header *header);

/* What is missing where a text is lost. */
struct record_loss {
    uint64_t steps; /* that begin in it */
    uint64_t said;  /* of which it says that they are missing */
};
void record_lose(const char *text, size_t length, struct record_loss *loss); /* adds */
