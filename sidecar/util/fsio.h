#pragma once
/* Small files: read whole and bounded, replaced atomically. 0 or negative errno. */
#include <stdbool.h>
#include <stddef.h>

/* Reads at most size-1 bytes and ends them with NUL; -EFBIG when the file holds more. */
int fsio_read(const char *path, char *buf, size_t size, size_t *ret_length);

/*
 * Writes @path.tmp, renames it over @path. With @durable both the file and its folder are synced before this
 * returns, so that after a power cut the old or the new content is there, never a mixture.
 */
int fsio_replace(const char *path, const char *text, size_t length, unsigned mode, bool durable);

/* Makes @path and what is missing above it, and syncs the folders in which something was made. */
int fsio_mkdir_p(const char *path, unsigned mode);
