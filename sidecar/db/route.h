#pragma once
/*
 * Which connection talks to which endpoint: the client's connections, their order, what moves them on and
 * what brings them back. Sends what it is given; knows neither statements nor answers' meaning for the lease.
 * Thread: the loop's.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "db/client.h"
#include "db/worker.h"

struct route_connection {
    struct worker *worker;
    size_t endpoint;
    uint64_t since_ns; /* last submit or answer, as of the last tick */
};

struct route {
    const struct client_config *config; /* the client's; outlives the route */
    int epoll_fd;                       /* the client's: workers are added to it */
    struct route_connection connections[CLIENT_CONNECTIONS];
    bool racing;                 /* neither lease connection nor spare is connected: the first to be serves */
    uint64_t now_ns;             /* as of the last tick; 0: none yet */
    uint64_t moved_ns;           /* when the lease connection moved, or the way back was tried */
    uint64_t home_ns;            /* when it last came back to the first endpoint; 0: never */
    unsigned home_doublings;     /* of the pause before that is tried again */
    struct client_status status; /* counters and endpoints' errors */
};

/* Starts to connect the spare. */
void route_init(struct route *route, const struct client_config *config, int epoll_fd);
void route_deinit(struct route *route);

size_t route_next(const struct route *route, size_t endpoint);

/* Stuck or not: its thread ends by itself. */
void route_drop(struct route *route, enum client_connection_role role);

/* Connects where that is needed. 0, -EBUSY (still connecting, or another answer is awaited), or -errno. */
int route_submit(struct route *route, enum client_connection_role role, uint32_t id, enum worker_kind kind,
                 bool causal, const char *sql);

bool route_connected(const struct route *route, enum client_connection_role role);

/* For a fault that is probably the same everywhere: the spare found the schema in order when it connected,
 * and the lease connection has not moved lately. More would only churn. */
bool route_may_try(const struct route *route);

/* The lease connection is in doubt: a connected spare takes its place at once; else two connections are made
 * and the first to be ready takes it. */
void route_switch(struct route *route);

/*
 * The lease connection failed and nobody waits for it: the next statement opens it anew, on the next
 * endpoint. With every endpoint refusing, one failure must not bring about the next.
 */
void route_rest(struct route *route);

/* Remembers what an endpoint answered. */
void route_note(struct route *route, size_t endpoint, const struct worker_result *result);

/* What any answer from that endpoint says, for the callback. @answer points into @result. */
void route_answer_fill(const struct route *route, size_t endpoint, const struct worker_result *result,
                       struct client_answer *answer);

/* Something was answered on the spare. true: it is the lease connection now. */
bool route_spare_result(struct route *route, const struct worker_result *result);

/* The first endpoint answered, or not. @quiet: no lease statement is under way or in doubt. */
void route_home_result(struct route *route, const struct worker_result *result, bool quiet);

/* Once a second: keeps a spare, and finds the way back to the first endpoint. @book_busy: bookkeeping waits
 * or is under way. */
void route_tick(struct route *route, uint64_t now_ns, bool quiet, bool book_busy);

void route_status(const struct route *route, struct client_status *ret_status);
