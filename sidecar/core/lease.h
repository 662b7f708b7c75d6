#pragma once
/*
 * The contract of the lease state machine: one member's view of one lease.
 *
 * What it promises: at no instant do two controllers of one lease act, as long as the bounds below hold. What
 * it does not promise: a hypervisor that freezes a whole guest freezes its clocks; a loss of commits that
 * nobody could observe; sidecar and guardian both killed, or a controller that cannot be killed. There only
 * the epoch that the database itself guards protects.
 *
 * It is pure: same state and same event give the same commands. It reads no clock, performs no I/O, allocates
 * nothing, holds no pointers and cannot fail: `struct lease` may be copied, hashed and dumped.
 *
 * What the shell owes it:
 *  - every event carries both clocks (R4, "two clocks"): fast_ns (sum of the larger increments of
 * CLOCK_BOOTTIME and CLOCK_MONOTONIC_RAW; deadlines of a holder) and slow_ns (the smaller; waiting of a
 * challenger), each monotone and above zero, and 16 fresh random bytes.
 *  - commands are performed in their order. A command whose outcome matters is answered by exactly one event,
 * later.
 *  - LEASE_COMMAND_SAVE with durable=true is answered only after fsync.
 *  - at the time that lease_wake() names, at the latest, it sends an event (LEASE_EVENT_TICK if there is no
 * other).
 *  - the time of a send is the time of the event that produced the WRITE: the shell hands it over at once, so
 * the clock was read before (R1).
 *
 * Thread: any one at a time.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/timing.h"

#define LEASE_NAME_MAX     63 /* bytes of a lease or member name, without the NUL */
#define LEASE_NONCE_SIZE   16
#define LEASE_MEMBERS_MAX  128 /* members beyond this are not ranked */
#define LEASE_COMMANDS_MAX 32
#define LEASE_HOLD_MAX_NS  (LEASE_NS_PER_S * 3600 * 24) /* the longest ttl of a row, as in the schema */
#define LEASE_NEVER        UINT64_MAX
/* No honest history comes near. A row with more in epoch or counter is malformed: there is nothing above it.
 */
#define LEASE_EPOCH_MAX ((UINT64_C(1) << 62) - 1)

/* ------------------------------------------------------------------ values */

struct lease_nonce {
    uint8_t bytes[LEASE_NONCE_SIZE]; /* all zero: nobody */
};

struct lease_now {
    uint64_t fast_ns;
    uint64_t slow_ns;
};

/* What a compare-and-set compares (R2). Two rows with equal versions are the same row. */
struct lease_version {
    uint64_t epoch;
    uint64_t counter;
    struct lease_nonce nonce;
};

enum lease_row_state {
    LEASE_ROW_FREE,
    LEASE_ROW_HELD,
    LEASE_ROW_HANDOVER, /* held, and about to be released: followers poll quickly */
};

struct lease_row {
    struct lease_version version;
    uint32_t ttl_ms;
    enum lease_row_state state;
    char holder[LEASE_NAME_MAX + 1]; /* of a free row: the last holder */
    char target[LEASE_NAME_MAX + 1]; /* who is meant to take it next; empty: anybody */
    uint64_t epoch_table;            /* what the epoch table says; 0 when it has no row */
    uint32_t hold_ms;                /* of a row to be written: what is left of a hold (R12), for people */
    uint64_t hold_request;           /* ... and the request that asked for it; 0: as it stands there */
};

/* How a statement ended (R3). UNKNOWN is a value: it never extends a deadline and never counts as lost. */
enum lease_answer {
    LEASE_ANSWER_ROW,      /* read: the row; write: applied */
    LEASE_ANSWER_MISMATCH, /* write: no row had the version in this node's view */
    LEASE_ANSWER_NO_ROW,   /* read: the lease row does not exist */
    LEASE_ANSWER_REFUSED,  /* certainly not applied */
    LEASE_ANSWER_UNKNOWN,  /* maybe applied, maybe later */
};

