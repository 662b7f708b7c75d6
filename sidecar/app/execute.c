/* Performs what the core returned. It decides nothing: each command has one meaning. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "app/node.h"
#include "util/log.h"

static void answer_refused(struct node *n, uint32_t op, bool is_write)
{
    struct lease_event e = {.type = is_write ? LEASE_EVENT_WRITE : LEASE_EVENT_READ};

    /* Not accepted by the router: certainly not sent. */
    if (is_write) {
        counters_written(&n->counters, LEASE_ANSWER_REFUSED, hook_now_ns());
        e.write.op = op;
        e.write.answer = LEASE_ANSWER_REFUSED;
    } else {
        e.read.op = op;
        e.read.answer = LEASE_ANSWER_REFUSED;
    }
    node_queue(n, &e);
}

static void guardian_news(struct node *n, enum lease_guardian_news news)
{
    struct lease_event e = {.type = LEASE_EVENT_GUARDIAN, .guardian = {.news = news}};

    node_queue(n, &e);
}

/* ---------------------------------------------------------------- hooks */

static void on_hook_line(void *userdata, const char *line)
{
    struct node *n = userdata;
    char quoted[HOOK_LINE_MAX * 2];

    log_info("hook-output", "lease=%s hook=%s step=%s line=%s", n->config->name, hook_kind_name(n->hook.kind),
             hook_step(&n->hook), log_quote(line, quoted, sizeof quoted));
}

static enum counters_hook counted_as(enum lease_hook hook)
{
    switch (hook) {
    case LEASE_HOOK_PROMOTE: return COUNTERS_PROMOTE;
    case LEASE_HOOK_DEMOTE: return COUNTERS_DEMOTE;
    case LEASE_HOOK_CHECK: return COUNTERS_CHECK;
    }
    return COUNTERS_CHECK;
}

static enum hook_kind kind_of(enum lease_hook hook)
{
    switch (hook) {
    case LEASE_HOOK_PROMOTE: return HOOK_PROMOTE;
    case LEASE_HOOK_DEMOTE: return HOOK_DEMOTE;
    case LEASE_HOOK_CHECK: return HOOK_CHECK;
    }
    return HOOK_CHECK;
}

static const char *path_of(const struct node *n, enum lease_hook hook)
{
    switch (hook) {
    case LEASE_HOOK_PROMOTE: return n->config->promote;
    case LEASE_HOOK_DEMOTE: return n->config->demote;
    case LEASE_HOOK_CHECK: return n->config->check;
    }
    return n->config->check;
}

/* What it left is the controller now, or is dead. */
static void promote_over(struct node *n)
{
    n->promote_pid = 0;
    page_promote_over(n->page);
    leftover_over(n);
}

static void unwatch_hook(struct node *n)
{
    if (n->hook_pidfd >= 0)
        loop_unwatch(n->loop, n->hook_pidfd);
    if (n->hook_out_fd >= 0)
        loop_unwatch(n->loop, n->hook_out_fd);
    n->hook_pidfd = -1;
    n->hook_out_fd = -1;
}

/* A hook of several steps has new descriptors at every step. */
static void watch_hook(struct node *n)
{
    n->hook_pidfd = n->hook.child.pidfd;
    n->hook_out_fd = n->hook.child.out_fd;
    if (n->hook_kind == LEASE_HOOK_PROMOTE && n->hook.child.pid != n->promote_pid) {
        n->promote_pid = n->hook.child.pid;
        leftover_begun(n);
    }
    if (n->hook_pidfd >= 0)
        loop_watch(n->loop, n->hook_pidfd, execute_hook_poll, n);
    if (n->hook_out_fd >= 0)
        loop_watch(n->loop, n->hook_out_fd, execute_hook_poll, n);
}

static void log_outcome(struct node *n, enum hook_outcome outcome)
{
    bool quiet = n->hook_kind == LEASE_HOOK_CHECK && (outcome == HOOK_OK || outcome == HOOK_STOPPED);

    log_emit(quiet                ? LOG_LEVEL_DEBUG
             : outcome == HOOK_OK ? LOG_LEVEL_INFO
                                  : LOG_LEVEL_WARNING,
             "hook-end", "lease=%s hook=%s step=%s outcome=%s code=%d epoch=%llu%s", n->config->name,
             hook_kind_name(n->hook.kind), hook_step(&n->hook), hook_outcome_name(outcome), n->hook.code,
             (unsigned long long)n->hook.epoch,
             n->hook.mixed ? " why=\"one part of the folder says running, another stopped\"" : "");
}

