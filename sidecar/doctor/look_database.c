/* What stands in the database: lease, members, tables, rights. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "db/statement.h"
#include "db/sync.h"
#include "doctor/look.h"
#include "util/cleanup.h"

#define ERROR_NO_ANSWER 2013 /* as the connector numbers a lost connection */

static const struct doctor_node *first_usable(const struct doctor_facts *facts)
{
    for (size_t i = 0; i < facts->node_count; i++)
        if (doctor_usable(facts, &facts->nodes[i]))
            return &facts->nodes[i];
    return NULL;
}

static void ask_tables(struct sync *sync, struct doctor_database *d)
{
    _cleanup_(table_freep) struct table *t = NULL;
    struct sync_error error;

    if (sync_query(
            sync, false,
            "SELECT t.table_name, t.engine, EXISTS (SELECT 1 FROM information_schema.statistics s WHERE "
            "s.table_schema = t.table_schema AND s.table_name = t.table_name AND s.index_name = 'PRIMARY') "
            "FROM information_schema.tables t WHERE t.table_schema = 'galera_lease' AND t.table_type = 'BASE "
            "TABLE'",
            &t, &error) != SYNC_OK)
        return;
    d->tables_asked = true;
    for (size_t i = 0; i < t->rows && d->table_count < DOCTOR_TABLES_MAX; i++) {
        table_sanitise(d->tables[d->table_count].name, sizeof d->tables[0].name, table_text(t, i, 0));
        table_sanitise(d->tables[d->table_count].engine, sizeof d->tables[0].engine, table_text(t, i, 1));
        d->tables[d->table_count++].primary_key = strcmp(table_text(t, i, 2), "1") == 0;
    }
}

static void ask_rights(struct sync *sync, struct doctor_database *d)
{
    _cleanup_(table_freep) struct table *role = NULL, *grants = NULL;
    struct sync_error error;

    if (sync_query(sync, false, "SELECT CURRENT_ROLE()", &role, &error) == SYNC_OK)
        table_sanitise(d->role, sizeof d->role, table_text(role, 0, 0));
    if (sync_query(sync, false, "SHOW GRANTS", &grants, &error) != SYNC_OK)
        return;
    for (size_t i = 0; i < grants->rows && d->grant_count < DOCTOR_GRANTS_MAX; i++)
        table_sanitise(d->grants[d->grant_count++], DOCTOR_GRANT_MAX, table_text(grants, i, 0));
}

static void ask_alarms(struct sync *sync, const char *lease, struct doctor_database *d)
{
    _cleanup_(table_freep) struct table *t = NULL;
    struct sync_error error;
    struct statement s;
    char sql[512];
    uint64_t held = 0;

    statement_init(&s, sql, sizeof sql);
    statement_add(
        &s,
        "SELECT (SELECT COUNT(*) FROM galera_lease.alarms WHERE lease = '%s'), (SELECT COUNT(*) FROM "
        "galera_lease.leader WHERE lease = '%s' AND hold_until IS NOT NULL)",
        lease, lease);
    if (statement_end(&s) < 0 || sync_query(sync, false, sql, &t, &error) != SYNC_OK)
        return;
    table_u64(t, 0, 0, &d->open_alarms);
    d->held_longer = table_u64(t, 0, 1, &held) && held > 0;
}

static void ask_lease(struct sync *sync, const char *lease, struct doctor_database *d)
{
    struct sync_error error = {0};
    int r = sync_lease(sync, false, lease, &d->row, &d->lease_found, &error);

    if (r == SYNC_OK && d->lease_found) {
        sync_members(sync, false, lease, &d->members, &d->member_count, &error);
    } else if (r != SYNC_OK) {
        d->lease_error = error.error           ? error.error
                         : r == SYNC_MALFORMED ? WORKER_ERROR_SHAPE
                                               : ERROR_NO_ANSWER;
        snprintf(d->lease_error_text, sizeof d->lease_error_text, "%s",
                 error.error           ? error.text
                 : r == SYNC_MALFORMED ? "its row holds what no lease has"
                                       : "no answer in time");
    }
}

void look_database(const struct look_login *l, struct doctor_facts *facts)
{
    const struct doctor_node *n = first_usable(facts);
    struct doctor_database *d = &facts->database;
    _cleanup_(sync_closep) struct sync *sync = NULL;
    struct access_endpoint endpoint;
    struct access_tls tls;
    struct sync_config k = {.endpoints = &endpoint,
                            .endpoint_count = 1,
                            .user = l->config->user,
                            .password = l->password,
                            .tls = &tls,
                            .limit_ns = l->limit_ns};
    struct sync_error error = {0};

    if (!n || access_endpoint_parse(n->endpoint, &endpoint) != ACCESS_OK)
        return;
    config_tls(l->config, &tls);
    if (sync_open(&k, &sync, &error) != SYNC_OK)
        return;
    d->endpoint = n->endpoint;
    d->looked = true;
    ask_rights(sync, d);
    ask_tables(sync, d);
    ask_alarms(sync, l->config->name, d);
    ask_lease(sync, l->config->name, d);
}

void look_deinit(struct doctor_facts *facts)
{
    free(facts->database.members);
    free(facts->database.http_away);
    facts->database.http_away = NULL;
    facts->database.members = NULL;
    facts->database.member_count = 0;
}
