#include <stdio.h>

#include "app/app.h"
#include "cli/cli.h"

int verb_run(const struct cli_options *o)
{
    static struct config config;
    int r = session_config(o, true, &config);

    if (r != CLI_OK)
        return r;
    if (o->check_config) {
        printf("%s: no mistakes found; the database may be silent for %llu ms without harm\n", o->config_path,
               (unsigned long long)(lease_timing_silent_ns(&config.timing) / LEASE_NS_PER_MS));
        if (config_in_clear(&config))
            fprintf(stderr,
                    "%s: warning: tls = false: what is said to %s can be read and changed on the way\n",
                    o->config_path, config_in_clear(&config));
        return CLI_OK;
    }
    return app_run(&config);
}

int verb_version(const struct cli_options *o)
{
    if (o->json)
        printf("{\"version\": \"%s\"}\n", GALERA_LEASE_VERSION);
    else
        printf("galera-lease %s\n", GALERA_LEASE_VERSION);
    return CLI_OK;
}
