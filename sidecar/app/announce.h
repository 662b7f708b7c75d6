#pragma once
/*
 * Who hears of changes of role and alarms: the notify hook and the webhooks. Each receiver has a courier with
 * its own thread and queue; nothing here is on the lease's way, and what goes wrong is logged and counted, no
 * more.
 */
#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "core/lease.h"
#include "notice/courier.h"

#define ANNOUNCE_RECEIVERS_MAX 9

struct client_event;
struct node;
struct receiver;

struct announce {
    struct receiver *receivers[ANNOUNCE_RECEIVERS_MAX];
    size_t count;
};

/* That a receiver can't be had is logged, and no reason not to run. */
void announce_start(struct node *node);

/* Of every note: each receiver has its own choice. */
void announce_note(struct node *node, const struct lease_command *note, const struct client_event *event);

/* From the next notice on. */
void announce_budget(struct announce *announce, uint64_t budget_ns);

/* Lets what waits go out, for about a second in all. */
void announce_end(struct announce *announce);

/* For metrics: the @index-th receiver's name and counters; NULL: there are no more. */
const char *announce_counts(const struct announce *announce, size_t index, struct courier_counts *ret);

/* A list of all receivers. */
json_t *announce_status(const struct announce *announce);
