/* The endpoints, the cluster behind them, and how its nodes are set. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "db/schema.h"
#include "db/version.h"
#include "doctor/judge.h"
#include "doctor/provider.h"
#include "util/parse.h"

const char *doctor_value(const struct doctor_node *n, const char *name)
{
    for (size_t i = 0; i < n->value_count; i++)
        if (strcasecmp(n->values[i].name, name) == 0) /* of some status names the case differs */
            return n->values[i].text;
    return "";
}

static bool is(const struct doctor_node *n, const char *name, const char *text)
{
    return strcmp(doctor_value(n, name), text) == 0;
}

bool doctor_usable(const struct doctor_facts *facts, const struct doctor_node *n)
{
    if (!n->reached || n->said.schema != SCHEMA_VERSION || !n->said.writable)
        return false;
    if (!n->said.galera)
        return facts->config->standalone;
    return n->said.primary && n->said.synced && !is(n, "wsrep_ready", "OFF") &&
           (is(n, "wsrep_reject_queries", "NONE") || is(n, "wsrep_reject_queries", ""));
}

bool doctor_any_usable(const struct doctor_facts *facts)
{
    for (size_t i = 0; i < facts->node_count; i++)
        if (doctor_usable(facts, &facts->nodes[i]))
            return true;
    return false;
}

/* What is wrong with one endpoint is bad when no other is left. */
static enum finding_level level(const struct doctor_facts *facts)
{
    return doctor_any_usable(facts) ? FINDING_WARN : FINDING_FAIL;
}

/* ---- endpoints ---- */

static const char *remedy(const struct doctor_node *n)
{
    switch (n->error) {
    case 1045:
    case 1698:
        return "the account, its host and its password are what galera-lease init makes of this "
               "configuration: look at "
               "user and password_file, or run init again (with --change-password, if that file is the new "
               "one)";
    case 1047: return "bring the other nodes back; a cluster that is down as a whole is bootstrapped by hand";
    case WORKER_ERROR_PASSWORD: return "password_file must belong to root or the sidecar's user, mode 600";
    case WORKER_ERROR_TLS:
    case 2026:
        return "look at the server's certificate and at tls_ca; the name must be the host's as written in "
               "endpoints";
    case 1040: return "raise max_connections there, or find out who holds the connections";
    case 2013: return "look whether the server hangs, or something on the way drops packets";
    default: return "look whether mariadbd runs there, and whether this host may reach its port or socket";
    }
}

static void judge_unreached(const struct doctor_facts *facts, const struct doctor_node *n, struct findings *f)
{
    findings_add(f, level(facts), "endpoint", n->endpoint, remedy(n),
                 "a sidecar cannot use it: %s (error %u)",
                 n->error_text[0] ? n->error_text : "no answer in time", n->error);
}

static void judge_version(const struct doctor_node *n, struct findings *f)
{
    switch (version_judge(n->said.version)) {
    case VERSION_OK: break;
    case VERSION_OLD:
        findings_add(f, FINDING_WARN, "version", n->endpoint, "upgrade it to " VERSION_WANTED " or later",
                     "MariaDB %s: faults that concern a lease are mended up to " VERSION_WANTED,
                     n->said.version);
        break;
    case VERSION_FOREIGN:
        findings_add(
            f, FINDING_WARN, "version", n->endpoint, "use MariaDB " VERSION_WANTED " or later",
            "\"%s\" is no MariaDB that is known here: the rules of a lease were tried with MariaDB only",
            n->said.version);
        break;
    }
}

