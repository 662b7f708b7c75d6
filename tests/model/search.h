#pragma once
/* Every state of the world that is looked at, and what is wrong with one of them. */
#include "world.h"

struct search_result {
    uint64_t states, moves, ticks, memory;
    unsigned depth;
    bool each_level;    /* says on stderr how far it is */
    bool cut_short;     /* the memory was used up: nothing is proven */
    struct action *way; /* to what verdict says; the caller frees it */
    size_t way_count;
};

/* From @first on. */
void search(const struct world *first, uint64_t bytes_max, bool verbose, struct search_result *ret);

/* selftest.c: is each checker seen to fire? How many are not. */
unsigned selftest(void);
