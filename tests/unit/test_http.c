/* The HTTP server as a real thread on loopback, and clients that are slow, many, or rude. */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "http/server.h"

#define MANY    500
#define IDLE_NS LEASE_NS_PER_S

static struct http_server *server;
static struct http_counts last_counts;
static atomic_int last_outcome;
static char listen_text[32];
static struct sockaddr_in server_address;

static void answer_path(void *userdata, const char *path, const struct http_counts *counts,
                        struct answer_reply *reply)
{
    (void)userdata;
    last_counts = *counts;
    reply->status = strcmp(path, "/hop") == 0 ? 307 : 200;
    reply->type = "text/plain";
    if (reply->status == 307)
        strcpy(reply->location, "http://elsewhere/");
    text_add(&reply->body, "you asked for %s\n", path);
}

static void on_outcome(void *userdata, int error)
{
    atomic_store((atomic_int *)userdata, error);
}

/* What became of it: it serves, or which error. */
static int outcome(void)
{
    for (unsigned i = 0; i < 3000 && atomic_load(&last_outcome) > 0; i++)
        poll(NULL, 0, 1);
    return atomic_load(&last_outcome);
}

static int open_with(const struct http_config *config)
{
    struct http_config c = *config;

    c.idle_ns = IDLE_NS;
    c.answer = answer_path;
    c.outcome = on_outcome;
    c.userdata = &last_outcome;
    atomic_store(&last_outcome, 1);
    return http_server_new(&c, &server) < 0 ? -EAGAIN : outcome();
}

/* A port that nobody has just now. */
static int find_port(void)
{
    socklen_t size = sizeof server_address;
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    server_address = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    assert_int_equal(bind(fd, (struct sockaddr *)&server_address, size), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&server_address, &size), 0);
    close(fd);
    return ntohs(server_address.sin_port);
}

static int open_server(void **state)
{
    (void)state;
    snprintf(listen_text, sizeof listen_text, "127.0.0.1:%d", find_port());
    return open_with(&(struct http_config){.listen = listen_text});
}

static int close_server(void **state)
{
    (void)state;
    server = http_server_free(server);
    return 0;
}

static int dial(void)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&server_address, sizeof server_address), 0);
    return fd;
}

