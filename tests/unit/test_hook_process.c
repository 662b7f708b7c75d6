/*
 * hooks/process with real controllers: those that end politely, those that do all they can to stay, and what
 * check says after each. $LAUNCHER is the launcher, $HOOK the script.
 */
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <cmocka.h>

#include "hook/hook.h"
#include "proc/cgroup.h"
#include "util/clocks.h"
#include "util/fsio.h"
#include "util/parse.h"

#define S UINT64_C(1000000000)

static char home[] = "/tmp/galera-lease-process-XXXXXX";
static char output[4096];
static char names[3][48]; /* of our own: a fence of another run must not find our controllers, nor ours its */
static const char *lease, *cgroup; /* of the next hook */

static void remember(void *userdata, const char *line)
{
    (void)userdata;
    if (strlen(output) + strlen(line) + 2 < sizeof output)
        strcat(strcat(output, line), "|");
}

static enum hook_outcome run(enum hook_kind kind, uint64_t budget_ns)
{
    static const uint8_t nonce[16];
    struct hook_facts facts = {.lease = lease,
                               .member = "node1",
                               .role = "leader",
                               .reason = "test",
                               .previous = "",
                               .run_dir = home,
                               .state_dir = home,
                               .promote_cgroup = cgroup,
                               .epoch = 42,
                               .nonce = nonce};
    struct hook_spec spec = {.kind = kind,
                             .path = getenv("HOOK"),
                             .launcher = getenv("LAUNCHER"),
                             .cgroup =
                                 kind == HOOK_PROMOTE && strstr(cgroup, "/galera-lease/") ? cgroup : NULL,
                             .page_fd = -1,
                             .budget_ns = budget_ns};

    output[0] = '\0';
    return hook_run_sync(&spec, &facts, remember, NULL);
}

static void file(const char *name, unsigned mode, const char *text)
{
    char path[256];

    snprintf(path, sizeof path, "%s/%s", home, name);
    assert_int_equal(fsio_replace(path, text, strlen(text), mode, false), 0);
}

static void command(const char *text)
{
    char line[512];

    snprintf(line, sizeof line, "COMMAND=\"%s\"\n", text);
    file("process.conf", 0600, line);
}

/* Waits until the controller has written home/NAME, and returns the pid in it. */
static pid_t pid_in(const char *name)
{
    char path[256], text[32];
    uint64_t pid = 0;

    snprintf(path, sizeof path, "%s/%s", home, name);
    for (int i = 0; i < 500; i++, poll(NULL, 0, 10)) {
        if (fsio_read(path, text, sizeof text, NULL) < 0 || !strchr(text, '\n'))
            continue;
        *strchr(text, '\n') = '\0';
        assert_int_equal(parse_u64(text, &pid), 0);
        return (pid_t)pid;
    }
    fail_msg("the controller never wrote %s", path);
    return 0;
}

static int alive(pid_t pid)
{
    char path[64], text[1024];

    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    return fsio_read(path, text, sizeof text, NULL) == 0 && !strstr(text, ") Z ") && !strstr(text, ") X ");
}

static int clean(void)
{
    char text[256];

    snprintf(text, sizeof text, "rm -f %s/*", home);
    return system(text);
}

static int begin(void **state)
{
    (void)state;
    lease = names[0];
    cgroup = "";
    return clean();
}

static int finish(void **state)
{
    (void)state;
    cgroup = "";
    for (unsigned i = 0; i < 3; i++) {
        lease = names[i];
        run(HOOK_FENCE, 5 * S);
    }
    return 0;
}

static void test_polite(void **state)
{
    (void)state;
    file("c", 0755,
         "#!/bin/sh\ntrap 'echo \"bye $GALERA_LEASE_EPOCH\"; kill $! 2>/dev/null; exit' TERM\n"
         "echo $$ >$GALERA_LEASE_RUNDIR/pid\nsleep 600 &\nwait\n");
    command("$GALERA_LEASE_STATEDIR/c");
    assert_int_equal(run(HOOK_CHECK, 5 * S), HOOK_STOPPED);
    assert_int_equal(run(HOOK_PROMOTE, 5 * S), HOOK_OK);
    pid_t pid = pid_in("pid");

    assert_int_equal(run(HOOK_CHECK, 5 * S), HOOK_OK);
    assert_int_equal(run(HOOK_PROMOTE, 5 * S), HOOK_FAILED); /* never two */
    assert_non_null(strstr(output, "runs already"));
    assert_int_equal(run(HOOK_DEMOTE, 5 * S), HOOK_OK);
    assert_false(alive(pid));
    assert_int_equal(run(HOOK_CHECK, 5 * S), HOOK_STOPPED);
    char path[256], text[64];

    snprintf(path, sizeof path, "%s/controller.log", home);
    assert_int_equal(fsio_read(path, text, sizeof text, NULL), 0);
    assert_string_equal(text, "bye 42\n");
    assert_int_equal(run(HOOK_PROMOTE, 5 * S), HOOK_OK); /* and again */
}

