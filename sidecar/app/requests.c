/*
 * What operators ask for through the request table: read while the controller is started and while it runs,
 * claimed before acting, so that none acts twice, and answered with an outcome once the core has done it. A
 * claim whose answer is lost may be applied at any later time: it is settled by another one, since only one
 * of them can be.
 *
 * What an earlier run of this sidecar has claimed and left without an outcome nobody else would answer: that
 * is done at the start of the next one.
 */
#include <stdio.h>
#include <string.h>

#include "app/node.h"
#include "util/log.h"

#define LEFT_OUTCOME "unknown: the sidecar that had begun it ended; the history tells what came of it"

static bool hears(const struct node *n)
{
    return (n->lease.role == LEASE_LEADER || n->lease.role == LEASE_PROMOTING) && !n->lease.handover;
}

/*
 * A promote hook that hangs would keep the lease for its whole budget: whoever wants to end that must be
 * heard. A hold is for a controller that runs: it is left as it is, and taken as soon as this one does.
 */
static const struct rows_request *next_of(const struct node *n, const struct client_answer *a)
{
    for (size_t i = 0; i < a->request_count; i++) {
        bool leave = a->requests[i].action == ROWS_STEP_DOWN || a->requests[i].action == ROWS_SWITCHOVER;

        if (leave || n->lease.role == LEASE_LEADER)
            return &a->requests[i];
    }
    return NULL;
}

static void finish(struct node *n, const char *outcome)
{
    client_finish(n->client, n->request, outcome);
    n->request = 0;
}

/*
 * The core says nothing of a hold that ended before any write with it was confirmed: there is no news in it.
 * But while a request is open no other one is looked at.
 */
static void end_unconfirmed(struct node *n)
{
    bool hold = n->asked.action == ROWS_HOLD || n->asked.action == ROWS_UNHOLD;

    if (n->asked_state != REQUEST_ACTED_ON || !hold || n->lease.hold_confirmed ||
        lease_hold_left_ns(&n->lease) != 0)
        return;
    finish(n, n->asked.action == ROWS_HOLD ? "refused: the hold was over before the database confirmed it"
                                           : "done: the hold is over, the database had never confirmed it");
}

/*
 * An unhold has to wait until the disk has heard of the shorter lease (R1), which may be never: then the
 * others who ask for something are not to wait with it.
 */
static void end_overdue(struct node *n)
{
    if (n->asked_state == REQUEST_ACTED_ON && n->asked.action == ROWS_UNHOLD &&
        hook_now_ns() - n->acted_ns > 2 * n->config->timing.ttl_ns)
        finish(
            n,
            "refused: not confirmed in time, because the state file or the database cannot be written; the "
            "hold ends as soon as they can");
}

void requests_poll(void *userdata)
{
    struct node *n = userdata;

    if (n->request != 0 && n->asked_state == REQUEST_UNSETTLED && !n->claiming)
        n->claiming = client_claim(n->client, n->request) == 0;
    if (n->request != 0)
        end_unconfirmed(n);
    if (n->request != 0)
        end_overdue(n);
    if (n->request == 0 && hears(n))
        client_requests(n->client);
    loop_timer(n->loop, NODE_TIMER_REQUESTS, n->config->timing.poll_ns, requests_poll, n);
}

void requests_read(struct node *n, const struct client_answer *a)
{
    const struct rows_request *q = n->request == 0 && hears(n) ? next_of(n, a) : NULL;

    if (!q || client_claim(n->client, q->id) < 0)
        return;
    char who[2 * sizeof q->who + 3], why[2 * sizeof q->why + 3];

    n->request = q->id;
    n->released = false;
    n->asked = *q;
    n->asked_state = REQUEST_CLAIMING;
    n->claiming = true;
    /* Whoever may ask wrote these: quoted, or they could pass for fields of this log. */
    log_info("request", "lease=%s id=%llu action=%s who=%s why=%s for_epoch=%llu", n->config->name,
             (unsigned long long)q->id, rows_action_name(q->action), log_quote(q->who, who, sizeof who),
             log_quote(q->why, why, sizeof why), (unsigned long long)q->epoch);
}

