#pragma once
/*
 * Blocking database access for the verbs of the command line; the daemon never uses it.
 * Same connection rules as worker.h, same time limits, in the caller's thread.
 */
#include <stdbool.h>
#include <stdint.h>

#include "core/lease.h"
#include "db/access.h"
#include "db/rows.h"
#include "db/table.h"
#include "db/worker.h"

struct sync_error {
    unsigned error;
    enum lease_answer answer; /* REFUSED or UNKNOWN */
    bool non_primary;
    char endpoint[ACCESS_ENDPOINT_MAX + 1];
    char text[WORKER_TEXT_MAX + 1]; /* sanitised */
};

struct sync_config {
    const struct access_endpoint *endpoints;
    size_t endpoint_count;
    const char *user;
    const char *password;         /* NULL: none (unix_socket authentication) */
    const struct access_tls *tls; /* NULL: none */
    uint64_t limit_ns;            /* for everything together: connecting and all queries */
    bool lease_rules;             /* demand a Galera node with a schema that this program knows */
    bool standalone;              /* ... but it need not be a Galera node */
    bool dirty_reads;             /* read also where there is no quorum; what is read may be old */
    bool writes;                  /* prefer an endpoint that is writable and has caught up */
    struct sync_error *errors;    /* NULL, or room for one an endpoint: why it will not do */
};

enum sync_result {
    SYNC_OK = 0,
    SYNC_UNREACHABLE, /* no endpoint answered; @ret_error is of the last */
    SYNC_FAILED,      /* the statement failed */
    SYNC_TIMEOUT,     /* the limit passed; a write may be applied or not */
    SYNC_MALFORMED,   /* the answer had not the expected shape */
};

struct sync;

/* Connects to the first endpoint that answers; if none of them is as wanted, to one that is not. 0, enum
 * sync_result, or -errno. */
int sync_open(const struct sync_config *config, struct sync **ret_sync, struct sync_error *ret_error);
struct sync *sync_close(struct sync *sync); /* takes NULL, returns NULL */
static inline void sync_closep(struct sync **sync)
{
    *sync = sync_close(*sync);
}

const struct worker_facts *sync_facts(const struct sync *sync);
const char *sync_endpoint(const struct sync *sync);

/* A statement with rows. @causal waits until the node has applied what came before. */
int sync_query(struct sync *sync, bool causal, const char *sql, struct table **ret_table,
               struct sync_error *ret_error);

/* A statement without rows; @ret_changed may be NULL. */
int sync_exec(struct sync *sync, const char *sql, uint64_t *ret_changed, struct sync_error *ret_error);

/* What `list`, `status` and `step-down` need, decoded; @causal as above. Lists are malloc'ed: free(). */
int sync_lease(struct sync *sync, bool causal, const char *lease, struct lease_row *ret_row, bool *ret_found,
               struct sync_error *ret_error);
int sync_members(struct sync *sync, bool causal, const char *lease, struct rows_member **ret_members,
                 size_t *ret_count, struct sync_error *ret_error);
/* Writes a request of that kind (CALL step_down, switchover, hold…); the leader, or the database, acts on it.
 */
struct sync_ask {
    enum rows_action action;
    const char *lease;
    const char *target; /* of a switchover */
    uint64_t hold_s;    /* of a hold */
    uint64_t epoch;     /* of a release: whose controller is stopped */
    const char *why;    /* all but unhold */
};
int sync_request(struct sync *sync, const struct sync_ask *wanted, uint64_t *ret_request,
                 struct sync_error *ret_error);
/* How a request stands: @ret_claimed_by and @ret_outcome (ROWS_*_MAX + 1 bytes) are "" until it is.
 * @limit_ns: of this look; SYNC_TIMEOUT after it. SYNC_MALFORMED also where the request is not applied yet.
 */
int sync_request_outcome(struct sync *sync, uint64_t request, uint64_t limit_ns, char *ret_claimed_by,
                         char *ret_outcome, struct sync_error *ret_error);
