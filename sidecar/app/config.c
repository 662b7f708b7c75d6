#include "app/config.h"

#include <errno.h>
#include <libconfig.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "app/options.h"
#include "util/parse.h"

struct reader {
    const char *path;
    struct config *config;
    struct config_errors *errors;
    config_verify_fn verify;
    bool timing_unread; /* a duration could not be read: what the others add up to means nothing */
};

/* @line 0: about the file as a whole. */
static void complain_at(struct reader *r, const char *file, int line, const char *format, va_list args)
{
    char text[400], number[16] = "";

    vsnprintf(text, sizeof text, format, args);
    parse_sanitise(text);
    if (line > 0)
        snprintf(number, sizeof number, ":%d", line);
    if (r->errors->count < CONFIG_ERRORS_MAX - 1)
        snprintf(r->errors->list[r->errors->count++], sizeof r->errors->list[0], "%.255s%s: %s", file, number,
                 text);
    else if (r->errors->count == CONFIG_ERRORS_MAX - 1)
        snprintf(r->errors->list[r->errors->count++], sizeof r->errors->list[0], "%.255s: and more", r->path);
}

__attribute__((format(printf, 3, 4))) static void complain(struct reader *r, const config_setting_t *where,
                                                           const char *format, ...)
{
    const char *file = where ? config_setting_source_file(where) : NULL;
    va_list args;

    va_start(args, format);
    complain_at(r, file ? file : r->path, where ? (int)config_setting_source_line(where) : 0, format, args);
    va_end(args);
}

static void *field(struct config *c, const struct option_row *o)
{
    return (char *)c + o->offset;
}

static bool printable(const char *text)
{
    for (; *text; text++)
        if (*text < ' ' || *text > '~')
            return false;
    return true;
}

static void take_line(struct reader *r, const struct option_row *o, const char *text,
                      const config_setting_t *where)
{
    if (text[0] == '\0' && (o->flags & OPTION_REQUIRED))
        complain(r, where, "%s: must not be empty (%s)", o->name, o->help);
    else if (!printable(text))
        complain(r, where, "%s: \"%s\" holds characters that are not printable ASCII", o->name, text);
    else if (strlen(text) >= o->size)
        complain(r, where, "%s: longer than %zu characters", o->name, o->size - 1);
    else if (o->type == OPTION_PATH && text[0] != '\0' && text[0] != '/')
        complain(r, where, "%s: \"%s\" must be an absolute path", o->name, text);
    else
        strcpy(field(r->config, o), text);
}

static void take_name(struct reader *r, const struct option_row *o, const char *text,
                      const config_setting_t *where)
{
    if (parse_name_valid(text))
        strcpy(field(r->config, o), text);
    else
        complain(r, where,
                 "%s: \"%s\" is no valid name: 1 to 63 letters, digits, '.', '_' or '-', not beginning with "
                 "'.' or '-'",
                 o->name, text);
}

static void take_duration(struct reader *r, const struct option_row *o, const char *text,
                          const config_setting_t *where)
{
    char least[32], most[32];
    uint64_t ns;

    if (parse_duration_ns(text, &ns) < 0) {
        complain(r, where, "%s: \"%s\" is no duration: write a whole number and ms, s, m or h, like \"20s\"",
                 o->name, text);
        r->timing_unread = r->timing_unread || (o->flags & OPTION_TIMING);
    } else if (o->max != 0 && (ns < o->min * LEASE_NS_PER_MS || ns > o->max * LEASE_NS_PER_MS)) {
        format_duration(o->min * LEASE_NS_PER_MS, least, sizeof least);
        format_duration(o->max * LEASE_NS_PER_MS, most, sizeof most);
        complain(r, where, "%s: %s is not between %s and %s", o->name, text, least, most);
    } else {
        memcpy(field(r->config, o), &ns, sizeof ns);
    }
}

static void take_count(struct reader *r, const struct option_row *o, const char *text,
                       const config_setting_t *where)
{
    uint64_t value;

    if (parse_u64(text, &value) < 0 || value < o->min || value > o->max)
        complain(r, where, "%s: %s is not between %u and %u", o->name, text, o->min, o->max);
    else
        memcpy(field(r->config, o), &value, sizeof value);
}

static void take_switch(struct reader *r, const struct option_row *o, const char *text)
{
    bool value = strcmp(text, "true") == 0;

    memcpy(field(r->config, o), &value, sizeof value);
}

/* The text of any option but a list, from the file or (@where NULL) from the table. */
static void take_text(struct reader *r, const struct option_row *o, const char *text,
                      const config_setting_t *where)
{
    switch (o->type) {
    case OPTION_NAME: take_name(r, o, text, where); break;
    case OPTION_PATH:
    case OPTION_TEXT: take_line(r, o, text, where); break;
    case OPTION_DURATION: take_duration(r, o, text, where); break;
    case OPTION_COUNT: take_count(r, o, text, where); break;
    case OPTION_SWITCH: take_switch(r, o, text); break;
    case OPTION_ENDPOINTS: break;
    }
}

