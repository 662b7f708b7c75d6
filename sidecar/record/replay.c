#include "record/replay.h"

#include <setjmp.h>
#include <stdio.h>
#include <string.h>

static jmp_buf escape;
static struct replay *stepping; /* NULL: nobody */

void replay_init(struct replay *r)
{
    memset(r, 0, sizeof *r);
}

/* As ring_save() writes it. */
void replay_assertion(const char *expression, const char *file, int line)
{
    const char *slash = strrchr(file, '/');

    if (!stepping)
        return;
    snprintf(stepping->assertion, sizeof stepping->assertion, "file=%s line=%d expression=%s",
             slash ? slash + 1 : file, line, expression);
    longjmp(escape, 1);
}

static enum replay_result damaged(const char *what, size_t column, struct replay_error *e)
{
    *e = (struct replay_error){.what = what, .column = column};
    return REPLAY_DAMAGED;
}

static enum replay_result differs(const char *what, const char *recorded, const char *now,
                                  struct replay_error *e)
{
    *e = (struct replay_error){.what = what};
    snprintf(e->recorded, sizeof e->recorded, "%s", recorded);
    snprintf(e->now, sizeof e->now, "%s", now);
    return REPLAY_DIFFERS;
}

static void print_command(const struct replay *r, char *buf, size_t size)
{
    if (trace_command_print(&r->commands.list[r->compared], buf, size) < 0)
        buf[0] = '\0';
}

/* Was the last step recorded to its end? One of a sidecar that was killed need not be. */
static enum replay_result finish_step(struct replay *r, bool killed, struct replay_error *e)
{
    char now[TRACE_LINE_MAX];

    if (!r->in_step)
        return REPLAY_OK;
    r->in_step = false;
    if (killed && r->compared < r->commands.count)
        return REPLAY_OK;
    if (r->assertion[0])
        return differs("the core stops on an assertion", "", r->assertion, e);
    if (r->compared < r->commands.count) {
        print_command(r, now, sizeof now);
        return differs("the core now wants more", "", now, e);
    }
    return REPLAY_OK;
}

/* ------------------------------------------------------------------ lines */

static enum replay_result take_header(struct replay *r, const char *line, struct replay_error *e)
{
    struct record_header header;
    struct trace_error error;

    if (record_header_parse(line, &header, &error) < 0)
        return damaged(error.what, error.column, e);
    bool killed = r->expects == REPLAY_STEPS && header.why == RECORD_START;
    enum replay_result result = finish_step(r, killed, e);

    if (result != REPLAY_OK)
        return result;
    r->cut_short += killed;
    r->header = header;
    r->segments++;
    r->starts += header.why == RECORD_START;
    r->gaps += header.why == RECORD_GAP;
    r->dropped += header.dropped;
    r->expects = REPLAY_STATE;
    if (!record_same_core(&header)) {
        r->other_core++;
        r->expects = REPLAY_OTHER;
    }
    return REPLAY_OK;
}

static enum replay_result take_state(struct replay *r, const char *line, struct replay_error *e)
{
    struct trace_error error;

    if (trace_state_parse(line, &r->lease, &error) < 0)
        return damaged(error.what, error.column, e);
    r->expects = REPLAY_STEPS;
    return REPLAY_OK;
}

static void count(struct replay *r)
{
    for (size_t i = 0; i < r->commands.count; i++) {
        const struct lease_command *c = &r->commands.list[i];

        if (c->type != LEASE_COMMAND_NOTE || c->note.note != LEASE_NOTE_ROLE)
            continue;
        r->edges[c->note.from][c->note.role]++;
        r->reasons[c->note.reason]++;
    }
}

static void step(struct replay *r)
{
    r->assertion[0] = '\0';
    r->commands.count = 0;
    stepping = r;
    if (setjmp(escape) == 0)
        lease_step(&r->lease, &r->told.event, &r->commands);
    else
        r->commands.count = 0;
    stepping = NULL;
    r->in_step = true;
    r->compared = 0;
    r->steps++;
    count(r);
}

static enum replay_result take_event(struct replay *r, const char *line, struct replay_error *e)
{
    struct trace_error error;
    enum replay_result result = finish_step(r, false, e);

    if (result != REPLAY_OK)
        return result;
    if (trace_event_parse(line, &r->told, &error) < 0)
        return damaged(error.what, error.column, e);
    if (r->lease.exited)
        return damaged("a step after the member has ended", 0, e);
    step(r);
    return REPLAY_OK;
}

static enum replay_result take_command(struct replay *r, const char *line, struct replay_error *e)
{
    char now[TRACE_LINE_MAX];

    if (!r->in_step)
        return damaged("a command without an event", 0, e);
    if (r->assertion[0])
        return differs("the core stops on an assertion", line, r->assertion, e);
    if (r->compared == r->commands.count)
        return differs("the core no longer wants this", line, "", e);
    print_command(r, now, sizeof now);
    if (strcmp(line, now) != 0)
        return differs("the core answers otherwise", line, now, e);
    r->compared++;
    return REPLAY_OK;
}

/* "assert [in_step] file=… line=… expression=…" */
static enum replay_result take_assertion(struct replay *r, const char *line, struct replay_error *e)
{
    const char *rest = line + strlen("assert ");
    bool in_step = strncmp(rest, "in_step ", 8) == 0;

    if (in_step && !r->in_step)
        return damaged("an assertion without an event", 0, e);
    if (in_step && strcmp(rest + 8, r->assertion) != 0)
        return differs(r->assertion[0] ? "the core stops on another assertion"
                                       : "the core no longer stops on this assertion",
                       rest + 8, r->assertion, e);
    enum replay_result result = in_step ? REPLAY_OK : finish_step(r, false, e);

    r->in_step = false;
    r->expects = REPLAY_OVER;
    return result;
}

enum replay_result replay_line(struct replay *r, const char *line, struct replay_error *e)
{
    if (record_is_header(line))
        return take_header(r, line, e);
    switch (r->expects) {
    case REPLAY_HEADER: return damaged("this is no recording: it does not begin with a segment", 0, e);
    case REPLAY_STATE: return take_state(r, line, e);
    case REPLAY_OTHER: return REPLAY_OK;
    case REPLAY_OVER: return damaged("a line after the end", 0, e);
    case REPLAY_STEPS: break;
    }
    if (strncmp(line, "  ", 2) == 0)
        return take_command(r, line + 2, e);
    if (strncmp(line, "assert ", 7) == 0)
        return take_assertion(r, line, e);
    if (strcmp(line, "end") != 0)
        return take_event(r, line, e);
    enum replay_result result = finish_step(r, false, e);

    r->expects = REPLAY_OVER;
    return result;
}

enum replay_result replay_end(struct replay *r, struct replay_error *e)
{
    switch (r->expects) {
    case REPLAY_HEADER: return damaged("this is no recording: it is empty", 0, e);
    case REPLAY_STATE: return damaged("the recording is cut off: a segment has no state", 0, e);
    case REPLAY_STEPS: r->cut_short++; return finish_step(r, true, e);
    case REPLAY_OTHER:
    case REPLAY_OVER: break;
    }
    return REPLAY_OK;
}
