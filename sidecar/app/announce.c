#include "app/announce.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/node.h"
#include "notify/webhook.h"
#include "util/log.h"

#define END_PATIENCE_NS LEASE_NS_PER_S
#define PAUSE_NS        LEASE_NS_PER_S /* after a webhook's first failure; doubled up to PAUSE_MAX_NS */
#define PAUSE_MAX_NS    (60 * LEASE_NS_PER_S)

/* Written before its courier begins, and only read afterwards, but for what has another word. */
struct receiver {
    char name[CONFIG_TEXT_MAX];
    const char *lease, *member; /* the configuration's: they never change */
    struct config_events events;
    uint64_t number; /* of its last notice; the loop's */
    struct hook_spec hook;
    struct hook_run run;        /* the courier's thread's */
    _Atomic uint64_t budget_ns; /* but for this: a reload may change it */
    const char *run_dir, *state_dir, *promote_cgroup;
    const struct config_webhook *webhook;
    struct courier *courier;
    pthread_mutex_t lock;
    char error[WEBHOOK_ERROR_MAX + 1]; /* of the last delivery; behind the lock */
};

static void set_error(struct receiver *r, const char *error)
{
    pthread_mutex_lock(&r->lock);
    snprintf(r->error, sizeof r->error, "%s", error);
    pthread_mutex_unlock(&r->lock);
}

static void get_error(struct receiver *r, char ret_error[WEBHOOK_ERROR_MAX + 1])
{
    pthread_mutex_lock(&r->lock);
    memcpy(ret_error, r->error, sizeof r->error);
    pthread_mutex_unlock(&r->lock);
}

/* ---------------------------------------------------------------- the notify hook */

static void on_line(void *userdata, const char *line)
{
    const struct receiver *r = userdata;
    char quoted[HOOK_LINE_MAX * 2];

    log_info("hook-output", "lease=%s hook=notify step=%s line=%s", r->lease, hook_step(&r->run),
             log_quote(line, quoted, sizeof quoted));
}

static enum courier_result run_hook(void *userdata, const struct notice *notice)
{
    struct receiver *r = userdata;
    static const uint8_t nobody[LEASE_NONCE_SIZE];
    struct hook_facts facts = {.lease = r->lease,
                               .member = r->member,
                               .role = notice->role,
                               .reason = notice->reason,
                               .previous = "",
                               .run_dir = r->run_dir,
                               .state_dir = r->state_dir,
                               .promote_cgroup = r->promote_cgroup,
                               .epoch = notice->epoch,
                               .nonce = nobody,
                               .event = notice->what,
                               .from = notice->from,
                               .alarm = notice->alarm};

    struct hook_spec hook = r->hook;

    hook.budget_ns = r->budget_ns;
    /* Once: a hook may have done its work and failed afterwards, and nobody wants to be paged twice. */
    bool ok = hook_run_through(&r->run, &hook, &facts, on_line, r) == HOOK_OK;

    set_error(r, ok ? "" : "the hook failed, or was out of time");
    return ok ? COURIER_DELIVERED : COURIER_REFUSED;
}

/* ---------------------------------------------------------------- webhooks */

/* False until the courier is there, which its first delivery may precede. */
static bool nobody_waits(void *userdata)
{
    const struct receiver *r = userdata;
    struct courier *c = __atomic_load_n(&r->courier, __ATOMIC_ACQUIRE);

    return c && courier_ending(c);
}

/* The secret is read for each delivery, so that it can be changed while we run. */
static enum courier_result post_webhook(void *userdata, const struct notice *notice)
{
    struct receiver *r = userdata;
    const struct webhook webhook = {.url = r->webhook->url,
                                    .ca_file = r->webhook->ca_file,
                                    .lease = r->lease,
                                    .member = r->member,
                                    .timeout_ns = r->webhook->timeout_ns,
                                    .give_up = nobody_waits,
                                    .userdata = r};
    const char *path = r->webhook->secret_file;
    char secret[ACCESS_PASSWORD_MAX + 1], error[WEBHOOK_ERROR_MAX + 1];
    enum courier_result result = COURIER_AGAIN;
    int access = path[0] ? access_password_read(path, secret) : ACCESS_OK;

    if (access == ACCESS_OK)
        result = webhook_deliver(&webhook, path[0] ? secret : NULL, notice, error);
    else
        snprintf(error, sizeof error, "secret_file %s", access_result_text(access));
    explicit_bzero(secret, sizeof secret);
    set_error(r, error);
    return result;
}

static void on_failed(void *userdata, const struct notice *notice, unsigned tries)
{
    struct receiver *r = userdata;
    char error[WEBHOOK_ERROR_MAX + 1], quoted[2 * WEBHOOK_ERROR_MAX + 3];

    get_error(r, error);

    log_warning("notice-lost",
                "lease=%s receiver=%s number=%" PRIu64 " what=%s role=%s tries=%u error=%s "
                "means=\"nothing for the lease\"",
                r->lease, r->name, notice->number, notice->what, notice->role, tries,
                log_quote(error, quoted, sizeof quoted));
}

/* ---------------------------------------------------------------- all of them */

static void add(struct node *n, struct receiver *r, const struct courier_config *courier)
{
    struct courier *c = NULL;
    int error = courier_new(courier, &c);

    if (error < 0) {
        log_error("notice", "lease=%s receiver=%s error=\"%s\" means=\"it hears of nothing\"", r->lease,
                  r->name, strerror(-error));
        free(r);
        return;
    }
    __atomic_store_n(&r->courier, c, __ATOMIC_RELEASE);
    n->announce.receivers[n->announce.count++] = r;
}

