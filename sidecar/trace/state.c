/* A whole state as one line, and a few words about it. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "trace/fields.h"

/* The same program of the same version lays it out alike; another one is refused. */
static void print_layout(struct line *line)
{
    line_add(line, "state build=%s size=%zu bytes=", GALERA_LEASE_VERSION, sizeof(struct lease));
}

int trace_state_print(const struct lease *l, char *buf, size_t size)
{
    const uint8_t *bytes = (const uint8_t *)l;
    struct line line;

    line_init(&line, buf, size);
    print_layout(&line);
    for (size_t i = 0; i < sizeof *l;) {
        size_t zeros = 0;

        while (i + zeros < sizeof *l && bytes[i + zeros] == 0)
            zeros++;
        if (zeros > 2) {
            line_add(&line, "~%zu~", zeros);
            i += zeros;
        } else {
            line_hex(&line, bytes + i++, 1);
        }
    }
    return line.length;
}

static int digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* "~120~": so many zero bytes, which are there already. */
static bool skip_zeros(const char **text, size_t *at)
{
    size_t zeros = 0;

    for ((*text)++; digit(**text) >= 0 && digit(**text) < 10 && zeros <= sizeof(struct lease); (*text)++)
        zeros = zeros * 10 + (size_t)digit(**text);
    if (**text != '~' || zeros > sizeof(struct lease) - *at)
        return false;
    (*text)++;
    *at += zeros;
    return true;
}

int trace_state_parse(const char *line, struct lease *ret, struct trace_error *ret_error)
{
    char layout[256];
    struct line expected;
    uint8_t *bytes = (uint8_t *)ret;
    size_t at = 0;

    line_init(&expected, layout, sizeof layout);
    print_layout(&expected);
    if (strncmp(line, layout, (size_t)expected.length) != 0)
        return fields_fail(line, line, "this state is of another build", ret_error);
    const char *text = line + expected.length;

    memset(ret, 0, sizeof *ret);
    while (*text && at < sizeof *ret) {
        if (*text == '~') {
            if (!skip_zeros(&text, &at))
                return fields_fail(line, text, "more zeros than the state has bytes", ret_error);
            continue;
        }
        int high = digit(text[0]), low = high < 0 ? -1 : digit(text[1]);

        if (low < 0)
            return fields_fail(line, text, "this is no hex", ret_error);
        bytes[at++] = (uint8_t)(high << 4 | low);
        text += 2;
    }
    if (*text || at != sizeof *ret)
        return fields_fail(line, text, "the state has another size", ret_error);
    return 0;
}

static uint64_t left(uint64_t deadline_ns, uint64_t now_ns)
{
    return deadline_ns > now_ns ? deadline_ns - now_ns : 0;
}

int trace_summary_print(const struct lease *l, char *buf, size_t size)
{
    struct line line;

    line_init(&line, buf, size);
    line_add(&line, "%s", lease_role_name(l->role));
    if (l->holding || l->own.epoch != 0)
        line_add(&line, " epoch=%" PRIu64 " counter=%" PRIu64, l->own.epoch, l->own.counter);
    if (l->deadline_ns != 0) {
        line_add(&line, " left=");
        line_ns(&line, left(l->deadline_ns, l->now.fast_ns));
    }
    if (lease_hold_left_ns(l) != 0) {
        line_add(&line, " hold=");
        line_ns(&line, lease_hold_left_ns(l));
    }
    if (l->claim_open)
        line_add(&line, " claim");
    if (l->settle)
        line_add(&line, " unsettled");
    if (l->fencing)
        line_add(&line, " fencing");
    if (l->controller_stopped)
        line_add(&line, " stopped");
    if (l->regression)
        line_add(&line, " regression");
    if (l->stop_wanted)
        line_add(&line, " ending");
    return line.length;
}
