#include "app/reload.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "app/node.h"
#include "app/options.h"
#include "util/log.h"
#include "util/parse.h"

struct reload {
    struct node *node;
    struct config *config; /* in force */
    int fd;
    bool reading, again; /* asked while one was being read */

    /* the thread's while it reads */
    struct config fresh;
    struct config_errors errors;

    time_t at;                      /* of the last one */
    char mistake[768];              /* the first one; empty: the file was good */
    bool waits[CONFIG_OPTIONS_MAX]; /* for a restart; in the order of the table */
};

/* ---------------------------------------------------------------- in a thread of its own */

static void *read_file(void *userdata)
{
    struct reload *r = userdata;
    const uint64_t one = 1;

    config_load(r->config->file, hook_verify, &r->fresh, &r->errors);
    if (write(r->fd, &one, sizeof one) < 0)
        errno = 0; /* the counter can't be full */
    return NULL;
}

/* ---------------------------------------------------------------- in the loop's thread */

static const void *field(const struct config *c, const struct option_row *o)
{
    return (const char *)c + o->offset;
}

static bool same(const struct option_row *o, const struct config *a, const struct config *b)
{
    switch (o->type) {
    case OPTION_NAME:
    case OPTION_TEXT:
    case OPTION_URL:
    case OPTION_PATH: return strcmp(field(a, o), field(b, o)) == 0;
    case OPTION_ENDPOINTS:
        for (size_t i = 0; i < a->endpoint_count && i < b->endpoint_count; i++)
            if (strcmp(a->endpoints[i], b->endpoints[i]) != 0)
                return false;
        return a->endpoint_count == b->endpoint_count;
    case OPTION_DURATION:
    case OPTION_SWITCH:
    case OPTION_COUNT:
    case OPTION_EVENTS:
    case OPTION_PATHS:
    case OPTION_PATTERNS:
    case OPTION_WEBHOOKS: break; /* what is read into has been zeroed */
    }
    return memcmp(field(a, o), field(b, o), o->size) == 0;
}

static const char *show(const struct option_row *o, const struct config *c, char *buf, size_t size)
{
    uint64_t value = 0;

    if (o->type != OPTION_COUNT && o->type != OPTION_DURATION)
        return log_quote(field(c, o), buf, size);
    memcpy(&value, field(c, o), sizeof value);
    if (o->type == OPTION_DURATION)
        format_duration(value, buf, size);
    else
        snprintf(buf, size, "%" PRIu64, value);
    return buf;
}

static void take(struct reload *r, size_t i)
{
    const struct option_row *o = &option_rows[i];
    char before[2 * CONFIG_TEXT_MAX], after[2 * CONFIG_TEXT_MAX];

    log_info("reload", "lease=%s option=%s from=%s to=%s", r->config->name, o->name,
             show(o, r->config, before, sizeof before), show(o, &r->fresh, after, sizeof after));
    memcpy((char *)r->config + o->offset, field(&r->fresh, o), o->size);
    r->config->origins[i] = r->fresh.origins[i];
}

/* What follows from another option, in both files, is that one's matter. */
static bool refuse(struct reload *r, size_t i)
{
    const struct config_origin *now = &r->fresh.origins[i];

    if (now->line == 0 && r->config->origins[i].line == 0)
        return false;
    log_warning("reload",
                "lease=%s option=%s file=%s line=%u what=\"it can't change while the sidecar runs\" "
                "action=\"kept as it was until the sidecar is started again\"",
                r->config->name, option_rows[i].name, now->line ? now->file : r->fresh.file, now->line);
    return true;
}

static void apply(struct reload *r)
{
    struct node *n = r->node;
    unsigned taken = 0, waiting = 0;
    const struct config *c = r->config;

    for (size_t i = 0; i < option_row_count; i++) {
        bool changed = !same(&option_rows[i], c, &r->fresh), may = option_rows[i].flags & OPTION_RELOAD;

        r->waits[i] = changed && !may && refuse(r, i);
        waiting += r->waits[i];
        taken += changed && may;
        if (changed && may)
            take(r, i);
    }
    log_info("reload", "lease=%s file=%s taken=%u waiting=%u", c->name, c->file, taken, waiting);
    log_set_level_named(c->log_level);
    announce_budget(&n->announce, c->notify_budget_ns);
    struct lease_event e = {.type = LEASE_EVENT_SETTINGS,
                            .settings = {.priority = (uint32_t)c->priority,
                                         .restarts = (uint32_t)c->restarts,
                                         .check_failures = (uint32_t)c->check_failures,
                                         .restart_window_ns = c->restart_window_ns}};

    node_feed(n, &e);
    report_beat(n); /* others rank by it, and people see it */
}

static void complain(struct reload *r)
{
    char quoted[2 * sizeof r->mistake];

    for (size_t i = 0; i < r->errors.count; i++)
        log_error("reload", "lease=%s mistake=%s", r->config->name,
                  log_quote(r->errors.list[i], quoted, sizeof quoted));
    log_error("reload",
              "lease=%s file=%s mistakes=%zu what=\"nothing is changed\" action=\"mend it and reload\"",
              r->config->name, r->config->file, r->errors.count);
    snprintf(r->mistake, sizeof r->mistake, "%s", r->errors.list[0]);
}

static void begin(struct reload *r)
{
    pthread_attr_t attr;
    pthread_t thread;

    r->again = false;
    pthread_attr_init(&attr);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    int error = pthread_create(&thread, &attr, read_file, r);

    pthread_attr_destroy(&attr);
    r->reading = error == 0;
    if (error != 0)
        log_error("reload", "lease=%s error=\"%s\" what=\"nothing is changed\"", r->config->name,
                  strerror(error));
}

static void on_read(void *userdata)
{
    struct reload *r = userdata;
    uint64_t count;

    if (read(r->fd, &count, sizeof count) < 0)
        return;
    r->reading = false;
    r->at = time(NULL);
    r->mistake[0] = '\0';
    if (r->errors.count > 0)
        complain(r);
    else
        apply(r);
    report_status(r->node);
    if (r->again)
        begin(r);
}

static void on_hangup(void *userdata, int signal)
{
    struct reload *r = userdata;

    (void)signal;
    if (r->reading)
        r->again = true; /* the file may have changed behind the reader */
    else
        begin(r);
}

int reload_start(struct node *n, struct config *config)
{
    struct reload *r = calloc(1, sizeof *r);

    if (!r)
        return -ENOMEM;
    r->node = n;
    r->config = config;
    r->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    int error = r->fd < 0 ? -errno : loop_watch(n->loop, r->fd, on_read, r);

    if (error >= 0)
        error = loop_signal(n->loop, SIGHUP, on_hangup, r);
    if (error >= 0) {
        n->reload = r; /* until the process ends: its thread may hang in a file */
        return 0;
    }
    if (r->fd >= 0)
        close(r->fd);
    free(r);
    return error;
}

json_t *reload_status(const struct reload *r)
{
    json_t *waits = json_array();

    for (size_t i = 0; r && i < option_row_count; i++)
        if (r->waits[i])
            json_array_append_new(waits, json_string(option_rows[i].name));
    return json_pack("{s:I, s:s, s:o}", "at", (json_int_t)(r ? r->at : 0), "mistake", r ? r->mistake : "",
                     "waits_for_restart", waits);
}
