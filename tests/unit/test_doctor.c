/* The doctor's judgement: facts in, verdicts out. A healthy lease gives no warning; each case spoils one
 * thing of it and names the verdict that must come. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "app/options.h"
#include "db/schema.h"
#include "doctor/judge.h"
#include "doctor/provider.h"

#define PROVIDER                                                                                             \
    "base_host = 10.0.0.1; evs.causal_keepalive_period = PT1S; evs.inactive_check_period = PT0.5S; "         \
    "evs.inactive_timeout = PT15S; evs.install_timeout = PT7.5S; evs.join_retrans_period = PT1S; "           \
    "evs.keepalive_period = PT1S; evs.suspect_timeout = PT5S; evs.view_forget_timeout = P1D; "               \
    "gmcast.peer_timeout = PT3S; pc.ignore_quorum = false; pc.ignore_sb = false; pc.weight = 1; "            \
    "repl.causal_read_timeout = PT30S; repl.commit_order = 3; "

static struct doctor_facts x; /* what is judged */
static struct config config;
static struct findings f;
static struct rows_member members[3];

/* ---- a healthy lease ---- */

static void set(struct doctor_node *n, const char *name, const char *text)
{
    size_t i = 0;

    while (i < n->value_count && strcmp(n->values[i].name, name) != 0)
        i++;
    if (i == n->value_count)
        n->value_count++;
    snprintf(n->values[i].name, sizeof n->values[i].name, "%s", name);
    snprintf(n->values[i].text, sizeof n->values[i].text, "%s", text);
}

static void healthy_node(size_t i)
{
    static const char *const endpoints[] = {"unix:/s", "10.0.0.2:3306", "10.0.0.3:3306"};
    static const char *const values[][2] = {{"version", "10.11.14-MariaDB"},
                                            {"wsrep_cluster_state_uuid", "aaaa"},
                                            {"wsrep_cluster_size", "3"},
                                            {"wsrep_provider_version", "26.4.23"},
                                            {"wsrep_local_state_comment", "Synced"},
                                            {"wsrep_ready", "ON"},
                                            {"wsrep_reject_queries", "NONE"},
                                            {"wsrep_desync", "OFF"},
                                            {"read_only", "OFF"},
                                            {"wait_timeout", "28800"},
                                            {"binlog_format", "ROW"},
                                            {"slave_run_triggers_for_rbr", "NO"},
                                            {"innodb_flush_log_at_trx_commit", "1"}};
    struct doctor_node *n = &x.nodes[i];

    *n = (struct doctor_node){
        .endpoint = endpoints[i],
        .reached = true,
        .said = {.instance = 7 + i,
                 .galera = true,
                 .primary = true,
                 .writable = true,
                 .synced = true,
                 .schema = SCHEMA_VERSION,
                 .status = "Primary",
                 .version = "10.11.14-MariaDB"},
        .provider = PROVIDER,
        .view = {true, 5, 3, 1000000000, 2000000000},
        .sample_count = 2,
        .samples = {{1000000000, 1001000000, 5000000, 5000400}, {2000000000, 2001000000, 6000000, 6000300}}};
    snprintf(n->said.node_name, sizeof n->said.node_name, "n%zu", i + 1);
    for (size_t v = 0; v < sizeof values / sizeof values[0]; v++)
        set(n, values[v][0], values[v][1]);
}

/* What SHOW GRANTS says after `init` (measured). */
static const char *const grants[] = {
    "GRANT `galera_lease_sidecar` TO `sidecar`@`localhost`",
    "GRANT USAGE ON *.* TO `sidecar`@`localhost` IDENTIFIED BY PASSWORD "
    "'*14E65567ABDB5135D0CFD9A70B3032C179A49EE7'",
    "GRANT `galera_lease_operator` TO `galera_lease_sidecar`",
    "GRANT USAGE ON *.* TO `galera_lease_sidecar`",
    "GRANT UPDATE (`outcome`, `claimed_at`, `finished_at`, `claimed_by`) ON `galera_lease`.`request` TO "
    "`galera_lease_sidecar`",
    "GRANT INSERT, UPDATE ON `galera_lease`.`member` TO `galera_lease_sidecar`",
    "GRANT UPDATE (`epoch`, `state`, `acquired_at`, `counter`, `renewed_at`, `nonce`, `ttl_ms`, `target`, "
    "`holder`, "
    "`hold_reason`, `hold_until`) ON `galera_lease`.`lease` TO `galera_lease_sidecar`",
    "GRANT INSERT, DELETE ON `galera_lease`.`event` TO `galera_lease_sidecar`",
    "GRANT EXECUTE ON PROCEDURE `galera_lease`.`hold` TO `galera_lease_operator`",
    "GRANT EXECUTE ON PROCEDURE `galera_lease`.`release_stopped` TO `galera_lease_operator`",
    "GRANT EXECUTE ON PROCEDURE `galera_lease`.`unhold` TO `galera_lease_operator`",
    "GRANT EXECUTE ON PROCEDURE `galera_lease`.`step_down` TO `galera_lease_operator`",
    "GRANT EXECUTE ON PROCEDURE `galera_lease`.`alarm_ack` TO `galera_lease_operator`",
    "GRANT EXECUTE ON PROCEDURE `galera_lease`.`switchover` TO `galera_lease_operator`",
    "GRANT EXECUTE ON PROCEDURE `galera_lease`.`request_outcome` TO `galera_lease_operator`",
    "GRANT EXECUTE ON FUNCTION `galera_lease`.`file_drift` TO `galera_lease_sidecar`",
    "GRANT SELECT ON `galera_lease`.`leader` TO `galera_lease_reader`",
    "GRANT SELECT ON `galera_lease`.`lease` TO `galera_lease_reader`",
    "GRANT SELECT ON `galera_lease`.`event` TO `galera_lease_reader`",
    "GRANT SELECT ON `galera_lease`.`lease_and_epoch` TO `galera_lease_reader`",
    "GRANT SELECT ON `galera_lease`.`schema_version` TO `galera_lease_reader`",
    "GRANT SELECT ON `galera_lease`.`request` TO `galera_lease_reader`",
    "GRANT SELECT ON `galera_lease`.`writer` TO `galera_lease_reader`",
    "GRANT SELECT ON `galera_lease`.`member` TO `galera_lease_reader`",
    "GRANT SELECT ON `galera_lease`.`controllers` TO `galera_lease_reader`",
    "GRANT SELECT ON `galera_lease`.`alarms` TO `galera_lease_reader`",
    "GRANT SELECT ON `galera_lease`.`history` TO `galera_lease_reader`",
    "GRANT SELECT ON `galera_lease`.`requests` TO `galera_lease_reader`",
    "SET DEFAULT ROLE `galera_lease_sidecar` FOR `sidecar`@`localhost`",
};