enum lease_write {
    LEASE_WRITE_ACQUIRE,
    LEASE_WRITE_RESUME, /* our old nonce is replaced by a new one (R7) */
    LEASE_WRITE_RENEW,
    LEASE_WRITE_BUMP, /* a new epoch before a start (R9) or above a higher one seen (R8) */
    LEASE_WRITE_RELEASE,
};

enum lease_hook { LEASE_HOOK_PROMOTE, LEASE_HOOK_DEMOTE, LEASE_HOOK_CHECK };

enum lease_hook_result {
    LEASE_HOOK_DONE,    /* exit 0; of a check: the controller runs */
    LEASE_HOOK_STOPPED, /* check, exit 3: nothing of the controller is left */
    LEASE_HOOK_FAILED,  /* other exit, killed, could not be started, out of time */
};

enum lease_guardian_news {
    LEASE_GUARDIAN_UP,
    LEASE_GUARDIAN_DOWN,
    LEASE_GUARDIAN_FENCING, /* it has set the fencing bit, of its own or by our order */
    LEASE_GUARDIAN_STOPPED, /* the check confirmed the stop; carries the epoch */
};

enum lease_role {
    LEASE_BOOT,
    LEASE_FOLLOWER,
    LEASE_ACQUIRING,
    LEASE_PROMOTING,
    LEASE_LEADER,
    LEASE_DEMOTING,
    LEASE_FENCED,
    LEASE_ROLES
};

enum lease_reason {
    LEASE_REASON_NONE,
    LEASE_REASON_START,          /* the sidecar started */
    LEASE_REASON_RESUME,         /* the sidecar came back within its own lease */
    LEASE_REASON_FREE,           /* the lease was free */
    LEASE_REASON_EXPIRED,        /* the holder did not renew for a whole ttl */
    LEASE_REASON_STEP_DOWN,      /* an operator asked */
    LEASE_REASON_SWITCHOVER,     /* an operator named another leader */
    LEASE_REASON_SHUTDOWN,       /* the sidecar was told to end */
    LEASE_REASON_DEADLINE,       /* the lease could not be renewed in time */
    LEASE_REASON_LOST,           /* the row says that somebody else, or nobody, holds it */
    LEASE_REASON_TWIN,           /* our nonce with a counter we never wrote */
    LEASE_REASON_ROW_MISSING,    /* the lease row is gone */
    LEASE_REASON_REGRESSION,     /* the row went back: the database lost commits */
    LEASE_REASON_HIGHER_EPOCH,   /* somebody remembers an epoch above ours */
    LEASE_REASON_PROMOTE_FAILED, /* the promote hook failed or ran out of its budget */
    LEASE_REASON_UNVERIFIED,     /* the epoch was not seen on the controller's own node */
    LEASE_REASON_UNHEALTHY,      /* the controller died or its check failed */
    LEASE_REASON_GUARDIAN,       /* the guardian died again and again, or fenced */
    LEASE_REASON_ROGUE,          /* a controller ran although this member does not lead */
    LEASE_REASON_HOLD,           /* an operator asked for a longer lease, or for its end */
    LEASE_REASON_DOUBLE,         /* another live sidecar bears this member's name */
    LEASE_REASONS
};

/* Things to tell people; they change nothing. */
enum lease_note {
    LEASE_NOTE_ROLE,       /* role changed; reason says why */
    LEASE_NOTE_ACQUIRED,   /* the lease is ours; epoch */
    LEASE_NOTE_RELEASED,   /* the lease was given back */
    LEASE_NOTE_LOST,       /* the lease was lost; reason */
    LEASE_NOTE_STOPPED,    /* the controller is confirmed stopped */
    LEASE_NOTE_ROGUE,      /* alarm: a controller ran on a follower */
    LEASE_NOTE_REGRESSION, /* lasting alarm: the epoch or counter went back (R8) */
    LEASE_NOTE_NO_ROW,     /* the lease row does not exist */
    LEASE_NOTE_UNSTOPPED,  /* the stop could not be confirmed in its budget: fencing */
    LEASE_NOTE_HOLD,       /* the database has confirmed the longer lease that an operator asked for */
    LEASE_NOTE_UNHOLD,     /* the hold is over; leases are as long as configured again */
    LEASE_NOTE_DOUBLE,     /* alarm: another live sidecar bears our name (R10) */
};

