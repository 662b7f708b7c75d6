#pragma once
/*
 * The node: everything a running sidecar owns, and the only caller of lease_step().
 *
 * Events from the loop go through node_feed(); it samples the clocks, steps the core, has execute.c perform
 * the commands, and sets the timer for the core's next wake. An event that a command produces at once is
 * queued, never stepped from within.
 */
#include "app/announce.h"
#include "app/config.h"
#include "app/publish.h"
#include "app/trail.h"
#include "app/reload.h"
#include "app/watches.h"
#include "core/lease.h"
#include "db/client.h"
#include "guardian/keeper.h"
#include "guardian/page.h"
#include "hook/hook.h"
#include "http/counters.h"
#include "proc/cgroup.h"
#include "state/state.h"
#include "util/clocks.h"
#include "util/loop.h"

#define NODE_QUEUE  32
#define NODE_ERRORS 16

enum node_timer {
    NODE_TIMER_WAKE,
    NODE_TIMER_BEAT,
    NODE_TIMER_REQUESTS,
    NODE_TIMER_TICK,
    NODE_TIMER_GUARDIAN
};

struct node {
    const struct config *config; /* a reload changes it: the loop's thread only */
    struct loop *loop;
    struct lease lease;
    struct clocks clocks;
    struct clocks_instant loaded; /* before the state file was read: what remained then is less by now */
    struct lease_nonce incarnation;

    struct lease_event queue[NODE_QUEUE];
    unsigned queued;
    bool stepping;

    struct client *client;
    struct page *page;
    int page_fd, lock_fd;
    struct keeper keeper;
    char guardian_path[CONFIG_PATH_MAX + 32], launcher_path[CONFIG_PATH_MAX + 32];
    uint64_t guardian_started_ns;
    uint64_t guardian_attempts, guardian_quiet; /* while it fences: ticks since its last sign of life */
    uint64_t armed_deadline_ns;
    struct saver *saver;

    char cgroup_base[CGROUP_PATH_MAX], cgroup_controller[CGROUP_PATH_MAX], cgroup_hook[CGROUP_PATH_MAX],
        cgroup_guardian[CGROUP_PATH_MAX], cgroup_notify[CGROUP_PATH_MAX],
        cgroup_precheck[CGROUP_PATH_MAX]; /* empty: none */
    struct hook_run hook;
    uint32_t hook_id; /* 0: none runs */
    enum lease_hook hook_kind;
    uint64_t hook_until_fast_ns; /* its budget's end as the core counts it */
    pid_t promote_pid;           /* the step that is written down; 0: none */
    int hook_pidfd, hook_out_fd;

    uint64_t heartbeat;
    uint64_t events;           /* told to the history so far */
    uint64_t request;          /* claimed and not finished; 0: none */
    struct rows_request asked; /* ... as read */
    bool claiming;             /* ... a claim of it is under way */
    bool released;             /* ... and the lease was given back since */
    enum {
        REQUEST_CLAIMING,
        REQUEST_UNSETTLED, /* a claim of it may have been applied, or may yet be */
        REQUEST_ACTED_ON
    } asked_state;
    uint64_t acted_ns;                   /* when it became that, hook_now_ns() */
    bool none_left;                      /* every request that an earlier run claimed has an outcome */
    uint64_t hold_request;               /* the one behind the hold that renewals carry ... */
    char hold_reason[ROWS_TEXT_MAX + 1]; /* ... and who asked for it, why */
    char namesake[ROWS_ADDRESS_MAX + 1]; /* where another sidecar of our name is (R10) */
    char last_error[256];
    int64_t last_error_at; /* seconds since 1970; 0: there was none */
    struct {
        char text[256];
        uint64_t at_ns;
    } errors[NODE_ERRORS];                   /* what was logged lately */
    char versions[CLIENT_ENDPOINTS_MAX][64]; /* of the servers, as last judged */
    struct announce announce;
    struct watches watches;
    struct counters counters;
    struct publish publish;
    struct trail trail;
    struct reload *reload;
    uint64_t stall_max_ns, stall_own_max_ns;
    unsigned forget_ticks; /* while leading */
    bool exiting;
    bool schema_known;   /* a lease statement was answered: the schema is one that this program knows */
    bool schema_foreign; /* and this: it is not, and this sidecar ends */
};

/* Queues @event (its clocks and entropy are filled in) and steps until the queue is empty. */
void node_feed(struct node *node, struct lease_event *event);

/* Takes over how long callbacks kept the loop. */
void node_measure(struct node *node);

/* Connects the parts to the loop and sends the first event. 0 or negative errno. */
int node_start(struct node *node, const struct lease_memory *memory);

/* execute.c */
void execute(struct node *node, const struct lease_commands *commands);
void execute_hook_poll(void *node);
void node_queue(struct node *node, const struct lease_event *event);
/* The last error, for the status page, with its time. */
void node_remember_error(struct node *node, const char *format, ...) __attribute__((format(printf, 2, 3)));
bool node_said_lately(struct node *node, const char *text); /* else it counts as said now */
void node_silent(struct node *node, const char *endpoint);  /* it did not answer in time; NULL: none */

/* guardian.c: for the loop; the first start cannot fail, it is tried again. */
void guardian_start(void *node);
void guardian_heard(void *node);
/* Every second: one that was told to fence and does nothing is killed, so that another one does it. */
void guardian_watch(struct node *node);

/* leftover.c: a promote that runs is written down; the next start kills what is left of it. */
void leftover_begun(const struct node *node); /* a part of it, and the next */
void leftover_over(const struct node *node);
bool leftover_kill(const struct node *node); /* true: there was one */

/* requests.c: what operators ask for through the database. */
void requests_poll(void *node);
void requests_read(struct node *node, const struct client_answer *answer);
void requests_claimed(struct node *node, const struct client_answer *answer);
void requests_look_back(struct node *node); /* after each look at the members */
void requests_left(struct node *node, const struct client_answer *answer);
void requests_noted(struct node *node, const struct lease_command *note);

/* caution.c: what is allowed, and yet worth a warning. */
void caution_config(const struct config *config);
void caution_servers(struct node *node);

/* report.c: what people see. */
void report_note(struct node *node, const struct lease_command *command);
void report_status(struct node *node);
void report_beat(struct node *node);
