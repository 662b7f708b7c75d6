/* The configuration as a whole: what no single setting shows. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "app/config_reader.h"
#include "http/redirect.h"
#include "util/parse.h"

/* The arithmetic behind a refusal. */
static void timing_text(const struct lease_timing *t, char *buf, size_t size)
{
    const uint64_t ns[] = {t->ttl_ns,    t->demote_budget_ns, t->kill_budget_ns,
                           t->margin_ns, t->renew_ns,         lease_timing_silent_ns(t)};
    char text[6][32];

    for (size_t i = 0; i < 6; i++)
        format_duration(ns[i], text[i], sizeof text[i]);
    snprintf(buf, size, "ttl %s - (demote_budget %s + kill_budget %s + margin %s) - renew %s leaves %s",
             text[0], text[1], text[2], text[3], text[4], text[5]);
}

/*
 * Puts one given time back to its default: one that alone, or without which the others, would be judged
 * otherwise. That is the one to blame. NULL: none is; the ttl itself is too short or too long.
 */
static const struct option_row *timing_culprit(struct config_reader *r, const config_t *file,
                                               enum lease_timing_problem problem)
{
    struct lease_timing *t = &r->config->timing, normal;

    lease_timing_defaults(t->ttl_ns, &normal);
    for (size_t i = 0; i < option_row_count && problem != LEASE_TIMING_TTL_RANGE; i++) {
        const struct option_row *o = &option_rows[i];

        if (!(o->flags & OPTION_TIMING) || !config_lookup(file, o->name) || strcmp(o->name, "ttl") == 0)
            continue;
        size_t at = o->offset - offsetof(struct config, timing);
        struct lease_timing alone = normal, without = *t;

        memcpy((char *)&alone + at, (char *)t + at, o->size);
        memcpy((char *)&without + at, (char *)&normal + at, o->size);
        if (lease_timing_check(&alone) == problem || lease_timing_check(&without) != problem) {
            *t = without;
            return o;
        }
    }
    return NULL;
}

/* All that is wrong with the times: the validator names one broken rule at a time. */
static void check_timing(struct config_reader *r, const config_t *file)
{
    const struct lease_timing asked = r->config->timing;
    const struct option_row *o = NULL;
    enum lease_timing_problem problem;
    char sum[256];

    while ((problem = lease_timing_check(&r->config->timing)) != LEASE_TIMING_OK) {
        timing_text(&r->config->timing, sum, sizeof sum);
        o = timing_culprit(r, file, problem);
        config_complain(r, config_lookup(file, o ? o->name : "ttl"), "%s: %s (%s)", o ? o->name : "ttl",
                        lease_timing_problem_text(problem), sum);
        if (!o)
            break;
    }
    r->config->timing = asked;
}

static void check_secret(struct config_reader *r, const struct option_row *o, const config_setting_t *given)
{
    char secret[ACCESS_PASSWORD_MAX + 1];
    const char *path = config_field(r->base, o);
    int result = access_password_read(path, secret);

    explicit_bzero(secret, sizeof secret);
    if (result != ACCESS_OK)
        config_complain(r, given, "%s: %s %s", o->name, path, access_result_text(result));
}

void config_check_flags(struct config_reader *r, const struct option_row *o, const config_setting_t *given)
{
    const unsigned files = OPTION_HOOK | OPTION_READ | OPTION_SECRET;
    const char *path = config_field(r->base, o);
    char reason[400];

    /* A path that was refused already was not taken: it is empty. */
    if (!(o->flags & files) || !r->verify || path[0] == '\0')
        return;
    if ((o->flags & OPTION_HOOK) && r->verify(path, reason, sizeof reason) != 0)
        config_complain(r, given, "%s: hook refused: %s", o->name, reason);
    if ((o->flags & OPTION_READ) && access(path, R_OK) < 0)
        config_complain(r, given, "%s: %s cannot be read: %s", o->name, path, strerror(errno));
    if (o->flags & OPTION_SECRET)
        check_secret(r, o, given);
}