static const char stubborn[] = "#!/bin/sh\ntrap '' TERM INT HUP\n"
                               "setsid sh -c '(setsid sh -c \"echo \\$\\$ >$GALERA_LEASE_RUNDIR/grandchild; "
                               "while :; do sleep 600; done\" &)'\n"
                               "echo $$ >$GALERA_LEASE_RUNDIR/pid\nwhile :; do sleep 600; done\n";

static void stubborn_ends(enum hook_kind kind)
{
    assert_int_equal(clean(), 0);
    file("c", 0755, stubborn);
    command("$GALERA_LEASE_STATEDIR/c");
    assert_int_equal(run(HOOK_PROMOTE, 5 * S), HOOK_OK);
    pid_t pid = pid_in("pid"), grandchild = pid_in("grandchild");

    assert_true(alive(pid) && alive(grandchild));
    uint64_t start = hook_now_ns();

    assert_int_equal(run(kind, 4 * S), HOOK_OK);
    uint64_t took = hook_now_ns() - start;

    assert_false(alive(pid) || alive(grandchild));
    assert_int_equal(run(HOOK_CHECK, 5 * S), HOOK_STOPPED);
    if (kind == HOOK_DEMOTE) {
        assert_true(took >= 28 * S / 10); /* it got its time to end */
    } else {
        assert_true(took < 28 * S / 10);
    }
}

static void test_stubborn_demote(void **state)
{
    (void)state;
    stubborn_ends(HOOK_DEMOTE);
}

static void test_stubborn_fence(void **state)
{
    (void)state;
    stubborn_ends(HOOK_FENCE);
}

/* It is found by its session, its environment and maybe its cgroup, and yet asked once. */
static void test_asked_once(void **state)
{
    char path[256], text[64];

    (void)state;
    file("c", 0755,
         "#!/bin/sh\ntrap 'echo term >>$GALERA_LEASE_RUNDIR/terms' TERM\necho $$ >$GALERA_LEASE_RUNDIR/pid\n"
         "while [ ! -e $GALERA_LEASE_RUNDIR/terms ]; do sleep 0.05; done\nsleep 0.3\n");
    command("$GALERA_LEASE_STATEDIR/c");
    assert_int_equal(run(HOOK_PROMOTE, 5 * S), HOOK_OK);
    pid_t pid = pid_in("pid");

    assert_int_equal(run(HOOK_DEMOTE, 5 * S), HOOK_OK);
    assert_false(alive(pid));
    snprintf(path, sizeof path, "%s/terms", home);
    assert_int_equal(fsio_read(path, text, sizeof text, NULL), 0);
    assert_string_equal(text, "term\n");
}

/* Forked, and not come as far as its own session and environment: promote has written it down, so it is
 * found. */
static void test_not_begun_yet(void **state)
{
    char script[512];

    (void)state;
    snprintf(
        script, sizeof script,
        "#!/bin/sh\ncd %s || exit 1\nsleep 600 >/dev/null 2>&1 &\nread -r boot "
        "</proc/sys/kernel/random/boot_id\n"
        "set -- $(sed 's/.*) //' /proc/$!/stat)\necho \"$boot $! ${20}\" >process.started\necho $! >pid\n",
        home);
    file("begin", 0755, script);
    snprintf(script, sizeof script, "%s/begin", home);
    assert_int_equal(system(script), 0);
    pid_t pid = pid_in("pid");

    assert_int_equal(run(HOOK_CHECK, 5 * S), HOOK_OK);
    assert_int_equal(run(HOOK_FENCE, 5 * S), HOOK_OK);
    assert_false(alive(pid));
    assert_int_equal(run(HOOK_CHECK, 5 * S), HOOK_STOPPED);
}

