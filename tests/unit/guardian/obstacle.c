/* What must not keep it from its work: a full stderr, no descriptor left, no memory to spare. */
#include <errno.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "util/fsio.h"
#include "kit.h"

#define ANON_MAX_KB 300

/* Nobody reads what it writes to stderr: a pipe, a socket. */
static void fence_with_full_stderr(int fds[2])
{
    static const char noise[1024];
    int saved = dup(STDERR_FILENO), flags = fcntl(fds[1], F_GETFL);

    fcntl(fds[1], F_SETFL, flags | O_NONBLOCK);
    while (write(fds[1], noise, sizeof noise) > 0)
        ;
    while (write(fds[1], noise, 1) > 0)
        ;
    fcntl(fds[1], F_SETFL, flags);
    begin();
    dup2(fds[1], STDERR_FILENO);
    start();
    dup2(saved, STDERR_FILENO);
    close(saved);
    arm(7, 0);
    wait_until("stopped", is_stopped);
    assert_false(exists("runs"));
    assert_int_equal(fcntl(fds[1], F_GETFL), flags); /* the flag of others is not touched */
}

static void test_full_pipe(void **state)
{
    int fds[2];

    (void)state;
    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    fence_with_full_stderr(fds);
    close(fds[0]);
    close(fds[1]);
}

static void test_full_socket(void **state)
{
    int fds[2];

    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    fence_with_full_stderr(fds);
    close(fds[0]);
    close(fds[1]);
}

static void test_hooks_start_clean(void **state)
{
    unsigned long long ignored = 1, blocked = 1, pending = 1;

    (void)state;
    /* Not of the shell, which blocks signals of its own accord while it waits. */
    script("fence", "rm $D/runs; exec sed -n 's/^ShdPnd:.//p; s/^SigBlk:.//p; s/^SigIgn:.//p' "
                    "/proc/self/status >$D/signals");
    begin();
    start();
    arm(7, 0);
    wait_until("stopped", is_stopped);
    assert_int_equal(sscanf(contents("signals"), "%llx %llx %llx", &pending, &blocked, &ignored), 3);
    assert_int_equal(pending, 0);
    assert_int_equal(blocked, 0);
    assert_int_equal(ignored, 0);
}

/* No descriptor left to watch it by: then it must not run. The next try would start another one beside it. */
static void test_unwatched(void **state)
{
    struct rlimit before;
    int held[128];
    unsigned count = 0;

    (void)state;
    begin();
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    assert_int_equal(prlimit(0, RLIMIT_NOFILE, &(struct rlimit){128, before.rlim_max}, NULL), 0);
    while (count < 128 && (held[count] = open("/dev/null", O_RDONLY | O_CLOEXEC)) >= 0)
        count++;
    while (waitpid(-1, NULL, WNOHANG) > 0) /* of earlier tests */
        ;
    int r = keeper_start(&keeper);
    pid_t left = waitpid(-1, NULL, WNOHANG);
    int error = errno;

    while (count > 0)
        close(held[--count]);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_int_equal(r, -EMFILE);
    assert_int_equal(keeper.pid, 0);
    assert_int_equal(keeper.pidfd, -1);
    assert_int_equal(left, -1);
    assert_int_equal(error, ECHILD);
    start(); /* and now it can */
    arm(7, 0);
    wait_until("stopped", is_stopped);
}

static void test_memory(void **state)
{
    char path[64], text[8192];
    long anon = 0;

    (void)state;
    begin();
    start();
    arm(7, 0);
    wait_until("stopped", is_stopped);
    snprintf(path, sizeof path, "/proc/%d/status", (int)keeper.pid);
    assert_int_equal(fsio_read(path, text, sizeof text, NULL), 0);
    assert_non_null(strstr(text, "RssAnon:"));
    assert_int_equal(sscanf(strstr(text, "RssAnon:"), "RssAnon: %ld kB", &anon), 1);
    assert_true(anon > 0);
#if !defined(__SANITIZE_ADDRESS__) /* shadow memory is anonymous */
    print_message("guardian after a fence: %ld kB anonymous\n", anon);
    assert_true(anon <= ANON_MAX_KB);
#endif
}

int guardian_obstacle(void)
{
    const struct CMUnitTest tests[] = {
        KIT_TEST(test_full_pipe), KIT_TEST(test_full_socket), KIT_TEST(test_hooks_start_clean),
        KIT_TEST(test_unwatched), KIT_TEST(test_memory),
    };

    return cmocka_run_group_tests_name("obstacle", tests, NULL, NULL);
}
