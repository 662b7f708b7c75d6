#pragma once
/*
 * The command line: what the verbs share. Verbs translate between people and the other layers and decide
 * nothing. Each ends within --timeout (but `run`) with one of the codes of exit_codes.h; results go to
 * stdout, everything else to stderr.
 */
#include <stdbool.h>
#include <stdint.h>

#include "app/config.h"
#include "cli/exit_codes.h"
#include "db/sync.h"

#define CLI_CLOSING_NS (200 * LEASE_NS_PER_MS) /* for the last connections to say goodbye */

struct cli_options {
    char config_path[CONFIG_PATH_MAX]; /* empty: neither --config nor --lease */
    const char *file;                  /* the argument of a verb that takes one */
    const char *trace;
    const char *reason, *to, *socket, *user, *password_file, *account_host;
    uint64_t timeout_ns;
    uint64_t hold_ns;               /* 0: not given */
    uint64_t since_ns, interval_ns; /* 0: not given */
    bool json, print_sql, check_config, print_config, wait, long_list, stopped_it, scenario, hooks, watch;
    bool change_password;
};

struct cli_verb {
    const char *name;
    const char *options; /* letters of the option table that it takes */
    unsigned timeout_s;  /* unless --timeout says otherwise; 0: it has none */
    int (*run)(const struct cli_options *options);
    const char *help;
    const char *argument; /* NULL: it takes none */
    const char *exits;    /* its own exit codes; NULL: those of exit_codes.h */
    int usage;            /* ... that of a wrong command line; 0: CLI_USAGE */
};

/* Everything: finds the verb, reads its options, runs it. The process's exit code. */
int cli_main(int argc, char *argv[]);

int verb_run(const struct cli_options *options);
int verb_init(const struct cli_options *options);
int verb_list(const struct cli_options *options);
int verb_check(const struct cli_options *options);
int verb_status(const struct cli_options *options);
int verb_step_down(const struct cli_options *options);
int verb_switchover(const struct cli_options *options);
int verb_hold(const struct cli_options *options);
int verb_unhold(const struct cli_options *options);
int verb_alarm_ack(const struct cli_options *options);
int verb_release(const struct cli_options *options);
int verb_history(const struct cli_options *options);
int verb_replay(const struct cli_options *options);
int verb_version(const struct cli_options *options);

/* The legal changes of role, as Graphviz DOT. */
int verb_dump_fsm(void);

/* Loads the configuration; says every mistake on stderr. CLI_OK or CLI_USAGE; session_load() for those who
 * want to know what of it could be read all the same. */
int session_config(const struct cli_options *options, bool verify_hooks, struct config *ret);
int session_load(const struct cli_options *options, bool verify_hooks, struct config *ret,
                 struct config_errors *errors);

/* Connects as the sidecar would; @writes: if it can, to a node that takes writes. CLI_OK, or an exit code
 * after a line on stderr. */
int session_open(const struct cli_options *options, const struct config *config, bool writes,
                 struct sync **ret);

/* The row of the lease; @causal as in sync_query(). CLI_OK, or an exit code after a line on stderr
 * (CLI_NO_LEADER: there is no such lease). */
int session_lease(struct sync *sync, bool causal, const char *lease, struct lease_row *ret);

/* Says on stderr what a sync_*() call answered, and names the exit code. */
int session_failed(const char *what, int result, const struct sync_error *error);
/* The same of an endpoint that nobody can work with: it cannot be reached, or it answered and will not do. */
int session_no_use(int result, const struct sync_error *error);
