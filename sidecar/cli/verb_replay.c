/* replay: what a recording says, told again to the core of this program. */
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "record/replay.h"
#include "util/cleanup.h"

enum outcome { AS_RECORDED, DIFFERS, DAMAGED, OTHER_CORE };

struct reading {
    struct replay replay;
    struct replay_error error;
    char path[CONFIG_PATH_MAX + 16]; /* what is read, or where it ended */
    uint64_t line;                   /* 0: no one line */
    /* the last run as a scenario */
    bool as_scenario;
    FILE *scenario;
    char *scenario_text;
    size_t scenario_size;
};

static enum outcome unusable(struct reading *r, const char *what)
{
    r->error = (struct replay_error){.what = what};
    return DAMAGED;
}

/* ------------------------------------------------------------------ as a scenario */

/* Another start, another scenario. */
static void scenario_begins(struct reading *r)
{
    if (r->scenario)
        fclose(r->scenario);
    free(r->scenario_text);
    r->scenario_text = NULL;
    r->scenario = open_memstream(&r->scenario_text, &r->scenario_size);
}

static void scenario_line(struct reading *r, const char *line)
{
    const struct replay *p = &r->replay;
    char text[TRACE_LINE_MAX];

    if (record_is_header(line)) {
        if (p->header.why == RECORD_START)
            scenario_begins(r);
        if (r->scenario && p->header.why == RECORD_GAP)
            fprintf(r->scenario, "# %" PRIu64 " steps are missing here.\n", p->header.dropped);
        if (r->scenario && p->header.why == RECORD_START)
            fprintf(r->scenario, "# Lease %s, member %s, started %s.\n", p->header.lease, p->header.member,
                    p->header.utc);
    } else if (r->scenario && strncmp(line, "state ", 6) == 0) {
        if (p->header.why == RECORD_START && trace_config_print(&p->lease.config, text, sizeof text) > 0)
            fprintf(r->scenario, "%s\n", text);
    } else if (r->scenario && p->expects == REPLAY_STEPS && line[0] != ' ') {
        fprintf(r->scenario, "event %s\n", line);
    }
}

/* ------------------------------------------------------------------ reading */

static enum outcome outcome_of(enum replay_result result)
{
    switch (result) {
    case REPLAY_OK: return AS_RECORDED;
    case REPLAY_DIFFERS: return DIFFERS;
    case REPLAY_DAMAGED: break;
    }
    return DAMAGED;
}

/* A line with its newline; the last one may lack it. */
static enum outcome take_line(struct reading *r, char *line, size_t length)
{
    r->line++;
    if (length == 0 || line[length - 1] != '\n')
        return unusable(r, "the recording is cut off in this line");
    line[length - 1] = '\0';
    if (strlen(line) != length - 1)
        return unusable(r, "a zero byte stands in this line");
    enum outcome outcome = outcome_of(replay_line(&r->replay, line, &r->error));

    if (outcome == AS_RECORDED && r->as_scenario)
        scenario_line(r, line);
    return outcome;
}

static enum outcome read_file(struct reading *r, FILE *f)
{
    static char line[TRACE_STATE_MAX];
    enum outcome outcome = AS_RECORDED;

    while (outcome == AS_RECORDED) {
        size_t length = 0;
        int c;

        while (length < sizeof line && (c = getc_unlocked(f)) != EOF) {
            line[length++] = (char)c;
            if (c == '\n')
                break;
        }
        if (length == 0)
            break;
        outcome = length == sizeof line && line[length - 1] != '\n'
                      ? (r->line++, unusable(r, "this line is too long for a recording"))
                      : take_line(r, line, length);
    }
    if (outcome == AS_RECORDED && ferror(f))
        return r->line = 0, unusable(r, strerror(errno));
    return outcome;
}

/* FILE.1 came before FILE. */
static enum outcome read_files(struct reading *r, const char *path)
{
    static const char *const formats[] = {"%s.1", "%s"};
    enum outcome outcome = AS_RECORDED;

    for (unsigned i = 0; i < 2 && outcome == AS_RECORDED; i++) {
        r->line = 0;
        if (snprintf(r->path, sizeof r->path, formats[i], path) >= (int)sizeof r->path)
            return unusable(r, "the path is too long");
        _cleanup_(fclosep) FILE *f = fopen(r->path, "re");

        if (!f && i == 0 && errno == ENOENT)
            continue;
        outcome = f ? read_file(r, f) : unusable(r, strerror(errno));
    }
    if (outcome == AS_RECORDED)
        outcome = outcome_of(replay_end(&r->replay, &r->error));
    return outcome == AS_RECORDED && r->replay.other_core == r->replay.segments ? OTHER_CORE : outcome;
}

/* ------------------------------------------------------------------ saying */

static const char *plural(uint64_t n)
{
    return n == 1 ? "" : "s";
}

static void print_counts(const struct replay *p, FILE *f)
{
    fprintf(f, "%" PRIu64 " step%s, %" PRIu64 " segment%s, %" PRIu64 " gap%s", p->steps, plural(p->steps),
            p->segments, plural(p->segments), p->gaps, plural(p->gaps));
}

