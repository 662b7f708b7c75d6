#include "db/worker.h"

#include <errno.h>
#include <mysql.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <fcntl.h>
#include <unistd.h>

#include "db/schema.h"

#define STACK_SIZE    (512 * 1024)
#define ABANDONED_MAX 64 /* threads that are stuck in a call and will free themselves */
#define PACKET_MAX    (1024 * 1024UL)
#define RESULT_MAX    (512 * 1024UL) /* bytes of one result set */

struct worker {
    struct worker_config config;
    pthread_t thread;
    int event_fd;

    /* shared, under lock */
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool quit, abandoned, cancelled;
    bool has_op, has_result;
    uint32_t op_id;
    enum worker_kind op_kind;
    bool op_causal;
    char op_sql[WORKER_SQL_MAX + 64];
    struct worker_result result;
    int cancel_fd; /* duplicate of the connection's socket; -1: none */

    /* the thread's */
    MYSQL *mysql;
    struct worker_facts facts;

    /* the owner's */
    bool busy, connected;
    struct worker_facts known;
};

static atomic_uint abandoned_count;
static pthread_once_t library_once = PTHREAD_ONCE_INIT;
static int library_result;

static void library_init(void)
{
    struct sigaction old;

    sigaction(SIGPIPE, NULL, &old);
    library_result = mysql_library_init(0, NULL, NULL);
    sigaction(SIGPIPE, &old,
              NULL); /* the connector ignores it for the whole process; children would inherit that */
}

static struct worker *destroy(struct worker *worker)
{
    worker_result_deinit(&worker->result);
    if (worker->event_fd >= 0)
        close(worker->event_fd);
    pthread_cond_destroy(&worker->wake);
    pthread_mutex_destroy(&worker->lock);
    explicit_bzero(worker->config.password, sizeof(worker->config.password));
    free(worker);
    return NULL;
}

/* ------------------------------------------------------------------ the connection, in the thread */

static void link_close(struct worker *worker)
{
    pthread_mutex_lock(&worker->lock);
    if (worker->cancel_fd >= 0)
        close(worker->cancel_fd);
    worker->cancel_fd = -1;
    pthread_mutex_unlock(&worker->lock);
    if (worker->mysql)
        mysql_close(worker->mysql);
    worker->mysql = NULL;
}

static void fail(struct worker_result *result, enum answer_stage stage, unsigned error, const char *text)
{
    result->answer = answer_class(stage, error);
    result->error = error;
    result->non_primary = answer_non_primary(error);
    table_sanitise(result->text, sizeof(result->text), text);
}

static bool fail_mysql(struct worker *worker, struct worker_result *result, enum answer_stage stage)
{
    unsigned error = mysql_errno(worker->mysql);
    fail(result, stage, error ? error : 2013, error ? mysql_error(worker->mysql) : "connection lost");
    return false;
}

/* One result set into a table; NULL when it is out of bounds or memory, or the connection broke. */
static struct table *fetch(MYSQL_RES *res, bool *ret_broken, MYSQL *mysql)
{
    struct table *table = calloc(1, sizeof(*table));
    size_t cells = 0, columns = mysql_num_fields(res);
    MYSQL_ROW row;

    *ret_broken = false;
    if (!table || columns == 0 || columns > TABLE_COLUMNS_MAX)
        return table_free(table);
    table->columns = columns;
    while ((row = mysql_fetch_row(res))) {
        const unsigned long *lengths = mysql_fetch_lengths(res);
        size_t need = 0;
        for (size_t i = 0; i < columns; i++) {
            if (lengths[i] > TABLE_CELL_MAX)
                return table_free(table);
            need += row[i] ? lengths[i] + 1 : 0;
        }
        if (table->rows >= TABLE_ROWS_MAX || table->store_size + need > RESULT_MAX)
            return table_free(table);
        struct table_cell *more_cells = realloc(table->cells, (cells + columns) * sizeof(*more_cells));
        if (!more_cells)
            return table_free(table);
        table->cells = more_cells;
        char *more = realloc(table->store, table->store_size + need + 1);
        if (!more)
            return table_free(table);
        table->store = more;
        for (size_t i = 0; i < columns; i++) {
            /* offsets for now: the store still moves; 0 is NULL */
            struct table_cell *cell = &table->cells[cells++];
            *cell = (struct table_cell){};
            if (!row[i])
                continue;
            memcpy(table->store + table->store_size, row[i], lengths[i]);
            table->store[table->store_size + lengths[i]] = '\0';
            cell->size = lengths[i];
            cell->data = (const char *)(table->store_size + 1);
            table->store_size += lengths[i] + 1;
        }
        table->rows++;
    }
    if (mysql_errno(mysql)) {
        *ret_broken = true;
        return table_free(table);
    }
    for (size_t i = 0; i < cells; i++)
        if (table->cells[i].data)
            table->cells[i].data = table->store + ((size_t)table->cells[i].data - 1);
    return table;
}

