/* What stands in the database: schema, tables, the lease, the account's rights. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "db/schema.h"
#include "doctor/judge.h"

#define INIT "run galera-lease init with this configuration"
/* init leaves a schema alone that is complete by its version. */
#define MAKE_AGAIN                                                                                           \
    "as administrator run what galera-lease init --print-sql prints above its line \"the lease and the "     \
    "accounts\": it makes what is not there"

/* ---- schema and tables ---- */

static void judge_version(const struct doctor_node *n, struct findings *f)
{
    if (n->said.schema == SCHEMA_VERSION)
        return;
    if (n->said.schema == WORKER_SCHEMA_NONE)
        findings_add(f, FINDING_FAIL, "schema", n->endpoint, INIT,
                     "there is no schema galera_lease, or the account may not see it");
    else
        findings_add(
            f, FINDING_FAIL, "schema", n->endpoint, "run the same version of galera-lease on every host",
            "the schema has version %u, this program knows %u", n->said.schema, (unsigned)SCHEMA_VERSION);
}

/* Of those that the account may see. A view that is gone is told by the lease's read, a procedure by the
 * rights. */
static size_t judge_tables_there(const struct doctor_database *d, struct findings *f)
{
    static const char *const names[] = {"lease", "member", "request", "event", "writer", "schema_version"};
    size_t missing = 0;

    if (!d->tables_asked) {
        findings_add(f, FINDING_SKIP, "schema", NULL, NULL, "the tables could not be asked for in time");
        return 1;
    }
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        bool there = false;

        for (size_t j = 0; j < d->table_count; j++)
            there = there || strcmp(d->tables[j].name, names[i]) == 0;
        if (there)
            continue;
        missing++;
        findings_add(f, FINDING_FAIL, "schema", names[i], MAKE_AGAIN,
                     "the table is not there, or the account may not see it");
    }
    return missing;
}

static void judge_tables(const struct doctor_database *d, struct findings *f)
{
    size_t good = 0, missing = judge_tables_there(d, f);

    for (size_t i = 0; i < d->table_count; i++) {
        if (strcasecmp(d->tables[i].engine, "InnoDB") != 0)
            findings_add(f, FINDING_FAIL, "schema", d->tables[i].name, "ALTER TABLE ... ENGINE = InnoDB",
                         "the table's engine is %s: Galera replicates InnoDB only", d->tables[i].engine);
        else if (!d->tables[i].primary_key)
            findings_add(f, FINDING_FAIL, "schema", d->tables[i].name,
                         "ALTER TABLE ... ADD PRIMARY KEY, as galera-lease init --print-sql has it; "
                         "do not drop the table: the lease is in it",
                         "the table has no primary key: Galera certifies by primary key");
        else
            good++;
    }
    if (missing == 0 && good == d->table_count)
        findings_add(f, FINDING_OK, "schema", NULL, NULL,
                     "version %u; the %zu tables that the account may see are InnoDB and have primary keys "
                     "(epoch and guard it "
                     "must not see: not looked at)",
                     (unsigned)SCHEMA_VERSION, good);
}

static void judge_lease(const struct doctor_facts *facts, struct findings *f)
{
    const struct doctor_database *d = &facts->database;
    uint64_t ttl_ms = facts->config->timing.ttl_ns / LEASE_NS_PER_MS;

    if (d->lease_error) {
        findings_add(f, FINDING_FAIL, "lease", NULL,
                     "if a part of the schema was dropped (a view, or its owner "
                     "galera_lease_owner@localhost): " MAKE_AGAIN,
                     "the lease cannot be read: %s (error %u)", d->lease_error_text, d->lease_error);
        return;
    }
    if (!d->lease_found) {
        findings_add(f, FINDING_FAIL, "lease", NULL, INIT, "there is no row for the lease %s",
                     facts->config->name);
        return;
    }
    if (d->row.epoch_table != d->row.version.epoch)
        findings_add(
            f, FINDING_FAIL, "lease", NULL,
            "find out who edited it or which restore went back; the next start takes an epoch above both",
            "the lease row has epoch %" PRIu64 ", the epoch table %" PRIu64
            ": guarded work is refused until the next start",
            d->row.version.epoch, d->row.epoch_table);
    if (d->row.state != LEASE_ROW_FREE && !d->held_longer && d->row.ttl_ms != ttl_ms)
        findings_add(f, FINDING_WARN, "lease", NULL, "the same ttl on every host",
                     "the leader's ttl is %" PRIu32 " ms, this configuration's %" PRIu64 " ms", d->row.ttl_ms,
                     ttl_ms);
    if (d->open_alarms > 0)
        findings_add(
            f, FINDING_WARN, "lease", NULL,
            "look at them with galera-lease list, then galera-lease alarm ack --lease NAME --reason TEXT",
            "%" PRIu64 " alarm(s) that nobody has acknowledged", d->open_alarms);
}

