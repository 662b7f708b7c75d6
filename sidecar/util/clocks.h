#pragma once
/*
 * Two monotone clocks out of two imperfect ones.
 *
 * Time services may slew CLOCK_MONOTONIC and CLOCK_BOOTTIME by up to 8 %; CLOCK_MONOTONIC_RAW is never slewed
 * but stands still in suspend. So `fast` adds the larger of both increments and `slow` the smaller: a holder
 * that counts on fast never believes too long in its lease, a challenger that counts on slow never waits too
 * short.
 *
 * Wall time is not here: no decision uses it. Units: nanoseconds. Not thread-safe; one per thread.
 */
#include <stdint.h>

#define CLOCKS_BOOT_ID_SIZE 37 /* with the NUL */

struct clocks {
    uint64_t boot_ns, raw_ns; /* the last readings */
    uint64_t fast_ns, slow_ns;
};

/* Starts both at one second: zero is never a valid time. */
void clocks_init(struct clocks *c);

/* Reads both kernel clocks and moves on. */
void clocks_sample(struct clocks *c);

/* The arithmetic alone: readings in, both counters moved on. Readings that go back count as standing still.
 */
void clocks_advance(struct clocks *c, uint64_t boot_ns, uint64_t raw_ns);

/* CLOCK_BOOTTIME alone, for budgets and time limits of what is no lease. Any thread. */
uint64_t clocks_boot_ns(void);

/* One instant in terms that another process of the same boot understands. */
struct clocks_instant {
    uint64_t boot_ns, raw_ns, mono_ns;
};

void clocks_instant_now(struct clocks_instant *ret);

/*
 * The most time that can have passed between two instants of one boot: awake time by the faster of RAW and
 * MONOTONIC, plus the time asleep (BOOTTIME - MONOTONIC).
 */
uint64_t clocks_elapsed_fast_ns(const struct clocks_instant *from, const struct clocks_instant *to);

/* What is left at @to of a time of which @left_ns were left at @from. */
uint64_t clocks_left_ns(uint64_t left_ns, const struct clocks_instant *from, const struct clocks_instant *to);

/* The kernel's id of this boot; 0 or negative errno. */
int clocks_boot_id(char ret_id[CLOCKS_BOOT_ID_SIZE]);
