#pragma once
/*
 * One connection, with the connector's blocking calls: open, run a statement, close. The only file that
 * speaks the connector's language. It knows no leases and never tries again. Only worker.c owns one.
 *
 * Thread: the worker's, but for link_cancel() and link_permit(), which may be called from any.
 */
#include <mysql.h>
#include <pthread.h>
#include <stdbool.h>

#include "db/answer.h"
#include "db/table.h"
#include "db/worker.h"

struct link {
    const struct worker_config *config; /* the owner's; outlives the link */
    MYSQL *mysql;                       /* NULL: not connected */
    struct worker_facts facts;          /* of the last connection */

    pthread_mutex_t lock; /* over what follows */
    int cancel_fd;        /* duplicate of the connection's socket; -1: none */
    bool cancelled;       /* connecting is no longer wanted */
};

void link_init(struct link *link, const struct worker_config *config);
void link_deinit(struct link *link);

/* true: connected, the session set up, facts learnt. Else closed, and @result says why. */
bool link_open(struct link *link, struct worker_result *result);
void link_close(struct link *link);

/* Sends one statement; the first result set goes to @ret_table, others are read and dropped. */
bool link_run(struct link *link, enum answer_stage stage, const char *sql, struct worker_result *result,
              struct table **ret_table);

/* Ends the call under way, and refuses to connect until link_permit(). */
void link_cancel(struct link *link);
void link_permit(struct link *link);

/* Writes an error into @result, classed for that stage. */
void link_fail(struct worker_result *result, enum answer_stage stage, unsigned error, const char *text);
