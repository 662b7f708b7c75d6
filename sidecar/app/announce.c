#include "app/announce.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/node.h"
#include "util/log.h"

#define END_PATIENCE_NS LEASE_NS_PER_S

/* All of it is written before its courier begins, and only read afterwards. */
struct receiver {
    char name[CONFIG_TEXT_MAX];
    const char *lease, *member; /* the configuration's: they never change */
    struct hook_spec hook;
    _Atomic uint64_t budget_ns; /* but for this: a reload may change it */
    const char *run_dir, *state_dir, *promote_cgroup;
    struct courier *courier;
};

/* ---------------------------------------------------------------- the notify hook */

static void on_line(void *userdata, const char *line)
{
    const struct receiver *r = userdata;
    char quoted[HOOK_LINE_MAX * 2];

    log_info("hook-output", "lease=%s hook=notify line=%s", r->lease, log_quote(line, quoted, sizeof quoted));
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
    return hook_run_sync(&hook, &facts, on_line, r) == HOOK_OK ? COURIER_DELIVERED : COURIER_REFUSED;
}

static void on_failed(void *userdata, const struct notice *notice, unsigned tries)
{
    const struct receiver *r = userdata;

    log_warning("notice-lost",
                "lease=%s receiver=%s number=%" PRIu64 " what=%s role=%s tries=%u error=\"failed, or out of "
                "time\" means=\"nothing for the lease\"",
                r->lease, r->name, notice->number, notice->what, notice->role, tries);
}

/* ---------------------------------------------------------------- all of them */

static void add(struct node *n, struct receiver *r, const struct courier_config *courier)
{
    int error = courier_new(courier, &r->courier);

    if (error < 0) {
        log_error("notice", "lease=%s receiver=%s error=\"%s\" means=\"it hears of nothing\"", r->lease,
                  r->name, strerror(-error));
        free(r);
        return;
    }
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
    add(n, r, &(struct courier_config){.deliver = run_hook, .failed = on_failed, .userdata = r, .tries = 1});
}

void announce_start(struct node *n)
{
    if (n->config->notify[0])
        start_notify(n);
}

void announce_note(struct node *n, const struct lease_command *c, const struct client_event *event)
{
    bool role = c->note.note == LEASE_NOTE_ROLE;
    struct notice notice = {
        .number = ++n->announce.number, .at_ms = event->at_ms, .epoch = event->epoch, .alarm = event->alarm};
    uint64_t dropped;

    snprintf(notice.what, sizeof notice.what, "%s", lease_note_name(c->note.note));
    snprintf(notice.from, sizeof notice.from, "%s", lease_role_name(role ? c->note.from : n->lease.role));
    snprintf(notice.role, sizeof notice.role, "%s", lease_role_name(role ? c->note.role : n->lease.role));
    snprintf(notice.reason, sizeof notice.reason, "%s", event->reason);
    for (size_t i = 0; i < n->announce.count; i++)
        if (courier_put(n->announce.receivers[i]->courier, &notice, &dropped))
            log_warning(
                "notice-dropped",
                "lease=%s receiver=%s number=%" PRIu64
                " why=\"the receiver is too slow: its queue is full\" means=\"nothing for the lease\"",
                n->config->name, n->announce.receivers[i]->name, dropped);
}

void announce_budget(struct announce *a, uint64_t budget_ns)
{
    for (size_t i = 0; i < a->count; i++)
        a->receivers[i]->budget_ns = budget_ns;
}

void announce_end(struct announce *a)
{
    while (a->count > 0) {
        struct receiver *r = a->receivers[--a->count];

        if (courier_end(r->courier, END_PATIENCE_NS / (a->count + 1)))
            free(r);
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
    const char *name;

    for (size_t i = 0; (name = announce_counts(a, i, &counts)); i++)
        json_array_append_new(
            list, json_pack("{s:s, s:I, s:I, s:I, s:I, s:I, s:i}", "name", name, "put",
                            (json_int_t)counts.put, "delivered", (json_int_t)counts.delivered, "failed",
                            (json_int_t)counts.failed, "dropped", (json_int_t)counts.dropped, "retries",
                            (json_int_t)counts.retries, "waiting", (int)counts.waiting));
    return list;
}
