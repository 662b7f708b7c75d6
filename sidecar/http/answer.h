#pragma once
/*
 * What each path answers, from a view and the time of the request. Pure.
 *
 *   /leader    200 on the leader only, until the point where its controller must be stopped (R5), whatever
 * the view says; 503 elsewhere /follower  200 on a follower that is well /health    200 when the sidecar is
 * well, else 503 and why /status    JSON, as `galera-lease status --json` prints it /metrics   for Prometheus
 *   /redirect  307 to the leader's user interface; 503 and why when nobody leads, as far as is known here
 *
 * What came from outside is in no body but /status and /metrics, and escaped there.
 */
#include <stdbool.h>
#include <stdint.h>

#include "http/redirect.h"
#include "http/text.h"
#include "http/view.h"
#include "util/clocks.h"

/* The loop posts at least once a second; one that did not for so long hangs. */
#define ANSWER_LOOP_NS (3 * LEASE_NS_PER_S)

/* Never changes while the sidecar runs; not owned. */
struct answer_site {
    const char *lease, *member, *version;
    const char *redirect_url; /* passed redirect_check() */
};

struct answer_now {
    struct clocks clocks;                    /* of the view, moved on to now */
    bool fencing;                            /* the guardian has begun to stop the controller */
    int64_t wall_s;                          /* for people */
    uint64_t requests, connections, dropped; /* of the server itself */
};

struct answer_reply {
    unsigned status;
    const char *type;
    char location[REDIRECT_URL_MAX]; /* empty: none */
    struct text body;                /* begun by the caller */
};

/* Is this sidecar the leader, at this very time? */
bool answer_leads(const struct view *view, const struct answer_now *now);

/* What keeps the sidecar from being well; NULL: nothing. */
const char *answer_unwell(const struct view *view, const struct answer_now *now);

void answer(const struct answer_site *site, const struct view *view, const struct answer_now *now,
            const char *path, struct answer_reply *ret_reply);
