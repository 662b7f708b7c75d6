#include "hook/hook.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "hook/environment.h"
#include "proc/cgroup.h"
#include "proc/kill.h"
#include "proc/reap.h"
#include "util/cleanup.h"
#include "util/clocks.h"
#include "util/parse.h"

#define HOOK_REAP_MS   100
#define HOOK_STUCK_MAX 8 /* killed and not ended */
#define HOOK_SAY_EVERY 50

const char *hook_kind_name(enum hook_kind kind)
{
    static const char *const names[HOOK_KINDS] = {"promote", "demote",   "fence",
                                                  "check",   "precheck", "notify"};

    return (unsigned)kind < HOOK_KINDS ? names[kind] : "?";
}

const char *hook_outcome_name(enum hook_outcome outcome)
{
    static const char *const names[] = {"running", "ok", "stopped", "failed", "timed-out", "not-run"};

    return (unsigned)outcome < sizeof names / sizeof names[0] ? names[outcome] : "?";
}

uint64_t hook_now_ns(void)
{
    return clocks_boot_ns();
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static int list_steps(struct hook_run *run, const char *path)
{
    struct stat st;

    if (stat(path, &st) < 0)
        return -errno;
    if (!S_ISDIR(st.st_mode)) {
        run->steps[run->count++] = strdup(path);
        return run->steps[0] ? 0 : -ENOMEM;
    }
    DIR *d = opendir(path);

    if (!d)
        return -errno;
    int r = 0;

    /* Never a part of the folder: a check that skips one would call a running controller stopped. */
    for (struct dirent *e; r == 0 && (e = readdir(d));) {
        if (e->d_name[0] == '.')
            continue;
        if (run->count == HOOK_STEPS_MAX) {
            r = -E2BIG;
        } else if (asprintf(&run->steps[run->count], "%s/%s", path, e->d_name) < 0) {
            run->steps[run->count] = NULL;
            r = -ENOMEM;
        } else {
            run->count++;
        }
    }
    closedir(d);
    if (r < 0)
        return r;
    qsort(run->steps, run->count, sizeof run->steps[0], by_name);
    if (run->kind == HOOK_DEMOTE || run->kind == HOOK_FENCE)
        for (unsigned i = 0; i < run->count / 2; i++) {
            char *other = run->steps[run->count - 1 - i];

            run->steps[run->count - 1 - i] = run->steps[i];
            run->steps[i] = other;
        }
    return run->count > 0 ? 0 : -ENOENT;
}

/*
 * Killed hooks that hang in the kernel: each further one would join them, until nothing at all can be
 * started. Whatever only looks or tells leaves places to what stops.
 */
static int ask_room(struct hook_run *run)
{
    static atomic_uint refused;
    bool stops = run->kind != HOOK_PRECHECK && run->kind != HOOK_NOTIFY;
    unsigned stuck = reap_left();
    char line[160];

    if (stuck < (stops ? HOOK_STUCK_MAX : HOOK_STUCK_MAX / 2)) {
        atomic_store(&refused, 0);
        return 0;
    }
    if (run->line_fn && atomic_fetch_add(&refused, 1) % HOOK_SAY_EVERY == 0) {
        snprintf(
            line, sizeof line,
            "%s not started: %u killed hooks do not end, they hang in the kernel: is a file system away?",
            hook_kind_name(run->kind), stuck);
        run->line_fn(run->userdata, line);
    }
    return -EBUSY;
}

/* Of a kill budget, and of what is told: a part that hangs must leave the others their turn. A demote may
 * use all of its budget, because a fence follows. */
static bool shares(enum hook_kind kind)
{
    return kind == HOOK_FENCE || kind == HOOK_NOTIFY;
}

/* What is left of the budget, or this part's share of it. */
static void begin_budget(struct hook_run *run)
{
    uint64_t now = hook_now_ns(), left = run->deadline_ns > now ? run->deadline_ns - now : 0;

    run->step_deadline_ns = run->deadline_ns;
    if (run->count == 1)
        return;
    if (shares(run->kind)) {
        left /= run->count - run->next;
        run->step_deadline_ns = now + left;
    }
    hook_environment_budget(run, left);
}

static int start_step(struct hook_run *run)
{
    int r = ask_room(run);

    if (r < 0)
        return r;
    begin_budget(run);
    struct child_request q = {.launcher = run->launcher,
                              .path = run->steps[run->next],
                              .envp = run->env,
                              .cgroup = run->cgroup,
                              .page_fd = run->page_fd,
                              .epoch = run->epoch};

    run->step = run->next++;
    r = child_start(&q, &run->child);
    if (r == 0 && run->kind == HOOK_PROMOTE)
        run->begun[run->step] = kill_identity(run->child.pid);
    return r;
}

const char *hook_step(const struct hook_run *run)
{
    const char *path = run->step < run->count ? run->steps[run->step] : NULL;
    const char *slash = path ? strrchr(path, '/') : NULL;

    return slash ? slash + 1 : path ? path : "-";
}

int hook_start(struct hook_run *run, const struct hook_spec *s, const struct hook_facts *f,
               hook_line_fn line_fn, void *userdata)
{
    *run = (struct hook_run){.kind = s->kind,
                             .page_fd = s->page_fd,
                             .epoch = f->epoch,
                             .child = {.pidfd = -1, .out_fd = -1},
                             .deadline_ns = hook_now_ns() + s->budget_ns,
                             .line_fn = line_fn,
                             .userdata = userdata,
                             .launcher = strdup(s->launcher),
                             .cgroup = s->cgroup ? strdup(s->cgroup) : NULL};
    hook_environment(run, s, f);
    int r = list_steps(run, s->path);

    if (r == 0)
        r = start_step(run);
    if (r < 0)
        hook_deinit(run);
    return r;
}

static void end_line(struct hook_run *run)
{
    run->line[run->line_length] = '\0';
    parse_sanitise(run->line);
    if (run->line_fn && run->line_length > 0 && run->lines < HOOK_LINES_MAX)
        run->line_fn(run->userdata, run->line);
    if (run->line_fn && run->lines == HOOK_LINES_MAX)
        run->line_fn(run->userdata, "(more output is dropped)");
    run->lines++;
    run->line_length = 0;
}

static void read_output(struct hook_run *run)
{
    char buf[4096];

    /* Bounded per call: a hook that prints without end must not keep the loop. */
    for (unsigned round = 0; run->child.out_fd >= 0 && round < 4; round++) {
        ssize_t n = read(run->child.out_fd, buf, sizeof buf);

        if (n < 0)
            return;
        if (n == 0) {
            close(run->child.out_fd);
            run->child.out_fd = -1;
            return;
        }
        for (ssize_t i = 0; i < n; i++) {
            if (buf[i] == '\n' || run->line_length == HOOK_LINE_MAX - 1)
                end_line(run);
            if (buf[i] != '\n')
                run->line[run->line_length++] = buf[i];
        }
    }
}

static void drop_child(struct hook_run *run)
{
    if (run->child.out_fd >= 0)
        close(run->child.out_fd);
    if (run->child.pidfd >= 0)
        close(run->child.pidfd);
    run->child = (struct child){.pidfd = -1, .out_fd = -1};
}

/* What can be stopped must be, and who can be told must be: one part that fails keeps no other from its turn.
 */
static bool goes_on(enum hook_kind kind)
{
    return kind == HOOK_DEMOTE || kind == HOOK_FENCE || kind == HOOK_NOTIFY;
}

/* The part that ran is over: the next one, or what came of them all. */
static enum hook_outcome go_on(struct hook_run *run, int code, bool late)
{
    if (run->kind == HOOK_CHECK && code == HOOK_CHECK_STOPPED) {
        run->stopped++;
        code = 0;
    } else if (run->kind == HOOK_CHECK && code == 0 && run->stopped > 0) {
        code = 1; /* one part runs, another does not */
        run->mixed = true;
    }
    run->code = code;
    /* One part that failed is a stop that failed, whatever the last one says. */
    if (run->failed == 0) {
        run->failed = code;
        run->failed_step = run->step;
        run->late = late;
    }
    if (code != 0 && !goes_on(run->kind))
        return HOOK_FAILED;
    if (run->next < run->count) {
        int r = start_step(run);

        run->code = -r;
        return r < 0 ? HOOK_NOT_RUN : HOOK_RUNNING;
    }
    if (run->kind == HOOK_CHECK && run->stopped > 0) {
        run->mixed = run->stopped != run->count;
        return run->mixed ? HOOK_FAILED : HOOK_STOPPED;
    }
    run->code = run->failed;
    if (run->failed == 0)
        return HOOK_OK;
    run->step = run->failed_step;
    return run->late ? HOOK_TIMED_OUT : HOOK_FAILED;
}

static enum hook_outcome step_ended(struct hook_run *run, int status)
{
    int code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);

    read_output(run);
    if (run->line_length > 0)
        end_line(run);
    drop_child(run);
    return go_on(run, code, false);
}

