#pragma once
/*
 * One line of text for each event and command of the core, and back: what a failing run prints, what a
 * scenario file reads, what the daemon records and replays.
 *
 *     read at=12.5s op=5 answer=row instance=7 instance_up=1000s epoch=3 counter=30 nonce=09 ttl_ms=20000
 * state=held holder=m2
 *
 * A line says everything: printing what was parsed gives the same bytes, and parsing what was printed the
 * same value. Fields that are zero are left out. Times are exact: seconds with as many decimals as they need.
 * `slow` is given where it differs from `at`. Nonces are hex, without the zeros at the end.
 *
 * Pure string formatting: opens nothing, allocates nothing. Thread: any.
 */
#include <stddef.h>

#include "core/lease.h"

#define TRACE_LINE_MAX  4096   /* any command, any event but a long list of members */
#define TRACE_LIST_MAX  65536  /* any event */
#define TRACE_STATE_MAX 131072 /* any state */

struct trace_error {
    size_t column;    /* of the line, from 1 */
    const char *what; /* a sentence's part: "unknown field" */
};

/* An event with room for what it points to. */
struct trace_event {
    struct lease_event event;
    struct lease_member members[LEASE_MEMBERS_MAX];
};

/* Printers: the length without NUL, or -ENOSPC. No newline. */
int trace_event_print(const struct lease_event *event, char *buf, size_t size);
int trace_command_print(const struct lease_command *command, char *buf, size_t size);

/* Parsers: 0, or -EINVAL with @ret_error filled and the result undefined. */
int trace_event_parse(const char *line, struct trace_event *ret, struct trace_error *ret_error);
int trace_command_parse(const char *line, struct lease_command *ret, struct trace_error *ret_error);

/*
 * A whole state, as hex with runs of zeros folded ("~120"). It is for the same build only, and says so: what
 * cannot be misread needs no version of every field. Parsing refuses a state of another layout.
 */
int trace_state_print(const struct lease *lease, char *buf, size_t size);
int trace_state_parse(const char *line, struct lease *ret, struct trace_error *ret_error);

/* A configuration as a scenario says it ("config member=m1 ttl=20000ms …"), with the times that are not the
 * usual ones. */
int trace_config_print(const struct lease_config *config, char *buf, size_t size);

/* Where a member stands, in a few words for people: "leader epoch=4 left=12.3s". */
int trace_summary_print(const struct lease *lease, char *buf, size_t size);
