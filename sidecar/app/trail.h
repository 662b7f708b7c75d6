#pragma once
/*
 * What the core was told and what it answered: the last steps always in memory, and all of them on disk where
 * an operator asked for it. When the core finds itself in a state that should not exist, the memory is what
 * tells why.
 */
#include "record/recorder.h"
#include "record/ring.h"

struct node;

struct trail {
    struct ring ring;
    struct recorder *recorder;      /* NULL: nobody asked */
    const struct lease_event *told; /* the step that the core is in; NULL: none */
    uint64_t dropped_said;
    int error_said;
};

/* Before the first step. @path NULL: in memory only. 0, or negative errno after a line in the log. From now
 * on a failed assertion of the core orders the fence and saves the trail. */
int trail_begin(struct node *node, const char *path);

/* A step that was taken. Before its commands are performed. */
void trail_step(struct trail *trail, const struct lease *after, const struct lease_event *event,
                const struct lease_commands *commands);

/* Says what could not be recorded. */
void trail_tick(struct trail *trail, const char *lease);

void trail_end(struct trail *trail);
