/*
 * galera-lease-guardian: stops the controller when the sidecar can't (R5).
 *
 *     galera-lease-guardian PAGE_FD LOCK_FD WAKE_FD NOTIFY_FD PARENT_PIDFD
 *
 * Started by the sidecar only, with SIGTERM, SIGINT and SIGHUP blocked: one that comes early waits until it
 * is looked for here. It fences when its parent dies armed, when deadline-(K+M) passes, when it is ordered
 * to, and on SIGTERM while armed; it repeats fence and check until the check confirms the stop. It holds a
 * copy of the lease's flock until then, so that no new sidecar of this host begins before.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "guardian/page.h"
#include "hook/hook.h"
#include "proc/cgroup.h"
#include "proc/kill.h"
#include "util/journal.h"
#include "util/log.h"

#define RETRY_NS    200000000
#define STEP_MIN_NS UINT64_C(500000)

struct guardian {
    struct page *page;
    struct hook_run hook;
    int wake_fd, notify_fd, parent_fd, signal_fd, timer_fd;
    struct page_clock clock;
    bool parent_dead, ordered;
};

static void notify(struct guardian *g)
{
    uint64_t one = 1;

    if (write(g->notify_fd, &one, sizeof one) < 0)
        errno = 0; /* the sidecar may be gone */
}

static void on_line(void *userdata, const char *line)
{
    const struct guardian *g = userdata;
    char quoted[HOOK_LINE_MAX * 2];

    log_info("hook-output", "lease=%s hook=%s step=%s line=%s", g->page->config.lease,
             hook_kind_name(g->hook.kind), hook_step(&g->hook), log_quote(line, quoted, sizeof quoted));
}

static enum hook_outcome run_hook(struct guardian *g, enum hook_kind kind, const char *path,
                                  uint64_t budget_ns, const char *reason)
{
    const struct page_config *c = &g->page->config;
    struct hook_facts facts = {.lease = c->lease,
                               .member = c->member,
                               .role = "fenced",
                               .reason = reason,
                               .previous = "",
                               .run_dir = c->run_dir,
                               .state_dir = c->state_dir,
                               .promote_cgroup = c->promote_cgroup,
                               .epoch = atomic_load(&g->page->epoch)};
    struct hook_spec spec = {.kind = kind,
                             .path = path,
                             .launcher = c->launcher,
                             .cgroup = c->guardian_cgroup[0] ? c->guardian_cgroup : NULL,
                             .page_fd = -1,
                             .budget_ns = budget_ns};

    return hook_run_through(&g->hook, &spec, &facts, on_line, g);
}

/* What lives in its cgroup. */
static void kill_controller(const struct guardian *g)
{
    const struct page_config *c = &g->page->config;

    if (c->promote_cgroup[0])
        cgroup_kill(c->promote_cgroup);
}

/* R9: what a running promote left must be gone before the fence hook looks. */
static void kill_promote(struct guardian *g)
{
    uint64_t part = atomic_load(&g->page->promotes[0]);
    char mark[PAGE_TEXT_MAX + 32];

    if (part == 0)
        return;
    kill_controller(g);
    snprintf(mark, sizeof mark, "GALERA_LEASE_NAME=%s", g->page->config.lease);
    for (unsigned i = 0; part != 0; part = ++i < PAGE_PROMOTES ? atomic_load(&g->page->promotes[i]) : 0)
        kill_session_of(part, mark);
}

