/*
 * step-down, switchover, hold, unhold: a request in the database, from any host; the leader claims it, acts,
 * and writes the outcome. alarm ack and release are requests too, which the database itself acts on.
 */
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "cli/cli.h"
#include "cli/listing.h"
#include "util/cleanup.h"
#include "util/clocks.h"

#define POLL_NS          50000000
#define RELEASE_RENEWALS 2 /* that do not come, before a lease is taken from its holder ... */
#define RELEASE_SLACK_NS (500 * LEASE_NS_PER_MS) /* ... and what else must be done in the time limit */
#define LOOK_SHARE       3                       /* of the time left, for one look at the outcome ... */
#define LOOK_LEAST_NS    LEASE_NS_PER_S          /* ... but so long at least */
#define ERROR_SIGNAL     1644                    /* ER_SIGNAL_EXCEPTION */

/* @outcome NULL: it is not known, or was not waited for. */
static int print_outcome(const struct cli_options *o, uint64_t request, const char *claimed_by,
                         const char *outcome)
{
    if (!o->json) {
        if (outcome)
            printf("%s%s%s\n", claimed_by, claimed_by[0] ? ": " : "", outcome);
        else
            printf("request %llu is written\n", (unsigned long long)request);
        return 0;
    }
    json_auto_t *j = json_pack("{s:I, s:s, s:s?, s:b}", "request", (json_int_t)request, "member", claimed_by,
                               "outcome", outcome, "done", outcome && strncmp(outcome, "done", 4) == 0);
    int r = j ? json_dumpf(j, stdout, JSON_INDENT(2)) : -1;

    putchar('\n');
    return r;
}

/* The endpoint that was in use comes last: one that is silent would take its share of the time again. */
static void turn_to_next(struct config *c, const char *used)
{
    for (size_t i = 0; i + 1 < c->endpoint_count; i++) {
        if (strcmp(c->endpoints[i], used) == 0) {
            char next[CONFIG_TEXT_MAX];

            memcpy(next, c->endpoints[i + 1], sizeof(next));
            memcpy(c->endpoints[i + 1], c->endpoints[i], sizeof(next));
            memcpy(c->endpoints[i], next, sizeof(next));
        }
    }
}

/* The node that was asked is gone, or silent: the others know as well. */
static bool ask_elsewhere(const struct cli_options *o, struct config *c, struct sync **sync, const char *used,
                          uint64_t until)
{
    struct cli_options rest = *o;
    uint64_t now = clocks_boot_ns();

    if (now >= until)
        return false;
    rest.timeout_ns = until - now;
    *sync = sync_close(*sync);
    turn_to_next(c, used);
    return session_open(&rest, c, false, sync) == CLI_OK;
}

/* A silent node must leave time to ask another. */
static uint64_t look_limit(uint64_t until)
{
    uint64_t now = clocks_boot_ns(), share = now < until ? (until - now) / LOOK_SHARE : 0;

    return share > LOOK_LEAST_NS ? share : LOOK_LEAST_NS;
}

static int await_outcome(const struct cli_options *o, struct config *c, struct sync **sync, uint64_t request,
                         uint64_t until)
{
    char claimed_by[ROWS_TEXT_MAX + 1], outcome[ROWS_TEXT_MAX + 1];
    struct sync_error error = {0};

    for (;;) {
        int r = sync_request_outcome(*sync, request, look_limit(until), claimed_by, outcome, &error);

        if (r != 0) {
            nanosleep(&(struct timespec){.tv_nsec = POLL_NS}, NULL);
            /* Another node may have to apply the request first: that one is not left for it. */
            if (r == SYNC_MALFORMED ? clocks_boot_ns() < until
                                    : ask_elsewhere(o, c, sync, error.endpoint, until))
                continue;
            session_failed("the request is written and stays; galera-lease history tells its outcome, "
                           "which cannot be read now",
                           r, &error);
            return CLI_TIMEOUT; /* not a failure: it may happen yet */
        }
        if (outcome[0]) {
            bool done = strncmp(outcome, "done", 4) == 0;

            return print_outcome(o, request, claimed_by, outcome) == 0 && done ? CLI_OK : CLI_FAILED;
        }
        if (clocks_boot_ns() >= until) {
            fprintf(stderr, "galera-lease: %s within the time limit; the request stays\n",
                    claimed_by[0] ? "the leader has begun but not ended" : "no leader took the request");
            return CLI_TIMEOUT;
        }
        nanosleep(&(struct timespec){.tv_nsec = POLL_NS}, NULL);
    }
}

