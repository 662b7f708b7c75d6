/* list: the members of the lease, from any host, from the database alone. */
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/listing.h"
#include "util/cleanup.h"

/* A hold, and alarms that nobody has acknowledged. */
static int read_notices(struct sync *sync, const char *lease, struct table **ret_hold,
                        struct table **ret_alarms)
{
    struct sync_error error = {0};
    char sql[512];

    snprintf(sql, sizeof sql,
             "SELECT hold_until, hold_reason FROM galera_lease.leader WHERE lease = '%s' AND hold_until IS "
             "NOT NULL",
             lease);
    int r = sync_query(sync, false, sql, ret_hold, &error);

    if (r != 0)
        return session_failed("cannot read the hold", r, &error);
    snprintf(sql, sizeof sql,
             "SELECT at, member, what, reason, epoch FROM galera_lease.alarms WHERE lease = '%s' LIMIT %d",
             lease, LISTING_ALARMS + 1);
    r = sync_query(sync, false, sql, ret_alarms, &error);
    return r != 0 ? session_failed("cannot read the alarms", r, &error) : CLI_OK;
}

/* One look at the database, shown. */
static int look(const struct cli_options *o, const struct config *config)
{
    _cleanup_(sync_closep) struct sync *sync = NULL;
    _cleanup_(freep) struct rows_member *members = NULL;
    _cleanup_(table_freep) struct table *hold = NULL, *alarms = NULL;
    struct sync_error error = {0};
    struct lease_row row;
    size_t count = 0;
    int r = session_open(o, config, false, &sync);

    if (r == CLI_OK)
        r = session_lease(sync, false, config->name, &row);
    if (r != CLI_OK)
        return r;
    r = sync_members(sync, false, config->name, &members, &count, &error);
    if (r != 0)
        return session_failed("cannot read the members", r, &error);
    r = read_notices(sync, config->name, &hold, &alarms);
    if (r != CLI_OK)
        return r;

    const struct listing listing = {.lease = config->name,
                                    .row = &row,
                                    .ttl_ms = config->timing.ttl_ns / LEASE_NS_PER_MS,
                                    .members = members,
                                    .count = count,
                                    .hold = hold,
                                    .alarms = alarms};

    r = o->json ? listing_print_json(&listing, stdout) : listing_print_table(&listing, o->long_list, stdout);
    if (r == 0 && !o->json)
        listing_print_notices(&listing, stdout);
    return r < 0 ? CLI_FAILED : listing_has_leader(&listing) ? CLI_OK : CLI_NO_LEADER;
}

/* On a terminal each look takes the place of the last; elsewhere they follow each other. */
static void print_header(const struct config *config)
{
    struct timespec now;
    struct tm utc;
    char text[32];

    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &utc);
    strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", &utc);
    printf("%s%s at %s (UTC)\n", isatty(STDOUT_FILENO) ? "\033[H\033[J" : "", config->name, text);
    fflush(stdout);
}

/* Each look connects anew: it finds another endpoint when one is lost, and what failed once is tried again.
 */
static int watch(const struct cli_options *o, const struct config *config)
{
    uint64_t interval_ns = o->interval_ns ? o->interval_ns : LEASE_NS_PER_S;
    const struct timespec pause = {.tv_sec = (time_t)(interval_ns / LEASE_NS_PER_S),
                                   .tv_nsec = (long)(interval_ns % LEASE_NS_PER_S)};

    for (;;) {
        if (!o->json)
            print_header(config);
        look(o, config);
        if (!o->json && !isatty(STDOUT_FILENO))
            putchar('\n');
        if (fflush(stdout) != 0)
            return CLI_FAILED;
        nanosleep(&pause, NULL);
    }
}

int verb_list(const struct cli_options *o)
{
    static struct config config;

    if (o->interval_ns && !o->watch) {
        fprintf(stderr, "galera-lease list: --interval is for --watch\n");
        return CLI_USAGE;
    }
    int r = session_config(o, false, &config);

    if (r != CLI_OK)
        return r;
    return o->watch ? watch(o, &config) : look(o, &config);
}