static void grant(const char *text)
{
    snprintf(x.database.grants[x.database.grant_count++], DOCTOR_GRANT_MAX, "%s", text);
}

/* Takes out the grants that hold @text. */
static void revoke(const char *text)
{
    for (size_t i = 0; i < x.database.grant_count; i++)
        if (strstr(x.database.grants[i], text))
            strcpy(x.database.grants[i], "GRANT USAGE ON *.* TO `x`");
}

static void healthy_database(void)
{
    x.database = (struct doctor_database){.looked = true,
                                          .endpoint = "unix:/s",
                                          .lease_found = true,
                                          .row = {.version = {.epoch = 42},
                                                  .epoch_table = 42,
                                                  .ttl_ms = 20000,
                                                  .state = LEASE_ROW_HELD,
                                                  .holder = "node1"},
                                          .members = members,
                                          .member_count = 3,
                                          .tables_asked = true,
                                          .table_count = 6,
                                          .tables = {{"lease", "InnoDB", true},
                                                     {"member", "InnoDB", true},
                                                     {"request", "InnoDB", true},
                                                     {"event", "InnoDB", true},
                                                     {"writer", "InnoDB", true},
                                                     {"schema_version", "InnoDB", true}},
                                          .role = "galera_lease_sidecar"};
    for (size_t i = 0; i < sizeof grants / sizeof grants[0]; i++)
        grant(grants[i]);
    for (size_t i = 0; i < 3; i++) {
        members[i] = (struct rows_member){
            .member = {.priority = 100}, .seen_ms = 900, .seen_at = "2026-01-02 03:04:05"};
        snprintf(members[i].member.name, sizeof members[i].member.name, "node%zu", i + 1);
        snprintf(members[i].address, sizeof members[i].address, "10.0.0.%zu", i + 1);
        strcpy(members[i].role, i == 0 ? "leader" : "follower");
    }
}

static void healthy(void)
{
    memset(&config, 0, sizeof config);
    lease_timing_defaults(20 * LEASE_NS_PER_S, &config.timing);
    strcpy(config.name, "cmon");
    strcpy(config.member, "node1");
    strcpy(config.address, "10.0.0.1");
    strcpy(config.check, "/hooks/check");
    memset(&x, 0, sizeof x);
    memset(&f, 0, sizeof f);
    x.config = &config;
    x.node_count = 3;
    for (size_t i = 0; i < 3; i++)
        healthy_node(i);
    healthy_database();
    x.host = (struct doctor_host){.sidecar = true,
                                  .answers = true,
                                  .role = "leader",
                                  .pid = 77,
                                  .guardian_up = true,
                                  .guardian_file = true,
                                  .launcher_file = true,
                                  .libexec_dir = "/libexec"};
}

/* In every node's options; else in that of node @i. */
static void provider(int i, const char *from, const char *to)
{
    for (size_t n = 0; n < x.node_count; n++) {
        char rest[DOCTOR_PROVIDER_MAX], *at = strstr(x.nodes[n].provider, from);

        if (i >= 0 && n != (size_t)i)
            continue;
        assert_non_null(at);
        snprintf(rest, sizeof rest, "%s", at + strlen(from));
        snprintf(at, sizeof x.nodes[n].provider - (size_t)(at - x.nodes[n].provider), "%s%s", to, rest);
    }
}

static void ttl(unsigned s)
{
    lease_timing_defaults(s * LEASE_NS_PER_S, &config.timing);
    x.database.row.ttl_ms = s * 1000;
}

static void given(const char *option, uint64_t ns)
{
    const struct option_row *o = option_find(option);

    memcpy((char *)&config + o->offset, &ns, sizeof ns);
    config.origins[o - option_rows].line = 1;
}

static void unreached(size_t i, unsigned error, const char *text)
{
    const char *endpoint = x.nodes[i].endpoint;

    x.nodes[i] = (struct doctor_node){.endpoint = endpoint, .error = error};
    snprintf(x.nodes[i].error_text, sizeof x.nodes[i].error_text, "%s", text);
}

static void away(unsigned error, const char *text)
{
    for (size_t i = 0; i < x.node_count; i++)
        unreached(i, error, text);
    x.database = (struct doctor_database){0};
}

static void cut_off(size_t i)
{
    x.nodes[i].said.primary = false;
    strcpy(x.nodes[i].said.status, "non-Primary");
}

/* Which component a node says it is in. */
static void view(size_t i, uint64_t conf_id, uint64_t size)
{
    x.nodes[i].view.conf_id = conf_id;
    x.nodes[i].view.size = size;
}

