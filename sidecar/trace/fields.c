#include "trace/fields.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define NS_PER_S UINT64_C(1000000000)

void line_init(struct line *line, char *buf, size_t size)
{
    *line = (struct line){.buf = buf, .size = size};
    if (size)
        buf[0] = '\0';
}

void line_add(struct line *line, const char *format, ...)
{
    va_list ap;

    if (line->length < 0)
        return;
    va_start(ap, format);
    int n = vsnprintf(line->buf + line->length, line->size - (size_t)line->length, format, ap);
    va_end(ap);
    if (n < 0 || (size_t)n >= line->size - (size_t)line->length)
        line->length = -ENOSPC;
    else
        line->length += n;
}

/* Exact, and as short as that allows. */
void line_ns(struct line *line, uint64_t ns)
{
    char decimals[16];
    size_t length = 9;

    snprintf(decimals, sizeof decimals, "%09" PRIu64, ns % NS_PER_S);
    while (length > 0 && decimals[length - 1] == '0')
        length--;
    line_add(line, "%" PRIu64 "%s%.*ss", ns / NS_PER_S, length ? "." : "", (int)length, decimals);
}

void line_hex(struct line *line, const uint8_t *bytes, size_t count)
{
    static const char digits[] = "0123456789abcdef";

    if (line->length < 0 || 2 * count >= line->size - (size_t)line->length) {
        line->length = -ENOSPC;
        return;
    }
    char *to = line->buf + line->length;

    for (size_t i = 0; i < count; i++) {
        *to++ = digits[bytes[i] >> 4];
        *to++ = digits[bytes[i] & 15];
    }
    *to = '\0';
    line->length += (int)(2 * count);
}

static void print_nonce(struct line *line, const uint8_t *bytes)
{
    size_t length = LEASE_NONCE_SIZE;

    while (length > 1 && bytes[length - 1] == 0)
        length--;
    line_hex(line, bytes, length);
}

/* Names are checked where they come in, but a trace must survive whatever it is shown. */
static void print_name(struct line *line, const char *name)
{
    for (size_t i = 0; i < LEASE_NAME_MAX && name[i]; i++) {
        unsigned char c = (unsigned char)name[i];

        line_add(line, c <= ' ' || c > '~' || c == '%' || c == '=' ? "%%%02x" : "%c", c);
    }
}

static bool is_zero(const void *at, size_t size)
{
    const uint8_t *bytes = at;

    for (size_t i = 0; i < size; i++)
        if (bytes[i])
            return false;
    return true;
}

static uint64_t number_at(const struct field *f, const void *at)
{
    uint16_t u16;
    uint32_t u32;
    uint64_t u64;

    switch (f->kind) {
    case FIELD_U16: memcpy(&u16, at, sizeof u16); return u16;
    case FIELD_ENUM:
    case FIELD_U32: memcpy(&u32, at, sizeof u32); return u32;
    case FIELD_U64:
    case FIELD_NS: memcpy(&u64, at, sizeof u64); return u64;
    case FIELD_BOOL:
    case FIELD_NONCE:
    case FIELD_NAME: break;
    }
    return 0;
}

static size_t word_count(const char *const *words)
{
    size_t n = 0;

    while (words[n])
        n++;
    return n;
}

static void print_field(struct line *line, const struct field *f, const char *at)
{
    uint64_t number = number_at(f, at);

    switch (f->kind) {
    case FIELD_BOOL:
        if (*(const bool *)at)
            line_add(line, " %s", f->name);
        return;
    case FIELD_NONCE:
        if (is_zero(at, LEASE_NONCE_SIZE))
            return;
        line_add(line, " %s=", f->name);
        print_nonce(line, (const uint8_t *)at);
        return;
    case FIELD_NAME:
        if (!at[0])
            return;
        line_add(line, " %s=", f->name);
        print_name(line, at);
        return;
    case FIELD_ENUM:
        if (number < word_count(f->words))
            line_add(line, " %s=%s", f->name, f->words[number]);
        else
            line_add(line, " %s=%" PRIu64, f->name, number);
        return;
    case FIELD_NS:
        if (number == 0)
            return;
        line_add(line, " %s=", f->name);
        line_ns(line, number);
        return;
    case FIELD_U16:
    case FIELD_U32:
    case FIELD_U64:
        if (number != 0)
            line_add(line, " %s=%" PRIu64, f->name, number);
        return;
    }
}

