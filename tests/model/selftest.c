/*
 * The checkers' own test: each is given the smallest world in which its rule is broken, and must fire; and
 * one in which the rule is kept, and must not. L1 and STUCK are the search's, so there it searches.
 */
#include <stdio.h>
#include <stdlib.h>

#include "search.h"

#define MEMORY_BYTES (UINT64_C(64) << 20)

static void acts(struct world *w, unsigned host, uint64_t epoch)
{
    w->hosts[host].controller = (struct controller){.alive = true, .ours = true, .epoch = epoch};
    check_start(w, host);
}

static void s1(struct world *w, bool broken)
{
    acts(w, 0, 1);
    w->hosts[0].controller.alive = broken;
    acts(w, 1, 2);
}

static void s2(struct world *w, bool broken)
{
    acts(w, 0, 5);
    w->hosts[0].controller.alive = false;
    acts(w, 1, broken ? 5 : 6);
}

static void s4(struct world *w, bool broken)
{
    struct lease_command c = {.type = LEASE_COMMAND_WRITE, .write = {.kind = LEASE_WRITE_RELEASE}};

    acts(w, 0, 1);
    w->hosts[0].controller.alive = broken;
    check_command(w, 0, &c);
}

static void s4_starting(struct world *w, bool broken)
{
    struct lease_command c = {.type = LEASE_COMMAND_WRITE, .write = {.kind = LEASE_WRITE_RELEASE}};

    w->hosts[0].promote = (struct promote){.state = broken ? PROMOTE_RUNNING : PROMOTE_NONE, .epoch = 1};
    check_command(w, 0, &c);
}

static void promotes(struct world *w, uint64_t epoch, uint64_t shown)
{
    struct lease_command c = {.type = LEASE_COMMAND_HOOK,
                              .hook = {.hook = LEASE_HOOK_PROMOTE, .epoch = epoch}};

    w->hosts[0].shown_epoch = shown;
    check_command(w, 0, &c);
}

static void s5(struct world *w, bool broken)
{
    promotes(w, 1, 1);
    promotes(w, broken ? 1 : 2, broken ? 1 : 2);
}

static void s5_demote(struct world *w, bool broken)
{
    struct lease_command c = {.type = LEASE_COMMAND_HOOK, .hook = {.hook = LEASE_HOOK_DEMOTE, .epoch = 1}};

    w->leases[0].role = LEASE_DEMOTING;
    w->leases[0].reason = LEASE_REASON_DEADLINE;
    check_command(w, 0, &c);
    if (!broken)
        promotes(w, 2, 2); /* another reign */
    check_command(w, 0, &c);
}

static void r3(struct world *w, bool broken)
{
    struct lease_command c = {.type = LEASE_COMMAND_WRITE, .write = {.kind = LEASE_WRITE_ACQUIRE}};

    w->late[0] = (struct late_write){.used = true, .kind = LEASE_WRITE_ACQUIRE, .expected = w->head.version};
    w->late[0].wanted.version.nonce.bytes[0] = 1;
    c.write.wanted.version.nonce.bytes[0] = broken ? 2 : 1;
    check_command(w, 0, &c);
}

static void r9(struct world *w, bool broken)
{
    promotes(w, 2, broken ? 1 : 2);
}

/* The real core is made to lie about its role: its own invariant must end the step. */
static void core(struct world *w, bool broken)
{
    if (broken) {
        w->leases[0].role = LEASE_LEADER;
        w->leases[0].deadline_ns = w->hosts[0].fast_ns + 1000 * TICK_NS;
        w->leases[0].started = true;
    }
    world_act(w, (struct action){.move = MOVE_EXECUTE});
}

static void look_at_all(const struct world *w)
{
    struct search_result r;

    search(w, MEMORY_BYTES, false, &r);
    free(r.way);
}

/* A guardian without a sidecar that does not know so keeps the next one out for ever. */
static void keep_out(struct world *w)
{
    struct host *h = &w->hosts[0];

    member_gone(w, 0);
    page_words_clear(w, 0);
    h->guardian = (struct guardian){.alive = true};
}

static void l1(struct world *w, bool broken)
{
    if (broken)
        keep_out(w);
    look_at_all(w);
}

static void stuck(struct world *w, bool broken)
{
    if (broken) {
        keep_out(w);
        w->hosts[0].hurry = true; /* and time waits for it */
    }
    look_at_all(w);
}

unsigned selftest(void)
{
    static const struct design both = {
        .name = "both", .hosts = 2, .fast = {1000, 1000}, .slow = {1000, 1000}};
    static const struct design alone = {.name = "alone", .hosts = 1, .fast = {1000}, .slow = {1000}};
    static const struct {
        enum rule rule;
        const char *what;
        void (*test)(struct world *, bool);
        const struct design *in;
    } tests[] = {
        {RULE_S1, "two act at once", s1, &both},
        {RULE_S2, "an epoch is started twice", s2, &both},
        {RULE_S4, "a release before the stop", s4, &both},
        {RULE_S4, "a release while a start is under way", s4_starting, &both},
        {RULE_S5, "promote twice", s5, &both},
        {RULE_S5, "demote twice", s5_demote, &both},
        {RULE_R3, "a second nonce", r3, &both},
        {RULE_R9, "an epoch that was not shown", r9, &both},
        {RULE_L1, "nobody ever leads", l1, &alone},
        {RULE_STUCK, "nothing can happen", stuck, &alone},
        {RULE_CORE, "an assertion", core, &both},
    };
    static struct world w;
    unsigned wrong = 0, tested = 0;

    for (size_t i = 0; i < sizeof tests / sizeof tests[0]; i++) {
        bool failed[2];

        for (unsigned broken = 0; broken < 2; broken++) {
            memset(&verdict, 0, sizeof verdict);
            design = tests[i].in;
            world_init(&w);
            tests[i].test(&w, broken);
            failed[broken] = verdict.failed && (!broken || verdict.rule == tests[i].rule);
        }
        bool good = failed[1] && !failed[0];

        printf("%s %-5s %s: %s\n", good ? "ok  " : "FAIL", rule_name(tests[i].rule), tests[i].what,
               !failed[1]  ? "does not fire where its rule is broken"
               : failed[0] ? "fires where its rule is kept"
                           : "fires, and only where its rule is broken");
        wrong += !good;
        tested |= 1u << tests[i].rule;
    }
    if (tested != (1u << RULES) - 1) {
        printf("FAIL a rule has no test here\n");
        wrong++;
    }
    return wrong;
}
