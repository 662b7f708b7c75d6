/* The hook contract with real processes: order, outcomes, budgets, what is killed and what is left, and who
 * may write a hook. $LAUNCHER is the launcher that was built. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "hook/hook.h"
#include "util/fsio.h"
#include "util/parse.h"

#define S        UINT64_C(1000000000)
#define HELD_MAX 8 /* killed hooks that do not end: then none is started any more */

static char root[] = "/root/galera-lease-hook-XXXXXX";
static char home[256], output[8192];
static unsigned lines;

static void remember(void *userdata, const char *line)
{
    (void)userdata;
    lines++;
    if (strlen(output) + strlen(line) + 2 < sizeof output)
        strcat(strcat(output, line), "|");
}

/* With the script that said it. */
static void remember_step(void *userdata, const char *line);

/* Makes home/NAME (its folder too) an executable shell script. */
static void script(const char *name, const char *body)
{
    char path[512], folder[512], text[2048];

    snprintf(path, sizeof path, "%s/%s", home, name);
    snprintf(folder, sizeof folder, "%s", path);
    *strrchr(folder, '/') = '\0';
    assert_int_equal(fsio_mkdir_p(folder, 0755), 0);
    int n = snprintf(text, sizeof text, "#!/bin/sh\n%s\n", body);

    assert_int_equal(fsio_replace(path, text, (size_t)n, 0755, false), 0);
}

/* All of it; with @running, only the start. */
static enum hook_outcome go(enum hook_kind kind, const char *name, uint64_t budget_ns,
                            struct hook_run *running, hook_line_fn line_fn)
{
    static const uint8_t nonce[16] = {0xab, 1};
    char path[512];
    struct hook_facts facts = {.lease = "cmon",
                               .member = "node1",
                               .role = "leader",
                               .reason = "test",
                               .previous = "node2",
                               .run_dir = home,
                               .state_dir = home,
                               .promote_cgroup = "",
                               .epoch = 42,
                               .nonce = nonce,
                               .event = kind == HOOK_NOTIFY ? "rogue" : NULL,
                               .from = "follower",
                               .alarm = true};
    struct hook_spec spec = {
        .kind = kind, .path = path, .launcher = getenv("LAUNCHER"), .page_fd = -1, .budget_ns = budget_ns};

    snprintf(path, sizeof path, "%s/%s", home, name);
    output[0] = '\0';
    lines = 0;
    if (running)
        return hook_start(running, &spec, &facts, line_fn, NULL) == 0 ? HOOK_RUNNING : HOOK_NOT_RUN;
    return hook_run_sync(&spec, &facts, line_fn, NULL);
}

static enum hook_outcome run(enum hook_kind kind, const char *name, uint64_t budget_ns)
{
    return go(kind, name, budget_ns, NULL, remember);
}

static struct hook_run kept; /* of the last run_kept() */

/* hook_deinit() is the caller's. */
static enum hook_outcome run_kept(enum hook_kind kind, const char *name)
{
    enum hook_outcome outcome = go(kind, name, 5 * S, &kept, remember_step);

    while (outcome == HOOK_RUNNING) {
        poll(&(struct pollfd){.fd = kept.child.pidfd, .events = POLLIN}, 1, 1000);
        outcome = hook_dispatch(&kept);
    }
    return outcome;
}

static void test_environment(void **state)
{
    (void)state;
    setenv("GALERA_LEASE_SECRET", "inherited", 1);
    script("env", "env | grep ^GALERA | sort; echo stderr too >&2; exit 0");
    assert_int_equal(run(HOOK_PROMOTE, "env", 5 * S), HOOK_OK);
    assert_non_null(strstr(output, "GALERA_LEASE_BUDGET_MS=5000|"));
    assert_non_null(
        strstr(output, "GALERA_LEASE_EPOCH=42|GALERA_LEASE_HOOK=promote|GALERA_LEASE_MEMBER=node1|"));
    assert_non_null(strstr(output, "GALERA_LEASE_NONCE=ab010000000000000000000000000000|"));
    assert_non_null(
        strstr(output, "GALERA_LEASE_PREVIOUS=node2|GALERA_LEASE_REASON=test|GALERA_LEASE_ROLE=leader|"));
    assert_non_null(strstr(output, "stderr too|"));
    assert_null(strstr(output, "SECRET"));
    assert_null(strstr(output, "GALERA_LEASE_EVENT"));
    assert_int_equal(run(HOOK_NOTIFY, "env", 5 * S), HOOK_OK);
    assert_non_null(strstr(output, "GALERA_LEASE_ALARM=1|"));
    assert_non_null(
        strstr(output, "GALERA_LEASE_EVENT=rogue|GALERA_LEASE_FROM=follower|GALERA_LEASE_HOOK=notify|"));
}

