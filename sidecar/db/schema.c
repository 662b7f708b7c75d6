#include "db/schema.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "schema_files.h"
#include "db/login.h"
#include "db/statement.h"
#include "util/cleanup.h"

#define STEP_SIZE 128

/* Where the plan goes: into a database, or onto paper. Returns 0, positive = stop, negative errno. */
struct sink {
    struct sync *sync;
    struct sync_error *error;
    FILE *file;
    char *step;
    bool hide_passwords;
};

const char *schema_file(unsigned index, const char **ret_name)
{
    if (index >= sizeof(schema_files) / sizeof(schema_files[0]))
        return NULL;
    if (ret_name)
        *ret_name = schema_files[index].name;
    return schema_files[index].text;
}

static int sink_statement(struct sink *sink, const char *step, const char *sql)
{
    if (sink->file)
        return fprintf(sink->file, "%s;\n", sql) < 0 ? -EIO : 0;
    snprintf(sink->step, STEP_SIZE, "%s", step);
    int r = sync_exec(sink->sync, sql, NULL, sink->error);
    return r <= 0 ? r : SCHEMA_FAILED;
}

/* One line of a schema file; the shape is ours: a statement ends at the end of a line. */
static size_t line_length(const char *text)
{
    return strcspn(text, "\n");
}

static bool line_skipped(const char *line, size_t length, const char *statement)
{
    return length == 0 || (!*statement && strncmp(line, "--", 2) == 0);
}

static int run_file(struct sink *sink, const char *name, const char *text)
{
    char sql[WORKER_SQL_MAX] = "", delimiter[8] = ";", step[STEP_SIZE];
    size_t used = 0;
    unsigned number = 0;

    while (*text) {
        size_t length = line_length(text);
        const char *line = text;
        text += length + (text[length] == '\n');
        if (line_skipped(line, length, sql))
            continue;
        if (strncmp(line, "DELIMITER ", 10) == 0 && length - 10 < sizeof(delimiter)) {
            snprintf(delimiter, sizeof(delimiter), "%.*s", (int)(length - 10), line + 10);
            continue;
        }
        if (used + length + 2 > sizeof(sql))
            return -E2BIG;
        memcpy(sql + used, line, length);
        used += length;
        sql[used] = '\0';
        size_t mark = strlen(delimiter);
        if (used >= mark && strcmp(sql + used - mark, delimiter) == 0) {
            sql[used - mark] = '\0';
            snprintf(step, sizeof(step), "%s, statement %u", name, ++number);
            int r = sink_statement(sink, step, sql);
            if (r != 0)
                return r;
            used = 0;
            sql[0] = '\0';
        } else {
            strcpy(sql + used++, "\n");
        }
    }
    return used == 0 ? 0 : -EINVAL; /* a file of ours that ends within a statement */
}

/* ------------------------------------------------------------------ the lease row and the accounts */

/* Accounts are quoted, never interpolated; the characters of hosts are those of addresses and masks. */
static bool account_ok(const struct schema_account *account)
{
    if (!account->user)
        return true;
    if (!rows_name_ok(account->user) || !account->host || !*account->host || strlen(account->host) > 255)
        return false;
    for (const char *c = account->host; *c; c++)
        if (*c <= ' ' || *c > '~' || strchr("'\"`\\;", *c))
            return false;
    if (!account->password)
        return true;
    size_t length = strlen(account->password);
    if (length == 0 || length > ACCESS_PASSWORD_MAX)
        return false;
    for (size_t i = 0; i < length; i++)
        if ((unsigned char)account->password[i] < ' ' || (unsigned char)account->password[i] > '~')
            return false;
    return true;
}

static bool plan_ok(const struct schema_plan *plan)
{
    return (!plan->lease || (rows_name_ok(plan->lease) && plan->ttl_ms >= 1000 && plan->ttl_ms <= 3600000)) &&
           account_ok(&plan->sidecar) && account_ok(&plan->sidecar_local) && account_ok(&plan->operator_) &&
           account_ok(&plan->reader);
}

