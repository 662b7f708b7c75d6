#pragma once
/*
 * The doctor's eyes: fill in the facts. Nothing is changed: no statement writes, of the hooks at most `check`
 * is run, of systemd only is-enabled is asked.
 *
 * Thread: the caller's; look_nodes() has one more for each endpoint, all ended when it returns.
 */
#include "doctor/facts.h"

/* How to log in, as a sidecar of @config would. @password NULL: none. */
struct look_login {
    const struct config *config;
    const char *password;
    uint64_t limit_ns; /* for everything asked through one connection */
};

/* Asks every endpoint of itself, all at once: a silent one delays no other. */
void look_nodes(const struct look_login *login, struct doctor_facts *facts);

/* Asks the first endpoint of use what stands in the database. */
void look_database(const struct look_login *login, struct doctor_facts *facts);

/* Tries the HTTP ports that the other members name, if this one serves other hosts, too. Blocks for a second
 * at most, if none answers. */
void look_http(struct doctor_facts *facts);

/* Sidecar, guardian, launcher, unit. */
void look_host(struct doctor_facts *facts);

/* Runs the check hook. Blocks for check_budget at most. */
void look_check_hook(struct doctor_facts *facts);

void look_deinit(struct doctor_facts *facts);
