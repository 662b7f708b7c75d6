#pragma once
/* What is asked again and again beside the loop, and what its answers mean to the core: the precheck hook. */
#include "watch/watcher.h"

struct node;

struct watches {
    struct watcher *precheck;         /* NULL: none is configured */
    struct watcher_answer prechecked; /* the last answer */
    bool precheck_answered;
};

/* That one can't be had is logged. Without its precheck a member that has one never leads. */
void watches_start(struct node *node);
void watches_end(struct watches *watches);

/* Why the precheck does not let this member lead. */
const char *watches_precheck_text(const struct watches *watches);
