#pragma once
/*
 * The hook contract: what a hook gets, how it ends, and that it is bounded (R9).
 *
 * A hook is one executable, or a folder of them run in name order (demote and fence: in reverse). Exit 0 is
 * success. `check`: 0 running, 3 stopped (nothing of the controller is left, none starting or stopping), else
 * unhealthy; of a folder: stopped when all say 3, running when all say 0.
 *
 * `precheck`: 0 this host may lead, else its first line of output says why not. `notify` hears of a change of
 * role or an alarm, all its parts do, and how it ends means nothing to the lease.
 *
 * The budget is the folder's. The parts of a fence, and of a notify, share it: each may use an equal part of
 * what is left at its turn and is killed then, so that one that hangs keeps no other from stopping what it
 * can. GALERA_LEASE_BUDGET_MS is what the part has.
 *
 * Each hook runs in its own session and, where cgroup v2 is writable, in its slot's cgroup. When its budget
 * is over, all that it left there is killed; after exit 0 it is left alone: a promote hook's cgroup is the
 * controller's home.
 *
 * hook_start() and hook_dispatch() never block: watch hook_run.child.pidfd and .out_fd and call
 * hook_dispatch() when one is readable and at hook_deadline_ns. hook_run_sync() blocks, for the guardian.
 * Times are CLOCK_BOOTTIME.
 */
#include <stdbool.h>
#include <stdint.h>

#include "proc/child.h"

#define HOOK_STEPS_MAX     32
#define HOOK_LINE_MAX      512
#define HOOK_LINES_MAX     200 /* of one hook; more is dropped, and said */
#define HOOK_ENV_MAX       20
#define HOOK_CHECK_STOPPED 3

enum hook_kind { HOOK_PROMOTE, HOOK_DEMOTE, HOOK_FENCE, HOOK_CHECK, HOOK_PRECHECK, HOOK_NOTIFY, HOOK_KINDS };

enum hook_outcome {
    HOOK_RUNNING,   /* not ended yet */
    HOOK_OK,        /* exit 0 of all; of a check: the controller runs */
    HOOK_STOPPED,   /* of a check only */
    HOOK_FAILED,    /* exit code in hook_run.code (128+signal when killed) */
    HOOK_TIMED_OUT, /* and killed */
    HOOK_NOT_RUN,   /* could not be started; errno in hook_run.code, EBUSY: too many killed ones do not end */
};

struct hook_facts {
    const char *lease, *member, *role, *reason, *previous;
    const char *run_dir, *state_dir;
    const char *promote_cgroup; /* where the controller lives; "" without cgroups */
    uint64_t epoch;
    const uint8_t *nonce;     /* 16 bytes */
    const char *event, *from; /* notify: what happened; the role before. NULL otherwise */
    bool alarm;
};

struct hook_spec {
    enum hook_kind kind;
    const char *path;
    const char *launcher;
    const char *cgroup; /* of the slot; NULL: none */
    int page_fd;        /* promote: ask the page; else -1 */
    uint64_t budget_ns;
};

typedef void (*hook_line_fn)(void *userdata, const char *line); /* sanitised */

struct hook_run {
    enum hook_kind kind;
    char *steps[HOOK_STEPS_MAX];
    unsigned count, next;
    unsigned step, failed_step; /* the one that runs or ran last; the first of a stop that failed */
    char *env[HOOK_ENV_MAX + 1];
    char *launcher, *cgroup;
    int page_fd;
    uint64_t epoch, deadline_ns;
    uint64_t step_deadline_ns;      /* of a fence or notify folder's part: its share of what is left */
    struct child child;             /* pid 0: none */
    uint64_t begun[HOOK_STEPS_MAX]; /* of a promote: what was started for it, by kill_identity() */
    int code;
    int failed;       /* code of the first step of a stop that failed; the others ran all the same */
    bool late;        /* ... because it was killed at the end of its share */
    unsigned stopped; /* steps of a check that said 3 */
    bool mixed;       /* ... and another said that it runs */
    unsigned lines;
    char line[HOOK_LINE_MAX];
    unsigned line_length;
    hook_line_fn line_fn;
    void *userdata;
};

const char *hook_kind_name(enum hook_kind kind);
const char *hook_outcome_name(enum hook_outcome outcome); /* "running", "ok", "stopped", "failed" ... */
uint64_t hook_now_ns(void);

/* Checks owner, mode and every parent of @path (a file or a folder of files). 0, or 1 with a reason for an
 * operator. */
int hook_verify(const char *path, char *ret_reason, unsigned size);

/* Starts the first step. 0, or negative errno with nothing to clean up. */
int hook_start(struct hook_run *run, const struct hook_spec *spec, const struct hook_facts *facts,
               hook_line_fn line_fn, void *userdata);

/* Moves on; HOOK_RUNNING until all is over. After any other value only hook_deinit() may follow. What a
 * promote that failed has left is killed by then (R9). */
enum hook_outcome hook_dispatch(struct hook_run *run);
static inline uint64_t hook_deadline_ns(const struct hook_run *run)
{
    return run->step_deadline_ns;
}

/* The file name of the step that runs; after the end of the one that failed, else of the last. */
const char *hook_step(const struct hook_run *run);

/* Kills what runs and all that it left, of a promote that of its earlier steps too, and frees. Idempotent. */
void hook_kill(struct hook_run *run);
void hook_deinit(struct hook_run *run);

/* All of it, blocking; @run is in the caller's hands, so that @line_fn may ask for hook_step(). */
enum hook_outcome hook_run_through(struct hook_run *run, const struct hook_spec *spec,
                                   const struct hook_facts *facts, hook_line_fn line_fn, void *userdata);
enum hook_outcome hook_run_sync(const struct hook_spec *spec, const struct hook_facts *facts,
                                hook_line_fn line_fn, void *userdata);