void judge_schema(const struct doctor_facts *facts, struct findings *f)
{
    for (size_t i = 0; i < facts->node_count; i++)
        if (facts->nodes[i].reached && (!facts->nodes[i].said.galera || facts->nodes[i].said.primary))
            judge_version(&facts->nodes[i], f);
    if (!facts->database.looked) {
        findings_add(f, FINDING_SKIP, "schema", NULL, NULL,
                     "no endpoint is of use: tables, lease, rights and members are not looked at");
        return;
    }
    judge_tables(&facts->database, f);
    judge_lease(facts, f);
}

/* ---- rights ---- */

/* What the role galera_lease_sidecar of sql/004_roles.sql comes to. */
static const struct {
    const char *right, *object, *column; /* column NULL: of the whole object */
} needed[] = {
    {"SELECT", "lease_and_epoch", NULL},
    {"SELECT", "member", NULL},
    {"SELECT", "request", NULL},
    {"SELECT", "event", NULL},
    {"SELECT", "schema_version", NULL},
    {"SELECT", "history", NULL},
    {"SELECT", "alarms", NULL},
    {"SELECT", "leader", NULL},
    {"UPDATE", "lease", "epoch"},
    {"UPDATE", "lease", "counter"},
    {"UPDATE", "lease", "nonce"},
    {"UPDATE", "lease", "holder"},
    {"UPDATE", "lease", "ttl_ms"},
    {"UPDATE", "lease", "state"},
    {"UPDATE", "lease", "target"},
    {"UPDATE", "lease", "hold_until"},
    {"UPDATE", "lease", "hold_reason"},
    {"UPDATE", "lease", "acquired_at"},
    {"UPDATE", "lease", "renewed_at"},
    {"INSERT", "member", NULL},
    {"UPDATE", "member", NULL},
    {"UPDATE", "request", "claimed_by"},
    {"UPDATE", "request", "claimed_at"},
    {"UPDATE", "request", "outcome"},
    {"UPDATE", "request", "finished_at"},
    {"INSERT", "event", NULL},
    {"DELETE", "event", NULL},
    {"EXECUTE", "step_down", NULL},
    {"EXECUTE", "switchover", NULL},
    {"EXECUTE", "hold", NULL},
    {"EXECUTE", "unhold", NULL},
    {"EXECUTE", "alarm_ack", NULL},
    {"EXECUTE", "release_stopped", NULL},
    {"EXECUTE", "request_outcome", NULL},
    {"EXECUTE", "file_drift", NULL},
};

enum scope { SCOPE_NONE, SCOPE_OBJECT, SCOPE_SCHEMA, SCOPE_ALL };

/* On what "GRANT ... ON `galera_lease`.`x` TO ..." is; @object: its name. */
static enum scope scope_of(const char *grant, char *object, size_t size)
{
    const char *on = strstr(grant, " ON ");

    object[0] = '\0';
    if (!on)
        return SCOPE_NONE; /* a role */
    on += 4;
    if (strncmp(on, "PROCEDURE ", 10) == 0)
        on += 10;
    else if (strncmp(on, "FUNCTION ", 9) == 0)
        on += 9;
    if (strncmp(on, "*.*", 3) == 0)
        return SCOPE_ALL;
    if (strncmp(on, "`galera_lease`.", 15) != 0 && strncmp(on, "`galera\\_lease`.", 16) != 0)
        return SCOPE_NONE;
    on = strstr(on, "`.") + 2;
    if (*on == '*')
        return SCOPE_SCHEMA;
    snprintf(object, size, "%.*s", (int)strcspn(on + 1, "`"), on + 1);
    return SCOPE_OBJECT;
}

/* Is @right, of that column or of all, in the list before ON? "UPDATE (`a`, `b`), INSERT" */
static bool lists(const char *grant, const char *right, const char *column)
{
    const char *end = strstr(grant, " ON ");
    char quoted[72];

    if (!end)
        return false;
    for (const char *at = grant; (at = strstr(at, right)) && at < end; at += strlen(right)) {
        const char *rest = at + strlen(right);

        if (*rest == ',' || rest == end)
            return true;
        snprintf(quoted, sizeof quoted, "`%s`", column ? column : "");
        const char *close = strncmp(rest, " (", 2) == 0 ? strchr(rest, ')') : NULL,
                   *found = strstr(rest, quoted);

        if (column && close && found && found < close)
            return true;
    }
    return false;
}

