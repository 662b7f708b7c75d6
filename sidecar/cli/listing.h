#pragma once
/*
 * The members of a lease as people and programs see them: pure rendering of rows that were read. The rows'
 * texts were checked and sanitised when they were decoded. Borrows everything; keeps nothing.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "db/rows.h"

struct listing {
    const char *lease;
    const struct lease_row *row;
    uint64_t ttl_ms; /* as configured: the row's is longer during a hold. 0: the row's */
    const struct rows_member *members;
    size_t count;
    const struct table *hold;   /* hold_until and hold_reason; no row: none */
    const struct table *alarms; /* at, member, what, reason, epoch; up to LISTING_ALARMS + 1 of them */
};

#define LISTING_ALARMS 20 /* shown; that there are more is said */

/* l leader, f follower, - not seen lately, ? in transition. */
char listing_sign(const struct listing *listing, const struct rows_member *member);
bool listing_has_leader(const struct listing *listing);

/*
 * Does this member hold the lease, and was it seen lately, on the way to lead or leading? Not one that is
 * stopping its controller, or has: it may need help.
 */
bool listing_acts(const struct listing *listing, const struct rows_member *member);

/* Is it seen, holds the lease, and is stopping its controller? */
bool listing_stops(const struct listing *listing, const struct rows_member *member);

/* Its comment in the last column. */
void listing_comment(const struct listing *listing, const struct rows_member *member, char *buf, size_t size);

/* The epoch it acts under, or the highest it has seen. */
uint64_t listing_epoch(const struct listing *listing, const struct rows_member *member);

/* "0.4s", "12m", "5h", "3d" */
void listing_age(uint64_t ms, char *buf, size_t size);

/* What the table does not say: a hold, and alarms that nobody has acknowledged. */
void listing_print_notices(const struct listing *listing, FILE *file);

/* 0 or negative errno. */
int listing_print_table(const struct listing *listing, bool long_list, FILE *file);
int listing_print_json(const struct listing *listing, FILE *file);
