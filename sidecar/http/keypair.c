#include "http/keypair.h"

#include <errno.h>

#include "util/fsio.h"

static bool same_file(const struct stat *a, const struct stat *b)
{
    return a->st_ino == b->st_ino && a->st_dev == b->st_dev && a->st_size == b->st_size &&
           a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

bool keypair_renewed(const char *cert, const char *key, const struct keypair_files *files)
{
    struct stat c, k;

    return stat(cert, &c) == 0 && stat(key, &k) == 0 &&
           !(same_file(&c, &files->cert) && same_file(&k, &files->key));
}

int keypair_read(const char *cert, const char *key, struct keypair *ret, struct keypair_files *ret_files)
{
    if (stat(cert, &ret_files->cert) < 0 || stat(key, &ret_files->key) < 0)
        return -errno;
    int r = fsio_read(cert, ret->cert, sizeof ret->cert, NULL);

    return r < 0 ? r : fsio_read(key, ret->key, sizeof ret->key, NULL);
}
