/* Who may write a hook may run anything as us: so nobody else may. */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "hook/hook.h"

static bool trusted_owner(const struct stat *st)
{
    return st->st_uid == 0 || st->st_uid == geteuid();
}

/* A writable folder lets others swap what lies in it. Root's sticky folders pass: there only the owner can.
 */
static int verify_folder(const char *path, char *reason, unsigned size)
{
    struct stat st;

    if (stat(path, &st) == 0 && trusted_owner(&st) &&
        (!(st.st_mode & (S_IWGRP | S_IWOTH)) || (st.st_uid == 0 && (st.st_mode & S_ISVTX))))
        return 0;
    snprintf(reason, size, "the folder %s can be written by others", path);
    return 1;
}

/* Puts what the link @path says before what is left to walk, in @todo. 0, or 1 with a reason. */
static int follow(const char *path, char *todo, char *reason, unsigned size)
{
    char target[PATH_MAX], rest[PATH_MAX];
    struct stat st;
    ssize_t length = readlink(path, target, sizeof target - 1);

    if (length < 0 || lstat(path, &st) < 0) {
        snprintf(reason, size, "%s: %s", path, strerror(errno));
        return 1;
    }
    if (!trusted_owner(&st)) {
        snprintf(reason, size, "the link %s belongs to somebody else", path);
        return 1;
    }
    target[length] = '\0';
    strcpy(rest, todo);
    if (snprintf(todo, PATH_MAX, "%s/%s", target, rest) < PATH_MAX)
        return 0;
    snprintf(reason, size, "%s: %s", path, strerror(ENAMETOOLONG));
    return 1;
}

/*
 * Walks to @path as the kernel will, link by link: each folder in which something is looked up must be one
 * that nobody else can write. What the path comes to in the end would not tell that a link on the way can be
 * turned.
 */
static int verify_way(const char *path, char *reason, unsigned size)
{
    char todo[PATH_MAX], at[2 * PATH_MAX] = "/", word[PATH_MAX];
    struct stat st;
    int r = 0;

    snprintf(todo, sizeof todo, "%s", path);
    for (char *next = todo + strspn(todo, "/"); r == 0 && *next; next = todo + strspn(todo, "/")) {
        size_t end = strlen(at), length = strcspn(next, "/");

        snprintf(word, sizeof word, "%.*s", (int)length, next);
        memmove(todo, next + length, strlen(next + length) + 1);
        if (strcmp(word, ".") == 0)
            continue;
        if (strcmp(word, "..") == 0) {
            char *slash = strrchr(at, '/');

            slash[slash == at] = '\0'; /* above / is / */
            continue;
        }
        r = verify_folder(at, reason, size);
        snprintf(at + end, sizeof at - end, "%s%s", end > 1 ? "/" : "", word);
        if (r == 0 && lstat(at, &st) == 0 && S_ISLNK(st.st_mode)) {
            r = follow(at, todo, reason, size);
            at[todo[0] == '/' ? 1 : end] = '\0';
        }
    }
    return r;
}

static int verify_file(const char *path, char *reason, unsigned size)
{
    struct stat st;

    if (stat(path, &st) < 0) { /* also a loop of links: the walk needs no count of its own */
        snprintf(reason, size, "%s: %s", path, strerror(errno));
        return 1;
    }
    if (!S_ISREG(st.st_mode) || access(path, X_OK) < 0) {
        snprintf(reason, size, "%s is not an executable file", path);
        return 1;
    }
    if (!trusted_owner(&st) || (st.st_mode & (S_IWGRP | S_IWOTH))) {
        snprintf(reason, size, "%s must belong to root or the running user and be writable by nobody else",
                 path);
        return 1;
    }
    return verify_way(path, reason, size);
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