/* ---- what is spoilt, and what must be said ---- */

#define SPOIL(name, ...)                                                                                     \
    static void name(void)                                                                                   \
    {                                                                                                        \
        __VA_ARGS__;                                                                                         \
    }

SPOIL(one_away, unreached(1, 2002, "refused"))
SPOIL(all_away, away(2002, "refused"))
SPOIL(all_silent, away(2013, ""))
SPOIL(password, away(1045, "Access denied"))
SPOIL(one_endpoint, x.node_count = 1)
SPOIL(one_cut_off, cut_off(0))
SPOIL(no_quorum, cut_off(0); cut_off(1); cut_off(2))
SPOIL(no_galera, x.nodes[2].said.galera = false)
SPOIL(donor, x.nodes[0].said.synced = false; set(&x.nodes[0], "wsrep_local_state_comment", "Donor/Desynced"))
SPOIL(all_donors, for (size_t i = 0; i < 3; i++) x.nodes[i].said.synced = false)
SPOIL(one_read_only, x.nodes[0].said.writable = false)
SPOIL(all_read_only, for (size_t i = 0; i < 3; i++) x.nodes[i].said.writable = false)
SPOIL(rejects, set(&x.nodes[1], "wsrep_reject_queries", "ALL"))
SPOIL(old_server, strcpy(x.nodes[1].said.version, "10.11.8-MariaDB"))
SPOIL(foreign_server, strcpy(x.nodes[1].said.version, "8.0.36"))
SPOIL(other_galera, set(&x.nodes[1], "wsrep_provider_version", "26.4.16"))
SPOIL(other_cluster, set(&x.nodes[2], "wsrep_cluster_state_uuid", "bbbb"))
SPOIL(same_node, x.nodes[2].said.instance = x.nodes[1].said.instance)
SPOIL(two_nodes, set(&x.nodes[0], "wsrep_cluster_size", "2"))
SPOIL(bootstrapped_twice, view(0, 6, 1))
SPOIL(bootstrapped_twice_alike, view(0, 5, 2); view(1, 5, 2); view(2, 5, 2))
SPOIL(bootstrapped_twice_and_a_donor, x.nodes[0].view.steady = false; view(1, 6, 1))
SPOIL(half_is_behind, view(0, 6, 1); x.nodes[0].view.steady = false)
SPOIL(looked_at_one_after_the_other, view(0, 6, 1); x.nodes[0].view.from_ns = 1800000000;
      x.nodes[0].view.to_ns = 2800000000)
SPOIL(twice_one_and_the_same, set(&x.nodes[0], "wsrep_cluster_size", "1"); view(0, 5, 1); x.node_count = 2;
      x.nodes[1].said.instance = 7; view(1, 5, 1))
SPOIL(ignore_sb, provider(1, "ignore_sb = false", "ignore_sb = true"))
SPOIL(ignore_quorum, provider(1, "ignore_quorum = false", "ignore_quorum = true"))
SPOIL(commit_order, provider(1, "commit_order = 3", "commit_order = 2"))
SPOIL(flush_log, set(&x.nodes[1], "innodb_flush_log_at_trx_commit", "2"))
SPOIL(applier_triggers, set(&x.nodes[1], "slave_run_triggers_for_rbr", "YES"))
SPOIL(desync, set(&x.nodes[1], "wsrep_desync", "ON"))
SPOIL(wait_short, set(&x.nodes[1], "wait_timeout", "30"))
SPOIL(unsaid, set(&x.nodes[1], "binlog_format", ""))
SPOIL(short_ttl, ttl(6))
SPOIL(tuned_ttl, ttl(6); provider(-1, "suspect_timeout = PT5S", "suspect_timeout = PT1S");
      provider(-1, "keepalive_period = PT1S; evs.s", "keepalive_period = PT0.25S; evs.s");
      provider(-1, "inactive_check_period = PT0.5S", "inactive_check_period = PT0.25S");
      provider(-1, "join_retrans_period = PT1S", "join_retrans_period = PT0.3S");
      provider(-1, "install_timeout = PT7.5S", "install_timeout = PT3S"))
SPOIL(tiny_ttl, ttl(2))
SPOIL(big_budget, given("demote_budget", 12 * LEASE_NS_PER_S))
SPOIL(slow_suspicion, provider(0, "suspect_timeout = PT5S", "suspect_timeout = PT14S"))
SPOIL(trap, provider(-1, "install_timeout = PT7.5S", "install_timeout = PT2S"))
SPOIL(slow_retrans, provider(-1, "join_retrans_period = PT1S", "join_retrans_period = PT1.8S");
      provider(-1, "suspect_timeout = PT5S", "suspect_timeout = PT3.5S"))
SPOIL(rare_keepalive, provider(-1, "keepalive_period = PT1S; evs.s", "keepalive_period = PT2S; evs.s"))
SPOIL(inactive_first, provider(-1, "inactive_timeout = PT15S", "inactive_timeout = PT4S"))
SPOIL(differ, provider(2, "suspect_timeout = PT5S", "suspect_timeout = PT6S"))
SPOIL(peer, provider(-1, "peer_timeout = PT3S", "peer_timeout = PT11S"))
SPOIL(causal, provider(-1, "causal_read_timeout = PT30S", "causal_read_timeout = PT0.1S"))
SPOIL(no_provider, x.nodes[1].provider[0] = '\0')
SPOIL(clock_off, x.nodes[1].samples[0].server_us += 2000900; x.nodes[1].samples[1].server_us += 2000900)
SPOIL(clock_maybe_off, x.nodes[1].samples[0].server_us += 2000000; x.nodes[1].samples[1].server_us += 2000000)
SPOIL(clock_fast, x.nodes[1].samples[1].server_us += 12000)
SPOIL(clock_slow, x.nodes[1].samples[1].server_us -= 12000)
SPOIL(clock_maybe_fast, x.nodes[1].samples[1].server_us += 10500)
SPOIL(no_schema, x.nodes[0].said.schema = WORKER_SCHEMA_NONE)
SPOIL(new_schema, x.nodes[1].said.schema = SCHEMA_VERSION + 1)
SPOIL(myisam, strcpy(x.database.tables[1].engine, "MyISAM"))
SPOIL(no_key, x.database.tables[1].primary_key = false)
SPOIL(no_lease, x.database.lease_found = false)
SPOIL(no_owner, x.database.lease_found = false; x.database.lease_error = 1449;
      strcpy(x.database.lease_error_text, "The user specified as a definer does not exist"))