/* One receiver that fails keeps no other from hearing; one precheck that says no is enough. */
static void test_notify_and_precheck(void **state)
{
    (void)state;
    script("n/1", "echo one; exit 3");
    script("n/2", "echo two");
    assert_int_equal(run(HOOK_NOTIFY, "n", 5 * S), HOOK_FAILED);
    assert_string_equal(output, "one|two|");
    assert_int_equal(run(HOOK_PRECHECK, "n", 5 * S), HOOK_FAILED);
    assert_string_equal(output, "one|");
    assert_int_equal(run(HOOK_PRECHECK, "n/2", 5 * S), HOOK_OK);
}

/* Own session, no descriptor of ours, no blocked or ignored signal. */
static void test_fresh_process(void **state)
{
    (void)state;
    int leaked = open("/dev/null", O_RDONLY); /* not close-on-exec, on purpose */

    assert_true(leaked > 2);
    signal(SIGPIPE, SIG_IGN);
    script("fresh", "ls /proc/self/fd | wc -l; set -- $(cat /proc/$$/stat); [ $6 = $$ ] && echo own session;"
                    "exec sed -n 's/^SigBlk:.//p; s/^SigIgn:.//p' /proc/self/status");
    assert_int_equal(run(HOOK_PROMOTE, "fresh", 5 * S), HOOK_OK);
    signal(SIGPIPE, SIG_DFL);
    close(leaked);
    char *masks = output + strlen("4|own session|");

    assert_int_equal(strncmp(output, "4|own session|", strlen("4|own session|")), 0);
    /* All of them, also the two that the C library keeps to itself. */
    assert_int_equal(strtoull(masks, &masks, 16), 0);
    assert_int_equal(strtoull(masks + 1, NULL, 16), 0);
}

static void test_order(void **state)
{
    (void)state;
    script("order/10-a", "echo a");
    script("order/20-b", "echo b");
    script("order/.hidden", "echo hidden");
    assert_int_equal(run(HOOK_PROMOTE, "order", 5 * S), HOOK_OK);
    assert_string_equal(output, "a|b|");
    assert_int_equal(run(HOOK_DEMOTE, "order", 5 * S), HOOK_OK);
    assert_string_equal(output, "b|a|");
    assert_int_equal(run(HOOK_FENCE, "order", 5 * S), HOOK_OK);
    assert_string_equal(output, "b|a|");
}

/* A promote ends at its first failure; a stop goes through all its parts and has failed all the same. */
static void test_failed_step(void **state)
{
    (void)state;
    script("first/10-a", "echo a; exit 7");
    script("first/20-b", "echo b");
    script("last/10-a", "echo a");
    script("last/20-b", "echo b; exit 7");
    assert_int_equal(run(HOOK_PROMOTE, "first", 5 * S), HOOK_FAILED);
    assert_string_equal(output, "a|");
    assert_int_equal(run(HOOK_DEMOTE, "first", 5 * S), HOOK_FAILED);
    assert_string_equal(output, "b|a|");
    assert_int_equal(run(HOOK_DEMOTE, "last", 5 * S), HOOK_FAILED);
    assert_string_equal(output, "b|a|");
    assert_int_equal(run(HOOK_FENCE, "last", 5 * S), HOOK_FAILED);
    assert_string_equal(output, "b|a|");
}

