/* What people see: the log, the member row, the history, and the status file. */
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "app/node.h"
#include "util/fsio.h"
#include "util/log.h"

static enum log_level level_of(enum lease_note note)
{
    switch (note) {
    case LEASE_NOTE_ROGUE:
    case LEASE_NOTE_REGRESSION:
    case LEASE_NOTE_NO_ROW:
    case LEASE_NOTE_DOUBLE:
    case LEASE_NOTE_UNSTOPPED: return LOG_LEVEL_ERROR;
    case LEASE_NOTE_LOST: return LOG_LEVEL_WARNING;
    case LEASE_NOTE_ROLE:
    case LEASE_NOTE_ACQUIRED:
    case LEASE_NOTE_RELEASED:
    case LEASE_NOTE_HOLD:
    case LEASE_NOTE_UNHOLD:
    case LEASE_NOTE_STOPPED: return LOG_LEVEL_INFO;
    }
    return LOG_LEVEL_INFO;
}

struct meaning {
    const char *means, *action; /* NULL: nothing but the event's name */
};

/* What the most urgent of them say to somebody who has never seen one. */
static struct meaning meaning_of(enum lease_note note)
{
    switch (note) {
    case LEASE_NOTE_ROGUE:
        return (struct meaning){
            "a controller ran here although this member does not lead; it is being stopped",
            "find who starts it: an enabled unit, cron, a person"};
    case LEASE_NOTE_REGRESSION:
        return (struct meaning){
            "the database went back to an older epoch; the next start takes one above all "
            "that is remembered",
            "find the restore or crash, then galera-lease alarm ack --lease NAME --reason TEXT"};
    case LEASE_NOTE_NO_ROW:
        return (struct meaning){"nobody can lead: the row of this lease is gone",
                                "find out why it is gone, then galera-lease init --lease NAME"};
    case LEASE_NOTE_UNSTOPPED:
        return (struct meaning){"the stop is not confirmed: the guardian stops it by force, and the lease is "
                                "not given back before",
                                "look at what the check hook said"};
    case LEASE_NOTE_LOST:
        return (struct meaning){"another member may lead: whatever runs here is stopped by force",
                                "galera-lease history tells who had it"};
    case LEASE_NOTE_DOUBLE:
    case LEASE_NOTE_ROLE:
    case LEASE_NOTE_ACQUIRED:
    case LEASE_NOTE_RELEASED:
    case LEASE_NOTE_HOLD:
    case LEASE_NOTE_UNHOLD:
    case LEASE_NOTE_STOPPED: break;
    }
    return (struct meaning){NULL, NULL};
}

/* Lasts in the database until somebody acknowledges it. */
static bool is_alarm(const struct lease_command *c)
{
    switch (c->note.note) {
    case LEASE_NOTE_ROGUE:
    case LEASE_NOTE_REGRESSION:
    case LEASE_NOTE_NO_ROW:
    case LEASE_NOTE_DOUBLE: return true;
    case LEASE_NOTE_LOST:
        return c->note.reason == LEASE_REASON_TWIN || c->note.reason == LEASE_REASON_ROW_MISSING;
    case LEASE_NOTE_UNSTOPPED:
    case LEASE_NOTE_ROLE:
    case LEASE_NOTE_ACQUIRED:
    case LEASE_NOTE_RELEASED:
    case LEASE_NOTE_HOLD:
    case LEASE_NOTE_UNHOLD:
    case LEASE_NOTE_STOPPED: return false;
    }
    return false;
}

/* What the history says of a change of role; NULL: nothing that another note does not say. */
static const char *role_event(enum lease_role role)
{
    switch (role) {
    case LEASE_PROMOTING: return "promoting";
    case LEASE_LEADER: return "leading";
    case LEASE_DEMOTING: return "demoting";
    case LEASE_FENCED: return "fenced";
    case LEASE_BOOT:
    case LEASE_FOLLOWER:
    case LEASE_ACQUIRING:
    case LEASE_ROLES: return NULL;
    }
    return NULL;
}

/* Both hosts of one name (R10). An address need not be configured; this host has a name all the same. */
static void name_hosts(const struct node *n, char *here, size_t size, const char **ret_there)
{
    if (n->config->address[0])
        snprintf(here, size, "%s", n->config->address);
    else if (gethostname(here, size) < 0)
        snprintf(here, size, "this host");
    *ret_there = n->namesake[0] ? n->namesake : "a host whose configuration has no address";
}

/* Why, and who asked for it. */
static void fill_reason(const struct node *n, const struct lease_command *c, char *buf, size_t size)
{
    enum lease_reason reason = c->note.reason;
    bool asked = n->request != 0 && (reason == LEASE_REASON_STEP_DOWN || reason == LEASE_REASON_SWITCHOVER ||
                                     reason == LEASE_REASON_HOLD);

    if (asked)
        snprintf(buf, size, "%s, asked by %s%s%s", lease_reason_name(reason), n->asked.who,
                 n->asked.why[0] ? ": " : "", n->asked.why);
    else if (c->note.note == LEASE_NOTE_DOUBLE) {
        char here[sizeof n->config->address];
        const char *there;

        name_hosts(n, here, sizeof here, &there);
        snprintf(buf, size, "%s: on %s and on %s", lease_reason_name(reason), here, there);
    } else {
        snprintf(buf, size, "%s", lease_reason_name(reason));
    }
}

