#pragma once
/*
 * A courier carries notices to one receiver, in their order, in a thread of its own. It may be as slow as it
 * likes: courier_put() copies into a bounded queue and returns. When the queue is full the oldest that waits
 * is dropped, because the newest says where things stand.
 *
 * What fails is tried again with pauses that double; then it is given up, and the next one has its turn.
 */
#include <stdbool.h>
#include <stdint.h>

#include "notice/notice.h"

#define COURIER_QUEUE 32

enum courier_result {
    COURIER_DELIVERED,
    COURIER_AGAIN,  /* maybe later */
    COURIER_REFUSED /* never: no use in trying again */
};

/* Runs in the courier's thread; must end by itself. */
typedef enum courier_result (*courier_deliver_fn)(void *userdata, const struct notice *notice);

/* One that was given up, with how often it was tried; in the courier's thread. */
typedef void (*courier_failed_fn)(void *userdata, const struct notice *notice, unsigned tries);

struct courier_config {
    courier_deliver_fn deliver;
    courier_failed_fn failed; /* NULL: nobody asks */
    void *userdata;
    unsigned tries;                  /* at least 1 */
    uint64_t pause_ns, pause_max_ns; /* after the first failure; at most */
};

/* Every notice that was put is, in the end, delivered, failed or dropped. */
struct courier_counts {
    uint64_t put, delivered, failed, dropped;
    uint64_t retries; /* deliveries that were tried again */
    unsigned waiting; /* ... and the one under way */
};

struct courier;

int courier_new(const struct courier_config *config, struct courier **ret);

/* Never waits. True: it had to drop the oldest one, whose number is in @ret_dropped. */
bool courier_put(struct courier *courier, const struct notice *notice, uint64_t *ret_dropped);

void courier_counts(struct courier *courier, struct courier_counts *ret);

/* Does nobody wait any more? A delivery that takes long and asks breaks off then. Thread: any. */
bool courier_ending(struct courier *courier);

/* From now on each is tried once, without a pause before; courier_end() is to follow. To end several at once.
 */
void courier_stop(struct courier *courier);

/*
 * Lets what waits go out, each tried once, for @patience_ns at most, and a moment for a delivery that asks
 * courier_ending(). True: all is over and freed. False: its
 * thread still hangs in a delivery; it is left to the end of the process, with all that it uses.
 */
bool courier_end(struct courier *courier, uint64_t patience_ns);