/* In a real cgroup of its own, where this machine lets us. */
static void test_cgroup(void **state)
{
    char base[CGROUP_PATH_MAX], slot[CGROUP_PATH_MAX];

    (void)state;
    if (cgroup_base(names[0], base) < 0 || cgroup_slot(base, "controller", slot) < 0)
        skip();
    cgroup = slot;
    assert_false(cgroup_populated(slot));
    file("c", 0755, "#!/bin/sh\necho $$ >$GALERA_LEASE_RUNDIR/pid\n(exec env -i setsid sleep 600) &\nwait\n");
    command("$GALERA_LEASE_STATEDIR/c");
    assert_int_equal(run(HOOK_PROMOTE, 5 * S), HOOK_OK);
    pid_t pid = pid_in("pid");

    assert_true(cgroup_populated(slot));
    assert_int_equal(run(HOOK_CHECK, 5 * S), HOOK_OK);
    kill(pid, SIGKILL); /* what is left now has no mark and another session */
    assert_int_equal(run(HOOK_CHECK, 5 * S), HOOK_OK);
    assert_int_equal(run(HOOK_FENCE, 5 * S), HOOK_OK);
    assert_int_equal(run(HOOK_CHECK, 5 * S), HOOK_STOPPED);
    assert_false(cgroup_populated(slot));
    stubborn_ends(HOOK_DEMOTE);
    assert_false(cgroup_populated(slot));
    rmdir(slot);
    rmdir(base);
}

/* Somebody has tidied up empty cgroups: they are made again, and the controller is in its own. */
static void test_cgroup_removed(void **state)
{
    char base[CGROUP_PATH_MAX], slot[CGROUP_PATH_MAX];

    (void)state;
    if (cgroup_base(names[0], base) < 0 || cgroup_slot(base, "controller", slot) < 0)
        skip();
    cgroup_remove(base);
    assert_int_equal(access(base, F_OK), -1);
    cgroup = slot;
    command("sleep 600");
    assert_int_equal(run(HOOK_PROMOTE, 5 * S), HOOK_OK);
    assert_true(cgroup_populated(slot));
    assert_int_equal(run(HOOK_FENCE, 5 * S), HOOK_OK);
    assert_int_equal(run(HOOK_CHECK, 5 * S), HOOK_STOPPED);
    cgroup_remove(base);
}

/* The sidecar was started again from elsewhere: its cgroup is another one, and empty. */
static void test_other_cgroup(void **state)
{
    (void)state;
    command("sleep 600");
    assert_int_equal(run(HOOK_PROMOTE, 5 * S), HOOK_OK);
    file("cgroup.procs", 0600, "");
    cgroup = home;
    assert_int_equal(run(HOOK_CHECK, 5 * S), HOOK_OK);
    assert_int_equal(run(HOOK_DEMOTE, 5 * S), HOOK_OK);
    cgroup = "";
    assert_int_equal(run(HOOK_CHECK, 5 * S), HOOK_STOPPED);
}

/* A program that wiped its environment is found by its session. */
static void test_no_marks(void **state)
{
    (void)state;
    command("env -i sh -c 'sleep 600 & wait'");
    assert_int_equal(run(HOOK_PROMOTE, 5 * S), HOOK_OK);
    assert_int_equal(run(HOOK_CHECK, 5 * S), HOOK_OK);
    assert_int_equal(run(HOOK_FENCE, 5 * S), HOOK_OK);
    assert_int_equal(run(HOOK_CHECK, 5 * S), HOOK_STOPPED);
}

/* A dot in a name is a dot. */
static void test_similar_names(void **state)
{
    (void)state;
    command("sleep 600");
    lease = names[2];
    assert_int_equal(run(HOOK_PROMOTE, 5 * S), HOOK_OK);
    file("process.started", 0600, ""); /* one folder serves both leases here */
    lease = names[1];
    assert_int_equal(run(HOOK_CHECK, 5 * S), HOOK_STOPPED);
    assert_int_equal(run(HOOK_FENCE, 5 * S), HOOK_OK);
    lease = names[2];
    assert_int_equal(run(HOOK_CHECK, 5 * S), HOOK_OK);
}