static bool endpoint_known(const struct config *c, const char *text)
{
    for (size_t i = 0; i < c->endpoint_count; i++)
        if (strcmp(c->endpoints[i], text) == 0)
            return true;
    return false;
}

static void take_endpoints(struct reader *r, const struct option_row *o, const config_setting_t *s)
{
    struct config *c = r->config;
    int count = config_setting_is_aggregate(s) ? config_setting_length(s) : 0;

    if (count < 1 || count > CONFIG_ENDPOINTS_MAX) {
        complain(r, s,
                 "%s: must be a list of 1 to %d endpoints, like (\"unix:/run/mysqld/mysqld.sock\", "
                 "\"10.0.0.2:3306\")",
                 o->name, CONFIG_ENDPOINTS_MAX);
        return;
    }
    for (int i = 0; i < count; i++) {
        const config_setting_t *entry = config_setting_get_elem(s, (unsigned)i);
        const char *text = config_setting_get_string(entry);
        struct access_endpoint parsed;

        if (!text)
            complain(r, entry, "%s: entry %d is not a text in quotes", o->name, i + 1);
        else if (access_endpoint_parse(text, &parsed) != ACCESS_OK)
            complain(r, entry, "%s: \"%s\" %s", o->name, text, access_result_text(ACCESS_MALFORMED));
        else if (endpoint_known(c, text))
            complain(r, entry, "%s: \"%s\" is given twice", o->name, text);
        else
            strcpy(c->endpoints[c->endpoint_count++], text);
    }
}

static void take_setting(struct reader *r, const config_setting_t *s)
{
    const char *name = config_setting_name(s);
    const struct option_row *o = option_find(name);
    int type = config_setting_type(s);
    char number[24];

    if (!o) {
        complain(r, s, "%s: there is no such option", name);
    } else if (o->type == OPTION_ENDPOINTS) {
        take_endpoints(r, o, s);
    } else if (o->type == OPTION_COUNT) {
        if (type != CONFIG_TYPE_INT && type != CONFIG_TYPE_INT64) {
            complain(r, s, "%s: must be a whole number without quotes", name);
            return;
        }
        snprintf(number, sizeof number, "%lld", config_setting_get_int64(s));
        take_text(r, o, number, s);
    } else if (o->type == OPTION_SWITCH) {
        if (type != CONFIG_TYPE_BOOL)
            complain(r, s, "%s: must be true or false, without quotes", name);
        else
            take_text(r, o, config_setting_get_bool(s) ? "true" : "false", s);
    } else if (type != CONFIG_TYPE_STRING) {
        complain(r, s, "%s: must be a text in quotes%s", name,
                 o->type == OPTION_DURATION ? " with its unit, like \"20s\"" : "");
        r->timing_unread = r->timing_unread || (o->flags & OPTION_TIMING);
    } else {
        take_text(r, o, config_setting_get_string(s), s);
    }
}