SPOIL(tables_silent, x.database.tables_asked = false; x.database.table_count = 0)
SPOIL(table_gone, strcpy(x.database.tables[3].name, "of_somebody_else"))
SPOIL(epochs_differ, x.database.row.epoch_table = 43)
SPOIL(other_ttl, x.database.row.ttl_ms = 6000)
SPOIL(held_longer, x.database.row.ttl_ms = 600000; x.database.held_longer = true)
SPOIL(alarms, x.database.open_alarms = 2)
SPOIL(no_default_role, x.database.role[0] = '\0')
SPOIL(no_role, x.database.role[0] = '\0'; revoke("galera_lease"))
SPOIL(few_columns, revoke("`galera_lease`.`lease` TO `galera_lease_sidecar`");
      grant("GRANT UPDATE (`epoch`, `state`), SELECT (`counter`) ON `galera_lease`.`lease` TO `x`"))
SPOIL(no_procedure, revoke("`hold` TO"))
SPOIL(no_function, revoke("`file_drift` TO"))
SPOIL(table_right, revoke("`galera_lease`.`lease` TO `galera_lease_sidecar`");
      grant("GRANT UPDATE ON `galera_lease`.`lease` TO `x`"))
SPOIL(root, grant("GRANT ALL PRIVILEGES ON *.* TO `x`@`localhost` WITH GRANT OPTION"))
SPOIL(whole_schema, grant("GRANT SELECT, UPDATE ON `galera\\_lease`.* TO `x`"))
SPOIL(on_epoch, grant("GRANT SELECT ON `galera_lease`.`epoch` TO `x`"))
SPOIL(on_guard, grant("GRANT INSERT ON `galera_lease`.`guard` TO `x`"))
SPOIL(guard_procedure, grant("GRANT EXECUTE ON PROCEDURE `galera_lease`.`guard` TO `x`"))
SPOIL(on_writer, grant("GRANT SELECT, UPDATE ON `galera_lease`.`writer` TO `x`"))
SPOIL(no_grants, x.database.grant_count = 0)
SPOIL(double_name, strcpy(members[0].address, "10.0.0.9"))
SPOIL(double_gone, strcpy(config.member, "node3"); strcpy(members[2].address, "10.0.0.9");
      members[2].seen_ms = 60000; strcpy(members[2].role, "ended"))
SPOIL(name_without_sidecar, x.host.sidecar = false)
SPOIL(unseen, members[2].seen_ms = 9001)
SPOIL(unseen_for_a_shorter_ttl, x.database.row.ttl_ms = 6000; members[2].seen_ms = 3401)
SPOIL(ended, members[2].seen_ms = 90001; strcpy(members[2].role, "ended"))
static bool http_away[3] = {false, true, false};
SPOIL(no_http, x.database.http_away = http_away; members[1].http_port = 8008)
SPOIL(drift, members[1].member.drifted = true)
SPOIL(same_address, strcpy(members[2].address, "10.0.0.2"))
SPOIL(nobody, x.database.row.state = LEASE_ROW_FREE)
SPOIL(alone, members[1].member.priority = 0; members[2].member.priority = 0)
SPOIL(no_sidecar, x.host.sidecar = false)
SPOIL(frozen, x.host.answers = false; x.host.age_s = 60)
SPOIL(state_full, x.host.state_full = true)
SPOIL(state_read_only, x.host.state_read_only = true)
SPOIL(full, x.host.answers = false; x.host.no_room = true; x.host.age_s = 60;
      strcpy(config.run_dir, "/run/x"))
SPOIL(no_guardian, x.host.guardian_up = false)
SPOIL(no_guardian_file, x.host.guardian_file = false)
SPOIL(no_launcher, x.host.launcher_file = false)
SPOIL(went_back, x.host.regression = true)
static void unit(const char *state)
{
    strcpy(config.controller_unit, "cmon.service");
    strcpy(x.host.unit_state, state);
}
SPOIL(unit_enabled, unit("enabled"))
SPOIL(unit_runtime, unit("enabled-runtime"))
SPOIL(unit_disabled, unit("disabled"))
SPOIL(unit_missing, unit("not-found"))
SPOIL(unit_unasked, unit(""))
static void runs_as(const char *role, const char *state)
{
    unit("disabled");
    strcpy(x.host.role, role);
    strcpy(x.host.unit_active, state);
}
SPOIL(unit_runs_on_follower, runs_as("follower", "active"))
SPOIL(unit_begins_on_follower, runs_as("follower", "activating"))
SPOIL(unit_runs_without_sidecar, runs_as("leader", "active"); x.host.sidecar = false)
SPOIL(unit_runs_on_leader, runs_as("leader", "active"))
SPOIL(unit_stopped_on_follower, runs_as("follower", "inactive"))
static void hook(const char *role, enum doctor_check said)
{
    strcpy(x.host.role, role);
    x.host.check = said;
}
SPOIL(runs_on_leader, hook("leader", DOCTOR_CHECK_RUNS))
SPOIL(stopped_on_follower, hook("follower", DOCTOR_CHECK_STOPPED))
SPOIL(runs_on_follower, hook("follower", DOCTOR_CHECK_RUNS))
SPOIL(stopped_on_leader, hook("leader", DOCTOR_CHECK_STOPPED))
SPOIL(hook_unhealthy, hook("leader", DOCTOR_CHECK_UNHEALTHY);
      strcpy(x.host.check_text, "no answer within check_budget"))