void fields_print(struct line *line, const struct field *fields, const void *from)
{
    for (; fields->name; fields++)
        print_field(line, fields, (const char *)from + fields->offset);
}

/* ---------------------------------------------------------------- parsing */

int fields_fail(const char *begin, const char *at, const char *what, struct trace_error *ret_error)
{
    *ret_error = (struct trace_error){.column = (size_t)(at - begin) + 1, .what = what};
    return -EINVAL;
}

size_t fields_word(const char **text, const char **ret_word)
{
    *text += strspn(*text, " ");
    *ret_word = *text;
    size_t length = strcspn(*text, " ");

    *text += length;
    return length;
}

static bool take_u64(const char *text, size_t length, uint64_t max, uint64_t *ret)
{
    uint64_t value = 0;

    if (length == 0)
        return false;
    for (size_t i = 0; i < length; i++) {
        if (text[i] < '0' || text[i] > '9' || __builtin_mul_overflow(value, UINT64_C(10), &value) ||
            __builtin_add_overflow(value, (uint64_t)(text[i] - '0'), &value))
            return false;
    }
    *ret = value;
    return value <= max;
}

static bool take_ns(const char *text, size_t length, uint64_t *ret)
{
    const char *dot = memchr(text, '.', length);
    uint64_t whole, part = 0;

    if (length < 2 || text[length - 1] != 's')
        return false;
    length--;
    size_t decimals = dot ? length - (size_t)(dot - text) - 1 : 0;

    if (!take_u64(text, dot ? (size_t)(dot - text) : length, UINT64_MAX, &whole) || decimals > 9 ||
        (dot && !take_u64(dot + 1, decimals, UINT64_MAX, &part)))
        return false;
    for (size_t i = decimals; i < 9; i++)
        part *= 10;
    return !__builtin_mul_overflow(whole, NS_PER_S, &whole) && !__builtin_add_overflow(whole, part, ret);
}

