#pragma once
/*
 * The database as the sidecar's loop sees it: ask by calling, hear by callback, never block.
 *
 * Connections: one for the lease row with a pre-connected spare on the next endpoint, one for bookkeeping
 * (members, requests, events), and, only while needed, one to the controller's own endpoint. Endpoints are in
 * order of preference. After an error that is the endpoint's, an UNKNOWN or a cancel, the next lease
 * statement goes to another endpoint at once: the spare's, if it is connected; else to whichever of two
 * connects first. No statement is ever repeated here. While things are quiet it goes back to the first
 * endpoint once it is Primary, Synced and writable again; rarer and rarer if it does not stay so.
 *
 * It decides nothing about the lease and never logs. The caller's core has one lease statement under way at a
 * time (client_read, client_write: -EBUSY otherwise), and owns its time limit: it calls client_cancel().
 * Bookkeeping is queued and limited here, by client_tick(). Events wait behind all other bookkeeping and find
 * no room (-ENOBUFS) before that is crowded out. An event or outcome that was refused for the time being is
 * tried again, about once a second; one that every node would refuse is answered at once.
 *
 * Exactly one callback for every accepted call, always from client_dispatch() or client_tick(), never from
 * the call itself; none any more for an id that was cancelled. A callback may call any function here but
 * client_free().
 *
 * Thread: the loop's. Texts are bounded and sanitised.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/lease.h"
#include "db/access.h"
#include "db/rows.h"

#define CLIENT_ENDPOINTS_MAX 16
#define CLIENT_QUEUE_MAX     64
#define CLIENT_REQUESTS_MAX  16
#define CLIENT_TEXT_MAX      255

struct client_config {
    char lease[LEASE_NAME_MAX + 1];
    char member[LEASE_NAME_MAX + 1];
    struct lease_nonce incarnation; /* of this start of the sidecar */
    struct access_endpoint endpoints[CLIENT_ENDPOINTS_MAX];
    size_t endpoint_count; /* at least 1 */
    bool standalone;       /* the one endpoint need not be a Galera node */
    size_t controller;     /* index of the endpoint that the controller uses */
    char user[ACCESS_USER_MAX + 1];
    char password_file[ACCESS_PATH_MAX]; /* read at each connect; empty: none */
    struct access_tls tls;
    uint64_t silence_ns; /* of one endpoint: limit of a connect and of bookkeeping; second line for lease
                            statements */
};

enum client_kind {
    CLIENT_READ,
    CLIENT_WRITE,
    CLIENT_HEARTBEAT,
    CLIENT_MEMBERS,
    CLIENT_REQUESTS,
    CLIENT_CLAIM,
    CLIENT_FINISH,
    CLIENT_LEFT,
    CLIENT_ABANDON,
    CLIENT_EVENT,
    CLIENT_FORGET,
};

struct client_answer {
    enum client_kind kind;
    uint32_t id; /* of a read or write: the caller's; else 0 */
    /*
     * read: ROW, NO_ROW, REFUSED. write: ROW, MISMATCH, REFUSED, UNKNOWN.
     * heartbeat: ROW; MISMATCH: another incarnation has our name. claim: ROW: ours; MISMATCH: somebody was
     * quicker.
     */
    enum lease_answer answer;
    bool non_primary;
    unsigned error;   /* server, connector or WORKER_ERROR_*; 0: none */
    const char *text; /* of the error; "" */
    const char *endpoint;
    uint64_t instance; /* 0: none answered */
    uint64_t instance_up_ns;
    struct lease_row row;               /* of a read that answered ROW */
    uint64_t request;                   /* of a claim or finish: its id */
    const struct lease_member *members; /* during the callback only */
    size_t member_count;
    const char *namesake; /* address of the other sidecar that wrote our name's row; NULL: none. As members */
    const char
        *drift; /* of members: which of our files differ, as rows_member has it; NULL: our row is not there */
    const struct rows_request
        *requests; /* unclaimed ones, or those left, oldest first; during the callback only */
    size_t request_count;
};

typedef void (*client_callback)(const struct client_answer *answer, void *userdata);

struct client_heartbeat {
    uint64_t heartbeat; /* +1 each time */
    uint64_t epoch_seen;
    uint32_t priority;
    uint16_t port;
    uint16_t http_port;
    bool take_over;      /* true: overwrite the row even if another incarnation wrote it (R10) */
    bool ended;          /* the last one: the row says that nobody is behind it any more */
    const char *address; /* NULL in any text: "" */
    const char *role;
    const char *why_not;
    const char *version;
    const char *sidecar;
    const char *digest;
};