/* ------------------------------------------------------------------ events */

enum lease_event_type {
    LEASE_EVENT_START,
    LEASE_EVENT_TICK,
    LEASE_EVENT_READ,
    LEASE_EVENT_WRITE,
    LEASE_EVENT_HOOK,
    LEASE_EVENT_GUARDIAN,
    LEASE_EVENT_SAVED,
    LEASE_EVENT_MEMBERS,
    LEASE_EVENT_REQUEST,
    LEASE_EVENT_FITNESS,  /* what the precheck says */
    LEASE_EVENT_SETTINGS, /* an operator has changed what may change while the member runs */
    LEASE_EVENT_HEALTH,   /* what the controller's health URL says */
    LEASE_EVENT_STOP,
};

/* What the state file knew. */
struct lease_memory {
    uint64_t epoch_seen;            /* highest epoch ever remembered here (R8) */
    struct lease_nonce nonce;       /* all zero: nothing to resume */
    struct lease_nonce next;        /* what a resume that nobody heard of may have made of it; zero: none */
    uint64_t epoch;                 /* of that nonce */
    uint64_t remaining_ns;          /* until the stored deadline, in this boot; 0: passed or erased */
    struct lease_nonce incarnation; /* of the sidecar before us on this host, in this boot; zero: not known */
    bool unfinished;                /* it ended during a promote: what runs may lack a part (R9) */
};

/* What an operator asks of a leader. */
enum lease_request {
    LEASE_REQUEST_LEAVE,  /* give the lease away: reason STEP_DOWN, or SWITCHOVER to the target */
    LEASE_REQUEST_HOLD,   /* make the lease last for hold_ns from now (R12) */
    LEASE_REQUEST_UNHOLD, /* ... and as long as configured again */
};

/* One line of the member table, as read by bookkeeping. */
struct lease_member {
    char name[LEASE_NAME_MAX + 1];
    struct lease_nonce incarnation;
    uint64_t heartbeat;
    uint64_t epoch_seen;
    uint32_t priority;
    bool drifted;
};

struct lease_event {
    enum lease_event_type type;
    struct lease_now now;
    uint8_t entropy[LEASE_NONCE_SIZE]; /* fresh random bytes, in every event */
    union {
        struct lease_memory start;
        struct {
            uint32_t op;
            enum lease_answer answer;
            bool non_primary;        /* refused because the node has no quorum (1047) */
            uint64_t instance;       /* identity of the answering server's start; 0: none answered */
            uint64_t instance_up_ns; /* a lower bound of how long it had been up by then */
            struct lease_row row;
        } read;
        struct {
            uint32_t op;
            enum lease_answer answer;
        } write;
        struct {
            uint32_t id;
            enum lease_hook_result result;
        } hook;
        struct {
            enum lease_guardian_news news;
            uint64_t epoch;
        } guardian;
        struct {
            uint32_t id;
            bool ok;
        } saved;
        struct {
            const struct lease_member *list; /* read during the step only */
            size_t count;
        } members;
        struct {
            enum lease_request kind;
            uint64_t id;              /* its number in the database, to be written beside a hold */
            enum lease_reason reason; /* of LEAVE: STEP_DOWN or SWITCHOVER */
            uint64_t hold_ns;         /* of HOLD; above LEASE_HOLD_MAX_NS: that */
            char target[LEASE_NAME_MAX + 1];
        } request;
        struct {
            bool fit;
        } fitness;
        struct {
            uint32_t priority; /* 0: no election any more; who leads already leads on */
            uint32_t restarts;
            uint32_t check_failures;
            uint64_t restart_window_ns;
        } settings; /* all of them, as in struct lease_config */
        struct {
            uint64_t epoch; /* of the controller's start that led when the question was asked */
            bool healthy;
        } health;
    };
};

/* ------------------------------------------------------------------ commands */

