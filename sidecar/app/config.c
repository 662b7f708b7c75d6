#include "app/config.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "app/config_reader.h"
#include "util/parse.h"
#include "web/request.h"

/* @line 0: about the file as a whole. */
static void complain_at(struct config_reader *r, const char *file, int line, const char *format, va_list args)
{
    char text[400], number[16] = "";
    int at = snprintf(text, sizeof text, "%s", r->within ? r->within : "");

    vsnprintf(text + at, sizeof text - (size_t)at, format, args);
    parse_sanitise(text);
    if (line > 0)
        snprintf(number, sizeof number, ":%d", line);
    if (r->errors->count < CONFIG_ERRORS_MAX - 1)
        snprintf(r->errors->list[r->errors->count++], sizeof r->errors->list[0], "%.255s%s: %s", file, number,
                 text);
    else if (r->errors->count == CONFIG_ERRORS_MAX - 1)
        snprintf(r->errors->list[r->errors->count++], sizeof r->errors->list[0], "%.255s: and more", r->path);
}

void config_complain(struct config_reader *r, const config_setting_t *where, const char *format, ...)
{
    const char *file = where ? config_setting_source_file(where) : NULL;
    va_list args;

    va_start(args, format);
    complain_at(r, file ? file : r->path, where ? (int)config_setting_source_line(where) : 0, format, args);
    va_end(args);
}

static bool printable(const char *text)
{
    for (; *text; text++)
        if (*text < ' ' || *text > '~')
            return false;
    return true;
}

static void take_line(struct config_reader *r, const struct option_row *o, const char *text,
                      const config_setting_t *where)
{
    if (text[0] == '\0' && (o->flags & OPTION_REQUIRED))
        config_complain(r, where, "%s: must not be empty (%s)", o->name, o->help);
    else if (!printable(text))
        config_complain(r, where, "%s: \"%s\" holds characters that are not printable ASCII", o->name, text);
    else if (strlen(text) >= o->size)
        config_complain(r, where, "%s: longer than %zu characters", o->name, o->size - 1);
    else if (o->type == OPTION_PATH && text[0] != '\0' && text[0] != '/')
        config_complain(r, where, "%s: \"%s\" must be an absolute path", o->name, text);
    else
        strcpy(config_field(r->base, o), text);
}

static void take_url(struct config_reader *r, const struct option_row *o, const char *text,
                     const config_setting_t *where)
{
    char reason[128];

    if (printable(text) && text[0] != '\0' && web_url_check(text, reason, sizeof reason) != 0)
        config_complain(r, where, "%s: \"%.200s\" %s", o->name, text, reason);
    else
        take_line(r, o, text, where);
}

static void take_name(struct config_reader *r, const struct option_row *o, const char *text,
                      const config_setting_t *where)
{
    if (parse_name_valid(text))
        strcpy(config_field(r->base, o), text);
    else
        config_complain(
            r, where,
            "%s: \"%s\" is no valid name: 1 to 63 letters, digits, '.', '_' or '-', not beginning with "
            "'.' or '-'",
            o->name, text);
}

static void take_duration(struct config_reader *r, const struct option_row *o, const char *text,
                          const config_setting_t *where)
{
    char least[32], most[32];
    uint64_t ns;

    if (parse_duration_ns(text, &ns) < 0) {
        config_complain(r, where,
                        "%s: \"%s\" is no duration: write a whole number and ms, s, m or h, like \"20s\"",
                        o->name, text);
        r->errors->timing_unread = r->errors->timing_unread || (o->flags & OPTION_TIMING);
    } else if (o->max != 0 && (ns < o->min * LEASE_NS_PER_MS || ns > o->max * LEASE_NS_PER_MS)) {
        format_duration(o->min * LEASE_NS_PER_MS, least, sizeof least);
        format_duration(o->max * LEASE_NS_PER_MS, most, sizeof most);
        config_complain(r, where, "%s: %s is not between %s and %s", o->name, text, least, most);
    } else {
        memcpy(config_field(r->base, o), &ns, sizeof ns);
    }
}

static void take_count(struct config_reader *r, const struct option_row *o, const char *text,
                       const config_setting_t *where)
{
    uint64_t value;

    if (parse_u64(text, &value) < 0 || value < o->min || value > o->max)
        config_complain(r, where, "%s: %s is not between %u and %u", o->name, text, o->min, o->max);
    else
        memcpy(config_field(r->base, o), &value, sizeof value);
}

static void take_switch(struct config_reader *r, const struct option_row *o, const char *text)
{
    bool value = strcmp(text, "true") == 0;

    memcpy(config_field(r->base, o), &value, sizeof value);
}

/* The text of any option but a list, from the file or (@where NULL) from the table. */
static void take_text(struct config_reader *r, const struct option_row *o, const char *text,
                      const config_setting_t *where)
{
    switch (o->type) {
    case OPTION_NAME: take_name(r, o, text, where); break;
    case OPTION_PATH:
    case OPTION_TEXT: take_line(r, o, text, where); break;
    case OPTION_DURATION: take_duration(r, o, text, where); break;
    case OPTION_COUNT: take_count(r, o, text, where); break;
    case OPTION_SWITCH: take_switch(r, o, text); break;
    case OPTION_URL: take_url(r, o, text, where); break;
    case OPTION_ENDPOINTS:
    case OPTION_EVENTS:
    case OPTION_PATHS:
    case OPTION_PATTERNS:
    case OPTION_WEBHOOKS: break;
    }
}

