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
#include <time.h>
#include <unistd.h>

#include "db/link.h"

#define STACK_SIZE    ((size_t)512 * 1024)
#define ABANDONED_MAX 64 /* threads that are stuck in a call and will free themselves */
#define ENDED_POLL_NS 2000000

struct worker {
    struct worker_config config;
    struct link link;          /* the thread's, but for cancelling */
    uint64_t connected_raw_ns; /* ... since when it is connected */
    pthread_t thread;
    int event_fd;

    /* shared, under lock; the link's own lock may be taken under it */
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool quit, abandoned;
    bool has_op, has_result;
    uint32_t op_id;
    enum worker_kind op_kind;
    bool op_causal;
    char op_sql[WORKER_SQL_MAX + 64];
    struct worker_result result;

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
    link_deinit(&worker->link);
    if (worker->event_fd >= 0)
        close(worker->event_fd);
    pthread_cond_destroy(&worker->wake);
    pthread_mutex_destroy(&worker->lock);
    explicit_bzero(worker->config.password, sizeof(worker->config.password));
    free(worker);
    return NULL;
}

/* ------------------------------------------------------------------ the thread */

/* Never slewed, and stands still in suspend: it counts no more than has passed. */
static uint64_t raw_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC_RAW, &t);
    return (uint64_t)t.tv_sec * LEASE_NS_PER_S + (uint64_t)t.tv_nsec;
}

static bool connect_link(struct worker *worker, struct worker_result *result)
{
    bool ok = link_open(&worker->link, result);

    worker->connected_raw_ns = raw_ns();
    return ok;
}

/* For as long as the connection stands the server lives. */
static struct worker_facts facts_by_now(const struct worker *worker)
{
    struct worker_facts facts = worker->link.facts;

    uint64_t now_ns = raw_ns();

    if (worker->link.mysql && now_ns > worker->connected_raw_ns)
        facts.up_ns += now_ns - worker->connected_raw_ns;
    return facts;
}

static void perform(struct worker *worker, enum worker_kind kind, bool causal, const char *sql,
                    struct worker_result *result)
{
    enum answer_stage stage = kind == WORKER_READ ? ANSWER_STAGE_READ : ANSWER_STAGE_WRITE;
    char text[sizeof(worker->op_sql)];
    bool ok;

    result->answer = LEASE_ANSWER_ROW;
    if (kind == WORKER_CLOSE) {
        link_close(&worker->link);
        return;
    }
    if (!worker->link.mysql && !connect_link(worker, result))
        return;
    if (kind == WORKER_CONNECT)
        return;
    /* For this statement only, so that a lost answer cannot leave the session changed. */
    snprintf(text, sizeof(text), "%s%s", causal ? "SET STATEMENT wsrep_sync_wait = 1 FOR " : "", sql);
    ok = link_run(&worker->link, stage, text, result, kind == WORKER_WRITE ? NULL : &result->table);
    if (ok && kind == WORKER_WRITE && result->changed == 0)
        result->answer = LEASE_ANSWER_MISMATCH;
    if (!ok && (result->answer == LEASE_ANSWER_UNKNOWN || answer_closes(result->error)))
        link_close(&worker->link);
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
        result.facts = facts_by_now(worker);
        result.connected = worker->link.mysql != NULL;
        pthread_mutex_lock(&worker->lock);
        worker->result = result;
        worker->has_result = true;
        eventfd_write(worker->event_fd, 1); /* under the lock: readable exactly while there is a result */
        pthread_mutex_unlock(&worker->lock);
    }
    link_close(&worker->link);
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
    link_init(&worker->link, &worker->config);
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
    link_cancel(&worker->link);
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

bool worker_all_ended(uint64_t limit_ns)
{
    const struct timespec pause = {.tv_nsec = ENDED_POLL_NS};

    for (uint64_t waited = 0; atomic_load(&abandoned_count) > 0; waited += ENDED_POLL_NS) {
        if (waited >= limit_ns)
            return false;
        nanosleep(&pause, NULL);
    }
    return true;
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
    link_permit(&worker->link);
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
    if (!worker->has_result)
        link_cancel(&worker->link);
    pthread_mutex_unlock(&worker->lock);
}

enum worker_blame worker_error_blame(unsigned error)
{
    if (error == 0 || error == 1213)
        return WORKER_BLAME_NOBODY;
    if (answer_permanent(error) || error == WORKER_ERROR_SCHEMA || error == WORKER_ERROR_HALF_SCHEMA ||
        error == WORKER_ERROR_SHAPE)
        return WORKER_BLAME_DATABASE;
    return WORKER_BLAME_ENDPOINT;
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
