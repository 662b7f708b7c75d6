/* list and status: what is. Everything read from the database was checked and sanitised by the decoders. */
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <libsmartcols/libsmartcols.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli/cli.h"
#include "util/cleanup.h"
#include "util/fsio.h"

struct listing {
    const struct lease_row *row;
    const struct rows_member *members;
    size_t count;
};

static bool holds(const struct listing *l, const struct rows_member *m)
{
    return l->row->state != LEASE_ROW_FREE && strcmp(l->row->holder, m->member.name) == 0;
}

/* Not seen: three renewals missed, by the answering node's wall clock; for people only. */
static bool unseen(const struct listing *l, const struct rows_member *m)
{
    return m->seen_ms > (uint64_t)l->row->ttl_ms * 2 / 5 + 1000;
}

static char sign(const struct listing *l, const struct rows_member *m)
{
    if (unseen(l, m))
        return '-';
    if (strcmp(m->role, "leader") == 0 && holds(l, m))
        return 'l';
    return strcmp(m->role, "follower") == 0 ? 'f' : '?';
}

static void comment(const struct listing *l, const struct rows_member *m, char *buf, size_t size)
{
    switch (sign(l, m)) {
    case 'l': snprintf(buf, size, "Acting as leader."); break;
    case '-': snprintf(buf, size, "Not seen since %s.", m->seen_at); break;
    case 'f':
        if (strncmp(m->why_not, "Another member", 14) == 0)
            snprintf(buf, size, "Accepting heartbeats.");
        else
            snprintf(buf, size, "%s", m->why_not);
        break;
    default: snprintf(buf, size, "%s: %s", m->role, m->why_not);
    }
}

static int print_table(const struct listing *l, bool long_list)
{
    static const char *const columns[] = {"S",    "VERSION", "NAME", "ADDRESS",
                                          "PORT", "EPOCH",   "SEEN", "COMMENT"};
    struct libscols_table *t = scols_new_table();

    if (!t)
        return -ENOMEM;
    for (size_t i = 0; i < sizeof columns / sizeof columns[0]; i++)
        if (long_list || strcmp(columns[i], "SEEN") != 0)
            scols_table_new_column(t, columns[i], 0,
                                   i == 4 || i == 5 || i == 6 ? SCOLS_FL_RIGHT
                                   : i == 7                   ? SCOLS_FL_TRUNC
                                                              : 0);
    for (size_t i = 0; i < l->count; i++) {
        const struct rows_member *m = &l->members[i];
        struct libscols_line *line = scols_table_new_line(t, NULL);
        char text[8][ROWS_TEXT_MAX + 80] = {{sign(l, m)}};
        size_t at = 0;

        snprintf(text[1], sizeof text[1], "%s", m->version[0] ? m->version : "-");
        snprintf(text[2], sizeof text[2], "%s", m->member.name);
        snprintf(text[3], sizeof text[3], "%s", m->address[0] ? m->address : "-");
        snprintf(text[4], sizeof text[4], "%u", m->port);
        snprintf(text[5], sizeof text[5], "%" PRIu64,
                 holds(l, m) ? l->row->version.epoch : m->member.epoch_seen);
        snprintf(text[6], sizeof text[6], "%" PRIu64 ".%" PRIu64 "s", m->seen_ms / 1000,
                 m->seen_ms % 1000 / 100);
        comment(l, m, text[7], sizeof text[7]);
        for (size_t column = 0; line && column < 8; column++)
            if (long_list || column != 6)
                scols_line_set_data(line, at++, text[column]);
    }
    scols_print_table(t);
    scols_unref_table(t);
    printf("Total: %zu controller(s)\n", l->count);
    return 0;
}

static int print_json(const struct listing *l, const char *lease)
{
    json_t *list = json_array();

    for (size_t i = 0; i < l->count; i++) {
        const struct rows_member *m = &l->members[i];
        char text[ROWS_TEXT_MAX + 80], s[2] = {sign(l, m)};

        comment(l, m, text, sizeof text);
        json_array_append_new(
            list,
            json_pack("{s:s, s:s, s:s, s:s, s:s, s:i, s:I, s:I, s:s}", "state", s, "name", m->member.name,
                      "role", m->role, "version", m->version, "address", m->address, "port", m->port, "epoch",
                      (json_int_t)(holds(l, m) ? l->row->version.epoch : m->member.epoch_seen), "seen_ms",
                      (json_int_t)m->seen_ms, "comment", text));
    }
    json_t *whole =
        json_pack("{s:s, s:s, s:s, s:I, s:o}", "lease", lease, "state", rows_state_name(l->row->state),
                  "holder", l->row->state != LEASE_ROW_FREE ? l->row->holder : "", "epoch",
                  (json_int_t)l->row->version.epoch, "members", list);

    json_dumpf(whole, stdout, JSON_INDENT(2));
    printf("\n");
    json_decref(whole);
    return 0;
}

