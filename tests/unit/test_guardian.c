/* The guardian with real processes: when it fences, what it kills and what not, and that nothing keeps it
 * from a fence. The test plays the sidecar. $GUARDIAN and $LAUNCHER are the executables that were built. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "guardian/keeper.h"
#include "guardian/page.h"
#include "hook/hook.h"
#include "proc/kill.h"
#include "util/fsio.h"

#define MS          UINT64_C(1000000)
#define S           UINT64_C(1000000000)
#define PATIENCE    (10 * S)
#define ANON_MAX_KB 300

/* The controller is the file "runs": the fence hook removes it, the check looks for it. */
#define FENCE_STOPS "rm -f $D/runs"
#define CHECK_LOOKS "[ -e $D/runs ] && exit 0; exit 3"

static char home[] = "/tmp/galera-lease-guardian-XXXXXX";
static struct page_config config;
static struct page *page;
static struct keeper keeper;
static struct clocks sidecar_clock;
static int page_fd = -1, lock_fd = -1;
static unsigned serial;
static char folder[128];

static char *in_folder(const char *name)
{
    static char path[4][256];
    static unsigned next;
    char *p = path[next++ % 4];

    snprintf(p, 256, "%s/%s", folder, name);
    return p;
}

static void script(const char *name, const char *body)
{
    char text[2048];
    int n =
        snprintf(text, sizeof text,
                 "#!/bin/sh\nD=$GALERA_LEASE_RUNDIR\n"
                 "[ $GALERA_LEASE_HOOK = check ] || "
                 "echo $GALERA_LEASE_HOOK epoch=$GALERA_LEASE_EPOCH reason=$GALERA_LEASE_REASON >>$D/log\n"
                 "%s\n",
                 body);

    assert_int_equal(fsio_replace(in_folder(name), text, (size_t)n, 0755, false), 0);
}

static void touch(const char *name)
{
    assert_int_equal(fsio_replace(in_folder(name), "", 0, 0644, false), 0);
}

static const char *contents(const char *name)
{
    static char text[65536];

    return fsio_read(in_folder(name), text, sizeof text, NULL) < 0 ? "" : text;
}

static bool exists(const char *name)
{
    return access(in_folder(name), F_OK) == 0;
}

static int set_up(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "%s/%u", home, serial++);
    if (mkdir(folder, 0755) < 0)
        return -1;
    config = (struct page_config){
        .kill_budget_ns = S, .margin_ns = S / 2, .check_budget_ns = S, .lease = "cmon", .member = "node1"};
    snprintf(config.fence_hook, sizeof config.fence_hook, "%s", in_folder("fence"));
    snprintf(config.check_hook, sizeof config.check_hook, "%s", in_folder("check"));
    snprintf(config.launcher, sizeof config.launcher, "%s", getenv("LAUNCHER"));
    snprintf(config.run_dir, sizeof config.run_dir, "%s", folder);
    snprintf(config.state_dir, sizeof config.state_dir, "%s", folder);
    script("fence", FENCE_STOPS);
    script("check", CHECK_LOOKS);
    touch("runs");
    clocks_init(&sidecar_clock);
    sidecar_clock.fast_ns += 30000000 * S;
    return 0;
}

