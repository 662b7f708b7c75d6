#include "state/state.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/fsio.h"
#include "util/parse.h"

#define STATE_FORMAT                                                                                         \
    "galera-lease state 1\nboot %s\nepoch_seen %" PRIu64 "\nnonce %s\nepoch %" PRIu64                        \
    "\nremaining_ns %" PRIu64 "\nat %" PRIu64 " %" PRIu64 " %" PRIu64 "\n"
#define STATE_SCAN                                                                                           \
    "galera-lease state 1\nboot %36[0-9a-f-]\nepoch_seen %" SCNu64 "\nnonce %32[0-9a-f]\nepoch %" SCNu64     \
    "\nremaining_ns %" SCNu64 "\nat %" SCNu64 " %" SCNu64 " %" SCNu64 "\n"
#define STATE_MAX 1024

/* FNV-1a: against truncation and flipped bits, not against people. */
static uint64_t checksum(const char *text, size_t length)
{
    uint64_t h = UINT64_C(14695981039346656037);

    for (size_t i = 0; i < length; i++)
        h = (h ^ (uint8_t)text[i]) * UINT64_C(1099511628211);
    return h;
}

int state_lock(const char *folder, int *ret_fd)
{
    char path[512];
    int r = fsio_mkdir_p(folder, 0700);

    if (r < 0)
        return r;
    snprintf(path, sizeof path, "%s/lock", folder);
    _cleanup_(closep) int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

    if (fd < 0)
        return -errno;
    if (flock(fd, LOCK_EX | LOCK_NB) < 0)
        return errno == EWOULDBLOCK ? STATE_LOCKED : -errno;
    *ret_fd = steal_fd(&fd);
    return STATE_OK;
}

static int decode(const char *text, size_t length, struct state_record *r, char boot[CLOCKS_BOOT_ID_SIZE])
{
    char nonce[33];
    const char *sum =
        length > 22 ? text + length - 22 : NULL; /* "sum " + 16 digits + newline, after the body */
    uint64_t stored;

    if (strlen(text) != length || !sum || !(sum = strstr(text, "sum ")) || sum == text || sum[-1] != '\n')
        return STATE_DAMAGED;
    if (text + length - sum != 21 || sum[20] != '\n' || sscanf(sum, "sum %16" SCNx64, &stored) != 1 ||
        stored != checksum(text, (size_t)(sum - text)))
        return STATE_DAMAGED;
    if (sscanf(text, STATE_SCAN, boot, &r->epoch_seen, nonce, &r->epoch, &r->remaining_ns, &r->at.boot_ns,
               &r->at.raw_ns, &r->at.mono_ns) != 8 ||
        parse_hex(nonce, r->nonce.bytes, sizeof r->nonce.bytes) < 0)
        return STATE_DAMAGED;
    return STATE_OK;
}

int state_load(const char *folder, struct lease_memory *ret)
{
    char path[512], text[STATE_MAX], boot[CLOCKS_BOOT_ID_SIZE] = "", ours[CLOCKS_BOOT_ID_SIZE];
    struct state_record record = {0};
    struct clocks_instant now;
    size_t length;

    memset(ret, 0, sizeof *ret);
    snprintf(path, sizeof path, "%s/state", folder);
    int r = fsio_read(path, text, sizeof text, &length);

    if (r == -ENOENT)
        return STATE_ABSENT;
    if (r == -EFBIG)
        return STATE_DAMAGED;
    if (r < 0)
        return r;
    if (decode(text, length, &record, boot) != STATE_OK)
        return STATE_DAMAGED;
    ret->epoch_seen = record.epoch_seen;
    r = clocks_boot_id(ours);
    if (r < 0)
        return r;
    if (strcmp(boot, ours) != 0)
        return STATE_OTHER_BOOT;
    clocks_instant_now(&now);
    uint64_t elapsed = clocks_elapsed_fast_ns(&record.at, &now);

    ret->nonce = record.nonce;
    ret->epoch = record.epoch;
    ret->remaining_ns = record.remaining_ns > elapsed ? record.remaining_ns - elapsed : 0;
    return STATE_OK;
}

int state_save(const char *folder, const struct state_record *r, int durable)
{
    char path[512], text[STATE_MAX], nonce[33], boot[CLOCKS_BOOT_ID_SIZE];
    int e = clocks_boot_id(boot);

    if (e < 0)
        return e;
    format_hex(r->nonce.bytes, sizeof r->nonce.bytes, nonce);
    int n = snprintf(text, sizeof text, STATE_FORMAT, boot, r->epoch_seen, nonce, r->epoch, r->remaining_ns,
                     r->at.boot_ns, r->at.raw_ns, r->at.mono_ns);

    n += snprintf(text + n, sizeof text - (size_t)n, "sum %016" PRIx64 "\n", checksum(text, (size_t)n));
    snprintf(path, sizeof path, "%s/state", folder);
    return fsio_replace(path, text, (size_t)n, 0600, durable);
}
