/* Every endpoint about itself: settings, state, and two looks at its clock and its component. */
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "db/sync.h"
#include "doctor/look.h"
#include "util/cleanup.h"

#define CLOCK_PAUSE_NS                                                                                       \
    LEASE_NS_PER_S /* between two looks at a clock: at 1 ms there and back, good for 0.2 % */

struct asking {
    const struct look_login *login;
    struct doctor_node *node;
    pthread_t thread;
    bool started;
};

static uint64_t monotonic_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * LEASE_NS_PER_S + (uint64_t)t.tv_nsec;
}

static int64_t wall_us(void)
{
    struct timespec t;

    clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static void ask_values(struct sync *sync, struct doctor_node *n, const char *sql)
{
    _cleanup_(table_freep) struct table *t = NULL;
    struct sync_error error;

    if (sync_query(sync, false, sql, &t, &error) != SYNC_OK || t->columns != 2)
        return;
    for (size_t i = 0; i < t->rows && n->value_count < DOCTOR_VALUES_MAX; i++) {
        table_sanitise(n->values[n->value_count].name, sizeof n->values[0].name, table_text(t, i, 0));
        table_sanitise(n->values[n->value_count].text, sizeof n->values[0].text, table_text(t, i, 1));
        n->value_count++;
    }
}

/* In pieces: it may be longer than a cell may be. */
static void ask_provider(struct sync *sync, struct doctor_node *n)
{
    _cleanup_(table_freep) struct table *t = NULL;
    struct sync_error error;

    if (sync_query(sync, false,
                   "SELECT SUBSTRING(@@global.wsrep_provider_options, 1, 4000), "
                   "SUBSTRING(@@global.wsrep_provider_options, 4001, 4000)",
                   &t, &error) != SYNC_OK ||
        t->rows != 1 || t->columns != 2)
        return;
    table_sanitise(n->provider, sizeof n->provider, table_text(t, 0, 0));
    table_sanitise(n->provider + strlen(n->provider), sizeof n->provider - strlen(n->provider),
                   table_text(t, 0, 1));
}

/* One look; not steady: it was not all that it must be, or could not be asked. */
static struct doctor_view ask_view(struct sync *sync)
{
    _cleanup_(table_freep) struct table *t = NULL;
    struct doctor_view v = {.from_ns = monotonic_ns()};
    struct sync_error error;
    bool primary = false, synced = false, empty = false;

    if (sync_query(
            sync, false,
            "SHOW GLOBAL STATUS WHERE Variable_name IN ('wsrep_cluster_status', 'wsrep_cluster_conf_id', "
            "'wsrep_cluster_size', 'wsrep_local_state_comment', 'wsrep_local_recv_queue')",
            &t, &error) != SYNC_OK)
        return v;
    for (size_t i = 0; i < t->rows; i++) {
        const char *name = table_text(t, i, 0), *text = table_text(t, i, 1);

        primary = primary || (strcasecmp(name, "wsrep_cluster_status") == 0 && strcmp(text, "Primary") == 0);
        synced =
            synced || (strcasecmp(name, "wsrep_local_state_comment") == 0 && strcmp(text, "Synced") == 0);
        empty = empty || (strcasecmp(name, "wsrep_local_recv_queue") == 0 && strcmp(text, "0") == 0);
        if (strcasecmp(name, "wsrep_cluster_conf_id") == 0)
            table_u64(t, i, 1, &v.conf_id);
        if (strcasecmp(name, "wsrep_cluster_size") == 0)
            table_u64(t, i, 1, &v.size);
    }
    v.steady = primary && synced && empty;
    v.to_ns = monotonic_ns();
    return v;
}

static struct doctor_view between(const struct doctor_view *first, const struct doctor_view *second)
{
    return (struct doctor_view){.steady = first->steady && second->steady &&
                                          first->conf_id == second->conf_id && first->size == second->size,
                                .conf_id = first->conf_id,
                                .size = first->size,
                                .from_ns = first->to_ns,
                                .to_ns = second->from_ns};
}

static void ask_clock(struct sync *sync, struct doctor_node *n)
{
    _cleanup_(table_freep) struct table *t = NULL;
    struct doctor_sample s = {.before_ns = monotonic_ns(), .wall_us = wall_us()};
    struct sync_error error;
    uint64_t us;
    int r = sync_query(sync, false, "SELECT CAST(UNIX_TIMESTAMP(NOW(6)) * 1000000 AS UNSIGNED)", &t, &error);

    s.after_ns = monotonic_ns();
    if (r != SYNC_OK || !table_u64(t, 0, 0, &us))
        return;
    s.wall_us += (int64_t)(s.after_ns - s.before_ns) / 2000;
    s.server_us = (int64_t)us;
    n->samples[n->sample_count++] = s;
}

/* Rights, schema and rules are judged elsewhere: whatever can be entered is looked at, without a quorum, too.
 */
static int open_node(const struct look_login *l, struct doctor_node *n, struct sync **ret)
{
    struct access_endpoint endpoint;
    struct access_tls tls;
    struct sync_config k = {.endpoints = &endpoint,
                            .endpoint_count = 1,
                            .user = l->config->user,
                            .password = l->password,
                            .tls = &tls,
                            .limit_ns = l->limit_ns,
                            .dirty_reads = true};
    struct sync_error error = {0};

    if (access_endpoint_parse(n->endpoint, &endpoint) != ACCESS_OK)
        return -1;
    config_tls(l->config, &tls);
    int r = sync_open(&k, ret, &error);

    n->error = error.error;
    snprintf(n->error_text, sizeof n->error_text, "%s", error.text);
    return r;
}

static void *ask_node(void *userdata)
{
    struct asking *a = userdata;
    struct doctor_node *n = a->node;
    _cleanup_(sync_closep) struct sync *sync = NULL;
    uint64_t pause_ns = a->login->limit_ns / 4 < CLOCK_PAUSE_NS ? a->login->limit_ns / 4 : CLOCK_PAUSE_NS;

    if (open_node(a->login, n, &sync) != SYNC_OK)
        return NULL;
    n->reached = true;
    n->said = *sync_facts(sync);
    ask_clock(sync, n);
    struct doctor_view first = ask_view(sync);

    ask_values(
        sync, n,
        "SHOW GLOBAL VARIABLES WHERE Variable_name IN ('version', 'read_only', 'wait_timeout', 'wsrep_on', "
        "'wsrep_desync', 'wsrep_reject_queries', 'binlog_format', 'slave_run_triggers_for_rbr', "
        "'innodb_flush_log_at_trx_commit')");
    ask_values(sync, n,
               "SHOW GLOBAL STATUS WHERE Variable_name IN ('wsrep_cluster_size', 'wsrep_cluster_state_uuid', "
               "'wsrep_local_state_comment', 'wsrep_provider_version', 'wsrep_ready')");
    ask_provider(sync, n);
    nanosleep(&(struct timespec){.tv_sec = (time_t)(pause_ns / LEASE_NS_PER_S),
                                 .tv_nsec = (long)(pause_ns % LEASE_NS_PER_S)},
              NULL);
    if (n->sample_count == 1)
        ask_clock(sync, n);
    struct doctor_view second = ask_view(sync);

    n->view = between(&first, &second);
    return NULL;
}

void look_nodes(const struct look_login *l, struct doctor_facts *facts)
{
    struct asking asking[CONFIG_ENDPOINTS_MAX];

    facts->node_count = l->config->endpoint_count;
    for (size_t i = 0; i < facts->node_count; i++) {
        facts->nodes[i].endpoint = l->config->endpoints[i];
        asking[i] = (struct asking){.login = l, .node = &facts->nodes[i]};
        asking[i].started = pthread_create(&asking[i].thread, NULL, ask_node, &asking[i]) == 0;
        if (!asking[i].started)
            ask_node(&asking[i]);
    }
    for (size_t i = 0; i < facts->node_count; i++)
        if (asking[i].started)
            pthread_join(asking[i].thread, NULL);
}
