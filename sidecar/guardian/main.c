/*
 * galera-lease-guardian: stops the controller when the sidecar can't (R5).
 *
 *     galera-lease-guardian PAGE_FD LOCK_FD WAKE_FD NOTIFY_FD PARENT_PIDFD
 *
 * Started by the sidecar only. It fences when its parent dies armed, when deadline-(K+M) passes, when it is
 * ordered to, and on SIGTERM while armed; it repeats fence and check until the check confirms the stop. It
 * holds a copy of the lease's flock until then, so that no new sidecar of this host begins before.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "guardian/page.h"
#include "hook/hook.h"
#include "proc/cgroup.h"
#include "proc/kill.h"
#include "util/log.h"

#define RETRY_NS    200000000
#define STEP_MIN_NS UINT64_C(500000)

struct guardian {
    struct page *page;
    int wake_fd, notify_fd, parent_fd, signal_fd, timer_fd;
    struct clocks clock;
    uint32_t anchor_seen;
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
    char quoted[HOOK_LINE_MAX * 2];

    log_info("hook-output", "hook=%s line=%s", (const char *)userdata,
             log_quote(line, quoted, sizeof quoted));
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
                               .epoch = atomic_load(&g->page->armed_epoch)};
    struct hook_spec spec = {.kind = kind,
                             .path = path,
                             .launcher = c->launcher,
                             .cgroup = c->guardian_cgroup[0] ? c->guardian_cgroup : NULL,
                             .page_fd = -1,
                             .budget_ns = budget_ns};

    return hook_run_sync(&spec, &facts, on_line, (void *)(uintptr_t)hook_kind_name(kind));
}

/* R9: what a running promote left must be gone before the fence hook looks. */
static void kill_promote(struct guardian *g)
{
    pid_t pid = (pid_t)atomic_load(&g->page->promote_pid);

    if (pid <= 0)
        return;
    if (g->page->config.promote_cgroup[0])
        cgroup_kill(g->page->config.promote_cgroup);
    kill_session(pid);
}

static void fence(struct guardian *g, const char *reason)
{
    const struct page_config *c = &g->page->config;
    uint64_t epoch = atomic_load(&g->page->armed_epoch);
    uint64_t fence_budget = c->kill_budget_ns > 2 * c->check_budget_ns
                                ? c->kill_budget_ns - c->check_budget_ns
                                : c->kill_budget_ns / 2;

    log_warning("fence", "lease=%s member=%s epoch=%llu reason=%s", c->lease, c->member,
                (unsigned long long)epoch, reason);
    notify(g);
    for (unsigned attempt = 1;; attempt++) {
        kill_promote(g);
        enum hook_outcome fenced = run_hook(g, HOOK_FENCE, c->fence_hook, fence_budget, reason);
        enum hook_outcome checked = run_hook(g, HOOK_CHECK, c->check_hook, c->check_budget_ns, reason);

        if (checked == HOOK_STOPPED)
            break;
        /* Never give up: while this page says fencing nobody here starts anything, and the lease is not
         * released. */
        if (attempt == 1 || attempt % 50 == 0)
            log_error("fence-unconfirmed",
                      "lease=%s member=%s epoch=%llu attempt=%u fence_outcome=%d check_outcome=%d "
                      "action=\"the controller "
                      "may still run: stop it by hand\"",
                      c->lease, c->member, (unsigned long long)epoch, attempt, (int)fenced, (int)checked);
        nanosleep(&(struct timespec){.tv_nsec = RETRY_NS}, NULL);
    }
    log_info("stopped", "lease=%s member=%s epoch=%llu", c->lease, c->member, (unsigned long long)epoch);
    page_set_stopped(g->page);
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

static const char *fence_reason(struct guardian *g, uint64_t word, uint64_t remaining)
{
    bool armed = word != 0;

    if (!armed)
        return NULL;
    if (g->parent_dead)
        return "sidecar-died";
    if (g->ordered)
        return "sigterm";
    return remaining == 0 ? "deadline" : NULL;
}

static int watch(struct guardian *g)
{
    for (;;) {
        uint64_t word, remaining, stopped;

        page_clock_sync(g->page, &g->clock, &g->anchor_seen);
        clocks_sample(&g->clock);
        /* "Stopped" first: only we say it, so with a fencing word read after it the sidecar can't have
         * cleared the bit in between, and we never begin a fence that nobody ordered. */
        bool done = page_stopped(g->page, &stopped);
        bool fencing = page_remaining(g->page, &g->clock, &word, &remaining) == PAGE_FENCING;

        if (fencing && !done) {
            fence(g, "ordered");
            continue;
        }
        if (g->parent_dead && (word == 0 || fencing))
            return 0; /* nothing runs: the flock may go */
        const char *reason = fencing ? NULL : fence_reason(g, word, remaining);

        if (reason && page_begin_fence(g->page, word)) {
            g->ordered = false;
            fence(g, reason);
            continue;
        }
        if (reason)
            continue; /* the sidecar was quicker: look again */
        g->ordered = g->ordered && word != 0;
        wait_for_news(g, remaining);
    }
}

static int fd_argument(char *argv[], int i)
{
    return atoi(argv[i]);
}

/*
 * A log that nobody reads must not stop a fence: a write into a full pipe would block. The flag belongs to
 * the open file, which the sidecar shares, so take one of our own.
 */
static void unblock_stderr(void)
{
    int fd = open("/proc/self/fd/2", O_WRONLY | O_APPEND | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);

    if (fd < 0)
        return; /* a socket: the journal's */
    dup2(fd, STDERR_FILENO);
    close(fd);
}

int main(int argc, char *argv[])
{
    struct guardian g = {0};
    sigset_t mask;

    unblock_stderr();
    if (argc != 6) {
        log_error("usage", "what=\"galera-lease-guardian is started by galera-lease run only\"");
        return 2;
    }
    if (page_map(fd_argument(argv, 1), &g.page) < 0) {
        log_error("page", "what=\"not a page of this version\"");
        return 1;
    }
    g.wake_fd = fd_argument(argv, 3);
    g.notify_fd = fd_argument(argv, 4);
    g.parent_fd = fd_argument(argv, 5);
    sigemptyset(&mask);
    sigaddset(&mask, SIGTERM);
    sigaddset(&mask, SIGINT);
    sigaddset(&mask, SIGHUP);
    sigprocmask(SIG_SETMASK, &mask, NULL);
    signal(SIGPIPE, SIG_IGN);
    g.signal_fd = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
    g.timer_fd = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK);
    if (g.signal_fd < 0 || g.timer_fd < 0)
        return 1;
    clocks_init(&g.clock);
    setsid(); /* a signal to the sidecar's group is not for us */
    return watch(&g);
}
