#include "util/parse.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const struct {
    const char *unit;
    uint64_t ns;
} units[] = {
    {"h", UINT64_C(3600000000000)},
    {"m", UINT64_C(60000000000)},
    {"s", UINT64_C(1000000000)},
    {"ms", UINT64_C(1000000)},
};

static int digits(const char *text, size_t length, uint64_t *ret)
{
    uint64_t value = 0;

    if (length == 0)
        return -EINVAL;
    for (size_t i = 0; i < length; i++) {
        if (text[i] < '0' || text[i] > '9')
            return -EINVAL;
        if (__builtin_mul_overflow(value, (uint64_t)10, &value) ||
            __builtin_add_overflow(value, (uint64_t)(text[i] - '0'), &value))
            return -ERANGE;
    }
    *ret = value;
    return 0;
}

int parse_u64(const char *text, uint64_t *ret)
{
    return digits(text, strlen(text), ret);
}

int parse_duration_ns(const char *text, uint64_t *ret_ns)
{
    size_t length = strspn(text, "0123456789");
    uint64_t value;
    int r = digits(text, length, &value);

    if (r < 0)
        return r;
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        if (strcmp(text + length, units[i].unit) != 0)
            continue;
        if (value > UINT64_MAX / units[i].ns)
            return -ERANGE;
        *ret_ns = value * units[i].ns;
        return 0;
    }
    return -EINVAL;
}

void format_duration(uint64_t ns, char *buf, size_t size)
{
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        if (ns % units[i].ns == 0 && (ns != 0 || i + 2 == sizeof units / sizeof units[0])) {
            snprintf(buf, size, "%" PRIu64 "%s", ns / units[i].ns, units[i].unit);
            return;
        }
    }
    snprintf(buf, size, "%" PRIu64 ".%06" PRIu64 "ms", ns / 1000000, ns % 1000000);
}

bool parse_name_valid(const char *text)
{
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
    size_t length = strlen(text);

    return length >= 1 && length <= 63 && text[0] != '-' && text[0] != '.' && strspn(text, allowed) == length;
}

static int nibble(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

int parse_hex(const char *text, uint8_t *ret, size_t size)
{
    if (strlen(text) != 2 * size)
        return -EINVAL;
    for (size_t i = 0; i < 2 * size; i++)
        if (nibble(text[i]) < 0)
            return -EINVAL;
    for (size_t i = 0; i < size; i++)
        ret[i] = (uint8_t)(nibble(text[2 * i]) * 16 + nibble(text[2 * i + 1]));
    return 0;
}

void format_hex(const uint8_t *bytes, size_t size, char *buf)
{
    for (size_t i = 0; i < size; i++)
        snprintf(buf + 2 * i, 3, "%02x", bytes[i]);
    buf[2 * size] = '\0';
}

void parse_sanitise(char *text)
{
    for (; *text; text++)
        if (*text < ' ' || *text > '~')
            *text = '?';
}

int parse_socket_address(const char *text, struct sockaddr_storage *ret, socklen_t *ret_size)
{
    const char *colon = strrchr(text, ':');
    bool brackets = text[0] == '[' && colon && colon > text && colon[-1] == ']';
    struct sockaddr_in6 six = {.sin6_family = AF_INET6};
    struct sockaddr_in four = {.sin_family = AF_INET};
    char host[INET6_ADDRSTRLEN] = "";
    uint64_t port;

    if (!colon || parse_u64(colon + 1, &port) < 0 || port == 0 || port > UINT16_MAX)
        return -EINVAL;
    size_t length = (size_t)(colon - text) - (brackets ? 2 : 0);

    if (length >= sizeof host)
        return -EINVAL;
    memcpy(host, text + brackets, length);
    four.sin_port = six.sin6_port = htons((uint16_t)port);
    if (inet_pton(brackets ? AF_INET6 : AF_INET, host,
                  brackets ? (void *)&six.sin6_addr : (void *)&four.sin_addr) != 1)
        return -EINVAL;
    *ret_size = brackets ? sizeof six : sizeof four;
    memcpy(ret, brackets ? (void *)&six : (void *)&four, *ret_size);
    return 0;
}
