#pragma once
/*
 * The one event loop: sd-event behind the few calls that we need. Nothing here blocks, nothing in a callback
 * may.
 *
 * Timers run on CLOCK_BOOTTIME with 1 us accuracy (sd-event's default is 250 ms). How long one callback kept
 * the loop is measured: loop_stall_ns().
 */
#include <stdint.h>
#include <sys/types.h>

#include "util/histogram.h"

struct loop;
typedef void (*loop_fn)(void *userdata);
typedef void (*loop_signal_fn)(void *userdata, int signal);

int loop_new(struct loop **ret);
struct loop *loop_free(struct loop *loop);

/* Runs until loop_exit(); returns its code, or a negative errno. */
int loop_run(struct loop *loop);
void loop_exit(struct loop *loop, int code);

/* Calls @fn whenever @fd is readable (or hung up), for the loop's life or until loop_unwatch(). */
int loop_watch(struct loop *loop, int fd, loop_fn fn, void *userdata);
void loop_unwatch(struct loop *loop, int fd);

/* Blocks the signal for the process and delivers it here. Call before any thread is started. */
int loop_signal(struct loop *loop, int signal, loop_signal_fn fn, void *userdata);

/* One-shot timer @index (0..LOOP_TIMERS-1), in @delay_ns from now; replaces the one that was set. */
#define LOOP_TIMERS 8
int loop_timer(struct loop *loop, unsigned index, uint64_t delay_ns, loop_fn fn, void *userdata);

/* The longest time that one callback took since the last call. */
uint64_t loop_stall_ns(struct loop *loop);

/*
 * The same without what the machine had no CPU for: what a callback itself computed or waited for. Where the
 * kernel does not tell (no schedstat), it is the whole.
 */
uint64_t loop_stall_own_ns(struct loop *loop);

/* How late its timers were, all of them since the start. */
const struct histogram *loop_lateness(const struct loop *loop);