SPOIL(hook_while_promoting, hook("promoting", DOCTOR_CHECK_STOPPED))
SPOIL(runs_alone, hook("", DOCTOR_CHECK_RUNS); x.host.sidecar = false)
SPOIL(runs_unknown, hook("leader", DOCTOR_CHECK_RUNS); x.host.answers = false)
SPOIL(hook_slow, hook("leader", DOCTOR_CHECK_RUNS); x.host.check_took_ns = 1500 * LEASE_NS_PER_MS)

static const struct {
    const char *name;
    void (*spoil)(void);
    enum finding_level level;
    const char *topic, *says, *fix; /* fix NULL: none */
} cases[] = {
#define CASE(name) #name, name
    {CASE(one_away), FINDING_WARN, "endpoint", "refused (error 2002)", "look whether mariadbd runs there"},
    {CASE(all_away), FINDING_FAIL, "endpoint", "refused (error 2002)", "look whether mariadbd runs there"},
    {CASE(all_away), FINDING_SKIP, "schema", "no endpoint is of use", NULL},
    {CASE(all_silent), FINDING_FAIL, "endpoint", "no answer in time", "hangs"},
    {CASE(password), FINDING_FAIL, "endpoint", "Access denied (error 1045)", "password_file"},
    {CASE(one_endpoint), FINDING_WARN, "endpoint", "one endpoint only", "all nodes"},
    {CASE(one_cut_off), FINDING_WARN, "quorum", "component that is non-Primary",
     "bring the other nodes back"},
    {CASE(no_quorum), FINDING_FAIL, "quorum", "component that is non-Primary", "bring the other nodes back"},
    {CASE(no_galera), FINDING_FAIL, "quorum", "no member of a Galera cluster", "take it out"},
    {CASE(donor), FINDING_WARN, "quorum", "Donor/Desynced, not Synced", "wait"},
    {CASE(all_donors), FINDING_FAIL, "quorum", "not Synced", "wait"},
    {CASE(one_read_only), FINDING_WARN, "quorum", "read_only is on", "read_only = 0"},
    {CASE(all_read_only), FINDING_FAIL, "quorum", "read_only is on", "read_only = 0"},
    {CASE(rejects), FINDING_WARN, "quorum", "wsrep_reject_queries is ALL", "= NONE"},
    {CASE(old_server), FINDING_WARN, "version", "10.11.8", "upgrade it to 10.11.11"},
    {CASE(foreign_server), FINDING_WARN, "version", "8.0.36", "use MariaDB"},
    {CASE(other_galera), FINDING_WARN, "version", "26.4.16 here, 26.4.23 at unix:/s",
     "the same on every node"},
    {CASE(other_cluster), FINDING_FAIL, "cluster", "another cluster (bbbb) than unix:/s (aaaa)",
     "take the endpoints"},
    {CASE(same_node), FINDING_WARN, "cluster", "the same server as 10.0.0.2:3306", "once"},
    {CASE(two_nodes), FINDING_WARN, "cluster", "has two nodes", "garbd"},
    {CASE(bootstrapped_twice), FINDING_FAIL, "cluster",
     "Primary in a component of 3 node(s) (change 5), and unix:/s in another, of 1 (change 6): each may have "
     "a leader",
     "bootstrapped twice"},
    {CASE(bootstrapped_twice_and_a_donor), FINDING_FAIL, "cluster", "and 10.0.0.2:3306 in another, of 1 ",
     "bootstrapped twice"},
    {CASE(twice_one_and_the_same), FINDING_OK, "cluster", "one cluster of 1 node(s)", NULL},
    {CASE(bootstrapped_twice_alike), FINDING_FAIL, "cluster", "than the 2 node(s) of their component",
     "bootstrapped twice"},
    {CASE(ignore_sb), FINDING_FAIL, "setting", "pc.ignore_sb is true", "pc.ignore_sb=false"},
    {CASE(ignore_quorum), FINDING_FAIL, "setting", "pc.ignore_quorum is true", "pc.ignore_quorum=false"},
    {CASE(commit_order), FINDING_FAIL, "setting", "repl.commit_order is 2", "repl.commit_order=3"},
    {CASE(flush_log), FINDING_WARN, "setting", "innodb_flush_log_at_trx_commit is 2", "= 1"},
    {CASE(applier_triggers), FINDING_FAIL, "setting", "slave_run_triggers_for_rbr is YES", "= NO"},
    {CASE(desync), FINDING_WARN, "setting", "wsrep_desync is ON", "= OFF"},
    {CASE(wait_short), FINDING_WARN, "setting", "wait_timeout is 30 s", "wait_timeout = 28800"},
    {CASE(unsaid), FINDING_SKIP, "setting", "binlog_format could not be read", NULL},
    {CASE(short_ttl), FINDING_FAIL, "times", "up to 6500ms", "ttl = \"13s\" or more"},
    {CASE(short_ttl), FINDING_FAIL, "times", "ttl 6s bears a silence of 3s only",
     "evs.suspect_timeout=PT1S;evs.keepalive_period=PT0.25S;evs.inactive_check_period=PT0.25S;"
     "evs.inactive_timeout=PT3S;evs.install_timeout=PT3S;evs.join_retrans_period=PT0.3S"},
    {CASE(short_ttl), FINDING_FAIL, "times", "6500ms",
     "evs.inactive_check_period changes at a node's start only"},
    {CASE(tuned_ttl), FINDING_OK, "times", "up to 1550ms", NULL},
    {CASE(tuned_ttl), FINDING_OK, "times", "allow a ttl of 4s", NULL},
    {CASE(tiny_ttl), FINDING_FAIL, "times", "ttl 2s bears a silence of 1s only",
     "no evs.* times are sound for ttl 2s"},
    {CASE(big_budget), FINDING_FAIL, "times", "a silence of 3s only", "ttl = \"25s\" or more"},
    {CASE(slow_suspicion), FINDING_FAIL, "times", "suspect_timeout 14s", "ttl = \"31s\""},
    {CASE(slow_suspicion), FINDING_WARN, "times",
     "differ from those of unix:/s: evs.suspect_timeout 5s, there 14s", "same"},
    {CASE(trap), FINDING_FAIL, "times", "install_timeout 2s leaves no time to ask again", "a third"},
    {CASE(slow_retrans), FINDING_WARN, "times", "join_retrans_period 1800ms is long", "half"},
    {CASE(rare_keepalive), FINDING_WARN, "times", "a single lost message", "proportions"},
    {CASE(inactive_first), FINDING_WARN, "times", "before it is suspected", "proportions"},
    {CASE(differ), FINDING_WARN, "times", "evs.suspect_timeout 6s, there 5s", "every node"},
    {CASE(differ), FINDING_OK, "times", "up to 7500ms", NULL},
    {CASE(peer), FINDING_WARN, "times", "gmcast.peer_timeout 11s is longer", "shorter"},
    {CASE(causal), FINDING_WARN, "times", "repl.causal_read_timeout 100ms", "PT30S"},
    {CASE(no_provider), FINDING_SKIP, "times", "could not be read", NULL},
    {CASE(clock_off), FINDING_WARN, "clock", "differs from this host's by 2.0 s", "chrony"},
    {CASE(clock_maybe_off), FINDING_OK, "clock", "within 2000.4 ms", NULL},
    {CASE(clock_fast), FINDING_WARN, "clock", "ran at 1.01 to 1.01 times", "time service"},
    {CASE(clock_slow), FINDING_WARN, "clock", "ran at 0.99 to 0.99 times", "time service"},
    {CASE(no_schema), FINDING_FAIL, "schema", "no schema galera_lease", "galera-lease init"},
    {CASE(new_schema), FINDING_FAIL, "schema", "has version 2, this program knows 1", "same version"},
    {CASE(myisam), FINDING_FAIL, "schema", "engine is MyISAM", "InnoDB"},
    {CASE(no_key), FINDING_FAIL, "schema", "no primary key", "init"},
    {CASE(no_lease), FINDING_FAIL, "lease", "no row for the lease cmon", "galera-lease init"},
    {CASE(no_owner), FINDING_FAIL, "lease",
     "cannot be read: The user specified as a definer does not exist (error 1449)", "init --print-sql"},
    {CASE(tables_silent), FINDING_SKIP, "schema", "the tables could not be asked for", NULL},
    {CASE(table_gone), FINDING_FAIL, "schema", "the table is not there", "init --print-sql"},
    {CASE(epochs_differ), FINDING_FAIL, "lease", "epoch 42, the epoch table 43", "edited"},
    {CASE(other_ttl), FINDING_WARN, "lease", "the leader's ttl is 6000 ms", "same ttl"},
    {CASE(alarms), FINDING_WARN, "lease", "2 alarm(s)", "alarm ack"},
    {CASE(no_default_role), FINDING_FAIL, "rights", "not as its default", "SET DEFAULT ROLE"},
    {CASE(no_role), FINDING_FAIL, "rights", "lacks 35 right(s): SELECT on lease_and_epoch, ",
     "galera-lease init"},
    {CASE(few_columns), FINDING_FAIL, "rights", "lacks 9 right(s): UPDATE on lease (counter)",
     "galera-lease init"},
    {CASE(no_procedure), FINDING_FAIL, "rights", "lacks 1 right(s): EXECUTE on hold", "galera-lease init"},
    {CASE(no_function), FINDING_FAIL, "rights", "lacks 1 right(s): EXECUTE on file_drift",
     "galera-lease init"},
    {CASE(root), FINDING_WARN, "rights", "rights on all databases", "REVOKE"},
    {CASE(whole_schema), FINDING_WARN, "rights", "epoch and guard included", "REVOKE"},
    {CASE(on_epoch), FINDING_WARN, "rights", "rights on epoch", "REVOKE"},
    {CASE(on_guard), FINDING_WARN, "rights", "rights on guard", "REVOKE"},
    {CASE(on_writer), FINDING_WARN, "rights", "write to writer", "REVOKE"},
    {CASE(no_grants), FINDING_SKIP, "rights", "answered nothing", NULL},
    {CASE(double_name), FINDING_FAIL, "members", "bears this member's name (\"10.0.0.9\", here \"10.0.0.1\")",
     "of its own"},
    {CASE(name_without_sidecar), FINDING_WARN, "members", "was seen 0.9 s ago", "of its own"},
    {CASE(unseen), FINDING_WARN, "members", "not seen since 2026-01-02 03:04:05",
     "DELETE FROM galera_lease.member WHERE lease = 'cmon' AND name = 'node3'"},
    {CASE(unseen_for_a_shorter_ttl), FINDING_WARN, "members", "not seen since 2026-01-02 03:04:05",
     "start its sidecar"},
    {CASE(no_http), FINDING_WARN, "http", "HTTP port 10.0.0.2:8008 cannot be reached", "http_listen"},
    {CASE(drift), FINDING_WARN, "members", "differ from the leader's", "the same"},
    {CASE(same_address), FINDING_WARN, "members", "same address as node2: 10.0.0.2", "address"},
    {CASE(nobody), FINDING_WARN, "members", "nobody leads; 3 member(s) live", "galera-lease list"},
    {CASE(alone), FINDING_WARN, "members", "nobody else could lead", "priority"},
    {CASE(no_sidecar), FINDING_WARN, "sidecar", "no sidecar of lease cmon runs", "start it"},
    {CASE(frozen), FINDING_FAIL, "sidecar", "has written nothing for 60 s", "restart it"},
    {CASE(state_full), FINDING_FAIL, "sidecar", "state_dir is full: this member starts no controller",
     "make room"},
    {CASE(state_read_only), FINDING_FAIL, "sidecar", "state_dir is read-only", "remount"},
    {CASE(full), FINDING_FAIL, "sidecar", "run_dir is full", "a restart mends nothing"},
    {CASE(no_guardian), FINDING_FAIL, "guardian", "without its guardian", "log"},
    {CASE(no_guardian_file), FINDING_FAIL, "guardian", "galera-lease-guardian is not there", "install"},
    {CASE(no_launcher), FINDING_FAIL, "guardian", "galera-lease-launch is not there", "install"},
    {CASE(went_back), FINDING_WARN, "sidecar", "went back", "alarm ack"},
    {CASE(unit_enabled), FINDING_FAIL, "unit", "is enabled: it starts at boot",
     "systemctl disable cmon.service"},
    {CASE(unit_runtime), FINDING_FAIL, "unit", "is enabled-runtime", "systemctl disable"},
    {CASE(unit_disabled), FINDING_OK, "unit", "is disabled", NULL},
    {CASE(unit_missing), FINDING_WARN, "unit", "no such unit", "controller_unit"},
    {CASE(unit_runs_on_follower), FINDING_FAIL, "unit", "is active, and this member does not lead",
     "systemctl stop cmon.service"},
    {CASE(unit_begins_on_follower), FINDING_FAIL, "unit", "is activating", "systemctl stop"},
    {CASE(unit_runs_without_sidecar), FINDING_FAIL, "unit", "is active, and this member", "systemctl stop"},
    {CASE(unit_runs_on_leader), FINDING_OK, "unit", "is disabled", NULL},
    {CASE(unit_stopped_on_follower), FINDING_OK, "unit", "is disabled", NULL},
    {CASE(unit_unasked), FINDING_SKIP, "unit", "could not be asked: not looked at", NULL},
    {CASE(runs_on_leader), FINDING_OK, "hooks", "runs, and this member leads", NULL},
    {CASE(stopped_on_follower), FINDING_OK, "hooks", "nothing runs, and this member does not lead", NULL},
    {CASE(runs_on_follower), FINDING_FAIL, "hooks", "runs, and this member is follower",
     "stop that controller"},
    {CASE(stopped_on_leader), FINDING_FAIL, "hooks", "nothing runs, and this member leads", "log"},
    {CASE(hook_unhealthy), FINDING_FAIL, "hooks", "no answer within check_budget", "by hand"},
    {CASE(hook_while_promoting), FINDING_SKIP, "hooks", "is promoting just now", NULL},
    {CASE(runs_alone), FINDING_WARN, "hooks", "and no sidecar does", "know that"},
    {CASE(runs_unknown), FINDING_SKIP, "hooks", "nobody knows what this member is now", NULL},
    {CASE(hook_slow), FINDING_WARN, "hooks", "took 1500ms of its check_budget of 2s", "quicker"},
};