static void judge_state(const struct doctor_facts *facts, const struct doctor_node *n, struct findings *f)
{
    size_t before = f->counts[FINDING_WARN] + f->counts[FINDING_FAIL];

    if (!n->said.galera && !facts->config->standalone) {
        findings_add(f, FINDING_FAIL, "quorum", n->endpoint,
                     "take it out of endpoints, or set wsrep_on=ON and a provider there",
                     "this server is no member of a Galera cluster (or wsrep_on is off)");
        return;
    }
    if (n->said.galera && !n->said.primary)
        findings_add(f, level(facts), "quorum", n->endpoint,
                     "bring the other nodes back; a cluster that is down as a whole is bootstrapped by hand",
                     "it is in a component that is %s: without a quorum nobody can lead through it",
                     n->said.status[0] ? n->said.status : "not Primary");
    else if (n->said.galera && !n->said.synced)
        findings_add(f, level(facts), "quorum", n->endpoint,
                     "wait until it has caught up (a donor, too), or take it out of endpoints",
                     "it is %s, not Synced: what it answers may be old",
                     doctor_value(n, "wsrep_local_state_comment"));
    if (!n->said.writable)
        findings_add(f, level(facts), "quorum", n->endpoint,
                     "SET GLOBAL read_only = 0, once it may be written to",
                     "read_only is on: a lease cannot be written through it");
    if (n->said.galera && !is(n, "wsrep_reject_queries", "NONE") &&
        doctor_value(n, "wsrep_reject_queries")[0])
        findings_add(f, level(facts), "quorum", n->endpoint, "SET GLOBAL wsrep_reject_queries = NONE",
                     "wsrep_reject_queries is %s: it takes no statements",
                     doctor_value(n, "wsrep_reject_queries"));
    if (f->counts[FINDING_WARN] + f->counts[FINDING_FAIL] == before)
        findings_add(f, FINDING_OK, "endpoint", n->endpoint, NULL, "%s%s%s, version %s", n->said.node_name,
                     n->said.node_name[0] ? " is " : "",
                     n->said.galera ? "Primary and Synced" : "a server without Galera", n->said.version);
}

void judge_endpoints(const struct doctor_facts *facts, struct findings *f)
{
    for (size_t i = 0; i < facts->node_count; i++) {
        const struct doctor_node *n = &facts->nodes[i];

        if (!n->reached) {
            judge_unreached(facts, n, f);
            continue;
        }
        judge_state(facts, n, f);
        judge_version(n, f);
    }
    if (facts->node_count == 1 && !facts->config->standalone)
        findings_add(f, FINDING_WARN, "endpoint", NULL, "name all nodes of the cluster in endpoints",
                     "there is one endpoint only: when that node ends, this host cannot lead");
}

/* ---- the cluster ---- */

static bool same_history(const struct doctor_node *a, const struct doctor_node *b)
{
    return is(a, "wsrep_cluster_state_uuid", doctor_value(b, "wsrep_cluster_state_uuid"));
}

/* How long both were seen as they are: nodes learn of a change one after the other. */
#define OVERLAP_NS (LEASE_NS_PER_S / 4)

static bool both_steady(const struct doctor_view *v, const struct doctor_view *w)
{
    uint64_t from_ns = v->from_ns > w->from_ns ? v->from_ns : w->from_ns,
             to_ns = v->to_ns < w->to_ns ? v->to_ns : w->to_ns;

    return v->steady && w->steady && from_ns + OVERLAP_NS <= to_ns;
}

static bool same_view(const struct doctor_view *v, const struct doctor_view *w)
{
    return v->conf_id == w->conf_id && v->size == w->size;
}

/* Halves of one size, in which membership changed equally often, tell themselves by their number only. */
static bool too_many(const struct doctor_facts *facts, const struct doctor_node *first)
{
    size_t servers = 0;

    for (size_t i = 0; i < facts->node_count; i++) {
        const struct doctor_node *n = &facts->nodes[i];
        bool again = false;

        for (size_t j = 0; j < i; j++)
            again = again || (facts->nodes[j].reached && facts->nodes[j].said.instance == n->said.instance);
        servers += !again && same_history(first, n) && both_steady(&first->view, &n->view) &&
                   same_view(&first->view, &n->view);
    }
    return servers > first->view.size;
}

/* Of nodes of one cluster; false: there are two components that may each have a leader. */
static bool judge_one_component(const struct doctor_facts *facts, const struct doctor_node *first,
                                struct findings *f)
{
    static const char fix[] =
        "check again in half a minute, with no DDL under way: a node that was frozen or cut off may not know "
        "yet. If it stays so, the cluster was bootstrapped twice: stop mariadbd at once on the side whose "
        "writes may be lost (no kill -9: it would come up as Primary again), remove grastate.dat there, and "
        "start it: it takes over the other side's data";
    bool one = true;

