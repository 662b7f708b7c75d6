#pragma once
/*
 * Do the files of this controller look like those of the others? Each is hashed (SHA-256, of which 48 bits
 * are kept), without the lines that are to be ignored; how lines end does not count, nor does the last one's
 * end.
 *
 * The digest is one line for the database, sorted by path: "/etc/cmon.cnf:0123456789ab,/etc/x:missing". What
 * it has to say of two digests is said there, by galera_lease.file_drift().
 *
 * Thread: one that may wait; files may lie on a disk that hangs.
 */
#include <stddef.h>

#define DRIFT_FILES_MAX    8
#define DRIFT_PATTERNS_MAX 16
#define DRIFT_SIZE_MAX     (1u << 20) /* of a file: a bigger one is not compared */
#define DRIFT_DIGEST_MAX   1023
#define DRIFT_ENTRY_MORE   14 /* what an entry has beside its path */

/* As a digest before the first one: not known yet. */
#define DRIFT_UNREAD "?"

struct drift;

/* 0, -ENOMEM or -EINVAL (a pattern). Paths and patterns are copied. */
int drift_new(const char *const *paths, size_t path_count, const char *const *patterns, size_t pattern_count,
              struct drift **ret);
struct drift *drift_free(struct drift *drift);

void drift_digest(const struct drift *drift, char ret_digest[DRIFT_DIGEST_MAX + 1]);

/* An extended POSIX expression? 0; or 1 with what is wrong with it. */
int drift_pattern_check(const char *pattern, char *ret_reason, size_t size);
