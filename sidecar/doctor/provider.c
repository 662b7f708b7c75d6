#include "doctor/provider.h"

#include <stdio.h>
#include <string.h>

#define NS_PER_S  UINT64_C(1000000000)
#define VALUE_MAX 64

bool provider_value(const char *options, const char *key, char *buf, size_t size)
{
    size_t length = strlen(key);

    while (*options) {
        const char *entry = options + strspn(options, " ;");
        size_t end = strcspn(entry, ";");

        options = entry + end;
        if (strncmp(entry, key, length) != 0 || entry[length + strspn(entry + length, " ")] != '=')
            continue;
        const char *value = strchr(entry, '=') + 1;
        size_t room = end - (size_t)(value - entry), blank = strspn(value, " ");

        value += blank;
        room = blank < room ? room - blank : 0;
        while (room > 0 && value[room - 1] == ' ')
            room--;
        if (room >= size)
            return false;
        memcpy(buf, value, room);
        buf[room] = '\0';
        return true;
    }
    return false;
}

static uint64_t unit_ns(char letter, bool time)
{
    switch (letter) {
    case 'D': return time ? 0 : 86400 * NS_PER_S;
    case 'H': return time ? 3600 * NS_PER_S : 0;
    case 'M': return time ? 60 * NS_PER_S : 0; /* months are no time */
    case 'S': return time ? NS_PER_S : 0;
    default: return 0;
    }
}

/* One "12.5S"; moves @text on. */
static bool one_part(const char **text, bool time, uint64_t *sum_ns)
{
    uint64_t whole = 0, fraction = 0, scale = 1, unit;
    const char *c = *text;

    if (*c < '0' || *c > '9')
        return false;
    for (; *c >= '0' && *c <= '9' && whole < 1000000000; c++)
        whole = whole * 10 + (uint64_t)(*c - '0');
    if (*c == '.')
        for (c++; *c >= '0' && *c <= '9'; c++)
            if (scale < NS_PER_S) {
                fraction = fraction * 10 + (uint64_t)(*c - '0');
                scale *= 10;
            }
    unit = unit_ns(*c, time);
    if (unit == 0 || whole > UINT64_C(4000000000000000000) / unit)
        return false;
    *sum_ns += whole * unit + (uint64_t)((double)unit * ((double)fraction / (double)scale));
    *text = c + 1;
    return *sum_ns < UINT64_C(8000000000000000000);
}

bool provider_duration_ns(const char *text, uint64_t *ret_ns)
{
    uint64_t sum = 0;
    bool time = false, some = false;

    if (*text++ != 'P')
        return false;
    while (*text) {
        if (*text == 'T' && !time) {
            time = true;
            text++;
            continue;
        }
        if (!one_part(&text, time, &sum))
            return false;
        some = true;
    }
    if (some)
        *ret_ns = sum;
    return some;
}

bool provider_time_ns(const char *options, const char *key, uint64_t *ret_ns)
{
    char value[VALUE_MAX];

    return provider_value(options, key, value, sizeof value) && provider_duration_ns(value, ret_ns);
}

void provider_format(uint64_t ns, char *buf, size_t size)
{
    char number[32];
    size_t length;

    snprintf(number, sizeof number, "%.3f", (double)ns / 1e9);
    for (length = strlen(number); number[length - 1] == '0'; length--)
        number[length - 1] = '\0';
    if (number[length - 1] == '.')
        number[length - 1] = '\0';
    snprintf(buf, size, "PT%sS", number);
}
