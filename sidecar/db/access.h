#pragma once
/*
 * How to reach and enter a database: endpoints and the password file. Opens no connection.
 *
 * An endpoint is written "unix:/absolute/path", "host:port", "host" (port 3306) or "[v6-address]:port".
 * Thread: any.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ACCESS_ENDPOINT_MAX 255 /* bytes of the text, without the NUL */
#define ACCESS_PASSWORD_MAX 255
#define ACCESS_USER_MAX     80
#define ACCESS_PORT_DEFAULT 3306

struct access_endpoint {
    char text[ACCESS_ENDPOINT_MAX + 1]; /* as written, for people */
    char socket[108];                   /* path; empty: TCP */
    char host[ACCESS_ENDPOINT_MAX + 1];
    uint16_t port;
};

/* How connections to other hosts are protected. Sockets and loopback do without. */
#define ACCESS_PATH_MAX 256
struct access_tls {
    char ca[ACCESS_PATH_MAX];                         /* who may vouch for a server; empty: no TLS at all */
    char cert[ACCESS_PATH_MAX], key[ACCESS_PATH_MAX]; /* what we show a server; empty: nothing */
};

enum access_result {
    ACCESS_OK = 0,
    ACCESS_MALFORMED,  /* endpoint: not one of the shapes above */
    ACCESS_MISSING,    /* password file: does not exist, or may not be read by us; see errno */
    ACCESS_EXPOSED,    /* password file: not a regular file of root's or ours, or group or others may read or
                          write it */
    ACCESS_UNSUITABLE, /* password file: empty, too long, or holds control characters */
};

/* ACCESS_OK or ACCESS_MALFORMED. */
int access_endpoint_parse(const char *text, struct access_endpoint *ret_endpoint);

/* Is it on another host, as far as its text tells? Not so: sockets, localhost, 127.0.0.0/8, ::1. */
bool access_endpoint_remote(const struct access_endpoint *endpoint);

/*
 * Reads the first line of @path into @ret_password (ACCESS_PASSWORD_MAX + 1 bytes). The mode is checked on
 * the opened file, so that it cannot be swapped in between. Positive: enum access_result.
 */
int access_password_read(const char *path, char *ret_password);

/* A sentence for an operator; never NULL. */
const char *access_result_text(int result);
