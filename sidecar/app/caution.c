/* What is allowed and yet nobody should run without knowing it: said in the log, once. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/node.h"
#include "db/version.h"
#include "util/log.h"

void caution_config(const struct config *c)
{
    if (config_in_clear(c))
        log_warning("tls",
                    "lease=%s endpoint=%s what=\"tls = false: what is said to other hosts can be read and "
                    "changed on the way\"",
                    c->name, config_in_clear(c));
    if (c->standalone)
        log_warning(
            "standalone",
            "lease=%s endpoint=%s what=\"standalone = true: one server without a quorum decides; when it is "
            "away nobody leads\"",
            c->name, c->endpoints[0]);
}

static void caution_server(struct node *n, const char *endpoint, const char *version)
{
    enum version_result r = version_judge(version);
    char quoted[2 * sizeof n->versions[0] + 3];

    log_quote(version, quoted, sizeof quoted);

    if (r == VERSION_OLD)
        log_warning("server",
                    "lease=%s endpoint=%s version=%s what=\"older than " VERSION_WANTED
                    ": faults that concern a lease are mended up to there\" action=\"goes on: upgrade it\"",
                    n->config->name, endpoint, quoted);
    else if (r == VERSION_FOREIGN)
        log_warning(
            "server",
            "lease=%s endpoint=%s version=%s what=\"this is no MariaDB that is known here: the rules of "
            "a lease were tried with MariaDB only\" action=\"goes on\"",
            n->config->name, endpoint, quoted);
}

void caution_servers(struct node *n)
{
    struct client_status *s = calloc(1, sizeof *s);

    if (!s)
        return;
    client_status(n->client, s);
    for (unsigned role = 0; role < CLIENT_CONNECTIONS; role++) {
        size_t endpoint = s->connections[role].endpoint;
        const char *version = s->connections[role].version;

        if (!s->connections[role].connected || strcmp(n->versions[endpoint], version) == 0)
            continue;
        snprintf(n->versions[endpoint], sizeof n->versions[endpoint], "%s", version);
        caution_server(n, s->endpoints[endpoint].text, version);
    }
    free(s);
}
