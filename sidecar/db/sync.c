#include "db/sync.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "db/statement.h"

struct sync {
    struct worker *worker;
    uint64_t end_ns; /* CLOCK_MONOTONIC */
};

static uint64_t monotonic_ns(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * LEASE_NS_PER_S + (uint64_t)ts.tv_nsec;
}

static void error_fill(struct sync_error *error, const struct worker *worker,
                       const struct worker_result *result)
{
    *error = (struct sync_error){
        .error = result->error, .answer = result->answer, .non_primary = result->non_primary};
    memcpy(error->endpoint, worker_config(worker)->endpoint.text, sizeof(error->endpoint));
    memcpy(error->text, result->text, sizeof(error->text));
}

/* One operation within the limit. The worker is gone after SYNC_TIMEOUT: it may be stuck. */
static int perform(struct sync *sync, uint64_t end_ns, enum worker_kind kind, bool causal, const char *sql,
                   struct worker_result *ret_result, struct sync_error *ret_error)
{
    if (!sync->worker)
        return SYNC_TIMEOUT;
    int r = worker_submit(sync->worker, 0, kind, causal, sql);
    if (r < 0)
        return r;
    struct pollfd fd = {.fd = worker_fd(sync->worker), .events = POLLIN};
    while (worker_take(sync->worker, ret_result) == 0) {
        uint64_t now_ns = monotonic_ns();
        if (now_ns >= end_ns) {
            struct worker_result late = {.error = 2013};
            bool writes = kind == WORKER_WRITE || kind == WORKER_CALL;
            late.answer = writes ? LEASE_ANSWER_UNKNOWN : LEASE_ANSWER_REFUSED;
            table_sanitise(late.text, sizeof(late.text), "no answer in time");
            error_fill(ret_error, sync->worker, &late);
            sync->worker = worker_abandon(sync->worker);
            return SYNC_TIMEOUT;
        }
        poll(&fd, 1, (int)((end_ns - now_ns + LEASE_NS_PER_MS - 1) / LEASE_NS_PER_MS));
    }
    if (!ret_result->error)
        return SYNC_OK;
    error_fill(ret_error, sync->worker, ret_result);
    r = ret_result->error == WORKER_ERROR_SHAPE ? SYNC_MALFORMED : SYNC_FAILED;
    worker_result_deinit(ret_result);
    return r;
}

static int try_endpoint(struct sync *sync, const struct sync_config *config, size_t i, uint64_t end_ns,
                        struct sync_error *ret_error)
{
    struct worker_config wc = {.endpoint = config->endpoints[i],
                               .lease_rules = config->lease_rules,
                               .standalone = config->standalone,
                               .dirty_reads = config->dirty_reads};
    uint64_t limit_s = config->limit_ns / LEASE_NS_PER_S + 1;
    struct worker_result result = {};

    if (strlen(config->user) > ACCESS_USER_MAX ||
        (config->password && strlen(config->password) > ACCESS_PASSWORD_MAX))
        return -EINVAL;
    strcpy(wc.user, config->user);
    strcpy(wc.password, config->password ? config->password : "");
    if (config->tls)
        wc.tls = *config->tls;
    wc.connect_timeout_s = wc.io_timeout_s = (uint32_t)(limit_s > 3600 ? 3600 : limit_s);
    int r = worker_new(&wc, &sync->worker);
    explicit_bzero(wc.password, sizeof(wc.password));
    if (r < 0)
        return r;
    r = perform(sync, end_ns, WORKER_CONNECT, false, NULL, &result, ret_error);
    if (r != SYNC_OK)
        sync->worker = worker_abandon(sync->worker);
    return r;
}

/* A write would be refused there, or may meet one that lags. */
static bool fit(const struct sync_config *config, const struct worker_facts *facts)
{
    return !config->writes || (facts->writable && (facts->synced || !facts->galera));
}

