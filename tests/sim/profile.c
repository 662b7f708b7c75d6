#include "profile.h"

#include <stdio.h>

#include "check.h"

#define PROCESS_FAULTS                                                                                       \
    [FAULT_SIDECAR_KILL] = 3, [FAULT_SIDECAR_PAUSE] = 3, [FAULT_BOTH_PAUSE] = 2, [FAULT_HOST_FREEZE] = 2,    \
    [FAULT_HOST_SUSPEND] = 2, [FAULT_HOST_CRASH] = 2, [FAULT_DISK_LOST] = 1, [FAULT_GUARDIAN_KILL] = 3,      \
    [FAULT_BOTH_RESTART] = 2, [FAULT_CONTROLLER_DIES] = 3, [FAULT_ROGUE] = 1, [FAULT_HOOKS] = 4,             \
    [FAULT_DISK] = 2, [FAULT_STOP] = 2
#define CLOCK_FAULTS   [FAULT_CLOCK] = 3, [FAULT_WALL_CLOCK] = 1
#define NETWORK_FAULTS [FAULT_LINK] = 3, [FAULT_CUT_OFF] = 3, [FAULT_ANSWERS] = 3, [FAULT_REFUSALS] = 2
#define NODE_FAULTS                                                                                          \
    [FAULT_NODE_KILL] = 3, [FAULT_NODE_STOP] = 2, [FAULT_NODE_FREEZE] = 2, [FAULT_PARTITION] = 3,            \
    [FAULT_STALL] = 2, [FAULT_LAG] = 3
#define LOSS_FAULTS   [FAULT_CLUSTER_CRASH] = 2, [FAULT_STALE_BOOTSTRAP] = 1
#define EDIT_FAULTS   [FAULT_EDIT_TTL] = 1, [FAULT_EDIT_EPOCH] = 1, [FAULT_ROW_DELETED] = 1
#define PEOPLE_FAULTS [FAULT_STEP_DOWN] = 2, [FAULT_SWITCHOVER] = 2, [FAULT_HOLD] = 1, [FAULT_UNHOLD] = 1

