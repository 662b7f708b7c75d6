/* How single nodes are set, and their clocks. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "doctor/judge.h"
#include "doctor/provider.h"
#include "util/parse.h"

static const struct {
    const char *name, *wanted; /* a provider option where there is a dot in it */
    enum finding_level level;
    const char *means, *fix;
} settings[] = {
    {"pc.ignore_sb", "false", FINDING_FAIL, "both halves of a split cluster go on, and each has a leader",
     "pc.ignore_sb=false in wsrep_provider_options, on every node"},
    {"pc.ignore_quorum", "false", FINDING_FAIL,
     "a node that is cut off goes on, and both sides have a leader",
     "pc.ignore_quorum=false in wsrep_provider_options, on every node"},
    {"repl.commit_order", "3", FINDING_FAIL, "commits may be seen out of order",
     "repl.commit_order=3 in wsrep_provider_options, on every node"},
    {"slave_run_triggers_for_rbr", "NO", FINDING_FAIL,
     "the applier would run the triggers of the lease again, and the node would leave the cluster",
     "SET GLOBAL slave_run_triggers_for_rbr = NO, and in the server's configuration"},
    {"innodb_flush_log_at_trx_commit", "1", FINDING_WARN,
     "commits that were acknowledged can be lost when all nodes go down at once; epochs could go back",
     "SET GLOBAL innodb_flush_log_at_trx_commit = 1, and in the server's configuration"},
    {"binlog_format", "ROW", FINDING_WARN, "Galera replicates rows only",
     "SET GLOBAL binlog_format = ROW, and in the "
     "server's configuration"},
    {"wsrep_desync", "OFF", FINDING_WARN, "the node may lag without slowing the others down",
     "SET GLOBAL wsrep_desync = OFF, once the maintenance is over"},
};

static void judge_setting(const struct doctor_node *n, size_t i, struct findings *f)
{
    char value[96] = "";

    if (strchr(settings[i].name, '.'))
        provider_value(n->provider, settings[i].name, value, sizeof value);
    else
        snprintf(value, sizeof value, "%s", doctor_value(n, settings[i].name));
    if (value[0] == '\0')
        findings_add(f, FINDING_SKIP, "setting", n->endpoint, NULL, "%s could not be read", settings[i].name);
    else if (strcasecmp(value, settings[i].wanted) != 0)
        findings_add(f, settings[i].level, "setting", n->endpoint, settings[i].fix, "%s is %s, not %s: %s",
                     settings[i].name, value, settings[i].wanted, settings[i].means);
}

/* Connections that wait in reserve are used every few seconds at the least; what is cut earlier helps nobody.
 */
static void judge_wait_timeout(const struct doctor_facts *facts, const struct doctor_node *n,
                               struct findings *f)
{
    uint64_t seconds, wanted = 3 * facts->config->timing.ttl_ns / LEASE_NS_PER_S + 1;

    if (parse_u64(doctor_value(n, "wait_timeout"), &seconds) == 0 && seconds < wanted)
        findings_add(f, FINDING_WARN, "setting", n->endpoint,
                     "SET GLOBAL wait_timeout = 28800, and in the server's configuration",
                     "wait_timeout is %" PRIu64
                     " s, less than 3 ttl: the server closes the connection that waits in reserve",
                     seconds);
}

void judge_settings(const struct doctor_facts *facts, struct findings *f)
{
    size_t before = f->count, looked = 0;

    for (size_t n = 0; n < facts->node_count; n++) {
        if (!facts->nodes[n].reached)
            continue;
        for (size_t i = 0; facts->nodes[n].said.galera && i < sizeof settings / sizeof settings[0]; i++)
            judge_setting(&facts->nodes[n], i, f);
        judge_wait_timeout(facts, &facts->nodes[n], f);
        looked += facts->nodes[n].said.galera;
    }
    if (looked > 0 && f->count == before)
        findings_add(
            f, FINDING_OK, "setting", NULL, NULL,
            "quorum rules, commit order, log flushing and wait_timeout are as they should be on %zu node(s)",
            looked);
}

/* ---- clocks ---- */

#define OFFSET_MAX_US 2000000 /* nothing is decided by it; people compare times of the history */

static void judge_offset(const struct doctor_node *n, int64_t offset_us, int64_t error_us, struct findings *f)
{
    if (llabs(offset_us) - error_us > OFFSET_MAX_US)
        findings_add(f, FINDING_WARN, "clock", n->endpoint, "a time service (chrony) on every host",
                     "its wall clock differs from this host's by %.1f s: times in the history mislead (who "
                     "leads does not "
                     "depend on it)",
                     (double)offset_us / 1e6);
    else
        findings_add(
            f, FINDING_OK, "clock", n->endpoint, NULL,
            "its wall clock is within %.1f ms of this host's (known to %.1f ms, half the round trip)",
            (double)llabs(offset_us) / 1e3, (double)error_us / 1e3);
}

/* Two looks, a second or so apart: only what is certain is said. */
static void judge_rate(const struct doctor_node *n, struct findings *f)
{
    const struct doctor_sample *a = &n->samples[0], *b = &n->samples[1];
    double moved = (double)(b->server_us - a->server_us) * 1e3, most, least;

    if (b->before_ns <= a->after_ns)
        return;
    most = moved / (double)(b->before_ns - a->after_ns);
    least = moved / (double)(b->after_ns - a->before_ns);
    if (least > 1.0 + 1.0 / LEASE_EPSILON_DIVISOR || most < 1.0 - 1.0 / LEASE_EPSILON_DIVISOR)
        findings_add(
            f, FINDING_WARN, "clock", n->endpoint,
            "look whether that host's clock was just set, or is being slewed; see its time service",
            "its clock ran at %.2f to %.2f times the rate of this host's while we looked: a lease bears 1 %%",
            least, most);
}

void judge_clocks(const struct doctor_facts *facts, struct findings *f)
{
    for (size_t i = 0; i < facts->node_count; i++) {
        const struct doctor_node *n = &facts->nodes[i];
        const struct doctor_sample *s = &n->samples[0];

        if (!n->reached || n->sample_count == 0)
            continue;
        judge_offset(n, s->server_us - s->wall_us, (int64_t)(s->after_ns - s->before_ns) / 2000, f);
        if (n->sample_count > 1)
            judge_rate(n, f);
    }
}
