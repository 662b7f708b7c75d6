#include "health/drift.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <regex.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define HASH_BYTES 6
#define WORD_MAX   12 /* its digits; "unreadable" is shorter */

struct drift {
    char *paths[DRIFT_FILES_MAX];
    size_t path_count;
    regex_t patterns[DRIFT_PATTERNS_MAX];
    size_t pattern_count;
};

int drift_pattern_check(const char *pattern, char *ret_reason, size_t size)
{
    regex_t compiled;
    int r = regcomp(&compiled, pattern, REG_EXTENDED | REG_NOSUB);

    if (r == 0)
        regfree(&compiled);
    else
        regerror(r, &compiled, ret_reason, size);
    return r != 0;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

int drift_new(const char *const *paths, size_t path_count, const char *const *patterns, size_t pattern_count,
              struct drift **ret)
{
    struct drift *d = calloc(1, sizeof *d);
    int r = d ? 0 : -ENOMEM;

    if (path_count > DRIFT_FILES_MAX || pattern_count > DRIFT_PATTERNS_MAX)
        r = -EINVAL;
    for (size_t i = 0; r == 0 && i < path_count; i++) {
        d->paths[d->path_count++] = strdup(paths[i]);
        r = d->paths[i] ? 0 : -ENOMEM;
    }
    for (size_t i = 0; r == 0 && i < pattern_count; i++) {
        r = regcomp(&d->patterns[i], patterns[i], REG_EXTENDED | REG_NOSUB) == 0 ? 0 : -EINVAL;
        d->pattern_count += r == 0;
    }
    if (r < 0) {
        drift_free(d);
        return r;
    }
    qsort(d->paths, d->path_count, sizeof d->paths[0], by_text);
    *ret = d;
    return 0;
}

struct drift *drift_free(struct drift *d)
{
    if (!d)
        return NULL;
    for (size_t i = 0; i < d->path_count; i++)
        free(d->paths[i]);
    for (size_t i = 0; i < d->pattern_count; i++)
        regfree(&d->patterns[i]);
    free(d);
    return NULL;
}

/* ---------------------------------------------------------------- one file */

static bool ignored(const struct drift *d, const char *line, size_t length)
{
    for (size_t i = 0; i < d->pattern_count; i++) {
        regmatch_t all = {.rm_so = 0, .rm_eo = (regoff_t)length};

        if (regexec(&d->patterns[i], line, 1, &all, REG_STARTEND) == 0)
            return true;
    }
    return false;
}

static bool add_lines(const struct drift *d, const char *text, size_t size, EVP_MD_CTX *hash)
{
    const char *end = text + size;
    bool ok = true;

    while (ok && text < end) {
        const char *line_end = memchr(text, '\n', (size_t)(end - text));
        size_t length = (size_t)((line_end ? line_end : end) - text);
        size_t shown = length > 0 && text[length - 1] == '\r' ? length - 1 : length;

        if (!ignored(d, text, shown))
            ok = EVP_DigestUpdate(hash, text, shown) == 1 && EVP_DigestUpdate(hash, "\n", 1) == 1;
        text += line_end ? length + 1 : length;
    }
    return ok;
}

static bool hash_text(const struct drift *d, const char *text, size_t size, char *ret_word)
{
    unsigned char bytes[EVP_MAX_MD_SIZE];
    EVP_MD_CTX *hash = EVP_MD_CTX_new();
    bool ok = hash && EVP_DigestInit_ex(hash, EVP_sha256(), NULL) == 1 && add_lines(d, text, size, hash) &&
              EVP_DigestFinal_ex(hash, bytes, NULL) == 1;

    EVP_MD_CTX_free(hash);
    for (size_t i = 0; ok && i < HASH_BYTES; i++)
        snprintf(ret_word + 2 * i, 3, "%02x", bytes[i]);
    return ok;
}

/* All of it, or one byte more than is allowed; a negative errno. */
static ssize_t read_all(int fd, char *text, size_t size)
{
    size_t length = 0;

    while (length < size) {
        ssize_t r = read(fd, text + length, size - length);

        if (r < 0 && errno != EINTR)
            return -errno;
        if (r == 0)
            break;
        length += r > 0 ? (size_t)r : 0;
    }
    return (ssize_t)length;
}

/* What is known of a file, in one word. */
static void look(const struct drift *d, const char *path, char *text, char ret_word[WORD_MAX + 1])
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY); /* a fifo must not hold us up */
    struct stat st;
    ssize_t length = -1;

    snprintf(ret_word, WORD_MAX + 1, "%s",
             fd < 0 && (errno == ENOENT || errno == ENOTDIR) ? "missing" : "unreadable");
    if (fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
        length = read_all(fd, text, (size_t)DRIFT_SIZE_MAX + 1);
    if (fd >= 0)
        close(fd);
    if (length > (ssize_t)DRIFT_SIZE_MAX)
        snprintf(ret_word, WORD_MAX + 1, "too-big");
    else if (length >= 0 && !hash_text(d, text, (size_t)length, ret_word))
        snprintf(ret_word, WORD_MAX + 1, "unreadable");
}

void drift_digest(const struct drift *d, char ret_digest[DRIFT_DIGEST_MAX + 1])
{
    char *text = malloc((size_t)DRIFT_SIZE_MAX + 1);
    char word[WORD_MAX + 1] = "unreadable";
    size_t at = 0;

    ret_digest[0] = '\0';
    for (size_t i = 0; i < d->path_count && at < DRIFT_DIGEST_MAX; i++) {
        if (text)
            look(d, d->paths[i], text, word);
        int r = snprintf(ret_digest + at, DRIFT_DIGEST_MAX + 1 - at, "%s%s:%s", i > 0 ? "," : "", d->paths[i],
                         word);

        at += r > 0 ? (size_t)r : 0;
    }
    free(text);
}
