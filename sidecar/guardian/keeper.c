#include "guardian/keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

int keeper_init(struct keeper *k, const char *path, int page_fd, int lock_fd)
{
    *k = (struct keeper){.path = path, .page_fd = page_fd, .lock_fd = lock_fd, .pidfd = -1};
    k->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    k->notify_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    k->self_fd = (int)syscall(SYS_pidfd_open, getpid(), 0);
    return k->wake_fd < 0 || k->notify_fd < 0 || k->self_fd < 0 ? -errno : 0;
}

void keeper_deinit(struct keeper *k)
{
    int *fds[] = {&k->wake_fd, &k->notify_fd, &k->self_fd, &k->pidfd};

    for (unsigned i = 0; i < sizeof fds / sizeof fds[0]; i++) {
        if (*fds[i] >= 0)
            close(*fds[i]);
        *fds[i] = -1;
    }
}

/* Ours are close-on-exec; dup2 to a higher number hands over a copy that is not. */
#define CHILD_FD_BASE 100

int keeper_start(struct keeper *k)
{
    int fds[] = {k->page_fd, k->lock_fd, k->wake_fd, k->notify_fd, k->self_fd};
    char text[5][12];
    char *argv[7] = {(char *)"galera-lease-guardian"};
    char stream[64];
    char *envp[] = {(char *)"PATH=/usr/sbin:/usr/bin:/sbin:/bin", (char *)"LANG=C.UTF-8", NULL, NULL};
    const char *journal = getenv("JOURNAL_STREAM"); /* its log goes where ours does */
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attr;
    sigset_t early, every;
    pid_t pid;

    snprintf(stream, sizeof stream, "JOURNAL_STREAM=%s", journal ? journal : "");
    if (journal)
        envp[2] = stream;
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attr);
    /* An order that arrives before the guardian looks for it must wait, not kill; and none that this process
     * ignores may be ignored there. */
    sigemptyset(&early);
    sigaddset(&early, SIGTERM);
    sigaddset(&early, SIGINT);
    sigaddset(&early, SIGHUP);
    sigfillset(&every);
    posix_spawnattr_setsigmask(&attr, &early);
    posix_spawnattr_setsigdefault(&attr, &every);
    posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    for (int i = 0; i < 5; i++) {
        posix_spawn_file_actions_adddup2(&actions, fds[i], CHILD_FD_BASE + i);
        snprintf(text[i], sizeof text[i], "%d", CHILD_FD_BASE + i);
        argv[1 + i] = text[i];
    }
    int r = posix_spawn(&pid, k->path, &actions, &attr, argv, envp);

    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attr);
    if (r != 0)
        return -r;
    k->pid = pid;
    k->pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    if (k->pidfd < 0) {
        r = errno;
        keeper_kill(k);
    }
    return -r;
}

void keeper_wake(struct keeper *k)
{
    uint64_t one = 1;

    if (write(k->wake_fd, &one, sizeof one) < 0)
        errno = 0; /* the counter is full: it will look anyway */
}

void keeper_kill(struct keeper *k)
{
    if (k->pid > 0)
        kill(k->pid, SIGKILL);
    keeper_reap(k);
}

int keeper_reap(struct keeper *k)
{
    int status = 0;

    if (k->pid > 0)
        waitpid(k->pid, &status, 0);
    if (k->pidfd >= 0)
        close(k->pidfd);
    k->pid = 0;
    k->pidfd = -1;
    return status;
}