static struct receiver *receiver_new(const struct node *n, const char *name)
{
    struct receiver *r = calloc(1, sizeof *r);

    if (!r) {
        log_error("notice", "lease=%s receiver=%s error=\"no memory\"", n->config->name, name);
        return NULL;
    }
    snprintf(r->name, sizeof r->name, "%s", name);
    pthread_mutex_init(&r->lock, NULL);
    r->lease = n->config->name;
    r->member = n->config->member;
    r->run_dir = n->config->run_dir;
    r->state_dir = n->config->state_dir;
    r->promote_cgroup = n->cgroup_controller;
    return r;
}

static void start_notify(struct node *n)
{
    struct receiver *r = receiver_new(n, "notify");

    if (!r)
        return;
    r->hook = (struct hook_spec){.kind = HOOK_NOTIFY,
                                 .path = n->config->notify,
                                 .launcher = n->launcher_path,
                                 .cgroup = n->cgroup_notify[0] ? n->cgroup_notify : NULL,
                                 .page_fd = -1};
    r->budget_ns = n->config->notify_budget_ns;
    r->events = (struct config_events){.notes = 1u << LEASE_NOTE_ROLE, .alarms = true};
    add(n, r, &(struct courier_config){.deliver = run_hook, .failed = on_failed, .userdata = r, .tries = 1});
}

static void start_webhook(struct node *n, size_t index)
{
    char name[32];

    snprintf(name, sizeof name, "webhook%zu", index + 1);
    struct receiver *r = receiver_new(n, name);

    if (!r)
        return;
    r->webhook = &n->config->webhooks.list[index];
    r->events = r->webhook->events;
    add(n, r,
        &(struct courier_config){.deliver = post_webhook,
                                 .failed = on_failed,
                                 .userdata = r,
                                 .tries = (unsigned)r->webhook->tries,
                                 .pause_ns = PAUSE_NS,
                                 .pause_max_ns = PAUSE_MAX_NS});
}

void announce_start(struct node *n)
{
    if (n->config->notify[0])
        start_notify(n);
    for (size_t i = 0; i < n->config->webhooks.count; i++)
        start_webhook(n, i);
}

static void put(const struct node *n, struct receiver *r, struct notice *notice)
{
    uint64_t dropped;

    notice->number = ++r->number;
    if (courier_put(r->courier, notice, &dropped))
        log_warning("notice-dropped",
                    "lease=%s receiver=%s number=%" PRIu64
                    " why=\"the receiver is too slow: its queue is full\" means=\"nothing for the lease\"",
                    n->config->name, r->name, dropped);
}

void announce_note(struct node *n, const struct lease_command *c, const struct client_event *event)
{
    bool role = c->note.note == LEASE_NOTE_ROLE;
    struct notice notice = {.at_ms = event->at_ms, .epoch = event->epoch, .alarm = event->alarm};

    snprintf(notice.what, sizeof notice.what, "%s", lease_note_name(c->note.note));
    snprintf(notice.from, sizeof notice.from, "%s", lease_role_name(role ? c->note.from : n->lease.role));
    snprintf(notice.role, sizeof notice.role, "%s", lease_role_name(role ? c->note.role : n->lease.role));
    snprintf(notice.reason, sizeof notice.reason, "%s", event->reason);
    for (size_t i = 0; i < n->announce.count; i++) {
        struct receiver *r = n->announce.receivers[i];

        if ((r->events.notes >> c->note.note & 1) || (event->alarm && r->events.alarms))
            put(n, r, &notice);
    }
}

void announce_budget(struct announce *a, uint64_t budget_ns)
{
    for (size_t i = 0; i < a->count; i++)
        a->receivers[i]->budget_ns = budget_ns;
}

/* All at once: one that hangs must not eat up the time of the others. */
void announce_end(struct announce *a)
{
    uint64_t end = hook_now_ns() + END_PATIENCE_NS;

    for (size_t i = 0; i < a->count; i++)
        courier_stop(a->receivers[i]->courier);
    while (a->count > 0) {
        struct receiver *r = a->receivers[--a->count];
        uint64_t now = hook_now_ns();

        if (courier_end(r->courier, now < end ? end - now : 0)) {
            pthread_mutex_destroy(&r->lock);
            free(r);
        }
    }
}

const char *announce_counts(const struct announce *a, size_t index, struct courier_counts *ret)
{
    if (index >= a->count)
        return NULL;
    courier_counts(a->receivers[index]->courier, ret);
    return a->receivers[index]->name;
}

json_t *announce_status(const struct announce *a)
{
    json_t *list = json_array();
    struct courier_counts counts;
    char error[WEBHOOK_ERROR_MAX + 1];
    const char *name;

    for (size_t i = 0; (name = announce_counts(a, i, &counts)); i++) {
        get_error(a->receivers[i], error);
        json_array_append_new(
            list, json_pack("{s:s, s:I, s:I, s:I, s:I, s:I, s:i, s:s}", "name", name, "put",
                            (json_int_t)counts.put, "delivered", (json_int_t)counts.delivered, "failed",
                            (json_int_t)counts.failed, "dropped", (json_int_t)counts.dropped, "retries",
                            (json_int_t)counts.retries, "waiting", (int)counts.waiting, "error", error));
    }
    return list;
}
