#include "state/state.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/fsio.h"
#include "util/parse.h"

/* Version 2 has one line more, at its end. Where there is nothing to say in it version 1 is written. */
#define TITLE       "galera-lease state "
#define VERSION_LEN 2 /* with its newline */
#define STATE_FORMAT                                                                                         \
    TITLE "%c\nboot %s\nepoch_seen %" PRIu64 "\nnonce %s\nepoch %" PRIu64 "\nremaining_ns %" PRIu64          \
          "\nat %" PRIu64 " %" PRIu64 " %" PRIu64 "\n"
#define STATE_SCAN                                                                                           \
    TITLE "%*c\nboot %36[0-9a-f-]\nepoch_seen %" SCNu64 "\nnonce %32[0-9a-f]\nepoch %" SCNu64                \
          "\nremaining_ns %" SCNu64 "\nat %" SCNu64 " %" SCNu64 " %" SCNu64

static int path_in(const char *folder, const char *name, char ret_path[PATH_MAX])
{
    return snprintf(ret_path, PATH_MAX, "%s/%s", folder, name) < PATH_MAX ? 0 : -ENAMETOOLONG;
}

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
    char path[PATH_MAX];
    int r = path_in(folder, "lock", path);

    if (r == 0)
        r = fsio_mkdir_p(folder, 0700);
    if (r < 0)
        return r;
    _cleanup_(closep) int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

    if (fd < 0)
        return -errno;
    if (flock(fd, LOCK_EX | LOCK_NB) < 0)
        return errno == EWOULDBLOCK ? STATE_LOCKED : -errno;
    *ret_fd = steal_fd(&fd);
    return STATE_OK;
}

size_t state_encode(const struct state_record *r, const char boot[CLOCKS_BOOT_ID_SIZE],
                    char ret_text[STATE_TEXT_MAX])
{
    static const struct lease_nonce nobody;
    char nonce[2 * LEASE_NONCE_SIZE + 1], next[2 * LEASE_NONCE_SIZE + 1];
    bool more = memcmp(&r->next, &nobody, sizeof nobody) != 0;

    format_hex(r->nonce.bytes, sizeof r->nonce.bytes, nonce);
    format_hex(r->next.bytes, sizeof r->next.bytes, next);
    int n = snprintf(ret_text, STATE_TEXT_MAX, STATE_FORMAT, more ? '2' : '1', boot, r->epoch_seen, nonce,
                     r->epoch, r->remaining_ns, r->at.boot_ns, r->at.raw_ns, r->at.mono_ns);

    if (more)
        n += snprintf(ret_text + n, STATE_TEXT_MAX - (size_t)n, "next %s\n", next);
    n += snprintf(ret_text + n, STATE_TEXT_MAX - (size_t)n, "sum %016" PRIx64 "\n",
                  checksum(ret_text, (size_t)n));
    return (size_t)n;
}

static int damaged_or_other(const char *text, size_t length)
{
    const size_t title = strlen(TITLE);

    if (length < title + VERSION_LEN || memcmp(text, TITLE, title) != 0)
        return STATE_DAMAGED;
    bool known = (text[title] == '1' || text[title] == '2') && text[title + 1] == '\n';

    return known ? STATE_DAMAGED : STATE_OTHER_VERSION;
}

/* False: there is such a line, and it is none. */
static bool decode_next(const char *text, struct lease_nonce *ret)
{
    char next[2 * LEASE_NONCE_SIZE + 1];
    const char *line = strstr(text, "\nnext ");

    return !line || (sscanf(line, "\nnext %32[0-9a-f]", next) == 1 &&
                     parse_hex(next, ret->bytes, sizeof ret->bytes) == 0);
}

/* Reading is generous, comparing is not: the checksum and every byte are judged by encoding it again. */
int state_decode(const char *text, size_t length, struct state_record *ret_record,
                 char ret_boot[CLOCKS_BOOT_ID_SIZE])
{
    char copy[STATE_TEXT_MAX], again[STATE_TEXT_MAX], nonce[2 * LEASE_NONCE_SIZE + 1];
    struct state_record r = {0};

    if (length >= sizeof copy)
        return damaged_or_other(text, length);
    memcpy(copy, text, length);
    copy[length] = '\0';
    if (sscanf(copy, STATE_SCAN, ret_boot, &r.epoch_seen, nonce, &r.epoch, &r.remaining_ns, &r.at.boot_ns,
               &r.at.raw_ns, &r.at.mono_ns) != 8 ||
        parse_hex(nonce, r.nonce.bytes, sizeof r.nonce.bytes) < 0 || !decode_next(copy, &r.next) ||
        state_encode(&r, ret_boot, again) != length || memcmp(again, text, length) != 0)
        return damaged_or_other(text, length);
    *ret_record = r;
    return STATE_OK;
}

int state_load(const char *folder, struct lease_memory *ret)
{
    char path[PATH_MAX], text[2 * STATE_TEXT_MAX], boot[CLOCKS_BOOT_ID_SIZE], ours[CLOCKS_BOOT_ID_SIZE];
    struct state_record record;
    struct clocks_instant now;
    size_t length = 0;

    memset(ret, 0, sizeof *ret);
    int r = path_in(folder, "state", path);

    if (r == 0)
        r = clocks_boot_id(ours);
    if (r == 0)
        r = fsio_read(path, text, sizeof text, &length);
    if (r == -ENOENT)
        return STATE_ABSENT;
    if (r == -EFBIG)
        return STATE_DAMAGED;
    if (r < 0)
        return r;
    r = state_decode(text, length, &record, boot);
    if (r != STATE_OK)
        return r;
    ret->epoch_seen = record.epoch_seen;
    if (strcmp(boot, ours) != 0)
        return STATE_OTHER_BOOT;
    clocks_instant_now(&now);
    ret->nonce = record.nonce;
    ret->next = record.next;
    ret->epoch = record.epoch;
    ret->remaining_ns = clocks_left_ns(record.remaining_ns, &record.at, &now);
    return STATE_OK;
}

const char *state_result_text(int result)
{
    if (result < 0)
        return strerror(-result);
    switch ((enum state_result)result) {
    case STATE_OK: return "found";
    case STATE_ABSENT: return "there is none";
    case STATE_DAMAGED: return "damaged: cut short or changed";
    case STATE_OTHER_VERSION: return "written by another version of this program";
    case STATE_OTHER_BOOT: return "of another boot: only its epoch counts";
    case STATE_LOCKED: return "locked";
    }
    return "?";
}

int state_save(const char *folder, const struct state_record *record)
{
    char path[PATH_MAX], text[STATE_TEXT_MAX], boot[CLOCKS_BOOT_ID_SIZE];
    int r = path_in(folder, "state", path);

    if (r == 0)
        r = clocks_boot_id(boot);
    if (r < 0)
        return r;
    return fsio_replace(path, text, state_encode(record, boot, text), 0600, true);
}
