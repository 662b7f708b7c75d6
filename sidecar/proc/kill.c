#include "proc/kill.h"

#include <ctype.h>
#include <dirent.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/fsio.h"

#define PASSES 3 /* a process may fork while we look */

static pid_t session_of(const char *pid)
{
    char path[64], text[1024];
    int session;

    snprintf(path, sizeof path, "/proc/%.20s/stat", pid);
    if (fsio_read(path, text, sizeof text, NULL) < 0)
        return -1;
    const char *after = strrchr(text, ')'); /* the name may hold anything */

    if (!after || sscanf(after + 1, " %*c %*d %*d %d", &session) != 1)
        return -1;
    return session;
}

static bool kill_pass(pid_t leader)
{
    DIR *proc = opendir("/proc");
    bool found = false;

    if (!proc)
        return false;
    for (struct dirent *e; (e = readdir(proc));) {
        if (!isdigit((unsigned char)e->d_name[0]) || session_of(e->d_name) != leader)
            continue;
        kill((pid_t)atoi(e->d_name), SIGKILL);
        found = true;
    }
    closedir(proc);
    return found;
}

void kill_session(pid_t leader)
{
    if (leader <= 1)
        return;
    kill(-leader, SIGKILL);
    for (unsigned i = 0; i < PASSES && kill_pass(leader); i++)
        ;
}
