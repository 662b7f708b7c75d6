/* Who may write a hook may run anything as us: so nobody else may. */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "hook/hook.h"
#include "util/cleanup.h"

static bool trusted_owner(const struct stat *st)
{
    return st->st_uid == 0 || st->st_uid == geteuid();
}

/* Every folder on the way down: a writable parent can swap what is below it. Root's sticky folders pass. */
static int verify_parents(const char *real, char *reason, unsigned size)
{
    char part[PATH_MAX];

    snprintf(part, sizeof part, "%s", real);
    for (char *slash = strrchr(part, '/'); slash; slash = strrchr(part, '/')) {
        struct stat st;

        slash[slash == part] = '\0';
        if (stat(part, &st) < 0 || !trusted_owner(&st) ||
            ((st.st_mode & (S_IWGRP | S_IWOTH)) && !(st.st_uid == 0 && (st.st_mode & S_ISVTX)))) {
            snprintf(reason, size, "the folder %s can be written by others", part);
            return 1;
        }
        if (strcmp(part, "/") == 0)
            break;
    }
    return 0;
}

static int verify_file(const char *path, char *reason, unsigned size)
{
    _cleanup_(freep) char *real = realpath(path, NULL);
    struct stat st;

    if (!real || stat(real, &st) < 0) {
        snprintf(reason, size, "%s: %s", path, strerror(errno));
        return 1;
    }
    if (!S_ISREG(st.st_mode) || access(real, X_OK) < 0) {
        snprintf(reason, size, "%s is not an executable file", path);
        return 1;
    }
    if (!trusted_owner(&st) || (st.st_mode & (S_IWGRP | S_IWOTH))) {
        snprintf(reason, size, "%s must belong to root or the running user and be writable by nobody else",
                 path);
        return 1;
    }
    return verify_parents(real, reason, size);
}

int hook_verify(const char *path, char *reason, unsigned size)
{
    struct stat st;

    if (stat(path, &st) == 0 && S_ISDIR(st.st_mode)) {
        DIR *d = opendir(path);
        unsigned found = 0;
        int r = 0;

        if (!d) {
            snprintf(reason, size, "%s: %s", path, strerror(errno));
            return 1;
        }
        for (struct dirent *e; r == 0 && (e = readdir(d));) {
            char file[PATH_MAX];

            if (e->d_name[0] == '.')
                continue;
            snprintf(file, sizeof file, "%s/%s", path, e->d_name);
            r = verify_file(file, reason, size);
            found++;
        }
        closedir(d);
        if (r == 0 && (found == 0 || found > HOOK_STEPS_MAX)) {
            snprintf(reason, size, "the folder %s holds %s", path, found == 0 ? "no hook" : "too many hooks");
            return 1;
        }
        return r;
    }
    return verify_file(path, reason, size);
}