/*
 * A promote that failed may have left something that is still on its way to start the controller, which no
 * demote finds and no check sees yet: it would act beside the next leader (R9).
 */
static void kill_left(struct hook_run *run)
{
    const char *mark = "";

    if (run->cgroup)
        cgroup_kill(run->cgroup);
    for (unsigned i = 0; run->env[i]; i++)
        if (strncmp(run->env[i], "GALERA_LEASE_NAME=", 18) == 0)
            mark = run->env[i];
    for (unsigned i = 0; i < run->next; i++)
        kill_session_of(run->begun[i], mark);
}

enum hook_outcome hook_dispatch(struct hook_run *run)
{
    int status;

    read_output(run);
    if (run->child.pid > 0 && waitpid(run->child.pid, &status, WNOHANG) == run->child.pid) {
        run->child.pid = 0;
        enum hook_outcome outcome = step_ended(run, status);

        if (run->kind == HOOK_PROMOTE && outcome != HOOK_OK && outcome != HOOK_RUNNING)
            kill_left(run);
        return outcome;
    }
    if (hook_now_ns() >= run->step_deadline_ns) {
        hook_kill(run);
        return shares(run->kind) ? go_on(run, 128 + SIGKILL, true) : HOOK_TIMED_OUT;
    }
    return HOOK_RUNNING;
}

