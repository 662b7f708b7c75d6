/* What files look like to those who compare them: which changes count, and what is said of a file that can't
 * be read. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "health/drift.h"

static char folder[] = "/tmp/test_drift.XXXXXX";
static char path[64];

static int set_up(void **state)
{
    (void)state;
    if (!mkdtemp(folder))
        return -1;
    snprintf(path, sizeof path, "%s/cmon.cnf", folder);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    unlink(path);
    return rmdir(folder);
}

static void write_file(const char *text, size_t size)
{
    FILE *f = fopen(path, "w");

    assert_non_null(f);
    assert_int_equal(fwrite(text, 1, size, f), size);
    assert_int_equal(fclose(f), 0);
}

/* The word behind the path. */
static const char *word(const char *const *patterns, size_t count)
{
    static char digest[DRIFT_DIGEST_MAX + 1];
    const char *paths[] = {path};
    struct drift *d = NULL;

    assert_int_equal(drift_new(paths, 1, patterns, count, &d), 0);
    drift_digest(d, digest);
    drift_free(d);
    assert_memory_equal(digest, path, strlen(path));
    assert_int_equal(digest[strlen(path)], ':');
    return digest + strlen(path) + 1;
}

static void same(const char *a, const char *b, const char *const *patterns, size_t count, int expected)
{
    char first[32];

    write_file(a, strlen(a));
    snprintf(first, sizeof first, "%s", word(patterns, count));
    assert_int_equal(strlen(first), 12);
    write_file(b, strlen(b));
    assert_int_equal(strcmp(first, word(patterns, count)) == 0, expected);
}

static void test_what_counts(void **state)
{
    static const char *const patterns[] = {"^[[:space:]]*#", "^(host|node)name *="};

    (void)state;
    same("a = 1\nb = 2\n", "a = 1\nb = 3\n", NULL, 0, 0);
    same("a = 1\nb = 2\n", "b = 2\na = 1\n", NULL, 0, 0);
    same("a = 1\n", "a = 1\n\n", NULL, 0, 0);
    same("ab\n", "a\nb\n", NULL, 0, 0);
    same("a = 1\nb = 2\n", "a = 1\r\nb = 2", NULL, 0, 1); /* how lines end */
    same("a = 1\n", "# a = 2\na = 1\n", NULL, 0, 0);
    same("a = 1\n", "  # a = 2\na = 1\nhostname = x\nnodename=y", patterns, 2, 1);
    same("a = 1\n", "a = 1 # but\n", patterns, 2, 0);
    same("a = 1\nx hostname = y\n", "a = 1\n", patterns, 2, 0);
    same("", "# nothing\n", patterns, 2, 1);
}

/* The same as sha256sum says. */
static void test_hash(void **state)
{
    (void)state;
    write_file("abc\n", 4);
    assert_string_equal(word(NULL, 0), "edeaaff3f177");
}

static void test_bytes_of_any_kind(void **state)
{
    static const char *const patterns[] = {"x$"};
    char first[32];

    (void)state;
    write_file("a\0b\n", 4);
    snprintf(first, sizeof first, "%s", word(NULL, 0));
    write_file("a\0c\n", 4);
    assert_string_not_equal(word(NULL, 0), first);
    write_file("a\0c\nb\0x\n", 8);
    snprintf(first, sizeof first, "%s", word(patterns, 1));
    write_file("a\0c\n", 4);
    assert_string_equal(word(patterns, 1), first);
}

static void test_what_cannot_be_read(void **state)
{
    char *big = calloc(1, DRIFT_SIZE_MAX + 1);

    (void)state;
    unlink(path);
    assert_string_equal(word(NULL, 0), "missing");
    assert_int_equal(mkdir(path, 0755), 0);
    assert_string_equal(word(NULL, 0), "unreadable");
    rmdir(path);
    assert_int_equal(mkfifo(path, 0644), 0); /* nobody writes: it must not be waited for */
    assert_string_equal(word(NULL, 0), "unreadable");
    unlink(path);
    write_file(big, DRIFT_SIZE_MAX);
    assert_int_equal(strlen(word(NULL, 0)), 12);
    write_file(big, DRIFT_SIZE_MAX + 1);
    assert_string_equal(word(NULL, 0), "too-big");
    free(big);
}

static void test_several_in_order(void **state)
{
    const char *paths[] = {"/nowhere/b", "/nowhere/a", "/nowhere/c"};
    char digest[DRIFT_DIGEST_MAX + 1];
    struct drift *d = NULL;

    (void)state;
    assert_int_equal(drift_new(paths, 3, NULL, 0, &d), 0);
    drift_digest(d, digest);
    drift_free(d);
    assert_string_equal(digest, "/nowhere/a:missing,/nowhere/b:missing,/nowhere/c:missing");
}

static void test_patterns(void **state)
{
    const char *bad[] = {"a("};
    char reason[128] = "";
    struct drift *d = NULL;

    (void)state;
    assert_int_equal(drift_pattern_check("^(a|b)+$", reason, sizeof reason), 0);
    assert_int_equal(drift_pattern_check("a(", reason, sizeof reason), 1);
    assert_true(reason[0] != '\0');
    assert_true(drift_new(NULL, 0, bad, 1, &d) < 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_counts),       cmocka_unit_test(test_hash),
        cmocka_unit_test(test_bytes_of_any_kind), cmocka_unit_test(test_what_cannot_be_read),
        cmocka_unit_test(test_several_in_order),  cmocka_unit_test(test_patterns),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
