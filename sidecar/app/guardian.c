/* The guardian as the sidecar sees it: started, started again, and heard of when it fences. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "app/node.h"
#include "util/log.h"

#define GUARDIAN_RETRY_NS (100 * LEASE_NS_PER_MS)

static void on_guardian_end(void *userdata)
{
    struct node *n = userdata;
    struct lease_event e = {.type = LEASE_EVENT_GUARDIAN, .guardian = {.news = LEASE_GUARDIAN_DOWN}};

    loop_unwatch(n->loop, n->keeper.pidfd);
    int status = keeper_reap(&n->keeper);

    node_remember_error(n, "the guardian ended: %s %d", WIFEXITED(status) ? "exit" : "signal",
                        WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
    if (!node_said_lately(n, n->last_error))
        log_error("guardian",
                  "lease=%s what=\"the guardian ended\" status=\"%s\" means=\"nothing but this sidecar stops "
                  "the controller until it is back; if it dies again and again the lease is given away\" "
                  "action=\"started again\"",
                  n->config->name, strchr(n->last_error, ':') + 2);
    node_feed(n, &e);
    if (hook_now_ns() - n->guardian_started_ns > GUARDIAN_RETRY_NS)
        guardian_start(n);
    else
        loop_timer(n->loop, NODE_TIMER_GUARDIAN, GUARDIAN_RETRY_NS / 2, guardian_start, n);
}

void guardian_start(void *userdata)
{
    struct node *n = userdata;
    struct lease_event e = {.type = LEASE_EVENT_GUARDIAN, .guardian = {.news = LEASE_GUARDIAN_UP}};
    int r = keeper_start(&n->keeper);

    n->guardian_started_ns = hook_now_ns();
    n->counters.guardian_starts += r == 0;
    if (r == 0)
        r = loop_watch(n->loop, n->keeper.pidfd, on_guardian_end, n);
    if (r < 0) {
        keeper_kill(&n->keeper); /* one whose end nobody would hear of; the core was not told of it */
        node_remember_error(n, "guardian: %s", strerror(-r));
        if (!node_said_lately(n, n->last_error))
            log_error("guardian",
                      "lease=%s path=%s error=\"%s\" means=\"this member does not lead without it\" "
                      "action=\"tried again\"",
                      n->config->name, n->guardian_path, strerror(-r));
        loop_timer(n->loop, NODE_TIMER_GUARDIAN, GUARDIAN_RETRY_NS, guardian_start, n);
        return;
    }
    node_feed(n, &e);
}

void guardian_heard(void *userdata)
{
    struct node *n = userdata;
    struct lease_event e = {.type = LEASE_EVENT_GUARDIAN};
    uint64_t count, epoch;

    if (read(n->keeper.notify_fd, &count, sizeof count) < 0)
        return;
    if (!page_fencing(n->page))
        return;
    if (!n->lease.fencing) {
        e.guardian.news = LEASE_GUARDIAN_FENCING;
        node_feed(n, &e);
    }
    if (page_stopped(n->page, &epoch)) {
        e.guardian.news = LEASE_GUARDIAN_STOPPED;
        e.guardian.epoch = epoch;
        node_feed(n, &e);
    }
}

/* A second each: how long it may give no sign of life, with some for a crowded machine. */
static uint64_t quiet_limit(const struct lease_timing *t)
{
    return PAGE_ATTEMPT_TIMES_MAX * (t->kill_budget_ns + t->check_budget_ns) / LEASE_NS_PER_S + 3;
}

/*
 * A guardian that is stopped (a debugger, SIGSTOP, a frozen cgroup) looks alive, and nobody would stop the
 * controller as long as it stands still. SIGKILL reaches it all the same; the next one finds the order in the
 * page (R5). Ticks are counted, not time: this process may have been stopped with it.
 */
void guardian_watch(struct node *n)
{
    uint64_t attempts = atomic_load(&n->page->attempts), epoch;

    if (!page_fencing(n->page) || page_stopped(n->page, &epoch) || n->keeper.pid == 0 ||
        attempts != n->guardian_attempts) {
        n->guardian_attempts = attempts;
        n->guardian_quiet = 0;
        return;
    }
    if (++n->guardian_quiet < quiet_limit(&n->config->timing))
        return;
    n->guardian_quiet = 0;
    log_error("guardian",
              "lease=%s pid=%d what=\"the guardian was told to stop the controller and does nothing: it is "
              "frozen\" means=\"the controller may still run\" action=\"killed; another one is started and "
              "stops it\"",
              n->config->name, (int)n->keeper.pid);
    kill(n->keeper.pid, SIGKILL);
}
