#include "app/trail.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/node.h"
#include "record/replay.h"
#include "util/log.h"

#define LAST_LINES      12
#define LAST_WIDTH      512
#define END_PATIENCE_NS LEASE_NS_PER_S

static struct node *running; /* whose core an assertion is of */

static const char *error_text(int error)
{
    switch (error) {
    case -EINVAL: return "this is no recording, or not a file of this user: give another name";
    case -EEXIST:
        return "with .1 after this name there is no recording, or a file of another user: give another name";
    case -EWOULDBLOCK: return "another sidecar records in this file";
    default: return strerror(-error);
    }
}

/* Of the command line, and for people to mend. All else may pass, and is no reason to have nobody who leads.
 */
static bool wrong_path(int error)
{
    switch (error) {
    case -EINVAL:
    case -EEXIST:
    case -EWOULDBLOCK:
    case -ENOENT:
    case -ENOTDIR:
    case -EISDIR:
    case -ELOOP:
    case -ENAMETOOLONG:
    case -EACCES:
    case -EPERM: return true;
    default: return false;
    }
}

int trail_begin(struct node *n, const char *path)
{
    const char *lease = n->config->name;

    ring_init(&n->trail.ring, lease, &n->lease);
    running = n;
    if (!path)
        return 0;
    int r = recorder_new(path, RECORDER_BOUND, lease, &n->lease, &n->trail.recorder);

    if (r == 0)
        log_info("trace", "lease=%s path=%s", lease, path);
    else if (wrong_path(r))
        log_error("trace", "lease=%s path=%s what=\"--trace: not started: %s\"", lease, path, error_text(r));
    else
        log_error("trace",
                  "lease=%s path=%s error=\"%s\" means=\"decisions are not recorded; the lease goes on as "
                  "without --trace\" action=\"mend the disk, then restart this sidecar to record again\"",
                  lease, path, strerror(-r));
    return wrong_path(r) ? r : 0;
}

void trail_step(struct trail *t, const struct lease *after, const struct lease_event *event,
                const struct lease_commands *commands)
{
    static char text[RECORD_STEP_MAX];
    int length = record_step_print(event, commands, text, sizeof text);

    t->told = NULL;
    if (length < 0)
        ring_gap(&t->ring, after);
    else
        ring_put(&t->ring, text, (size_t)length, after);
    if (t->recorder)
        recorder_put(t->recorder, length < 0 ? NULL : text, length < 0 ? 0 : (size_t)length, after);
}

void trail_tick(struct trail *t, const char *lease)
{
    struct recorder_counts counts;

    if (!t->recorder)
        return;
    recorder_counts(t->recorder, &counts);
    if (counts.error != t->error_said && counts.error < 0)
        log_warning("trace", "lease=%s error=\"%s\" means=\"decisions are not recorded; nothing else\"",
                    lease, error_text(counts.error));
    else if (counts.error != t->error_said)
        log_info("trace", "lease=%s what=\"recording goes on\" dropped=%" PRIu64, lease, counts.dropped);
    else if (counts.error == 0 && counts.dropped != t->dropped_said)
        log_warning("trace", "lease=%s dropped=%" PRIu64 " why=\"the disk is too slow\"", lease,
                    counts.dropped - t->dropped_said);
    t->error_said = counts.error;
    t->dropped_said = counts.dropped;
}

void trail_end(struct trail *t)
{
    recorder_end(t->recorder, END_PATIENCE_NS);
    t->recorder = NULL;
}

/* ---------------------------------------------------------------- when the core stops */

/* The guardian would fence as well when it sees us die armed: it need not wait for that. */
static void order_fence(struct node *n)
{
    struct page_clock clock = {0};

    if (page_look(n->page, &clock).state != PAGE_STATE_ARMED)
        return;
    page_order_fence(n->page, atomic_load(&n->page->epoch));
    keeper_wake(&n->keeper);
}

static void say_last(const struct node *n)
{
    struct ring_line lines[LAST_LINES];
    char text[LAST_WIDTH], quoted[2 * LAST_WIDTH];
    unsigned count = ring_last(&n->trail.ring, LAST_LINES, lines);

    for (unsigned i = 0; i < count; i++) {
        snprintf(text, sizeof text, "%.*s", (int)lines[i].length, lines[i].text);
        log_error("assert-trace", "lease=%s line=%s", n->config->name,
                  log_quote(text, quoted, sizeof quoted));
    }
    if (n->trail.told && trace_event_print(n->trail.told, text, sizeof text) > 0)
        log_error("assert-trace", "lease=%s line=%s what=\"in this step\"", n->config->name,
                  log_quote(text, quoted, sizeof quoted));
}

static void save(const struct node *n, const char *expression, const char *file, int line)
{
    struct ring_assertion a = {.event = n->trail.told, .expression = expression, .file = file, .line = line};
    char path[CONFIG_PATH_MAX + 16];

    snprintf(path, sizeof path, "%s/assert.trace", n->config->run_dir);
    int r = ring_save(&n->trail.ring, &a, path);

    if (r < 0)
        log_error("assert-trace", "lease=%s path=%s error=\"%s\"", n->config->name, path, strerror(-r));
    else
        log_error("assert-trace", "lease=%s path=%s action=\"galera-lease replay %s, and report it\"",
                  n->config->name, path, path);
}

_Noreturn void lease_assert_failed(const char *expression, const char *file, int line)
{
    struct node *n = running;

    replay_assertion(expression, file, line); /* of the verb: goes on from there */
    running = NULL;                           /* once is enough */
    if (n)
        order_fence(n);
    log_error("assert",
              "expression=\"%s\" file=%s line=%d action=\"abort: the guardian stops the controller\"",
              expression, file, line);
    if (n) {
        say_last(n);
        save(n, expression, file, line);
    }
    abort();
}