static void log_double(const struct node *n)
{
    char here[sizeof n->config->address], quoted_here[2 * sizeof here + 3],
        quoted_there[2 * sizeof n->namesake + 3];
    const char *there;

    name_hosts(n, here, sizeof here, &there);
    log_error("double",
              "lease=%s member=%s this_host=%s other_host=%s what=\"another live sidecar bears this member's "
              "name\" action=\"%s\"",
              n->config->name, n->config->member, log_quote(here, quoted_here, sizeof quoted_here),
              log_quote(there, quoted_there, sizeof quoted_there),
              n->lease.name == LEASE_NAME_DOUBLE ? "this one ends: give it a name of its own"
                                                 : "this one leads and keeps the name");
}

/* It had the lease, or its controller ran, and nobody asked for an end. */
static bool unasked_end(const struct lease_command *c)
{
    bool asked = c->note.reason == LEASE_REASON_STEP_DOWN || c->note.reason == LEASE_REASON_SWITCHOVER ||
                 c->note.reason == LEASE_REASON_SHUTDOWN || c->note.reason == LEASE_REASON_START;

    return (c->note.role == LEASE_DEMOTING || c->note.role == LEASE_FENCED) && !asked;
}

static void log_role(const struct node *n, const struct lease_command *c)
{
    bool unasked = unasked_end(c);

    log_emit(unasked ? LOG_LEVEL_WARNING : LOG_LEVEL_INFO, "role",
             "lease=%s member=%s from=%s to=%s reason=%s epoch=%" PRIu64 "%s", n->config->name,
             n->config->member, lease_role_name(c->note.from), lease_role_name(c->note.role),
             lease_reason_name(c->note.reason), c->note.epoch,
             unasked ? " means=\"this member stops its controller\" action=\"galera-lease check; the reasons "
                       "stand in galera-lease-sql(7)\""
                     : "");
}

static void log_note(const struct node *n, const struct lease_command *c)
{
    const struct meaning m = meaning_of(c->note.note);

    if (c->note.note == LEASE_NOTE_ROLE)
        log_role(n, c);
    else if (c->note.note == LEASE_NOTE_DOUBLE)
        log_double(n);
    else
        log_emit(level_of(c->note.note), lease_note_name(c->note.note),
                 "lease=%s member=%s reason=%s epoch=%" PRIu64 "%s%s%s%s%s", n->config->name,
                 n->config->member, lease_reason_name(c->note.reason), c->note.epoch,
                 m.means ? " means=\"" : "", m.means ? m.means : "", m.means ? "\" action=\"" : "",
                 m.means ? m.action : "", m.means ? "\"" : "");
}

static uint64_t wall_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

void report_note(struct node *n, const struct lease_command *c)
{
    bool role = c->note.note == LEASE_NOTE_ROLE;
    char reason[ROWS_TEXT_MAX + 1];
    struct client_event event = {.at_ms = wall_ms(),
                                 .epoch = c->note.epoch != 0 ? c->note.epoch : n->lease.epoch_seen,
                                 .what = role ? role_event(c->note.role) : lease_note_name(c->note.note),
                                 .reason = reason,
                                 .alarm = is_alarm(c)};

    log_note(n, c);
    counters_note(&n->counters, c->note.note, c->note.role, event.alarm);
    fill_reason(n, c, reason, sizeof reason);
    event.number = ++n->events;
    if (event.what && n->client && client_event(n->client, &event) == -ENOBUFS)
        log_warning("history",
                    "lease=%s what=\"%s\" means=\"too much waits for the database: this stands in the "
                    "log only\"",
                    n->config->name, event.what);
    announce_note(n, c, &event);
    if (role)
        report_beat(n);
    if (role || c->note.note == LEASE_NOTE_HOLD || c->note.note == LEASE_NOTE_UNHOLD)
        report_status(n); /* before a request is answered: who waits for that looks here next */
    requests_noted(n, c);
}

/*
 * The core knows that the precheck said no; we know what it said. And of a holder that is silent people want
 * to know for how long yet.
 */
static const char *why_not(const struct node *n, char *buf, size_t size)
{
    const char *why = lease_why_not(&n->lease);
    uint64_t stood_ns, left_ns;

    if (strcmp(why, LEASE_WHY_HELD) == 0 && lease_waiting(&n->lease, &stood_ns, &left_ns)) {
        snprintf(buf, size, "%.*s, silent for %.1f s; it may be taken in %.1f s.", (int)strlen(why) - 1, why,
                 (double)stood_ns / LEASE_NS_PER_S, (double)left_ns / LEASE_NS_PER_S);
        return buf;
    }
    if (strcmp(why, LEASE_WHY_UNFIT) != 0)
        return why;
    snprintf(buf, size, "%s: %s", why, watches_precheck_text(&n->watches));
    return buf;
}

