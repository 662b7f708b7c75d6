#pragma once
/* The files of a recording: nothing that is no recording of this user is written to, nor replaced. */
#include <stdint.h>

/*
 * Opens @path to append to it, makes it if need be, locks it, and cuts half a line off that a killed sidecar
 * left. A descriptor, or negative errno: -EINVAL: not a regular file of this user, or no recording.
 */
int recording_open(const char *path, uint64_t *ret_size);

/* May a recording be renamed to @path? 0 or negative errno, -EEXIST: something else is there. */
int recording_check_old(const char *path);
