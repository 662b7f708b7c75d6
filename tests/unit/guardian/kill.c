/* What it kills, and what not: real sessions, orphans and cgroups. */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hook/hook.h"
#include "proc/kill.h"
#include "util/fsio.h"
#include "kit.h"

static pid_t start_session(const char *const argv[])
{
    pid_t pid = fork();

    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL); /* whatever becomes of the test */
        setsid();
        execv(argv[0], (char *const *)argv);
        _exit(127);
    }
    /* Until it is what it is to be: identity and session are read from outside. */
    for (int i = 0; i < 1000 && getsid(pid) != pid; i++)
        poll(NULL, 0, 1);
    return pid;
}

static bool lives(pid_t pid)
{
    return waitpid(pid, NULL, WNOHANG) == 0;
}

static void fence_now(uint64_t promote)
{
    atomic_store(&page->promotes[0], promote);
    page_order_fence(page, 7);
    keeper_wake(&keeper);
    wait_until("stopped", is_stopped);
    assert_int_equal(page_disarm(page), PAGE_OK);
    page_promote_over(page);
}

static void assert_ends(pid_t pid)
{
    uint64_t end = hook_now_ns() + PATIENCE;

    while (waitpid(pid, NULL, WNOHANG) == 0) {
        if (hook_now_ns() > end) {
            kill(pid, SIGKILL);
            fail_msg("process %d lives on", (int)pid);
        }
        poll(NULL, 0, 5);
    }
}

/* The number of a promote that is over may be anybody's by now. */
static void test_reused_number(void **state)
{
    static const char *const argv[] = {"/bin/sleep", "600", NULL};
    pid_t innocent = start_session(argv), promote = start_session(argv);

    (void)state;
    begin();
    start();
    fence_now(kill_identity(innocent) - (UINT64_C(1) << 22)); /* the same number, started a tick earlier */
    assert_true(lives(innocent));
    fence_now(kill_identity(promote));
    assert_ends(promote);
    assert_true(lives(innocent));
    kill(innocent, SIGKILL);
    waitpid(innocent, NULL, 0);
}

static pid_t orphan_of(const char *lease, uint64_t *ret_identity)
{
    static const char body[] = "sleep 600 & echo $! >\"$0\"; read x";
    char *argv[] = {(char *)"/bin/sh", (char *)"-c", (char *)body, in_folder("orphan"), NULL};
    char mark[64];
    int hold[2];

    unlink(in_folder("orphan"));
    assert_int_equal(pipe2(hold, O_CLOEXEC), 0);
    snprintf(mark, sizeof mark, "GALERA_LEASE_NAME=%s", lease);
    pid_t leader = fork();

    if (leader == 0) {
        char *envp[] = {(char *)"PATH=/usr/bin:/bin", mark, NULL};

        setsid();
        dup2(hold[0], 0);
        execve(argv[0], argv, envp);
        _exit(127);
    }
    for (int i = 0; i < 1000 && !strchr(contents("orphan"), '\n'); i++)
        poll(NULL, 0, 5);
    *ret_identity = kill_identity(leader);
    close(hold[0]);
    close(hold[1]);
    assert_int_equal(waitpid(leader, NULL, 0), leader);
    return (pid_t)atoi(contents("orphan"));
}

/* The leader of the session is gone: only what carries our mark dies. Orphans are fetched by us. */
static void test_session_without_leader(void **state)
{
    uint64_t identity;

    (void)state;
    assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
    begin();
    start();
    pid_t foreign = orphan_of("cmon2", &identity);

    assert_true(foreign > 0 && kill_identity((pid_t)(identity & 0x3fffff)) == 0);
    fence_now(identity);
    assert_true(lives(foreign));
    kill(foreign, SIGKILL);
    waitpid(foreign, NULL, 0);
    pid_t ours = orphan_of("cmon", &identity);

    assert_true(lives(ours));
    fence_now(identity);
    assert_ends(ours);
}

/* What an earlier part of the folder left is on its way to start the controller, too. */
static void test_earlier_parts_of_a_promote(void **state)
{
    static const char *const sleeps[] = {"/bin/sleep", "600", NULL};

    (void)state;
    begin();
    start();
    pid_t first = start_session(sleeps), second = start_session(sleeps);

    atomic_store(&page->promotes[1], kill_identity(second));
    fence_now(kill_identity(first));
    assert_ends(first);
    assert_ends(second);
    assert_true(atomic_load(&page->promotes[1]) == 0);
}

