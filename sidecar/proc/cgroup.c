#include "proc/cgroup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/fsio.h"

/* The mount point of the cgroup2 file system: field 5 of the line whose type, after " - ", is cgroup2. */
static int find_mount(char *ret, size_t size)
{
    _cleanup_(fclosep) FILE *f = fopen("/proc/self/mountinfo", "re");
    char line[4096], point[CGROUP_PATH_MAX];

    if (!f)
        return -errno;
    while (fgets(line, sizeof line, f)) {
        if (!strstr(line, " - cgroup2 "))
            continue;
        if (sscanf(line, "%*s %*s %*s %*s %1023s", point) == 1 && strlen(point) < size) {
            strcpy(ret, point);
            return 0;
        }
    }
    return -ENOENT;
}

static int find_own(char *ret, size_t size)
{
    _cleanup_(fclosep) FILE *f = fopen("/proc/self/cgroup", "re");
    char line[CGROUP_PATH_MAX];

    if (!f)
        return -errno;
    while (fgets(line, sizeof line, f)) {
        if (strncmp(line, "0::", 3) != 0)
            continue;
        line[strcspn(line, "\n")] = '\0';
        snprintf(ret, size, "%s", strcmp(line + 3, "/") == 0 ? "" : line + 3);
        return 0;
    }
    return -ENOENT;
}

static int writable_folder(const char *path)
{
    char procs[CGROUP_PATH_MAX + 16];
    int r = fsio_mkdir_p(path, 0755);

    if (r < 0)
        return r;
    snprintf(procs, sizeof procs, "%s/cgroup.procs", path);
    return access(procs, W_OK) < 0 ? -errno : 0;
}

int cgroup_base(const char *name, char ret_path[CGROUP_PATH_MAX])
{
    char mount[CGROUP_PATH_MAX], own[CGROUP_PATH_MAX];
    int r = find_mount(mount, sizeof mount);

    if (r == 0)
        r = find_own(own, sizeof own);
    if (r < 0)
        return r;
    if (snprintf(ret_path, CGROUP_PATH_MAX, "%s%s/galera-lease/%s", mount, own, name) >= CGROUP_PATH_MAX)
        return -ENAMETOOLONG;
    return writable_folder(ret_path);
}

int cgroup_slot(const char *base, const char *slot, char ret_path[CGROUP_PATH_MAX])
{
    if (snprintf(ret_path, CGROUP_PATH_MAX, "%s/%s", base, slot) >= CGROUP_PATH_MAX)
        return -ENAMETOOLONG;
    return writable_folder(ret_path);
}

static int kill_listed(const char *path)
{
    char procs[CGROUP_PATH_MAX + 16];

    snprintf(procs, sizeof procs, "%s/cgroup.procs", path);
    _cleanup_(fclosep) FILE *f = fopen(procs, "re");
    long pid;

    if (!f)
        return -errno;
    while (fscanf(f, "%ld", &pid) == 1)
        kill((pid_t)pid, SIGKILL);
    return 0;
}

int cgroup_kill(const char *path)
{
    char file[CGROUP_PATH_MAX + 16];

    snprintf(file, sizeof file, "%s/cgroup.kill", path);
    _cleanup_(closep) int fd = open(file, O_WRONLY | O_CLOEXEC);

    if (fd >= 0 && write(fd, "1", 1) == 1)
        return 0;
    return kill_listed(path);
}

bool cgroup_populated(const char *path)
{
    char file[CGROUP_PATH_MAX + 16], text[256];

    snprintf(file, sizeof file, "%s/cgroup.events", path);
    int r = fsio_read(file, text, sizeof text, NULL);

    if (r < 0)
        return r != -ENOENT; /* what can't be read is not known to be empty */
    return strstr(text, "populated 1") != NULL;
}

void cgroup_remove(const char *base)
{
    char path[CGROUP_PATH_MAX + NAME_MAX + 2];
    DIR *d = opendir(base);

    if (!d)
        return;
    for (struct dirent *e; (e = readdir(d));) {
        if (e->d_type != DT_DIR || e->d_name[0] == '.')
            continue;
        snprintf(path, sizeof path, "%s/%s", base, e->d_name);
        rmdir(path);
    }
    closedir(d);
    rmdir(base);
}
