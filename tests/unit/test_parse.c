/* Texts from people and from the outside. */
#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "util/parse.h"

static void test_u64(void **state)
{
    static const char *const bad[] = {"", "-1", "+1", " 1", "1 ", "0x1", "1.0", "a"};
    uint64_t v = 7;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(parse_u64(bad[i], &v), -EINVAL);
    assert_int_equal(parse_u64("18446744073709551616", &v), -ERANGE);
    assert_int_equal(parse_u64("99999999999999999999999", &v), -ERANGE);
    assert_int_equal(v, 7); /* nothing written on error */
    assert_int_equal(parse_u64("18446744073709551615", &v), 0);
    assert_true(v == UINT64_MAX);
    assert_int_equal(parse_u64("0", &v), 0);
    assert_int_equal(v, 0);
}

static void test_duration(void **state)
{
    static const struct {
        const char *text;
        uint64_t ns;
    } good[] = {{"20s", 20000000000},  {"500ms", 500000000},   {"2m", 120000000000},
                {"1h", 3600000000000}, {"1500ms", 1500000000}, {"0s", 0}};
    static const char *const bad[] = {"", "s", "20", "20 s", "1.5s", "-1s", "20S", "20sec", "ms"};
    char text[32];
    uint64_t ns = 7;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(parse_duration_ns(bad[i], &ns), -EINVAL);
    assert_int_equal(parse_duration_ns("5124096h", &ns), -ERANGE);
    assert_int_equal(ns, 7);
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        assert_int_equal(parse_duration_ns(good[i].text, &ns), 0);
        assert_true(ns == good[i].ns);
        format_duration(ns, text, sizeof text);
        assert_string_equal(text, good[i].text);
    }
}

static void test_name(void **state)
{
    static const char *const bad[] = {"", "-a", ".a", "..", "a/b", "a b", "a\n", "a'", "\xc3\xa9"};
    char longest[65];

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(parse_name_valid(bad[i]));
    assert_true(parse_name_valid("cmon"));
    assert_true(parse_name_valid("_Node-1.example"));
    memset(longest, 'a', 64);
    longest[64] = '\0';
    assert_false(parse_name_valid(longest));
    longest[63] = '\0';
    assert_true(parse_name_valid(longest));
}

static void test_hex(void **state)
{
    uint8_t bytes[4] = {9, 9, 9, 9};
    char text[9];

    (void)state;
    assert_int_equal(parse_hex("00ff7", bytes, 4), -EINVAL);
    assert_int_equal(parse_hex("00ff7fA", bytes, 4), -EINVAL);
    assert_int_equal(parse_hex("00ff7fAg", bytes, 4), -EINVAL);
    assert_int_equal(parse_hex("00ff7fA00", bytes, 4), -EINVAL);
    assert_int_equal(bytes[0], 9);
    assert_int_equal(parse_hex("00ff7fA0", bytes, 4), 0);
    format_hex(bytes, 4, text);
    assert_string_equal(text, "00ff7fa0");
}

static void test_sanitise(void **state)
{
    char text[] = "a\x1b[2J\n\t\x7f\xc3\xa9 ~z";

    (void)state;
    parse_sanitise(text);
    assert_string_equal(text, "a?[2J????? ~z");
}

static void test_socket_address(void **state)
{
    static const char *const bad[] = {
        "",       ":80",   "127.0.0.1",      "127.0.0.1:", "127.0.0.1:0", "1.2.3.4:65536", "localhost:80",
        "::1:80", "[::1]", "[127.0.0.1]:80", "[::1:80",    "1.2.3.4:8x",  "[]:80",         "1.2.3.4 :80",
        "]:80"};
    struct sockaddr_storage a;
    const struct sockaddr_in *four = (void *)&a;
    const struct sockaddr_in6 *six = (void *)&a;
    socklen_t size = 0;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (parse_socket_address(bad[i], &a, &size) != -EINVAL)
            fail_msg("\"%s\" was taken", bad[i]);
    assert_int_equal(size, 0);
    assert_int_equal(parse_socket_address("127.0.0.1:8008", &a, &size), 0);
    assert_int_equal(size, sizeof *four);
    assert_int_equal(four->sin_family, AF_INET);
    assert_int_equal(four->sin_port, htons(8008));
    assert_int_equal(four->sin_addr.s_addr, htonl(INADDR_LOOPBACK));
    assert_int_equal(parse_socket_address("[::1]:65535", &a, &size), 0);
    assert_int_equal(size, sizeof *six);
    assert_int_equal(six->sin6_family, AF_INET6);
    assert_int_equal(six->sin6_port, 65535);
    assert_memory_equal(&six->sin6_addr, &in6addr_loopback, sizeof in6addr_loopback);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_u64), cmocka_unit_test(test_duration), cmocka_unit_test(test_name),
        cmocka_unit_test(test_hex), cmocka_unit_test(test_sanitise), cmocka_unit_test(test_socket_address),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
