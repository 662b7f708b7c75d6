/*
 * sim: the core, its guardian's page and a Galera cluster in simulated time.
 *
 *     sim [--seeds N] [--first S] [--profile P] [--verbose] [--edges] [--taken OUTPUT]
 *     sim --controls | --self-test | --profiles
 *
 * Exit codes: 0 nothing found, 1 a rule was broken, 2 usage.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

#include "caught.h"
#include "check.h"
#include "profile.h"
#include "retell.h"
#include "world.h"

#define TRACE_LINES   60
#define CONTROL_SEEDS 200

struct tally tally;
static struct world world;
static bool tell_all;

/* One world from beginning to end. */
static void run_seed(uint64_t seed, const struct profile *profile, bool tracing, struct check *ret_check)
{
    struct options options;

    options_of_seed(seed, profile, &options);
    check_init(ret_check, profile);
    world_init(&world, &options, tracing || tell_all);
    world.telling = tell_all && !tracing;
    world.retelling = tracing;
    world.check = ret_check;
    if (setjmp(caught_escape) == 0)
        world_run(&world);
    else
        check_asserted();
    tally.seeds++;
    world_deinit(&world);
}

static void print_failure(const char *program, uint64_t seed, const struct profile *profile,
                          const struct check *found)
{
    struct check again;
    struct tally kept = tally;
    struct options options;

    options_of_seed(seed, profile, &options);
    retell_forget();
    run_seed(seed, profile, true, &again);
    tally = kept;
    printf("FAIL %s: %s\n  ", rule_name(found->rule), found->text);
    options_print(&options);
    printf("  what happened last, in true time (s):\n");
    trace_print(TRACE_LINES);
    printf("  as a scenario of %s (its outcome: scenario --rewrite FILE):\n",
           host_name((unsigned)again.host));
    printf("# Seed %" PRIu64 ", %s: %s\n", seed, rule_name(found->rule), found->text);
    retell_print((unsigned)again.host);
    printf("  seed %" PRIu64 ", checker %s. Again: %s --seeds 1 --first %" PRIu64 " --profile %s --verbose\n",
           seed, rule_name(found->rule), program, seed, profile->name);
    if (!again.failed)
        printf("  (it did not fail when run again: the simulator is not deterministic)\n");
}

static double cpu_seconds(void)
{
    struct rusage u;

    getrusage(RUSAGE_SELF, &u);
    return (double)u.ru_utime.tv_sec + (double)u.ru_stime.tv_sec +
           ((double)u.ru_utime.tv_usec + (double)u.ru_stime.tv_usec) / 1e6;
}

static unsigned print_edges(void)
{
    unsigned missing = 0;

    printf("role edges taken:\n");
    for (unsigned from = 0; from < LEASE_ROLES; from++)
        for (unsigned to = 0; to < LEASE_ROLES; to++) {
            if (!lease_edge_legal((enum lease_role)from, (enum lease_role)to))
                continue;
            printf("  %-10s -> %-10s %10" PRIu64 "%s\n", lease_role_name((enum lease_role)from),
                   lease_role_name((enum lease_role)to), tally.taken.edges[from][to],
                   tally.taken.edges[from][to] ? "" : "   never taken");
            missing += tally.taken.edges[from][to] == 0;
        }
    return missing;
}

static unsigned print_tally(double cpu)
{
    printf("faults:\n");
    for (unsigned i = 0; i < FAULTS; i++)
        if (tally.faults[i])
            printf("  %-36s %10" PRIu64 "\n", fault_name((enum fault)i), tally.faults[i]);
    unsigned missing = print_edges();

    printf("reasons of role changes:");
    for (unsigned i = 0; i < LEASE_REASONS; i++)
        if (tally.taken.reasons[i])
            printf(" %s=%" PRIu64, lease_reason_name((enum lease_reason)i), tally.taken.reasons[i]);
    printf("\nanswers:");
    for (unsigned i = 0; i <= LEASE_ANSWER_UNKNOWN; i++)
        printf(" %s=%" PRIu64, lease_answer_name((enum lease_answer)i), tally.answers[i]);
    printf(" non-primary=%" PRIu64 " committed-after-giving-up=%" PRIu64 " commits-lost=%" PRIu64 "\n",
           tally.non_primary, tally.late_commits, tally.lost_commits);
    printf("controllers started=%" PRIu64 " takeovers=%" PRIu64 " guarded commits=%" PRIu64
           " guarded refused=%" PRIu64 " longest until led after healing=%.1f s\n",
           tally.starts, tally.takeovers, tally.guarded, tally.refused_guarded,
           (double)tally.heal_ns_max / 1e9);
    printf("%" PRIu64 " seeds, %.0f simulated s, %" PRIu64 " events, %" PRIu64
           " steps of the core, %.2f s of one core: "
           "%.0f simulated s per s\n",
           tally.seeds, (double)tally.simulated_ns / 1e9, tally.events, tally.steps, cpu,
           (double)tally.simulated_ns / 1e9 / cpu);
    return missing;
}

