#pragma once
/* Profiles: what kind of world a seed makes, and which faults it aims at. */
#include "world.h"

struct profile {
    const char *name;
    const char *aims; /* at what, in a few words */
    uint8_t weight[FAULTS];
    uint32_t not_promised; /* rules that cannot hold here */
    uint32_t must_break;   /* a control: these must be seen to break over its seeds */
    bool reigns_last;      /* L2 is promised */
    uint32_t drift_ppm_low, drift_ppm_high;
    unsigned members_min, members_max;
    bool namesakes;
    bool edge; /* every bound that is promised is used up, all at the same time */
};

/* Those that a swarm draws from come first, then those that are asked for by name, then the controls. */
extern const struct profile profiles[];
extern const unsigned profile_count, profile_swarm, profile_controls;

const struct profile *profile_find(const char *name);
const struct profile *profile_of_seed(uint64_t seed);
void options_of_seed(uint64_t seed, const struct profile *profile, struct options *ret);
void options_print(const struct options *o);