static void check_rows(struct config_reader *r, const config_t *file)
{
    for (size_t i = 0; i < option_row_count; i++) {
        const struct option_row *o = &option_rows[i];
        const config_setting_t *given = config_lookup(file, o->name);

        if ((o->flags & OPTION_REQUIRED) && !given)
            config_complain(r, NULL, "%s: is missing (%s)", o->name, o->help);
        config_check_flags(r, o, given);
    }
}

/* Two servers without a cluster between them would each have a leader. */
static void check_standalone(struct config_reader *r, const config_t *file)
{
    const struct config *c = r->config;

    if (c->standalone && c->endpoint_count > 1)
        config_complain(
            r, config_lookup(file, "standalone"),
            "standalone: true is for a single endpoint, and there are %zu: servers without a cluster "
            "between them would each have a leader",
            c->endpoint_count);
}

static void check_words(struct config_reader *r, const config_t *file)
{
    const struct config *c = r->config;

    if (strcmp(c->cgroup, "auto") != 0 && strcmp(c->cgroup, "off") != 0)
        config_complain(r, config_lookup(file, "cgroup"), "cgroup: \"%s\" is neither \"auto\" nor \"off\"",
                        c->cgroup);
    if (strcmp(c->log_level, "error") != 0 && strcmp(c->log_level, "warning") != 0 &&
        strcmp(c->log_level, "info") != 0 && strcmp(c->log_level, "debug") != 0)
        config_complain(r, config_lookup(file, "log_level"),
                        "log_level: \"%s\" is none of \"error\", \"warning\", \"info\", \"debug\"",
                        c->log_level);
    /* R9 reads the new epoch there: a misspelt one must not quietly mean another node. */
    if (c->controller_endpoint[0] && !config_has_endpoint(c, c->controller_endpoint))
        config_complain(r, config_lookup(file, "controller_endpoint"),
                        "controller_endpoint: \"%s\" is not among the endpoints", c->controller_endpoint);
}

/* The host name, whole or not at all: two hosts must not become one member by a cut (R10). */
static void check_member(struct config_reader *r, const config_t *file)
{
    char host[256] = "";

    if (config_lookup(file, "member"))
        return;
    gethostname(host, sizeof host - 1);
    if (parse_name_valid(host))
        strcpy(r->config->member, host);
    else
        config_complain(r, NULL, "member: is missing, and the host name \"%s\" cannot stand in for it", host);
}

/* Options that say more about another one that is not there. */
static void check_lonely(struct config_reader *r, const config_t *file)
{
    static const char *const names[][2] = {{"health_text", "health_url"},
                                           {"health_timeout", "health_url"},
                                           {"health_ca", "health_url"},
                                           {"ignore_lines", "files"},
                                           {"require_match", "files"}};

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (config_lookup(file, names[i][0]) && !config_lookup(file, names[i][1]))
            config_complain(r, config_lookup(file, names[i][0]), "%s: is of no use without %s", names[i][0],
                            names[i][1]);
}

/* They are published in one line. */
static void check_files(struct config_reader *r, const config_t *file)
{
    const struct config_list *files = &r->config->files;
    size_t length = 0;

    for (size_t i = 0; i < files->count; i++)
        length += strlen(files->text[i]) + DRIFT_ENTRY_MORE;
    if (length > DRIFT_DIGEST_MAX)
        config_complain(r, config_lookup(file, "files"),
                        "files: their paths are too long: %zu characters together, and %zu fit",
                        length - files->count * DRIFT_ENTRY_MORE,
                        DRIFT_DIGEST_MAX - files->count * DRIFT_ENTRY_MORE);
}

static const char *first_remote(const struct config *c)
{
    struct access_endpoint endpoint;

    for (size_t i = 0; i < c->endpoint_count; i++)
        if (access_endpoint_parse(c->endpoints[i], &endpoint) == ACCESS_OK &&
            access_endpoint_remote(&endpoint))
            return c->endpoints[i];
    return NULL;
}

const char *config_in_clear(const struct config *config)
{
    return config->tls ? NULL : first_remote(config);
}

