#pragma once
/* Exit codes of every verb but `check`; part of the interface, so numbers are never reused. --help prints
 * them. */

enum cli_exit {
    CLI_OK = 0,
    CLI_FAILED = 1,      /* it was tried and did not work */
    CLI_USAGE = 2,       /* the command line or the configuration is wrong; nothing was tried */
    CLI_NO_LEADER = 3,   /* nobody leads, or there is no such lease, or no sidecar on this host */
    CLI_UNREACHABLE = 4, /* no database node answered, or the one that did has no quorum */
    CLI_TIMEOUT = 5,     /* the time limit passed; what was asked may still happen */
    CLI_DOUBLE = 6,      /* run: another live sidecar bears this member's name; the controller is stopped */
};

/* `check` alone: what monitoring plug-ins end with. */
enum check_exit {
    CHECK_OK = 0,
    CHECK_WARN = 1,
    CHECK_FAIL = 2,
    CHECK_UNKNOWN = 3, /* it could not look: command line, or no right to read the configuration */
};
