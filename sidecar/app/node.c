#include "app/node.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "db/worker.h"
#include "util/log.h"

#define TICK_NS         LEASE_NS_PER_S
#define FORGET_TICKS    600 /* a leader clears some of the old history this often */
#define ERROR_REPEAT_NS (30 * LEASE_NS_PER_S)

static void on_wake(void *userdata);

/* For the status page; it stands there until the next one, with its time. */
void node_remember_error(struct node *n, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(n->last_error, sizeof n->last_error, format, args);
    va_end(args);
    n->last_error_at = (int64_t)time(NULL);
}

/* What fails again and again is said once in a while, not at every try. */
bool node_said_lately(struct node *n, const char *text)
{
    uint64_t now = hook_now_ns();
    unsigned oldest = 0;

    for (unsigned i = 0; i < NODE_ERRORS; i++) {
        if (strcmp(n->errors[i].text, text) == 0 && now - n->errors[i].at_ns < ERROR_REPEAT_NS)
            return true;
        if (n->errors[i].at_ns < n->errors[oldest].at_ns)
            oldest = i;
    }
    snprintf(n->errors[oldest].text, sizeof n->errors[oldest].text, "%s", text);
    n->errors[oldest].at_ns = now;
    return false;
}

void node_queue(struct node *n, const struct lease_event *event)
{
    if (n->queued == NODE_QUEUE) /* the core answers one statement at a time: this can't fill up ... */
        lease_assert_failed("n->queued < NODE_QUEUE", __FILE__, __LINE__); /* ... and none may be missing */
    n->queue[n->queued++] = *event;
}

/* R1, R7: between the state file and this moment the process may have been held up for any length of time. */
static void run_out(const struct node *n, struct lease_memory *memory)
{
    struct clocks_instant now;

    clocks_instant_now(&now);
    memory->remaining_ns = clocks_left_ns(memory->remaining_ns, &n->loaded, &now);
}

static void step(struct node *n, struct lease_event *event)
{
    struct lease_commands commands;

    clocks_sample(&n->clocks);
    event->now = (struct lease_now){.fast_ns = n->clocks.fast_ns, .slow_ns = n->clocks.slow_ns};
    if (getrandom(event->entropy, sizeof event->entropy, 0) != (ssize_t)sizeof event->entropy)
        lease_assert_failed("getrandom", __FILE__, __LINE__);
    if (event->type == LEASE_EVENT_START)
        run_out(n, &event->start); /* after the sample that its deadline will count from */
    n->trail.told = event;
    lease_step(&n->lease, event, &commands);
    counters_fencing(&n->counters, n->lease.fencing, hook_now_ns());
    publish_step(n); /* who asks /leader hears no before a hook or the guardian acts */
    trail_step(&n->trail, &n->lease, event, &commands);
    execute(n, &commands);
}

/* The nearer of both clocks' times. Far ones are approached in steps: CLOCK_BOOTTIME may be slewed. */
static void set_wake(struct node *n)
{
    struct lease_now wake = lease_wake(&n->lease);
    uint64_t fast = wake.fast_ns == LEASE_NEVER ? LEASE_NEVER : wake.fast_ns - n->lease.now.fast_ns;
    uint64_t slow = wake.slow_ns == LEASE_NEVER ? LEASE_NEVER : wake.slow_ns - n->lease.now.slow_ns;
    uint64_t delay = fast < slow ? fast : slow;

    if (delay == LEASE_NEVER)
        return;
    if (delay > LEASE_NS_PER_S)
        delay = delay / 10 * 9;
    loop_timer(n->loop, NODE_TIMER_WAKE, delay, on_wake, n);
}

void node_feed(struct node *n, struct lease_event *event)
{
    node_queue(n, event);
    if (n->stepping || n->lease.exited)
        return;
    n->stepping = true;
    while (n->queued > 0 && !n->lease.exited) {
        struct lease_event next = n->queue[0];

        memmove(n->queue, n->queue + 1, --n->queued * sizeof next);
        step(n, &next);
    }
    n->stepping = false;
    watches_stepped(n);
    set_wake(n);
}

static void on_wake(void *userdata)
{
    struct lease_event e = {.type = LEASE_EVENT_TICK};

    node_feed(userdata, &e);
}

static void on_signal(void *userdata, int signal)
{
    struct node *n = userdata;
    struct lease_event e = {.type = LEASE_EVENT_STOP};

    log_info("signal", "lease=%s signal=%d action=\"%s\"", n->config->name, signal,
             n->exiting ? "already ending" : "stop the controller, release, end");
    n->exiting = true;
    node_feed(n, &e);
}