static int lease_row(struct sink *sink, const struct schema_plan *plan)
{
    char sql[512], step[STEP_SIZE];
    struct statement s;

    if (!plan->lease)
        return 0;
    /* Not INSERT IGNORE: that would hide real errors. An existing row, held or not, is left alone. */
    statement_init(&s, sql, sizeof(sql));
    statement_add(&s,
                  "INSERT INTO galera_lease.lease (name, ttl_ms) SELECT '%s', %" PRIu32
                  " FROM DUAL WHERE NOT EXISTS (SELECT 1 FROM galera_lease.lease WHERE name = '%s')",
                  plan->lease, plan->ttl_ms, plan->lease);
    snprintf(step, sizeof(step), "lease row %s", plan->lease);
    return statement_end(&s) < 0 ? statement_end(&s) : sink_statement(sink, step, sql);
}

static void identified(struct statement *s, const struct sink *sink, const struct schema_account *account)
{
    if (!account->password) {
        statement_add(s, " IDENTIFIED VIA unix_socket");
    } else {
        statement_add(s, " IDENTIFIED BY ");
        /* Not in quotes: run as it stands it must fail, and not become a password that everybody knows. */
        if (sink->hide_passwords)
            statement_add(s, "<password>");
        else
            statement_quote(s, account->password, ACCESS_PASSWORD_MAX);
    }
}

/*
 * An account that somebody else uses: it has rights, and not the role that an init gave it. (Whoever made the
 * roles has them too, as their administrator.) To somebody who may not look, none is.
 */
static bool is_foreign(const struct sink *sink, const struct schema_account *account, const char *role)
{
    struct sync_error error;
    _cleanup_(table_freep) struct table *t = NULL;
    char sql[1024];
    struct statement s;
    uint64_t count;

    if (sink->file)
        return false;
    statement_init(&s, sql, sizeof(sql));
    statement_add(
        &s,
        "SELECT COUNT(*) FROM mysql.global_priv g WHERE g.User = '%s' AND g.Host = '%s' AND NOT EXISTS "
        "(SELECT 1 FROM mysql.roles_mapping r WHERE r.User = g.User AND r.Host = g.Host AND r.Role = '%s' "
        "AND r.Admin_option = 'N') AND (COALESCE(JSON_VALUE(g.Priv, '$.access'), 0) <> 0 OR EXISTS (SELECT 1 "
        "FROM mysql.db d WHERE d.User = g.User AND d.Host = g.Host) OR EXISTS (SELECT 1 FROM "
        "mysql.tables_priv p WHERE p.User = g.User AND p.Host = g.Host) OR EXISTS (SELECT 1 FROM "
        "mysql.roles_mapping o WHERE o.User = g.User AND o.Host = g.Host))",
        account->user, account->host, role);
    return statement_end(&s) > 0 && sync_query(sink->sync, false, sql, &t, &error) == SYNC_OK &&
           table_u64(t, 0, 0, &count) && count > 0;
}

/* It is as wanted, or by a plugin that somebody chose. */
static bool login_stays(const struct sink *sink, const struct schema_account *account)
{
    if (sink->file)
        return false;
    enum login login = login_compare(sink->sync, account->user, account->host, account->password);

    return login == LOGIN_SAME || login == LOGIN_ODD;
}

static int account(struct sink *sink, const struct schema_account *account, const char *role)
{
    static const char *const forms[] = {"CREATE USER IF NOT EXISTS ", "ALTER USER "};
    char sql[1536], step[STEP_SIZE];
    struct statement s;
    int r = 0;

    if (!account->user)
        return 0;
    /* Of somebody else's the login is not ours to change. One of the operating system has none of ours,
     * root's above all. */
    size_t made_by = is_foreign(sink, account, role) || login_stays(sink, account) ? 1 : 2;
    snprintf(step, sizeof(step), "account %s", account->user);
    if (sink->hide_passwords && account->password &&
        fprintf(sink->file, "-- <password>: write that of password_file in its place, in quotes\n") < 0)
        return -EIO;
    for (size_t i = 0; i < made_by && r == 0; i++) {
        statement_init(&s, sql, sizeof(sql));
        statement_add(&s, "%s'%s'@'%s'", forms[i], account->user, account->host);
        identified(&s, sink, account);
        r = statement_end(&s) < 0 ? statement_end(&s) : sink_statement(sink, step, sql);
    }
    if (r == 0) {
        statement_init(&s, sql, sizeof(sql));
        statement_add(&s, "GRANT %s TO '%s'@'%s'", role, account->user, account->host);
        r = sink_statement(sink, step, sql);
    }
    if (r == 0) {
        statement_init(&s, sql, sizeof(sql));
        statement_add(&s, "SET DEFAULT ROLE %s FOR '%s'@'%s'", role, account->user, account->host);
        r = sink_statement(sink, step, sql);
    }
    explicit_bzero(sql, sizeof(sql));
    return r;
}

