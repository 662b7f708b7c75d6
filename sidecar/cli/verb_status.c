/*
 * status: the sidecar of this host, as it wrote itself down in run_dir at its last change or renewal. When
 * none runs here, what the database knows of this member.
 */
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "cli/cli.h"
#include "cli/listing.h"
#include "doctor/status_file.h"
#include "util/cleanup.h"
#include "util/parse.h"

#define STATUS_TEXT_MAX 512

static void json_freep(json_t **j)
{
    json_decref(*j);
}

static long long number_of(const json_t *o, const char *key)
{
    return json_integer_value(json_object_get(o, key));
}

/* One line; nothing when there is nothing to say. What others wrote is cleaned before it reaches a terminal.
 */
static void line(const char *title, const json_t *o, const char *key, const char *otherwise)
{
    const char *text = json_string_value(json_object_get(o, key));
    char clean[STATUS_TEXT_MAX];

    snprintf(clean, sizeof clean, "%s", text && text[0] ? text : otherwise);
    parse_sanitise(clean);
    if (clean[0])
        printf("%-12s%s\n", title, clean);
}

static void endpoint_line(const json_t *e)
{
    const char *text = json_string_value(json_object_get(e, "endpoint"));
    const char *error = json_string_value(json_object_get(e, "error"));
    char clean[STATUS_TEXT_MAX];

    snprintf(clean, sizeof clean, "%s%s%s%s", text ? text : "?",
             json_is_true(json_object_get(e, "in_use")) ? " (in use)" : "", error && error[0] ? ": " : "",
             error ? error : "");
    parse_sanitise(clean);
    printf("%-12s%s\n", "endpoint:", clean);
}

/* Nothing, when the configuration was never read again. */
static void reload_lines(const json_t *r)
{
    time_t at = (time_t)number_of(r, "at");
    char text[STATUS_TEXT_MAX] = "", when[32];
    struct tm tm;
    json_t *o;
    size_t i, length = 0;

    if (at <= 0 || !gmtime_r(&at, &tm))
        return;
    strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", &tm);
    const char *mistake = json_string_value(json_object_get(r, "mistake"));

    snprintf(text, sizeof text, "%s%s%s", when, mistake && mistake[0] ? " REFUSED, nothing changed: " : "",
             mistake ? mistake : "");
    parse_sanitise(text);
    printf("%-12s%s\n", "reloaded:", text);
    text[0] = '\0';
    json_array_foreach(json_object_get(r, "waits_for_restart"), i,
                       o) if (json_string_value(o) && length < sizeof text) length +=
        (size_t)snprintf(text + length, sizeof text - length, "%s%s", i > 0 ? ", " : "",
                         json_string_value(o));
    parse_sanitise(text);
    if (text[0])
        printf("%-12sa restart, to change %s\n", "waits for:", text);
}

/* "webhook1:   12 delivered, 1 failed, 0 dropped, 2 waiting: it answered 500" */
static void receiver_line(const json_t *r)
{
    const char *name = json_string_value(json_object_get(r, "name"));
    const char *error = json_string_value(json_object_get(r, "error"));
    char title[STATUS_TEXT_MAX], clean[STATUS_TEXT_MAX];

    snprintf(title, sizeof title, "%s:", name ? name : "?");
    parse_sanitise(title);
    snprintf(clean, sizeof clean, "%lld delivered, %lld failed, %lld dropped, %lld waiting%s%s",
             number_of(r, "delivered"), number_of(r, "failed"), number_of(r, "dropped"),
             number_of(r, "waiting"), error && error[0] ? ": " : "", error ? error : "");
    parse_sanitise(clean);
    printf("%-12s%s\n", title, clean);
}

/* "health URL: unhealthy: it answered 500" */
static void health_line(const json_t *h)
{
    const char *state = json_string_value(json_object_get(h, "state"));
    const char *why = json_string_value(json_object_get(h, "why"));
    char clean[STATUS_TEXT_MAX];

    if (!state)
        return;
    snprintf(clean, sizeof clean, "%s%s%s", state, why && why[0] ? ": " : "", why ? why : "");
    parse_sanitise(clean);
    printf("%-12s%s\n", "health URL:", clean);
}

/* "last error: h:1: 2002 refused (12m ago)" */
static void error_line(const json_t *s)
{
    const char *error = json_string_value(json_object_get(s, "last_error"));
    long long at = number_of(s, "last_error_at"), now = (long long)time(NULL);
    char clean[STATUS_TEXT_MAX], age[32];

    if (!error || !error[0])
        return;
    snprintf(clean, sizeof clean, "%s", error);
    parse_sanitise(clean);
    listing_age(now > at ? (uint64_t)(now - at) * 1000 : 0, age, sizeof age);
    printf("%-12s%s%s%s%s\n", "last error:", clean, at > 0 ? " (" : "", at > 0 ? age : "",
           at > 0 ? " ago)" : "");
}

