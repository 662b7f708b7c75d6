/* The arithmetic of the doctor: Galera's live times against those of the lease, in both directions. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "app/options.h"
#include "doctor/judge.h"
#include "doctor/provider.h"
#include "util/parse.h"

#define TOPIC            "times"
#define TTL_MAX_S        3600
#define SUSPECT_LEAST_NS (LEASE_NS_PER_S / 2) /* below that a busy network throws healthy nodes out */

static const char *const keys[] = {"evs.suspect_timeout",       "evs.inactive_timeout",
                                   "evs.inactive_check_period", "evs.keepalive_period",
                                   "evs.install_timeout",       "evs.join_retrans_period",
                                   "gmcast.peer_timeout",       "repl.causal_read_timeout"};
enum { SUSPECT, INACTIVE, INACTIVE_CHECK, KEEPALIVE, INSTALL, RETRANS, PEER, CAUSAL, KEYS };

struct evs {
    uint64_t ns[KEYS];
};

static bool read_evs(const char *provider, struct evs *ret)
{
    for (size_t i = 0; i < KEYS; i++)
        if (!provider_time_ns(provider, keys[i], &ret->ns[i]))
            return false;
    return true;
}

static uint64_t stall(const struct evs *e)
{
    return e->ns[SUSPECT] + e->ns[INACTIVE_CHECK] + e->ns[RETRANS];
}

bool judge_stall_ns(const char *provider, uint64_t *ret_ns)
{
    struct evs e;

    if (!read_evs(provider, &e))
        return false;
    *ret_ns = stall(&e);
    return true;
}

/* The times of @c with another ttl: what was given stays, the rest follows. */
static void with_ttl(const struct config *c, uint64_t ttl_ns, struct lease_timing *ret)
{
    lease_timing_defaults(ttl_ns, ret);
    for (size_t i = 0; i < option_row_count; i++) {
        const struct option_row *o = &option_rows[i];
        size_t at = o->offset - offsetof(struct config, timing);

        if ((o->flags & OPTION_TIMING) && c->origins[i].line != 0 && strcmp(o->name, "ttl") != 0)
            memcpy((char *)ret + at, (const char *)&c->timing + at, o->size);
    }
}

uint64_t judge_ttl_needed_s(const struct config *c, uint64_t stall_ns)
{
    struct lease_timing t;

    for (uint64_t s = 1; s <= TTL_MAX_S; s++) {
        with_ttl(c, s * LEASE_NS_PER_S, &t);
        if (lease_timing_check(&t) == LEASE_TIMING_OK && lease_timing_silent_ns(&t) >= stall_ns)
            return s;
    }
    return 0;
}

/* In the proportions that were measured: 1s, 0.25s, 0.25s, 3s, 3s and 0.3s survive with a silence of 3s. */
bool judge_evs_needed(uint64_t silent_ns, char *buf, size_t size)
{
    uint64_t suspect = silent_ns / 3 / (LEASE_NS_PER_S / 10) * (LEASE_NS_PER_S / 10);
    const uint64_t ns[] = {suspect, suspect / 4, suspect / 4, 3 * suspect, 3 * suspect, suspect / 10 * 3};
    static const char *const names[] = {"evs.suspect_timeout",       "evs.keepalive_period",
                                        "evs.inactive_check_period", "evs.inactive_timeout",
                                        "evs.install_timeout",       "evs.join_retrans_period"};
    char value[32];

    if (suspect < SUSPECT_LEAST_NS)
        return false;
    buf[0] = '\0';
    for (size_t i = 0; i < sizeof ns / sizeof ns[0]; i++) {
        provider_format(ns[i], value, sizeof value);
        snprintf(buf + strlen(buf), size - strlen(buf), "%s%s=%s", i > 0 ? ";" : "", names[i], value);
    }
    return true;
}

/* ---- what no ttl makes good ---- */

