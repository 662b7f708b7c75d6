/*
 * The checkers' own test: each is given the smallest world in which its rule is broken, and must fire; and
 * one in which the rule is kept, and must not. A checker that can't fail proves nothing.
 */
#include <stdio.h>

#include "check.h"

static struct world world;
static struct check check;

static struct world *fresh(void)
{
    struct options o;

    options_of_seed(1, profile_find("calm"), &o);
    o.members = 3;
    world_deinit(&world);
    world_init(&world, &o, false);
    check_init(&check, NULL);
    world.check = &check;
    return &world;
}

static void acts(struct world *w, unsigned host, uint64_t epoch)
{
    w->hosts[host].controller.alive = true;
    w->hosts[host].controller.ours = true;
    w->hosts[host].controller.epoch = epoch;
    check_start(w, &w->hosts[host]);
}

static void s1(struct world *w, bool broken)
{
    acts(w, 0, 1);
    if (!broken)
        w->hosts[0].controller.alive = false;
    acts(w, 1, 2);
}

static void s2(struct world *w, bool broken)
{
    acts(w, 0, 5);
    w->hosts[0].controller.alive = false;
    acts(w, 1, broken ? 5 : 6);
}

static void s3(struct world *w, bool broken)
{
    struct lease_row row = {.version = {.epoch = 4, .counter = 1}};
    struct statement work = {.guarded = true, .epoch = broken ? 3 : 4};

    db_append(w, &row, true, true);
    check_guarded_commit(w, &work);
}

static void s4(struct world *w, bool broken)
{
    struct lease_command c = {.type = LEASE_COMMAND_WRITE, .write = {.kind = LEASE_WRITE_RELEASE}};

    acts(w, 0, 1);
    w->hosts[0].controller.alive = broken;
    check_write(w, &w->hosts[0], &c);
}

static void s5(struct world *w, bool broken)
{
    struct lease_command c = {.type = LEASE_COMMAND_HOOK, .hook = {.hook = LEASE_HOOK_PROMOTE, .epoch = 1}};

    check_hook(w, &w->hosts[0], &c);
    c.hook.epoch = broken ? 1 : 2;
    check_hook(w, &w->hosts[0], &c);
}

static void l1(struct world *w, bool broken)
{
    if (!broken) {
        w->hosts[0].sidecar.alive = true;
        w->hosts[0].sidecar.lease.role = LEASE_LEADER;
        acts(w, 0, 1);
    }
    check_liveness(w);
}

static void l2(struct world *w, bool broken)
{
    check_role(w, &w->hosts[0], LEASE_LEADER, LEASE_DEMOTING,
               broken ? LEASE_REASON_DEADLINE : LEASE_REASON_SWITCHOVER);
}

/* The real core is made to lie about its role; its own invariant must end the step, and the run. */
static void core(struct world *w, bool broken)
{
    struct host *h = &w->hosts[0];
    struct lease_event e = {.type = LEASE_EVENT_TICK};

    sidecar_start(w, h);
    if (broken) {
        h->sidecar.lease.role = LEASE_LEADER;
        h->sidecar.lease.deadline_ns = h->sidecar.lease.now.fast_ns + 1000 * S;
        h->sidecar.lease.started = true;
    }
    check_guarded(sidecar_feed, w, h, &e);
}

unsigned selftest(void)
{
    static void (*const tests[RULES])(struct world *, bool) = {
        [RULE_S1] = s1, [RULE_S2] = s2, [RULE_S3] = s3, [RULE_S4] = s4,
        [RULE_S5] = s5, [RULE_L1] = l1, [RULE_L2] = l2, [RULE_CORE] = core,
    };
    unsigned wrong = 0;

    for (unsigned r = 0; r < RULES; r++) {
        tests[r](fresh(), true);
        bool fires = check.failed && check.rule == (enum rule)r;

        tests[r](fresh(), false);
        bool quiet = !check.failed;

        printf("%s %s %s\n", fires && quiet ? "ok  " : "FAIL", rule_name((enum rule)r),
               !fires  ? "does not fire where its rule is broken"
               : quiet ? "fires, and only where its rule is broken"
                       : "fires where its rule is kept");
        wrong += !(fires && quiet);
    }
    world_deinit(&world);
    return wrong;
}
