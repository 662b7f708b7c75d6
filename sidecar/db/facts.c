#include "db/facts.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>

#include "db/schema.h"

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

static bool learn_status(struct link *link, struct worker_result *result)
{
    struct worker_facts *f = &link->facts;
    struct table *table = NULL;
    uint64_t uptime = 0, loops = 0, value;

    if (!link_run(link, ANSWER_STAGE_CONNECT,
                  "SHOW GLOBAL STATUS WHERE Variable_name IN ('wsrep_gcomm_uuid', 'wsrep_cluster_status', "
                  "'wsrep_local_state_comment', "
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
        else if (strcasecmp(name, "wsrep_local_state_comment") == 0)
            f->synced = strcmp(text, "Synced") == 0;
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

bool facts_writable(const char *read_only)
{
    return strcmp(read_only, "0") == 0 || strcasecmp(read_only, "OFF") == 0;
}

static bool learn_identity(struct link *link, struct worker_result *result)
{
    struct worker_facts *f = &link->facts;
    struct table *table = NULL;

    if (!link_run(link, ANSWER_STAGE_CONNECT, "SELECT VERSION(), @@wsrep_on, @@wsrep_node_name, @@read_only",
                  result, &table))
        return false;
    table_sanitise(f->version, sizeof(f->version), table_text(table, 0, 0));
    table_sanitise(f->node_name, sizeof(f->node_name), table_text(table, 0, 2));
    f->writable = facts_writable(table_text(table, 0, 3));
    f->galera = strcmp(table_text(table, 0, 1), "1") == 0 && f->instance != 0;
    table_free(table);
    return true;
}

/* Fails only for what makes the connection useless under the lease rules. */
static bool learn_schema(struct link *link, struct worker_result *result)
{
    struct table *table = NULL;
    uint64_t version = WORKER_SCHEMA_NONE;
    char text[96];

    if (link_run(link, ANSWER_STAGE_CONNECT, "SELECT MAX(version) FROM galera_lease.schema_version", result,
                 &table))
        table_u64(table, 0, 0, &version);
    else if (link->config->lease_rules || answer_closes(result->error))
        return false;
    table_free(table);
    link->facts.schema = version > UINT32_MAX ? UINT32_MAX : (uint32_t)version;
    if (link->config->lease_rules && version == WORKER_SCHEMA_NONE) {
        link_fail(result, ANSWER_STAGE_CONNECT, WORKER_ERROR_HALF_SCHEMA,
                  "the database's schema is only half made: galera-lease init completes it");
        return false;
    }
    if (link->config->lease_rules && link->facts.schema != SCHEMA_VERSION) {
        snprintf(text, sizeof(text), "the database's schema has version %u, this program knows %u",
                 link->facts.schema, (unsigned)SCHEMA_VERSION);
        link_fail(result, ANSWER_STAGE_CONNECT, WORKER_ERROR_SCHEMA, text);
        return false;
    }
    *result = (struct worker_result){.id = result->id, .kind = result->kind, .answer = LEASE_ANSWER_ROW};
    return true;
}

/*
 * Nothing tells one start of such a server from the next. So each connection counts as one: what its age does
 * not excuse is watched anew (R4).
 */
static bool accept_standalone(struct link *link)
{
    uint64_t *instance = &link->facts.instance;

    if (!link->config->standalone || getrandom(instance, sizeof *instance, 0) != (ssize_t)sizeof *instance)
        return false;
    *instance |= 1; /* 0: none */
    return true;
}

bool facts_learn(struct link *link, struct worker_result *result)
{
    /* Lock waits are short: a takeover that meets a lock goes through another node, whose write set aborts
     * the blocker. */
    if (!link_run(link, ANSWER_STAGE_CONNECT,
                  "SET SESSION autocommit = 1, wsrep_retry_autocommit = 0, wsrep_sync_wait = 0, "
                  "innodb_lock_wait_timeout = 1, lock_wait_timeout = 2, foreign_key_checks = 1, "
                  "sql_mode = 'STRICT_TRANS_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION'",
                  result, NULL) ||
        (link->config->dirty_reads &&
         !link_run(link, ANSWER_STAGE_CONNECT, "SET SESSION wsrep_dirty_reads = 1", result, NULL)) ||
        !learn_status(link, result) || !learn_identity(link, result))
        return false;
    if (link->config->lease_rules && !link->facts.galera && !accept_standalone(link)) {
        link_fail(result, ANSWER_STAGE_CONNECT, WORKER_ERROR_NOT_GALERA,
                  "this server is no member of a Galera cluster (or wsrep_on is off); a single server is "
                  "taken with "
                  "standalone = true only");
        return false;
    }
    return learn_schema(link, result);
}