static void test_check(void **state)
{
    static const struct {
        int a, b;
        enum hook_outcome outcome;
    } rows[] = {{0, 0, HOOK_OK},     {3, 3, HOOK_STOPPED}, {0, 3, HOOK_FAILED}, {3, 0, HOOK_FAILED},
                {1, 3, HOOK_FAILED}, {3, 1, HOOK_FAILED},  {0, 2, HOOK_FAILED}};
    char body[32];

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        snprintf(body, sizeof body, "exit %d", rows[i].a);
        script("check/a", body);
        snprintf(body, sizeof body, "exit %d", rows[i].b);
        script("check/b", body);
        assert_int_equal(run(HOOK_CHECK, "check", 5 * S), rows[i].outcome);
    }
    script("three", "exit 3");
    assert_int_equal(run(HOOK_CHECK, "three", 5 * S), HOOK_STOPPED);
    assert_int_equal(run(HOOK_PROMOTE, "three", 5 * S), HOOK_FAILED); /* 3 means that for a check only */
    script("killed", "kill -9 $$");
    assert_int_equal(run(HOOK_CHECK, "killed", 5 * S), HOOK_FAILED);
}

/* Which script of a folder it was: while it speaks, and after the end the one to blame. */
static void remember_step(void *userdata, const char *line)
{
    char text[HOOK_LINE_MAX + 64];

    snprintf(text, sizeof text, "%s:%s", hook_step(&kept), line);
    remember(userdata, text);
}

static void test_step_is_named(void **state)
{
    static const struct {
        enum hook_kind kind;
        const char *folder, *says, *step;
        enum hook_outcome outcome;
        bool mixed;
    } rows[] = {
        {HOOK_PROMOTE, "named", "10-a:a|20-b:b|", "20-b", HOOK_FAILED, false},
        {HOOK_DEMOTE, "named", "30-c:c|20-b:b|10-a:a|", "20-b", HOOK_FAILED, false},
        {HOOK_PROMOTE, "named/30-c", "30-c:c|", "30-c", HOOK_OK, false},
        {HOOK_CHECK, "mixed", "", "2", HOOK_FAILED, true},
        {HOOK_CHECK, "turned", "", "2", HOOK_FAILED, true},
        {HOOK_CHECK, "unhealthy", "", "1", HOOK_FAILED, false},
    };

    (void)state;
    script("named/10-a", "echo a");
    script("named/20-b", "echo b; exit 7");
    script("named/30-c", "echo c");
    script("mixed/1", "exit 0");
    script("mixed/2", "exit 3");
    script("turned/1", "exit 3");
    script("turned/2", "exit 0");
    script("unhealthy/1", "exit 1");
    script("unhealthy/2", "exit 3");
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_int_equal(run_kept(rows[i].kind, rows[i].folder), rows[i].outcome);
        assert_string_equal(output, rows[i].says);
        assert_string_equal(hook_step(&kept), rows[i].step);
        assert_int_equal(kept.mixed, rows[i].mixed);
        hook_deinit(&kept);
    }
    assert_string_equal(hook_step(&kept), "-");
    assert_string_equal(hook_outcome_name(HOOK_TIMED_OUT), "timed-out");
}

/* More parts than the limit: refused, because the part left out could be the one that runs. */
static void test_too_many(void **state)
{
    char name[32], path[512], reason[512];

    (void)state;
    for (int i = 0; i < HOOK_STEPS_MAX; i++) {
        snprintf(name, sizeof name, "many/%02d", i);
        script(name, "exit 3");
    }
    assert_int_equal(run(HOOK_CHECK, "many", 20 * S), HOOK_STOPPED);
    snprintf(path, sizeof path, "%s/many", home);
    assert_int_equal(hook_verify(path, reason, sizeof reason), 0);
    script("many/99", "exit 0");
    assert_int_equal(run(HOOK_CHECK, "many", 20 * S), HOOK_NOT_RUN);
    assert_int_equal(hook_verify(path, reason, sizeof reason), 1);
    assert_non_null(strstr(reason, "too many"));
}

static pid_t read_pid(const char *name)
{
    char path[512], text[32];
    uint64_t pid;

    snprintf(path, sizeof path, "%s/%s", home, name);
    assert_int_equal(fsio_read(path, text, sizeof text, NULL), 0);
    text[strcspn(text, "\n")] = '\0';
    assert_int_equal(parse_u64(text, &pid), 0);
    return (pid_t)pid;
}

