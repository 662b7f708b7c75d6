#pragma once
/*
 * Starting one executable in its own session and cgroup.
 *
 * The sidecar has threads, so no C code of ours may run in a forked child: posix_spawn starts the launcher
 * (guardian/launch.c), which makes the session, joins the cgroup, asks the guardian's page, and execs.
 *
 * The child is killed when the thread that started it ends: nobody would be left to hear of it. What it has
 * forked by then is not.
 */
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Exit codes of the launcher itself. */
#define CHILD_EXIT_FORBIDDEN 125 /* the page says that this start is too late */
#define CHILD_EXIT_SETUP     126
#define CHILD_EXIT_EXEC      127

struct child_request {
    const char *launcher;
    const char *path;
    char *const *envp;  /* complete: nothing is inherited */
    const char *cgroup; /* folder to join; NULL: none */
    int page_fd;        /* >= 0: ask this page first ... */
    uint64_t epoch;     /* ... whether this epoch may start */
};

struct child {
    pid_t pid;
    int pidfd;
    int out_fd; /* stdout and stderr, non-blocking */
};

/* 0 or negative errno. The caller owns what @ret_child holds and must reap the pid. */
int child_start(const struct child_request *request, struct child *ret_child);