void report_beat(struct node *n)
{
    char why[ROWS_TEXT_MAX + 1];
    enum lease_name_right right = lease_name_right(&n->lease);
    bool ended = n->lease.exited;
    struct client_heartbeat beat = {.heartbeat = ++n->heartbeat,
                                    .epoch_seen = n->lease.epoch_seen,
                                    .priority = lease_priority_now(&n->lease),
                                    .port = (uint16_t)n->config->controller_port,
                                    .http_port = publish_port(n),
                                    .take_over = right == LEASE_NAME_TAKE && !ended,
                                    .ended = ended,
                                    .address = n->config->address,
                                    .role = ended ? "ended" : lease_role_name(n->lease.role),
                                    .why_not = why_not(n, why, sizeof why),
                                    .version = n->config->controller_version,
                                    .digest = n->watches.digest,
                                    .sidecar = GALERA_LEASE_VERSION};

    if (n->client && right != LEASE_NAME_WAIT)
        client_heartbeat(n->client, &beat);
}

static json_t *endpoints(const struct node *n)
{
    struct client_status *s = calloc(1, sizeof *s);
    json_t *list = json_array();

    if (!s)
        return list;
    client_status(n->client, s);
    for (size_t i = 0; i < s->endpoint_count; i++) {
        bool in_use = s->connections[CLIENT_LEASE].connected && s->connections[CLIENT_LEASE].endpoint == i;

        json_array_append_new(list,
                              json_pack("{s:s, s:b, s:I, s:s}", "endpoint", s->endpoints[i].text, "in_use",
                                        in_use, "failures", (json_int_t)s->endpoints[i].failures, "error",
                                        s->endpoints[i].error_text));
    }
    free(s);
    return list;
}

/* An old file makes `status` and `check` suspect this process, while it does what it should. */
static void say_unwritten(struct node *n, const char *path, int error)
{
    bool full = error == -ENOSPC || error == -EDQUOT;
    char text[sizeof n->errors[0].text];

    snprintf(text, sizeof text, "status.json: %s", strerror(-error));
    if (node_said_lately(n, text))
        return;
    node_remember_error(n, "%s", text);
    log_warning(
        "status",
        "lease=%s path=%s error=\"%s\" means=\"who leads is not touched; status and check on this "
        "host see what was written before, and cannot tell whether this sidecar lives\" action=\"%s\"",
        n->config->name, path, strerror(-error),
        full ? "make room in run_dir: is it controller.log that grows there? LOG of the process hook "
               "names another file"
             : "mend run_dir");
}

/* For `galera-lease status` on this host. In run_dir, which is memory: writing it is no disk access. */
void report_status(struct node *n)
{
    const struct lease *l = &n->lease;
    char path[CONFIG_PATH_MAX + 16];
    uint64_t now = n->clocks.fast_ns;
    char why[ROWS_TEXT_MAX + 1];
    json_int_t left = l->deadline_ns > now ? (json_int_t)((l->deadline_ns - now) / LEASE_NS_PER_MS) : 0;

    node_measure(n);
    json_t *status =
        json_pack("{s:s, s:s, s:i, s:I, s:s, s:s, s:s, s:I, s:I, s:I, s:s, s:b, s:b, s:s, s:i, s:I, s:o, "
                  "s:I, s:s, s:o, s:o}",
                  "lease", n->config->name, "member", n->config->member, "pid", (int)getpid(), "written",
                  (json_int_t)time(NULL), "role", lease_role_name(l->role), "reason",
                  lease_reason_name(l->reason), "why_not_leader", why_not(n, why, sizeof why), "epoch",
                  (json_int_t)(l->own.epoch != 0 ? l->own.epoch : l->epoch_seen), "time_left_ms", left,
                  "hold_left_ms", (json_int_t)(lease_hold_left_ns(l) / LEASE_NS_PER_MS), "holder",
                  l->row_known && l->row.state != LEASE_ROW_FREE ? l->row.holder : "", "guardian",
                  l->guardian_up, "regression", l->regression, "last_error", n->last_error, "guardian_pid",
                  (int)n->keeper.pid, "loop_stall_max_us", (json_int_t)(n->stall_max_ns / 1000), "endpoints",
                  endpoints(n), "loop_stall_own_max_us", (json_int_t)(n->stall_own_max_ns / 1000),
                  "containment", n->cgroup_base[0] ? "cgroup" : "session", "receivers",
                  announce_status(&n->announce), "reload", reload_status(n->reload));
    json_t *health = watches_health_status(n);

    if (!status)
        return;
    json_object_set_new(status, "rank", json_integer(lease_rank(l)));
    json_object_set_new(status, "last_error_at", json_integer(n->last_error_at));
    json_object_set_new(status, "drift", json_string(n->watches.drifted));
    if (health)
        json_object_set_new(status, "health_url", health);
    char *text = json_dumps(status, JSON_INDENT(2));

    snprintf(path, sizeof path, "%s/status.json", n->config->run_dir);
    if (text)
        publish_status(n, text);
    int r = text ? fsio_replace(path, text, strlen(text), 0644, false) : 0;

    if (r < 0)
        say_unwritten(n, path, r);
    free(text);
    json_decref(status);
}
