#include "app/config.h"

#include <libconfig.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "app/options.h"
#include "util/cleanup.h"
#include "util/parse.h"

struct reader {
    const char *path;
    struct config *config;
    struct config_errors *errors;
    config_verify_fn verify;
};

static void complain(struct reader *r, int line, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static void complain(struct reader *r, int line, const char *format, ...)
{
    char text[384];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    parse_sanitise(text);
    if (r->errors->count < CONFIG_ERRORS_MAX)
        snprintf(r->errors->list[r->errors->count++], sizeof r->errors->list[0], "%.100s:%d: %s", r->path,
                 line, text);
}

static void *field(struct reader *r, const struct option_row *o)
{
    return (char *)r->config + o->offset;
}

/* Text of any option but a list, from the file or from the table's default. */
static void take_text(struct reader *r, const struct option_row *o, const char *text, int line)
{
    uint64_t value;
    int bad;

    switch (o->type) {
    case OPTION_NAME:
        if (!parse_name_valid(text))
            complain(r, line,
                     "%s: \"%s\" is no valid name: 1 to 63 letters, digits, '.', '_' or '-', not beginning "
                     "with '.' "
                     "or '-'",
                     o->name, text);
        else
            snprintf(field(r, o), o->size, "%s", text);
        break;
    case OPTION_PATH:
        if (text[0] != '\0' && text[0] != '/')
            complain(r, line, "%s: \"%s\" must be an absolute path", o->name, text);
        __attribute__((fallthrough));
    case OPTION_TEXT:
        if (strlen(text) >= o->size)
            complain(r, line, "%s: longer than %zu characters", o->name, o->size - 1);
        else
            snprintf(field(r, o), o->size, "%s", text);
        break;
    case OPTION_DURATION:
        bad = parse_duration_ns(text, &value);
        if (bad < 0)
            complain(r, line,
                     "%s: \"%s\" is no duration: write a whole number and ms, s, m or h, like \"20s\"",
                     o->name, text);
        else
            memcpy(field(r, o), &value, sizeof value);
        break;
    case OPTION_COUNT:
        bad = parse_u64(text, &value);
        if (bad < 0 || value < o->min || value > o->max)
            complain(r, line, "%s: %s is not between %u and %u", o->name, text, o->min, o->max);
        else
            memcpy(field(r, o), &value, sizeof value);
        break;
    case OPTION_ENDPOINTS: break;
    }
}

static void take_endpoints(struct reader *r, const struct option_row *o, const config_setting_t *s)
{
    int line = (int)config_setting_source_line(s);
    int count = config_setting_is_aggregate(s) ? config_setting_length(s) : 0;

    if (count < 1 || count > CONFIG_ENDPOINTS_MAX) {
        complain(r, line,
                 "%s: must be a list of 1 to %d endpoints, like (\"unix:/run/mysqld/mysqld.sock\", "
                 "\"10.0.0.2:3306\")",
                 o->name, CONFIG_ENDPOINTS_MAX);
        return;
    }
    for (int i = 0; i < count; i++) {
        const char *text = config_setting_get_string_elem(s, i);

        if (!text || strlen(text) >= CONFIG_TEXT_MAX)
            complain(r, line, "%s: entry %d is not a text", o->name, i + 1);
        else
            strcpy(r->config->endpoints[r->config->endpoint_count++], text);
    }
}

static void take_setting(struct reader *r, const config_setting_t *s)
{
    const char *name = config_setting_name(s);
    const struct option_row *o = option_find(name);
    int line = (int)config_setting_source_line(s);
    char number[24];

    if (!o) {
        complain(r, line, "%s: there is no such option", name);
    } else if (o->type == OPTION_ENDPOINTS) {
        take_endpoints(r, o, s);
    } else if (o->type == OPTION_COUNT) {
        if (config_setting_type(s) != CONFIG_TYPE_INT && config_setting_type(s) != CONFIG_TYPE_INT64) {
            complain(r, line, "%s: must be a whole number", name);
            return;
        }
        snprintf(number, sizeof number, "%lld", config_setting_get_int64(s));
        take_text(r, o, number, line);
    } else if (config_setting_type(s) != CONFIG_TYPE_STRING) {
        complain(r, line, "%s: must be a text in quotes%s", name,
                 o->type == OPTION_DURATION ? " with its unit, like \"20s\"" : "");
    } else {
        take_text(r, o, config_setting_get_string(s), line);
    }
}

static void defaults(struct reader *r, const config_t *file)
{
    for (size_t i = 0; i < option_row_count; i++)
        if (option_rows[i].fallback)
            take_text(r, &option_rows[i], option_rows[i].fallback, 0);
    char host[LEASE_NAME_MAX + 1] = "";

    gethostname(host, sizeof host - 1);
    strcpy(r->config->member, host);

    const config_setting_t *ttl = config_lookup(file, "ttl");
    uint64_t ttl_ns;

    if (ttl && config_setting_type(ttl) == CONFIG_TYPE_STRING &&
        parse_duration_ns(config_setting_get_string(ttl), &ttl_ns) == 0)
        lease_timing_defaults(ttl_ns, &r->config->timing);
    else
        lease_timing_defaults(r->config->timing.ttl_ns, &r->config->timing);
}

static int line_of(const config_t *file, const char *name)
{
    const config_setting_t *s = config_lookup(file, name);

    return s ? (int)config_setting_source_line(s) : 0;
}

static void check_whole(struct reader *r, const config_t *file)
{
    struct config *c = r->config;
    enum lease_timing_problem problem = lease_timing_check(&c->timing);
    char reason[400];

    for (size_t i = 0; i < option_row_count; i++) {
        const struct option_row *o = &option_rows[i];
        bool given = config_lookup(file, o->name) != NULL;

        if ((o->flags & OPTION_REQUIRED) && !given)
            complain(r, 0, "%s: is missing (%s)", o->name, o->help);
        if ((o->flags & OPTION_HOOK) && given && r->verify &&
            r->verify(field(r, o), reason, sizeof reason) != 0)
            complain(r, line_of(file, o->name), "%s: hook refused: %s", o->name, reason);
    }
    if (problem != LEASE_TIMING_OK)
        complain(r, line_of(file, "ttl"),
                 "timing: %s (ttl %llu ms, demote_budget+kill_budget+margin %llu ms, renew %llu ms)",
                 lease_timing_problem_text(problem), (unsigned long long)(c->timing.ttl_ns / LEASE_NS_PER_MS),
                 (unsigned long long)(lease_timing_demote_lead_ns(&c->timing) / LEASE_NS_PER_MS),
                 (unsigned long long)(c->timing.renew_ns / LEASE_NS_PER_MS));
    if (!parse_name_valid(c->member))
        complain(r, line_of(file, "member"), "member: the host name \"%s\" is no valid member name: set one",
                 c->member);
    if (strcmp(c->cgroup, "auto") != 0 && strcmp(c->cgroup, "off") != 0)
        complain(r, line_of(file, "cgroup"), "cgroup: must be \"auto\" or \"off\"");
    if (c->state_dir[0] == '\0')
        snprintf(c->state_dir, sizeof c->state_dir, "/var/lib/galera-lease/%s", c->name);
    if (c->run_dir[0] == '\0')
        snprintf(c->run_dir, sizeof c->run_dir, "/run/galera-lease/%s", c->name);
}

int config_load(const char *path, config_verify_fn verify, struct config *ret, struct config_errors *errors)
{
    struct reader r = {.path = path, .config = ret, .errors = errors, .verify = verify};
    config_t file;

    memset(ret, 0, sizeof *ret);
    errors->count = 0;
    config_init(&file);
    if (config_read_file(&file, path) != CONFIG_TRUE) {
        complain(&r, config_error_line(&file), "%s",
                 config_error_type(&file) == CONFIG_ERR_FILE_IO ? "cannot be read"
                                                                : config_error_text(&file));
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
