#include "record/ring.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "util/cleanup.h"

static void begin_half(struct ring *r, unsigned half, enum record_why why, uint64_t dropped,
                       const struct lease *state)
{
    int length = record_opening_print(r->lease, why, dropped, state, r->halves[half].text, RING_HALF);

    r->halves[half].length = length < 0 ? 0 : (size_t)length;
    r->newest = half;
}

void ring_init(struct ring *r, const char *lease, const struct lease *state)
{
    snprintf(r->lease, sizeof r->lease, "%s", lease);
    r->halves[1].length = 0;
    begin_half(r, 0, RECORD_START, 0, state);
}

void ring_gap(struct ring *r, const struct lease *after)
{
    begin_half(r, !r->newest, RECORD_GAP, 1, after);
}

void ring_put(struct ring *r, const char *text, size_t length, const struct lease *after)
{
    size_t *at = &r->halves[r->newest].length;

    if (length > RING_HALF - *at) {
        ring_gap(r, after);
        return;
    }
    memcpy(r->halves[r->newest].text + *at, text, length);
    *at += length;
    if (RING_HALF - *at < RING_ROOM)
        begin_half(r, !r->newest, RECORD_SIZE, 0, after);
}

/* The line that ends before @end of that half. */
static const char *line_before(const char *text, const char *end)
{
    const char *nl = end - 1 > text ? memrchr(text, '\n', (size_t)(end - 1 - text)) : NULL;

    return nl ? nl + 1 : text;
}

unsigned ring_last(const struct ring *r, unsigned count, struct ring_line *ret)
{
    unsigned half = r->newest, found = 0;
    const char *text = r->halves[half].text, *end = text + r->halves[half].length;

    while (found < count) {
        if (end == text) {
            if (half != r->newest || r->halves[!half].length == 0)
                break;
            half = !half;
            text = r->halves[half].text;
            end = text + r->halves[half].length;
        }
        const char *begin = line_before(text, end);

        ret[count - ++found] = (struct ring_line){.text = begin, .length = (size_t)(end - 1 - begin)};
        end = begin;
    }
    memmove(ret, ret + (count - found), found * sizeof *ret);
    return found;
}

static int put(int fd, const char *text, size_t length)
{
    while (length > 0) {
        ssize_t n = write(fd, text, length);

        if (n < 0 && errno != EINTR)
            return -errno;
        text += n < 0 ? 0 : n;
        length -= n < 0 ? 0 : (size_t)n;
    }
    return 0;
}

int ring_save(const struct ring *r, const struct ring_assertion *a, const char *path)
{
    static char text[RECORD_STEP_MAX];
    const char *slash = strrchr(a->file, '/');

    unlink(path); /* of an earlier run; who holds it open keeps it */
    _cleanup_(closep) int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);

    if (fd < 0)
        return -errno;
    int s = put(fd, r->halves[!r->newest].text, r->halves[!r->newest].length);

    if (s == 0)
        s = put(fd, r->halves[r->newest].text, r->halves[r->newest].length);
    int length = a->event ? record_step_print(a->event, NULL, text, sizeof text) : 0;

    if (s == 0 && length > 0)
        s = put(fd, text, (size_t)length);
    length = snprintf(text, sizeof text, "assert%s file=%s line=%d expression=%s\n",
                      a->event ? " in_step" : "", slash ? slash + 1 : a->file, a->line, a->expression);
    return s < 0 ? s : put(fd, text, (size_t)length);
}
