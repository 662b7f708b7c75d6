#pragma once
/* Starting the guardian and talking to it: the sidecar's side. */
#include <sys/types.h>

struct keeper {
    const char *path; /* of galera-lease-guardian; not owned */
    int page_fd, lock_fd;
    int wake_fd;   /* write: look at the page */
    int notify_fd; /* readable: the guardian changed the page */
    int self_fd;   /* pidfd of this process, for the guardian to watch */
    pid_t pid;     /* 0: none runs */
    int pidfd;     /* readable when it ends; -1: none */
};

/* @page_fd and @lock_fd stay the caller's. 0 or negative errno. */
int keeper_init(struct keeper *keeper, const char *path, int page_fd, int lock_fd);
void keeper_deinit(struct keeper *keeper);

int keeper_start(struct keeper *keeper); /* 0, or negative errno and none runs */
void keeper_wake(struct keeper *keeper);

/* After pidfd became readable. What waitpid() says; 0: none ran. */
int keeper_reap(struct keeper *keeper);
void keeper_kill(struct keeper *keeper); /* one just started that nobody could watch */
