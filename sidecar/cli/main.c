/* galera-lease: the verb table and the options that all verbs share. */
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "util/parse.h"

static const struct cli_verb verbs[] = {
    {"run", "[--check-config]", "run the sidecar (--check-config: only say what is wrong)", verb_run},
    {"init", "[--print-sql] [--socket S] [--user U] [--password-file F]",
     "create schema, lease row and account; safe to repeat", verb_init},
    {"list", "[--long] [--json]", "the members of the lease, and who leads", verb_list},
    {"status", "[--json]", "this host's sidecar: role, time left, why it does not lead", verb_status},
    {"step-down", "[--reason TEXT] [--no-wait]", "ask the leader to stop its controller and let another lead",
     verb_step_down},
    {"version", "", "the version of this program", verb_version},
};

static const struct option long_options[] = {
    {"config", required_argument, NULL, 'c'},
    {"lease", required_argument, NULL, 'l'},
    {"timeout", required_argument, NULL, 't'},
    {"reason", required_argument, NULL, 'r'},
    {"socket", required_argument, NULL, 'S'},
    {"user", required_argument, NULL, 'u'},
    {"password-file", required_argument, NULL, 'p'},
    {"json", no_argument, NULL, 'j'},
    {"long", no_argument, NULL, 'L'},
    {"print-sql", no_argument, NULL, 'P'},
    {"check-config", no_argument, NULL, 'C'},
    {"no-wait", no_argument, NULL, 'n'},
    {"help", no_argument, NULL, 'h'},
    {0},
};

static void help(FILE *f)
{
    fprintf(f, "usage: galera-lease VERB (--config FILE | --lease NAME) [--timeout 10s] ...\n\n");
    for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++)
        fprintf(f, "  %-10s %s\n             %s\n", verbs[i].name, verbs[i].arguments, verbs[i].help);
    fprintf(f, "\n--lease NAME means --config /etc/galera-lease/NAME.conf.\n"
               "exit: 0 done, 1 failed, 2 usage or configuration, 3 no leader or nothing found,\n"
               "      4 database unreachable or without quorum, 5 time limit passed\n");
}

/* CLI_OK, CLI_USAGE, or -1: help was given. */
static int parse(int argc, char *argv[], struct cli_options *o)
{
    for (int opt; (opt = getopt_long(argc, argv, "hj", long_options, NULL)) != -1;) {
        switch (opt) {
        case 'c': snprintf(o->config_path, sizeof o->config_path, "%s", optarg); break;
        case 'l':
            if (!parse_name_valid(optarg)) {
                fprintf(stderr, "galera-lease: \"%s\" is no lease name\n", optarg);
                return CLI_USAGE;
            }
            snprintf(o->config_path, sizeof o->config_path, "/etc/galera-lease/%s.conf", optarg);
            break;
        case 't':
            if (parse_duration_ns(optarg, &o->timeout_ns) < 0 || o->timeout_ns == 0) {
                fprintf(stderr, "galera-lease: --timeout \"%s\": write a number and ms, s, m or h\n", optarg);
                return CLI_USAGE;
            }
            break;
        case 'r': o->reason = optarg; break;
        case 'S': o->socket = optarg; break;
        case 'u': o->user = optarg; break;
        case 'p': o->password_file = optarg; break;
        case 'j': o->json = true; break;
        case 'L': o->long_list = true; break;
        case 'P': o->print_sql = true; break;
        case 'C': o->check_config = true; break;
        case 'n': o->wait = false; break;
        case 'h': help(stdout); return -1;
        default: return CLI_USAGE; /* getopt has said it */
        }
    }
    if (optind < argc) {
        fprintf(stderr, "galera-lease: \"%s\" is one argument too many\n", argv[optind]);
        return CLI_USAGE;
    }
    return CLI_OK;
}

int main(int argc, char *argv[])
{
    struct cli_options o = {.timeout_ns = UINT64_C(10000000000), .wait = true};

    if (argc < 2 || strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "help") == 0) {
        help(argc < 2 ? stderr : stdout);
        return argc < 2 ? CLI_USAGE : CLI_OK;
    }
    for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++) {
        if (strcmp(argv[1], verbs[i].name) != 0)
            continue;
        int r = parse(argc - 1, argv + 1, &o);

        return r < 0 ? CLI_OK : r != CLI_OK ? r : verbs[i].run(&o);
    }
    fprintf(stderr, "galera-lease: \"%s\" is no verb; see galera-lease --help\n", argv[1]);
    return CLI_USAGE;
}
