#include "db/login.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

#include "db/statement.h"
#include "util/cleanup.h"

#define SHA1_SIZE   20
#define NATIVE_SIZE (1 + 2 * SHA1_SIZE + 1)

/* As mysql_native_password keeps it: SHA1(SHA1(password)). */
static bool native_hash(const char *password, char ret[NATIVE_SIZE])
{
    unsigned char once[SHA1_SIZE], twice[SHA1_SIZE];
    bool ok = EVP_Digest(password, strlen(password), once, NULL, EVP_sha1(), NULL) == 1 &&
              EVP_Digest(once, sizeof once, twice, NULL, EVP_sha1(), NULL) == 1;

    ret[0] = '*';
    for (size_t i = 0; ok && i < SHA1_SIZE; i++)
        snprintf(ret + 1 + 2 * i, 3, "%02X", twice[i]);
    explicit_bzero(once, sizeof once);
    return ok;
}

enum login login_compare(struct sync *sync, const char *user, const char *host, const char *password)
{
    _cleanup_(table_freep) struct table *t = NULL;
    struct sync_error error;
    struct statement s;
    char sql[1024], wanted[NATIVE_SIZE] = "unix_socket";
    uint64_t same, known;

    if (password && !native_hash(password, wanted))
        return LOGIN_NONE;
    statement_init(&s, sql, sizeof sql);
    /* Anywhere in it: an account may have several ways to log in. */
    statement_add(&s,
                  "SELECT INSTR(Priv, '%s') > 0, INSTR(Priv, 'mysql_native_password') > 0 OR INSTR(Priv, "
                  "'unix_socket') > 0 OR INSTR(Priv, '\"plugin\"') = 0 FROM mysql.global_priv WHERE User = "
                  "'%s' AND Host = '%s'",
                  wanted, user, host);
    if (statement_end(&s) < 0 || sync_query(sync, false, sql, &t, &error) != SYNC_OK || t->rows != 1 ||
        !table_u64(t, 0, 0, &same) || !table_u64(t, 0, 1, &known))
        return LOGIN_NONE;
    return same ? LOGIN_SAME : known ? LOGIN_OTHER : LOGIN_ODD;
}
