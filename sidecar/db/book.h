#pragma once
/*
 * Bookkeeping: a queue of statements that are not the lease's own (heartbeat, members, requests, history),
 * one after the other on a connection of their own. Nothing here may delay the lease row, and history may not
 * delay the rest. Thread: the loop's.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "db/client.h"
#include "db/route.h"

struct book_entry {
    enum client_kind kind;
    uint64_t request;
    unsigned tries;
    bool late; /* waits behind all that is not: an event, an outcome said again or of an earlier run */
    char *sql;
};

struct book {
    struct route *route;
    const struct client_config *config;
    client_callback callback;
    void *userdata;
    struct book_entry queue[CLIENT_QUEUE_MAX]; /* the first is next, or under way; late ones are last */
    size_t count;
    bool sent;                                      /* the first is with its worker */
    bool wait;                                      /* not before the next tick */
    bool late_wait;                                 /* ... but for those that are not late */
    uint64_t dropped;                               /* found no room, or timed out */
    struct lease_member members[LEASE_MEMBERS_MAX]; /* as last read ... */
    struct client_place places[LEASE_MEMBERS_MAX];
    size_t member_count;
    char namesake[ROWS_ADDRESS_MAX + 1];
    char drift[ROWS_TEXT_MAX + 1]; /* of our own row, if it was there */
    bool drift_known;
    struct rows_request requests[CLIENT_REQUESTS_MAX];
};

void book_init(struct book *book, struct route *route, client_callback callback, void *userdata);
void book_deinit(struct book *book);

/* Queues one statement; a heartbeat takes the place of one that has not left yet. 0, -EALREADY (one of such a
 * kind is there already), -ENOBUFS, -ENOMEM. */
int book_push(struct book *book, enum client_kind kind, uint64_t request, const char *sql);

/* Sends the first if it can go now. */
void book_send(struct book *book);

/* Something was answered on the bookkeeping connection. */
void book_result(struct book *book, struct worker_result *result);

/* See client_place(). */
const struct client_place *book_place(const struct book *book, const char *member);

/* No pause any more: the first goes now, if it can. */
void book_hurry(struct book *book);

/* See client_untold(). */
size_t book_untold(const struct book *book);

/* Limits and retries. */
void book_tick(struct book *book);
