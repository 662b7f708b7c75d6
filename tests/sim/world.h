#pragma once
/*
 * The simulated world: true time, a queue of events, random numbers, and everything that lives in it.
 *
 * One seed decides everything: same program, same seed, same run. Time is true time in nanoseconds; no
 * simulated process sees it, each has only the clocks of its host (clock.c). Nothing here knows what is
 * right: the checkers (check.c) look at the world from outside.
 */
#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "core/lease.h"
#include "guardian/page.h"
#include "taken.h"
#include "util/clocks.h"

#define HOSTS_MAX   9
#define NODES_MAX   5
#define STMTS_MAX   512
#define HISTORY_MAX 1024 /* committed write sets remembered, for lag and for loss */
#define VERSIONS    8    /* of a member's row, for the same */
#define MS          LEASE_NS_PER_MS
#define S           LEASE_NS_PER_S
#define US          UINT64_C(1000)

enum fault {
    FAULT_SIDECAR_KILL,
    FAULT_SIDECAR_PAUSE,
    FAULT_BOTH_PAUSE,
    FAULT_BOTH_RESTART,
    FAULT_BOTH_KILL,
    FAULT_HOST_FREEZE,
    FAULT_HOST_SUSPEND,
    FAULT_HOST_HYPERVISOR,
    FAULT_HOST_CRASH,
    FAULT_DISK_LOST,
    FAULT_GUARDIAN_KILL,
    FAULT_CONTROLLER_DIES,
    FAULT_CONTROLLER_STUCK,
    FAULT_ROGUE,
    FAULT_CLOCK,
    FAULT_WALL_CLOCK,
    FAULT_HOOKS,
    FAULT_DISK,
    FAULT_LINK,
    FAULT_CUT_OFF,
    FAULT_ANSWERS,
    FAULT_LATE_ANSWERS,
    FAULT_REFUSALS,
    FAULT_NODE_KILL,
    FAULT_NODE_STOP,
    FAULT_NODE_FREEZE,
    FAULT_PARTITION,
    FAULT_STALL,
    FAULT_LAG,
    FAULT_CLUSTER_CRASH,
    FAULT_STALE_BOOTSTRAP,
    FAULT_SECRET_LOSS,
    FAULT_EDIT_TTL,
    FAULT_EDIT_EPOCH,
    FAULT_ROW_DELETED,
    FAULT_STEP_DOWN,
    FAULT_SWITCHOVER,
    FAULT_HOLD,
    FAULT_UNHOLD,
    FAULT_STOP,
    FAULTS
};

enum event_kind {
    EV_TIMER,      /* host, timer */
    EV_SIDECAR_UP, /* host */
    EV_HOST_UP,
    EV_THAW, /* host: frozen or suspended until now */
    EV_PARENT_DEAD,
    EV_GUARDIAN,      /* host: woken */
    EV_GUARDIAN_GONE, /* host: its sidecar hears it */
    EV_NEWS,          /* host: the guardian's eventfd */
    EV_SAVED,
    EV_HEALTH,      /* host, healthy: the answer of its health URL */
    EV_STMT,        /* statement: arrives at its node */
    EV_STMT_ORDER,  /* statement: its place in the total order */
    EV_STMT_ANSWER, /* statement: the client hears it */
    EV_BOOK,        /* host: heartbeat and members at the node */
    EV_BOOK_ANSWER,
    EV_HOOK_RUN, /* host, slot: the launcher has come to its last step */
    EV_HOOK_ACT,
    EV_HOOK_END,
    EV_CONTROLLER_UP, /* host: what promote began is running */
    EV_CONTROLLER_DIES,
    EV_CONTROLLER_WRITES,
    EV_VIEW, /* the cluster has agreed on its members */
    EV_NODE_UP,
    EV_NODE_THAW,
    EV_FAULT,
    EV_UNDO, /* a fault of some length is over */
    EV_REQUEST,
    EV_HEAL,
    EV_SETTLED, /* the row has been put back */
    EV_END,
    EV_KINDS
};

struct event {
    uint64_t at;
    uint64_t order; /* equal times keep the order in which they were scheduled */
    uint16_t kind;
    uint8_t a, b;
    uint32_t gen;
    uint64_t arg;
};

