#pragma once
/* The one table of options: the only truth for the parser, the sample configuration and the manual. */
#include <stddef.h>

enum option_type {
    OPTION_NAME,      /* lease or member name */
    OPTION_TEXT,      /* printable ASCII */
    OPTION_PATH,      /* absolute path */
    OPTION_DURATION,  /* "20s", "500ms": always with a unit */
    OPTION_SWITCH,    /* true or false */
    OPTION_COUNT,     /* whole number, min..max */
    OPTION_ENDPOINTS, /* list of "unix:/path" or "host:port" */
    OPTION_URL,       /* http or https */
    OPTION_EVENTS,    /* list of what is announced: "role", "alarm", or a note's name */
    OPTION_PATHS,     /* list of at most max absolute paths */
    OPTION_PATTERNS,  /* list of at most max extended regular expressions */
    OPTION_WEBHOOKS,  /* list of groups, with rows of their own */
};

enum {
    OPTION_REQUIRED = 1, /* must be given, and not empty */
    OPTION_TIMING = 2,   /* part of struct lease_timing: judged as a whole by lease_timing_check() */
    OPTION_HOOK = 4,     /* looked at as a hook before the sidecar runs */
    OPTION_ADVISED = 8,  /* stands alive in the sample, though it may be left out */
    OPTION_READ = 16,    /* a file that must be readable before the sidecar runs */
    OPTION_SECRET = 64,  /* a file with a secret: private, as the password file */
    OPTION_RELOAD = 32,  /* may change while the sidecar runs, also while it leads: SIGHUP */
};

struct option_row {
    const char *name;
    enum option_type type;
    unsigned flags;
    size_t offset, size;  /* of the field in struct config */
    const char *fallback; /* as text; NULL: computed (timing from the ttl), or empty */
    unsigned min, max;    /* OPTION_COUNT; OPTION_DURATION in milliseconds, both 0: judged as a whole */
    const char *help;
    const char *follows; /* of a computed default: what from, for people */
};

extern const struct option_row option_rows[];
extern const size_t option_row_count;

const struct option_row *option_find(const char *name);

/* One group of `webhooks`; offsets are those of struct config_webhook. */
extern const struct option_row option_webhook_rows[];
extern const size_t option_webhook_row_count;
