#pragma once
/*
 * The configuration of one sidecar, read whole: every mistake is reported with file and line, none is guessed
 * over. A syntax error ends the reading, so it is the only one reported; a name given twice is one.
 *
 * Durations are texts with a unit: a bare number is refused, because nobody can tell whether 20 was meant in
 * seconds. The password file must be a regular file of root or of the running user, with no permission at all
 * for group and others: there is no exception for groups, since who is in one changes behind our back. The
 * same goes for a webhook's secret.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/lease.h"
#include "db/access.h"
#include "health/drift.h"

#define CONFIG_TEXT_MAX      256
#define CONFIG_PATH_MAX      256
#define CONFIG_ENDPOINTS_MAX 16
#define CONFIG_URL_MAX       1024
#define CONFIG_WEBHOOKS_MAX  8
#define CONFIG_LIST_MAX      16
#define CONFIG_ERRORS_MAX    64
#define CONFIG_OPTIONS_MAX   96

/* Where an option's value was read. */
struct config_origin {
    char file[CONFIG_PATH_MAX];
    unsigned line; /* 0: nowhere, it is the default */
};

/* What a webhook hears of. */
struct config_events {
    uint32_t notes; /* one bit for each enum lease_note */
    bool alarms;    /* ... and all that are alarms */
};

struct config_webhook {
    char url[CONFIG_URL_MAX];
    char secret_file[CONFIG_PATH_MAX], ca_file[CONFIG_PATH_MAX];
    struct config_events events;
    uint64_t timeout_ns, tries;
};

struct config_webhooks {
    size_t count;
    struct config_webhook list[CONFIG_WEBHOOKS_MAX];
};

struct config_list {
    size_t count;
    char text[CONFIG_LIST_MAX][CONFIG_TEXT_MAX];
};

struct config {
    char name[LEASE_NAME_MAX + 1], member[LEASE_NAME_MAX + 1];
    char address[CONFIG_TEXT_MAX];
    char endpoints[CONFIG_ENDPOINTS_MAX][CONFIG_TEXT_MAX];
    size_t endpoint_count;
    char controller_endpoint[CONFIG_TEXT_MAX]; /* one of them, as written there; empty: the first */
    char user[ACCESS_USER_MAX + 1], password_file[CONFIG_PATH_MAX];
    bool standalone; /* the one endpoint need not be a Galera node */
    bool tls;
    char tls_ca[CONFIG_PATH_MAX], tls_cert[CONFIG_PATH_MAX], tls_key[CONFIG_PATH_MAX];
    struct lease_timing timing;
    uint64_t restart_window_ns;
    uint64_t priority, check_failures, restarts, controller_port, history_days;
    char controller_version[CONFIG_TEXT_MAX], controller_unit[CONFIG_TEXT_MAX];
    char http_listen[CONFIG_TEXT_MAX], http_redirect[CONFIG_TEXT_MAX];
    char http_tls_cert[CONFIG_PATH_MAX], http_tls_key[CONFIG_PATH_MAX];
    char promote[CONFIG_PATH_MAX], demote[CONFIG_PATH_MAX], fence[CONFIG_PATH_MAX], check[CONFIG_PATH_MAX];
    char precheck[CONFIG_PATH_MAX], notify[CONFIG_PATH_MAX];
    uint64_t notify_budget_ns;
    char health_url[CONFIG_URL_MAX], health_text[CONFIG_TEXT_MAX], health_ca[CONFIG_PATH_MAX];
    uint64_t health_timeout_ns;
    struct config_webhooks webhooks;
    struct config_list files, ignore_lines;
    bool require_match;
    char state_dir[CONFIG_PATH_MAX], run_dir[CONFIG_PATH_MAX], libexec_dir[CONFIG_PATH_MAX];
    char cgroup[CONFIG_TEXT_MAX], log_level[CONFIG_TEXT_MAX];

    char file[CONFIG_PATH_MAX];                       /* the whole was read from */
    struct config_origin origins[CONFIG_OPTIONS_MAX]; /* in the order of the table */
};

struct config_errors {
    size_t count;
    char list[CONFIG_ERRORS_MAX][768]; /* "file:line: what is wrong"; "file: …" when something is missing */
    bool timing_unread; /* a duration could not be read: what the others add up to means nothing */
};

/* Checks a hook path; 0 or 1 with a reason. Given by the caller, so that this layer needs no hooks. */
typedef int (*config_verify_fn)(const char *path, char *ret_reason, unsigned size);

/*
 * 0 with everything filled in; 1 with at least one error, and of @ret nothing is to be used but, unless
 * errors->timing_unread, the times as they were asked for. With @verify, hooks and
 * password file are looked at too, as the user who is going to run the sidecar; NULL: somebody only asks.
 */
int config_load(const char *path, config_verify_fn verify, struct config *ret, struct config_errors *errors);

/* How other hosts are spoken to. */
void config_tls(const struct config *config, struct access_tls *ret_tls);

/* The first endpoint on another host that is spoken to in clear because the configuration says so; NULL:
 * none. */
const char *config_in_clear(const struct config *config);