/* What is odd and yet no reason to warn. */
static const struct {
    const char *name;
    void (*change)(void);
} well[] = {{CASE(held_longer)},
            {CASE(table_right)},
            {CASE(guard_procedure)},
            {CASE(double_gone)},
            {CASE(ended)},
            {CASE(clock_maybe_fast)},
            {CASE(clock_maybe_off)},
            {CASE(unit_disabled)},
            {CASE(stopped_on_follower)},
            {CASE(runs_on_leader)},
            {CASE(tuned_ttl)},
            {CASE(hook_while_promoting)},
            {CASE(no_provider)},
            {CASE(unit_runs_on_leader)},
            {CASE(unit_stopped_on_follower)},
            {CASE(half_is_behind)},
            {CASE(looked_at_one_after_the_other)}};

static bool found(size_t i)
{
    for (size_t j = 0; j < f.count; j++) {
        const struct finding *one = &f.list[j];

        if (one->level == cases[i].level && strcmp(one->topic, cases[i].topic) == 0 &&
            strstr(one->text, cases[i].says) &&
            (cases[i].fix ? strstr(one->fix, cases[i].fix) != NULL : one->fix[0] == '\0'))
            return true;
    }
    return false;
}

static void print_all(void)
{
    for (size_t i = 0; i < f.count; i++)
        print_message("  %s %s %s: %s | %s\n", finding_level_name(f.list[i].level), f.list[i].topic,
                      f.list[i].where, f.list[i].text, f.list[i].fix);
}

