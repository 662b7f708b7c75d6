#pragma once
/*
 * Our part of the cgroup v2 tree, found through mountinfo because v2 may be mounted beside v1.
 * Paths are bounded by CGROUP_PATH_MAX. 0 or negative errno. Never blocks for longer than a file write.
 */
#include <stdbool.h>

#define CGROUP_PATH_MAX 1024

/*
 * Makes <v2 mount>/<our own cgroup>/galera-lease/<name> and writes its path. -ENOENT: no v2 here; -EROFS,
 * -EACCES: not writable. The caller falls back to process groups and sessions, and says so.
 */
int cgroup_base(const char *name, char ret_path[CGROUP_PATH_MAX]);

/* Makes @base/@slot and writes its path. */
int cgroup_slot(const char *base, const char *slot, char ret_path[CGROUP_PATH_MAX]);

/* Kills every process below @path (cgroup.kill, Linux 5.14; else each listed process). */
int cgroup_kill(const char *path);

/* True while a process is left below @path, and when that can't be told; a folder that is gone is empty. */
bool cgroup_populated(const char *path);

/* Removes @base and the slots in it, as far as nothing is left in them. */
void cgroup_remove(const char *base);
