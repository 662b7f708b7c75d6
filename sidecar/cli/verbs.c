/* galera-lease: the table of verbs, the table of options, and the help that is printed from both. */
#include <getopt.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "util/parse.h"

static const struct cli_verb verbs[] = {
    {"run", "clRCVj", 0, verb_run, "run the sidecar until SIGTERM"},
    {"init", "cltjSupPAN", 60, verb_init, "create schema, lease row and account; safe to repeat"},
    {"list", "cltjLWi", 10, verb_list, "the members of the lease, and who leads"},
    {"status", "cltj", 10, verb_status, "this host's sidecar: role, time left, why it does not lead"},
    {"check", "cltjH", 10, verb_check, "the doctor: what is wrong, or will be, and what to do",
     .exits = "0 all is well, 1 warnings, 2 failures, 3 it could not look", .usage = CHECK_UNKNOWN},
    {"step-down", "cltjrwn", 30, verb_step_down,
     "ask the leader to stop its controller and let another lead"},
    {"switchover", "cltjTrwn", 30, verb_switchover,
     "ask the leader to hand the lease to the member named by --to"},
    {"hold", "cltjFrwn", 10, verb_hold,
     "lengthen the lease for maintenance: the database may be away so long"},
    {"unhold", "cltjwn", 10, verb_unhold, "end a hold before its time"},
    {"history", "cltsj", 10, verb_history, "what happened to the lease, who asked for it and why"},
    {"alarm ack", "cltjrwn", 10, verb_alarm_ack, "acknowledge the open alarms of the lease"},
    {"release", "cltjIrwn", 10, verb_release,
     "free a lease whose controller you stopped yourself, when its sidecar can't"},
    {"replay", "Ej", 0, verb_replay, "tell the core again what a recording says, and compare what it answers",
     "FILE"},
    {"version", "j", 0, verb_version, "the version of this program"},
};

static const struct cli_option {
    char letter; /* how verbs[] names it; on the command line only the long name is taken */
    const char *name, *argument, *help;
} options[] = {
    {'c', "config", "FILE", "configuration of the lease"},
    {'l', "lease", "NAME", "short for --config /etc/galera-lease/NAME.conf"},
    {'t', "timeout", "TIME", "give up after this long, like 10s"},
    {'j', "json", NULL, "for programs"},
    {'s', "since", "TIME", "how far back, like 12h (24h if not given)"},
    {'I', "i-stopped-it", NULL, "the old controller is stopped, and you made sure"},
    {'T', "to", "MEMBER", "who is to lead; without it any other member"},
    {'F', "for", "TIME", "how long, like 10m; at most 24h"},
    {'r', "reason", "TEXT", "why; kept in the history"},
    {'S', "socket", "PATH", "unix socket of the database; else the first endpoint"},
    {'u', "user", "NAME", "database account that may create schemas and accounts; root if not given"},
    {'p', "password-file", "FILE", "its password; nobody else may read the file (chmod 600)"},
    {'A', "account-host", "HOST",
     "from where the sidecars log in over TCP, like 10.0.0.%; everywhere if not given"},
    {'N', "change-password", NULL,
     "give an account that is there the password in password_file, which every host has by now"},
    {'L', "long", NULL, "with the time since each member was seen"},
    {'W', "watch", NULL, "again and again, until Ctrl-C; --timeout is for each look"},
    {'i', "interval", "TIME", "how often to look, 100ms to 1h (1s if not given)"},
    {'H', "hooks", NULL, "run the check hook, too, and tell whether it agrees with this member's role"},
    {'P', "print-sql", NULL, "print what would be done, for somebody else to run"},
    {'C', "check-config", NULL, "only say what is wrong with configuration, hooks and password file"},
    {'V', "print-config", NULL,
     "only print what the configuration comes to, and why its times are allowed or not"},
    {'R', "trace", "FILE", "record every decision in FILE and FILE.1, 32 MB at most, for replay"},
    {'E', "scenario", NULL, "print the last run in FILE as a scenario instead"},
    {'w', "wait", NULL, "wait for the outcome (the default)"},
    {'n', "no-wait", NULL, "do not wait for the outcome"},
};

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

#define SINCE_MAX_NS (876000 * (3600 * LEASE_NS_PER_S)) /* a hundred years */