bool config_has_endpoint(const struct config *c, const char *text)
{
    for (size_t i = 0; i < c->endpoint_count; i++)
        if (strcmp(c->endpoints[i], text) == 0)
            return true;
    return false;
}

static void take_endpoints(struct config_reader *r, const struct option_row *o, const config_setting_t *s)
{
    struct config *c = r->config;
    int count = config_setting_is_aggregate(s) ? config_setting_length(s) : 0;

    if (count < 1 || count > CONFIG_ENDPOINTS_MAX) {
        config_complain(r, s,
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
            config_complain(r, entry, "%s: entry %d is not a text in quotes", o->name, i + 1);
        else if (access_endpoint_parse(text, &parsed) != ACCESS_OK)
            config_complain(r, entry, "%s: \"%s\" %s", o->name, text, access_result_text(ACCESS_MALFORMED));
        else if (config_has_endpoint(c, text))
            config_complain(r, entry, "%s: \"%s\" is given twice", o->name, text);
        else
            strcpy(c->endpoints[c->endpoint_count++], text);
    }
}

void config_take_value(struct config_reader *r, const struct option_row *o, const config_setting_t *s)
{
    const char *name = o->name;
    int type = config_setting_type(s);
    char number[24];

    if (o->type == OPTION_ENDPOINTS) {
        take_endpoints(r, o, s);
    } else if (o->type == OPTION_PATHS || o->type == OPTION_PATTERNS) {
        config_take_list(r, o, s);
    } else if (o->type == OPTION_EVENTS) {
        config_take_events(r, o, s);
    } else if (o->type == OPTION_COUNT) {
        if (type != CONFIG_TYPE_INT && type != CONFIG_TYPE_INT64) {
            config_complain(r, s, "%s: must be a whole number without quotes", name);
            return;
        }
        snprintf(number, sizeof number, "%lld", config_setting_get_int64(s));
        take_text(r, o, number, s);
    } else if (o->type == OPTION_SWITCH) {
        if (type != CONFIG_TYPE_BOOL)
            config_complain(r, s, "%s: must be true or false, without quotes", name);
        else
            take_text(r, o, config_setting_get_bool(s) ? "true" : "false", s);
    } else if (type != CONFIG_TYPE_STRING) {
        config_complain(r, s, "%s: must be a text in quotes%s", name,
                        o->type == OPTION_DURATION ? " with its unit, like \"20s\"" : "");
        r->errors->timing_unread = r->errors->timing_unread || (o->flags & OPTION_TIMING);
    } else {
        take_text(r, o, config_setting_get_string(s), s);
    }
}

void config_take_fallback(struct config_reader *r, const struct option_row *o)
{
    if (o->fallback)
        take_text(r, o, o->fallback, NULL);
}

static void take_setting(struct config_reader *r, const config_setting_t *s)
{
    const struct option_row *o = option_find(config_setting_name(s));
    const char *file = config_setting_source_file(s);
    size_t mistakes = r->errors->count;

    if (!o) {
        config_complain(r, s, "%s: there is no such option", config_setting_name(s));
        return;
    }
    if (o->type == OPTION_WEBHOOKS)
        config_take_webhooks(r, s);
    else
        config_take_value(r, o, s);
    if (r->errors->count == mistakes) {
        struct config_origin *origin = &r->config->origins[o - option_rows];

        snprintf(origin->file, sizeof origin->file, "%s", file ? file : r->path);
        origin->line = (unsigned)config_setting_source_line(s);
    }
}

static void defaults(struct config_reader *r, const config_t *file)
{
    const config_setting_t *ttl = config_lookup(file, "ttl");
    struct lease_timing *t = &r->config->timing;

    for (size_t i = 0; i < option_row_count; i++)
        config_take_fallback(r, &option_rows[i]);
    /* Before the file's own times are taken: they override what follows from its ttl. */
    if (ttl && config_setting_type(ttl) == CONFIG_TYPE_STRING)
        parse_duration_ns(config_setting_get_string(ttl), &t->ttl_ns);
    lease_timing_defaults(t->ttl_ns, t);
}

__attribute__((format(printf, 4, 5))) static void complain_syntax(struct config_reader *r, const char *file,
                                                                  int line, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    complain_at(r, file ? file : r->path, line, format, args);
    va_end(args);
}

int config_load(const char *path, config_verify_fn verify, struct config *ret, struct config_errors *errors)
{
    struct config_reader r = {.path = path, .config = ret, .base = ret, .errors = errors, .verify = verify};
    config_t file;

    memset(ret, 0, sizeof *ret);
    snprintf(ret->file, sizeof ret->file, "%s", path);
    errors->count = 0;
    errors->timing_unread = false;
    config_init(&file);
    if (config_read_file(&file, path) != CONFIG_TRUE) {
        errors->timing_unread = true;
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
        config_check(&r, &file);
    }
    config_destroy(&file);
    return errors->count > 0;
}
