#include "db/access.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

static bool host_ok(const char *host, size_t size, bool v6)
{
    if (size == 0)
        return false;
    for (size_t i = 0; i < size; i++) {
        unsigned char c = (unsigned char)host[i];
        if (c <= ' ' || c >= 0x7f || strchr("/\\'\"`;,@[]", c) || (c == ':' && !v6))
            return false;
    }
    return true;
}

static bool port_parse(const char *text, uint16_t *ret_port)
{
    unsigned value = 0;
    if (!*text || strlen(text) > 5)
        return false;
    for (; *text; text++) {
        if (*text < '0' || *text > '9')
            return false;
        value = value * 10 + (unsigned)(*text - '0');
    }
    if (value == 0 || value > UINT16_MAX)
        return false;
    *ret_port = (uint16_t)value;
    return true;
}

static bool parse_socket(const char *path, struct access_endpoint *endpoint)
{
    if (path[0] != '/' || strlen(path) >= sizeof(endpoint->socket))
        return false;
    for (const char *c = path; *c; c++)
        if ((unsigned char)*c < ' ' || (unsigned char)*c >= 0x7f)
            return false;
    strcpy(endpoint->socket, path);
    return true;
}

static bool parse_tcp(const char *text, struct access_endpoint *endpoint)
{
    const char *host = text, *end, *port = NULL;
    bool v6 = text[0] == '[';

    if (v6) {
        host = text + 1;
        end = strchr(host, ']');
        if (!end || (end[1] != '\0' && end[1] != ':'))
            return false;
        if (end[1] == ':')
            port = end + 2;
    } else {
        end = strchr(text, ':');
        if (end)
            port = end + 1;
        else
            end = text + strlen(text);
    }
    size_t size = (size_t)(end - host);
    if (!host_ok(host, size, v6))
        return false;
    memcpy(endpoint->host, host, size);
    endpoint->host[size] = '\0';
    endpoint->port = ACCESS_PORT_DEFAULT;
    return !port || port_parse(port, &endpoint->port);
}

int access_endpoint_parse(const char *text, struct access_endpoint *ret_endpoint)
{
    struct access_endpoint endpoint = {};

    if (!text || strlen(text) > ACCESS_ENDPOINT_MAX)
        return ACCESS_MALFORMED;
    strcpy(endpoint.text, text);
    bool ok = strncmp(text, "unix:", 5) == 0 ? parse_socket(text + 5, &endpoint) : parse_tcp(text, &endpoint);
    if (!ok)
        return ACCESS_MALFORMED;
    *ret_endpoint = endpoint;
    return ACCESS_OK;
}

bool access_endpoint_remote(const struct access_endpoint *endpoint)
{
    struct in6_addr v6;
    struct in_addr v4;

    if (endpoint->socket[0] || strcasecmp(endpoint->host, "localhost") == 0)
        return false;
    if (inet_pton(AF_INET, endpoint->host, &v4) == 1)
        return ntohl(v4.s_addr) >> IN_CLASSA_NSHIFT != IN_LOOPBACKNET;
    return inet_pton(AF_INET6, endpoint->host, &v6) != 1 || !IN6_IS_ADDR_LOOPBACK(&v6);
}

static int password_check(int fd, char *buffer)
{
    struct stat st;

    if (fstat(fd, &st) < 0)
        return ACCESS_MISSING;
    if (!S_ISREG(st.st_mode) || (st.st_mode & (S_IRWXG | S_IRWXO)) ||
        (st.st_uid != 0 && st.st_uid != geteuid()))
        return ACCESS_EXPOSED;

    ssize_t size = read(fd, buffer, ACCESS_PASSWORD_MAX + 2);
    if (size < 0)
        return ACCESS_MISSING;
    buffer[size] = '\0';
    size_t length = strcspn(buffer, "\n");
    if (length == 0 || length > ACCESS_PASSWORD_MAX || memchr(buffer, '\0', (size_t)size))
        return ACCESS_UNSUITABLE;
    buffer[length] = '\0';
    for (size_t i = 0; i < length; i++)
        if ((unsigned char)buffer[i] < ' ' || buffer[i] == 0x7f)
            return ACCESS_UNSUITABLE;
    return ACCESS_OK;
}

int access_password_read(const char *path, char *ret_password)
{
    char buffer[ACCESS_PASSWORD_MAX + 3];
    /* NONBLOCK: a FIFO in its place must not hang us. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0)
        return ACCESS_MISSING;
    int r = password_check(fd, buffer);
    close(fd);
    if (r == ACCESS_OK)
        strcpy(ret_password, buffer);
    explicit_bzero(buffer, sizeof(buffer));
    return r;
}

const char *access_result_text(int result)
{
    switch (result) {
    case ACCESS_OK: return "fine";
    case ACCESS_MALFORMED: return "is not an endpoint: write unix:/path, host:port or [v6-address]:port";
    case ACCESS_MISSING: return "cannot be read: does it exist, and may this user read it?";
    case ACCESS_EXPOSED:
        return "is not private: it must be a regular file of root or this user that group and others cannot "
               "touch "
               "(chmod 600)";
    case ACCESS_UNSUITABLE: return "holds no usable password: one line of at most 255 printable characters";
    default: return "is unusable";
    }
}
