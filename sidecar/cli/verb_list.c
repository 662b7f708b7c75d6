/* list: the members of the lease, from any host, from the database alone. */
#include "cli/cli.h"
#include "cli/listing.h"
#include "util/cleanup.h"

int verb_list(const struct cli_options *o)
{
    static struct config config;
    _cleanup_(sync_closep) struct sync *sync = NULL;
    _cleanup_(freep) struct rows_member *members = NULL;
    struct sync_error error = {0};
    struct lease_row row;
    size_t count = 0;
    int r = session_config(o, false, &config);

    if (r == CLI_OK)
        r = session_open(o, &config, &sync);
    if (r == CLI_OK)
        r = session_lease(sync, config.name, &row);
    if (r != CLI_OK)
        return r;
    r = sync_members(sync, config.name, &members, &count, &error);
    if (r != 0)
        return session_failed("cannot read the members", r, &error);

    const struct listing listing = {.lease = config.name, .row = &row, .members = members, .count = count};

    r = o->json ? listing_print_json(&listing, stdout) : listing_print_table(&listing, o->long_list, stdout);
    return r < 0 ? CLI_FAILED : listing_has_leader(&listing) ? CLI_OK : CLI_NO_LEADER;
}
