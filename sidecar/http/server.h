#pragma once
/*
 * A small HTTP server in a thread of its own: GET, HEAD and OPTIONS, nothing else.
 *
 * It has a fixed number of places for connections, so its memory is bounded, and it stays reachable whoever
 * holds them: it accepts by itself (the library is given sockets), and when all are taken, the connection
 * that has been without a completed request for longest is closed for the newcomer. One that completes
 * nothing for idle_ns is closed in any case. Requests are a few hundred bytes that one turn of the
 * thread answers, so an honest client is never the oldest for long.
 *
 * Opening the port and reading certificates is the thread's work too. What fails is tried again every
 * HTTP_RETRY_S; certificates that were renewed are taken within that time, and bad ones are not.
 *
 * Its thread is nicer than the others: under load the lease comes first.
 *
 * Nothing here logs or waits. Thread: the owner's.
 */
#include <stdbool.h>
#include <stdint.h>

#include "http/answer.h"

#define HTTP_PLACES 32
#define HTTP_MEMORY                                                                                          \
    ((size_t)4096) /* of one connection: line, headers and reply's headers; longer ones: 431 or 414 */
#define HTTP_IDLE_NS    (10 * LEASE_NS_PER_S)
#define HTTP_RETRY_S    5
#define HTTP_BODY_MAX   131072
#define HTTP_SECRET_MAX 65536 /* of a PEM file */

struct http_counts {
    uint64_t requests, connections, dropped;
};

/* Runs in the server's thread; must not block. @ret_reply: see answer(). */
typedef void (*http_answer_fn)(void *userdata, const char *path, const struct http_counts *counts,
                               struct answer_reply *ret_reply);

/*
 * In the server's thread: 0, it serves, or serves with renewed certificates; or a negative errno, once.
 * -EKEYREJECTED: certificate and key are of no use (if it served before, it goes on with the old ones).
 */
typedef void (*http_outcome_fn)(void *userdata, int error);

/* Texts are the caller's, and must outlive the server. */
struct http_config {
    const char *listen;     /* as parse_socket_address() reads it */
    const char *cert, *key; /* PEM files; NULL or empty: no TLS */
    uint64_t idle_ns;
    http_answer_fn answer;
    http_outcome_fn outcome;
    void *userdata;
};

struct http_server;

/* 0, or negative errno: there is no thread. */
int http_server_new(const struct http_config *config, struct http_server **ret);

/* Does it serve? */
bool http_server_serves(const struct http_server *server);

/* Ends the thread, at once. Returns NULL. */
struct http_server *http_server_free(struct http_server *server);