/* A killed process ends at once, unless it hangs in the kernel (a dead network file system): then it is left
 * to itself, because neither the loop nor the guardian may hang with it, and reaped when it has ended. */
static void reap_killed(const struct child *child)
{
    struct pollfd ended = {.fd = child->pidfd, .events = POLLIN};

    poll(&ended, 1, HOOK_REAP_MS);
    if (waitpid(child->pid, NULL, WNOHANG) == 0)
        reap_later(child->pid);
}

void hook_kill(struct hook_run *run)
{
    if (run->child.pid <= 0)
        return;
    if (run->cgroup)
        cgroup_kill(run->cgroup);
    kill_session(run->child.pid);
    kill(run->child.pid, SIGKILL);
    reap_killed(&run->child);
    run->child.pid = 0;
    if (run->kind == HOOK_PROMOTE)
        kill_left(run);
    drop_child(run);
}

void hook_deinit(struct hook_run *run)
{
    hook_kill(run);
    drop_child(run);
    for (unsigned i = 0; i < HOOK_STEPS_MAX; i++)
        free(run->steps[i]);
    for (unsigned i = 0; i < HOOK_ENV_MAX; i++)
        free(run->env[i]);
    free(run->launcher);
    free(run->cgroup);
    *run = (struct hook_run){.child = {.pidfd = -1, .out_fd = -1}};
}