enum lease_command_type {
    LEASE_COMMAND_READ,
    LEASE_COMMAND_WRITE,
    LEASE_COMMAND_CANCEL, /* the answer of this op is not awaited any more; use another connection next */
    LEASE_COMMAND_HOOK,
    LEASE_COMMAND_HOOK_KILL,
    LEASE_COMMAND_ARM,    /* guardian: from now on this epoch may act until this deadline */
    LEASE_COMMAND_EXTEND, /* guardian: new deadline; the answer FENCING is an event */
    LEASE_COMMAND_FENCE,  /* guardian: stop the controller by force, until confirmed */
    LEASE_COMMAND_DISARM, /* guardian: the controller is confirmed stopped */
    LEASE_COMMAND_SAVE,
    LEASE_COMMAND_NOTE,
    LEASE_COMMAND_EXIT, /* the controller is confirmed stopped, and nothing is held but what the disk lets the
                           next start go on with */
};

struct lease_command {
    enum lease_command_type type;
    union {
        struct {
            uint32_t op;
            bool causal;              /* wait until the node has applied all that came before */
            bool controller_endpoint; /* on the node that the controller itself uses (R9) */
        } read;
        struct {
            uint32_t op;
            enum lease_write kind;
            struct lease_version expected;
            struct lease_row wanted;
        } write;
        struct {
            uint32_t op;
        } cancel;
        struct {
            uint32_t id;
            enum lease_hook hook;
            uint64_t budget_ns;
            uint64_t epoch;
            struct lease_nonce nonce;
            enum lease_reason reason;
            char previous[LEASE_NAME_MAX + 1];
        } hook;
        struct {
            uint32_t id;
        } hook_kill;
        struct {
            uint64_t epoch;
            uint64_t deadline_ns; /* on the fast clock */
            struct lease_nonce nonce;
        } guard;
        struct {
            uint32_t id;
            bool durable;
            uint64_t epoch_seen;
            struct lease_nonce nonce;
            struct lease_nonce next; /* of a resume under way: the nonce that it writes; zero: none */
            uint64_t epoch;
            uint64_t deadline_ns; /* on the fast clock; 0: erased */
        } save;
        struct {
            enum lease_note note;
            enum lease_role from; /* of NOTE_ROLE */
            enum lease_role role;
            enum lease_reason reason;
            uint64_t epoch;
        } note;
    };
};

struct lease_commands {
    size_t count;
    struct lease_command list[LEASE_COMMANDS_MAX];
};

/* ------------------------------------------------------------------ the machine */

struct lease_config {
    char member[LEASE_NAME_MAX + 1];
    struct lease_nonce incarnation; /* of this start of the sidecar (R10); zero: names are not watched */
    struct lease_timing timing;
    uint32_t priority; /* 0: never leads */
    uint32_t restarts; /* in place, before the lease is released */
    uint32_t check_failures;
    bool prechecked;            /* leads only after a precheck said that it may */
    bool require_match;         /* does not lead while its files differ from the last leader's */
    uint64_t restart_window_ns; /* a controller that ran this long has earned its restarts back */
};

struct lease_peer {
    struct lease_member member;
    uint64_t moved_slow_ns; /* when its heartbeat last moved, on our slow clock; 0: never seen moving */
};

/* A statement under way; one at a time. */
struct lease_op {
    uint32_t id; /* 0: none */
    bool is_write;
    bool causal;
    bool controller_endpoint;
    enum lease_write kind;
    uint64_t sent_fast_ns;
    struct lease_row wanted;
};

enum lease_stop_phase {
    LEASE_STOP_NONE,
    LEASE_STOP_DEMOTE,
    LEASE_STOP_CHECK,
    LEASE_STOP_FENCE,
    LEASE_STOP_CONFIRMED
};
/* Is the member name ours alone (R10)? */
enum lease_name_state {
    LEASE_NAME_OPEN,   /* not known yet: neither heartbeats nor claims */
    LEASE_NAME_OURS,   /* nobody else alive bears it */
    LEASE_NAME_DOUBLE, /* somebody else does, and was there first: this member ends */
};