/* Sends one statement; the first result set goes to @ret_table, others are read and dropped. */
static bool run(struct worker *worker, enum answer_stage stage, const char *sql, struct worker_result *result,
                struct table **ret_table)
{
    MYSQL *mysql = worker->mysql;
    struct table *table = NULL;
    bool bad = false;

    if (mysql_real_query(mysql, sql, strlen(sql)) != 0)
        return fail_mysql(worker, result, stage);
    for (;;) {
        MYSQL_RES *res = mysql_use_result(mysql);
        if (res) {
            bool broken = false;
            struct table *one = bad ? NULL : fetch(res, &broken, mysql);
            bad = bad || !one;
            if (broken) {
                fail_mysql(worker, result, stage);
                mysql_free_result(res);
                table_free(table);
                return false;
            }
            mysql_free_result(res);
            if (!table)
                table = one;
            else
                table_free(one);
        } else if (mysql_field_count(mysql) == 0) {
            my_ulonglong changed = mysql_affected_rows(mysql);
            if (!table)
                result->changed = changed == (my_ulonglong)-1 ? 0 : changed;
        }
        int next = mysql_next_result(mysql);
        if (next < 0)
            break;
        if (next > 0) {
            table_free(table);
            return fail_mysql(worker, result, stage);
        }
    }
    if (bad || (ret_table && !table)) {
        table_free(table);
        fail(result, ANSWER_STAGE_READ, WORKER_ERROR_SHAPE, "the answer has not the expected shape");
        return false;
    }
    if (ret_table)
        *ret_table = table;
    else
        table_free(table);
    return true;
}

static uint64_t hash_text(const char *text)
{
    uint64_t hash = UINT64_C(14695981039346656037); /* FNV-1a */
    for (; *text; text++)
        hash = (hash ^ (uint8_t)*text) * UINT64_C(1099511628211);
    return hash ? hash : 1;
}

/*
 * A lower bound of the server's age. Uptime follows the wall clock. The loops of InnoDB's master timer are
 * one at the start and one about every second after (measured: sum = age + 1 at most; the timer re-arms from
 * "now", so a jump of the wall clock adds one, not thousands). A slewed clock may run up to 8 % fast: a tenth
 * is taken off.
 */
static uint64_t age_ns(uint64_t uptime_s, uint64_t loops)
{
    uint64_t age_s = uptime_s < loops ? uptime_s : loops;
    if (age_s < 2 || age_s > UINT64_C(1000000000))
        return age_s < 2 ? 0 : UINT64_C(1000000000) * LEASE_NS_PER_S / 10 * 9;
    return (age_s - 2) * (LEASE_NS_PER_S / 10 * 9);
}

static bool learn_status(struct worker *worker, struct worker_result *result)
{
    struct worker_facts *f = &worker->facts;
    struct table *table = NULL;
    uint64_t uptime = 0, loops = 0, value;

    if (!run(worker, ANSWER_STAGE_CONNECT,
             "SHOW GLOBAL STATUS WHERE Variable_name IN ('wsrep_gcomm_uuid', 'wsrep_cluster_status', "
             "'Uptime', "
             "'Innodb_master_thread_active_loops', 'Innodb_master_thread_idle_loops')",
             result, &table))
        return false;
    for (size_t i = 0; i < table->rows; i++) {
        const char *name = table_text(table, i, 0), *text = table_text(table, i, 1);
        if (strcasecmp(name, "wsrep_gcomm_uuid") == 0 && *text)
            f->instance = hash_text(text);
        else if (strcasecmp(name, "wsrep_cluster_status") == 0)
            table_sanitise(f->status, sizeof(f->status), text);
        else if (strcasecmp(name, "Uptime") == 0 && table_u64(table, i, 1, &value))
            uptime = value;
        else if (table_u64(table, i, 1, &value) && value < UINT32_MAX)
            loops += value;
    }
    table_free(table);
    f->up_ns = age_ns(uptime, loops);
    f->primary = strcmp(f->status, "Primary") == 0;
    return true;
}

