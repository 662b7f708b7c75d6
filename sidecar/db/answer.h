#pragma once
/*
 * What an error of the server or the connector means for a lease statement (R3), as one table.
 *
 * The only dangerous mistake is to call something REFUSED that may still be applied; so what the table does
 * not list is UNKNOWN for a write. A read that failed changed nothing: it is always REFUSED. Pure. Thread:
 * any.
 */
#include <stdbool.h>

#include "core/lease.h"

enum answer_stage {
    ANSWER_STAGE_CONNECT, /* connecting and session set-up: the statement was never sent */
    ANSWER_STAGE_READ,
    ANSWER_STAGE_WRITE, /* one autocommit statement */
};

/* Never ROW or MISMATCH: there was an error. @error is the server's or the connector's number. */
enum lease_answer answer_class(enum answer_stage stage, unsigned error);

/* The node says that it has no quorum. */
bool answer_non_primary(unsigned error);

/* The same statement would be refused again, by every node: wrong in itself, or without the right or the
 * table. What is not listed may pass. */
bool answer_permanent(unsigned error);

/* After this error the connection must not be used again. */
bool answer_closes(unsigned error);