/* The real thing: a promote hook through the launcher dies before the fence hook looks. */
static void test_running_promote_is_killed(void **state)
{
    struct hook_facts facts = {.lease = "cmon",
                               .member = "node1",
                               .role = "leader",
                               .reason = "test",
                               .previous = "",
                               .run_dir = folder,
                               .state_dir = folder,
                               .promote_cgroup = "",
                               .epoch = 7};
    struct hook_spec spec = {.kind = HOOK_PROMOTE, .launcher = config.launcher, .budget_ns = 60 * S};
    struct hook_run run;
    char path[256];

    (void)state;
    script("promote", "touch $D/promoting; sleep 600");
    script("fence",
           "kill -0 $(cat $D/promote-pid) 2>/dev/null && grep -qv ' Z ' /proc/$(cat $D/promote-pid)/stat "
           "&& echo promote-lives >>$D/log; rm -f $D/runs");
    begin();
    start();
    arm(7, 3600 * S);
    spec.page_fd = page_fd;
    snprintf(path, sizeof path, "%s", in_folder("promote"));
    spec.path = path;
    assert_int_equal(hook_start(&run, &spec, &facts, NULL, NULL), 0);
    char pid[24];
    int n = snprintf(pid, sizeof pid, "%d\n", (int)run.child.pid);

    assert_int_equal(fsio_replace(in_folder("promote-pid"), pid, (size_t)n, 0644, false), 0);
    for (int i = 0; i < 1000 && !exists("promoting"); i++)
        poll(NULL, 0, 5);
    assert_true(atomic_load(&page->promotes[0]) == kill_identity(run.child.pid));
    page_order_fence(page, 7);
    keeper_wake(&keeper);
    wait_until("stopped", is_stopped);
    bool lives_on = strstr(contents("log"), "promote-lives") != NULL;

    if (lives_on)
        hook_deinit(&run); /* it would outlive us */
    assert_false(lives_on);
    enum hook_outcome outcome;

    while ((outcome = hook_dispatch(&run)) == HOOK_RUNNING)
        poll(NULL, 0, 5);
    assert_int_equal(outcome, HOOK_FAILED);
    hook_deinit(&run);
    /* And now nothing starts. */
    unlink(in_folder("promoting"));
    assert_int_equal(hook_run_sync(&spec, &facts, NULL, NULL), HOOK_FAILED);
    assert_false(exists("promoting"));
}

/* Where no cgroup can be had any more: a fence that stays outside is better than none, a start is not. */
static void test_without_its_cgroup(void **state)
{
    struct hook_facts facts = {.lease = "cmon",
                               .member = "node1",
                               .role = "leader",
                               .reason = "test",
                               .previous = "",
                               .run_dir = folder,
                               .state_dir = folder,
                               .promote_cgroup = "",
                               .epoch = 7};
    struct hook_spec spec = {.kind = HOOK_PROMOTE, .launcher = config.launcher, .budget_ns = 5 * S};
    char path[256], nowhere[256];

    (void)state;
    snprintf(nowhere, sizeof nowhere, "%s", in_folder("no-cgroup"));
    snprintf(config.guardian_cgroup, sizeof config.guardian_cgroup, "%s", nowhere);
    script("promote", "touch $D/promoted");
    script("fence", "touch $D/fenced; rm -f $D/runs");
    begin();
    start();
    arm(7, 3600 * S);
    snprintf(path, sizeof path, "%s", in_folder("promote"));
    spec.path = path;
    spec.cgroup = nowhere;
    spec.page_fd = page_fd;
    assert_int_equal(hook_run_sync(&spec, &facts, NULL, NULL), HOOK_FAILED);
    assert_false(exists("promoted"));
    page_order_fence(page, 7);
    keeper_wake(&keeper);
    wait_until("stopped", is_stopped);
    assert_true(exists("fenced"));
}

/* No hook can be started, or the one that is to stop it can't: what lives in the controller's cgroup dies
 * without one. The cgroup is a folder with a list, as where the kernel has no cgroup.kill. */
static void kill_without_hook(const char *launcher, const char *fence)
{
    static const char *const sleeps[] = {"/bin/sleep", "600", NULL};
    char list[32];

    snprintf(config.launcher, sizeof config.launcher, "%s", launcher);
    script("fence", fence);
    assert_int_equal(mkdir(in_folder("controller"), 0755), 0);
    snprintf(config.promote_cgroup, sizeof config.promote_cgroup, "%s", in_folder("controller"));
    begin();
    start();
    pid_t controller = start_session(sleeps);
    int length = snprintf(list, sizeof list, "%d\n", (int)controller);

    assert_int_equal(fsio_replace(in_folder("controller/cgroup.procs"), list, (size_t)length, 0644, false),
                     0);
    assert_true(lives(controller));
    arm(7, 0);
    assert_ends(controller);
}

static void test_no_hook_can_be_started(void **state)
{
    (void)state;
    kill_without_hook("/nonexistent", FENCE_STOPS);
    assert_true(page_fencing(page));
    assert_false(is_stopped()); /* nobody has looked */
}

static void test_fence_fails(void **state)
{
    (void)state;
    kill_without_hook(getenv("LAUNCHER"), FENCE_STOPS "; exit 1");
    wait_until("stopped", is_stopped);
}

int guardian_kill(void)
{
    const struct CMUnitTest tests[] = {
        KIT_TEST(test_reused_number),
        KIT_TEST(test_session_without_leader),
        KIT_TEST(test_earlier_parts_of_a_promote),
        KIT_TEST(test_running_promote_is_killed),
        KIT_TEST(test_without_its_cgroup),
        KIT_TEST(test_no_hook_can_be_started),
        KIT_TEST(test_fence_fails),
    };

    return cmocka_run_group_tests_name("kill", tests, NULL, NULL);
}
