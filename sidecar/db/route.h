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

#define ROUTE_PREFER_NS (30 * LEASE_NS_PER_S) /* how often a preferred endpoint is tried again */

struct route_connection {
    struct worker *worker;
    size_t endpoint;
    uint64_t since_ns; /* last submit or answer, as of the last tick */
};

struct route {
    const struct client_config *config; /* the client's; outlives the route */
    int epoll_fd;                       /* the client's: workers are added to it */
    struct route_connection connections[CLIENT_CONNECTIONS];
    uint64_t now_ns, prefer_ns;
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

/* The lease connection is in doubt: the spare takes its place at once. */
void route_switch(struct route *route);

/* Remembers what an endpoint answered. */
void route_note(struct route *route, size_t endpoint, const struct worker_result *result);

/* What any answer from that endpoint says, for the callback. @answer points into @result. */
void route_answer_fill(const struct route *route, size_t endpoint, const struct worker_result *result,
                       struct client_answer *answer);

/* Something was answered on the spare. */
void route_spare_result(struct route *route, const struct worker_result *result);

/* What a tick does to the spare, and the way back to a preferred endpoint. @lease_busy, @book_busy:
 * statements of that kind wait or are under way. */
void route_tick(struct route *route, bool lease_busy, bool book_busy);

void route_status(const struct route *route, struct client_status *ret_status);