/* What a heartbeat may do to the row of our name in the member table. */
enum lease_name_right {
    LEASE_NAME_WAIT, /* no heartbeat yet */
    LEASE_NAME_KEEP, /* only if it carries our incarnation */
    LEASE_NAME_TAKE, /* whatever it carries */
};

enum lease_start_phase {
    LEASE_START_CLAIM,  /* the claim (acquire or resume) is being written or settled */
    LEASE_START_RENEW,  /* ours as read, but unconfirmed: a read is no proof of holding */
    LEASE_START_CHECK,  /* resume: does the controller run? */
    LEASE_START_BUMP,   /* a new epoch is needed */
    LEASE_START_SAVE,   /* the epoch is being remembered on disk */
    LEASE_START_VERIFY, /* the epoch must be seen on the controller's node */
    LEASE_START_READY,  /* it was: promote */
};

struct lease {
    struct lease_config config;
    struct lease_now now;
    uint8_t entropy[LEASE_NONCE_SIZE];
    bool started, stop_wanted, exited;

    enum lease_role role;
    enum lease_reason reason;
    uint64_t role_since_fast_ns;

    /* the row as last read, and how long it has stood like that */
    bool row_known, row_missing;
    struct lease_row row;
    uint64_t row_ttl_ns;          /* the larger one, if edited under an unchanged counter */
    uint64_t row_read_fast_ns;    /* receipt of the last read */
    uint64_t row_since_slow_ns;   /* receipt of the first read that showed this version */
    uint64_t held_ttl_ns;         /* of the last held row seen: its holder may live that long unseen */
    bool row_suspect;             /* free, but acknowledged commits may be missing: watch it */
    uint64_t instance;            /* the server we read from ... */
    uint64_t instance_ok_slow_ns; /* ... and when it will have been up for a whole watch */
    uint64_t quorum_ok_slow_ns;   /* no earlier: non-Primary was seen */

    /* our own hold */
    bool holding; /* our nonce is, or may be, in the row */
    struct lease_version own;
    uint64_t own_counter_max, own_epoch_max; /* what any write of ours may have made of it */
    uint64_t ttl_sent_ns;                    /* of the last write sent */
    uint64_t deadline_ns;                    /* fast; 0: none confirmed */
    uint64_t renewed_fast_ns;                /* when the last renewal was sent */
    uint64_t attempt_fast_ns;                /* no statement before */
    bool retry;                    /* the last write was not confirmed: try again, don't wait for R */
    bool settle;                   /* a causal read must tell what became of our writes */
    struct lease_nonce left_nonce; /* given up, stop confirmed: release it if it is still there */

    /* a hold (R12): until when renewals ask for more than the configured ttl; 0: none */
    uint64_t hold_until_fast_ns;
    uint64_t hold_request;
    bool hold_confirmed;

    /* our name (R10) */
    enum lease_name_state name;
    bool name_take;
    struct lease_nonce name_previous; /* the sidecar before us on this host */
    struct lease_nonce name_seen;     /* a foreign incarnation in our row ... */
    uint64_t name_seen_heartbeat;     /* ... at this heartbeat ... */
    uint64_t name_seen_slow_ns;       /* ... which has not moved since; 0: none */

    /* a claim (acquire or resume) that is not settled: no new nonce is drawn meanwhile (R3) */
    bool claim_open;
    bool claim_resume;
    struct lease_version claim_expected;
    struct lease_nonce claim_nonce;
    uint64_t claim_epoch;

    uint64_t epoch_seen;  /* ours and every member's (R8) */
    uint64_t epoch_saved; /* what the disk has */
    bool regression;      /* told, and nobody has started above everything remembered since */
    struct lease_op op;
    uint32_t next_id;
    uint32_t save_id;           /* the durable save that is awaited; 0: none */
    bool save_erases;           /* ... and it erases the deadline */
    uint64_t save_epoch;        /* ... and the epoch it remembers */
    uint64_t save_deadline_ns;  /* ... and its deadline */
    uint64_t saved_deadline_ns; /* fast; the disk has none later than this. 0: none */
    bool saved_erased;          /* the disk has no deadline: a release may be sent (R7) */

