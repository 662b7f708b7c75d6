/* What becomes of it when the sidecar dies, and which signals are orders. */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proc/kill.h"
#include "util/fsio.h"
#include "kit.h"

static pid_t stand_in; /* plays the sidecar that dies */

static void watch_stand_in(void)
{
    stand_in = fork();
    if (stand_in == 0) {
        pause();
        _exit(0);
    }
    close(keeper.self_fd);
    keeper.self_fd = (int)syscall(SYS_pidfd_open, stand_in, 0);
    assert_true(keeper.self_fd >= 0);
}

static void kill_stand_in(void)
{
    kill(stand_in, SIGKILL);
    waitpid(stand_in, NULL, 0);
}

/* It fences, holds the lock until the stop is confirmed, clears up the cgroup folders, and ends. */
static void test_sidecar_dies(void **state)
{
    char base[300];
    int other;

    (void)state;
    script("fence", "[ -e $D/may ] && rm -f $D/runs; true");
    snprintf(base, sizeof base, "%s/hook", in_folder("cgroup"));
    assert_int_equal(fsio_mkdir_p(base, 0755), 0);
    snprintf(base, sizeof base, "%s/controller", in_folder("cgroup"));
    assert_int_equal(fsio_mkdir_p(base, 0755), 0);
    snprintf(config.cgroup_base, sizeof config.cgroup_base, "%s", in_folder("cgroup"));
    begin();
    watch_stand_in();
    start();
    arm(7, 3600 * S);
    close(lock_fd);
    lock_fd = -1;
    kill_stand_in();
    wait_until("a fence", fence_tried);
    assert_non_null(strstr(contents("log"), "reason=sidecar-died"));
    other = open(in_folder("lock"), O_RDWR | O_CLOEXEC);
    assert_int_equal(flock(other, LOCK_EX | LOCK_NB), -1);
    assert_true(exists("cgroup"));
    touch("may");
    wait_until("its end", is_over);
    assert_int_equal(flock(other, LOCK_EX | LOCK_NB), 0);
    close(other);
    assert_true(is_stopped());
    assert_false(exists("cgroup"));
}

static void test_sidecar_dies_disarmed(void **state)
{
    (void)state;
    begin();
    watch_stand_in();
    start();
    kill_stand_in();
    wait_until("its end", is_over);
    assert_string_equal(contents("log"), "");
    assert_true(exists("runs"));
}

/* Sent before its main has begun, and also where the sidecar was started with signals ignored. */
/* A connection of the sidecar's, say, whose other end must see when the sidecar dies. */
static void test_keeps_only_what_it_was_given(void **state)
{
    (void)state;
    begin();
    int low = open(in_folder("theirs"), O_RDWR | O_CREAT, 0600); /* both would be inherited */
    int high = fcntl(low, F_DUPFD, 200);

    start();
    touch("runs");
    arm(1, 3600 * S);
    kill(keeper.pid, SIGTERM); /* it has begun when it obeys */
    wait_until("stopped", is_stopped);
    for (int fd = 0; fd <= high; fd++) {
        char path[64], target[512] = "";

        snprintf(path, sizeof path, "/proc/%d/fd/%d", (int)keeper.pid, fd);
        if (readlink(path, target, sizeof target - 1) > 0)
            assert_null(strstr(target, "/theirs"));
    }
    close(low);
    close(high);
}

static void test_early_sigterm(void **state)
{
    static const int signals[] = {SIGTERM, SIGINT};

    (void)state;
    begin();
    for (unsigned i = 0; i < 12; i++) {
        if (i % 2) {
            signal(signals[i / 2 % 2], SIG_IGN);
            signal(SIGCHLD, SIG_IGN); /* inherited, it would lose the end of every hook */
        }
        touch("runs");
        arm(i, 3600 * S);
        start();
        kill(keeper.pid, signals[i / 2 % 2]);
        signal(signals[i / 2 % 2], SIG_DFL);
        signal(SIGCHLD, SIG_DFL);
        wait_until("stopped", is_stopped);
        assert_true(running());
        assert_int_equal(page_disarm(page), PAGE_OK);
        kill(keeper.pid, SIGKILL);
        keeper_reap(&keeper);
    }
    assert_non_null(strstr(contents("log"), "fence epoch=0 reason=sigterm\nfence epoch=1 reason=sigterm\n"));
}

/* A terminal's end or a reload is the sidecar's matter. */
static void test_sighup_is_no_order(void **state)
{
    (void)state;
    begin();
    touch("runs");
    arm(1, 3600 * S);
    start();
    kill(keeper.pid, SIGHUP); /* maybe before its main has begun ... */
    poll(NULL, 0, 200);
    kill(keeper.pid, SIGHUP); /* ... and surely afterwards */
    poll(NULL, 0, 200);
    assert_true(running());
    assert_string_equal(contents("log"), "");
    assert_true(exists("runs"));
    assert_int_equal(page_disarm(page), PAGE_OK);
}

static void test_sigterm_disarmed(void **state)
{
    (void)state;
    begin();
    start();
    kill(keeper.pid, SIGTERM);
    poll(NULL, 0, 200);
    assert_true(running());
    arm(7, 3600 * S); /* the order was for nothing, and is not kept for later */
    poll(NULL, 0, 200);
    assert_false(page_fencing(page));
}

int guardian_sidecar(void)
{
    const struct CMUnitTest tests[] = {
        KIT_TEST(test_sidecar_dies),
        KIT_TEST(test_sidecar_dies_disarmed),
        KIT_TEST(test_keeps_only_what_it_was_given),
        KIT_TEST(test_early_sigterm),
        KIT_TEST(test_sighup_is_no_order),
        KIT_TEST(test_sigterm_disarmed),
    };

    return cmocka_run_group_tests_name("sidecar", tests, NULL, NULL);
}