static void test_healthy(void **state)
{
    (void)state;
    healthy();
    judge_all(&x, &f);
    if (findings_worst(&f) != FINDING_OK)
        print_all();
    assert_int_equal(findings_worst(&f), FINDING_OK);
    assert_null(findings_first(&f));
    assert_int_equal(f.counts[FINDING_SKIP], 1); /* no controller_unit */
    for (size_t i = 0; i < sizeof well / sizeof well[0]; i++) {
        healthy();
        well[i].change();
        judge_all(&x, &f);
        if (findings_worst(&f) != FINDING_OK) {
            print_all();
            fail_msg("%s is no reason to warn", well[i].name);
        }
    }
}

static void test_cases(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        healthy();
        judge_all(&x, &f);
        assert_false(found(i)); /* said of a healthy lease it would mean nothing */
        healthy();
        cases[i].spoil();
        judge_all(&x, &f);
        if (!found(i)) {
            print_all();
            fail_msg("%s: not said: %s %s: %s", cases[i].name, finding_level_name(cases[i].level),
                     cases[i].topic, cases[i].says);
        }
        /* Whatever is wrong has a remedy, and only that. */
        for (size_t j = 0; j < f.count; j++)
            assert_int_equal(f.list[j].fix[0] != '\0',
                             f.list[j].level == FINDING_WARN || f.list[j].level == FINDING_FAIL);
    }
}