    for (size_t i = 0; i < facts->node_count && !first->view.steady; i++)
        if (same_history(first, &facts->nodes[i]) && facts->nodes[i].view.steady)
            first = &facts->nodes[i];
    for (size_t i = 0; i < facts->node_count; i++) {
        const struct doctor_node *n = &facts->nodes[i];

        if (!same_history(first, n) || !both_steady(&first->view, &n->view) ||
            same_view(&first->view, &n->view))
            continue;
        findings_add(f, FINDING_FAIL, "cluster", n->endpoint, fix,
                     "it is Primary in a component of %" PRIu64 " node(s) (change %" PRIu64
                     "), and %s in another, of %" PRIu64 " (change %" PRIu64 "): each may have a leader",
                     n->view.size, n->view.conf_id, first->endpoint, first->view.size, first->view.conf_id);
        one = false;
    }
    if (one && too_many(facts, first)) {
        findings_add(f, FINDING_FAIL, "cluster", NULL, fix,
                     "more servers say that they are Primary than the %" PRIu64
                     " node(s) of their component: there are two components, and each may have a leader",
                     first->view.size);
        one = false;
    }
    return one;
}

static void judge_same_cluster(const struct doctor_facts *facts, struct findings *f)
{
    const struct doctor_node *first = NULL;
    bool differ = false;

    for (size_t i = 0; i < facts->node_count; i++) {
        const struct doctor_node *n = &facts->nodes[i];
        const char *uuid = doctor_value(n, "wsrep_cluster_state_uuid");

        if (!n->reached || !n->said.galera || uuid[0] == '\0' || !n->said.primary)
            continue;
        for (size_t j = 0; j < i; j++)
            if (facts->nodes[j].reached && facts->nodes[j].said.instance == n->said.instance)
                findings_add(f, FINDING_WARN, "cluster", n->endpoint, "name every node once",
                             "this is the same server as %s: it is no second way to the lease",
                             facts->nodes[j].endpoint);
        if (!first) {
            first = n;
        } else if (!is(first, "wsrep_cluster_state_uuid", uuid)) {
            findings_add(f, FINDING_FAIL, "cluster", n->endpoint,
                         "take the endpoints of the wrong cluster out",
                         "it belongs to another cluster (%s) than %s (%s): each would have a leader", uuid,
                         first->endpoint, doctor_value(first, "wsrep_cluster_state_uuid"));
            differ = true;
        }
    }
    if (first && !judge_one_component(facts, first, f))
        return;
    if (first && !differ)
        findings_add(f, FINDING_OK, "cluster", NULL, NULL,
                     "all endpoints that answer belong to one cluster of %s node(s)",
                     doctor_value(first, "wsrep_cluster_size"));
    if (first && is(first, "wsrep_cluster_size", "1"))
        findings_add(f, FINDING_WARN, "cluster", NULL, "three nodes",
                     "the cluster has one node: when it is away nobody leads");
    if (first && is(first, "wsrep_cluster_size", "2"))
        findings_add(f, FINDING_WARN, "cluster", NULL, "a third node, or an arbitrator (garbd)",
                     "the cluster has two nodes: the loss of either can leave the other without a quorum");
}

static void judge_versions_agree(const struct doctor_facts *facts, struct findings *f)
{
    static const char *const names[] = {"version", "wsrep_provider_version"};
    const struct doctor_node *first = NULL;

    for (size_t i = 0; i < facts->node_count; i++) {
        const struct doctor_node *n = &facts->nodes[i];

        if (!n->reached || !n->said.galera)
            continue;
        for (size_t k = 0; first && k < 2; k++)
            if (!is(first, names[k], doctor_value(n, names[k])))
                findings_add(f, FINDING_WARN, "version", n->endpoint,
                             "end the upgrade: the same on every node", "%s %s here, %s at %s",
                             k == 0 ? "MariaDB" : "the Galera provider is", doctor_value(n, names[k]),
                             doctor_value(first, names[k]), first->endpoint);
        first = first ? first : n;
    }
    if (first)
        findings_add(f, FINDING_OK, "version", NULL, NULL, "the Galera provider is %s",
                     doctor_value(first, "wsrep_provider_version"));
}

void judge_cluster(const struct doctor_facts *facts, struct findings *f)
{
    judge_same_cluster(facts, f);
    judge_versions_agree(facts, f);
}