static void defaults(struct reader *r, const config_t *file)
{
    const config_setting_t *ttl = config_lookup(file, "ttl");
    struct lease_timing *t = &r->config->timing;

    for (size_t i = 0; i < option_row_count; i++)
        if (option_rows[i].fallback)
            take_text(r, &option_rows[i], option_rows[i].fallback, NULL);
    /* Before the file's own times are taken: they override what follows from its ttl. */
    if (ttl && config_setting_type(ttl) == CONFIG_TYPE_STRING)
        parse_duration_ns(config_setting_get_string(ttl), &t->ttl_ns);
    lease_timing_defaults(t->ttl_ns, t);
}

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
static const struct option_row *timing_culprit(struct reader *r, const config_t *file,
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
static void check_timing(struct reader *r, const config_t *file)
{
    const struct option_row *o = NULL;
    enum lease_timing_problem problem;
    char sum[256];

    while ((problem = lease_timing_check(&r->config->timing)) != LEASE_TIMING_OK) {
        timing_text(&r->config->timing, sum, sizeof sum);
        o = timing_culprit(r, file, problem);
        complain(r, config_lookup(file, o ? o->name : "ttl"), "%s: %s (%s)", o ? o->name : "ttl",
                 lease_timing_problem_text(problem), sum);
        if (!o)
            return;
    }
}

static void check_rows(struct reader *r, const config_t *file)
{
    char reason[400];

    for (size_t i = 0; i < option_row_count; i++) {
        const struct option_row *o = &option_rows[i];
        const config_setting_t *given = config_lookup(file, o->name);

        if ((o->flags & OPTION_REQUIRED) && !given)
            complain(r, NULL, "%s: is missing (%s)", o->name, o->help);
        /* A path that was refused already was not taken: it is empty. */
        if ((o->flags & OPTION_HOOK) && r->verify && *(char *)field(r->config, o) &&
            r->verify(field(r->config, o), reason, sizeof reason) != 0)
            complain(r, given, "%s: hook refused: %s", o->name, reason);
        if ((o->flags & OPTION_READ) && r->verify && *(char *)field(r->config, o) &&
            access(field(r->config, o), R_OK) < 0)
            complain(r, given, "%s: %s cannot be read: %s", o->name, (char *)field(r->config, o),
                     strerror(errno));
    }
}

static void check_words(struct reader *r, const config_t *file)
{
    const struct config *c = r->config;

    if (strcmp(c->cgroup, "auto") != 0 && strcmp(c->cgroup, "off") != 0)
        complain(r, config_lookup(file, "cgroup"), "cgroup: \"%s\" is neither \"auto\" nor \"off\"",
                 c->cgroup);
    if (strcmp(c->log_level, "error") != 0 && strcmp(c->log_level, "warning") != 0 &&
        strcmp(c->log_level, "info") != 0 && strcmp(c->log_level, "debug") != 0)
        complain(r, config_lookup(file, "log_level"),
                 "log_level: \"%s\" is none of \"error\", \"warning\", \"info\", \"debug\"", c->log_level);
    /* R9 reads the new epoch there: a misspelt one must not quietly mean another node. */
    if (c->controller_endpoint[0] && !endpoint_known(c, c->controller_endpoint))
        complain(r, config_lookup(file, "controller_endpoint"),
                 "controller_endpoint: \"%s\" is not among the endpoints", c->controller_endpoint);
}

/* The host name, whole or not at all: two hosts must not become one member by a cut (R10). */
static void check_member(struct reader *r, const config_t *file)
{
    char host[256] = "";

    if (config_lookup(file, "member"))
        return;
    gethostname(host, sizeof host - 1);
    if (parse_name_valid(host))
        strcpy(r->config->member, host);
    else
        complain(r, NULL, "member: is missing, and the host name \"%s\" cannot stand in for it", host);
}

static void check_password(struct reader *r, const config_t *file)
{
    char password[ACCESS_PASSWORD_MAX + 1];
    const char *path = r->config->password_file;

    if (!r->verify || path[0] == '\0')
        return;
    int result = access_password_read(path, password);

    explicit_bzero(password, sizeof password);
    if (result != ACCESS_OK)
        complain(r, config_lookup(file, "password_file"), "password_file: %s %s", path,
                 access_result_text(result));
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

static void check_tls(struct reader *r, const config_t *file)
{
    const struct config *c = r->config;
    const char *remote = first_remote(c);

    if (!c->tls && c->tls_ca[0])
        complain(r, config_lookup(file, "tls"), "tls: false, and yet there is a tls_ca: which of them?");
    if (c->tls && remote && !config_lookup(file, "tls_ca"))
        complain(
            r, config_lookup(file, "endpoints"),
            "endpoints: \"%s\" is on another host, and there is no tls_ca to know it by; to speak to it in "
            "clear, write tls = false",
            remote);
    if ((c->tls_cert[0] != '\0') != (c->tls_key[0] != '\0'))
        complain(r, config_lookup(file, c->tls_cert[0] ? "tls_cert" : "tls_key"),
                 "tls_cert and tls_key: only one of them is given");
    if (c->tls_cert[0] && !c->tls_ca[0])
        complain(r, config_lookup(file, "tls_cert"), "tls_cert: is of no use without tls_ca");
}

static void check_whole(struct reader *r, const config_t *file)
{
    struct config *c = r->config;

    check_rows(r, file);
    check_words(r, file);
    check_member(r, file);
    check_password(r, file);
    check_tls(r, file);
    if (!r->timing_unread)
        check_timing(r, file);
    if (c->state_dir[0] == '\0')
        snprintf(c->state_dir, sizeof c->state_dir, "/var/lib/galera-lease/%s", c->name);
    if (c->run_dir[0] == '\0')
        snprintf(c->run_dir, sizeof c->run_dir, "/run/galera-lease/%s", c->name);
}

__attribute__((format(printf, 4, 5))) static void complain_syntax(struct reader *r, const char *file,
                                                                  int line, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    complain_at(r, file ? file : r->path, line, format, args);
    va_end(args);
}

int config_load(const char *path, config_verify_fn verify, struct config *ret, struct config_errors *errors)
{
    struct reader r = {.path = path, .config = ret, .errors = errors, .verify = verify};
    config_t file;

    memset(ret, 0, sizeof *ret);
    errors->count = 0;
    config_init(&file);
    if (config_read_file(&file, path) != CONFIG_TRUE) {
        if (config_error_type(&file) == CONFIG_ERR_FILE_IO)
            complain_syntax(&r, NULL, 0, "cannot be read");
        else
            complain_syntax(&r, config_error_file(&file), config_error_line(&file), "%s",
                            config_error_text(&file));
    } else {
        const config_setting_t *root = config_root_setting(&file);

        defaults(&r, &file);
        for (int i = 0; i < config_setting_length(root); i++)
            take_setting(&r, config_setting_get_elem(root, (unsigned)i));
        check_whole(&r, &file);
    }
    config_destroy(&file);
    return errors->count > 0;
}