static void act(struct node *n)
{
    const struct rows_request *q = &n->asked;
    struct lease_event e = {.type = LEASE_EVENT_REQUEST, .request = {.id = q->id}};

    switch (q->action) {
    case ROWS_STEP_DOWN: e.request.reason = LEASE_REASON_STEP_DOWN; break;
    case ROWS_SWITCHOVER: e.request.reason = LEASE_REASON_SWITCHOVER; break;
    case ROWS_HOLD:
        e.request.kind = LEASE_REQUEST_HOLD;
        e.request.hold_ns = q->hold_ms * LEASE_NS_PER_MS;
        n->hold_request = q->id;
        snprintf(n->hold_reason, sizeof n->hold_reason, "%s: %s", q->who, q->why);
        break;
    case ROWS_UNHOLD:
        if (lease_hold_left_ns(&n->lease) == 0) {
            finish(n, "refused: there is no hold to end");
            return;
        }
        e.request.kind = LEASE_REQUEST_UNHOLD;
        break;
    case ROWS_ACK:
    case ROWS_RELEASE: finish(n, "refused: no sidecar does this"); return;
    }
    memcpy(e.request.target, q->target, sizeof e.request.target);
    n->asked_state = REQUEST_ACTED_ON;
    n->acted_ns = hook_now_ns();
    node_feed(n, &e);
}

void requests_claimed(struct node *n, const struct client_answer *a)
{
    bool unsettled = n->asked_state == REQUEST_UNSETTLED;
    bool tells = a->answer == LEASE_ANSWER_ROW || a->answer == LEASE_ANSWER_MISMATCH;

    if (a->request != n->request)
        return;
    n->claiming = false;
    if (a->answer == LEASE_ANSWER_UNKNOWN || (unsettled && !tells))
        n->asked_state = REQUEST_UNSETTLED; /* claimed once more by requests_poll() */
    else if (a->answer == LEASE_ANSWER_MISMATCH && unsettled)
        finish(n, "refused: the database did not say in time that it was claimed: ask again");
    else if (a->answer != LEASE_ANSWER_ROW)
        n->request = 0; /* somebody was quicker, or it was not sent: it is read again */
    else if (!hears(n))
        finish(n, "refused: this member does not lead any more");
    else if (n->asked.epoch != 0 && n->asked.epoch != n->lease.own.epoch)
        finish(n, "refused: it was meant for another epoch");
    else
        act(n);
}

/* What the core reports may be what was asked for. */
void requests_noted(struct node *n, const struct lease_command *c)
{
    bool hold = n->asked.action == ROWS_HOLD || n->asked.action == ROWS_UNHOLD;
    bool follows = c->note.note == LEASE_NOTE_ROLE && c->note.role == LEASE_FOLLOWER;
    char outcome[ROWS_TEXT_MAX + 1];

    if (n->request == 0 || n->asked_state != REQUEST_ACTED_ON)
        return;
    n->released = n->released || c->note.note == LEASE_NOTE_RELEASED;
    if (follows && hold) {
        finish(n, "refused: the lease was given up before the database confirmed it");
    } else if (follows && !n->released) {
        finish(n, "done: the controller is stopped; the lease was not given back: it ran out or was lost");
    } else if (follows) {
        finish(n, "done: the controller is stopped and the lease is given back");
    } else if (c->note.note == LEASE_NOTE_HOLD && n->asked.action == ROWS_HOLD) {
        snprintf(outcome, sizeof outcome, "done: the lease lasts for %llu s at least",
                 (unsigned long long)(lease_hold_left_ns(&n->lease) / LEASE_NS_PER_S));
        finish(n, outcome);
    } else if (c->note.note == LEASE_NOTE_UNHOLD && n->asked.action == ROWS_UNHOLD) {
        finish(n, "done: the hold is over, the lease is as long as configured");
    }
}

/*
 * Only once our own heartbeat stands in the row of our name: until then a living namesake may have claimed
 * them (R10).
 */
void requests_look_back(struct node *n)
{
    if (!n->none_left && lease_name_right(&n->lease) == LEASE_NAME_KEEP)
        client_left(n->client);
}

/*
 * The one at work is not among what is left; an outcome of ours that still waits to be said stands before
 * this in the queue. Whatever the answer, or none: the next look tells what is still left.
 */
void requests_left(struct node *n, const struct client_answer *a)
{
    uint64_t left[CLIENT_REQUESTS_MAX];
    size_t count = 0;

    for (size_t i = 0; i < a->request_count; i++)
        if (a->requests[i].id != n->request)
            left[count++] = a->requests[i].id;
    n->none_left = count == 0;
    if (count == 0 || client_abandon(n->client, left, count, LEFT_OUTCOME) < 0)
        return;
    log_info("request", "lease=%s count=%zu first=%llu outcome=\"%s\"", n->config->name, count,
             (unsigned long long)left[0], LEFT_OUTCOME);
}
