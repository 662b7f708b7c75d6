#pragma once
/*
 * A small world, of which every interleaving is looked at: two or three members with the core's own archive
 * and the guardian's page as the daemon has them, one database, and a budget of faults.
 *
 * Time is counted in ticks of one second, and a ttl is five of them: R, D, K, M, poll and check budget are
 * one tick each, for the validator nearly the least. What happens within a tick happens in every order.
 * Nothing is late unless a fault makes it so: a tick comes only when every statement, hook, save and wake-up
 * that is due has been served. So lateness costs budget, and the world stays finite.
 *
 * There is no slack. A tick of true time is 0.991 s on the clock of a member that counts on its lease for as
 * long as it may, and 1.010 s for one that waits as short as it may; the guardian may begin a fence M late,
 * and kill K later: the controller may act until the last tick before the deadline. An error of a hundredth
 * of the ttl in a holder's deadline, or of a fifth in a challenger's watch, is two controllers at once.
 *
 * The bounds, and so what "exhausted" does not say:
 * - a database that is silent for long is in the worlds silence*: it falls silent with one write, and is
 *   silent until that member has given up its hold or its claim. Of the writes that it gives up on at most
 *   one is still under way (LATE_MAX). In all other worlds a lost answer is followed by one that comes;
 * - three members meet no fault (calm3): two and a fault are what closes;
 * - S3 can't be said: no work of a controller is in the world;
 * - no ttl changes and nobody holds, so R12 and the shorter ttl of R1 are not here.
 *
 * Left out, and looked at elsewhere: parts of a tick; nodes that come and go, quorum, certification beyond
 * "the first one wins" (sim, system); the member table, and so ranks, names and what others remember (sim,
 * scenario); holds; rows edited by hand; the guard of a controller's own writes (system); a guardian that
 * dies while it fences, or together with its sidecar for longer than a restart (not promised).
 */
#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "core/lease.h"

#define HOSTS_MAX 3
#define LATE_MAX  1
#define TICK_NS   LEASE_NS_PER_S
#define TTL_TICKS 5

/* What the world's budget is spent on; in brackets the variants. */
enum fault {
    FAULT_SILENCE,    /* after this write of a host nothing is answered until its turn is over:
                         [UNKNOWN and applied, not applied, perhaps later; applied, the answer takes any time] */
    FAULT_UNKNOWN,    /* a write's answer is UNKNOWN: [applied, not applied, perhaps later] */
    FAULT_REFUSED,    /* a statement is refused */
    FAULT_LAG,        /* a node is one write behind: an old row is read, a good write meets MISMATCH */
    FAULT_LOSS,       /* all servers restart, and the last acknowledged write is gone */
    FAULT_KILL,       /* the sidecar is killed */
    FAULT_BOTH,       /* sidecar and guardian are killed, and started again at once */
    FAULT_GUARDIAN,   /* the guardian is killed */
    FAULT_PAUSE,      /* the sidecar stands still until it thaws */
    FAULT_REBOOT,     /* the host loses its power */
    FAULT_DISK_LOST,  /* ... and the state file too */
    FAULT_DISK,       /* a save fails */
    FAULT_PROMOTE,    /* [launched late, hangs, fails with a controller left, fails] */
    FAULT_DEMOTE,     /* [hangs, fails, claims to have stopped it] */
    FAULT_CHECK,      /* [hangs, fails] */
    FAULT_DIES,       /* the controller dies */
    FAULT_ROGUE,      /* somebody else starts one on a follower */
    FAULT_STEP_DOWN,  /* an operator asks */
    FAULT_SWITCHOVER, /* ... and names the next host */
    FAULT_STOP,       /* SIGTERM */
    FAULTS
};

/* Free: what goes on by itself. In this order the fault-free continuation of L1 takes them, the tick last. */
enum move {
    MOVE_NEWS,       /* the sidecar hears of its guardian's page */
    MOVE_GUARD,      /* the guardian looks: fences, or leaves */
    MOVE_GUARD_KILL, /* its fence has killed, and its check has confirmed it */
    MOVE_GUARD_UP,   /* the sidecar hears that its guardian died, and starts another */
    MOVE_SAVED,
    MOVE_HOOK,    /* a hook ends well */
    MOVE_LAUNCH,  /* a promote hook that outlived its sidecar comes to its last step */
    MOVE_BEGIN,   /* what a hanging promote hook began is running */
    MOVE_EXECUTE, /* the database executes a statement; its answer comes at once, unless that is hindered */
    MOVE_DELIVER,
    MOVE_WAKE,
    MOVE_HEAL, /* the database answers again */
    MOVE_THAW,
    MOVE_START,       /* of a sidecar */
    MOVE_LATE_COMMIT, /* a write that was given up commits, if ever */
    MOVE_TICK,
    MOVE_FAULT, /* + enum fault */
    MOVES = MOVE_FAULT + FAULTS
};

struct action {
    uint8_t move, host, variant;
};
#define VARIANTS 4

enum statement_state { STATEMENT_NONE, STATEMENT_SENT, STATEMENT_ANSWERED };

struct statement {
    enum statement_state state;
    uint32_t op;
    bool is_write, causal, own_node;
    enum lease_write kind;
    enum lease_answer answer;
    struct lease_version expected;
    struct lease_row row; /* wanted, or read */
};

struct late_write {
    bool used, orphan; /* its sidecar is gone */
    uint8_t host;
    enum lease_write kind;
    struct lease_version expected;
    struct lease_row wanted;
};

struct hook {
    bool active, slow; /* slow: ends whenever it likes */
    int kind;
    uint32_t id;
};