/* Gone, or a zombie that nobody has fetched yet. */
static int dead(pid_t pid)
{
    char path[64], text[1024];

    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    for (int i = 0; i < 500; i++) {
        if (fsio_read(path, text, sizeof text, NULL) < 0 || strstr(text, ") Z ") || strstr(text, ") X "))
            return 1;
        poll(NULL, 0, 10); /* no event tells the end of somebody else's orphan without a race */
    }
    return 0;
}

static void test_time_out_kills_all(void **state)
{
    (void)state;
    /* The child ignores TERM and has a process group of its own. */
    script("hang", "set -m; sh -c 'trap \"\" TERM; echo $$ >$GALERA_LEASE_RUNDIR/pid; sleep 600; :' & wait");
    uint64_t start = hook_now_ns();

    assert_int_equal(run(HOOK_DEMOTE, "hang", 2 * S), HOOK_TIMED_OUT);
    uint64_t took = hook_now_ns() - start;

    assert_true(took >= 2 * S && took < 5 * S);
    assert_true(dead(read_pid("pid")));
}

/* A part of a fence that hangs uses up its share, and no more: the others stop what they can. A demote that
 * hangs is followed by a fence, so its parts share nothing. */
static void test_hanging_part(void **state)
{
    long second, last;

    (void)state;
    script("stop/30-hangs", "exec sleep 600");
    script("stop/20-stops", "echo $GALERA_LEASE_BUDGET_MS");
    script("stop/10-too", "echo $GALERA_LEASE_BUDGET_MS");
    uint64_t start = hook_now_ns();

    assert_int_equal(run_kept(HOOK_FENCE, "stop"), HOOK_TIMED_OUT);
    assert_true(hook_now_ns() - start < 4 * S);
    assert_string_equal(hook_step(&kept), "30-hangs");
    hook_deinit(&kept);
    assert_int_equal(sscanf(output, "20-stops:%ld|10-too:%ld|", &second, &last), 2);
    assert_true(second > 500 && second <= 5000 / 3); /* half of what a third has left, at most */
    assert_true(last > second && last <= 5000 * 2 / 3);
    assert_int_equal(run(HOOK_DEMOTE, "stop", S / 2), HOOK_TIMED_OUT);
    assert_string_equal(output, "");
}

/* Also what an earlier part of its folder left, whether the last one fails or is out of time. */
static void test_failed_promote_leaves_nothing(void **state)
{
    static const struct {
        const char *last;
        enum hook_outcome outcome;
        uint64_t budget_ns;
    } ways[] = {{"exit 1", HOOK_FAILED, 5 * S}, {"exec sleep 600", HOOK_TIMED_OUT, 2 * S}};

    (void)state;
    for (unsigned i = 0; i < sizeof ways / sizeof ways[0]; i++) {
        script("start/10-begin",
               "(sleep 600; echo started) >/dev/null 2>&1 & echo $! >$GALERA_LEASE_RUNDIR/pid");
        script("start/20-more",
               "(sleep 600; echo started) >/dev/null 2>&1 & echo $! >$GALERA_LEASE_RUNDIR/more");
        script("start/30-last", ways[i].last);
        assert_int_equal(run(HOOK_PROMOTE, "start", ways[i].budget_ns), ways[i].outcome);
        assert_true(dead(read_pid("pid")));
        assert_true(dead(read_pid("more")));
    }
}

static void test_exit_0_leaves_alone(void **state)
{
    (void)state;
    script("leave", "sleep 600 >/dev/null 2>&1 & echo $! >$GALERA_LEASE_RUNDIR/pid");
    assert_int_equal(run(HOOK_PROMOTE, "leave", 5 * S), HOOK_OK);
    pid_t pid = read_pid("pid");

    assert_int_equal(kill(pid, 0), 0);
    kill(pid, SIGKILL);
}

static bool gone(pid_t pid)
{
    char path[64], text[1024];

    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    return fsio_read(path, text, sizeof text, NULL) < 0 || strstr(text, ") Z ") || strstr(text, ") X ");
}

/* The number in home/NAME, once it is there. */
static pid_t number_in(const char *name)
{
    char path[512], text[32];
    uint64_t number = 0;

    snprintf(path, sizeof path, "%s/%s", home, name);
    for (int i = 0; i < 1000; i++, poll(NULL, 0, 10))
        if (fsio_read(path, text, sizeof text, NULL) == 0 && strchr(text, '\n')) {
            *strchr(text, '\n') = '\0';
            assert_int_equal(parse_u64(text, &number), 0);
            return (pid_t)number;
        }
    fail_msg("the hook never wrote %s", path);
    return 0;
}