/* Nobody's login is changed in passing: sidecars of other leases may use the account. */
static int refuse_logins(struct sink *sink, const struct schema_plan *plan)
{
    const struct {
        const struct schema_account *account;
        const char *role;
    } all[] = {{&plan->sidecar, "galera_lease_sidecar"},
               {&plan->sidecar_local, "galera_lease_sidecar"},
               {&plan->operator_, "galera_lease_operator"},
               {&plan->reader, "galera_lease_reader"}};

    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        const struct schema_account *a = all[i].account;

        if (!a->user)
            continue;
        snprintf(sink->step, STEP_SIZE, "'%.40s'@'%.60s'", a->user, a->host);
        if (is_foreign(sink, a, all[i].role)) {
            if (a->password)
                return SCHEMA_FOREIGN;
        } else if (!plan->change_logins &&
                   login_compare(sink->sync, a->user, a->host, a->password) == LOGIN_OTHER) {
            return SCHEMA_LOGIN;
        }
    }
    return 0;
}

static int run_accounts(struct sink *sink, const struct schema_plan *plan)
{
    int r = lease_row(sink, plan);
    if (r == 0)
        r = account(sink, &plan->sidecar, "galera_lease_sidecar");
    if (r == 0)
        r = account(sink, &plan->sidecar_local, "galera_lease_sidecar");
    if (r == 0)
        r = account(sink, &plan->operator_, "galera_lease_operator");
    if (r == 0)
        r = account(sink, &plan->reader, "galera_lease_reader");
    return r;
}

int schema_print(const struct schema_plan *plan, bool hide_passwords, FILE *file)
{
    struct sink sink = {.file = file, .hide_passwords = hide_passwords};
    const char *text;

    if (!plan_ok(plan))
        return SCHEMA_BAD_PLAN;
    for (unsigned i = 0; (text = schema_file(i, NULL)); i++)
        if (fprintf(file, "%s\n", text) < 0)
            return -EIO;
    if (fprintf(file, "-- the lease and the accounts\n") < 0)
        return -EIO;
    return run_accounts(&sink, plan);
}

int schema_apply(struct sync *sync, const struct schema_plan *plan, char *ret_step,
                 struct sync_error *ret_error)
{
    struct sink sink = {.sync = sync, .error = ret_error, .step = ret_step};
    const char *text, *name;
    int r = 0;

    ret_step[0] = '\0';
    if (!plan_ok(plan))
        return SCHEMA_BAD_PLAN;
    if (sync_facts(sync)->schema > SCHEMA_VERSION)
        return SCHEMA_UNKNOWN;
    /* Also where the schema is there already: accounts are made on every node. */
    r = sink_statement(&sink, "session", "SET SESSION wsrep_OSU_method = 'TOI'");
    if (r == 0)
        r = refuse_logins(&sink, plan);
    if (r != 0)
        return r;
    /* The version is written last: a schema that was left half-made is completed. One that is complete is not
     * touched: replacing a trigger under a living lease has no purpose. */
    if (sync_facts(sync)->schema != SCHEMA_VERSION)
        for (unsigned i = 0; r == 0 && (text = schema_file(i, &name)); i++)
            r = run_file(&sink, name, text);
    return r == 0 ? run_accounts(&sink, plan) : r;
}