enum promote_state { PROMOTE_NONE, PROMOTE_LAUNCHED, PROMOTE_RUNNING };

struct promote {
    enum promote_state state;
    bool began;
    uint64_t epoch;
};

struct controller {
    bool alive, ours;
    uint64_t epoch;
};

struct guardian {
    bool alive, gone, parent_dead, fences, news;
    uint64_t view_word, begun_fast_ns;
};

/* The changing part of the guardian's page. Bits 0 and 1 of the word are its state, the deadline in us begins
 * at bit 10 (guardian/page.c). */
struct page_words {
    uint64_t word, epoch, promote, anchor_seq;
};

static inline uint64_t page_deadline_ns(uint64_t word)
{
    return (word >> 10) * 1000;
}

struct state_file {
    uint64_t epoch_seen, epoch, deadline_ns; /* on the host's fast clock */
    struct lease_nonce nonce, next;
};

struct host {
    uint64_t fast_ns, slow_ns;         /* at this tick */
    uint64_t instant_ns;               /* ... and this much into it */
    bool alive, paused, silent, hurry; /* hurry: starts again before time goes on */
    struct statement statement;
    struct {
        bool pending;
        uint32_t id;
        struct state_file record;
    } save;
    struct state_file file;
    uint64_t disk_epoch_seen; /* what a power cut leaves */
    struct hook hook;
    struct promote promote;
    struct controller controller;
    struct guardian guardian;
    struct page_words page;
    /* what the checkers remember of it */
    bool demoted;
    uint64_t shown_epoch, witness, witnessed;
};

struct world {
    /* the state: world_fingerprint() sees all of it */
    struct lease_row head, before; /* the row, and as it was one write ago */
    uint64_t instance, lost_epoch, highest_started, highest_promoted;
    struct late_write late[LATE_MAX];
    uint8_t left[FAULTS], left_in_all;
    struct host hosts[HOSTS_MAX];
    /* not part of it */
    uint64_t draws, ticks;
    struct lease leases[HOSTS_MAX]; /* last: see world_copy() */
};

/* Which world: what may happen in it, and how often. */
struct design {
    const char *name, *aims;
    bool deep; /* not part of the short run */
    unsigned hosts;
    uint8_t budget[FAULTS], in_all;
    uint32_t restarts, check_failures;
    bool slow_demotes;                         /* they may take their whole budget */
    bool checks;                               /* interval checks, every tick */
    uint16_t fast[HOSTS_MAX], slow[HOSTS_MAX]; /* what a tick is on each host's clocks, in thousandths */
};
extern const struct design designs[];
extern const unsigned design_count;
extern const struct design *design; /* the one that is looked at */

enum rule { RULE_S1, RULE_S2, RULE_S4, RULE_S5, RULE_R3, RULE_R9, RULE_L1, RULE_STUCK, RULE_CORE, RULES };

struct verdict {
    bool failed;
    enum rule rule;
    unsigned host;
    char text[320];
};
extern struct verdict verdict;

/* check.c */
void check_fail(enum rule rule, unsigned host, const char *format, ...) __attribute__((format(printf, 3, 4)));
const char *rule_name(enum rule rule);
const char *host_name(unsigned host);
void check_start(struct world *w, unsigned host);
void check_command(struct world *w, unsigned host, const struct lease_command *c);
void check_event(struct world *w, unsigned host, const struct lease_event *e);
bool check_led(const struct world *w);

/* world.c */
void world_init(struct world *w);
void world_copy(struct world *to, const struct world *from);
/* Does it, and is true; or is false because it can't happen now, and nothing has changed. */
bool world_act(struct world *w, struct action a);
bool spend(struct world *w, enum fault fault);

/* member.c: the sidecar around the core */
void member_start(struct world *w, unsigned host);
void member_feed(struct world *w, unsigned host, struct lease_event *e);
bool member_due(const struct world *w, unsigned host);
void member_gone(struct world *w, unsigned host);
bool member_act(struct world *w, struct action a);

/* database.c */
void statement_send(struct world *w, unsigned host, const struct lease_command *c);
void statement_given_up(struct world *w, unsigned host);
bool database_act(struct world *w, struct action a);

/* machine.c: guardian, hooks, controller */
void page_words_clear(struct world *w, unsigned host);
bool page_is_fencing(struct world *w, unsigned host);
bool page_has_stopped(struct world *w, unsigned host, uint64_t *ret_epoch);
bool machine_arm(struct world *w, unsigned host, const struct lease_command *c); /* true: it is fencing */
bool machine_extend(struct world *w, unsigned host, const struct lease_command *c);
bool machine_disarm(struct world *w, unsigned host);
void machine_fence(struct world *w, unsigned host, uint64_t epoch);
void hook_begin(struct world *w, unsigned host, const struct lease_command *c);
void hook_kill(struct world *w, unsigned host);
bool machine_allows_tick(struct world *w, unsigned host);
bool machine_act(struct world *w, struct action a);

/* canon.c */
struct fingerprint {
    uint64_t a, b;
};
struct fingerprint world_fingerprint(const struct world *w);
size_t world_pack(const struct world *w, const struct world *base, uint8_t *buf); /* bytes */
void world_unpack(struct world *w, const struct world *base, const uint8_t *buf, size_t bytes);
#define PACKED_MAX (sizeof(struct world))

/* tell.c: the way to what was found, as it happened, and as a scenario */
extern bool telling;
void tell_event(const struct world *w, unsigned host, const struct lease_event *e);
void tell_command(const struct lease_command *c);
void tell(const struct action *way, size_t count, const char *program);
