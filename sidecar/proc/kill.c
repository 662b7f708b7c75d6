#include "proc/kill.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/fsio.h"

#define PASSES 3 /* a process may fork while we look */

#define PID_BITS 22 /* the kernel's PID_MAX_LIMIT is 4 million */

struct target {
    pid_t session;
    const char *mark; /* NULL: any */
};

static bool read_stat(const char *pid, int *ret_session, uint64_t *ret_start)
{
    char path[64], text[1024];

    snprintf(path, sizeof path, "/proc/%.20s/stat", pid);
    if (fsio_read(path, text, sizeof text, NULL) < 0)
        return false;
    const char *after = strrchr(text, ')'); /* the name may hold anything */

    return after &&
           sscanf(after + 1,
                  " %*c %*d %*d %d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %" SCNu64,
                  ret_session, ret_start) == 2;
}

/* Looks at the beginning only: hooks get a small environment. */
static bool marked(const char *pid, const char *mark)
{
    char path[64], text[4096];
    size_t length = strlen(mark);

    snprintf(path, sizeof path, "/proc/%.20s/environ", pid);
    _cleanup_(closep) int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);

    if (n < 0)
        return false;
    text[n] = '\0';
    for (const char *at = text; at < text + n; at += strlen(at) + 1)
        if (strncmp(at, mark, length + 1) == 0)
            return true;
    return false;
}

static bool kill_pass(const struct target *t)
{
    DIR *proc = opendir("/proc");
    bool found = false;
    uint64_t start;
    int session;

    if (!proc)
        return false;
    for (struct dirent *e; (e = readdir(proc));) {
        if (!isdigit((unsigned char)e->d_name[0]) || !read_stat(e->d_name, &session, &start) ||
            session != t->session || (t->mark && !marked(e->d_name, t->mark)))
            continue;
        kill((pid_t)atoi(e->d_name), SIGKILL);
        found = true;
    }
    closedir(proc);
    return found;
}

static void kill_passes(pid_t leader, const char *mark)
{
    const struct target target = {.session = leader, .mark = mark};

    for (unsigned i = 0; i < PASSES && kill_pass(&target); i++)
        ;
}

void kill_session(pid_t leader)
{
    if (leader <= 1)
        return;
    kill(-leader, SIGKILL);
    kill_passes(leader, NULL);
}

uint64_t kill_identity(pid_t pid)
{
    char text[24];
    uint64_t start;
    int session;

    snprintf(text, sizeof text, "%d", (int)pid);
    return pid > 0 && read_stat(text, &session, &start) ? start << PID_BITS | (uint64_t)pid : 0;
}

void kill_session_of(uint64_t identity, const char *mark)
{
    pid_t pid = (pid_t)(identity & ((UINT64_C(1) << PID_BITS) - 1));
    uint64_t now = kill_identity(pid);

    if (pid <= 1)
        return;
    if (now == identity)
        kill_session(pid);
    else if (now == 0)
        kill_passes(pid, mark);
}
