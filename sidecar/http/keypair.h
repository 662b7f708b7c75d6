#pragma once
/* The certificate and the key of the HTTP server: read, and noticed when they are renewed. */
#include <stdbool.h>
#include <sys/stat.h>

#include "http/server.h"

struct keypair {
    char cert[HTTP_SECRET_MAX], key[HTTP_SECRET_MAX]; /* PEM; the caller wipes them */
};

struct keypair_files {
    struct stat cert, key;
};

/* 0 or negative errno. @ret_files is for keypair_renewed(). */
int keypair_read(const char *cert, const char *key, struct keypair *ret, struct keypair_files *ret_files);

/* Have the files changed since they were read? False while one of them is missing. */
bool keypair_renewed(const char *cert, const char *key, const struct keypair_files *files);