void execute_hook_poll(void *userdata)
{
    struct node *n = userdata;
    struct lease_event e = {.type = LEASE_EVENT_HOOK};

    if (n->hook_id == 0)
        return;
    unwatch_hook(n); /* before dispatch closes them: a number may be used again at once */
    enum hook_outcome outcome = hook_dispatch(&n->hook);

    if (outcome == HOOK_RUNNING) {
        watch_hook(n);
        return;
    }
    log_outcome(n, outcome);
    counters_hook_ended(&n->counters, counted_as(n->hook_kind), outcome != HOOK_OK && outcome != HOOK_STOPPED,
                        hook_now_ns());
    if (n->hook_kind == LEASE_HOOK_PROMOTE)
        promote_over(n);
    e.hook.id = n->hook_id;
    e.hook.result = outcome == HOOK_OK        ? LEASE_HOOK_DONE
                    : outcome == HOOK_STOPPED ? LEASE_HOOK_STOPPED
                                              : LEASE_HOOK_FAILED;
    hook_deinit(&n->hook);
    n->hook_id = 0;
    node_feed(n, &e);
}

static void start_hook_command(struct node *n, const struct lease_command *c)
{
    bool promote = c->hook.hook == LEASE_HOOK_PROMOTE;
    struct hook_facts facts = {.lease = n->config->name,
                               .member = n->config->member,
                               .role = lease_role_name(n->lease.role),
                               .reason = lease_reason_name(c->hook.reason),
                               .previous = c->hook.previous,
                               .run_dir = n->config->run_dir,
                               .state_dir = n->config->state_dir,
                               .promote_cgroup = n->cgroup_controller,
                               .epoch = c->hook.epoch,
                               .nonce = c->hook.nonce.bytes};
    const char *cgroup = promote ? n->cgroup_controller : n->cgroup_hook;
    struct hook_spec spec = {.kind = kind_of(c->hook.hook),
                             .path = path_of(n, c->hook.hook),
                             .launcher = n->launcher_path,
                             .cgroup = cgroup[0] ? cgroup : NULL,
                             .page_fd = promote ? n->page_fd : -1,
                             .budget_ns = c->hook.budget_ns};

    if (c->hook.hook != LEASE_HOOK_CHECK)
        log_info("hook-start", "lease=%s hook=%s path=%s epoch=%llu reason=%s budget_ms=%llu",
                 n->config->name, hook_kind_name(spec.kind), spec.path, (unsigned long long)c->hook.epoch,
                 facts.reason, (unsigned long long)(c->hook.budget_ns / LEASE_NS_PER_MS));
    n->hook_kind = c->hook.hook;
    n->hook_until_fast_ns = n->lease.now.fast_ns + c->hook.budget_ns;
    counters_hook_begun(&n->counters, counted_as(c->hook.hook), hook_now_ns());
    int r = hook_start(&n->hook, &spec, &facts, on_hook_line, n);

    if (r < 0) {
        struct lease_event e = {.type = LEASE_EVENT_HOOK,
                                .hook = {.id = c->hook.id, .result = LEASE_HOOK_FAILED}};

        counters_hook_ended(&n->counters, counted_as(c->hook.hook), true, hook_now_ns());
        log_error(
            "hook-start",
            "lease=%s hook=%s path=%s launcher=%s error=\"%s\" means=\"it counts as failed: for promote "
            "the lease is given away, for demote and check the guardian may have to stop the controller\" "
            "action=\"look at that path, at libexec_dir, and at the limit on processes\"",
            n->config->name, hook_kind_name(spec.kind), spec.path, spec.launcher, strerror(-r));
        node_queue(n, &e);
        return;
    }
    n->hook_id = c->hook.id;
    watch_hook(n);
}

static void kill_hook_command(struct node *n, uint32_t id)
{
    if (n->hook_id == 0 || n->hook_id != id)
        return;
    bool late = n->lease.now.fast_ns >= n->hook_until_fast_ns;

    if (n->hook_kind != LEASE_HOOK_CHECK)
        log_warning("hook-kill", "lease=%s hook=%s step=%s epoch=%llu why=\"%s\"", n->config->name,
                    hook_kind_name(n->hook.kind), hook_step(&n->hook), (unsigned long long)n->hook.epoch,
                    late ? "its budget is used up" : "something else is more urgent");
    /* That something else is more urgent is no failure of the hook's. */
    counters_hook_ended(&n->counters, counted_as(n->hook_kind), late, hook_now_ns());
    unwatch_hook(n);
    hook_deinit(&n->hook); /* kills it and all that it left */
    if (n->hook_kind == LEASE_HOOK_PROMOTE)
        promote_over(n);
    n->hook_id = 0;
}

/* ---------------------------------------------------------------- guardian */