/* Nobody would be left to hear of its end, or to stop it. What a promote has started lives on. */
static void test_ends_with_who_started_it(void **state)
{
    static const enum hook_kind kinds[] = {HOOK_PROMOTE, HOOK_DEMOTE, HOOK_CHECK, HOOK_NOTIFY};

    (void)state;
    for (unsigned i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        script("long",
               "rm -f ${0%/*}/number; sleep 600 & echo $! >${0%/*}/started; echo $$ >${0%/*}/number; wait");
        pid_t sidecar = fork();

        if (sidecar == 0) {
            run(kinds[i], "long", 600 * S);
            _exit(0);
        }
        pid_t hook = number_in("number"), started = number_in("started");

        assert_false(gone(hook));
        kill(sidecar, SIGKILL);
        assert_int_equal(waitpid(sidecar, NULL, 0), sidecar);
        for (int n = 0; n < 500 && !gone(hook); n++)
            poll(NULL, 0, 10);
        bool ended = gone(hook), lives = !gone(started);

        kill(hook, SIGKILL);
        kill(started, SIGKILL);
        assert_true(ended);
        assert_true(lives);
        assert_int_equal(unlink(strcat(strcpy(output, home), "/number")), 0);
    }
}

/*
 * Processes that cannot be reaped, as those that hang in the kernel: a tracer that never waits for them keeps
 * their end back from their parent. It takes every process whose number appears in home/held, and counts
 * them.
 */
static _Noreturn void hold_back(atomic_uint *count)
{
    char path[512], text[4096];

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    snprintf(path, sizeof path, "%s/held", home);
    for (;; poll(NULL, 0, 1)) {
        unsigned line = 0;

        if (fsio_read(path, text, sizeof text, NULL) < 0)
            continue;
        for (char *at = text, *end; (end = strchr(at, '\n')); at = end + 1)
            if (line++ == atomic_load(count) && ptrace(PTRACE_SEIZE, atoi(at), NULL, NULL) == 0)
                atomic_fetch_add(count, 1);
    }
}

/* Starts one, and kills it once it is held. */
static void hang(const atomic_uint *count, unsigned held)
{
    struct hook_run hook;

    assert_int_equal(go(HOOK_FENCE, "hangs", 600 * S, &hook, remember), HOOK_RUNNING);
    for (int n = 0; n < 1000 && atomic_load(count) < held; n++)
        poll(NULL, 0, 10);
    assert_int_equal(atomic_load(count), held);
    hook_deinit(&hook);
}