const struct profile profiles[] = {
    {.name = "all",
     .aims = "everything at once",
     .weight = {PROCESS_FAULTS, CLOCK_FAULTS, NETWORK_FAULTS, NODE_FAULTS, LOSS_FAULTS, EDIT_FAULTS,
                PEOPLE_FAULTS}},
    {.name = "drift",
     .aims = "R1, R4: clocks at the bound, stops that take all of K, answers lost",
     .weight = {[FAULT_CLOCK] = 3,
                [FAULT_SIDECAR_PAUSE] = 4,
                [FAULT_CUT_OFF] = 6,
                [FAULT_HOOKS] = 6,
                [FAULT_ANSWERS] = 4,
                [FAULT_HOST_SUSPEND] = 1,
                [FAULT_LINK] = 2},
     .drift_ppm_low = 9000},
    {.name = "process",
     .aims = "R5, R6, R7, R9: sidecar, guardian, hooks and controllers die or hang",
     .weight = {PROCESS_FAULTS, [FAULT_CUT_OFF] = 2, [FAULT_ANSWERS] = 1}},
    {.name = "unknown",
     .aims = "R2, R3: outcomes that nobody knows, statements that land late",
     .weight = {[FAULT_ANSWERS] = 6,
                [FAULT_LINK] = 5,
                [FAULT_NODE_FREEZE] = 4,
                [FAULT_PARTITION] = 3,
                [FAULT_STALL] = 4,
                [FAULT_LAG] = 3,
                [FAULT_REFUSALS] = 2,
                [FAULT_SIDECAR_KILL] = 2,
                [FAULT_STEP_DOWN] = 2}},
    {.name = "loss",
     .aims = "R4, R8: acknowledged commits are lost",
     .weight = {[FAULT_CLUSTER_CRASH] = 6,
                [FAULT_STALE_BOOTSTRAP] = 3,
                [FAULT_SIDECAR_PAUSE] = 3,
                [FAULT_CUT_OFF] = 3,
                [FAULT_STEP_DOWN] = 3,
                [FAULT_HOST_CRASH] = 2,
                [FAULT_SIDECAR_KILL] = 2,
                [FAULT_LAG] = 2,
                [FAULT_HOOKS] = 2}},
    {.name = "edits",
     .aims = "R2, R4, R8: hands on the row",
     .weight = {[FAULT_EDIT_TTL] = 4,
                [FAULT_EDIT_EPOCH] = 4,
                [FAULT_ROW_DELETED] = 4,
                [FAULT_CUT_OFF] = 2,
                [FAULT_SIDECAR_KILL] = 1,
                [FAULT_HOOKS] = 2,
                [FAULT_STEP_DOWN] = 1,
                [FAULT_LAG] = 1}},
    {.name = "crowd",
     .aims = "R11: many members, many elections",
     .weight = {PEOPLE_FAULTS, [FAULT_SIDECAR_KILL] = 4, [FAULT_STOP] = 4, [FAULT_CUT_OFF] = 2,
                [FAULT_CONTROLLER_DIES] = 3, [FAULT_LAG] = 2},
     .members_min = 5,
     .members_max = HOSTS_MAX},
    {.name = "fencing",
     .aims = "section 5: guarded work against takeovers under lag",
     .weight = {[FAULT_LAG] = 8,
                [FAULT_CUT_OFF] = 5,
                [FAULT_STEP_DOWN] = 3,
                [FAULT_PARTITION] = 4,
                [FAULT_SIDECAR_KILL] = 2,
                [FAULT_NODE_FREEZE] = 2}},
    {.name = "hold",
     .aims = "R12: longer leases, in the middle of faults",
     .weight = {[FAULT_HOLD] = 6,
                [FAULT_UNHOLD] = 4,
                [FAULT_STEP_DOWN] = 2,
                [FAULT_SIDECAR_KILL] = 2,
                [FAULT_STOP] = 2,
                [FAULT_CUT_OFF] = 3,
                [FAULT_HOST_CRASH] = 1,
                [FAULT_CLUSTER_CRASH] = 1,
                [FAULT_ANSWERS] = 2,
                [FAULT_SIDECAR_PAUSE] = 2}},
    {.name = "calm",
     .aims = "L2: one node at a time fails, stalls within bounds: nobody stops leading",
     .weight = {[FAULT_NODE_KILL] = 4,
                [FAULT_NODE_STOP] = 3,
                [FAULT_NODE_FREEZE] = 3,
                [FAULT_STALL] = 3,
                CLOCK_FAULTS,
                [FAULT_SWITCHOVER] = 1},
     .reigns_last = true},
    /* asked for by name */
    {.name = "namesakes",
     .aims = "R10: two members with one name",
     .weight = {PROCESS_FAULTS, NETWORK_FAULTS},
     .members_min = 3,
     .members_max = 5,
     .namesakes = true},
    {.name = "edge",
     .aims =
         "R1, R3, R4, two clocks: every bound used up at once; clocks, K, M, answers that are late or lost",
     .weight = {[FAULT_CLOCK] = 4,
                [FAULT_CUT_OFF] = 8,
                [FAULT_ANSWERS] = 8,
                [FAULT_LATE_ANSWERS] = 8,
                [FAULT_HOLD] = 6,
                [FAULT_UNHOLD] = 6},
     .drift_ppm_low = 10000,
     .members_min = 2,
     .members_max = 3,
     .edge = true},
    /* controls: what is not promised must be seen to break */
    {.name = "control-drift",
     .aims = "clocks far beyond epsilon",
     .weight = {[FAULT_CLOCK] = 3, [FAULT_CUT_OFF] = 6, [FAULT_HOOKS] = 6, [FAULT_SIDECAR_PAUSE] = 4},
     .drift_ppm_low = 150000,
     .drift_ppm_high = 250000,
     .not_promised = RULE(S1) | RULE(L1),
     .must_break = RULE(S1),
     .members_min = 2},
    {.name = "control-both-killed",
     .aims = "sidecar and guardian killed, no watchdog",
     .weight = {[FAULT_BOTH_KILL] = 3, [FAULT_STEP_DOWN] = 1},
     .not_promised = RULE(S1) | RULE(S2) | RULE(L1),
     .must_break = RULE(S1),
     .members_min = 2},
    {.name = "control-unkillable",
     .aims = "a controller that can't be killed",
     .weight = {[FAULT_CONTROLLER_STUCK] = 3, [FAULT_CUT_OFF] = 3, [FAULT_SIDECAR_KILL] = 3},
     .not_promised = RULE(S1) | RULE(L1),
     .must_break = RULE(S1),
     .members_min = 2},
    {.name = "control-hypervisor",
     .aims = "a hypervisor stops a guest and all its clocks",
     .weight = {[FAULT_HOST_HYPERVISOR] = 3, [FAULT_STEP_DOWN] = 1},
     .not_promised = RULE(S1) | RULE(S2) | RULE(L1),
     .must_break = RULE(S1),
     .members_min = 2},
    {.name = "control-secret-loss",
     .aims = "acknowledged commits are lost, and no server says that it was restarted",
     .weight =
         {[FAULT_SECRET_LOSS] = 4, [FAULT_STEP_DOWN] = 6, [FAULT_CUT_OFF] = 3, [FAULT_SIDECAR_PAUSE] = 2},
     .not_promised = RULE(S1) | RULE(S2) | RULE(S5) | RULE(L1),
     .must_break = RULE(S1),
     .members_min = 2},
};
const unsigned profile_count = sizeof profiles / sizeof profiles[0];
const unsigned profile_swarm = 10;
const unsigned profile_controls = 12; /* the first of them */

const struct profile *profile_find(const char *name)
{
    for (unsigned i = 0; i < profile_count; i++)
        if (strcmp(profiles[i].name, name) == 0)
            return &profiles[i];
    return NULL;
}

const struct profile *profile_of_seed(uint64_t seed)
{
    return &profiles[seed % profile_swarm];
}

