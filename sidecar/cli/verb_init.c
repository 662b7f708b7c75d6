/* init: everything the database needs, once; run by somebody who may create schemas and accounts. */
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "db/schema.h"
#include "db/version.h"

#define ERROR_NO_ADMIN_OPTION 1698 /* ER_ACCESS_DENIED_NO_PASSWORD_ERROR: of a GRANT of a role */
#define ERROR_NO_ROLE         1959 /* ER_INVALID_ROLE */

static int admin_open(const struct cli_options *o, struct config *c, struct sync **ret)
{
    static struct access_endpoint endpoint;
    static struct access_tls tls;
    static char password[ACCESS_PASSWORD_MAX + 1];
    char text[CONFIG_PATH_MAX + 8];
    struct sync_config k = {.endpoints = &endpoint,
                            .endpoint_count = 1,
                            .tls = &tls,
                            .user = o->user ? o->user : "root",
                            .limit_ns = o->timeout_ns};
    struct sync_error error = {0};

    if (o->socket)
        snprintf(text, sizeof text, "unix:%s", o->socket);
    else
        snprintf(text, sizeof text, "%s", c->endpoints[0]);
    if (access_endpoint_parse(text, &endpoint) != ACCESS_OK) {
        fprintf(stderr, "galera-lease: --socket: \"%s\" %s\n", text, access_result_text(ACCESS_MALFORMED));
        return CLI_USAGE;
    }
    if (o->password_file) {
        int r = access_password_read(o->password_file, password);

        if (r != ACCESS_OK) {
            fprintf(stderr, "galera-lease: --password-file: %s %s\n", o->password_file,
                    access_result_text(r));
            return CLI_USAGE;
        }
        k.password = password;
    }
    config_tls(c, &tls);
    int r = sync_open(&k, ret, &error);

    return r == 0 ? CLI_OK : session_no_use(r, &error);
}

/* As narrow as the endpoints allow: sockets are localhost; over TCP nobody but the caller knows from where.
 */
static void account_hosts(const struct cli_options *o, const struct config *c, struct schema_plan *plan)
{
    size_t sockets = 0;

    for (size_t i = 0; i < c->endpoint_count; i++)
        sockets += strncmp(c->endpoints[i], "unix:", 5) == 0;
    plan->sidecar.host = o->account_host ? o->account_host : sockets == c->endpoint_count ? "localhost" : "%";
    if (sockets > 0 && strcmp(plan->sidecar.host, "%") != 0 && strcmp(plan->sidecar.host, "localhost") != 0) {
        plan->sidecar_local = plan->sidecar;
        plan->sidecar_local.host = "localhost";
    }
}

static int say_done(const struct cli_options *o, const struct schema_plan *plan)
{
    if (o->json) {
        json_auto_t *j = json_pack("{s:s, s:s, s:[s]}", "lease", plan->lease, "user", plan->sidecar.user,
                                   "hosts", plan->sidecar.host);

        if (plan->sidecar_local.user)
            json_array_append_new(json_object_get(j, "hosts"), json_string("localhost"));
        int r = j ? json_dumpf(j, stdout, JSON_INDENT(2)) : -1;

        putchar('\n');
        return r;
    }
    printf("lease %s is ready; account %s@%s%s", plan->lease, plan->sidecar.user, plan->sidecar.host,
           plan->sidecar_local.user ? " and the same @localhost" : "");
    if (strcmp(plan->sidecar.host, "%") == 0)
        printf(" may log in from everywhere: --account-host narrows that");
    printf("\n");
    return 0;
}

/* A schema on a server outside the cluster would be of no use, and look as if it were. */
static int check_server(const struct config *c, struct sync *sync)
{
    const struct worker_facts *facts = sync_facts(sync);

    if (!facts->galera && !c->standalone) {
        fprintf(
            stderr,
            "galera-lease: %s is no member of a Galera cluster (or wsrep_on is off): nothing was changed; a "
            "single server is taken with standalone = true only\n",
            sync_endpoint(sync));
        return CLI_FAILED;
    }
    if (version_judge(facts->version) != VERSION_OK)
        fprintf(stderr,
                "galera-lease: warning: %s has version %s: a lease wants MariaDB " VERSION_WANTED
                " or later\n",
                sync_endpoint(sync), facts->version);
    return CLI_OK;
}