/* They are not forgotten, and do not pile up: neither is anything started while too many are left. */
static void test_killed_and_not_ended(void **state)
{
    atomic_uint *count = mmap(NULL, sizeof *count, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pid_t tracer = fork();

    (void)state;
    if (tracer == 0)
        hold_back(count);
    script("hangs", "echo $$ >>${0%/*}/held; exec sleep 600");
    script("quick", "exit 0");
    /* What only tells leaves the last places to what stops. */
    for (unsigned i = 0; i < HELD_MAX; i++) {
        assert_int_equal(run(HOOK_NOTIFY, "quick", 5 * S), i < HELD_MAX / 2 ? HOOK_OK : HOOK_NOT_RUN);
        hang(count, i + 1);
    }
    assert_int_equal(run(HOOK_FENCE, "quick", 5 * S), HOOK_NOT_RUN);
    kill(tracer, SIGKILL);
    assert_int_equal(waitpid(tracer, NULL, 0), tracer);
    assert_int_equal(run(HOOK_FENCE, "quick", 5 * S), HOOK_OK);
    assert_int_equal(run(HOOK_NOTIFY, "quick", 5 * S), HOOK_OK);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* all of them are reaped */
    munmap(count, sizeof *count);
}

static void test_output_is_bounded(void **state)
{
    (void)state;
    script("noise", "i=0; while [ $i -lt 1000 ]; do echo line $i; i=$((i+1)); done");
    assert_int_equal(run(HOOK_PROMOTE, "noise", 10 * S), HOOK_OK);
    assert_int_equal(lines, HOOK_LINES_MAX + 1);
    script("escape", "printf 'a\\033[2Jb\\nno newline'; head -c 2000 /dev/zero | tr '\\0' x");
    assert_int_equal(run(HOOK_PROMOTE, "escape", 5 * S), HOOK_OK);
    assert_int_equal(strncmp(output, "a?[2Jb|no newlinexxx", 20), 0);
    assert_int_equal(lines, 5); /* 2010 bytes in pieces of 511 */
    script("endless", "exec yes");
    assert_int_equal(run(HOOK_PROMOTE, "endless", S / 5), HOOK_TIMED_OUT);
}

static void test_not_run(void **state)
{
    (void)state;
    assert_int_equal(run(HOOK_DEMOTE, "missing", S), HOOK_NOT_RUN);
    script("noexec", "exit 0");
    char path[512];

    snprintf(path, sizeof path, "%s/noexec", home);
    chmod(path, 0644);
    assert_int_equal(run(HOOK_CHECK, "noexec", S), HOOK_FAILED); /* 127 of the launcher, never "stopped" */
}

static void test_verify(void **state)
{
    char path[512], folder[512], reason[512] = "";

    (void)state;
    script("safe/hook", "exit 0");
    snprintf(path, sizeof path, "%s/safe/hook", home);
    snprintf(folder, sizeof folder, "%s/safe", home);
    assert_int_equal(hook_verify(path, reason, sizeof reason), 0);
    assert_int_equal(hook_verify(folder, reason, sizeof reason), 0);
    chmod(path, 0775);
    assert_int_equal(hook_verify(path, reason, sizeof reason), 1);
    assert_non_null(strstr(reason, "writable by nobody else"));
    assert_int_equal(hook_verify(folder, reason, sizeof reason), 1);
    chmod(path, 0644);
    assert_int_equal(hook_verify(path, reason, sizeof reason), 1);
    assert_non_null(strstr(reason, "not an executable"));
    chmod(path, 0755);
    if (geteuid() == 0) {
        assert_int_equal(chown(path, 12345, 0), 0);
        assert_int_equal(hook_verify(path, reason, sizeof reason), 1);
        assert_int_equal(chown(path, 0, 0), 0);
    }
    chmod(folder, 0777);
    assert_int_equal(hook_verify(path, reason, sizeof reason), 1);
    assert_non_null(strstr(reason, "safe can be written by others"));
    chmod(folder, 01777);
    /* Sticky helps only where root owns the folder. */
    assert_int_equal(hook_verify(path, reason, sizeof reason), geteuid() == 0 ? 0 : 1);
    chmod(folder, 0755);
    unlink(path);
    assert_int_equal(hook_verify(path, reason, sizeof reason), 1);
    assert_int_equal(hook_verify(folder, reason, sizeof reason), 1);
    assert_non_null(strstr(reason, "no hook"));
}

static int set_up(void **state)
{
    (void)state;
    /* Not under a folder that others can write, where the tests run as root. */
    const char *base = geteuid() == 0 ? root : strcpy(root, "/tmp/galera-lease-hook-XXXXXX");

    if (!getenv("LAUNCHER") || !mkdtemp(root))
        return -1;
    snprintf(home, sizeof home, "%s", base);
    return 0;
}

static int tear_down(void **state)
{
    char command[300];

    (void)state;
    snprintf(command, sizeof command, "rm -rf %s", home);
    return system(command);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_environment),
        cmocka_unit_test(test_fresh_process),
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_failed_step),
        cmocka_unit_test(test_check),
        cmocka_unit_test(test_step_is_named),
        cmocka_unit_test(test_notify_and_precheck),
        cmocka_unit_test(test_too_many),
        cmocka_unit_test(test_time_out_kills_all),
        cmocka_unit_test(test_hanging_part),
        cmocka_unit_test(test_failed_promote_leaves_nothing),
        cmocka_unit_test(test_exit_0_leaves_alone),
        cmocka_unit_test(test_ends_with_who_started_it),
        cmocka_unit_test(test_killed_and_not_ended),
        cmocka_unit_test(test_output_is_bounded),
        cmocka_unit_test(test_not_run),
        cmocka_unit_test(test_verify),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