static void print_as_recorded(const struct replay *p, const char *path)
{
    printf("%s: ", path);
    print_counts(p, stdout);
    printf(": all as recorded\n");
    if (p->dropped > 0)
        printf("  %" PRIu64 " step%s could not be recorded\n", p->dropped, plural(p->dropped));
    if (p->cut_short > 0)
        printf("  %" PRIu64 " run%s did not come to an end: killed, or still going on\n", p->cut_short,
               plural(p->cut_short));
    if (p->other_core > 0)
        printf("  %" PRIu64 " segment%s by another core: not replayed\n", p->other_core,
               plural(p->other_core));
}

static void print_where(const struct reading *r)
{
    if (r->line > 0)
        fprintf(stderr, "%s:%" PRIu64 ": ", r->path, r->line);
    else
        fprintf(stderr, "%s: ", r->path);
}

/* Untrusted: a damaged file may hold anything. */
static void print_text(const char *before, const char *text)
{
    fprintf(stderr, "  %s ", before);
    for (const char *p = text[0] ? text : "(nothing)"; *p; p++)
        fputc(*p >= ' ' && *p <= '~' ? *p : '?', stderr);
    fputc('\n', stderr);
}

static void print_outcome(const struct reading *r, enum outcome outcome, const char *path)
{
    const struct replay *p = &r->replay;

    switch (outcome) {
    case AS_RECORDED: print_as_recorded(p, path); break;
    case DIFFERS:
        print_where(r);
        fprintf(stderr, "%s (step %" PRIu64 ")\n", r->error.what, p->steps);
        print_text("recorded:", r->error.recorded);
        print_text("now:     ", r->error.now);
        break;
    case DAMAGED:
        print_where(r);
        if (r->error.column > 0)
            fprintf(stderr, "column %zu: ", r->error.column);
        fprintf(stderr, "%s", r->error.what);
        if (p->steps > 0)
            fprintf(stderr, "; the %" PRIu64 " step%s before it: all as recorded", p->steps,
                    plural(p->steps));
        fprintf(stderr, "\n");
        break;
    case OTHER_CORE:
        fprintf(stderr,
                "%s: recorded by galera-lease %s with another core; this is %s (core %s): replay it with the "
                "program that recorded it\n",
                path, p->header.version, GALERA_LEASE_VERSION, record_core_digest());
        break;
    }
}

static json_t *edges(const struct replay *p)
{
    json_t *list = json_array();

    for (unsigned from = 0; from < LEASE_ROLES; from++)
        for (unsigned to = 0; to < LEASE_ROLES; to++)
            if (p->edges[from][to] > 0)
                json_array_append_new(list, json_pack("{s:s, s:s, s:I}", "from",
                                                      lease_role_name((enum lease_role)from), "to",
                                                      lease_role_name((enum lease_role)to), "count",
                                                      (json_int_t)p->edges[from][to]));
    return list;
}

static json_t *reasons(const struct replay *p)
{
    json_t *counts = json_object();

    for (unsigned i = 0; i < LEASE_REASONS; i++)
        if (p->reasons[i] > 0)
            json_object_set_new(counts, lease_reason_name((enum lease_reason)i),
                                json_integer((json_int_t)p->reasons[i]));
    return counts;
}

static void print_json(const struct reading *r, enum outcome outcome)
{
    static const char *const names[] = {"as-recorded", "differs", "damaged", "other-core"};
    const struct replay *p = &r->replay;
    json_t *o =
        json_pack("{s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:o, s:o}", "result", names[outcome], "steps",
                  (json_int_t)p->steps, "segments", (json_int_t)p->segments, "gaps", (json_int_t)p->gaps,
                  "steps_missing", (json_int_t)p->dropped, "runs", (json_int_t)p->starts, "runs_cut_short",
                  (json_int_t)p->cut_short, "segments_by_another_core", (json_int_t)p->other_core, "edges",
                  edges(p), "reasons", reasons(p));

    if (outcome == DIFFERS || outcome == DAMAGED) {
        json_object_set_new(o, "file", json_string(r->path));
        json_object_set_new(o, "line", json_integer((json_int_t)r->line));
        json_object_set_new(o, "what", json_string(r->error.what));
    }
    json_dumpf(o, stdout, JSON_INDENT(2));
    printf("\n");
    json_decref(o);
}

/* Of a damaged recording, or of one that differs, as far as it was read. */
static int print_scenario(struct reading *r, const char *path)
{
    if (!r->scenario) {
        fprintf(stderr, "%s: no run begins in it, and a scenario begins with a start\n", path);
        return CLI_FAILED;
    }
    fclose(r->scenario);
    printf("%s", r->scenario_text);
    free(r->scenario_text);
    return CLI_OK;
}

int verb_replay(const struct cli_options *o)
{
    static struct reading reading;
    int code = CLI_OK;

    if (o->json && o->scenario) {
        fprintf(stderr, "galera-lease replay: --scenario has no --json\n");
        return CLI_USAGE;
    }
    reading.as_scenario = o->scenario;
    replay_init(&reading.replay);
    enum outcome outcome = read_files(&reading, o->file);

    if (o->json)
        print_json(&reading, outcome);
    else if (!o->scenario || outcome != AS_RECORDED)
        print_outcome(&reading, outcome, o->file);
    if (o->scenario)
        code = print_scenario(&reading, o->file);
    if (outcome != AS_RECORDED)
        return outcome == DIFFERS ? CLI_FAILED : CLI_USAGE;
    return code;
}