enum timer { TIMER_WAKE, TIMER_BEAT, TIMER_GUARDIAN, TIMER_GUARD, TIMERS };

struct sim_timer {
    bool set;
    uint64_t boot_ns; /* due at this reading of the host's BOOTTIME */
    uint64_t queued;  /* an event for it is in the queue at this time; 0: none */
    uint32_t gen;
};

/* BOOTTIME, MONOTONIC and MONOTONIC_RAW of a host: piecewise linear in true time. */
struct host_clock {
    uint64_t since, mono_ns, raw_ns, asleep_ns;
    int32_t mono_ppm, raw_ppm;
    bool asleep;  /* suspended: only BOOTTIME goes on */
    bool stopped; /* by a hypervisor: none goes on */
};

struct state_file {
    bool there;
    uint32_t boot;
    uint64_t epoch_seen, epoch, remaining_ns;
    struct lease_nonce nonce, next;
    struct clocks_instant at;
};

enum slot { SLOT_SIDECAR, SLOT_GUARDIAN, SLOTS };
enum hook_mode { HOOKS_WELL, HOOKS_SLOW, HOOKS_FAIL, HOOKS_HANG, HOOKS_LIE };

/* A hook that runs, as the one who started it sees it. */
struct sim_hook {
    bool active;
    uint32_t gen, id;
    int kind; /* enum lease_hook, or HOOK_IS_FENCE */
    uint64_t epoch;
    enum lease_hook_result result;
};
#define HOOK_IS_FENCE 100

struct sim_sidecar {
    bool alive;
    uint32_t gen;
    struct lease lease;
    struct clocks clocks;
    struct lease_nonce incarnation;
    uint64_t paused_until, saved_at;
    uint64_t armed_deadline_ns, guardian_started, heartbeat;
    unsigned endpoint, book_endpoint; /* nodes */
    uint64_t preferred_at;
    uint64_t connected[NODES_MAX]; /* instance that the connection was made to; 0: none */
    uint64_t connected_age[NODES_MAX], connected_raw_ns[NODES_MAX]; /* the server's age then, and when */
    int stmt;                                                       /* of the statement under way; -1: none */
    uint64_t stop_epoch;
};

enum guardian_phase { GUARD_WATCH, GUARD_FENCE, GUARD_CHECK, GUARD_RETRY };

struct sim_guardian {
    bool alive, begun, parent_dead;
    uint32_t gen;
    struct page_clock clock;
    struct page_view view; /* as it was when the fence under way began */
    enum guardian_phase phase;
    uint64_t paused_until;
    bool late; /* it was held up when its deadline came */
};

struct sim_controller {
    bool alive, ours, stopping, unkillable;
    uint32_t gen;
    uint64_t epoch, start;
};

/* A promote hook's process: it outlives a sidecar that dies. */
struct sim_promote {
    bool alive, asked;
    uint32_t gen;
    uint64_t epoch;
};

struct host {
    unsigned index;
    bool up;
    uint32_t boot, gen;
    struct host_clock clock;
    struct sim_timer timers[TIMERS];
    uint64_t frozen_until;
    struct page page;
    struct sim_sidecar sidecar;
    struct sim_guardian guardian;
    struct sim_hook hooks[SLOTS];
    struct sim_promote promote;
    struct sim_controller controller;
    struct state_file cache, disk; /* as a process reads it; as a power cut leaves it */
    struct lease_nonce run_incarnation;
    enum hook_mode mode[3];
    uint64_t disk_bad_until;
    bool disk_fails;
    bool no_restart;
    uint64_t disturbed_until; /* guardian or host were held up: not again before */
};

struct write_set {
    uint64_t at;
    struct lease_row row;
    bool exists;
    bool moves_epoch, takes; /* a new epoch; a new nonce */
    uint64_t takeover;       /* number of the last take when this was committed, of the surviving history */
    uint64_t highest;        /* ... and the highest epoch */
};

struct member_version {
    uint64_t at;
    bool there;
    struct lease_nonce incarnation;
    uint64_t heartbeat, epoch_seen;
    uint32_t priority;
};

enum node_state { NODE_UP, NODE_DOWN, NODE_FROZEN };

