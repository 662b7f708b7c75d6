/* A log that nobody reads: pipes, sockets and a journal that are full. Nothing may wait for them, and what
 * was lost is counted. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "util/journal.h"
#include "util/log.h"

#define FLOOD 3000 /* lines: more than any of the buffers takes */

static int saved_stderr = -1, fds[2] = {-1, -1};

/* A log that blocks would end the test here, not let it hang. */
static void limit(unsigned seconds)
{
    alarm(seconds);
}

static int set_up(void **state)
{
    (void)state;
    limit(20);
    saved_stderr = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 10);
    return saved_stderr < 0 ? -1 : 0;
}

static int tear_down(void **state)
{
    (void)state;
    dup2(saved_stderr, STDERR_FILENO);
    close(saved_stderr);
    for (int i = 0; i < 2; i++)
        if (fds[i] >= 0)
            close(fds[i]);
    fds[0] = fds[1] = -1;
    log_set_backend(NULL);
    log_unblock();
    limit(0);
    return 0;
}

static void flood(void)
{
    for (int i = 0; i < FLOOD; i++)
        log_info("flood", "line=%d filler=%0200d", i, 0);
}

/* All that is there to be read, as lines; the "lines=N" of the lost ones must complete the flood. */
static void read_and_count(void)
{
    char *text = calloc(FLOOD, 400);
    size_t length = 0;
    ssize_t n;
    unsigned whole = 0, lost = 0;

    assert_non_null(text);
    assert_int_equal(fcntl(fds[0], F_SETFL, O_NONBLOCK), 0);
    while ((n = read(fds[0], text + length, 4096)) > 0)
        length += (size_t)n;
    log_info("after", "the reader is back");
    while ((n = read(fds[0], text + length, 4096)) > 0)
        length += (size_t)n;
    text[length] = '\0';
    for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
        assert_int_equal(strncmp(line, "ts=", 3), 0); /* no line is torn */
        whole += strstr(line, " event=flood ") && strlen(line) > 200;
        if (strstr(line, " level=warning event=log-lost lines="))
            lost += (unsigned)atoi(strstr(line, "lines=") + 6);
    }
    free(text);
    assert_true(whole > 0 && lost > 0);
    assert_int_equal(whole + lost, FLOOD);
}

static void test_full_pipe(void **state)
{
    (void)state;
    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    dup2(fds[1], STDERR_FILENO);
    log_unblock();
    flood();
    assert_int_equal(fcntl(fds[1], F_GETFL) & O_NONBLOCK, 0); /* others may share it */
    read_and_count();
}

static void test_full_socket(void **state)
{
    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    dup2(fds[1], STDERR_FILENO);
    log_unblock();
    flood();
    assert_int_equal(fcntl(fds[1], F_GETFL) & O_NONBLOCK, 0);
    read_and_count();
}

/* A pipe of somebody else can't be opened again: the log asks for room before it writes. */
static void test_full_pipe_of_another_user(void **state)
{
    (void)state;
    if (geteuid() != 0)
        skip(); /* as anybody else there is nobody to become */
    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    dup2(fds[1], STDERR_FILENO);
    assert_int_equal(seteuid(65534), 0);
    assert_int_equal(open("/proc/self/fd/2", O_WRONLY), -1);
    log_unblock();
    flood();
    assert_int_equal(seteuid(0), 0);
    read_and_count();
}

/* A file is written in order, whatever else writes to it. */
static void test_file(void **state)
{
    char path[] = "/tmp/galera-lease-log-XXXXXX", text[512] = "";

    (void)state;
    fds[0] = mkstemp(path);
    assert_true(fds[0] >= 0);
    dup2(fds[0], STDERR_FILENO);
    log_unblock();
    log_info("one", "a=1");
    assert_int_equal(dprintf(STDERR_FILENO, "between\n"), 8);
    log_info("two", "b=2");
    assert_true(pread(fds[0], text, sizeof text - 1, 0) > 0);
    char *one = strstr(text, "event=one a=1\n"), *between = strstr(text, "between\n"),
         *two = strstr(text, "event=two b=2\n");

    assert_true(one && between && two && one < between && between < two);
    unlink(path);
}

static void test_journal(void **state)
{
    char path[] = "/tmp/galera-lease-journal-XXXXXX", name[64], entry[8192] = "";
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    unsigned whole = 0, lost = 0;
    struct stat st;
    ssize_t n;

    (void)state;
    assert_non_null(mkdtemp(path));
    snprintf(name, sizeof name, "%s/socket", path);
    strcpy(address.sun_path, name);
    fds[0] = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    assert_int_equal(bind(fds[0], (struct sockaddr *)&address, sizeof address), 0);

    setenv("JOURNAL_STREAM", "1:1", 1); /* of somebody else's stderr */
    journal_init("cmon", name);
    assert_int_equal(fstat(STDERR_FILENO, &st), 0);
    snprintf(entry, sizeof entry, "%llu:%llu", (unsigned long long)st.st_dev, (unsigned long long)st.st_ino);
    setenv("JOURNAL_STREAM", entry, 1);
    journal_init("cmon", name);
    flood();
    n = recv(fds[0], entry, sizeof entry - 1, 0);
    assert_true(n > 0);
    entry[n] = '\0';
    whole++;
    entry[strcspn(entry, "\n")] = '\0';
    assert_int_equal(strncmp(entry, "MESSAGE=flood line=0 filler=", 28), 0);
    assert_string_equal(entry + strlen(entry) + 1,
                        "PRIORITY=6\nSYSLOG_IDENTIFIER=galera-lease\nGALERA_LEASE_NAME=cmon\n"
                        "GALERA_LEASE_EVENT=flood\n");
    while ((n = recv(fds[0], entry, sizeof entry - 1, 0)) > 0) {
        entry[n] = '\0';
        whole += strncmp(entry, "MESSAGE=flood ", 14) == 0;
        if (strncmp(entry, "MESSAGE=log-lost lines=", 23) == 0)
            lost += (unsigned)atoi(entry + 23);
    }
    log_info("after", "the journal is back");
    while ((n = recv(fds[0], entry, sizeof entry - 1, 0)) > 0) {
        entry[n] = '\0';
        if (strncmp(entry, "MESSAGE=log-lost lines=", 23) == 0)
            lost += (unsigned)atoi(entry + 23);
    }
    assert_true(lost > 0);
    assert_int_equal(whole + lost, FLOOD);
    unsetenv("JOURNAL_STREAM");
    unlink(name);
    rmdir(path);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        T(test_full_pipe), T(test_full_socket), T(test_full_pipe_of_another_user),
        T(test_file),      T(test_journal),
    };

    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
