/* What every verb that talks to the database begins with, and how it says that it failed. */
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "hook/hook.h"

int session_load(const struct cli_options *o, bool verify_hooks, struct config *ret,
                 struct config_errors *errors)
{
    if (o->config_path[0] == '\0') {
        fprintf(stderr, "galera-lease: which lease? give --config FILE or --lease NAME\n");
        errors->timing_unread = true;
        return CLI_USAGE;
    }
    if (config_load(o->config_path, verify_hooks ? hook_verify : NULL, ret, errors) == 0)
        return CLI_OK;
    for (size_t i = 0; i < errors->count; i++)
        fprintf(stderr, "%s\n", errors->list[i]);
    return CLI_USAGE;
}

int session_config(const struct cli_options *o, bool verify_hooks, struct config *ret)
{
    static struct config_errors errors;

    return session_load(o, verify_hooks, ret, &errors);
}

int session_open(const struct cli_options *o, const struct config *c, bool writes, struct sync **ret)
{
    static struct access_endpoint endpoints[CONFIG_ENDPOINTS_MAX];
    static struct access_tls tls;
    static char password[ACCESS_PASSWORD_MAX + 1];
    static struct sync_error errors[CONFIG_ENDPOINTS_MAX];
    struct sync_config k = {.endpoints = endpoints,
                            .endpoint_count = c->endpoint_count,
                            .user = c->user,
                            .tls = &tls,
                            .limit_ns = o->timeout_ns,
                            .lease_rules = true,
                            .standalone = c->standalone,
                            .writes = writes,
                            .errors = errors};
    struct sync_error error = {0};

    for (size_t i = 0; i < c->endpoint_count; i++) {
        if (access_endpoint_parse(c->endpoints[i], &endpoints[i]) != ACCESS_OK) {
            fprintf(stderr, "%s: endpoints: \"%s\" %s\n", o->config_path, c->endpoints[i],
                    access_result_text(ACCESS_MALFORMED));
            return CLI_USAGE;
        }
    }
    if (c->password_file[0]) {
        int r = access_password_read(c->password_file, password);

        if (r != ACCESS_OK) {
            fprintf(stderr, "%s: password_file: %s %s\n", o->config_path, c->password_file,
                    access_result_text(r));
            return CLI_USAGE;
        }
        k.password = password;
    }
    config_tls(c, &tls);
    int r = sync_open(&k, ret, &error);

    if (r != SYNC_UNREACHABLE)
        return r == 0 ? CLI_OK : session_no_use(r, &error);
    for (size_t i = 0; i < c->endpoint_count; i++)
        session_no_use(r, &errors[i]);
    return CLI_UNREACHABLE;
}

int session_lease(struct sync *sync, bool causal, const char *lease, struct lease_row *ret)
{
    struct sync_error error = {0};
    bool found = false;
    int r = sync_lease(sync, causal, lease, ret, &found, &error);

    if (r != 0)
        return session_failed("cannot read the lease", r, &error);
    if (found)
        return CLI_OK;
    fprintf(stderr, "galera-lease: there is no lease %s in this database: run galera-lease init\n", lease);
    return CLI_NO_LEADER;
}

static const char *result_text(int result)
{
    switch (result) {
    case SYNC_TIMEOUT: return "the time limit passed";
    case SYNC_MALFORMED: return "the answer makes no sense: was it edited by hand?";
    default: return "no answer";
    }
}

static const char *hint(const struct sync_error *e)
{
    switch (e->error) {
    case 1049: /* no such database */
    case 1142: /* no right to the table */
    case 1146: /* no such table */
        return "there is no schema galera_lease here (galera-lease init makes it), a table of it is gone, or "
               "this account may not see it (is its role its default?): ";
    default: return "";
    }
}

int session_failed(const char *what, int result, const struct sync_error *e)
{
    if (result < 0) {
        fprintf(stderr, "galera-lease: %s: %s\n", what, strerror(-result));
        return CLI_FAILED;
    }
    fprintf(stderr, "galera-lease: %s: %s%s%s%s%s\n", what, e->endpoint, e->endpoint[0] ? ": " : "", hint(e),
            e->text[0] ? e->text : result_text(result),
            e->non_primary ? " (this node has no quorum: nobody can lead until it has)" : "");
    if (result == SYNC_TIMEOUT)
        return CLI_TIMEOUT;
    return result == SYNC_UNREACHABLE || e->non_primary ? CLI_UNREACHABLE : CLI_FAILED;
}

/* The connector's own numbers are from 2000 on: nobody answered. From 3000 on, and below, somebody did. */
int session_no_use(int result, const struct sync_error *e)
{
    bool silent = e->error == 0 || (e->error >= 2000 && e->error < 3000);

    return session_failed(silent ? "cannot reach the database" : "cannot use the database", result, e);
}