/* What is not promised must break, and what is must hold all the same. */
static int run_controls(const char *program)
{
    int status = 0;

    for (unsigned i = profile_controls; i < profile_count; i++) {
        const struct profile *p = &profiles[i];
        uint32_t broken = 0;
        uint64_t seed = 1;
        struct check c = {0};

        for (; seed <= CONTROL_SEEDS && !c.failed; seed++) {
            run_seed(seed, p, false, &c);
            broken |= c.fired;
        }
        bool well = !c.failed && (broken & p->must_break) == p->must_break;

        printf("%s %s: %s:", well ? "ok  " : "FAIL", p->name, p->aims);
        for (unsigned r = 0; r < RULES; r++)
            if (broken & 1u << r)
                printf(" %s", rule_name((enum rule)r));
        printf(broken ? " broken in %u seeds\n" : " nothing broken in %u seeds\n", (unsigned)(seed - 1));
        if (c.failed)
            print_failure(program, seed - 1, p, &c);
        if (!well)
            status = 1;
    }
    return status;
}

static int run_seeds(const char *program, uint64_t first, uint64_t seeds, const struct profile *only,
                     bool verbose, bool edges)
{
    double began = cpu_seconds();
    struct check c;

    for (uint64_t seed = first; seed < first + seeds; seed++) {
        const struct profile *p = only ? only : profile_of_seed(seed);
        struct options options;

        if (verbose || seeds == 1) {
            options_of_seed(seed, p, &options);
            options_print(&options);
        }
        run_seed(seed, p, false, &c);
        if (c.failed) {
            print_failure(program, seed, p, &c);
            return 1;
        }
    }
    unsigned missing = print_tally(cpu_seconds() - began);

    if (edges && missing > 0) {
        printf("FAIL edges: %u legal role changes were never taken\n", missing);
        return 1;
    }
    return 0;
}

static int usage(void)
{
    fprintf(stderr,
            "usage: sim [--seeds N] [--first S] [--profile P] [--verbose] [--edges] [--taken OUTPUT]\n"
            "       sim --controls | --self-test | --profiles\n");
    return 2;
}

static int print_profiles(void)
{
    for (unsigned i = 0; i < profile_count; i++)
        printf("%-20s %s\n", profiles[i].name, profiles[i].aims);
    return 0;
}

static bool number(const char *text, uint64_t *ret)
{
    char *end;

    if (!text || *text < '0' || *text > '9')
        return false;
    *ret = strtoull(text, &end, 10);
    return *end == '\0';
}

int main(int argc, char *argv[])
{
    uint64_t seeds = 100, first = 1;
    const struct profile *only = NULL;
    const char *taken = NULL;
    bool verbose = false, edges = false;

    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : NULL;

        if (strcmp(argv[i], "--verbose") == 0) {
            verbose = tell_all = true;
        } else if (strcmp(argv[i], "--edges") == 0) {
            edges = true;
        } else if (strcmp(argv[i], "--taken") == 0 && value) {
            taken = value;
            i++;
        } else if (strcmp(argv[i], "--controls") == 0) {
            return run_controls(argv[0]);
        } else if (strcmp(argv[i], "--profiles") == 0) {
            return print_profiles();
        } else if (strcmp(argv[i], "--self-test") == 0) {
            return selftest() == 0 ? 0 : 1;
        } else if (strcmp(argv[i], "--seeds") == 0 && number(value, &seeds)) {
            i++;
        } else if (strcmp(argv[i], "--first") == 0 && number(value, &first)) {
            i++;
        } else if (strcmp(argv[i], "--profile") == 0 && value && (only = profile_find(value))) {
            i++;
        } else {
            return usage();
        }
    }
    int status = run_seeds(argv[0], first, seeds, only, verbose, edges);

    if (taken)
        taken_write(&tally.taken, taken);
    return status;
}
