/*
 * galera-lease-launch: the last step before a hook runs.
 *
 *     galera-lease-launch [--cgroup DIR] [--page-fd N --epoch E] [--with-parent PID] -- /path/to/executable
 *
 * Own session, own cgroup, signals as a fresh process expects them, and, for a promote hook, the question to
 * the guardian's page whether this epoch may still start anything. It runs between fork and exec, where the
 * threaded sidecar must not run code of its own.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "guardian/page.h"
#include "proc/child.h"
#include "util/cleanup.h"
#include "util/parse.h"

static _Noreturn void die(int code, const char *what, const char *detail)
{
    fprintf(stderr, "galera-lease-launch: %s %s: %s\n", what, detail, strerror(errno));
    exit(code);
}

static int enter(const char *folder)
{
    char path[2048];

    snprintf(path, sizeof path, "%s/cgroup.procs", folder);
    _cleanup_(closep) int fd = open(path, O_WRONLY | O_CLOEXEC);

    return fd >= 0 && write(fd, "0", 1) == 1 ? 0 : -1;
}

/* With the folder around it: whoever tidies up takes both. */
static void make_again(const char *folder)
{
    char parent[2048];

    snprintf(parent, sizeof parent, "%s", folder);
    char *slash = strrchr(parent, '/');

    if (slash)
        *slash = '\0';
    mkdir(parent, 0755);
    mkdir(folder, 0755);
}

/*
 * An empty cgroup may have been removed by anybody. A controller never starts outside: it would be killed
 * less surely. But a hook that stops or looks runs all the same: without its cgroup it can leave something
 * behind, without running it leaves the controller.
 */
static void join_cgroup(const char *folder, bool starts)
{
    if (enter(folder) == 0)
        return;
    make_again(folder);
    if (enter(folder) == 0)
        return;
    if (starts)
        die(CHILD_EXIT_SETUP, "cannot join", folder);
    fprintf(stderr, "galera-lease-launch: cannot join %s: %s, going on outside of it\n", folder,
            strerror(errno));
}

/*
 * Straight to the kernel: the C library refuses to touch the two signals that it uses itself, and its
 * posix_spawn leaves them ignored. All zeroes is the default action on every architecture.
 */
static void reset_signals(void)
{
    const uint64_t by_default[16] = {0};
    sigset_t none;

    for (int s = 1; s < NSIG; s++)
        syscall(SYS_rt_sigaction, s, by_default, NULL, NSIG / 8);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

static void ask_page(int fd, uint64_t epoch)
{
    struct page *page;

    if (page_map(fd, &page) < 0)
        die(CHILD_EXIT_SETUP, "cannot map", "the guardian's page");
    if (!page_may_start(page, epoch)) {
        fprintf(stderr, "galera-lease-launch: epoch %llu may not start any more: the lease is ending\n",
                (unsigned long long)epoch);
        exit(CHILD_EXIT_FORBIDDEN);
    }
}

/*
 * A demote that outlives its sidecar would go on to stop what the next sidecar has started since, and a
 * promote that also outlives the guardian would start a controller of an old epoch. What the hook has forked
 * is not touched: of a promote that is the controller. The signal comes when the thread that spawned us ends:
 * the parent's main thread, or one that waits for this very hook.
 */
static void end_with_parent(pid_t parent)
{
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
        die(CHILD_EXIT_SETUP, "cannot be tied to", "its parent");
    if (getppid() != parent) /* it ended before we asked */
        raise(SIGKILL);
}

int main(int argc, char *argv[])
{
    const char *cgroup = NULL;
    int page_fd = -1, i = 1;
    uint64_t epoch = 0, parent = 0;

    for (; i + 1 < argc && strcmp(argv[i], "--") != 0; i += 2) {
        if (strcmp(argv[i], "--cgroup") == 0)
            cgroup = argv[i + 1];
        else if (strcmp(argv[i], "--page-fd") == 0)
            page_fd = atoi(argv[i + 1]);
        else if (strcmp(argv[i], "--epoch") == 0 && parse_u64(argv[i + 1], &epoch) == 0)
            continue;
        else if (strcmp(argv[i], "--with-parent") != 0 || parse_u64(argv[i + 1], &parent) < 0)
            break;
    }
    if (i + 1 >= argc || strcmp(argv[i], "--") != 0) {
        fprintf(stderr, "usage: galera-lease-launch [--cgroup DIR] [--page-fd N --epoch E] "
                        "[--with-parent PID] -- EXECUTABLE\n");
        return CHILD_EXIT_SETUP;
    }
    if (parent != 0)
        end_with_parent((pid_t)parent);
    setsid(); /* fails only for a group leader, which has what we want */
    if (cgroup)
        join_cgroup(cgroup, page_fd >= 0);
    if (page_fd >= 0)
        ask_page(page_fd, epoch);
    reset_signals();
    if (close_range(3, ~0U, 0) < 0)
        die(CHILD_EXIT_SETUP, "cannot close", "descriptors");
    execv(argv[i + 1], argv + i + 1);
    die(CHILD_EXIT_EXEC, "cannot execute", argv[i + 1]);
}
