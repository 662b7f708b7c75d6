#include <jansson.h>
#include <stdio.h>
#include <unistd.h>

#include "app/app.h"
#include "cli/cli.h"
#include "cli/print_config.h"
#include "db/worker.h"

/* What is no mistake, and yet nobody should run without knowing it. */
static void warn(const struct config *c)
{
    if (config_in_clear(c))
        fprintf(stderr, "%s: warning: tls = false: what is said to %s can be read and changed on the way\n",
                c->file, config_in_clear(c));
    if (c->standalone)
        fprintf(stderr,
                "%s: warning: standalone = true: one server without a quorum decides; when it is away nobody "
                "leads\n",
                c->file);
}

static int print_mistakes(const char *path, const struct config *c, const struct config_errors *errors)
{
    json_t *list = json_array();

    for (size_t i = 0; i < errors->count; i++)
        json_array_append_new(list, json_string(errors->list[i]));
    json_auto_t *all = json_pack("{s:s, s:o}", "file", path, "mistakes", list);

    if (errors->count == 0)
        json_object_set_new(all, "silence_ms",
                            json_integer((json_int_t)(lease_timing_silent_ns(&c->timing) / LEASE_NS_PER_MS)));
    int r = all ? json_dumpf(all, stdout, JSON_INDENT(2)) : -1;

    putchar('\n');
    return r < 0 ? CLI_FAILED : errors->count == 0 ? CLI_OK : CLI_USAGE;
}

static int check_config(const struct cli_options *o)
{
    static struct config_errors errors;
    static struct config config;
    const struct config *c = &config;
    int r = session_load(o, true, &config, &errors);

    if (o->json && o->config_path[0])
        return print_mistakes(o->config_path, c, &errors);
    if (r != CLI_OK)
        return r;
    printf("%s: no mistakes found; the database may be silent for %llu ms without harm\n", c->file,
           (unsigned long long)(lease_timing_silent_ns(&c->timing) / LEASE_NS_PER_MS));
    warn(c);
    return CLI_OK;
}

/* Of a refused configuration the times, where they could be read: they may be why. Hooks and files of this
 * host are not looked at: that is --check-config's. */
static int print_config(const struct cli_options *o)
{
    static struct config_errors errors;
    static struct config config;
    int r = session_load(o, false, &config, &errors);

    if (r != CLI_OK && errors.timing_unread)
        return r;
    if ((o->json ? print_config_json : print_config_text)(&config, r == CLI_OK, stdout) < 0)
        return CLI_FAILED;
    if (r == CLI_OK)
        warn(&config);
    return r;
}

/*
 * Whoever hangs in a question (the watcher of files, a courier, a reload) is left behind by app_run(). Exit
 * handlers would take the libraries apart that it may be about to use.
 */
static _Noreturn void leave(int code)
{
    worker_all_ended(CLI_CLOSING_NS);
    fflush(NULL);
    _exit(code);
}

int verb_run(const struct cli_options *o)
{
    static struct config config;

    if (o->json && !o->print_config && !o->check_config) {
        fprintf(stderr, "galera-lease run: --json is for --print-config and --check-config\n");
        return CLI_USAGE;
    }
    if (o->print_config && o->check_config) {
        fprintf(stderr, "galera-lease run: --check-config or --print-config: give one of them\n");
        return CLI_USAGE;
    }
    if (o->print_config)
        return print_config(o);
    if (o->check_config)
        return check_config(o);
    int r = session_config(o, true, &config);

    if (r != CLI_OK)
        return r;
    leave(app_run(&config, o->trace));
}

int verb_version(const struct cli_options *o)
{
    if (o->json)
        printf("{\"version\": \"%s\"}\n", GALERA_LEASE_VERSION);
    else
        printf("galera-lease %s\n", GALERA_LEASE_VERSION);
    return CLI_OK;
}
