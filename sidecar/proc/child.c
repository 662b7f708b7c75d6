#include "proc/child.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "util/cleanup.h"

#define PAGE_FD_IN_CHILD 3

static int run(const struct child_request *q, int out, char *const argv[], pid_t *ret_pid)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attr;
    sigset_t all;
    int r = posix_spawn_file_actions_init(&actions);

    if (r != 0)
        return -r;
    posix_spawnattr_init(&attr);
    sigfillset(&all); /* blocked until the launcher has put every signal right */
    posix_spawnattr_setsigmask(&attr, &all);
    posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK);
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, out, 1);
    posix_spawn_file_actions_adddup2(&actions, out, 2);
    if (q->page_fd >= 0)
        posix_spawn_file_actions_adddup2(&actions, q->page_fd, PAGE_FD_IN_CHILD);
    r = posix_spawn(ret_pid, q->launcher, &actions, &attr, argv, q->envp);
    posix_spawnattr_destroy(&attr);
    posix_spawn_file_actions_destroy(&actions);
    return -r;
}

int child_start(const struct child_request *q, struct child *ret_child)
{
    char epoch[24], parent[24];
    char *argv[14];
    unsigned n = 0;
    int out[2];
    pid_t pid = -1;

    snprintf(epoch, sizeof epoch, "%" PRIu64, q->epoch);
    argv[n++] = (char *)"galera-lease-launch";
    if (q->cgroup) {
        argv[n++] = (char *)"--cgroup";
        argv[n++] = (char *)q->cgroup;
    }
    if (q->page_fd >= 0) {
        argv[n++] = (char *)"--page-fd";
        argv[n++] = (char *)"3";
        argv[n++] = (char *)"--epoch";
        argv[n++] = epoch;
    }
    snprintf(parent, sizeof parent, "%d", (int)getpid());
    argv[n++] = (char *)"--with-parent";
    argv[n++] = parent;
    argv[n++] = (char *)"--";
    argv[n++] = (char *)q->path;
    argv[n] = NULL;
    if (pipe2(out, O_CLOEXEC) < 0)
        return -errno;
    _cleanup_(closep) int read_end = out[0];
    _cleanup_(closep) int write_end = out[1];

    /* Only our end: O_NONBLOCK on the other would surprise the hook. */
    if (fcntl(read_end, F_SETFL, O_NONBLOCK) < 0)
        return -errno;
    int r = run(q, write_end, argv, &pid);

    if (r < 0)
        return r;
    int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);

    if (pidfd < 0) {
        r = -errno;
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
        return r;
    }
    *ret_child = (struct child){.pid = pid, .pidfd = pidfd, .out_fd = steal_fd(&read_end)};
    return 0;
}
