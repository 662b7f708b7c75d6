#include "cli/print_config.h"

#include <inttypes.h>
#include <jansson.h>
#include <string.h>

#include "app/options.h"
#include "cli/times.h"
#include "util/parse.h"

#define VALUE_MAX   ((sizeof(struct config_webhook) + 512) * 2 * CONFIG_WEBHOOKS_MAX)
#define FORMULA_MAX 192
#define COLUMN      52 /* where the origins begin */

static const void *field(const void *c, const struct option_row *o)
{
    return (const char *)c + o->offset;
}

static uint64_t number(const void *c, const struct option_row *o)
{
    uint64_t value;

    memcpy(&value, field(c, o), sizeof value);
    return value;
}

/* ---- as a configuration ---- */

static void put_quoted(FILE *out, const char *text)
{
    putc('"', out);
    for (; *text; text++) {
        if (*text == '"' || *text == '\\')
            putc('\\', out);
        putc(*text, out);
    }
    putc('"', out);
}

static void put_endpoints(FILE *out, const struct config *c)
{
    putc('(', out);
    for (size_t i = 0; i < c->endpoint_count; i++) {
        fputs(i > 0 ? ", " : "", out);
        put_quoted(out, c->endpoints[i]);
    }
    putc(')', out);
}

static void put_list(FILE *out, const struct config_list *list)
{
    putc('(', out);
    for (size_t i = 0; i < list->count; i++) {
        fputs(i > 0 ? ", " : "", out);
        put_quoted(out, list->text[i]);
    }
    putc(')', out);
}

/* By name, in the order of the notes. */
static void put_events(FILE *out, const struct config_events *e)
{
    const char *comma = "";

    putc('(', out);
    for (enum lease_note note = LEASE_NOTE_ROLE; note <= LEASE_NOTE_DOUBLE; note++)
        if (e->notes >> note & 1) {
            fprintf(out, "%s\"%s\"", comma, lease_note_name(note));
            comma = ", ";
        }
    fprintf(out, e->alarms ? "%s\"alarm\")" : ")", comma);
}

static void put_value(FILE *out, const void *c, const struct option_row *o)
{
    char text[32];

    switch (o->type) {
    case OPTION_NAME:
    case OPTION_TEXT:
    case OPTION_URL:
    case OPTION_PATH: put_quoted(out, field(c, o)); break;
    case OPTION_DURATION:
        format_duration(number(c, o), text, sizeof text);
        put_quoted(out, text);
        break;
    case OPTION_SWITCH: fputs(*(const bool *)field(c, o) ? "true" : "false", out); break;
    case OPTION_COUNT: fprintf(out, "%" PRIu64, number(c, o)); break;
    case OPTION_ENDPOINTS: put_endpoints(out, c); break;
    case OPTION_PATHS:
    case OPTION_PATTERNS: put_list(out, field(c, o)); break;
    case OPTION_EVENTS: put_events(out, field(c, o)); break;
    case OPTION_WEBHOOKS: break; /* no value of a group */
    }
}

static void put_webhooks(FILE *out, const struct config_webhooks *all)
{
    putc('(', out);
    for (size_t i = 0; i < all->count; i++) {
        fputs(i > 0 ? ", { " : "{ ", out);
        for (size_t k = 0; k < option_webhook_row_count; k++) {
            fprintf(out, "%s = ", option_webhook_rows[k].name);
            put_value(out, &all->list[i], &option_webhook_rows[k]);
            fputs("; ", out);
        }
        putc('}', out);
    }
    putc(')', out);
}

static void put_option(FILE *out, const struct config *c, size_t i)
{
    const struct option_row *o = &option_rows[i];
    const struct config_origin *origin = &c->origins[i];
    char line[VALUE_MAX] = "";
    FILE *f = fmemopen(line, sizeof line, "w");

    if (f) {
        fprintf(f, "%s%s = ", origin->line ? "" : "# ", o->name);
        if (o->type == OPTION_WEBHOOKS)
            put_webhooks(f, field(c, o));
        else
            put_value(f, c, o);
        putc(';', f);
        fclose(f);
    }
    fprintf(out, "%-*s # ", COLUMN, line);
    if (origin->line)
        fprintf(out, "%s:%u\n", origin->file, origin->line);
    else
        fprintf(out, "default%s%s\n", o->follows ? ": " : "", o->follows ? o->follows : "");
}

static void put_times(FILE *out, const struct lease_timing *t)
{
    char with[FORMULA_MAX], value[32];

    fprintf(out, "\n# Times that follow:\n");
    for (size_t i = 0; i < times_row_count; i++) {
        const struct times_row *row = &times_rows[i];

        times_with_values(row->formula, t, with, sizeof with);
        format_duration(row->value_ns(t), value, sizeof value);
        fprintf(out, "#   %s = %s\n#     = %s = %s: %s\n", row->name, row->formula, with, value, row->means);
    }
}

static void put_rules(FILE *out, const struct lease_timing *t)
{
    bool sums = times_meaningful(t);
    char with[FORMULA_MAX];

    fprintf(out, "\n# Rules that times must keep:\n");
    for (size_t i = 0; i < times_rule_count; i++) {
        const struct times_rule *rule = &times_rules[i];
        bool broken = lease_timing_breaks(t, rule->problem);

        times_with_values(rule->formula, t, with, sizeof with);
        fprintf(out, "#   %-6s %s", broken ? "BROKEN" : "holds", rule->formula);
        if (sums && strcmp(with, rule->formula) != 0)
            fprintf(out, ": %s", with);
        fprintf(out, broken ? " (%s)\n" : "\n", lease_timing_problem_text(rule->problem));
    }
}

