#pragma once
/*
 * How long things took, counted in fixed classes from 0.1 ms to 100 s. Plain data: it may be copied. Pure.
 * Thread: no locking; it belongs to one thread at a time.
 */
#include <stdint.h>

#define HISTOGRAM_BOUNDS 19

struct histogram {
    uint64_t counts[HISTOGRAM_BOUNDS + 1]; /* at most histogram_bounds_ns[i]; the last one: more than all */
    uint64_t sum_ns;
};

extern const uint64_t histogram_bounds_ns[HISTOGRAM_BOUNDS];

void histogram_add(struct histogram *histogram, uint64_t ns);