static void judge_trap(const struct doctor_node *n, const struct evs *e, struct findings *f)
{
    char install[32], retrans[32], suspect[32];

    format_duration(e->ns[INSTALL], install, sizeof install);
    format_duration(e->ns[RETRANS], retrans, sizeof retrans);
    format_duration(e->ns[SUSPECT], suspect, sizeof suspect);
    if (e->ns[INSTALL] < 3 * e->ns[RETRANS])
        findings_add(
            f, FINDING_FAIL, TOPIC, n->endpoint,
            "evs.join_retrans_period at most a third of evs.install_timeout, better a tenth, on every node",
            "evs.install_timeout %s leaves no time to ask again after evs.join_retrans_period %s: "
            "when one node dies the whole cluster can lose its quorum",
            install, retrans);
    else if (2 * e->ns[RETRANS] > e->ns[SUSPECT])
        findings_add(
            f, FINDING_WARN, TOPIC, n->endpoint,
            "evs.join_retrans_period at most half of evs.suspect_timeout, on every node",
            "evs.join_retrans_period %s is long beside evs.suspect_timeout %s: one lost message of the "
            "nodes that agree on who is left is asked for again late",
            retrans, suspect);
}

static void judge_order(const struct doctor_node *n, const struct evs *e, struct findings *f)
{
    static const struct {
        int less, more;
        uint64_t times;
        const char *means;
    } rules[] = {
        {KEEPALIVE, SUSPECT, 3, "a node is suspected after a single lost message"},
        {INACTIVE_CHECK, SUSPECT, 1, "a silent node is noticed late"},
        {SUSPECT, INACTIVE, 1, "a silent node is thrown out before it is suspected"},
    };
    char less[32], more[32];

    for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++) {
        if (e->ns[rules[i].less] * rules[i].times <= e->ns[rules[i].more])
            continue;
        format_duration(e->ns[rules[i].less], less, sizeof less);
        format_duration(e->ns[rules[i].more], more, sizeof more);
        findings_add(f, FINDING_WARN, TOPIC, n->endpoint, "give the evs.* times Galera's own proportions",
                     "%s %s does not fit %s %s: %s", keys[rules[i].less], less, keys[rules[i].more], more,
                     rules[i].means);
    }
}

/* ---- against the ttl ---- */

static void remedy(const struct config *c, uint64_t stall_ns, uint64_t silent_ns, char *buf, size_t size)
{
    uint64_t ttl_s = judge_ttl_needed_s(c, stall_ns);
    char evs[400], ttl[32];

    format_duration(c->timing.ttl_ns, ttl, sizeof ttl);
    if (ttl_s > 0)
        snprintf(buf, size, "ttl = \"%" PRIu64 "s\" or more on every host", ttl_s);
    else
        snprintf(buf, size, "shorter budgets: with these no ttl is long enough");
    if (judge_evs_needed(silent_ns, evs, sizeof evs))
        snprintf(buf + strlen(buf), size - strlen(buf),
                 "; or, for ttl %s, wsrep_provider_options=\"%s\" in every node's configuration and a "
                 "restart of one "
                 "node after the other (evs.inactive_check_period changes at a node's start only)",
                 ttl, evs);
    else
        snprintf(buf + strlen(buf), size - strlen(buf), "; no evs.* times are sound for ttl %s", ttl);
}

static void judge_silence(const struct config *c, const char *endpoint, const struct evs *e,
                          struct findings *f)
{
    const struct lease_timing *t = &c->timing;
    uint64_t stops = stall(e), silent = lease_timing_silent_ns(t);
    char sum[192], ns[6][32], fix[FINDINGS_TEXT_MAX];