static int failed(const struct cli_options *o, int r, bool late, bool password, const char *step,
                  const struct sync_error *error)
{
    switch (r) {
    case SCHEMA_UNKNOWN:
        fprintf(stderr, "galera-lease: the database has a schema of a newer version: nothing was changed\n");
        return CLI_FAILED;
    case SCHEMA_FOREIGN:
        fprintf(
            stderr,
            "galera-lease: account %s is there already, with rights that are not the sidecar's: its password "
            "would become that of password_file. Nothing was changed; give the sidecar an account of its own "
            "(user in the configuration)\n",
            step);
        return CLI_FAILED;
    case SCHEMA_LOGIN:
        fprintf(
            stderr,
            "galera-lease: account %s is there already, and logs in with something else than %s: with that, "
            "every sidecar that uses the account, of other leases, too, could not connect any more. "
            "Nothing was changed; configure this lease as the others are, or all of them as this one, "
            "and give --change-password\n",
            step, password ? "the password in password_file" : "unix_socket (there is no password_file)");
        return CLI_FAILED;
    case SCHEMA_BAD_PLAN:
        fprintf(
            stderr,
            "galera-lease: lease name, user, host or password hold what may not stand in SQL: nothing was "
            "changed\n");
        return CLI_USAGE;
    default: break;
    }
    fprintf(stderr, "galera-lease: init stopped at %s: %s%s\n", step, r < 0 ? strerror(-r) : error->text,
            "; what is done stays, and init may be repeated");
    if (r == SCHEMA_FAILED && error->error == ERROR_NO_ADMIN_OPTION)
        fprintf(
            stderr,
            "galera-lease: only who ran init first can give its roles to others, or let you do it: as that "
            "account run\n  GRANT galera_lease_sidecar TO '%s'@'HOST' WITH ADMIN OPTION\n",
            o->user ? o->user : "root");
    if (r == SCHEMA_FAILED && error->error == ERROR_NO_ROLE)
        fprintf(
            stderr,
            "galera-lease: a part of the schema was dropped, and one of this version is not made again: as "
            "administrator run what --print-sql prints above its line \"the lease and the accounts\", "
            "then init\n");
    return late ? CLI_TIMEOUT : error->non_primary ? CLI_UNREACHABLE : CLI_FAILED;
}

int verb_init(const struct cli_options *o)
{
    static struct config config;
    static char password[ACCESS_PASSWORD_MAX + 1];
    struct sync *sync = NULL;
    struct sync_error error = {0};
    char step[128] = "";

    if (o->json && o->print_sql) {
        fprintf(stderr, "galera-lease init: --json or --print-sql: give one of them\n");
        return CLI_USAGE;
    }
    int r = session_config(o, false, &config);

    if (r != CLI_OK)
        return r;
    struct schema_plan plan = {.lease = config.name,
                               .ttl_ms = (uint32_t)(config.timing.ttl_ns / LEASE_NS_PER_MS),
                               .sidecar = {.user = config.user},
                               .change_logins = o->change_password};

    if (config.password_file[0]) {
        r = access_password_read(config.password_file, password);
        if (r != ACCESS_OK) {
            fprintf(stderr, "%s: password_file: %s %s\n", o->config_path, config.password_file,
                    access_result_text(r));
            return CLI_USAGE;
        }
        plan.sidecar.password = password;
    }
    if (o->account_host && !plan.sidecar.password) {
        fprintf(stderr,
                "galera-lease init: --account-host: there is no password_file: the account is that of an OS "
                "user, on unix sockets only\n");
        return CLI_USAGE;
    }
    account_hosts(o, &config, &plan);
    if (o->print_sql) {
        r = schema_print(&plan, true, stdout);
        return r == 0 ? CLI_OK : failed(o, r, false, plan.sidecar.password != NULL, "printing", &error);
    }
    r = admin_open(o, &config, &sync);
    if (r != CLI_OK)
        return r;
    r = check_server(&config, sync);
    if (r != CLI_OK) {
        sync_close(sync);
        return r;
    }
    r = schema_apply(sync, &plan, step, &error);
    /* A connection that was given up on has no endpoint any more. */
    bool late = r == SCHEMA_FAILED && sync_endpoint(sync)[0] == '\0';

    sync_close(sync);
    if (r != SCHEMA_OK)
        return failed(o, r, late, plan.sidecar.password != NULL, step, &error);
    return say_done(o, &plan) == 0 ? CLI_OK : CLI_FAILED;
}
