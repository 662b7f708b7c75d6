#include "record/record.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "core_digest.h"
#include "trace/fields.h"

#define FORMAT 1

#define AT(member) offsetof(struct record_header, member)

static const char *const words_why[] = {"start", "size", "gap", NULL};
static const struct field header[] = {{"format", FIELD_U32, AT(format)},
                                      {"core", FIELD_NONCE, AT(core)},
                                      {"version", FIELD_NAME, AT(version)},
                                      {"lease", FIELD_NAME, AT(lease)},
                                      {"member", FIELD_NAME, AT(member)},
                                      {"why", FIELD_ENUM, AT(why), words_why},
                                      {"dropped", FIELD_U64, AT(dropped)},
                                      {"utc", FIELD_NAME, AT(utc)},
                                      {NULL}};

static const char first[] = "segment ";

const char *record_core_digest(void)
{
    return CORE_DIGEST;
}

static void own_core(struct lease_nonce *ret)
{
    for (unsigned i = 0; i < LEASE_NONCE_SIZE; i++)
        sscanf(&CORE_DIGEST[2 * (size_t)i], "%2hhx", &ret->bytes[i]);
}

bool record_same_core(const struct record_header *h)
{
    struct lease_nonce own;

    own_core(&own);
    return memcmp(&own, &h->core, sizeof own) == 0;
}

bool record_is_header(const char *line)
{
    return strncmp(line, first, sizeof first - 1) == 0;
}

int record_header_parse(const char *line, struct record_header *ret, struct trace_error *ret_error)
{
    const char *text = line + sizeof first - 1;

    memset(ret, 0, sizeof *ret);
    int r = fields_parse(line, &text, header, NULL, ret, ret_error);

    if (r == 0 && ret->format != FORMAT)
        return fields_fail(line, line + sizeof first - 1, "this is another format of recordings", ret_error);
    return r;
}

int record_opening_print(const char *lease, enum record_why why, uint64_t dropped, const struct lease *state,
                         char *buf, size_t size)
{
    struct record_header h = {.format = FORMAT, .why = why, .dropped = dropped};
    time_t now = time(NULL);
    struct line line;
    struct tm tm;

    own_core(&h.core);
    snprintf(h.version, sizeof h.version, "%s", GALERA_LEASE_VERSION);
    snprintf(h.lease, sizeof h.lease, "%s", lease);
    snprintf(h.member, sizeof h.member, "%s", state->config.member);
    strftime(h.utc, sizeof h.utc, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &tm));
    line_init(&line, buf, size);
    line_add(&line, "segment");
    fields_print(&line, header, &h);
    line_add(&line, "\n");
    if (line.length < 0)
        return line.length;
    int r = trace_state_print(state, buf + line.length, size - (size_t)line.length);

    if (r < 0)
        return r;
    line.length += r;
    line_add(&line, "\n");
    return line.length;
}

int record_step_print(const struct lease_event *event, const struct lease_commands *commands, char *buf,
                      size_t size)
{
    int length = trace_event_print(event, buf, size);

    if (length < 0 || (size_t)length + 1 >= size)
        return length < 0 ? length : -ENOSPC;
    buf[length++] = '\n';
    for (size_t i = 0; commands && i < commands->count; i++) {
        if ((size_t)length + 3 >= size)
            return -ENOSPC;
        buf[length++] = ' ';
        buf[length++] = ' ';
        int r = trace_command_print(&commands->list[i], buf + length, size - (size_t)length - 1);

        if (r < 0)
            return r;
        length += r;
        buf[length++] = '\n';
    }
    buf[length] = '\0';
    return length;
}

static uint64_t said_missing(const char *line, size_t length)
{
    char copy[RECORD_HEADER_MAX];
    struct record_header h;
    struct trace_error error;

    snprintf(copy, sizeof copy, "%.*s", (int)length, line);
    return record_header_parse(copy, &h, &error) == 0 ? h.dropped : 0;
}

void record_lose(const char *text, size_t length, struct record_loss *loss)
{
    const char *end = text + length, *next;

    for (; text < end; text = next) {
        const char *nl = memchr(text, '\n', (size_t)(end - text));

        next = nl ? nl + 1 : end;
        if (record_is_header(text))
            loss->said += said_missing(text, (size_t)(next - text) - 1);
        else
            loss->steps += *text != ' ' && strncmp(text, "state ", 6) != 0 && strncmp(text, "end\n", 4) != 0;
    }
}
