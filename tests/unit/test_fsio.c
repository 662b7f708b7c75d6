/* Small files and the log line. */
#include <errno.h>
#include <sys/stat.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "util/fsio.h"
#include "util/log.h"

static char folder[] = "/tmp/galera-lease-fsio-XXXXXX";
static char path[128], tmp[136];

static int set_up(void **state)
{
    (void)state;
    if (!mkdtemp(folder))
        return -1;
    snprintf(path, sizeof path, "%s/file", folder);
    snprintf(tmp, sizeof tmp, "%s.tmp", path);
    return 0;
}

static int tear_down(void **state)
{
    char inner[160];

    (void)state;
    unlink(path);
    snprintf(inner, sizeof inner, "%s/a/b", folder);
    rmdir(inner);
    snprintf(inner, sizeof inner, "%s/a", folder);
    rmdir(inner);
    return rmdir(folder);
}

static void test_replace_and_read(void **state)
{
    char buf[6];
    size_t length = 99;
    struct stat st;

    (void)state;
    assert_int_equal(fsio_read(path, buf, sizeof buf, &length), -ENOENT);
    assert_int_equal(length, 99);
    assert_int_equal(fsio_replace(path, "12345", 5, 0600, true), 0);
    assert_int_equal(fsio_read(path, buf, sizeof buf, &length), 0);
    assert_string_equal(buf, "12345");
    assert_int_equal(length, 5);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(fsio_replace(path, "ab", 2, 0600, false), 0);
    assert_int_equal(fsio_read(path, buf, sizeof buf, &length), 0);
    assert_string_equal(buf, "ab");
    assert_int_equal(access(tmp, F_OK), -1);
    assert_int_equal(fsio_replace(path, "123456", 6, 0600, false), 0);
    assert_int_equal(fsio_read(path, buf, sizeof buf, NULL), -EFBIG);
}

/* A failed replacement leaves the old content. */
static void test_replace_fails(void **state)
{
    char buf[16];

    (void)state;
    assert_int_equal(fsio_replace(path, "old", 3, 0600, false), 0);
    assert_int_equal(symlink("/dev/null", tmp), 0); /* somebody put a link where we write */
    assert_int_equal(fsio_replace(path, "new", 3, 0600, true), -ELOOP);
    unlink(tmp);
    assert_int_equal(fsio_read(path, buf, sizeof buf, NULL), 0);
    assert_string_equal(buf, "old");
}

static void test_mkdir_p(void **state)
{
    char inner[160];
    struct stat st;

    (void)state;
    snprintf(inner, sizeof inner, "%s/a/b", folder);
    assert_int_equal(fsio_mkdir_p(inner, 0700), 0);
    assert_int_equal(fsio_mkdir_p(inner, 0700), 0);
    assert_int_equal(stat(inner, &st), 0);
    assert_true(S_ISDIR(st.st_mode));
    snprintf(inner, sizeof inner, "%s/below", path);
    assert_int_equal(fsio_mkdir_p(inner, 0700), -ENOTDIR);
}

static char logged[4096];
static unsigned emitted;

static void catch_line(enum log_level level, const char *event, const char *message)
{
    snprintf(logged, sizeof logged, "%d %s %s", (int)level, event, message);
    emitted++;
}

static void test_log(void **state)
{
    char quoted[16];

    (void)state;
    log_set_backend(catch_line);
    log_info("role", "lease=%s text=%s", "cmon", "a\nlevel=error");
    assert_string_equal(logged, "2 role lease=cmon text=a?level=error");
    log_debug("role", "too quiet");
    assert_int_equal(emitted, 1);
    log_set_level(LOG_LEVEL_DEBUG);
    log_debug("role", "heard");
    assert_int_equal(emitted, 2);
    log_set_level(LOG_LEVEL_INFO);
    log_set_backend(NULL);
    assert_string_equal(log_quote("a\"b\\\x1b", quoted, sizeof quoted), "\"a\\\"b\\\\?\"");
    assert_string_equal(log_quote("0123456789abcdefgh", quoted, sizeof quoted), "\"0123456789ab\"");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_replace_and_read),
        cmocka_unit_test(test_replace_fails),
        cmocka_unit_test(test_mkdir_p),
        cmocka_unit_test(test_log),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