/* The times that it recommends are such that it finds them good, for every ttl. */
static void test_recommends_what_it_accepts(void **state)
{
    char options[512], value[32];

    (void)state;
    for (unsigned s = 3; s <= 120; s++) {
        uint64_t stall;

        healthy();
        ttl(s);
        if (!judge_evs_needed(lease_timing_silent_ns(&config.timing), options, sizeof options)) {
            assert_true(s < 4);
            continue;
        }
        snprintf(x.nodes[0].provider, sizeof x.nodes[0].provider,
                 "%s;gmcast.peer_timeout = PT1S; pc.ignore_quorum = false; pc.ignore_sb = false; "
                 "repl.causal_read_timeout = PT30S; repl.commit_order = 3; ",
                 options);
        strcpy(x.nodes[1].provider, x.nodes[0].provider);
        strcpy(x.nodes[2].provider, x.nodes[0].provider);
        judge_times(&x, &f);
        if (findings_worst(&f) != FINDING_OK)
            print_all();
        assert_int_equal(findings_worst(&f), FINDING_OK);
        assert_true(judge_stall_ns(x.nodes[0].provider, &stall));
        assert_in_range(judge_ttl_needed_s(&config, stall), 1, s);
        assert_true(provider_value(options, "evs.suspect_timeout", value, sizeof value));
    }
}

static void test_durations(void **state)
{
    static const struct {
        const char *text;
        uint64_t ms; /* UINT64_MAX: none */
    } texts[] = {
        {"PT5S", 5000},
        {"PT0.25S", 250},
        {"PT7.5S", 7500},
        {"PT1M", 60000},
        {"PT1M30S", 90000},
        {"P1D", 86400000},
        {"PT1H", 3600000},
        {"P1DT1S", 86401000},
        {"PT0S", 0},
        {"P", UINT64_MAX},
        {"PT", UINT64_MAX},
        {"5S", UINT64_MAX},
        {"PTS", UINT64_MAX},
        {"P1M", UINT64_MAX},
        {"PT1D", UINT64_MAX},
        {"PT5", UINT64_MAX},
        {"", UINT64_MAX},
        {"PT-1S", UINT64_MAX},
        {"PT99999999999999999999S", UINT64_MAX},
    };
    uint64_t ns;
    char text[32];

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        bool ok = provider_duration_ns(texts[i].text, &ns);

        if (ok != (texts[i].ms != UINT64_MAX) || (ok && ns != texts[i].ms * LEASE_NS_PER_MS))
            fail_msg("%s", texts[i].text);
    }
    provider_format(250 * LEASE_NS_PER_MS, text, sizeof text);
    assert_string_equal(text, "PT0.25S");
    provider_format(10 * LEASE_NS_PER_S, text, sizeof text);
    assert_string_equal(text, "PT10S");
}

static void test_provider_values(void **state)
{
    char v[16];

    (void)state;
    assert_true(provider_value("a = 1; ab = 2 ;b=3;c = ; d = PT5S", "ab", v, sizeof v));
    assert_string_equal(v, "2");
    assert_true(provider_value("a = 1; ab = 2 ;b=3", "b", v, sizeof v));
    assert_string_equal(v, "3");
    assert_true(provider_value("a = 1; c = ; d = 4", "c", v, sizeof v));
    assert_string_equal(v, "");
    assert_true(provider_value("a = 1; d = PT5S", "d", v, sizeof v));
    assert_string_equal(v, "PT5S");
    assert_false(provider_value("ab = 1", "a", v, sizeof v));
    assert_false(provider_value("", "a", v, sizeof v));
    assert_false(provider_value("a = 0123456789012345678901234567890", "a", v, sizeof v));
}

/* What servers and files say reaches a terminal. */
static void test_findings_are_clean_and_bounded(void **state)
{
    (void)state;
    memset(&f, 0, sizeof f);
    for (size_t i = 0; i < FINDINGS_MAX + 5; i++)
        findings_add(&f, FINDING_FAIL, "x", "a\033[31m", "b\n", "c\007%s", "d\x80");
    assert_int_equal(f.count, FINDINGS_MAX);
    assert_int_equal(f.counts[FINDING_FAIL], FINDINGS_MAX + 5);
    assert_string_equal(f.list[0].where, "a?[31m");
    assert_string_equal(f.list[0].text, "c?d?");
    assert_string_equal(f.list[0].fix, "b?");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_healthy),
        cmocka_unit_test(test_cases),
        cmocka_unit_test(test_recommends_what_it_accepts),
        cmocka_unit_test(test_durations),
        cmocka_unit_test(test_provider_values),
        cmocka_unit_test(test_findings_are_clean_and_bounded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