static void on_saved(void *userdata)
{
    struct node *n = userdata;
    struct lease_event e = {.type = LEASE_EVENT_SAVED};
    uint32_t id;
    int error;

    while (saver_take(n->saver, &id, &error)) {
        if (error < 0) {
            node_remember_error(n, "state file: %s", strerror(-error));
            if (!node_said_lately(n, n->last_error)) /* it is tried at every renewal */
                log_error("state",
                          "lease=%s folder=%s error=\"%s\" action=\"nothing is started or released until "
                          "it can be written\"",
                          n->config->name, n->config->state_dir, strerror(-error));
        }
        e.saved.id = id;
        e.saved.ok = error >= 0;
        node_feed(n, &e);
    }
}

/* ---------------------------------------------------------------- database */

static void note_error(struct node *n, const struct client_answer *a)
{
    char quoted[2 * CLIENT_TEXT_MAX + 3];

    if (a->error == 0)
        return;
    node_remember_error(n, "%s: %u %s", a->endpoint ? a->endpoint : "", a->error, a->text ? a->text : "");
    if (!node_said_lately(n, n->last_error))
        log_warning("database", "lease=%s endpoint=%s error=%u text=%s answer=%s", n->config->name,
                    a->endpoint ? a->endpoint : "-", a->error,
                    log_quote(a->text ? a->text : "", quoted, sizeof quoted), lease_answer_name(a->answer));
}

void node_silent(struct node *n, const char *endpoint)
{
    if (!endpoint)
        return;
    node_remember_error(n, "%s: no answer in time", endpoint);
    if (!node_said_lately(n, n->last_error))
        log_warning(
            "database",
            "lease=%s endpoint=%s error=0 text=\"no answer in time\" action=\"on through another endpoint\"",
            n->config->name, endpoint);
}

static void history_answered(struct node *n, const struct client_answer *a)
{
    char quoted[2 * CLIENT_TEXT_MAX + 3];

    if (a->answer == LEASE_ANSWER_REFUSED)
        log_warning("history",
                    "lease=%s endpoint=%s error=%u text=%s what=\"the database refuses an entry of the "
                    "history or a request's outcome: left out\"",
                    n->config->name, a->endpoint ? a->endpoint : "-", a->error,
                    log_quote(a->text ? a->text : "", quoted, sizeof quoted));
}

static void members_answered(struct node *n, const struct client_answer *a)
{
    struct lease_event e = {.type = LEASE_EVENT_MEMBERS,
                            .members = {.list = a->members, .count = a->member_count}};

    if (a->answer != LEASE_ANSWER_ROW)
        return;
    if (a->namesake)
        snprintf(n->namesake, sizeof n->namesake, "%s", a->namesake);
    watches_drifted(n, a->drift);
    enum lease_name_right before = lease_name_right(&n->lease);

    node_feed(n, &e);
    if (lease_name_right(&n->lease) == LEASE_NAME_TAKE && before != LEASE_NAME_TAKE)
        report_beat(n); /* nobody has to wait a whole beat for us */
    requests_look_back(n);
}

/*
 * At start a schema of another version is a mistake in what is installed, which no waiting mends. Later it is
 * somebody's doing in the database: this member keeps out, says so, and goes on when it is put right.
 */
static void judge_schema(struct node *n, const struct client_answer *a)
{
    struct lease_event e = {.type = LEASE_EVENT_STOP};

    if (a->answer == LEASE_ANSWER_ROW || a->answer == LEASE_ANSWER_NO_ROW ||
        a->answer == LEASE_ANSWER_MISMATCH)
        n->schema_known = true;
    if (a->error != WORKER_ERROR_SCHEMA || n->schema_known || n->schema_foreign)
        return;
    n->schema_foreign = n->exiting = true;
    log_error(
        "schema",
        "lease=%s endpoint=%s what=\"%s\" means=\"this sidecar ends; it does not lead\" action=\"install "
        "the galera-lease that made the schema, the same on every host\"",
        n->config->name, a->endpoint ? a->endpoint : "-", a->text ? a->text : "");
    node_feed(n, &e);
}