static bool granted(const struct doctor_database *d, size_t need)
{
    char object[72];

    for (size_t i = 0; i < d->grant_count; i++) {
        enum scope scope = scope_of(d->grants[i], object, sizeof object);

        if (scope == SCOPE_NONE || (scope == SCOPE_OBJECT && strcmp(object, needed[need].object) != 0))
            continue;
        if (scope != SCOPE_OBJECT && strncmp(d->grants[i], "GRANT ALL PRIVILEGES ", 21) == 0)
            return true;
        if (lists(d->grants[i], needed[need].right, needed[need].column))
            return true;
    }
    return false;
}

static bool has_role(const struct doctor_database *d)
{
    for (size_t i = 0; i < d->grant_count; i++)
        if (strncmp(d->grants[i], "GRANT `galera_lease_sidecar` TO ", 32) == 0)
            return true;
    return false;
}

static size_t judge_too_few(const struct doctor_database *d, struct findings *f)
{
    char missing[500] = "";
    size_t count = 0;

    for (size_t i = 0; i < sizeof needed / sizeof needed[0]; i++) {
        if (granted(d, i))
            continue;
        count++;
        snprintf(missing + strlen(missing), sizeof missing - strlen(missing), "%s%s on %s%s%s%s",
                 missing[0] ? ", " : "", needed[i].right, needed[i].object, needed[i].column ? " (" : "",
                 needed[i].column ? needed[i].column : "", needed[i].column ? ")" : "");
    }
    if (count > 0)
        findings_add(f, FINDING_FAIL, "rights", NULL,
                     INIT " (it gives the role galera_lease_sidecar); if the role itself lacks "
                          "them, run its GRANTs out of galera-lease init --print-sql",
                     "the account lacks %zu right(s): %s", count, missing);
    return count;
}

static size_t judge_too_many(const struct doctor_database *d, struct findings *f)
{
    char object[72];
    size_t count = 0;

    for (size_t i = 0; i < d->grant_count; i++) {
        enum scope scope = scope_of(d->grants[i], object, sizeof object);
        const char *what = NULL;

        if (strncmp(d->grants[i], "GRANT USAGE ON ", 15) == 0)
            continue;
        if (scope == SCOPE_ALL)
            what = "rights on all databases";
        else if (scope == SCOPE_SCHEMA)
            what = "rights on the whole schema, epoch and guard included";
        else if (scope == SCOPE_OBJECT && strcmp(object, "epoch") == 0)
            what = "rights on epoch";
        else if (scope == SCOPE_OBJECT && strcmp(object, "guard") == 0 &&
                 strstr(d->grants[i], " ON PROCEDURE ") == NULL)
            what = "rights on guard";
        else if (scope == SCOPE_OBJECT && strcmp(object, "writer") == 0 &&
                 (lists(d->grants[i], "INSERT", NULL) || lists(d->grants[i], "UPDATE", NULL) ||
                  lists(d->grants[i], "DELETE", NULL)))
            what = "rights to write to writer";
        if (!what)
            continue;
        count++;
        findings_add(f, FINDING_WARN, "rights", NULL, "REVOKE them; the role galera_lease_sidecar is enough",
                     "the account has %s: whoever has its password could let a stale controller commit",
                     what);
    }
    return count;
}

void judge_grants(const struct doctor_facts *facts, struct findings *f)
{
    const struct doctor_database *d = &facts->database;

    if (!d->looked)
        return;
    if (d->grant_count == 0) {
        findings_add(f, FINDING_SKIP, "rights", NULL, NULL,
                     "SHOW GRANTS answered nothing: the rights are not looked at");
        return;
    }
    if (has_role(d) && d->role[0] == '\0') {
        findings_add(
            f, FINDING_FAIL, "rights", NULL,
            INIT ", or SET DEFAULT ROLE galera_lease_sidecar FOR the account",
            "the account has the role galera_lease_sidecar, but not as its default: it may do nothing");
        return;
    }
    if (judge_too_few(d, f) + judge_too_many(d, f) == 0)
        findings_add(f, FINDING_OK, "rights", NULL, NULL,
                     "the account may do what a sidecar does, and no more");
}
