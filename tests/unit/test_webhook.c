/* Webhooks: the JSON, the signature, and what each answer of a real HTTP receiver means. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "notify/webhook.h"
#include "web/request.h"

#define MS UINT64_C(1000000)

static pid_t receiver;
static unsigned port;
static char log_path[] = "/tmp/test_webhook.XXXXXX";

static const struct notice notice = {.number = 7,
                                     .at_ms = UINT64_C(1767225599123),
                                     .epoch = 42,
                                     .what = "role",
                                     .from = "promoting",
                                     .role = "leader",
                                     .reason = "free \"\\\n"};

static uint64_t now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 * MS + (uint64_t)t.tv_nsec;
}

static int start_receiver(void **state)
{
    char line[16] = "";
    int out[2], log = mkstemp(log_path);

    (void)state;
    if (log < 0 || pipe(out) < 0)
        return -1;
    close(log);
    receiver = fork();
    if (receiver == 0) {
        dup2(out[1], 1);
        close(out[0]);
        execl("/usr/bin/python3", "/usr/bin/python3", RECEIVER, log_path, NULL);
        _exit(127);
    }
    close(out[1]);
    FILE *said = fdopen(out[0], "r");

    if (!said || !fgets(line, sizeof line, said)) /* the whole line: it may come in pieces */
        return -1;
    fclose(said);
    port = (unsigned)atoi(line);
    return web_init();
}

static int end_receiver(void **state)
{
    (void)state;
    kill(receiver, SIGKILL);
    waitpid(receiver, NULL, 0);
    unlink(log_path);
    return 0;
}

static void test_body(void **state)
{
    struct webhook w = {.lease = "cmon", .member = "node1"};
    struct notice alarm = notice;
    char *body = webhook_body(&w, &notice);

    (void)state;
    assert_string_equal(body,
                        "{\"version\":1,\"lease\":\"cmon\",\"member\":\"node1\",\"event\":\"role\","
                        "\"from\":\"promoting\",\"role\":\"leader\",\"reason\":\"free \\\"\\\\\\n\","
                        "\"epoch\":42,\"alarm\":false,\"number\":7,\"at\":\"2025-12-31T23:59:59.123Z\"}");
    free(body);
    alarm.alarm = true;
    body = webhook_body(&w, &alarm);
    assert_non_null(strstr(body, "\"alarm\":true"));
    free(body);
}

/* RFC 4231, test case 2. */
static void test_signature(void **state)
{
    char signature[WEBHOOK_SIGNATURE_MAX + 1];

    (void)state;
    assert_int_equal(webhook_sign("Jefe", "what do ya want for nothing?", signature), 0);
    assert_string_equal(signature, "sha256=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
}

static void test_addresses(void **state)
{
    static const struct {
        const char *url, *reason;
    } cases[] = {
        {"http://h", NULL},
        {"https://h:8443/a/b?c=d", NULL},
        {"HTTPS://[::1]/", NULL},
        {"file:///etc/passwd", "is no address: write http://host/path or https://host/path"},
        {"ftp://h/", "is neither http nor https"},
        {"gopher://h/", "is neither http nor https"},
        {"h/path", "is no address: write http://host/path or https://host/path"},
        {"http://", "is no address: write http://host/path or https://host/path"},
        {"http://h:99999/", "is no address: write http://host/path or https://host/path"},
        {"http://me@h/", "holds a user name or password, and would be shown with it"},
        {"http://me:secret@h/", "holds a user name or password, and would be shown with it"},
    };
    char reason[128];

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        reason[0] = '\0';
        assert_int_equal(web_url_check(cases[i].url, reason, sizeof reason), cases[i].reason != NULL);
        if (cases[i].reason)
            assert_string_equal(reason, cases[i].reason);
    }
}

static enum courier_result deliver(const char *path, uint64_t timeout_ns, bool (*give_up)(void *),
                                   char *error)
{
    char url[128];
    struct webhook w = {
        .url = url, .lease = "l", .member = "m", .timeout_ns = timeout_ns, .give_up = give_up};

    snprintf(url, sizeof url, "http://127.0.0.1:%u%s", port, path);
    return webhook_deliver(&w, "geheim", &notice, error);
}

static void test_answers(void **state)
{
    static const struct {
        const char *path;
        enum courier_result result;
        const char *error;
    } cases[] = {
        {"/ok", COURIER_DELIVERED, ""},
        {"/status/204", COURIER_DELIVERED, ""},
        {"/drip", COURIER_DELIVERED, ""},
        {"/status/500", COURIER_AGAIN, "it answered 500"},
        {"/status/503", COURIER_AGAIN, "it answered 503"},
        {"/status/429", COURIER_AGAIN, "it answered 429"},
        {"/status/408", COURIER_AGAIN, "it answered 408"},
        {"/status/400", COURIER_REFUSED, "it answered 400"},
        {"/status/404", COURIER_REFUSED, "it answered 404"},
        {"/redirect", COURIER_REFUSED, "it answered 302, and redirects are not followed"},
    };
    char error[WEBHOOK_ERROR_MAX + 1];

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(deliver(cases[i].path, 10000 * MS, NULL, error), cases[i].result);
        assert_string_equal(error, cases[i].error);
    }
}

/* Port 1 of loopback: nobody listens. The environment's proxy is not asked either. */
static void test_nobody_there(void **state)
{
    struct webhook w = {.url = "http://127.0.0.1:1/", .lease = "l", .member = "m", .timeout_ns = 10000 * MS};
    char error[WEBHOOK_ERROR_MAX + 1], proxy[64];

    (void)state;
    snprintf(proxy, sizeof proxy, "http://127.0.0.1:%u", port);
    setenv("http_proxy", proxy, 1);
    assert_int_equal(webhook_deliver(&w, NULL, &notice, error), COURIER_AGAIN);
    unsetenv("http_proxy");
    assert_non_null(strstr(error, "Failed to connect"));
}

static void test_one_that_hangs_is_left_in_time(void **state)
{
    char error[WEBHOOK_ERROR_MAX + 1];
    uint64_t start = now_ns();

    (void)state;
    assert_int_equal(deliver("/hang", 300 * MS, NULL, error), COURIER_AGAIN);
    assert_true(now_ns() - start >= 250 * MS && now_ns() - start < 3000 * MS);
    assert_non_null(strstr(error, "timed out"));
}

static uint64_t given_up_ns;

static bool give_up(void *userdata)
{
    (void)userdata;
    return now_ns() >= given_up_ns;
}

static void test_one_that_hangs_is_left_when_nobody_waits(void **state)
{
    char error[WEBHOOK_ERROR_MAX + 1];

    (void)state;
    given_up_ns = now_ns() + 200 * MS;
    assert_int_equal(deliver("/hang", 3600000 * MS, give_up, error), COURIER_AGAIN);
    assert_true(now_ns() - given_up_ns < 2000 * MS);
    assert_string_equal(error, "the sidecar ended meanwhile");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_body),
        cmocka_unit_test(test_signature),
        cmocka_unit_test(test_addresses),
        cmocka_unit_test(test_answers),
        cmocka_unit_test(test_nobody_there),
        cmocka_unit_test(test_one_that_hangs_is_left_in_time),
        cmocka_unit_test(test_one_that_hangs_is_left_when_nobody_waits),
    };

    return cmocka_run_group_tests(tests, start_receiver, end_receiver);
}