static void on_answer(const struct client_answer *a, void *userdata)
{
    struct node *n = userdata;
    struct lease_event e = {0};

    note_error(n, a);
    judge_schema(n, a);
    if (a->kind == CLIENT_READ || a->kind == CLIENT_WRITE)
        publish_answer(n, a);
    switch (a->kind) {
    case CLIENT_READ:
        e.type = LEASE_EVENT_READ;
        e.read.op = a->id;
        e.read.answer = a->answer;
        e.read.non_primary = a->non_primary;
        e.read.instance = a->instance;
        e.read.instance_up_ns = a->instance_up_ns;
        e.read.row = a->row;
        node_feed(n, &e);
        break;
    case CLIENT_WRITE:
        e.type = LEASE_EVENT_WRITE;
        e.write.op = a->id;
        e.write.answer = a->answer;
        counters_written(&n->counters, a->answer, hook_now_ns());
        node_feed(n, &e);
        break;
    case CLIENT_MEMBERS: members_answered(n, a); break;
    case CLIENT_REQUESTS:
        if (a->answer == LEASE_ANSWER_ROW)
            requests_read(n, a);
        break;
    case CLIENT_LEFT:
        if (a->answer == LEASE_ANSWER_ROW)
            requests_left(n, a);
        break;
    case CLIENT_CLAIM: requests_claimed(n, a); break;
    case CLIENT_FINISH:
    case CLIENT_EVENT: history_answered(n, a); break;
    case CLIENT_HEARTBEAT:
    case CLIENT_ABANDON:
    case CLIENT_FORGET: break;
    }
}

static void on_client(void *userdata)
{
    struct node *n = userdata;

    client_dispatch(n->client);
}

static void on_beat(void *userdata)
{
    struct node *n = userdata;

    report_beat(n);
    client_members(n->client);
    report_status(n);
    caution_servers(n);
    loop_timer(n->loop, NODE_TIMER_BEAT, n->config->timing.renew_ns, on_beat, n);
}

void node_measure(struct node *n)
{
    uint64_t stall = loop_stall_ns(n->loop), own = loop_stall_own_ns(n->loop);

    if (stall > n->stall_max_ns)
        n->stall_max_ns = stall;
    if (own > n->stall_own_max_ns)
        n->stall_own_max_ns = own;
}

static void on_tick(void *userdata)
{
    struct node *n = userdata;

    node_measure(n);
    client_tick(n->client, hook_now_ns());
    publish_tick(n);
    guardian_watch(n);
    trail_tick(&n->trail, n->config->name);
    if (n->lease.role == LEASE_LEADER && n->forget_ticks++ % FORGET_TICKS == 0)
        client_forget(n->client, (uint32_t)n->config->history_days);
    loop_timer(n->loop, NODE_TIMER_TICK, TICK_NS, on_tick, n);
}

static int start_client(struct node *n)
{
    const struct config *c = n->config;
    struct client_config k = {.incarnation = n->incarnation,
                              .silence_ns = lease_timing_endpoint_limit_ns(&c->timing)};

    strcpy(k.lease, c->name);
    strcpy(k.member, c->member);
    snprintf(k.user, sizeof k.user, "%s", c->user);
    for (size_t i = 0; i < c->endpoint_count; i++) {
        if (access_endpoint_parse(c->endpoints[i], &k.endpoints[i]) != ACCESS_OK)
            return -EINVAL;
        if (strcmp(c->endpoints[i], c->controller_endpoint) == 0)
            k.controller = i;
    }
    k.endpoint_count = c->endpoint_count;
    k.standalone = c->standalone;
    strcpy(k.password_file, c->password_file);
    config_tls(c, &k.tls);
    return client_new(&k, on_answer, n, &n->client);
}

int node_start(struct node *n, const struct lease_memory *memory)
{
    struct lease_event e = {.type = LEASE_EVENT_START, .start = *memory};
    int r = loop_signal(n->loop, SIGTERM, on_signal, n);

    if (r >= 0)
        r = loop_signal(n->loop, SIGINT, on_signal, n);
    if (r >= 0)
        r = saver_new(n->config->state_dir, &n->saver);
    if (r >= 0)
        r = loop_watch(n->loop, saver_fd(n->saver), on_saved, n);
    if (r >= 0)
        r = start_client(n);
    if (r >= 0)
        r = loop_watch(n->loop, client_fd(n->client), on_client, n);
    if (r >= 0)
        r = loop_watch(n->loop, n->keeper.notify_fd, guardian_heard, n);
    if (r < 0)
        return r;
    publish_start(n);
    announce_start(n);
    watches_start(n);
    node_feed(n, &e);
    guardian_start(n);
    on_beat(n);
    requests_poll(n);
    on_tick(n);
    return 0;
}