/* The recorded pid belongs to somebody else now: after a reboot, or because the number came round. */
static void test_pid_reused(void **state)
{
    char boot[CLOCKS_BOOT_ID_SIZE], record[128], stat[1024];
    pid_t other = fork();
    unsigned long long start;

    (void)state;
    if (other == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL); /* also when an assertion ends the test */
        setsid();
        for (;;)
            pause();
    }
    while (getsid(other) != other)
        poll(NULL, 0, 1);
    assert_int_equal(clocks_boot_id(boot), 0);
    snprintf(record, sizeof record, "/proc/%d/stat", (int)other);
    assert_int_equal(fsio_read(record, stat, sizeof stat, NULL), 0);
    assert_int_equal(
        sscanf(strrchr(stat, ')') + 2,
               "%*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %llu", &start),
        1);
    snprintf(record, sizeof record, "%s %d %llu\n", boot, (int)other, start);
    file("process.started", 0600, record);
    assert_int_equal(run(HOOK_CHECK, 5 * S), HOOK_OK); /* the record is believed when all of it fits */
    snprintf(record, sizeof record, "%s %d %llu\n", boot, (int)other, start - 1);
    file("process.started", 0600, record);
    assert_int_equal(run(HOOK_CHECK, 5 * S), HOOK_STOPPED);
    snprintf(record, sizeof record, "00000000-0000-0000-0000-000000000000 %d %llu\n", (int)other, start);
    file("process.started", 0600, record);
    assert_int_equal(run(HOOK_CHECK, 5 * S), HOOK_STOPPED);
    assert_int_equal(run(HOOK_FENCE, 5 * S), HOOK_OK);
    assert_true(alive(other));
    kill(other, SIGKILL);
}

static void test_no_command(void **state)
{
    (void)state;
    assert_int_equal(run(HOOK_PROMOTE, 5 * S), HOOK_FAILED);
    assert_non_null(strstr(output, "must set COMMAND"));
    command("");
    assert_int_equal(run(HOOK_PROMOTE, 5 * S), HOOK_FAILED);
    assert_non_null(strstr(output, "does not set COMMAND"));
}

/* What it prints goes where LOG says; where that cannot be, nothing is started: a start that fails unseen is
 * none. */
static void test_log(void **state)
{
    char path[256], text[64];

    (void)state;
    file("process.conf", 0600,
         "COMMAND='sh -c \"echo said; echo $$ >$GALERA_LEASE_RUNDIR/pid; exec sleep "
         "600\"'\nLOG=$GALERA_LEASE_STATEDIR/own.log\n");
    assert_int_equal(run(HOOK_PROMOTE, 5 * S), HOOK_OK);
    pid_in("pid");
    snprintf(path, sizeof path, "%s/own.log", home);
    assert_int_equal(fsio_read(path, text, sizeof text, NULL), 0);
    assert_string_equal(text, "said\n");
    snprintf(path, sizeof path, "%s/controller.log", home);
    assert_int_equal(access(path, F_OK), -1);
    assert_int_equal(run(HOOK_FENCE, 5 * S), HOOK_OK);
    file("process.conf", 0600, "COMMAND='sleep 600'\nLOG=/nonexistent/own.log\n");
    assert_int_equal(run(HOOK_PROMOTE, 5 * S), HOOK_FAILED);
    assert_non_null(strstr(output, "LOG: /nonexistent/own.log cannot be written"));
    assert_int_equal(run(HOOK_CHECK, 5 * S), HOOK_STOPPED);
}

static int set_up(void **state)
{
    static const char *const forms[] = {"unit-%d", "unit-%d.b", "unit-%dxb"};

    (void)state;
    for (unsigned i = 0; i < 3; i++)
        snprintf(names[i], sizeof names[i], forms[i], (int)getpid());
    return getenv("LAUNCHER") && getenv("HOOK") && mkdtemp(home) ? 0 : -1;
}

static int tear_down(void **state)
{
    char text[256];

    (void)state;
    snprintf(text, sizeof text, "rm -rf %s", home);
    return system(text);
}

#define T(f) cmocka_unit_test_setup_teardown(f, begin, finish)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_polite),        T(test_stubborn_demote), T(test_stubborn_fence), T(test_asked_once),
        T(test_not_begun_yet), T(test_cgroup),          T(test_cgroup_removed), T(test_other_cgroup),
        T(test_no_marks),      T(test_similar_names),   T(test_pid_reused),     T(test_no_command),
        T(test_log),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