int print_config_text(const struct config *c, bool whole, FILE *out)
{
    fprintf(out, "# %s\n", c->file);
    for (size_t i = 0; whole && i < option_row_count; i++)
        put_option(out, c, i);
    if (times_meaningful(&c->timing))
        put_times(out, &c->timing);
    put_rules(out, &c->timing);
    return ferror(out) ? -1 : 0;
}

/* ---- for programs ---- */

static json_t *json_duration(const char *key, uint64_t ns)
{
    char text[32];

    format_duration(ns, text, sizeof text);
    return json_pack("{s:s, s:I}", key, text, "ns", (json_int_t)ns);
}

static json_t *json_endpoints(const struct config *c)
{
    json_t *list = json_array();

    for (size_t i = 0; i < c->endpoint_count; i++)
        json_array_append_new(list, json_string(c->endpoints[i]));
    return list;
}

static json_t *json_list(const struct config_list *all)
{
    json_t *list = json_array();

    for (size_t i = 0; i < all->count; i++)
        json_array_append_new(list, json_string(all->text[i]));
    return list;
}

static json_t *json_events(const struct config_events *e)
{
    json_t *list = json_array();

    for (enum lease_note note = LEASE_NOTE_ROLE; note <= LEASE_NOTE_DOUBLE; note++)
        if (e->notes >> note & 1)
            json_array_append_new(list, json_string(lease_note_name(note)));
    if (e->alarms)
        json_array_append_new(list, json_string("alarm"));
    return list;
}

static void set_value(json_t *j, const char *key, const void *c, const struct option_row *o)
{
    char text[32];
    json_t *value = NULL;

    switch (o->type) {
    case OPTION_NAME:
    case OPTION_TEXT:
    case OPTION_URL:
    case OPTION_PATH: value = json_string(field(c, o)); break;
    case OPTION_DURATION:
        format_duration(number(c, o), text, sizeof text);
        value = json_string(text);
        break;
    case OPTION_SWITCH: value = json_boolean(*(const bool *)field(c, o)); break;
    case OPTION_COUNT: value = json_integer((json_int_t)number(c, o)); break;
    case OPTION_ENDPOINTS: value = json_endpoints(c); break;
    case OPTION_PATHS:
    case OPTION_PATTERNS: value = json_list(field(c, o)); break;
    case OPTION_EVENTS: value = json_events(field(c, o)); break;
    case OPTION_WEBHOOKS: break; /* no value of a group */
    }
    json_object_set_new(j, key, value);
}

static json_t *json_webhooks(const struct config_webhooks *all)
{
    json_t *list = json_array();

    for (size_t i = 0; i < all->count; i++) {
        json_t *group = json_object();

        for (size_t k = 0; k < option_webhook_row_count; k++)
            set_value(group, option_webhook_rows[k].name, &all->list[i], &option_webhook_rows[k]);
        json_array_append_new(list, group);
    }
    return list;
}

static json_t *json_option(const struct config *c, size_t i)
{
    const struct option_row *o = &option_rows[i];
    const struct config_origin *origin = &c->origins[i];
    json_t *j = json_pack("{s:s}", "name", o->name);

    if (o->type == OPTION_WEBHOOKS)
        json_object_set_new(j, "value", json_webhooks(field(c, o)));
    else
        set_value(j, "value", c, o);
    if (o->type == OPTION_DURATION)
        json_object_set_new(j, "ns", json_integer((json_int_t)number(c, o)));
    json_object_set_new(j, "default", json_boolean(origin->line == 0));
    json_object_set_new(j, "file", origin->line ? json_string(origin->file) : json_null());
    json_object_set_new(j, "line", origin->line ? json_integer(origin->line) : json_null());
    json_object_set_new(j, "follows",
                        origin->line == 0 && o->follows ? json_string(o->follows) : json_null());
    json_object_set_new(j, "reload", json_boolean(o->flags & OPTION_RELOAD));
    return j;
}

static json_t *json_time(const struct lease_timing *t, const struct times_row *row)
{
    json_t *j = json_duration("value", row->value_ns(t));
    char with[FORMULA_MAX];

    times_with_values(row->formula, t, with, sizeof with);
    json_object_set_new(j, "name", json_string(row->name));
    json_object_set_new(j, "formula", json_string(row->formula));
    json_object_set_new(j, "with_values", json_string(with));
    json_object_set_new(j, "means", json_string(row->means));
    return j;
}

static json_t *json_rule(const struct lease_timing *t, const struct times_rule *rule)
{
    bool broken = lease_timing_breaks(t, rule->problem);
    char with[FORMULA_MAX];

    times_with_values(rule->formula, t, with, sizeof with);
    return json_pack("{s:s, s:s, s:b, s:s}", "formula", rule->formula, "with_values",
                     times_meaningful(t) ? with : "", "holds", !broken, "why",
                     broken ? lease_timing_problem_text(rule->problem) : "");
}

int print_config_json(const struct config *c, bool whole, FILE *out)
{
    json_t *options = json_array(), *times = json_array(), *rules = json_array();

    for (size_t i = 0; whole && i < option_row_count; i++)
        json_array_append_new(options, json_option(c, i));
    for (size_t i = 0; times_meaningful(&c->timing) && i < times_row_count; i++)
        json_array_append_new(times, json_time(&c->timing, &times_rows[i]));
    for (size_t i = 0; i < times_rule_count; i++)
        json_array_append_new(rules, json_rule(&c->timing, &times_rules[i]));
    json_auto_t *all = json_pack("{s:s, s:o, s:o, s:o}", "file", c->file, "options", options, "times", times,
                                 "rules", rules);

    if (!all || json_dumpf(all, out, JSON_INDENT(2)) < 0)
        return -1;
    putc('\n', out);
    return ferror(out) ? -1 : 0;
}