/* Its own stream of numbers: an option more must not change what happens to the others. */
static uint64_t draw(uint64_t *state, uint64_t low, uint64_t high)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    z ^= z >> 31;
    return high <= low ? low : low + z % (high - low + 1);
}

/* As little slack as a validator lets pass, so that what is taken away elsewhere is seen. */
static void tighten(uint64_t seed, struct options *o)
{
    lease_timing_defaults(30 * S, &o->timing);
    o->timing.margin_ns = o->timing.kill_budget_ns = o->timing.ttl_ns / 50;
    o->timing.check_budget_ns = 60 * MS;
    o->timing.poll_ns = 50 * MS;
    for (unsigned i = 0; i < o->members; i++)
        o->priority[i] = 100;
    o->restarts = 0;
    o->slew_ppm = seed % 2 ? 80000 : 0;
    o->network_ns = 500 * US;
    o->hook_ns = 20 * MS;
}

void options_of_seed(uint64_t seed, const struct profile *p, struct options *o)
{
    static const uint64_t ttls_s[] = {4, 6, 6, 10, 20, 20, 30};
    uint64_t r = seed * UINT64_C(0xd1342543de82ef95) + 1;
    uint64_t ttl = ttls_s[draw(&r, 0, 6)] * S;

    memset(o, 0, sizeof *o);
    o->seed = seed;
    o->profile = p;
    o->members = (unsigned)draw(&r, p->members_min ? p->members_min : 1, p->members_max ? p->members_max : 5);
    o->nodes = (unsigned)draw(&r, 1, 10) <= 8 ? 3 : (unsigned)draw(&r, 1, NODES_MAX);
    lease_timing_defaults(ttl, &o->timing);
    for (unsigned i = 0; i < HOSTS_MAX; i++)
        o->priority[i] =
            draw(&r, 0, 9) == 0 ? 0 : (uint32_t)(draw(&r, 0, 2) == 0 ? draw(&r, 1, 3) * 50 : 100);
    o->priority[draw(&r, 0, o->members - 1)] = 100;
    for (unsigned i = 0; p->namesakes && i < HOSTS_MAX; i++)
        o->priority[i] = 100; /* so that one of each name can lead */
    o->restarts = (uint32_t)draw(&r, 0, 3);
    o->check_failures = (uint32_t)draw(&r, 1, 3);
    o->restart_window_ns = draw(&r, 10, 120) * S;
    o->drift_ppm = (uint32_t)draw(&r, p->drift_ppm_low, p->drift_ppm_high ? p->drift_ppm_high : 10000);
    o->slew_ppm = (uint32_t)(draw(&r, 0, 2) == 0 ? draw(&r, 0, 80000) : draw(&r, 0, 500));
    o->contained = draw(&r, 0, 3) != 0;
    o->namesakes = p->namesakes;
    /* At the defaults a lost member stalls the others for 6.0 to 6.4 s; tuned, 1.1 to 2.2 s. */
    bool tuned = ttl < 20 * S;

    o->stall_min_ns = tuned ? 1100 * MS : 6000 * MS;
    o->stall_max_ns = tuned ? 2200 * MS : 6400 * MS;
    if (p->reigns_last) {
        o->nodes = o->nodes < 3 ? 3 : o->nodes;
        o->slew_ppm = (uint32_t)draw(&r, 0, 500);
        o->stall_max_ns = o->stall_max_ns < ttl / 3 ? o->stall_max_ns : ttl / 3;
        o->stall_min_ns = o->stall_min_ns < o->stall_max_ns ? o->stall_min_ns : o->stall_max_ns;
    }
    o->network_ns = draw(&r, 100 * US, 3 * MS);
    o->hook_ns = draw(&r, 20 * MS, ttl / 10);
    if (p->edge)
        tighten(seed, o);
    o->chaos_ns = draw(&r, 600, 900) * S;
    o->fault_gap_ns = o->chaos_ns / draw(&r, 15, 60);
}

void options_print(const struct options *o)
{
    printf(
        "seed=%" PRIu64
        " profile=%s members=%u nodes=%u ttl=%gs restarts=%u check_failures=%u restart_window=%gs "
        "drift_ppm=%u slew_ppm=%u contained=%d stall=%g..%gs network=%gms hooks=%gms chaos=%gs fault_gap=%gs "
        "priorities=",
        o->seed, o->profile->name, o->members, o->nodes, (double)o->timing.ttl_ns / 1e9, o->restarts,
        o->check_failures, (double)o->restart_window_ns / 1e9, o->drift_ppm, o->slew_ppm, o->contained,
        (double)o->stall_min_ns / 1e9, (double)o->stall_max_ns / 1e9, (double)o->network_ns / 1e6,
        (double)o->hook_ns / 1e6, (double)o->chaos_ns / 1e9, (double)o->fault_gap_ns / 1e9);
    for (unsigned i = 0; i < o->members; i++)
        printf("%s%u", i ? "," : "", o->priority[i]);
    printf("\n");
}
