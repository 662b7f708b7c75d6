/* The guardian as the sidecar sees it: started, started again, and heard of when it fences. */
#include <errno.h>
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