/* Everything up to the first guardian. */
static void begin(void)
{
    assert_int_equal(page_create(&config, &page, &page_fd), 0);
    lock_fd = open(in_folder("lock"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    assert_int_equal(flock(lock_fd, LOCK_EX | LOCK_NB), 0);
    assert_int_equal(keeper_init(&keeper, getenv("GUARDIAN"), page_fd, lock_fd), 0);
}

/* @ns from now the guardian is due. */
static void arm(uint64_t epoch, uint64_t ns)
{
    clocks_sample(&sidecar_clock);
    page_arm(page, epoch, sidecar_clock.fast_ns + config.kill_budget_ns + config.margin_ns + ns,
             &sidecar_clock);
    keeper_wake(&keeper);
}

static void start(void)
{
    assert_int_equal(keeper_start(&keeper), 0);
}

static bool running(void)
{
    struct pollfd ended = {.fd = keeper.pidfd, .events = POLLIN};

    return poll(&ended, 1, 0) == 0;
}

static void wait_until(const char *what, bool (*done)(void))
{
    uint64_t end = hook_now_ns() + PATIENCE;

    while (!done()) {
        if (hook_now_ns() > end)
            fail_msg("not within %llu s: %s; log:\n%s", (unsigned long long)(PATIENCE / S), what,
                     contents("log"));
        poll(&(struct pollfd){.fd = keeper.notify_fd, .events = POLLIN}, 1, 5);
    }
}

static bool is_stopped(void)
{
    uint64_t epoch;

    return page_stopped(page, &epoch);
}

static bool is_fencing(void)
{
    return page_fencing(page);
}

static bool is_over(void)
{
    return !running();
}

static int tear_down(void **state)
{
    (void)state;
    keeper_kill(&keeper);
    keeper_deinit(&keeper);
    page = page_unmap(page);
    close(page_fd);
    if (lock_fd >= 0)
        close(lock_fd);
    lock_fd = -1;
    return 0;
}

static void test_deadline(void **state)
{
    uint64_t begun, epoch;

    (void)state;
    begin();
    start();
    begun = hook_now_ns();
    arm(7, 400 * MS);
    wait_until("a fence", is_fencing);
    assert_true(hook_now_ns() - begun >= 395 * MS); /* not before it is due */
    wait_until("stopped", is_stopped);
    assert_true(hook_now_ns() - begun < 400 * MS + config.kill_budget_ns + config.margin_ns);
    page_stopped(page, &epoch);
    assert_int_equal(epoch, 7);
    assert_false(exists("runs"));
    assert_string_equal(contents("log"), "fence epoch=7 reason=deadline\n");
    assert_int_equal(page_disarm(page), PAGE_OK);
    assert_true(running()); /* it goes on watching */
}

/* A deadline that comes nearer wakes it; one that moves away again and again never lets it begin. */
static void test_deadline_moves(void **state)
{
    (void)state;
    begin();
    start();
    for (unsigned i = 0; i < 20; i++) {
        arm(7, 600 * MS);
        poll(NULL, 0, 50);
    }
    assert_string_equal(contents("log"), "");
    arm(7, 3600 * S);
    poll(NULL, 0, 200);
    assert_false(page_fencing(page));
    arm(7, 0);
    wait_until("stopped", is_stopped);
}

static void test_order_without_arming(void **state)
{
    uint64_t epoch;

    (void)state;
    begin();
    start();
    page_order_fence(page, 5);
    keeper_wake(&keeper);
    wait_until("stopped", is_stopped);
    assert_true(page_stopped(page, &epoch) && epoch == 5);
    assert_string_equal(contents("log"), "fence epoch=5 reason=ordered\n");
}

static bool fence_tried(void)
{
    return contents("log")[0] != '\0';
}

/* While 7 is being fenced the sidecar arms 8: "stopped" must come for 8, or nobody here starts anything
 * again. */
static void test_stopped_for_what_is_awaited(void **state)
{
    uint64_t epoch;

    (void)state;
    script("fence", "true"); /* the first fences are in vain */
    begin();
    start();
    arm(7, 0);
    wait_until("a fence", fence_tried);
    arm(8, 3600 * S);
    assert_int_equal(unlink(in_folder("runs")), 0);
    wait_until("stopped", is_stopped);
    assert_true(page_stopped(page, &epoch) && epoch == 8);
    assert_non_null(strstr(contents("log"), "fence epoch=7 reason=deadline\n"));
    assert_non_null(strstr(contents("log"), "fence epoch=8 reason=ordered\n"));
}

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

static bool two_fences(void)
{
    const char *second = strchr(contents("times"), '\n');

    return second && strchr(second + 1, '\n');
}

/* Both hang. Fence and check together must be over within K: the deadline comes only M later. */
static void test_budgets_fit_in_k(void **state)
{
    double first, second;
    long fence_ms, check_ms;

    (void)state;
    script("fence", "echo $GALERA_LEASE_BUDGET_MS >>$D/fence-ms; cut -d' ' -f1 /proc/uptime >>$D/times; "
                    "exec sleep 5");
    script("check", "echo $GALERA_LEASE_BUDGET_MS >>$D/check-ms; exec sleep 5");
    begin();
    start();
    arm(7, 0);
    wait_until("a second attempt", two_fences);
    assert_int_equal(sscanf(contents("times"), "%lf %lf", &first, &second), 2);
    /* K, the pause of 0.2 s, and room for starting processes; less than M. */
    assert_true(second - first < 1.0 + 0.2 + 0.45);
    fence_ms = atol(contents("fence-ms"));
    check_ms = atol(contents("check-ms"));
    assert_true(fence_ms >= 400 && check_ms >= 100 && fence_ms + check_ms <= 1000);
    /* Past the deadline each gets its own budget whole, or a slow check would never be heard. */
    fence_ms = atol(strchr(contents("fence-ms"), '\n') + 1);
    assert_int_equal(fence_ms, 1000);
}

/* Takes over where the one before was killed, be it in the middle of a fence or before it could tell. */
static void test_guardian_dies(void **state)
{
    uint64_t count;

    (void)state;
    script("fence", "[ -e $D/may ] && rm -f $D/runs; true");
    begin();
    start();
    arm(7, 0);
    wait_until("a fence", fence_tried);
    kill(keeper.pid, SIGKILL);
    keeper_reap(&keeper);
    touch("may");
    start();
    wait_until("stopped", is_stopped);
    kill(keeper.pid, SIGKILL);
    keeper_reap(&keeper);
    assert_true(read(keeper.notify_fd, &count, sizeof count) < 0 || count > 0);
    start();
    struct pollfd news = {.fd = keeper.notify_fd, .events = POLLIN};

    assert_int_equal(poll(&news, 1, 5000), 1);
    assert_true(is_stopped());
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

static int begin_all(void **state)
{
    (void)state;
    return getenv("LAUNCHER") && getenv("GUARDIAN") && mkdtemp(home) ? 0 : -1;
}

static int end_all(void **state)
{
    char command[128];

    (void)state;
    snprintf(command, sizeof command, "rm -rf %s", home);
    return system(command);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        T(test_deadline),
        T(test_deadline_moves),
        T(test_order_without_arming),
        T(test_stopped_for_what_is_awaited),
        T(test_sidecar_dies),
        T(test_sidecar_dies_disarmed),
        T(test_keeps_only_what_it_was_given),
        T(test_early_sigterm),
        T(test_sighup_is_no_order),
        T(test_sigterm_disarmed),
        T(test_reused_number),
        T(test_session_without_leader),
        T(test_earlier_parts_of_a_promote),
        T(test_running_promote_is_killed),
        T(test_without_its_cgroup),
        T(test_no_hook_can_be_started),
        T(test_fence_fails),
        T(test_budgets_fit_in_k),
        T(test_guardian_dies),
        T(test_full_pipe),
        T(test_full_socket),
        T(test_hooks_start_clean),
        T(test_unwatched),
        T(test_memory),
    };

    return cmocka_run_group_tests(tests, begin_all, end_all);
}
