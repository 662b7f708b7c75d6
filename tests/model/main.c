/*
 * model: every interleaving of small worlds, with the core and the guardian's page as the daemon has them.
 *
 *     model [--world NAME]… [--short] [--states FILE] [--memory MIB] [--verbose]
 *     model --list [--short] | --self-test
 *
 * FILE has the least number of states that each world must have had: fewer, and the bounds have shrunk.
 * Exit codes: 0 nothing found, 1 a rule was broken, or a world was not exhausted, 2 usage, 3 no memory.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "search.h"

#define MEMORY_MIB 2048

const struct design *design;

static double seconds(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* 0: the file does not name it. */
static uint64_t least_of(const char *path, const char *name)
{
    char line[256], world[64];
    uint64_t least = 0, states;
    FILE *f = fopen(path, "re");

    if (!f) {
        perror(path);
        exit(2);
    }
    while (fgets(line, sizeof line, f))
        if (sscanf(line, "%63s %" SCNu64, world, &states) == 2 && strcmp(world, name) == 0)
            least = states;
    fclose(f);
    return least;
}

static int run(const char *program, const struct design *d, const char *states, uint64_t memory, bool verbose)
{
    static struct world first;
    struct search_result r;
    double began = seconds();

    design = d;
    world_init(&first);
    search(&first, memory, verbose, &r);
    if (verdict.failed) {
        tell(r.way, r.way_count, program);
        free(r.way);
        return 1;
    }
    printf("%s %-12s %10" PRIu64 " states, %11" PRIu64 " steps, depth %3u, %2" PRIu64 " ticks, %4" PRIu64
           " MiB, %.1f s: %s\n",
           r.cut_short ? "FAIL" : "ok  ", d->name, r.states, r.moves, r.depth, r.ticks, r.memory >> 20,
           seconds() - began, d->aims);
    if (r.cut_short) {
        printf("  the memory was used up: nothing is proven\n");
        return 1;
    }
    uint64_t least = states ? least_of(states, d->name) : 1;

    if (least == 0 || r.states < least) {
        printf("FAIL %s: %s says at least %" PRIu64
               " states: the bounds have shrunk. If that is meant, change it "
               "there\n",
               d->name, states, least);
        return 1;
    }
    return 0;
}

static int usage(void)
{
    fprintf(stderr, "usage: model [--world NAME] [--short] [--states FILE] [--memory MIB] [--verbose]\n"
                    "       model --list [--short] | --self-test\n");
    return 2;
}

int main(int argc, char **argv)
{
    const char *only = NULL, *states = NULL;
    uint64_t memory = MEMORY_MIB;
    bool list = false, brief = false, verbose = false;
    unsigned done = 0;

    for (int i = 1; i < argc; i++) {
        bool value = i + 1 < argc;

        if (strcmp(argv[i], "--list") == 0)
            list = true;
        else if (strcmp(argv[i], "--short") == 0)
            brief = true;
        else if (strcmp(argv[i], "--self-test") == 0)
            return selftest() == 0 ? 0 : 1;
        else if (strcmp(argv[i], "--verbose") == 0)
            verbose = true;
        else if (strcmp(argv[i], "--world") == 0 && value)
            only = argv[++i];
        else if (strcmp(argv[i], "--states") == 0 && value)
            states = argv[++i];
        else if (strcmp(argv[i], "--memory") == 0 && value)
            memory = strtoull(argv[++i], NULL, 10);
        else
            return usage();
    }
    for (unsigned i = 0; i < design_count; i++) {
        const struct design *d = &designs[i];

        if ((only && strcmp(only, d->name) != 0) || (brief && d->deep))
            continue;
        done++;
        if (list)
            puts(d->name);
        else
            return run(argv[0], d, states, memory << 20, verbose);
    }
    if (done == 0)
        fprintf(stderr, "model: there is no such world\n");
    return done == 0 ? 2 : 0;
}