static void send_text(int fd, const char *text)
{
    assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

/* All that comes until the other side closes, is silent for @patience_ms, or has said @last. */
static const char *read_to(int fd, int patience_ms, const char *last)
{
    static char buf[8192];
    size_t size = 0;

    while (size < sizeof buf - 1 && poll(&(struct pollfd){.fd = fd, .events = POLLIN}, 1, patience_ms) == 1) {
        ssize_t n = read(fd, buf + size, sizeof buf - 1 - size);

        if (n <= 0)
            break;
        size += (size_t)n;
        buf[size] = '\0';
        if (last && strstr(buf, last))
            break;
    }
    buf[size] = '\0';
    return buf;
}

static const char *read_all(int fd, int patience_ms)
{
    return read_to(fd, patience_ms, NULL);
}

/* The reply to one request on a connection of its own. */
static const char *ask(const char *request)
{
    int fd = dial();

    send_text(fd, request);
    const char *reply = read_all(fd, 2000);

    close(fd);
    return reply;
}

static void assert_has(const char *text, const char *part)
{
    if (!strstr(text, part))
        fail_msg("\"%s\" is not in: %s", part, text);
}

static void test_methods(void **state)
{
    (void)state;
    const char *reply = ask("GET /x HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");

    assert_has(reply, "HTTP/1.1 200 ");
    assert_has(reply, "Cache-Control: no-store\r\n");
    assert_has(reply, "\r\n\r\nyou asked for /x\n");
    reply = ask("HEAD /x HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    assert_has(reply, "HTTP/1.1 200 ");
    assert_has(reply, "Content-Length: 17\r\n");
    assert_null(strstr(reply, "you asked"));
    reply = ask("OPTIONS /x HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    assert_has(reply, "HTTP/1.1 204 ");
    assert_has(reply, "Allow: GET, HEAD, OPTIONS\r\n");
    const char *const others[] = {"POST", "PUT", "DELETE", "TRACE", "PATCH", "CONNECT", "get", "BREW"};

    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        char request[128];

        /* The body never comes: the answer does not wait for it. */
        snprintf(request, sizeof request, "%s /x HTTP/1.1\r\nHost: h\r\nContent-Length: 1000\r\n\r\n",
                 others[i]);
        reply = ask(request);
        assert_has(reply, "HTTP/1.1 405 ");
        assert_has(reply, "Allow: GET, HEAD, OPTIONS\r\n");
    }
    assert_has(ask("GET /hop HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"),
               "Location: http://elsewhere/\r\n");
}

/* One connection serves many requests, also with bodies that nobody wants. */
static void test_kept_alive(void **state)
{
    int fd = dial();

    (void)state;
    for (unsigned i = 0; i < 100; i++) {
        send_text(fd, "GET /a HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello");
        assert_has(read_to(fd, 2000, "/a\n"), "you asked for /a\n");
    }
    send_text(fd, "GET /b HTTP/1.1\r\nHost: h\r\n\r\nGET /c HTTP/1.1\r\nHost: h\r\n\r\n");
    const char *both = read_to(fd, 2000, "/c\n");

    assert_has(both, "you asked for /b\n");
    assert_has(both, "you asked for /c\n");
    close(fd);
}

static void test_too_long(void **state)
{
    char request[3 * HTTP_MEMORY] = "GET /x HTTP/1.1\r\nHost: h\r\nX-Long: ";

    (void)state;
    memset(request + strlen(request), 'a', 2 * HTTP_MEMORY);
    strcat(request, "\r\n\r\n");
    assert_has(ask(request), "HTTP/1.1 431 ");
    strcpy(request, "GET /");
    memset(request + strlen(request), 'a', 2 * HTTP_MEMORY);
    strcpy(request + 5 + 2 * HTTP_MEMORY, " HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_has(ask(request), "HTTP/1.1 414 ");
    assert_has(ask("no request at all\r\n\r\n"), "HTTP/1.1 400 ");
    assert_has(ask("GET /x HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"), "200");
}

/* All places are held by clients that say half a request and fall silent: whoever comes is answered at once.
 */
static void test_stalled(void **state)
{
    static int stalled[MANY];
    struct timespec begin, end;
    unsigned open = 0;

    (void)state;
    for (unsigned i = 0; i < MANY; i++) {
        stalled[i] = dial();
        send(stalled[i], "GET /leader HT", 14, MSG_NOSIGNAL);
        if (i % 100 == 99)
            poll(NULL, 0, 50); /* the backlog holds 128: a connect beyond it waits for a second */
    }
    for (unsigned i = 0; i < 20; i++) {
        clock_gettime(CLOCK_MONOTONIC, &begin);
        assert_has(ask("GET /x HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"), "you asked for /x\n");
        clock_gettime(CLOCK_MONOTONIC, &end);
        int64_t took_ms = (end.tv_sec - begin.tv_sec) * 1000 + (end.tv_nsec - begin.tv_nsec) / 1000000;
        assert_in_range(took_ms, 0, 999);
    }
    for (unsigned i = 0; i < MANY; i++) {
        open += poll(&(struct pollfd){.fd = stalled[i], .events = POLLIN}, 1, 0) == 0;
        close(stalled[i]);
    }
    /* Most have been closed: the places are few. */
    assert_in_range(open, 1, HTTP_PLACES);
    assert_in_range(last_counts.dropped, MANY - HTTP_PLACES, MANY);
    assert_in_range(last_counts.connections, 1, HTTP_PLACES + 8);
}

/* A client that sends a byte now and then is no better than a silent one. */
static void test_slow(void **state)
{
    int fd = dial();
    time_t begin = time(NULL);

    (void)state;
    while (poll(&(struct pollfd){.fd = fd, .events = POLLIN}, 1, 100) == 0) {
        assert_true(time(NULL) - begin < 6);
        send(fd, "G", 1, MSG_NOSIGNAL);
    }
    assert_in_range(time(NULL) - begin, 1, 6);
    close(fd);
}

/* What can't be had is reported, and tried again later: nobody waits for it. */
static void test_outcomes(void **state)
{
    struct http_config c = {.listen = listen_text};
    struct http_server *first = server;
    char text[64];

    assert_int_equal(open_with(&c), -EADDRINUSE);
    assert_false(http_server_serves(server));
    http_server_free(server);
    c.listen = "localhost:80";
    assert_int_equal(open_with(&c), -EINVAL);
    http_server_free(server);
    snprintf(text, sizeof text, "127.0.0.1:%d", find_port());
    c.listen = text;
    c.cert = c.key = "/dev/null";
    assert_int_equal(open_with(&c), -EKEYREJECTED);
    http_server_free(server);
    c.key = "/nowhere/key";
    assert_int_equal(open_with(&c), -ENOENT);
    http_server_free(server);
    server = first;
    assert_true(http_server_serves(server));
    (void)state;
}

/* ---- a renewal that fails at first ---- */

static char cert_path[64], key_path[64];

static void shell(const char *format, ...)
{
    char command[1024];
    va_list args;

    va_start(args, format);
    vsnprintf(command, sizeof command, format, args);
    va_end(args);
    if (system(command) != 0)
        fail_msg("%s", command);
}

static void issue(const char *folder, const char *name)
{
    shell("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=%s "
          "-keyout %s/%s.key -out %s/%s.pem 2>&1 | cat >/dev/null",
          name, folder, name, folder, name);
}

static int outcome_within_s(int wanted, int limit_s)
{
    for (int i = 0; i < limit_s * 100 && atomic_load(&last_outcome) != wanted; i++)
        poll(NULL, 0, 10);
    return atomic_load(&last_outcome);
}

/*
 * The certificate is there, its key cannot be read yet: no change of size or time tells when it can, as after
 * a chmod. The fault is said once, the old pair is served, and the new one within HTTP_RETRY_S.
 */
static void test_renewal_that_fails_at_first(void **state)
{
    char folder[] = "/tmp/galera-lease-http-XXXXXX", text[64];

    (void)state;
    assert_non_null(mkdtemp(folder));
    snprintf(cert_path, sizeof cert_path, "%s/cert", folder);
    snprintf(key_path, sizeof key_path, "%s/key", folder);
    issue(folder, "old");
    issue(folder, "new");
    shell("cd %s && cp old.pem cert && cp old.key key", folder);
    snprintf(text, sizeof text, "127.0.0.1:%d", find_port());
    assert_int_equal(open_with(&(struct http_config){.listen = text, .cert = cert_path, .key = key_path}), 0);
    shell("cd %s && tr A-Za-z x <new.key >key && touch -r key time && cp new.pem cert", folder);
    assert_int_equal(outcome_within_s(-EKEYREJECTED, HTTP_RETRY_S + 5), -EKEYREJECTED);
    assert_true(http_server_serves(server));
    shell("cd %s && cat new.key >key && touch -r time key", folder);
    assert_int_equal(outcome_within_s(0, HTTP_RETRY_S + 5), 0);
    shell("openssl s_client -connect %s </dev/null 2>&1 | grep -q 'subject=CN *= *new'", text);
    shell("rm -r %s", folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_methods, open_server, close_server),
        cmocka_unit_test_setup_teardown(test_kept_alive, open_server, close_server),
        cmocka_unit_test_setup_teardown(test_too_long, open_server, close_server),
        cmocka_unit_test_setup_teardown(test_stalled, open_server, close_server),
        cmocka_unit_test_setup_teardown(test_slow, open_server, close_server),
        cmocka_unit_test_setup_teardown(test_outcomes, open_server, close_server),
        cmocka_unit_test_teardown(test_renewal_that_fails_at_first, close_server),
    };
    struct rlimit files = {4096, 4096};

    setrlimit(RLIMIT_NOFILE, &files);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