struct node {
    enum node_state state;
    bool primary;
    uint32_t gen;
    uint64_t instance, started;
    uint64_t applied, lag_ns, blocked_until;
};

struct statement {
    bool used, is_write, causal, executed, guarded, from_client;
    uint8_t host, node;
    uint32_t op, sidecar_gen, node_gen;
    uint64_t give_up;    /* no retry after */
    uint64_t connection; /* the server's instance at its other end; 0: to be made first */
    enum lease_write kind;
    struct lease_version expected;
    struct lease_row row; /* wanted, or read */
    uint64_t view;        /* what the node had applied when it executed this */
    uint64_t epoch, start;
    enum lease_answer answer;
    bool non_primary;
    uint64_t instance, up_ns;
};

struct database {
    unsigned count;
    struct node nodes[NODES_MAX];
    bool cut[NODES_MAX][NODES_MAX];
    uint32_t primary_set; /* the members of the last primary component */
    uint32_t view_gen;
    uint64_t stall_until;
    uint64_t head;
    uint64_t lost_epoch; /* the highest whose commit was lost */
    struct write_set history[HISTORY_MAX];
    struct member_version members[HOSTS_MAX][VERSIONS]; /* newest first */
    struct statement stmts[STMTS_MAX];
    int free_stmts[STMTS_MAX];
    unsigned free_count;
};

struct options {
    uint64_t seed;
    const struct profile *profile;
    unsigned members, nodes;
    struct lease_timing timing;
    uint32_t priority[HOSTS_MAX], restarts, check_failures;
    uint64_t restart_window_ns;
    uint32_t drift_ppm; /* how far MONOTONIC_RAW may be from the truth */
    uint32_t slew_ppm;  /* ... and how much further BOOTTIME and MONOTONIC may be slewed */
    bool contained;     /* killing a promote hook takes along what it began */
    bool namesakes;     /* the last two members bear one name */
    uint64_t stall_min_ns, stall_max_ns;
    uint64_t network_ns, hook_ns;
    uint64_t chaos_ns, fault_gap_ns;
};

struct world {
    struct options options;
    uint64_t now, order, random[2];
    struct event *heap;
    size_t heap_count, heap_size;
    bool ended, healed, tracing;
    bool telling; /* all of it, as it happens */
    bool retelling;
    struct host hosts[HOSTS_MAX];
    struct database db;
    bool to_node[HOSTS_MAX][NODES_MAX], from_node[HOSTS_MAX][NODES_MAX]; /* the link carries */
    bool swallow[HOSTS_MAX];                                             /* its answers get lost */
    bool delay[HOSTS_MAX];                                               /* ... or are late */
    uint64_t refuse_until;
    uint64_t next_id, starts, request_id;
    unsigned faults_done;
    struct check *check;
    struct lease_commands commands;
};

/* What a run adds up to, over all seeds. */
struct tally {
    uint64_t seeds, simulated_ns, events, steps, starts, guarded, refused_guarded, takeovers, heal_ns_max;
    uint64_t faults[FAULTS];
    struct taken taken; /* changes of role */
    uint64_t answers[LEASE_ANSWER_UNKNOWN + 1], late_commits, non_primary, lost_commits;
};
extern struct tally tally;

/* world.c */
void world_init(struct world *w, const struct options *o, bool tracing);
void world_deinit(struct world *w);
void world_run(struct world *w);
void schedule(struct world *w, uint64_t delay, enum event_kind kind, unsigned a, unsigned b, uint32_t gen,
              uint64_t arg);