static void print_status(const json_t *s)
{
    json_t *e;
    size_t i;

    line("lease:", s, "lease", "?");
    line("member:", s, "member", "?");
    line("role:", s, "role", "?");
    printf("%-12s%lld\n", "epoch:", number_of(s, "epoch"));
    /* Of a sidecar that does not answer, nobody knows what is left. */
    if (number_of(s, "time_left_ms") > 0 && json_is_true(json_object_get(s, "answers")))
        printf("%-12s%lld ms\n", "time left:", number_of(s, "time_left_ms"));
    if (number_of(s, "hold_left_ms") > 0)
        printf("%-12sfor %lld s yet\n", "hold:", number_of(s, "hold_left_ms") / 1000);
    line("not leader:", s, "why_not_leader", "");
    line("holder:", s, "holder", "nobody");
    if (json_object_get(s, "guardian"))
        printf("%-12s%s\n",
               "guardian:", json_is_true(json_object_get(s, "guardian")) ? "running" : "NOT RUNNING");
    line("drift:", s, "drift", "");
    health_line(json_object_get(s, "health_url"));
    line("contained:", s, "containment", "");
    if (json_is_true(json_object_get(s, "regression")))
        printf("%-12s%s\n", "ALARM:", "the epoch in the database went back: commits were lost");
    json_array_foreach(json_object_get(s, "endpoints"), i, e) endpoint_line(e);
    json_array_foreach(json_object_get(s, "receivers"), i, e) receiver_line(e);
    error_line(s);
    reload_lines(json_object_get(s, "reload"));
}

static int show(const struct cli_options *o, const json_t *s)
{
    if (!o->json) {
        print_status(s);
        return 0;
    }
    int r = json_dumpf(s, stdout, JSON_INDENT(2) | JSON_ENSURE_ASCII);

    printf("\n");
    return r;
}

/* Why it is that old. */
static void say_old(const struct config *c, const json_t *s, long long age_s)
{
    if (status_file_no_room(c->run_dir))
        fprintf(stderr,
                "galera-lease: this is %lld s old, for run_dir %s is full: the sidecar (pid %lld) can write "
                "nothing, and may well lead or follow as it should. Make room there (is it controller.log "
                "that grows?); a restart mends nothing\n",
                age_s, c->run_dir, number_of(s, "pid"));
    else
        fprintf(
            stderr,
            "galera-lease: this is %lld s old: the sidecar (pid %lld) could not write to run_dir (its log "
            "says event=status then), hangs, is stopped, or died and left its number to another "
            "process\n",
            age_s, number_of(s, "pid"));
}

static int local_status(const struct cli_options *o, const struct config *c, json_t *s, long long age_s,
                        bool answers)
{
    json_object_set_new(s, "source", json_string("sidecar"));
    json_object_set_new(s, "age_s", json_integer(age_s));
    json_object_set_new(s, "answers", json_boolean(answers));
    if (!answers)
        say_old(c, s, age_s);
    return show(o, s) < 0 || !answers ? CLI_FAILED : CLI_OK;
}

static const struct rows_member *find(const struct listing *l, const char *name)
{
    for (size_t i = 0; i < l->count; i++)
        if (strcmp(l->members[i].member.name, name) == 0)
            return &l->members[i];
    return NULL;
}

static int show_member(const struct cli_options *o, const char *member, const struct listing *l)
{
    const struct rows_member *m = find(l, member);
    char comment[STATUS_TEXT_MAX] = "This member has never been seen.";

    if (m)
        listing_comment(l, m, comment, sizeof comment);
    _cleanup_(json_freep) json_t *s =
        json_pack("{s:s, s:s, s:s, s:s, s:I, s:s, s:s}", "source", "database", "lease", l->lease, "member",
                  member, "role", m ? m->role : "unknown", "epoch",
                  (json_int_t)(m ? listing_epoch(l, m) : l->row->version.epoch), "holder",
                  l->row->state != LEASE_ROW_FREE ? l->row->holder : "", "why_not_leader", comment);

    return s && show(o, s) == 0 ? CLI_NO_LEADER : CLI_FAILED;
}

static int database_status(const struct cli_options *o, const struct config *c)
{
    _cleanup_(sync_closep) struct sync *sync = NULL;
    _cleanup_(freep) struct rows_member *members = NULL;
    struct sync_error error = {0};
    struct lease_row row;
    size_t count = 0;
    int r = session_open(o, c, false, &sync);

    if (r == CLI_OK)
        r = session_lease(sync, false, c->name, &row);
    if (r != CLI_OK)
        return r;
    r = sync_members(sync, false, c->name, &members, &count, &error);
    if (r != 0)
        return session_failed("cannot read the members", r, &error);

    const struct listing listing = {.lease = c->name,
                                    .row = &row,
                                    .ttl_ms = c->timing.ttl_ns / LEASE_NS_PER_MS,
                                    .members = members,
                                    .count = count};

    return show_member(o, c->member, &listing);
}

int verb_status(const struct cli_options *o)
{
    static struct config config;
    long long age_s = 0;
    bool answers = false;
    int r = session_config(o, false, &config);

    if (r != CLI_OK)
        return r;
    _cleanup_(json_freep) json_t *s = status_file_read(&config, &age_s, &answers);

    if (s)
        return local_status(o, &config, s, age_s, answers);
    fprintf(stderr, "galera-lease: no sidecar of lease %s runs on this host; asking the database\n",
            config.name);
    return database_status(o, &config);
}
