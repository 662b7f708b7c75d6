#pragma once
/*
 * Rows of the schema as C values, and back. What comes from the database is untrusted: a row is either in
 * bounds in every column or malformed as a whole. Pure. Thread: any.
 */
#include <stdbool.h>
#include <stdint.h>

#include "core/lease.h"
#include "db/table.h"

#define ROWS_ADDRESS_MAX 255
#define ROWS_WORD_MAX    63
#define ROWS_TEXT_MAX    255
#define ROWS_DIGEST_MAX  1023

/* Names: 1..63 of [A-Za-z0-9._-], not starting with '-' or '.'. */
bool rows_name_ok(const char *name);

/* What a member publishes about itself. Texts are sanitised when decoded and cut when written. */
struct rows_member {
    struct lease_member member; /* drifted: drift is not empty */
    char address[ROWS_ADDRESS_MAX + 1];
    uint16_t port;                   /* the controller's */
    uint16_t http_port;              /* 0: none */
    char role[ROWS_WORD_MAX + 1];    /* lease_role_name() */
    char why_not[ROWS_TEXT_MAX + 1]; /* why it is not the leader; empty for a leader */
    char version[ROWS_WORD_MAX + 1]; /* of the controller */
    char sidecar[ROWS_WORD_MAX + 1]; /* of the sidecar */
    char drift[ROWS_TEXT_MAX + 1];   /* which of its files differ from the last leader's; empty: none known */
    char seen_at[ROWS_WORD_MAX + 1]; /* wall time of the node that wrote it; for people only */
    uint64_t seen_ms;                /* age by the answering node's wall clock; for people only */
};

/* What people ask for. The last two are done by the database itself, no sidecar sees them. */
enum rows_action { ROWS_STEP_DOWN, ROWS_SWITCHOVER, ROWS_HOLD, ROWS_UNHOLD, ROWS_ACK, ROWS_RELEASE };

struct rows_request {
    uint64_t id;
    enum rows_action action;
    char target[LEASE_NAME_MAX + 1]; /* of a switchover */
    uint64_t epoch;                  /* for which it was asked */
    char who[ROWS_WORD_MAX + 1];
    char why[ROWS_TEXT_MAX + 1];
    uint32_t hold_ms; /* of a hold: how long, from its claim on */
    uint64_t age_ms;  /* by the answering node's wall clock */
};

/*
 * Not seen for a few heartbeats, or ended: by the answering node's wall clock, for people, never for a
 * decision.
 * @ttl_ms: as configured here; 0: not known. That of the row is longer during a hold, and counts if it is
 * shorter.
 */
bool rows_member_silent(const struct rows_member *member, uint64_t ttl_ms, const struct lease_row *row);

/* Decoders: true and filled, or false and untouched. Column order is that of the statements in statement.h.
 */
bool rows_lease_decode(const struct table *table, size_t row, struct lease_row *ret_row);
bool rows_member_decode(const struct table *table, size_t row, struct rows_member *ret_member);
bool rows_request_decode(const struct table *table, size_t row, struct rows_request *ret_request);

const char *rows_action_name(enum rows_action action);   /* as the command line spells it */
const char *rows_state_name(enum lease_row_state state); /* as in the schema */