static bool learn_identity(struct worker *worker, struct worker_result *result)
{
    struct worker_facts *f = &worker->facts;
    struct table *table = NULL;

    if (!run(worker, ANSWER_STAGE_CONNECT, "SELECT VERSION(), @@wsrep_on, @@wsrep_node_name", result, &table))
        return false;
    table_sanitise(f->version, sizeof(f->version), table_text(table, 0, 0));
    table_sanitise(f->node_name, sizeof(f->node_name), table_text(table, 0, 2));
    f->galera = strcmp(table_text(table, 0, 1), "1") == 0 && f->instance != 0;
    table_free(table);
    return true;
}

/* Fails only for what makes the connection useless under the lease rules. */
static bool learn_schema(struct worker *worker, struct worker_result *result)
{
    struct table *table = NULL;
    uint64_t version = WORKER_SCHEMA_NONE;
    char text[96];

    if (run(worker, ANSWER_STAGE_CONNECT, "SELECT MAX(version) FROM galera_lease.schema_version", result,
            &table))
        table_u64(table, 0, 0, &version);
    else if (worker->config.lease_rules || answer_closes(result->error))
        return false;
    table_free(table);
    worker->facts.schema = version > UINT32_MAX ? UINT32_MAX : (uint32_t)version;
    if (worker->config.lease_rules && worker->facts.schema != SCHEMA_VERSION) {
        snprintf(text, sizeof(text), "the database's schema has version %u, this program knows %u",
                 worker->facts.schema, (unsigned)SCHEMA_VERSION);
        fail(result, ANSWER_STAGE_CONNECT, WORKER_ERROR_SCHEMA, text);
        return false;
    }
    *result = (struct worker_result){.id = result->id, .kind = result->kind, .answer = LEASE_ANSWER_ROW};
    return true;
}

static bool session_init(struct worker *worker, struct worker_result *result)
{
    /* Lock waits are short: a takeover that meets a lock goes through another node, whose write set aborts
     * the blocker. */
    if (!run(worker, ANSWER_STAGE_CONNECT,
             "SET SESSION autocommit = 1, wsrep_retry_autocommit = 0, wsrep_sync_wait = 0, "
             "innodb_lock_wait_timeout = 1, lock_wait_timeout = 2, foreign_key_checks = 1, "
             "sql_mode = 'STRICT_TRANS_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION'",
             result, NULL) ||
        !learn_status(worker, result) || !learn_identity(worker, result))
        return false;
    if (worker->config.lease_rules && !worker->facts.galera) {
        fail(result, ANSWER_STAGE_CONNECT, WORKER_ERROR_NOT_GALERA,
             "this server is no member of a Galera cluster (or wsrep_on is off)");
        return false;
    }
    return learn_schema(worker, result);
}

static bool link_socket(struct worker *worker)
{
    int socket_fd = mysql_get_socket(worker->mysql);
    int fd = fcntl(socket_fd, F_DUPFD_CLOEXEC, 3);
    bool ok;

    fcntl(socket_fd, F_SETFD, FD_CLOEXEC);

    pthread_mutex_lock(&worker->lock);
    worker->cancel_fd = fd;
    ok = fd >= 0 && !worker->cancelled && !worker->quit;
    pthread_mutex_unlock(&worker->lock);
    return ok;
}