static void arm(struct node *n, const struct lease_command *c)
{
    n->armed_deadline_ns = c->guard.deadline_ns;
    if (page_arm(n->page, c->guard.epoch, c->guard.deadline_ns, &n->clocks) == PAGE_FENCING)
        guardian_news(n, LEASE_GUARDIAN_FENCING);
    keeper_wake(&n->keeper);
}

static void extend(struct node *n, const struct lease_command *c)
{
    bool earlier = c->guard.deadline_ns < n->armed_deadline_ns;

    n->armed_deadline_ns = c->guard.deadline_ns;
    if (page_extend(n->page, c->guard.deadline_ns, &n->clocks) == PAGE_FENCING)
        guardian_news(n, LEASE_GUARDIAN_FENCING);
    if (earlier)
        keeper_wake(&n->keeper); /* it sleeps until the old one */
}

static void disarm(struct node *n)
{
    if (page_disarm(n->page) == PAGE_FENCING)
        guardian_news(n, LEASE_GUARDIAN_FENCING);
    keeper_wake(&n->keeper);
}

/* ---------------------------------------------------------------- the rest */

static void save_record(struct node *n, const struct lease_command *c)
{
    struct state_record r = {.epoch_seen = c->save.epoch_seen,
                             .nonce = c->save.nonce,
                             .next = c->save.next,
                             .epoch = c->save.epoch};
    struct lease_event e = {.type = LEASE_EVENT_SAVED, .saved = {.id = c->save.id, .ok = false}};

    /* Both readings together: a freeze in between must not lengthen what is stored. */
    clocks_instant_now(&r.at);
    clocks_sample(&n->clocks);
    if (c->save.deadline_ns > n->clocks.fast_ns)
        r.remaining_ns = c->save.deadline_ns - n->clocks.fast_ns;
    if (saver_submit(n->saver, c->save.id, &r, c->save.durable) < 0 && c->save.durable)
        node_queue(n, &e);
}

/* Of a hold that an earlier run began the reason stands in the row already. */
static const char *hold_reason(const struct node *n, const struct lease_row *wanted)
{
    return wanted->hold_request != 0 && wanted->hold_request == n->hold_request ? n->hold_reason : NULL;
}

static void perform(struct node *n, const struct lease_command *c)
{
    switch (c->type) {
    case LEASE_COMMAND_READ:
        if (client_read(n->client, c->read.op, c->read.causal, c->read.controller_endpoint) < 0)
            answer_refused(n, c->read.op, false);
        break;
    case LEASE_COMMAND_WRITE:
        log_debug("write", "lease=%s kind=%s epoch=%llu counter=%llu", n->config->name,
                  lease_write_name(c->write.kind), (unsigned long long)c->write.wanted.version.epoch,
                  (unsigned long long)c->write.wanted.version.counter);
        counters_write(&n->counters, c->write.kind, hook_now_ns());
        if (client_write(n->client, c->write.op, c->write.kind, &c->write.expected, &c->write.wanted,
                         hold_reason(n, &c->write.wanted)) < 0)
            answer_refused(n, c->write.op, true);
        break;
    case LEASE_COMMAND_CANCEL:
        counters_silent(&n->counters);
        node_silent(n, client_cancel(n->client, c->cancel.op));
        break;
    case LEASE_COMMAND_HOOK: start_hook_command(n, c); break;
    case LEASE_COMMAND_HOOK_KILL: kill_hook_command(n, c->hook_kill.id); break;
    case LEASE_COMMAND_ARM: arm(n, c); break;
    case LEASE_COMMAND_EXTEND: extend(n, c); break;
    case LEASE_COMMAND_FENCE:
        page_order_fence(n->page, c->guard.epoch);
        keeper_wake(&n->keeper);
        break;
    case LEASE_COMMAND_DISARM: disarm(n); break;
    case LEASE_COMMAND_SAVE: save_record(n, c); break;
    case LEASE_COMMAND_NOTE: report_note(n, c); break;
    case LEASE_COMMAND_EXIT: loop_exit(n->loop, 0); break;
    }
}

static bool for_guardian(const struct lease_command *c)
{
    return c->type == LEASE_COMMAND_ARM || c->type == LEASE_COMMAND_EXTEND ||
           c->type == LEASE_COMMAND_FENCE || c->type == LEASE_COMMAND_DISARM;
}

/*
 * What the guardian must hear waits for nothing (R2: fence *now*). What stands before it may: a note writes
 * to the log and to run_dir, where a disk can hang for as long as it likes, and killing a hook looks through
 * /proc.
 */
void execute(struct node *n, const struct lease_commands *commands)
{
    for (size_t i = 0; i < commands->count; i++)
        if (for_guardian(&commands->list[i]))
            perform(n, &commands->list[i]);
    for (size_t i = 0; i < commands->count; i++)
        if (!for_guardian(&commands->list[i]))
            perform(n, &commands->list[i]);
}