    enum lease_start_phase start;
    bool boot_resume;             /* BOOT: the state file gave us a nonce */
    bool boot_unfinished;         /* ... of a start that was not finished */
    struct lease_nonce boot_next; /* ... and another, of a resume of the sidecar before us; zero: none */
    enum lease_stop_phase stop;   /* how far stopping the controller is */
    bool controller_stopped;      /* confirmed, and nothing was started since */
    bool restart;                 /* after this stop, start again in place */
    bool handover;                /* the row says, or is to say, that a release is coming */
    bool handover_sent;
    enum lease_reason leave_reason;
    uint64_t leave_fast_ns; /* demote then: followers poll quickly by now */
    char target[LEASE_NAME_MAX + 1];
    char previous[LEASE_NAME_MAX + 1];

    uint32_t hook_id; /* running; 0: none */
    enum lease_hook hook;
    uint64_t hook_until_fast_ns;
    bool hook_ready; /* it ended; the result waits for decide */
    enum lease_hook_result hook_result;
    uint64_t check_fast_ns; /* next interval check */
    uint32_t check_failures, restarts_used, promote_failures;
    uint32_t health_failures; /* of the health URL in a row, about this start of the controller */

    bool guardian_up, armed, fencing;
    uint64_t armed_epoch;
    uint32_t guardian_failures;
    uint64_t guardian_failed_fast_ns;

    bool fit;     /* as the last precheck said; without one always */
    bool drifted; /* our own row says that our files differ from the last leader's */
    uint64_t poll_fast_ns, quick_until_fast_ns;
    uint64_t backoff_fast_ns;  /* do not compete before */
    uint64_t released_fast_ns; /* when we gave the lease away; 0: never */
    struct lease_peer peers[LEASE_MEMBERS_MAX];
    uint32_t peer_count;
};

/* Prepares @lease for its first event, which must be LEASE_EVENT_START. */
void lease_init(struct lease *lease, const struct lease_config *config);

/* The one step: time, event, decide, invariant. Fills @ret_commands (at most LEASE_COMMANDS_MAX). */
void lease_step(struct lease *lease, const struct lease_event *event, struct lease_commands *ret_commands);

/* When the next event is due at the latest, one time per clock (LEASE_NEVER: none). Always after now. */
struct lease_now lease_wake(const struct lease *lease);

/* Is this change of role in the table of legal ones? */
bool lease_edge_legal(enum lease_role from, enum lease_role to);

/* Why this member is not the leader, in one sentence; "" for a leader. Never NULL. */
#define LEASE_WHY_UNFIT "Its precheck does not let it lead"
#define LEASE_WHY_HELD  "Another member holds the lease."
const char *lease_why_not(const struct lease *lease);

/*
 * Is this member a follower that waits for a silent holder? Then how long the row has stood unchanged, and
 * how long it must go on to do so before it may be taken (R4); both on the slow clock.
 */
bool lease_waiting(const struct lease *lease, uint64_t *ret_stood_ns, uint64_t *ret_left_ns);

/* Our place among the live members if the lease were free now; 0 is first (R11). Who has drifted comes last.
 */
unsigned lease_rank(const struct lease *lease);

/*
 * The priority to publish: 0 while this member could not take a free lease (backing off, no guardian, not
 * fit, ending). Others rank by it, and would wait for a turn that never comes.
 */
uint32_t lease_priority_now(const struct lease *lease);

/* What the next heartbeat may do (R10). */
enum lease_name_right lease_name_right(const struct lease *lease);

/* What is left of a hold (R12), on the fast clock; 0: none. */
uint64_t lease_hold_left_ns(const struct lease *lease);

const char *lease_role_name(enum lease_role role);
const char *lease_reason_name(enum lease_reason reason);
const char *lease_note_name(enum lease_note note);
const char *lease_write_name(enum lease_write kind);
const char *lease_answer_name(enum lease_answer answer);

/* Supplied by the program: an invariant of the core does not hold. Must not return. */
_Noreturn void lease_assert_failed(const char *expression, const char *file, int line);
