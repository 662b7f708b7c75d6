#pragma once
/*
 * The text of every statement, built into bounded buffers. Text protocol on purpose: prepared statements
 * needed a server fix (10.11.11). Values are numbers, hex, checked names, or quoted.
 *
 * All builders return the length, or -E2BIG / -EINVAL. Pure. Thread: any.
 */
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/lease.h"

struct client_heartbeat;
struct client_event;

/* A text that grows into a caller's buffer; one error sticks. */
struct statement {
    char *text;
    size_t size, length;
    int error;
};

void statement_init(struct statement *statement, char *buffer, size_t size);
void statement_add(struct statement *statement, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* 'quoted and escaped', cut after @max bytes; control characters become '?'. NULL: ''. Needs a session
 * without NO_BACKSLASH_ESCAPES and with a character set that is ASCII-transparent; both are set when we
 * connect. */
void statement_quote(struct statement *statement, const char *text, size_t max);
void statement_nonce(struct statement *statement, const struct lease_nonce *nonce);
int statement_end(const struct statement *statement);

/* The lease row, columns in the order of rows_lease_decode(). */
int statement_read(char *buffer, size_t size, const char *lease);

/*
 * One conditional autocommit UPDATE (R2). -EINVAL when @wanted is no legal successor of @expected: the
 * counter must be one higher, the epoch must not fall (bump: must rise), the nonce is what the
 * kind says. @hold_reason, of a row with a hold: what people read beside it; NULL: as it stands there.
 */
int statement_write(char *buffer, size_t size, const char *lease, enum lease_write kind,
                    const struct lease_version *expected, const struct lease_row *wanted,
                    const char *hold_reason);

int statement_members(char *buffer, size_t size, const char *lease);
/* Those without an outcome that @member has claimed; "": that nobody has. */
int statement_requests(char *buffer, size_t size, const char *lease, const char *member, unsigned limit);
int statement_claim(char *buffer, size_t size, const char *lease, uint64_t request, const char *member);
int statement_finish(char *buffer, size_t size, const char *lease, uint64_t request, const char *member,
                     const char *outcome);
/* The same outcome for all that are named here and have none yet. */
int statement_abandon(char *buffer, size_t size, const char *lease, const uint64_t *requests, size_t count,
                      const char *member, const char *outcome);
int statement_heartbeat(char *buffer, size_t size, const char *lease, const char *member,
                        const struct lease_nonce *incarnation, const struct client_heartbeat *heartbeat);
int statement_event(char *buffer, size_t size, const char *lease, const char *member,
                    const struct lease_nonce *incarnation, const struct client_event *event);
/* A bounded number of the events that are older than @days. */
int statement_forget(char *buffer, size_t size, const char *lease, uint32_t days);