struct client_event {
    uint64_t
        number; /* of this run of the sidecar: 1, 2, ...; sent again, it still stands in the history once */
    uint64_t at_ms; /* when it happened, wall clock: it may be told long after, when the database is back */
    uint64_t epoch;
    const char *what; /* short word: "acquired", "released", "fenced" ... */
    const char *reason;
    bool alarm; /* it stays open until somebody acknowledges it */
};

enum client_connection_role {
    CLIENT_LEASE,
    CLIENT_SPARE,
    CLIENT_BOOK,
    CLIENT_CONTROLLER,
    CLIENT_HOME, /* to the first endpoint, while the lease's connection is elsewhere and wants to go back */
    CLIENT_CONNECTIONS
};

/* For status and metrics. */
struct client_status {
    struct {
        bool open; /* there is such a connection, or one is being made */
        bool connected;
        bool busy;
        size_t endpoint; /* index */
        uint64_t instance;
        char version[64];
        char node_name[64];
    } connections[CLIENT_CONNECTIONS];
    size_t endpoint_count;
    struct {
        char text[ACCESS_ENDPOINT_MAX + 1];
        uint64_t failures; /* since the start */
        unsigned error;    /* the last one; 0: it answered last time */
        char error_text[CLIENT_TEXT_MAX + 1];
    } endpoints[CLIENT_ENDPOINTS_MAX];
    uint64_t statements; /* sent since the start, bookkeeping included */
    uint64_t switches;   /* times the lease connection moved */
    uint64_t dropped;    /* bookkeeping that found no room, or timed out */
    size_t queued;
};

struct client;

/* 0 or -errno. Starts connecting in the background. */
int client_new(const struct client_config *config, client_callback callback, void *userdata,
               struct client **ret_client);

/* Never blocks: threads that are stuck are left to end by themselves. Returns NULL. */
struct client *client_free(struct client *client);
static inline void client_freep(struct client **client)
{
    *client = client_free(*client);
}

/* One descriptor for poll (readable); then call client_dispatch(). */
int client_fd(const struct client *client);
int client_dispatch(struct client *client);

/* About once a second, with any monotone clock: limits of bookkeeping, reconnects, way back to a preferred
 * endpoint. */
int client_tick(struct client *client, uint64_t now_ns);

/* The lease row. 0, -EBUSY, -EINVAL. */
int client_read(struct client *client, uint32_t id, bool causal, bool controller_endpoint);
int client_write(struct client *client, uint32_t id, enum lease_write kind,
                 const struct lease_version *expected, const struct lease_row *wanted,
                 const char *hold_reason);

/* Gives up on a lease statement: no callback for it, and another connection for the next. Unknown ids do
 * nothing. Returns the endpoint that was given up on, or NULL. */
const char *client_cancel(struct client *client, uint32_t id);

/* Bookkeeping. 0, -ENOBUFS, -EALREADY, -EINVAL, -ENOMEM. */
int client_heartbeat(struct client *client, const struct client_heartbeat *heartbeat);
int client_members(struct client *client);
int client_requests(struct client *client);
int client_claim(struct client *client, uint64_t request); /* before acting on it */
int client_finish(struct client *client, uint64_t request, const char *outcome);
/* Requests that our name has claimed, still without an outcome. A causal read: the claim may have gone
 * through another node. */
int client_left(struct client *client);
/* Gives some of them one, unless it has come meanwhile. Tried once: client_left() tells whether it worked. */
int client_abandon(struct client *client, const uint64_t *requests, size_t count, const char *outcome);
int client_event(struct client *client, const struct client_event *event);
int client_forget(struct client *client,
                  uint32_t days); /* some of the events older than that; leaders only */

/* To end politely. True: no bookkeeping is queued or under way. */
bool client_idle(const struct client *client);

/* What waits to be tried again is tried now: there may be no next tick. */
void client_hurry(struct client *client);

/* The lease's connection stands and waits for no answer: as far as anybody can tell, the database is there.
 */
bool client_connected(const struct client *client);

/* Entries of the history, and outcomes of requests, that the database does not have yet. */
size_t client_untold(const struct client *client);

void client_status(const struct client *client, struct client_status *ret_status);

/* What the member table said last of one member. */
struct client_place {
    char address[ROWS_ADDRESS_MAX + 1];
    uint16_t port;
    bool leads; /* ... of itself */
};

/* NULL: the table had no such member. Until the next answer to client_members(). */
const struct client_place *client_place(const struct client *client, const char *member);