/* Of those that are not fit, for want of another: the first that may be written to, else the first. */
static void set_aside(struct sync *sync, struct worker **spare)
{
    bool better = *spare && worker_facts(sync->worker)->writable && !worker_facts(*spare)->writable;

    if (*spare && !better) {
        sync->worker = worker_abandon(sync->worker);
        return;
    }
    worker_abandon(*spare);
    *spare = sync->worker;
    sync->worker = NULL;
}

static int connect_first(struct sync *sync, const struct sync_config *config, struct sync_error *ret_error)
{
    struct worker *spare = NULL;
    int r = SYNC_UNREACHABLE;

    for (size_t i = 0; i < config->endpoint_count; i++) {
        /* A silent endpoint takes at most its share: the last one, and the spare, get a chance, too. */
        size_t shares = config->endpoint_count - i + (spare ? 1 : 0);
        uint64_t now_ns = monotonic_ns();
        uint64_t left_ns = sync->end_ns > now_ns ? sync->end_ns - now_ns : 0;
        r = try_endpoint(sync, config, i, now_ns + left_ns / shares, ret_error);
        if (r < 0 || (r == SYNC_OK && fit(config, sync_facts(sync)))) {
            worker_abandon(spare);
            return r;
        }
        if (r == SYNC_OK)
            set_aside(sync, &spare);
        else if (config->errors)
            config->errors[i] = *ret_error;
    }
    sync->worker = spare;
    return spare ? SYNC_OK : SYNC_UNREACHABLE;
}

int sync_open(const struct sync_config *config, struct sync **ret_sync, struct sync_error *ret_error)
{
    *ret_error = (struct sync_error){.answer = LEASE_ANSWER_REFUSED};
    struct sync *sync = calloc(1, sizeof(*sync));
    if (!sync)
        return -ENOMEM;
    sync->end_ns = monotonic_ns() + config->limit_ns;
    int r = connect_first(sync, config, ret_error);
    if (r == SYNC_OK)
        *ret_sync = sync;
    else
        sync_close(sync);
    return r;
}

struct sync *sync_close(struct sync *sync)
{
    if (sync) {
        sync->worker = worker_abandon(sync->worker);
        free(sync);
    }
    return NULL;
}

const struct worker_facts *sync_facts(const struct sync *sync)
{
    static const struct worker_facts none;
    return sync->worker ? worker_facts(sync->worker) : &none;
}

const char *sync_endpoint(const struct sync *sync)
{
    return sync->worker ? worker_config(sync->worker)->endpoint.text : "";
}

static int query(struct sync *sync, uint64_t end_ns, enum worker_kind kind, bool causal, const char *sql,
                 struct table **ret_table, struct sync_error *ret_error)
{
    struct worker_result result = {};

    *ret_error = (struct sync_error){.answer = LEASE_ANSWER_REFUSED};
    int r = perform(sync, end_ns, kind, causal, sql, &result, ret_error);
    if (r == SYNC_OK)
        *ret_table = result.table;
    return r;
}

int sync_query(struct sync *sync, bool causal, const char *sql, struct table **ret_table,
               struct sync_error *ret_error)
{
    return query(sync, sync->end_ns, WORKER_READ, causal, sql, ret_table, ret_error);
}

int sync_exec(struct sync *sync, const char *sql, uint64_t *ret_changed, struct sync_error *ret_error)
{
    struct worker_result result = {};

    *ret_error = (struct sync_error){.answer = LEASE_ANSWER_REFUSED};
    int r = perform(sync, sync->end_ns, WORKER_WRITE, false, sql, &result, ret_error);
    if (r == SYNC_OK && ret_changed)
        *ret_changed = result.changed;
    return r;
}

int sync_lease(struct sync *sync, bool causal, const char *lease, struct lease_row *ret_row, bool *ret_found,
               struct sync_error *ret_error)
{
    __attribute__((cleanup(table_freep))) struct table *table = NULL;
    char sql[1024];

