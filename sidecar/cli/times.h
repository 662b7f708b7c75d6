#pragma once
/*
 * The arithmetic of time, for people: which times follow from a configuration, and which rules it keeps.
 * Formulas are written with the names of options and of earlier rows.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/timing.h"

struct times_row {
    const char *name, *formula;
    uint64_t (*value_ns)(const struct lease_timing *t);
    const char *means;
};

struct times_rule {
    enum lease_timing_problem problem;
    const char *formula; /* holds for a good set */
};

extern const struct times_row times_rows[];
extern const size_t times_row_count;
extern const struct times_rule times_rules[];
extern const size_t times_rule_count;

/* false: a duration is so absurd that sums mean nothing. */
bool times_meaningful(const struct lease_timing *t);

/* @formula with each name replaced by its value. */
void times_with_values(const char *formula, const struct lease_timing *t, char *buf, size_t size);