void config_tls(const struct config *config, struct access_tls *ret_tls)
{
    *ret_tls = (struct access_tls){};
    strcpy(ret_tls->ca, config->tls_ca);
    strcpy(ret_tls->cert, config->tls_cert);
    strcpy(ret_tls->key, config->tls_key);
}

/* Not given, or given as "": one that was refused is a mistake already. */
static bool missing(const config_t *file, const char *name)
{
    const char *text = NULL;

    return !config_lookup(file, name) ||
           (config_lookup_string(file, name, &text) == CONFIG_TRUE && text[0] == '\0');
}

/* Who an OS user is, only a socket of this host can prove. */
static void check_password(struct config_reader *r, const config_t *file)
{
    const struct config *c = r->config;
    struct access_endpoint endpoint;

    for (size_t i = 0; i < c->endpoint_count && missing(file, "password_file"); i++) {
        if (access_endpoint_parse(c->endpoints[i], &endpoint) != ACCESS_OK || endpoint.socket[0])
            continue;
        config_complain(r, config_lookup(file, "endpoints"),
                        "endpoints: \"%s\" is reached over TCP, and there is no password_file: unix_socket "
                        "authentication works on a local socket only",
                        c->endpoints[i]);
        return;
    }
}

static void check_tls(struct config_reader *r, const config_t *file)
{
    const struct config *c = r->config;
    const char *remote = first_remote(c);

    if (!c->tls && c->tls_ca[0])
        config_complain(r, config_lookup(file, "tls"),
                        "tls: false, and yet there is a tls_ca: which of them?");
    if (c->tls && remote && missing(file, "tls_ca"))
        config_complain(
            r, config_lookup(file, "endpoints"),
            "endpoints: \"%s\" is on another host, and there is no tls_ca to know it by; to speak to it in "
            "clear, write tls = false",
            remote);
    if ((c->tls_cert[0] != '\0') != (c->tls_key[0] != '\0'))
        config_complain(r, config_lookup(file, c->tls_cert[0] ? "tls_cert" : "tls_key"),
                        "tls_cert and tls_key: only one of them is given");
    if (c->tls_cert[0] && !c->tls_ca[0])
        config_complain(r, config_lookup(file, "tls_cert"), "tls_cert: is of no use without tls_ca");
}

static void check_http(struct config_reader *r, const config_t *file)
{
    const struct config *c = r->config;
    struct sockaddr_storage address;
    socklen_t size;

    if (c->http_listen[0] && parse_socket_address(c->http_listen, &address, &size) < 0)
        config_complain(r, config_lookup(file, "http_listen"),
                        "http_listen: \"%s\" is no numeric address with a port, like \"127.0.0.1:8008\" or "
                        "\"[::1]:8008\"",
                        c->http_listen);
    if (redirect_check(c->http_redirect) < 0)
        config_complain(r, config_lookup(file, "http_redirect"),
                        "http_redirect: \"%s\" is no http:// or https:// URL with {address} and {port} in it",
                        c->http_redirect);
    if ((c->http_tls_cert[0] != '\0') != (c->http_tls_key[0] != '\0'))
        config_complain(r, config_lookup(file, c->http_tls_cert[0] ? "http_tls_cert" : "http_tls_key"),
                        "http_tls_cert and http_tls_key: only one of them is given");
    if (c->http_tls_cert[0] && !c->http_listen[0])
        config_complain(r, config_lookup(file, "http_tls_cert"),
                        "http_tls_cert: is of no use without http_listen");
}

void config_check(struct config_reader *r, const config_t *file)
{
    struct config *c = r->config;

    check_rows(r, file);
    check_words(r, file);
    check_standalone(r, file);
    check_member(r, file);
    check_lonely(r, file);
    check_files(r, file);
    check_password(r, file);
    check_tls(r, file);
    check_http(r, file);
    if (!r->errors->timing_unread)
        check_timing(r, file);
    if (c->state_dir[0] == '\0')
        snprintf(c->state_dir, sizeof c->state_dir, "/var/lib/galera-lease/%s", c->name);
    if (c->run_dir[0] == '\0')
        snprintf(c->run_dir, sizeof c->run_dir, "/run/galera-lease/%s", c->name);
}
