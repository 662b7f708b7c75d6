#pragma once
/* What is asked again and again beside the loop, and what its answers mean to the core: the precheck hook,
 * the controller's health URL, and its files. */
#include <jansson.h>
#include <stdatomic.h>

#include "http/view.h"
#include "watch/watcher.h"

struct node;

struct watches {
    struct watcher *precheck;         /* NULL: none is configured */
    struct watcher_answer prechecked; /* the last answer */
    bool precheck_answered;

    struct watcher *health;        /* NULL: there is no health URL */
    struct watcher_answer healthy; /* the last answer about the start that leads; tag: its epoch, 0: none */
    struct watcher *files;         /* NULL: none are compared */
    struct drift *drift;
    char digest[WATCHER_TEXT_MAX + 1]; /* of the files, as published; "": none are compared */
    char drifted[256]; /* which of them differ from the leader's, as our own row says; "": none */

    _Atomic uint64_t leading_epoch; /* of the controller that leads here; 0: none does. For the threads */
    atomic_bool ending;             /* ... too */
};

/* That one can't be had is logged. Without its precheck a member that has one never leads. */
void watches_start(struct node *node);
void watches_end(struct watches *watches);

/* After each step of the core: who leads? */
void watches_stepped(struct node *node);

/* What our own row says of our files; NULL: it was not there. */
void watches_drifted(struct node *node, const char *drift);

/* What the health URL said last. */
enum view_health watches_health(const struct node *node);
/* ... and why; NULL: there is none. */
json_t *watches_health_status(const struct node *node);

/* Why the precheck does not let this member lead. */
const char *watches_precheck_text(const struct watches *watches);