static bool link_open(struct worker *worker, struct worker_result *result)
{
    const struct worker_config *c = &worker->config;
    const char *socket_path = c->endpoint.socket[0] ? c->endpoint.socket : NULL;
    unsigned protocol = socket_path ? MYSQL_PROTOCOL_SOCKET : MYSQL_PROTOCOL_TCP;
    unsigned connect_s = c->connect_timeout_s ? c->connect_timeout_s : 1;
    unsigned io_s = c->io_timeout_s ? c->io_timeout_s : 1, local_infile = 0;
    unsigned long packet = PACKET_MAX;
    my_bool no = 0;

    worker->facts = (struct worker_facts){};
    worker->mysql = mysql_init(NULL);
    if (!worker->mysql) {
        fail(result, ANSWER_STAGE_CONNECT, 2008, "out of memory");
        return false;
    }
    mysql_options(worker->mysql, MYSQL_OPT_PROTOCOL, &protocol);
    mysql_options(worker->mysql, MYSQL_OPT_CONNECT_TIMEOUT, &connect_s);
    mysql_options(worker->mysql, MYSQL_OPT_READ_TIMEOUT, &io_s);
    mysql_options(worker->mysql, MYSQL_OPT_WRITE_TIMEOUT, &io_s);
    mysql_options(worker->mysql, MYSQL_OPT_RECONNECT, &no);
    mysql_options(worker->mysql, MYSQL_OPT_LOCAL_INFILE, &local_infile);
    mysql_options(worker->mysql, MYSQL_OPT_MAX_ALLOWED_PACKET, &packet);
    mysql_options(worker->mysql, MYSQL_SET_CHARSET_NAME, "utf8mb4");
    /* A false server must not be able to ask for the password in clear. */
    mysql_options(worker->mysql, MARIADB_OPT_RESTRICTED_AUTH, "mysql_native_password,client_ed25519,parsec");

    if (!mysql_real_connect(worker->mysql, socket_path ? NULL : c->endpoint.host, c->user,
                            c->password[0] ? c->password : NULL, NULL, socket_path ? 0 : c->endpoint.port,
                            socket_path, 0)) {
        fail_mysql(worker, result, ANSWER_STAGE_CONNECT);
    } else if (!link_socket(worker)) {
        fail(result, ANSWER_STAGE_CONNECT, 2013, "cancelled");
    } else if (session_init(worker, result)) {
        return true;
    }
    link_close(worker);
    return false;
}

/* ------------------------------------------------------------------ the thread */

static void perform(struct worker *worker, enum worker_kind kind, bool causal, const char *sql,
                    struct worker_result *result)
{
    enum answer_stage stage = kind == WORKER_READ ? ANSWER_STAGE_READ : ANSWER_STAGE_WRITE;
    char text[sizeof(worker->op_sql)];
    bool ok;

    result->answer = LEASE_ANSWER_ROW;
    if (kind == WORKER_CLOSE) {
        link_close(worker);
        return;
    }
    if (!worker->mysql && !link_open(worker, result))
        return;
    if (kind == WORKER_CONNECT)
        return;
    /* For this statement only, so that a lost answer cannot leave the session changed. */
    snprintf(text, sizeof(text), "%s%s", causal ? "SET STATEMENT wsrep_sync_wait = 1 FOR " : "", sql);
    ok = run(worker, stage, text, result, kind == WORKER_WRITE ? NULL : &result->table);
    if (ok && kind == WORKER_WRITE && result->changed == 0)
        result->answer = LEASE_ANSWER_MISMATCH;
    if (!ok && (result->answer == LEASE_ANSWER_UNKNOWN || answer_closes(result->error)))
        link_close(worker);
}

/* true: there is an operation, copied out. */
static bool next_op(struct worker *worker, struct worker_result *result, bool *ret_causal, char *sql)
{
    bool more;

    pthread_mutex_lock(&worker->lock);
    while (!worker->has_op && !worker->quit)
        pthread_cond_wait(&worker->wake, &worker->lock);
    more = !worker->quit;
    if (more) {
        *result = (struct worker_result){.id = worker->op_id, .kind = worker->op_kind};
        *ret_causal = worker->op_causal;
        strcpy(sql, worker->op_sql);
        worker->has_op = false;
    }
    pthread_mutex_unlock(&worker->lock);
    return more;
}

static void *worker_main(void *userdata)
{
    struct worker *worker = userdata;
    char sql[sizeof(worker->op_sql)];
    struct worker_result result;
    bool causal, abandoned;

    mysql_thread_init();
    while (next_op(worker, &result, &causal, sql)) {
        perform(worker, result.kind, causal, sql, &result);
        result.facts = worker->facts;
        result.connected = worker->mysql != NULL;
        pthread_mutex_lock(&worker->lock);
        worker->result = result;
        worker->has_result = true;
        eventfd_write(worker->event_fd, 1); /* under the lock: readable exactly while there is a result */
        pthread_mutex_unlock(&worker->lock);
    }
    link_close(worker);
    mysql_thread_end();

    pthread_mutex_lock(&worker->lock);
    abandoned = worker->abandoned;
    pthread_mutex_unlock(&worker->lock);
    if (abandoned) {
        destroy(worker);
        atomic_fetch_sub(&abandoned_count, 1);
    }
    return NULL;
}