    int r = statement_read(sql, sizeof(sql), lease);
    if (r < 0)
        return r;
    r = sync_query(sync, causal, sql, &table, ret_error);
    if (r != SYNC_OK)
        return r;
    if (table->rows > 0 && !rows_lease_decode(table, 0, ret_row))
        return SYNC_MALFORMED;
    *ret_found = table->rows > 0;
    return SYNC_OK;
}

int sync_members(struct sync *sync, bool causal, const char *lease, struct rows_member **ret_members,
                 size_t *ret_count, struct sync_error *ret_error)
{
    __attribute__((cleanup(table_freep))) struct table *table = NULL;
    struct rows_member *members;
    size_t count = 0;
    char sql[2048];

    int r = statement_members(sql, sizeof(sql), lease);
    if (r < 0)
        return r;
    r = sync_query(sync, causal, sql, &table, ret_error);
    if (r != SYNC_OK)
        return r;
    members = calloc(table->rows + 1, sizeof(*members));
    if (!members)
        return -ENOMEM;
    for (size_t i = 0; i < table->rows; i++)
        if (rows_member_decode(table, i, &members[count]))
            count++;
    *ret_members = members;
    *ret_count = count;
    return SYNC_OK;
}

static int ask(struct sync *sync, const char *sql, uint64_t *ret_request, struct sync_error *ret_error)
{
    __attribute__((cleanup(table_freep))) struct table *table = NULL;

    int r = query(sync, sync->end_ns, WORKER_CALL, false, sql, &table, ret_error);
    if (r != SYNC_OK)
        return r;
    return table_u64(table, 0, 0, ret_request) ? SYNC_OK : SYNC_MALFORMED;
}

int sync_request(struct sync *sync, const struct sync_ask *wanted, uint64_t *ret_request,
                 struct sync_error *ret_error)
{
    static const char *const procedures[] = {"step_down", "switchover", "hold",
                                             "unhold",    "alarm_ack",  "release_stopped"};
    bool target = wanted->action == ROWS_SWITCHOVER;
    struct statement s;
    char sql[1024];

    if (!rows_name_ok(wanted->lease) || (target && !rows_name_ok(wanted->target)))
        return -EINVAL;
    statement_init(&s, sql, sizeof(sql));
    statement_add(&s, "CALL galera_lease.%s('%s'", procedures[wanted->action], wanted->lease);
    if (target)
        statement_add(&s, ", '%s'", wanted->target);
    if (wanted->action == ROWS_HOLD)
        statement_add(&s, ", %llu", (unsigned long long)wanted->hold_s);
    if (wanted->action == ROWS_RELEASE)
        statement_add(&s, ", %llu", (unsigned long long)wanted->epoch);
    if (wanted->action != ROWS_UNHOLD) {
        statement_add(&s, ", ");
        statement_quote(&s, wanted->why, ROWS_TEXT_MAX);
    }
    statement_add(&s, ")");
    return statement_end(&s) < 0 ? statement_end(&s) : ask(sync, sql, ret_request, ret_error);
}

int sync_request_outcome(struct sync *sync, uint64_t request, uint64_t limit_ns, char *ret_claimed_by,
                         char *ret_outcome, struct sync_error *ret_error)
{
    uint64_t end_ns = monotonic_ns() + limit_ns;
    __attribute__((cleanup(table_freep))) struct table *table = NULL;
    struct statement s;
    char sql[256];

    statement_init(&s, sql, sizeof(sql));
    statement_add(&s, "SELECT claimed_by, outcome FROM galera_lease.request WHERE id = %llu",
                  (unsigned long long)request);
    int r = query(sync, end_ns < sync->end_ns ? end_ns : sync->end_ns, WORKER_READ, false, sql, &table,
                  ret_error);
    if (r != SYNC_OK)
        return r;
    if (table->rows != 1)
        return SYNC_MALFORMED;
    table_sanitise(ret_claimed_by, ROWS_WORD_MAX + 1, table_text(table, 0, 0));
    table_sanitise(ret_outcome, ROWS_TEXT_MAX + 1, table_text(table, 0, 1));
    return SYNC_OK;
}