static void exit_codes(FILE *f, const struct cli_verb *v)
{
    if (v && v->exits) {
        fprintf(f, "\nexit: %s\n", v->exits);
        return;
    }
    fprintf(f, "\nexit: 0 done, 1 failed, 2 usage or configuration, 3 no leader or nothing found,\n"
               "      4 database unreachable or without quorum, 5 time limit passed,\n"
               "      6 another live sidecar bears this member's name\n");
}

static void help(FILE *f)
{
    fprintf(f, "usage: galera-lease VERB (--lease NAME | --config FILE) ...\n\n");
    for (size_t i = 0; i < COUNT(verbs); i++)
        fprintf(f, "  %-10s %s\n", verbs[i].name, verbs[i].help);
    fprintf(f, "\ngalera-lease VERB --help says which options it takes.\n");
    exit_codes(f, NULL);
}

static void help_verb(const struct cli_verb *v)
{
    char left[64];

    printf("usage: galera-lease %s%s%s%s\n\n%s\n\n", v->name, v->options[0] ? " OPTION..." : "",
           v->argument ? " " : "", v->argument ? v->argument : "", v->help);
    for (size_t i = 0; i < COUNT(options); i++) {
        const struct cli_option *o = &options[i];

        if (!strchr(v->options, o->letter))
            continue;
        snprintf(left, sizeof left, "--%s%s%s", o->name, o->argument ? " " : "",
                 o->argument ? o->argument : "");
        if (o->letter == 't')
            printf("  %-22s %s (%us if not given)\n", left, o->help, v->timeout_s);
        else
            printf("  %-22s %s\n", left, o->help);
    }
    exit_codes(stdout, v);
}

static int refuse(const struct cli_verb *v, const char *before, const char *text, const char *after)
{
    fprintf(stderr, "galera-lease %s: %s\"%s\" %s; see galera-lease %s --help\n", v->name, before, text,
            after, v->name);
    return CLI_USAGE;
}

static int take_config(const struct cli_verb *v, struct cli_options *o, const char *format, const char *text)
{
    if (o->config_path[0])
        return refuse(v, "", text, "is a second configuration: give one --config or --lease");
    if (text[0] == '\0' ||
        snprintf(o->config_path, sizeof o->config_path, format, text) >= (int)sizeof o->config_path)
        return refuse(v, "", text, "is no usable path");
    return CLI_OK;
}

static const struct {
    char letter;
    size_t field; /* in struct cli_options, ns */
    uint64_t least_ns, most_ns;
    const char *option, *refusal;
} times[] = {
    {'t', offsetof(struct cli_options, timeout_ns), LEASE_NS_PER_MS, 3600 * LEASE_NS_PER_S, "--timeout ",
     "is no time: write a whole number and ms, s or m, up to an hour"},
    {'i', offsetof(struct cli_options, interval_ns), 100 * LEASE_NS_PER_MS, 3600 * LEASE_NS_PER_S,
     "--interval ", "is no time: write a whole number and ms, s or m, from 100ms to 1h"},
    {'s', offsetof(struct cli_options, since_ns), LEASE_NS_PER_S, SINCE_MAX_NS, "--since ",
     "is no time: write a whole number and s, m or h, up to 876000h"},
    {'F', offsetof(struct cli_options, hold_ns), LEASE_NS_PER_S, LEASE_HOLD_MAX_NS, "--for ",
     "is no time for a hold: write whole seconds, minutes or hours up to 24h"},
};

static int take_time(const struct cli_verb *v, struct cli_options *o, int letter, const char *text)
{
    size_t i = 0;
    uint64_t ns;

    while (i + 1 < COUNT(times) && times[i].letter != letter)
        i++;
    bool whole = letter == 'F'; /* a hold is counted in seconds */

    if (parse_duration_ns(text, &ns) < 0 || ns < times[i].least_ns || ns > times[i].most_ns ||
        (whole && ns % LEASE_NS_PER_S != 0))
        return refuse(v, times[i].option, text, times[i].refusal);
    memcpy((char *)o + times[i].field, &ns, sizeof ns);
    return CLI_OK;
}