static uint64_t min_u64(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/*
 * Once fence, once check. The first time both must end within K, because the deadline comes M later. After
 * that the deadline is past, and what matters is that it comes to an end: a hook that needs longer than its
 * share of K, on a host that is short of everything, gets more each time.
 */
static enum hook_outcome fence_once(struct guardian *g, const char *reason, unsigned attempt,
                                    enum hook_outcome *ret_fenced)
{
    const struct page_config *c = &g->page->config;
    bool first = attempt == 1;
    uint64_t end = hook_now_ns() + c->kill_budget_ns;
    uint64_t times = min_u64(attempt, PAGE_ATTEMPT_TIMES_MAX);
    uint64_t fence_ns = times * c->kill_budget_ns, check_ns = times * c->check_budget_ns;

    kill_promote(g);
    if (first) {
        uint64_t now = hook_now_ns(), left = end > now ? end - now : 0;

        fence_ns = left - min_u64(check_ns, left / 2);
    }
    *ret_fenced = run_hook(g, HOOK_FENCE, c->fence_hook, fence_ns, reason);
    /* The hook could not do it, or could not even be started: no process can be forked, because the
       controller itself has used them all up, or the launcher is being installed. This needs neither, and
       the check that follows has room again. */
    if (*ret_fenced != HOOK_OK)
        kill_controller(g);
    if (first) {
        uint64_t now = hook_now_ns();

        check_ns = min_u64(check_ns, end > now ? end - now : 0);
    }
    return run_hook(g, HOOK_CHECK, c->check_hook, check_ns, reason);
}

/* Not before the first attempt is over: the log may be a file on a disk that hangs. */
static void tell_fence(const struct guardian *g, unsigned long long epoch, const char *reason)
{
    log_warning("fence",
                "lease=%s member=%s epoch=%llu reason=%s means=\"the controller is stopped by force; this "
                "member does not lead\"",
                g->page->config.lease, g->page->config.member, epoch, reason);
}

static void fence(struct guardian *g, struct page_view *view, const char *reason)
{
    const struct page_config *c = &g->page->config;
    unsigned long long epoch = atomic_load(&g->page->epoch);
    enum hook_outcome fenced;

    notify(g);
    for (unsigned attempt = 1;; attempt++) {
        atomic_fetch_add(&g->page->attempts, 1);

        enum hook_outcome checked = fence_once(g, reason, attempt, &fenced);

        if (attempt == 1)
            tell_fence(g, epoch, reason);
        if (checked == HOOK_STOPPED)
            break;
        /* Never give up: while this page says fencing nobody here starts anything, and the lease is not
         * released. */
        if (attempt == 1 || attempt % 50 == 0)
            log_error(
                "fence-unconfirmed",
                "lease=%s member=%s epoch=%llu attempt=%u fence_outcome=%s check_outcome=%s "
                "means=\"the controller may still run. While its sidecar lives the lease is kept; if that is "
                "dead the lease runs out, another member starts its controller, and two run\" "
                "action=\"stop it by hand, at once; this is repeated until the check hook says "
                "stopped\"",
                c->lease, c->member, epoch, attempt, hook_outcome_name(fenced), hook_outcome_name(checked));
        nanosleep(&(struct timespec){.tv_nsec = RETRY_NS}, NULL);
    }
    log_info("stopped", "lease=%s member=%s epoch=%llu", c->lease, c->member, epoch);
    if (page_set_stopped(g->page, view))
        notify(g);
}

/* Sleeps until something may be due. At most 90 % of the rest: CLOCK_BOOTTIME may be slewed. */
static void wait_for_news(struct guardian *g, uint64_t remaining_ns)
{
    struct pollfd fds[] = {{.fd = g->wake_fd, .events = POLLIN},
                           {.fd = g->parent_fd, .events = POLLIN},
                           {.fd = g->signal_fd, .events = POLLIN},
                           {.fd = g->timer_fd, .events = POLLIN}};
    uint64_t step = remaining_ns / 10 * 9 > STEP_MIN_NS ? remaining_ns / 10 * 9 : STEP_MIN_NS;
    struct itimerspec at = {0};
    struct signalfd_siginfo si;
    uint64_t count;

    if (remaining_ns != UINT64_MAX)
        at.it_value =
            (struct timespec){.tv_sec = (time_t)(step / 1000000000u), .tv_nsec = (long)(step % 1000000000u)};
    timerfd_settime(g->timer_fd, 0, &at, NULL);
    if (g->parent_dead)
        fds[1].fd = -1;
    if (poll(fds, 4, -1) < 0)
        return;
    if (fds[0].revents && read(g->wake_fd, &count, sizeof count) < 0)
        errno = 0;
    if (fds[1].revents)
        g->parent_dead = true;
    if (fds[2].revents && read(g->signal_fd, &si, sizeof si) == (ssize_t)sizeof si)
        g->ordered = true;
}

static const char *fence_reason(const struct guardian *g, const struct page_view *view)
{
    if (view->state != PAGE_STATE_ARMED)
        return NULL;
    if (g->parent_dead)
        return "sidecar-died";
    if (g->ordered)
        return "sigterm";
    return view->remaining_ns == 0 ? "deadline" : NULL;
}

static void watch(struct guardian *g)
{
    for (;;) {
        struct page_view view = page_look(g->page, &g->clock);
        const char *reason = fence_reason(g, &view);

        if (view.state == PAGE_STATE_FENCING) {
            fence(g, &view, "ordered");
            continue;
        }
        if (reason) {
            if (!page_begin_fence(g->page, &view))
                continue; /* the sidecar was quicker: look again */
            g->ordered = false;
            fence(g, &view, reason);
            continue;
        }
        if (g->parent_dead)
            return; /* nothing runs: the flock may go */
        g->ordered = g->ordered && view.state == PAGE_STATE_ARMED;
        wait_for_news(g, view.remaining_ns);
    }
}

static int open_signals(sigset_t *mask)
{
    sigemptyset(mask);
    sigaddset(mask, SIGTERM);
    sigaddset(mask, SIGINT);
    signal(SIGHUP, SIG_IGN); /* a reload, meant for the sidecar */
    sigprocmask(SIG_SETMASK, mask, NULL);
    signal(SIGPIPE, SIG_IGN);
    return signalfd(-1, mask, SFD_CLOEXEC | SFD_NONBLOCK);
}

/* Only what was given by number: a connection of the sidecar's would be kept open here after its death. */
static void close_others(char *const given[5])
{
    unsigned first = ~0u, last = 2;

    for (int i = 0; i < 5; i++) {
        unsigned fd = (unsigned)atoi(given[i]);

        first = fd < first ? fd : first;
        last = fd > last ? fd : last;
    }
    if (first > 3)
        close_range(3, first - 1, 0);
    close_range(last + 1, ~0u, 0);
}

int main(int argc, char *argv[])
{
    struct guardian g = {0};
    sigset_t mask;

    log_unblock();
    if (argc != 6) {
        log_error("usage", "what=\"galera-lease-guardian is started by galera-lease run only\"");
        return 2;
    }
    close_others(argv + 1);
    int r = page_map(atoi(argv[1]), &g.page);

    if (r < 0) {
        log_error(
            "page", "error=\"%s\" what=\"the sidecar's page cannot be read\" action=\"%s\"", strerror(-r),
            r == -EBADMSG ? "galera-lease and galera-lease-guardian come from different builds: install "
                            "both anew, then restart"
                          : "ends");
        return 1;
    }
    journal_init(g.page->config.lease, JOURNAL_SOCKET);
    g.wake_fd = atoi(argv[3]);
    g.notify_fd = atoi(argv[4]);
    g.parent_fd = atoi(argv[5]);
    g.signal_fd = open_signals(&mask);
    g.timer_fd = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK);
    if (g.signal_fd < 0 || g.timer_fd < 0) {
        log_error("start", "lease=%s error=\"%s\" what=\"no descriptor for signals or time\" action=\"ends\"",
                  g.page->config.lease, strerror(errno));
        return 1;
    }
    mlockall(MCL_CURRENT); /* where it may: no waiting for a busy disk before a fence. 0.3 MB, see its test */
    setsid();              /* a signal to the sidecar's group is not for us */
    notify(&g);            /* one before us may have died between "stopped" and saying so */
    watch(&g);
    if (g.page->config.cgroup_base[0])
        cgroup_remove(g.page->config.cgroup_base);
    return 0;
}