/* Member rows are bookkeeping, which may fail where renewals do not: a row that is renewed has a living
 * holder. */
static int watch_row(struct sync *sync, const char *lease, struct lease_row *row, uint64_t renew_ns)
{
    const struct lease_version seen = row->version;
    uint64_t ns = RELEASE_RENEWALS * renew_ns;

    nanosleep(
        &(struct timespec){.tv_sec = (time_t)(ns / LEASE_NS_PER_S), .tv_nsec = (long)(ns % LEASE_NS_PER_S)},
        NULL);
    int r = session_lease(sync, true, lease, row);

    if (r != CLI_OK || row->state == LEASE_ROW_FREE ||
        (row->version.epoch == seen.epoch && row->version.counter == seen.counter))
        return r;
    fprintf(stderr,
            "galera-lease: %s is not seen among the members, but renewed the lease just now: its sidecar is "
            "alive. "
            "Ask it with step-down, or stop it first\n",
            row->holder);
    return CLI_FAILED;
}

/*
 * Break-glass is for a holder that is gone or can't stop its controller, not for one that leads and answers.
 * Every look is causal: on a node that lags, a leader that renews through another one looks gone.
 */
static int may_release(struct sync *sync, struct sync_ask *wanted, struct lease_row *row,
                       const struct lease_timing *timing)
{
    _cleanup_(freep) struct rows_member *members = NULL;
    struct sync_error error = {0};
    size_t count = 0;
    int r = sync_members(sync, true, wanted->lease, &members, &count, &error);

    if (r != 0)
        return session_failed("cannot read the members", r, &error);
    const struct listing listing = {.lease = wanted->lease,
                                    .row = row,
                                    .ttl_ms = timing->ttl_ns / LEASE_NS_PER_MS,
                                    .members = members,
                                    .count = count};
    bool stops = false;

    wanted->epoch = row->version.epoch;
    for (size_t i = 0; i < count; i++) {
        stops = stops || listing_stops(&listing, &members[i]);
        if (listing_acts(&listing, &members[i])) {
            fprintf(stderr,
                    "galera-lease: %s holds the lease and its sidecar is alive: ask it with step-down, it "
                    "stops the "
                    "controller itself\n",
                    members[i].member.name);
            return CLI_FAILED;
        }
    }
    /* One that cannot stop its controller goes on renewing, and is what this is for. */
    return stops || row->state == LEASE_ROW_FREE ? CLI_OK
                                                 : watch_row(sync, wanted->lease, row, timing->renew_ns);
}

/* The row, and for a release what forbids it. */
static int look(struct sync *sync, struct sync_ask *wanted, const struct lease_timing *timing,
                struct lease_row *row)
{
    bool release = wanted->action == ROWS_RELEASE;
    int r = session_lease(sync, release, wanted->lease, row);

    if (r == CLI_OK && release)
        r = may_release(sync, wanted, row, timing);
    if (!release || (r != CLI_TIMEOUT && r != CLI_UNREACHABLE))
        return r;
    fprintf(stderr,
            "galera-lease: refused: this node did not show in time what was committed through the others, so "
            "nobody knows whether the leader is alive. Nothing was asked for; try again through another "
            "endpoint\n");
    return r == CLI_TIMEOUT ? CLI_FAILED : r; /* unlike after other timeouts nothing may happen yet */
}