static int take(const struct cli_verb *v, struct cli_options *o, int letter, const char *text)
{
    switch (letter) {
    case 't':
    case 'F':
    case 's':
    case 'i': return take_time(v, o, letter, text);
    case 'c': return take_config(v, o, "%s", text);
    case 'l':
        if (!parse_name_valid(text))
            return refuse(v, "--lease ", text, "is no lease name");
        return take_config(v, o, "/etc/galera-lease/%s.conf", text);
    case 'T':
        if (!parse_name_valid(text))
            return refuse(v, "--to ", text, "is no member name");
        o->to = text;
        break;
    case 'r':
        if (strlen(text) > ROWS_TEXT_MAX)
            return refuse(v, "--reason ", text, "is longer than 255 bytes");
        o->reason = text;
        break;
    case 'S': o->socket = text; break;
    case 'u': o->user = text; break;
    case 'p': o->password_file = text; break;
    case 'A': o->account_host = text; break;
    case 'W': o->watch = true; break;
    case 'I': o->stopped_it = true; break;
    case 'j': o->json = true; break;
    case 'L': o->long_list = true; break;
    case 'H': o->hooks = true; break;
    case 'P': o->print_sql = true; break;
    case 'N': o->change_password = true; break;
    case 'C': o->check_config = true; break;
    case 'V': o->print_config = true; break;
    case 'R': o->trace = text; break;
    case 'E': o->scenario = true; break;
    case 'w': o->wait = true; break;
    case 'n': o->wait = false; break;
    default: return CLI_USAGE; /* getopt has said it */
    }
    return CLI_OK;
}

/* CLI_OK, CLI_USAGE, or -1: help was asked for. @argv[0] is the verb. */
static int parse(const struct cli_verb *v, int argc, char *argv[], struct cli_options *o)
{
    struct option known[COUNT(options) + 2] = {{"help", no_argument, NULL, 'h'}};
    char name[64], *verb = argv[0];
    size_t count = 1;
    int r = CLI_OK;

    for (size_t i = 0; i < COUNT(options); i++)
        if (strchr(v->options, options[i].letter))
            known[count++] =
                (struct option){options[i].name, options[i].argument ? required_argument : no_argument, NULL,
                                options[i].letter};
    snprintf(name, sizeof name, "galera-lease %s", verb);
    argv[0] = name; /* what getopt calls us */
    optind = 0;
    for (int letter; r == CLI_OK && (letter = getopt_long(argc, argv, "h", known, NULL)) != -1;)
        r = letter == 'h' ? -1 : take(v, o, letter, optarg);
    argv[0] = verb;
    if (r == CLI_OK && v->argument && optind < argc)
        o->file = argv[optind++];
    if (r == CLI_OK && v->argument && !o->file)
        return refuse(v, "", v->argument, "is missing");
    if (r == CLI_OK && optind < argc)
        return refuse(v, "", argv[optind], "is one argument too many");
    return r;
}

static const struct cli_verb *find(const char *name)
{
    for (size_t i = 0; i < COUNT(verbs); i++)
        if (strcmp(name, verbs[i].name) == 0)
            return &verbs[i];
    return NULL;
}

/* A list that did not reach its reader is no success. */
static int finish(int r)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return r;
    fprintf(stderr, "galera-lease: the output cannot be written: %m\n");
    return r == CLI_OK ? CLI_FAILED : r;
}

int cli_main(int argc, char *argv[])
{
    static char alarm_ack[] = "alarm ack";
    const char *word = argc < 2 ? "" : argv[1];

    if (argc < 2) {
        help(stderr);
        return CLI_USAGE;
    }
    if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0 || strcmp(word, "help") == 0) {
        help(stdout);
        return finish(CLI_OK);
    }
    if (strcmp(word, "--dump-fsm") == 0 && argc == 2) /* for ARCHITECTURE.md; no work of an operator */
        return finish(verb_dump_fsm());
    if (strcmp(word, "alarm") == 0 && argc > 2 && strcmp(argv[2], "ack") == 0) {
        word = argv[2] = alarm_ack; /* one verb of two words */
        argv++;
        argc--;
    }
    const struct cli_verb *v = find(strcmp(word, "--version") == 0 ? "version" : word);

    if (!v) {
        fprintf(stderr, "galera-lease: \"%s\" is no verb; see galera-lease --help\n", word);
        return CLI_USAGE;
    }
    struct cli_options o = {.timeout_ns = v->timeout_s * LEASE_NS_PER_S, .wait = true};
    int r = parse(v, argc - 1, argv + 1, &o);

    if (r < 0)
        help_verb(v);
    if (r == CLI_USAGE && v->usage != 0)
        r = v->usage;
    return finish(r < 0 ? CLI_OK : r != CLI_OK ? r : v->run(&o));
}