    format_duration(stops, ns[0], sizeof ns[0]);
    format_duration(e->ns[SUSPECT], ns[1], sizeof ns[1]);
    format_duration(e->ns[INACTIVE_CHECK], ns[2], sizeof ns[2]);
    format_duration(e->ns[RETRANS], ns[3], sizeof ns[3]);
    format_duration(silent, ns[4], sizeof ns[4]);
    format_duration(t->ttl_ns, ns[5], sizeof ns[5]);
    snprintf(
        sum, sizeof sum,
        "a node that dies stops all writes for up to %s (evs.suspect_timeout %s + inactive_check_period %s + "
        "join_retrans_period %s)",
        ns[0], ns[1], ns[2], ns[3]);
    if (silent < stops) {
        remedy(c, stops, silent, fix, sizeof fix);
        findings_add(f, FINDING_FAIL, TOPIC, endpoint, fix,
                     "%s, and ttl %s bears a silence of %s only: each time the controller is stopped", sum,
                     ns[5], ns[4]);
        return;
    }
    uint64_t ttl_s = judge_ttl_needed_s(c, stops);

    findings_add(f, FINDING_OK, TOPIC, endpoint, NULL,
                 "%s, and ttl %s bears a silence of %s; these values allow a ttl of %" PRIu64 "s", sum, ns[5],
                 ns[4], ttl_s);
}

static void judge_others(const struct config *c, const char *endpoint, const struct evs *e,
                         struct findings *f)
{
    uint64_t silent = lease_timing_silent_ns(&c->timing);
    char given[32], wanted[32];

    format_duration(silent, wanted, sizeof wanted);
    if (e->ns[PEER] > silent) {
        format_duration(e->ns[PEER], given, sizeof given);
        findings_add(
            f, FINDING_WARN, TOPIC, endpoint, "a shorter gmcast.peer_timeout on every node, or a longer ttl",
            "gmcast.peer_timeout %s is longer than the %s that the database may be silent: two nodes that "
            "lose sight of each other stop writes for longer",
            given, wanted);
    }
    if (e->ns[CAUSAL] < LEASE_NS_PER_S) {
        format_duration(e->ns[CAUSAL], given, sizeof given);
        findings_add(
            f, FINDING_WARN, TOPIC, endpoint, "repl.causal_read_timeout=PT30S, as Galera has it",
            "repl.causal_read_timeout %s: a read that must be up to date fails on a node that lags a little",
            given);
    }
}

static void judge_differences(const struct doctor_node *a, const struct evs *ea, const struct doctor_node *b,
                              const struct evs *eb, struct findings *f)
{
    char text[400] = "", one[32], other[32];

    for (size_t i = 0; i < KEYS; i++) {
        if (ea->ns[i] == eb->ns[i])
            continue;
        format_duration(ea->ns[i], one, sizeof one);
        format_duration(eb->ns[i], other, sizeof other);
        snprintf(text + strlen(text), sizeof text - strlen(text), "%s%s %s, there %s", text[0] ? "; " : "",
                 keys[i], other, one);
    }
    if (text[0])
        findings_add(
            f, FINDING_WARN, TOPIC, b->endpoint,
            "the same wsrep_provider_options on every node (evs.inactive_check_period needs a restart)",
            "its times differ from those of %s: %s", a->endpoint, text);
}

void judge_times(const struct doctor_facts *facts, struct findings *f)
{
    const struct doctor_node *first = NULL, *slowest = NULL;
    struct evs e, of_first, of_slowest;

    for (size_t i = 0; i < facts->node_count; i++) {
        const struct doctor_node *n = &facts->nodes[i];

        if (!n->reached || !n->said.galera)
            continue;
        if (!read_evs(n->provider, &e)) {
            findings_add(f, FINDING_SKIP, TOPIC, n->endpoint, NULL,
                         "wsrep_provider_options could not be read: its times are not looked at");
            continue;
        }
        judge_trap(n, &e, f);
        judge_order(n, &e, f);
        if (first)
            judge_differences(first, &of_first, n, &e, f);
        else
            first = n, of_first = e;
        if (!slowest || stall(&e) > stall(&of_slowest))
            slowest = n, of_slowest = e;
    }
    if (!slowest)
        return;
    /* The values of the slowest count: the others wait for it. */
    judge_silence(facts->config, slowest->endpoint, &of_slowest, f);
    judge_others(facts->config, slowest->endpoint, &of_slowest, f);
}
