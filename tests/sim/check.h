#pragma once
/*
 * The checkers: rules seen from outside, in true time, on what really runs and really is committed.
 *
 *   S1  never two controllers of one lease act
 *   S2  epochs strictly rise from start to start
 *   S3  no guarded write of an old epoch commits after a takeover
 *   S4  never released while the controller is not stopped
 *   S5  no hook twice for one start
 *   L1  after healing somebody leads in time
 *   L2  no leader change without a cause
 *   CORE an assertion inside the core
 */
#include "profile.h"
#include "world.h"

enum rule { RULE_S1, RULE_S2, RULE_S3, RULE_S4, RULE_S5, RULE_L1, RULE_L2, RULE_CORE, RULES };
#define PROMOTED_MAX 64
#define RULE(r)      (1u << RULE_##r)

struct check {
    uint32_t off; /* rules that this profile cannot promise */
    bool failed;
    enum rule rule;
    int host;
    char text[256];
    uint32_t fired; /* also those that are off */

    uint64_t highest_started;
    uint64_t witness[HOSTS_MAX]; /* the highest epoch that this host was ever told, as far as it remembers */
    uint64_t witnessed[HOSTS_MAX]; /* ... when it last chose an epoch */
    struct {
        uint64_t epoch;
        struct lease_nonce nonce;
    } promoted[PROMOTED_MAX];
    unsigned promoted_count;
    uint64_t healed_at, bound_ns, led_at;
    bool expected_change; /* an operator, or a fault that may end a reign, had a hand in it */
    uint64_t demoted_epoch[HOSTS_MAX];
    uint32_t demoted_by[HOSTS_MAX];
};

void check_init(struct check *c, const struct profile *profile);
/* @host: whose core should be looked at. */
void check_fail(struct check *c, enum rule rule, int host, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
const char *rule_name(enum rule rule);

void check_start(struct world *w, struct host *h);
void check_acting(struct world *w);
void check_told(struct world *w, struct host *h, const struct lease_event *e);
void check_hook(struct world *w, struct host *h, const struct lease_command *c);
void check_write(struct world *w, struct host *h, const struct lease_command *c);
void check_role(struct world *w, struct host *h, enum lease_role from, enum lease_role to,
                enum lease_reason reason);
void check_guarded_commit(struct world *w, const struct statement *s);
void check_healed(struct world *w, uint64_t bound_ns);
void check_liveness(struct world *w);
void check_failed_stops(struct world *w);

/* Which host's core is stepping: for an assertion in it. */
void check_stepping(struct world *w, struct host *h);
/* An assertion of that core ended the step (caught.h). */
void check_asserted(void);
/* Calls @step; an assertion of the core comes back here. */
void check_guarded(void (*step)(struct world *, struct host *, struct lease_event *), struct world *w,
                   struct host *h, struct lease_event *e);
_Noreturn void sim_bug(const char *what);

/* The checkers' own test: each is shown to fire. 0, or how many did not. */
unsigned selftest(void);
