/* The way to what was found: each step in words, what the core was told and what it answered, and a scenario.
 */
#include <stdio.h>

#include "retell.h"
#include "trace/trace.h"
#include "world.h"

#define CALM_MOVES 60 /* shown of a life in which nobody leads */

bool telling;

static const char *const moves[MOVE_FAULT] = {
    [MOVE_NEWS] = "hears of its guardian",
    [MOVE_GUARD] = "the guardian looks",
    [MOVE_GUARD_KILL] = "the guardian has killed",
    [MOVE_GUARD_UP] = "starts another guardian",
    [MOVE_SAVED] = "the state file is written",
    [MOVE_HOOK] = "the hook ends",
    [MOVE_LAUNCH] = "a promote hook goes on without its sidecar",
    [MOVE_BEGIN] = "the controller acts, its promote hook still hangs",
    [MOVE_EXECUTE] = "the database executes its statement",
    [MOVE_DELIVER] = "the answer comes",
    [MOVE_WAKE] = "wakes",
    [MOVE_HEAL] = "the database answers again",
    [MOVE_THAW] = "the sidecar goes on",
    [MOVE_START] = "the sidecar starts",
    [MOVE_LATE_COMMIT] = "a write that was given up commits",
    [MOVE_TICK] = "----",
};

static const char *const faults[FAULTS] = {
    [FAULT_SILENCE] = "FAULT: the database falls silent, its write",
    [FAULT_UNKNOWN] = "FAULT: the write's answer is lost",
    [FAULT_REFUSED] = "FAULT: the statement is refused",
    [FAULT_LAG] = "FAULT: a node that lags executes its statement",
    [FAULT_LOSS] = "FAULT: all servers restart, the last write is lost",
    [FAULT_KILL] = "FAULT: the sidecar is killed",
    [FAULT_BOTH] = "FAULT: sidecar and guardian are killed",
    [FAULT_GUARDIAN] = "FAULT: the guardian is killed",
    [FAULT_PAUSE] = "FAULT: the sidecar stands still",
    [FAULT_REBOOT] = "FAULT: the host loses its power",
    [FAULT_DISK_LOST] = "FAULT: the host loses its power and its disk",
    [FAULT_DISK] = "FAULT: the state file can't be written",
    [FAULT_PROMOTE] = "FAULT: the promote hook",
    [FAULT_DEMOTE] = "FAULT: the demote hook",
    [FAULT_CHECK] = "FAULT: the check hook",
    [FAULT_DIES] = "FAULT: the controller dies",
    [FAULT_ROGUE] = "FAULT: somebody else starts a controller",
    [FAULT_STEP_DOWN] = "an operator asks for a step-down",
    [FAULT_SWITCHOVER] = "an operator asks for a switchover to the next",
    [FAULT_STOP] = "SIGTERM",
};

/* What the variants of a fault are. */
static const char *variant_name(struct action a)
{
    static const char *const of_unknown[] = {": it was applied", ": it was not applied",
                                             ": it may be applied later"};
    static const char *const of_silence[] = {" was applied", " was not applied", " may be applied later",
                                             " was applied, and its answer takes its time"};
    static const char *const of_promote[] = {" is launched late", " hangs", " fails, its controller runs",
                                             " fails"};
    static const char *const of_demote[] = {" hangs", " fails", " claims to have stopped it"};
    static const char *const of_check[] = {" hangs", " fails"};

    switch ((unsigned)a.move) {
    case MOVE_FAULT + FAULT_UNKNOWN: return of_unknown[a.variant % 3];
    case MOVE_FAULT + FAULT_SILENCE: return of_silence[a.variant % 4];
    case MOVE_FAULT + FAULT_PROMOTE: return of_promote[a.variant % 4];
    case MOVE_FAULT + FAULT_DEMOTE: return of_demote[a.variant % 3];
    case MOVE_FAULT + FAULT_CHECK: return of_check[a.variant % 2];
    default: return "";
    }
}

static void tell_action(const struct world *w, struct action a)
{
    bool at_host = a.move != MOVE_TICK && a.move != MOVE_LATE_COMMIT && a.move != MOVE_FAULT + FAULT_LOSS;

    printf("%3" PRIu64 "  %-3s %s%s\n", w->ticks, at_host ? host_name(a.host) : "",
           a.move < MOVE_FAULT ? moves[a.move] : faults[a.move - MOVE_FAULT], variant_name(a));
}

void tell_event(const struct world *w, unsigned i, const struct lease_event *e)
{
    char text[TRACE_LINE_MAX];

    retell_note(i, &w->leases[i].config, e);
    if (trace_event_print(e, text, sizeof text) > 0)
        printf("         < %s\n", text);
}

void tell_command(const struct lease_command *c)
{
    char text[TRACE_LINE_MAX];

    if (trace_command_print(c, text, sizeof text) > 0)
        printf("         > %s\n", text);
}

/* As L1 does: the first thing that can happen. */
static bool calm_move(struct world *w)
{
    for (unsigned move = 0; move < MOVE_FAULT; move++)
        for (unsigned host = 0; host < design->hosts; host++) {
            struct action a = {.move = (uint8_t)move, .host = (uint8_t)host};
            static struct world before;

            world_copy(&before, w);
            telling = false;
            bool can = world_act(w, a);

            telling = true;
            if (!can)
                continue;
            world_copy(w, &before);
            tell_action(w, a);
            world_act(w, a);
            return true;
        }
    return false;
}

void tell(const struct action *way, size_t count, const char *program)
{
    static struct world w;
    struct verdict found = verdict;

    printf("FAIL %s, world %s: %s\n  the shortest way there, %zu steps; first the tick:\n",
           rule_name(found.rule), design->name, found.text, count);
    telling = true;
    retell_forget();
    memset(&verdict, 0, sizeof verdict);
    world_init(&w);
    for (size_t i = 0; i < count; i++) {
        tell_action(&w, way[i]);
        if (!world_act(&w, way[i]))
            printf("(this can't happen: the model is not deterministic)\n");
    }
    if (found.rule == RULE_L1) {
        printf("  and so on, without another fault:\n");
        for (unsigned i = 0; i < CALM_MOVES && calm_move(&w); i++)
            ;
    }
    telling = false;
    printf("  as a scenario of %s (its outcome: scenario --rewrite FILE):\n", host_name(found.host));
    printf("# World %s, %s: %s\n", design->name, rule_name(found.rule), found.text);
    retell_print(found.host);
    printf("  Again: %s --world %s\n", program, design->name);
    verdict = found;
}