/* ------------------------------------------------------------------ the owner's side */

static int start_thread(struct worker *worker)
{
    pthread_attr_t attr;
    sigset_t all, old;

    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, STACK_SIZE);
    /* Signals are the loop's. */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    int r = pthread_create(&worker->thread, &attr, worker_main, worker);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    pthread_attr_destroy(&attr);
    return -r;
}

int worker_new(const struct worker_config *config, struct worker **ret_worker)
{
    struct worker *worker;
    int r;

    pthread_once(&library_once, library_init);
    if (library_result)
        return -ENOMEM;
    if (atomic_load(&abandoned_count) >= ABANDONED_MAX)
        return -EAGAIN;
    worker = calloc(1, sizeof(*worker));
    if (!worker)
        return -ENOMEM;
    worker->config = *config;
    worker->cancel_fd = -1;
    pthread_mutex_init(&worker->lock, NULL);
    pthread_cond_init(&worker->wake, NULL);
    worker->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    r = worker->event_fd < 0 ? -errno : start_thread(worker);
    if (r < 0) {
        destroy(worker);
        return r;
    }
    *ret_worker = worker;
    return 0;
}

static void request_end(struct worker *worker, bool abandon)
{
    pthread_mutex_lock(&worker->lock);
    worker->quit = true;
    worker->abandoned = abandon;
    if (worker->cancel_fd >= 0)
        shutdown(worker->cancel_fd, SHUT_RDWR);
    pthread_cond_signal(&worker->wake);
    pthread_mutex_unlock(&worker->lock);
}

struct worker *worker_free(struct worker *worker)
{
    if (!worker)
        return NULL;
    request_end(worker, false);
    pthread_join(worker->thread, NULL);
    return destroy(worker);
}

struct worker *worker_abandon(struct worker *worker)
{
    if (!worker)
        return NULL;
    atomic_fetch_add(&abandoned_count, 1);
    pthread_detach(worker->thread);
    request_end(worker, true); /* from here on it may be gone */
    return NULL;
}

int worker_fd(const struct worker *worker)
{
    return worker->event_fd;
}

int worker_submit(struct worker *worker, uint32_t id, enum worker_kind kind, bool causal, const char *sql)
{
    if (worker->busy)
        return -EBUSY;
    if (sql && strlen(sql) > WORKER_SQL_MAX)
        return -E2BIG;
    pthread_mutex_lock(&worker->lock);
    worker->op_id = id;
    worker->op_kind = kind;
    worker->op_causal = causal;
    strcpy(worker->op_sql, sql ? sql : "");
    worker->has_op = true;
    worker->cancelled = false;
    pthread_cond_signal(&worker->wake);
    pthread_mutex_unlock(&worker->lock);
    worker->busy = true;
    return 0;
}

int worker_take(struct worker *worker, struct worker_result *ret_result)
{
    eventfd_t count;
    int taken = 0;

    pthread_mutex_lock(&worker->lock);
    if (worker->has_result) {
        eventfd_read(worker->event_fd, &count);
        *ret_result = worker->result;
        worker->result.table = NULL;
        worker->has_result = false;
        taken = 1;
    }
    pthread_mutex_unlock(&worker->lock);
    if (taken) {
        worker->busy = false;
        worker->connected = ret_result->connected;
        worker->known = ret_result->facts;
    }
    return taken;
}

void worker_cancel(struct worker *worker)
{
    if (!worker->busy)
        return;
    pthread_mutex_lock(&worker->lock);
    if (!worker->has_result) {
        worker->cancelled = true;
        if (worker->cancel_fd >= 0)
            shutdown(worker->cancel_fd, SHUT_RDWR);
    }
    pthread_mutex_unlock(&worker->lock);
}

bool worker_error_moves(unsigned error)
{
    return error != 0 && error != 1213;
}

bool worker_busy(const struct worker *worker)
{
    return worker->busy;
}

bool worker_connected(const struct worker *worker)
{
    return worker->connected;
}

const struct worker_facts *worker_facts(const struct worker *worker)
{
    return &worker->known;
}

const struct worker_config *worker_config(const struct worker *worker)
{
    return &worker->config;
}

void worker_result_deinit(struct worker_result *result)
{
    result->table = table_free(result->table);
}
