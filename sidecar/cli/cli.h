#pragma once
/* What the verbs share: options, exit codes, and a session with the database. */
#include <stdbool.h>
#include <stdint.h>

#include "app/config.h"
#include "db/sync.h"

/* Exit codes, as in the manual. */
enum cli_exit {
    CLI_OK = 0,
    CLI_FAILED = 1,      /* it was tried and did not work */
    CLI_USAGE = 2,       /* the command line or the configuration is wrong */
    CLI_NO_LEADER = 3,   /* there is no leader, or no such lease or member */
    CLI_UNREACHABLE = 4, /* no database node answered, or it has no quorum */
    CLI_TIMEOUT = 5,     /* the time limit passed; what was asked may still happen */
};

struct cli_options {
    char config_path[CONFIG_PATH_MAX];
    const char *reason, *socket, *user, *password_file;
    uint64_t timeout_ns;
    bool json, print_sql, check_config, wait, long_list;
};

struct cli_verb {
    const char *name;
    const char *arguments, *help;
    int (*run)(const struct cli_options *options);
};

int verb_run(const struct cli_options *options);
int verb_init(const struct cli_options *options);
int verb_list(const struct cli_options *options);
int verb_status(const struct cli_options *options);
int verb_step_down(const struct cli_options *options);
int verb_version(const struct cli_options *options);

/* Loads the configuration; says every mistake on stderr. CLI_OK or CLI_USAGE. */
int session_config(const struct cli_options *options, bool verify_hooks, struct config *ret);

/* Connects as the sidecar would. CLI_OK, or an exit code after a line on stderr. */
int session_open(const struct cli_options *options, const struct config *config, struct sync **ret);

/* Says on stderr what a sync_*() call answered, and names the exit code. */
int session_failed(const char *what, int result, const struct sync_error *error);
