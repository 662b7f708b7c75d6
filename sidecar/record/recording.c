#include "record/recording.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/cleanup.h"

#define TAIL_MAX 65536 /* the last line of a file that is there already is no longer than this */

/* A sidecar that was killed may have left half a line. */
static int trim(int fd, uint64_t *size)
{
    _cleanup_(freep) char *tail = malloc(TAIL_MAX);
    size_t length = *size < TAIL_MAX ? (size_t)*size : TAIL_MAX;

    if (!tail)
        return -ENOMEM;
    if (pread(fd, tail, length, (off_t)(*size - length)) != (ssize_t)length)
        return -EIO;
    if (length >= 8 && *size == length && memcmp(tail, "segment ", 8) != 0)
        return -EINVAL;
    const char *nl = memrchr(tail, '\n', length);

    if (!nl && *size > length)
        return -EINVAL;
    uint64_t whole = *size - length + (nl ? (size_t)(nl + 1 - tail) : 0);

    if (whole != *size && ftruncate(fd, (off_t)whole) < 0)
        return -errno;
    *size = whole;
    return 0;
}

/* A recording of this user, or an empty file of his. */
static int check_ours(int fd, uint64_t *ret_size)
{
    char first[8];
    struct stat st;

    if (fstat(fd, &st) < 0)
        return -errno;
    if (!S_ISREG(st.st_mode) || st.st_uid != geteuid())
        return -EINVAL;
    if (st.st_size > 0) {
        ssize_t n = pread(fd, first, sizeof first, 0);

        if (n < 0)
            return -errno;
        if (n != sizeof first || memcmp(first, "segment ", sizeof first) != 0)
            return -EINVAL;
    }
    *ret_size = (uint64_t)st.st_size;
    return 0;
}

int recording_open(const char *path, uint64_t *ret_size)
{
    _cleanup_(closep) int fd =
        open(path, O_RDWR | O_APPEND | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0600);

    if (fd < 0)
        return -errno;
    int s = check_ours(fd, ret_size);

    if (s < 0)
        return s;
    if (flock(fd, LOCK_EX | LOCK_NB) < 0)
        return -errno;
    s = *ret_size > 0 ? trim(fd, ret_size) : 0;
    return s < 0 ? s : steal_fd(&fd);
}

int recording_check_old(const char *path)
{
    _cleanup_(closep) int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    uint64_t size;

    if (fd < 0 && (errno == ELOOP || errno == EACCES || errno == ENXIO))
        return -EEXIST;
    if (fd < 0)
        return errno == ENOENT ? 0 : -errno;
    int s = check_ours(fd, &size);

    return s == -EINVAL ? -EEXIST : s;
}