uint64_t random_u64(struct world *w);
uint64_t random_below(struct world *w, uint64_t n);
uint64_t random_between(struct world *w, uint64_t low, uint64_t high);
bool chance(struct world *w, unsigned percent);
/* Only while a failing seed is told again: the hot path formats nothing. */
#define trace(w, ...) ((w)->tracing ? trace_line((w), __VA_ARGS__) : (void)0)
void trace_line(struct world *w, const char *who, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void trace_print(unsigned last);
const char *host_name(unsigned host);

/* clock.c */
struct clocks_instant clock_read(const struct host *h, uint64_t now);
void clock_fold(struct host *h, uint64_t now);
void clock_sample(const struct host *h, uint64_t now, struct clocks *c);
void clock_look_as(const struct host *h, uint64_t now);
void timer_arm(struct world *w, struct host *h, enum timer timer, uint64_t delay_ns);
void timers_rearm(struct world *w, struct host *h);
bool timer_due(struct world *w, struct host *h, const struct event *e);

/* database.c */
void db_init(struct world *w);
const struct write_set *db_view(struct world *w, unsigned node);
const struct write_set *db_head(const struct world *w);
bool db_caught_up(struct world *w, unsigned node);
void db_append(struct world *w, const struct lease_row *row, bool exists, bool takes);
void db_lose(struct world *w, uint64_t entries);
void db_members_changed(struct world *w, uint64_t stall_ns);
void db_view_event(struct world *w, const struct event *e);
void db_node_down(struct world *w, unsigned node, bool politely);
void db_node_up(struct world *w, unsigned node);
uint64_t db_stall(struct world *w);
void db_put_back(struct world *w);

/* statement.c */
int stmt_new(struct world *w);
void stmt_client(struct world *w, struct host *h, const struct lease_command *c);
void stmt_guarded(struct world *w, struct host *h);
void stmt_arrives(struct world *w, unsigned id);
void stmt_ordered(struct world *w, unsigned id);
void stmt_answered(struct world *w, unsigned id);
void stmt_cancel(struct world *w, struct host *h, uint32_t op);

/* book.c */
void book_beat(struct world *w, struct host *h);
void book_arrives(struct world *w, const struct event *e);
void book_answered(struct world *w, const struct event *e);

/* sidecar.c */
void sidecar_start(struct world *w, struct host *h);
void sidecar_kill(struct world *w, struct host *h);
void sidecar_feed(struct world *w, struct host *h, struct lease_event *e);
void sidecar_health(struct world *w, const struct event *e);
void sidecar_timer(struct world *w, struct host *h, enum timer timer);
void sidecar_guardian_gone(struct world *w, struct host *h);
void sidecar_news(struct world *w, struct host *h);
uint64_t sidecar_held_up(const struct host *h, uint64_t now);

/* state.c */
void state_save(struct world *w, struct host *h, const struct lease_command *c);
void state_saved(struct world *w, const struct event *e);
void state_load(struct world *w, struct host *h, struct lease_memory *ret);

/* guardian.c */
void guardian_start(struct world *w, struct host *h);
void guardian_kill(struct world *w, struct host *h);
void guardian_wake(struct world *w, struct host *h);
void guardian_run(struct world *w, struct host *h);
void guardian_hook_ended(struct world *w, struct host *h, enum lease_hook_result result);

/* hooks.c */
bool hook_url_healthy(struct world *w, const struct host *h);
void hook_begin(struct world *w, struct host *h, enum slot slot, int kind, uint32_t id, uint64_t epoch);
void hook_cancel(struct world *w, struct host *h, enum slot slot);
void hook_run_event(struct world *w, const struct event *e);
void hook_act_event(struct world *w, const struct event *e);
void hook_end_event(struct world *w, const struct event *e);
void promote_kill(struct world *w, struct host *h);

/* controller.c */
void controller_begin(struct world *w, struct host *h, uint64_t epoch, bool ours);
void controller_stop(struct world *w, struct host *h, uint64_t delay);
void controller_gone(struct world *w, struct host *h);
bool controller_acts(const struct host *h, uint64_t now);
void controller_writes(struct world *w, const struct event *e);

/* faults.c, hurt.c, heal.c */
void fault_event(struct world *w);
bool fault_hurt(struct world *w, enum fault fault);
void fault_undo(struct world *w, const struct event *e);
bool fault_in_database(struct world *w, enum fault fault);
void fault_undo_in_database(struct world *w, const struct event *e);
void host_crash(struct world *w, struct host *h, bool disk_lost);
void host_freeze(struct world *w, struct host *h, uint64_t length);
void host_thaw(struct world *w, struct host *h);
void clock_disturb(struct world *w, struct host *h);
void request_event(struct world *w, const struct event *e);
bool fault_request(struct world *w, enum fault fault);
void heal(struct world *w);
const char *fault_name(enum fault fault);