static int nibble(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool take_nonce(const char *text, size_t length, uint8_t *ret)
{
    if (length == 0 || length > 2 * (size_t)LEASE_NONCE_SIZE || length % 2 != 0)
        return false;
    memset(ret, 0, LEASE_NONCE_SIZE);
    for (size_t i = 0; i < length; i += 2) {
        int high = nibble(text[i]), low = nibble(text[i + 1]);

        if (high < 0 || low < 0)
            return false;
        ret[i / 2] = (uint8_t)(high << 4 | low);
    }
    return true;
}

static bool take_name(const char *text, size_t length, char *ret)
{
    size_t n = 0;

    memset(ret, 0, LEASE_NAME_MAX + 1);
    for (size_t i = 0; i < length; i++) {
        char c = text[i];

        if (c == '%') {
            int high = i + 2 < length ? nibble(text[i + 1]) : -1,
                low = i + 2 < length ? nibble(text[i + 2]) : -1;

            if (high < 0 || low < 0)
                return false;
            c = (char)(high << 4 | low);
            i += 2;
        }
        if (n == LEASE_NAME_MAX || c == '\0')
            return false;
        ret[n++] = c;
    }
    return n > 0;
}

static bool take_enum(const char *text, size_t length, const char *const *words, uint32_t *ret)
{
    for (uint32_t i = 0; words[i]; i++)
        if (strlen(words[i]) == length && memcmp(words[i], text, length) == 0) {
            *ret = i;
            return true;
        }
    return false;
}

static bool take_value(const struct field *f, const char *text, size_t length, char *to)
{
    uint64_t value = 0;
    uint32_t word = 0;

    switch (f->kind) {
    case FIELD_BOOL: return false;
    case FIELD_U16:
        if (!take_u64(text, length, UINT16_MAX, &value))
            return false;
        memcpy(to, &(uint16_t){(uint16_t)value}, sizeof(uint16_t));
        return true;
    case FIELD_U32:
        if (!take_u64(text, length, UINT32_MAX, &value))
            return false;
        memcpy(to, &(uint32_t){(uint32_t)value}, sizeof(uint32_t));
        return true;
    case FIELD_U64:
        if (!take_u64(text, length, UINT64_MAX, &value))
            return false;
        memcpy(to, &value, sizeof value);
        return true;
    case FIELD_NS:
        if (!take_ns(text, length, &value))
            return false;
        memcpy(to, &value, sizeof value);
        return true;
    case FIELD_NONCE: return take_nonce(text, length, (uint8_t *)to);
    case FIELD_NAME: return take_name(text, length, to);
    case FIELD_ENUM:
        if (!take_enum(text, length, f->words, &word))
            return false;
        memcpy(to, &word, sizeof word);
        return true;
    }
    return false;
}

static const struct field *find(const struct field *fields, const char *name, size_t length)
{
    for (; fields->name; fields++)
        if (strlen(fields->name) == length && memcmp(fields->name, name, length) == 0)
            return fields;
    return NULL;
}

int fields_parse(const char *begin, const char **text, const struct field *fields, const char *stop, void *to,
                 struct trace_error *ret_error)
{
    const char *word, *before;
    size_t length;

    while (before = *text, (length = fields_word(text, &word)) > 0) {
        const char *equals = memchr(word, '=', length);
        size_t name_length = equals ? (size_t)(equals - word) : length;

        if (stop && strlen(stop) == name_length && memcmp(stop, word, name_length) == 0) {
            *text = before;
            return 0;
        }
        const struct field *f = find(fields, word, name_length);

        if (!f)
            return fields_fail(begin, word, "there is no such field here", ret_error);
        char *at = (char *)to + f->offset;

        if (f->kind == FIELD_BOOL && !equals)
            *(bool *)at = true;
        else if (f->kind == FIELD_BOOL)
            return fields_fail(begin, equals, "this field stands alone, without a value", ret_error);
        else if (!equals)
            return fields_fail(begin, word, "this field needs a value", ret_error);
        else if (!take_value(f, equals + 1, length - name_length - 1, at))
            return fields_fail(begin, equals + 1, "this is no value for the field", ret_error);
    }
    return 0;
}

/* ---------------------------------------------------------------- what events and commands share */

/* In the order of the enums; test_trace compares them with the names that the core prints. */
const char *const words_answer[] = {"row", "mismatch", "no-row", "refused", "unknown", NULL};
const char *const words_write[] = {"acquire", "resume", "renew", "bump", "release", NULL};
const char *const words_hook[] = {"promote", "demote", "check", NULL};
const char *const words_state[] = {"free", "held", "handover", NULL};
const char *const words_role[] = {"boot",   "follower", "acquiring", "promoting",
                                  "leader", "demoting", "fenced",    NULL};
const char *const words_reason[] = {
    "none",       "start",        "resume",         "free",       "expired",   "step-down",
    "switchover", "shutdown",     "deadline",       "lost",       "twin",      "row-missing",
    "regression", "higher-epoch", "promote-failed", "unverified", "unhealthy", "guardian",
    "rogue",      "hold",         "double",         NULL};

#define ROW(member)     offsetof(struct lease_row, member)
#define VERSION(member) offsetof(struct lease_version, member)

const struct field fields_version[] = {{"epoch", FIELD_U64, VERSION(epoch)},
                                       {"counter", FIELD_U64, VERSION(counter)},
                                       {"nonce", FIELD_NONCE, VERSION(nonce)},
                                       {NULL}};

const struct field fields_row[] = {{"epoch", FIELD_U64, ROW(version.epoch)},
                                   {"counter", FIELD_U64, ROW(version.counter)},
                                   {"nonce", FIELD_NONCE, ROW(version.nonce)},
                                   {"ttl_ms", FIELD_U32, ROW(ttl_ms)},
                                   {"state", FIELD_ENUM, ROW(state), words_state},
                                   {"holder", FIELD_NAME, ROW(holder)},
                                   {"target", FIELD_NAME, ROW(target)},
                                   {"epoch_table", FIELD_U64, ROW(epoch_table)},
                                   {"hold_ms", FIELD_U32, ROW(hold_ms)},
                                   {"hold_request", FIELD_U64, ROW(hold_request)},
                                   {NULL}};
