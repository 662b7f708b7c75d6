#pragma once
/*
 * The database schema that this program carries, and bringing it into a database (`init`). Idempotent: a
 * second run changes nothing. The same plan can be printed instead, for somebody else to run.
 *
 * It runs DDL, which in Galera stops all writes for as long as it takes: milliseconds here, on empty tables.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "db/sync.h"

#define SCHEMA_VERSION 1

struct schema_account {
    const char *user;     /* NULL: do not make one */
    const char *host;     /* as in MariaDB accounts, e.g. "localhost", "10.0.0.%" */
    const char *password; /* NULL: unix_socket authentication for the OS user of that name */
};

struct schema_plan {
    const char *lease; /* NULL: no lease row */
    uint32_t ttl_ms;
    struct schema_account sidecar,
        sidecar_local; /* the second: for unix sockets, where the first is narrow */
    struct schema_account operator_, reader;
    bool change_logins; /* of accounts that are there, too */
};

enum schema_result {
    SCHEMA_OK = 0,
    SCHEMA_FAILED,   /* see the error and @ret_step */
    SCHEMA_UNKNOWN,  /* the database has a version that this program does not know: nothing was done */
    SCHEMA_FOREIGN,  /* an account, named in @ret_step, is somebody else's: nothing was done */
    SCHEMA_LOGIN,    /* an account, named in @ret_step, logs in with something else: nothing was done */
    SCHEMA_BAD_PLAN, /* a name, user, host or password that may not be used */
};

/* Text of the numbered file @index (0..), or NULL beyond the last. @ret_name may be NULL. */
const char *schema_file(unsigned index, const char **ret_name);

/* Writes the whole plan as SQL for the `mariadb` client. @hide_passwords puts a placeholder instead. */
int schema_print(const struct schema_plan *plan, bool hide_passwords, FILE *file);

/* Runs it. 0, enum schema_result, or -errno. @ret_step (128 bytes) says which part failed. */
int schema_apply(struct sync *sync, const struct schema_plan *plan, char *ret_step,
                 struct sync_error *ret_error);