int verb_list(const struct cli_options *o)
{
    static struct config config;
    _cleanup_(sync_closep) struct sync *sync = NULL;
    _cleanup_(freep) struct rows_member *members = NULL;
    struct sync_error error = {0};
    struct lease_row row;
    size_t count = 0;
    bool found = false;
    int r = session_config(o, false, &config);

    if (r == CLI_OK)
        r = session_open(o, &config, &sync);
    if (r != CLI_OK)
        return r;
    r = sync_lease(sync, config.name, &row, &found, &error);
    if (r == 0 && found)
        r = sync_members(sync, config.name, &members, &count, &error);
    if (r != 0)
        return session_failed("cannot read the lease", r, &error);
    if (!found) {
        fprintf(stderr, "galera-lease: there is no lease %s: run galera-lease init\n", config.name);
        return CLI_NO_LEADER;
    }
    struct listing listing = {.row = &row, .members = members, .count = count};
    bool leader = false;

    for (size_t i = 0; i < count; i++)
        leader = leader || sign(&listing, &members[i]) == 'l';
    r = o->json ? print_json(&listing, config.name) : print_table(&listing, o->long_list);
    return r < 0 ? CLI_FAILED : leader ? CLI_OK : CLI_NO_LEADER;
}

static const char *text_of(const json_t *o, const char *key)
{
    const char *text = json_string_value(json_object_get(o, key));

    return text ? text : "";
}

static void print_status(const json_t *s)
{
    size_t i;
    json_t *e;

    printf("lease:      %s\nmember:     %s\nrole:       %s\n", text_of(s, "lease"), text_of(s, "member"),
           text_of(s, "role"));
    printf("epoch:      %lld\n", (long long)json_integer_value(json_object_get(s, "epoch")));
    if (json_integer_value(json_object_get(s, "time_left_ms")) > 0)
        printf("time left:  %lld ms\n", (long long)json_integer_value(json_object_get(s, "time_left_ms")));
    if (text_of(s, "why_not_leader")[0])
        printf("not leader: %s\n", text_of(s, "why_not_leader"));
    printf("holder:     %s\n", text_of(s, "holder")[0] ? text_of(s, "holder") : "nobody");
    printf("guardian:   %s\n", json_is_true(json_object_get(s, "guardian")) ? "running" : "NOT RUNNING");
    printf("contained:  by %s\n", text_of(s, "containment"));
    json_array_foreach(json_object_get(s, "endpoints"), i, e)
        printf("endpoint:   %s%s%s%s\n", text_of(e, "endpoint"),
               json_is_true(json_object_get(e, "in_use")) ? " (in use)" : "",
               text_of(e, "error")[0] ? ": " : "", text_of(e, "error"));
    if (text_of(s, "last_error")[0])
        printf("last error: %s\n", text_of(s, "last_error"));
}

int verb_status(const struct cli_options *o)
{
    static struct config config;
    static char text[32768];
    char path[CONFIG_PATH_MAX + 16];
    int r = session_config(o, false, &config);

    if (r != CLI_OK)
        return r;
    snprintf(path, sizeof path, "%s/status.json", config.run_dir);
    json_t *s = fsio_read(path, text, sizeof text, NULL) < 0 ? NULL : json_loads(text, 0, NULL);
    pid_t pid = (pid_t)json_integer_value(json_object_get(s, "pid"));

    if (!s || pid <= 0 || (kill(pid, 0) < 0 && errno == ESRCH)) {
        fprintf(stderr, "galera-lease: no sidecar of lease %s runs on this host (%s)\n", config.name, path);
        json_decref(s);
        return CLI_NO_LEADER;
    }
    long long age = (long long)time(NULL) - json_integer_value(json_object_get(s, "written"));

    if (age > (long long)(3 * config.timing.renew_ns / LEASE_NS_PER_S) + 2)
        fprintf(stderr, "galera-lease: this is %lld s old: the sidecar (pid %d) does not answer\n", age,
                (int)pid);
    if (o->json)
        fputs(text, stdout);
    else
        print_status(s);
    json_decref(s);
    return CLI_OK;
}
