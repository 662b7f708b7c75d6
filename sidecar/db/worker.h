#pragma once
/*
 * One database connection in a thread of its own. The connector's calls block; here they may.
 *
 * A worker does one operation at a time and decides nothing. Whoever owns it submits, waits for the eventfd,
 * takes. It connects by itself when an operation needs it, and never again by itself within one: no statement
 * is ever sent twice. It reads no option file (a ~/.my.cnf must not redirect a lease), never reconnects,
 * never asks for CLIENT_FOUND_ROWS (a no-op UPDATE would report a row: measured), and sets
 * wsrep_retry_autocommit to 0.
 *
 * Time: the owner's loop owns every deadline. worker_cancel() ends a blocked call at once (measured: 2013 or
 * 2026); the connector's own time-outs are only the second line. Name resolution cannot be cancelled: for
 * that there is worker_abandon(), after which the thread frees everything itself when it comes back.
 *
 * How it cancels: by shutdown() on a close-on-exec duplicate of the connection's socket, taken when it was
 * connected and guarded by a lock against its own close (link.c). Not by mariadb_cancel(), whatever lock
 * there is around mysql_close(): when a call fails, the connector frees its socket object inside that very
 * call (end_server, connector 3.3), which no lock of ours covers, and mariadb_cancel() would walk into the
 * freed object.
 *
 * Descriptors: the connector opens its sockets without close-on-exec (measured, unix and TCP): the worker
 * sets it. Signals: the connector ignores SIGPIPE for the whole process when it is initialised, and sends
 * with MSG_NOSIGNAL, so the old disposition can be put back right after (measured).
 *
 * Thread: all functions from the owner's thread. No function blocks, except worker_free() (joins; cancel
 * first).
 */
#include <stdbool.h>
#include <stdint.h>

#include "db/access.h"
#include "db/answer.h"
#include "db/table.h"

#define WORKER_SQL_MAX     8192
#define WORKER_TEXT_MAX    255
#define WORKER_SCHEMA_NONE 0 /* the schema's version could not be read: no schema, or no right to see it */

/* A number that the connector does not use: the schema is there, but this program does not know its version.
 */
#define WORKER_ERROR_SCHEMA 65001
/* ... the answer had not the shape that was asked for. */
#define WORKER_ERROR_SHAPE 65002
/* ... the server is no member of a Galera cluster. */
#define WORKER_ERROR_NOT_GALERA 65003
/* ... the server speaks without TLS, or a server's certificate or ours is not accepted. */
#define WORKER_ERROR_TLS 65004
/* ... the password file cannot be used. */
#define WORKER_ERROR_PASSWORD 65005
/* ... the schema is there and names no version: it was left half-made. */
#define WORKER_ERROR_HALF_SCHEMA 65006

struct worker_config {
    struct access_endpoint endpoint;
    char user[ACCESS_USER_MAX + 1];
    char password[ACCESS_PASSWORD_MAX + 1];
    char password_file[ACCESS_PATH_MAX]; /* not empty: read at each connect instead, for it may be rotated */
    struct access_tls tls;
    uint32_t connect_timeout_s; /* second line only; at least 1 */
    uint32_t io_timeout_s;
    bool lease_rules; /* demand a Galera node and a known schema; false for init and the doctor */
    bool standalone;  /* ... any server will do, for it is the only one */
    bool dirty_reads; /* read also where there is no quorum, for the doctor */
};

/* What the server said of itself when we connected; only its age is as of the last answer. */
struct worker_facts {
    uint64_t instance; /* identity of this start of the server: hash of its wsrep_gcomm_uuid; 0: not Galera */
    /*
     * A lower bound of how long it has been up, whatever its wall clock did: the smaller of Uptime and the
     * InnoDB master thread's loops (active + idle), less two seconds and a tenth. Measured: idle, under load,
     * under DDL the sum of the loops was up to 0.8 s above the true age, never 1 s, because the first loop
     * counts at once; loops missed while the process was frozen are not made up for. The tenth is for a
     * server clock that is slewed. To that is added how long the connection has stood since, on our RAW
     * clock: a spare that was made when its server had just started would else count it as that young for
     * ever (R4).
     */
    uint64_t up_ns;
    bool galera;
    bool primary;
    bool writable;
    bool synced;        /* ... and has applied what it must have before it takes part */
    uint32_t schema;    /* WORKER_SCHEMA_NONE: none */
    char version[64];   /* sanitised */
    char status[32];    /* wsrep_cluster_status, sanitised */
    char node_name[64]; /* wsrep_node_name, sanitised */
};

enum worker_kind {
    WORKER_CONNECT, /* be connected; nothing else */
    WORKER_READ,
    WORKER_WRITE,
    WORKER_CALL,  /* classed like a write, but answers with rows */
    WORKER_CLOSE, /* close the connection; the thread stays */
};

struct worker_result {
    uint32_t id;
    enum worker_kind kind;
    enum lease_answer answer; /* ROW: done (a read: see @table; a write: changed rows > 0) */
    bool non_primary;
    bool connected;                 /* afterwards */
    unsigned error;                 /* 0: none */
    char text[WORKER_TEXT_MAX + 1]; /* of the error, sanitised */
    uint64_t changed;
    struct worker_facts facts;
    struct table *table; /* of a read; the taker owns it */
};

struct worker;

/* 0 or -errno. Starts the thread; connects nothing yet. -EAGAIN: too many abandoned ones are still stuck. */
int worker_new(const struct worker_config *config, struct worker **ret_worker);

/* Cancels, joins, frees. Returns NULL. */
struct worker *worker_free(struct worker *worker);

/* Hands the worker to its own thread: it is cancelled, and frees itself once its call returns. Returns NULL.
 */
struct worker *worker_abandon(struct worker *worker);

/*
 * Waits until all that were abandoned have ended, @limit_ns at most. False: some are still in a call. Exit
 * handlers must not run beside them, because OpenSSL's free what a closing connection uses: _exit().
 */
bool worker_all_ended(uint64_t limit_ns);

/* Readable when there is something to take. */
int worker_fd(const struct worker *worker);

/* -EBUSY: the last operation was not taken yet. -E2BIG: @sql is longer than WORKER_SQL_MAX. */
int worker_submit(struct worker *worker, uint32_t id, enum worker_kind kind, bool causal, const char *sql);

/* 1: filled @ret_result; 0: nothing there. */
int worker_take(struct worker *worker, struct worker_result *ret_result);

/* Ends the call under way. It is answered soon, as UNKNOWN (write) or REFUSED. */
void worker_cancel(struct worker *worker);

/* Is it the endpoint's fault, so that another one may do better? */
enum worker_blame {
    WORKER_BLAME_NOBODY,   /* no error, or a lost conflict (1213) */
    WORKER_BLAME_DATABASE, /* schema, rights, or the statement: the same everywhere, unless this endpoint
                              belongs to another database than the others */
    WORKER_BLAME_ENDPOINT,
};
enum worker_blame worker_error_blame(unsigned error);

bool worker_busy(const struct worker *worker);
bool worker_connected(const struct worker *worker); /* as of the last result taken */
const struct worker_facts *worker_facts(const struct worker *worker);
const struct worker_config *worker_config(const struct worker *worker);

void worker_result_deinit(struct worker_result *result);