/* Asks; nobody leading is an answer, not a failure. */
static int ask(struct sync *sync, struct sync_ask *wanted, const struct lease_timing *timing,
               uint64_t *ret_request)
{
    struct sync_error error = {0};
    struct lease_row row;
    int r = look(sync, wanted, timing, &row);

    if (r != CLI_OK)
        return r;
    if (row.state == LEASE_ROW_FREE && wanted->action != ROWS_ACK) {
        fprintf(stderr, "galera-lease: nobody holds the lease %s: there is nobody to ask for \"%s\"\n",
                wanted->lease, rows_action_name(wanted->action));
        return CLI_NO_LEADER;
    }
    r = sync_request(sync, wanted, ret_request, &error);
    if (r == 0)
        return CLI_OK;
    if (error.answer == LEASE_ANSWER_UNKNOWN) {
        fprintf(stderr,
                "galera-lease: %s: %s: nobody knows whether the request was written: look for it with "
                "galera-lease history before you ask again\n",
                error.endpoint, error.text);
        return CLI_TIMEOUT;
    }
    int code = session_failed("the request was refused", r, &error);

    /* Given back since we looked: the procedure signals that nobody holds it. */
    return r == SYNC_FAILED && error.error == ERROR_SIGNAL && strstr(error.text, "nobody holds")
               ? CLI_NO_LEADER
               : code;
}

/* Rather than look for a shorter time than it takes to be sure. */
static int enough_time(const struct cli_options *o, const struct lease_timing *timing)
{
    uint64_t least_ns = RELEASE_RENEWALS * timing->renew_ns + RELEASE_SLACK_NS;

    if (o->timeout_ns >= least_ns)
        return CLI_OK;
    fprintf(stderr,
            "galera-lease release: give --timeout %llums or more: the lease is watched for the time of %d "
            "renewals first\n",
            (unsigned long long)(least_ns / LEASE_NS_PER_MS), RELEASE_RENEWALS);
    return CLI_USAGE;
}

static int steer(const struct cli_options *o, enum rows_action action)
{
    static struct config config;
    _cleanup_(sync_closep) struct sync *sync = NULL;
    /* The last tenth is for reading the outcome. */
    uint64_t request = 0, until = clocks_boot_ns() + o->timeout_ns - o->timeout_ns / 10;
    int r = session_config(o, false, &config);

    if (r == CLI_OK && action == ROWS_RELEASE)
        r = enough_time(o, &config.timing);
    if (r == CLI_OK)
        r = session_open(o, &config, true, &sync);
    if (r != CLI_OK)
        return r;
    struct sync_ask wanted = {.action = action,
                              .lease = config.name,
                              .target = o->to,
                              .hold_s = o->hold_ns / LEASE_NS_PER_S,
                              .why = o->reason ? o->reason : ""};

    r = ask(sync, &wanted, &config.timing, &request);
    if (r != CLI_OK)
        return r;
    if (!o->wait)
        return print_outcome(o, request, "", NULL) == 0 ? CLI_OK : CLI_FAILED;
    return await_outcome(o, &config, &sync, request, until);
}

static int missing(const char *verb, const char *option, const char *why)
{
    fprintf(stderr, "galera-lease %s: give %s: %s\n", verb, option, why);
    return CLI_USAGE;
}

int verb_step_down(const struct cli_options *o)
{
    return steer(o, ROWS_STEP_DOWN);
}

int verb_switchover(const struct cli_options *o)
{
    /* Without a name any other member may lead: that is what step-down asks for. */
    return steer(o, o->to ? ROWS_SWITCHOVER : ROWS_STEP_DOWN);
}

int verb_hold(const struct cli_options *o)
{
    if (o->hold_ns == 0)
        return missing("hold", "--for TIME", "for how long may the database be away, such as 10m?");
    if (!o->reason || !o->reason[0])
        return missing("hold", "--reason TEXT", "those who look later see it beside your name");
    return steer(o, ROWS_HOLD);
}

int verb_unhold(const struct cli_options *o)
{
    return steer(o, ROWS_UNHOLD);
}

int verb_alarm_ack(const struct cli_options *o)
{
    if (!o->reason || !o->reason[0])
        return missing("alarm ack", "--reason TEXT", "what was found, for those who look later");
    return steer(o, ROWS_ACK);
}

int verb_release(const struct cli_options *o)
{
    if (!o->stopped_it)
        return missing(
            "release", "--i-stopped-it",
            "another member starts its controller as soon as the lease is free; say so only when you have "
            "stopped the old one yourself (host off, network off, process gone)");
    if (!o->reason || !o->reason[0])
        return missing("release", "--reason TEXT", "how you made sure, for those who look later");
    return steer(o, ROWS_RELEASE);
}
