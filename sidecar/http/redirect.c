#include "http/redirect.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const char address_word[] = "{address}", port_word[] = "{port}";

static int begins(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}

int redirect_check(const char *url)
{
    if (!begins(url, "http://") && !begins(url, "https://"))
        return -EINVAL;
    for (const char *at = url; *at; at++) {
        if (begins(at, address_word))
            at += strlen(address_word) - 1;
        else if (begins(at, port_word))
            at += strlen(port_word) - 1;
        else if (*at <= ' ' || *at > '~' || strchr("{}\"<>\\^`|", *at))
            return -EINVAL;
    }
    return 0;
}

/* A host name or an address, and nothing that could end a host's part of a URL, or a header. */
static int address_ok(const char *address)
{
    return strspn(address, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.:-") ==
           strlen(address);
}

int redirect_url(const char *url, const char *address, uint16_t port, char *buf, size_t size)
{
    const char *bracket = strchr(address, ':') ? "[" : "";
    size_t used = 0;

    if (address[0] == '\0' || (port == 0 && strstr(url, port_word)))
        return -ENOENT;
    if (!address_ok(address))
        return -EINVAL;
    while (*url) {
        char part[REDIRECT_URL_MAX] = {*url};
        size_t step = 1;

        if (begins(url, address_word)) {
            snprintf(part, sizeof part, "%s%s%s", bracket, address, bracket[0] ? "]" : "");
            step = strlen(address_word);
        } else if (begins(url, port_word)) {
            snprintf(part, sizeof part, "%u", port);
            step = strlen(port_word);
        }
        if (used + strlen(part) >= size)
            return -EINVAL;
        strcpy(buf + used, part);
        used += strlen(part);
        url += step;
    }
    buf[used] = '\0';
    return 0;
}
