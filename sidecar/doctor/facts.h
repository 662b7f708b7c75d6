#pragma once
/*
 * What the doctor looks at, as plain values: filled in by look_*(), judged by judge_*(). Everything from the
 * database is sanitised when it is filled in.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "app/config.h"
#include "db/rows.h"
#include "db/worker.h"

#define DOCTOR_VALUES_MAX   48
#define DOCTOR_PROVIDER_MAX 8192
#define DOCTOR_GRANTS_MAX   128
#define DOCTOR_GRANT_MAX    1024
#define DOCTOR_TABLES_MAX   64
#define DOCTOR_TEXT_MAX     256

/* A server's clock between two looks at ours. */
struct doctor_sample {
    uint64_t before_ns, after_ns; /* our CLOCK_MONOTONIC */
    int64_t wall_us;              /* our wall clock, half way */
    int64_t server_us;            /* the server's wall clock, some time in between */
};

/*
 * The component that a server was in from one look to the next: all nodes of one agree on both numbers, but
 * each learns of a change only when it comes to it among what it has to apply.
 */
struct doctor_view {
    bool steady;             /* Primary, Synced and with nothing to apply, and the same in both looks */
    uint64_t conf_id, size;  /* wsrep_cluster_conf_id: counts the changes of membership; nodes */
    uint64_t from_ns, to_ns; /* our CLOCK_MONOTONIC */
};

struct doctor_node {
    const char *endpoint;
    bool reached; /* connected, and the session set up */
    unsigned error;
    char error_text[DOCTOR_TEXT_MAX];
    struct worker_facts said;
    size_t value_count; /* global variables and status */
    struct {
        char name[48], text[96];
    } values[DOCTOR_VALUES_MAX];
    char provider[DOCTOR_PROVIDER_MAX]; /* wsrep_provider_options */
    size_t sample_count;
    struct doctor_sample samples[2];
    struct doctor_view view;
};

/* Read once, through the first endpoint that is of use. */
struct doctor_database {
    bool looked;
    const char *endpoint;
    bool lease_found;
    unsigned lease_error; /* it could not be asked for; 0: it could */
    char lease_error_text[DOCTOR_TEXT_MAX];
    struct lease_row row;
    struct rows_member *members; /* malloc'ed */
    size_t member_count;
    bool *http_away;  /* malloc'ed, one for each member: it names an HTTP port, and that cannot be reached */
    bool held_longer; /* a hold is on: the row has another ttl */
    uint64_t open_alarms;
    bool tables_asked;
    size_t table_count;
    struct {
        char name[64], engine[32];
        bool primary_key;
    } tables[DOCTOR_TABLES_MAX];
    char role[64]; /* that is active; empty: none */
    size_t grant_count;
    char grants[DOCTOR_GRANTS_MAX][DOCTOR_GRANT_MAX];
};

enum doctor_check { DOCTOR_CHECK_NOT_ASKED, DOCTOR_CHECK_RUNS, DOCTOR_CHECK_STOPPED, DOCTOR_CHECK_UNHEALTHY };

/* This host. */
struct doctor_host {
    bool sidecar;                     /* one of this lease lives here, as far as its pid tells */
    bool answers;                     /* ... and has written its status lately */
    bool no_room;                     /* run_dir is full: it could not have */
    bool state_full, state_read_only; /* state_dir, if it is there */
    char role[64];                    /* what it wrote */
    long long age_s, pid;             /* of what it wrote */
    bool guardian_up, regression;
    bool guardian_file, launcher_file; /* both can be run */
    char libexec_dir[CONFIG_PATH_MAX];
    char unit_state[64], unit_active[64]; /* what systemctl is-enabled and is-active say; empty: not asked */
    enum doctor_check check;
    char check_text[DOCTOR_TEXT_MAX]; /* of an unhealthy one */
    uint64_t check_took_ns;
};

struct doctor_facts {
    const struct config *config;
    size_t node_count;
    struct doctor_node nodes[CONFIG_ENDPOINTS_MAX];
    struct doctor_database database;
    struct doctor_host host;
};

/* "" when the server did not say. */
const char *doctor_value(const struct doctor_node *node, const char *name);

/* Of use to a sidecar: reached, Primary, synced, writable, taking statements, of a known schema. */
bool doctor_usable(const struct doctor_facts *facts, const struct doctor_node *node);

/* A finding about one endpoint is a failure only when no endpoint is left. */
bool doctor_any_usable(const struct doctor_facts *facts);
