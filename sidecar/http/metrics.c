#include "http/metrics.h"

#include <inttypes.h>

#include "http/answer.h"

#define PREFIX "galera_lease_"

struct metrics {
    struct text *out;
    const char *lease;
    const char *name; /* of the family being written */
};

static void family(struct metrics *m, const char *name, const char *type, const char *help)
{
    m->name = name;
    text_add(m->out, "# HELP " PREFIX "%s %s\n# TYPE " PREFIX "%s %s\n", name, help, name, type);
}

/* Label values may hold anything: quotes, backslashes and line ends are escaped. */
static void escaped(struct text *out, const char *text)
{
    for (; *text; text++) {
        if (*text == '\n')
            text_add(out, "\\n");
        else
            text_add(out, *text == '"' || *text == '\\' ? "\\%c" : "%c", *text);
    }
}

/* One more label, and maybe a second; NULL: none. */
static void sample(struct metrics *m, const char *suffix, const char *label, const char *value,
                   const char *label2, const char *value2)
{
    text_add(m->out, PREFIX "%s%s{lease=\"%s\"", m->name, suffix, m->lease);
    if (label && value) {
        text_add(m->out, ",%s=\"", label);
        escaped(m->out, value);
        text_add(m->out, "\"");
    }
    if (label2 && value2) {
        text_add(m->out, ",%s=\"", label2);
        escaped(m->out, value2);
        text_add(m->out, "\"");
    }
    text_add(m->out, "} ");
}

static void labelled(struct metrics *m, const char *label, const char *value, uint64_t number)
{
    sample(m, "", label, value, NULL, NULL);
    text_add(m->out, "%" PRIu64 "\n", number);
}

static void seconds(struct text *out, uint64_t ns)
{
    text_add(out, "%" PRIu64 ".%09" PRIu64 "\n", ns / LEASE_NS_PER_S, ns % LEASE_NS_PER_S);
}

/* A family of one sample. */
static void number(struct metrics *m, const char *name, const char *type, uint64_t value, const char *help)
{
    family(m, name, type, help);
    sample(m, "", NULL, NULL, NULL, NULL);
    text_add(m->out, "%" PRIu64 "\n", value);
}

static void duration(struct metrics *m, const char *name, uint64_t ns, const char *help)
{
    family(m, name, "gauge", help);
    sample(m, "", NULL, NULL, NULL, NULL);
    seconds(m->out, ns);
}

static void histogram(struct metrics *m, const struct histogram *h, const char *label, const char *value)
{
    uint64_t count = 0;
    char bound[32];

    for (unsigned i = 0; i <= HISTOGRAM_BOUNDS; i++) {
        struct text t;

        count += h->counts[i];
        text_init(&t, bound, sizeof bound);
        if (i == HISTOGRAM_BOUNDS)
            text_add(&t, "+Inf");
        else
            text_add(&t, "%g", (double)histogram_bounds_ns[i] / LEASE_NS_PER_S);
        if (label)
            sample(m, "_bucket", label, value, "le", bound);
        else
            sample(m, "_bucket", "le", bound, NULL, NULL);
        text_add(m->out, "%" PRIu64 "\n", count);
    }
    sample(m, "_sum", label, value, NULL, NULL);
    seconds(m->out, h->sum_ns);
    sample(m, "_count", label, value, NULL, NULL);
    text_add(m->out, "%" PRIu64 "\n", count);
}

static uint64_t left(uint64_t until_ns, uint64_t now_ns)
{
    return until_ns > now_ns ? until_ns - now_ns : 0;
}

/* ---------------------------------------------------------------- the families */

/* Without a health URL, and where nothing leads, there is no sample: neither 0 nor 1 would be true. */
static void controller(struct metrics *m, const struct view *v)
{
    family(m, "controller_healthy", "gauge", "What health_url said last of the controller that leads here.");
    if (v->health != VIEW_HEALTH_NOT_ASKED) {
        sample(m, "", NULL, NULL, NULL, NULL);
        text_add(m->out, "%d\n", v->health == VIEW_HEALTHY);
    }
    family(m, "health_answers_total", "counter", "Answers of health_url by what they said.");
    labelled(m, "outcome", "healthy", v->counters.healthy);
    labelled(m, "outcome", "unhealthy", v->counters.unhealthy);
}

static void lease(struct metrics *m, const struct view *v, const struct answer_now *now)
{
    uint64_t fast = now->clocks.fast_ns;

    family(m, "role", "gauge", "The member's role: 1 for the one it has.");
    for (unsigned i = 0; i < LEASE_ROLES; i++)
        labelled(m, "role", lease_role_name((enum lease_role)i), v->role == i);
    number(m, "leader", "gauge", answer_leads(v, now), "1: this member leads, as /leader says.");
    number(m, "healthy", "gauge", answer_unwell(v, now) == NULL, "1: the sidecar is well, as /health says.");
    number(m, "epoch", "gauge", v->epoch, "The epoch it acts under, or the highest it has seen.");
    number(m, "epoch_seen", "gauge", v->epoch_seen, "The highest epoch that any member remembers.");
    number(m, "regression", "gauge", v->regression, "Alarm: the epoch in the database went back.");
    number(m, "drifted", "gauge", v->drifted, "1: the controller's files differ from the leader's.");
    duration(m, "ttl_seconds", v->timing.ttl_ns, "How long one renewal lasts.");
    duration(m, "remaining_seconds", left(v->deadline_fast_ns, fast), "What is left of the lease held here.");
    duration(m, "hold_remaining_seconds", v->hold_left_ns,
             "What is left of a hold that an operator asked for.");
}

static void renewals(struct metrics *m, const struct view *v)
{
    const struct counters *c = &v->counters;

    family(m, "renewals_total", "counter", "Renewals of the lease by how they ended.");
    for (unsigned i = 0; i < COUNTERS_OUTCOMES; i++)
        labelled(m, "outcome", counters_outcome_name((enum counters_outcome)i), c->renewals[i]);
    family(m, "renewal_duration_seconds", "histogram", "Confirmed renewals: from sending to the answer.");
    histogram(m, &c->renewal, NULL, NULL);
    number(m, "elections_total", "counter", c->elections, "Times that this member won the lease.");
    family(m, "role_changes_total", "counter", "Changes of role by the new one.");
    for (unsigned i = 0; i < LEASE_ROLES; i++)
        labelled(m, "role", lease_role_name((enum lease_role)i), c->roles[i]);
}

/* What is raised for a moment only, and looked for in a gauge, is missed. */
static void alarms(struct metrics *m, const struct view *v)
{
    static const enum lease_note those[] = {LEASE_NOTE_LOST, LEASE_NOTE_ROGUE, LEASE_NOTE_REGRESSION,
                                            LEASE_NOTE_NO_ROW, LEASE_NOTE_DOUBLE};

    family(m, "alarms_total", "counter", "Alarms that this member raised.");
    for (size_t i = 0; i < sizeof those / sizeof those[0]; i++)
        labelled(m, "alarm", lease_note_name(those[i]), v->counters.alarms[those[i]]);
}

static void hooks(struct metrics *m, const struct view *v)
{
    const struct counters *c = &v->counters;

    family(m, "hook_duration_seconds", "histogram", "Hooks that ended; fence: until the stop is confirmed.");
    for (unsigned i = 0; i < COUNTERS_HOOKS; i++)
        histogram(m, &c->hooks[i].duration, "hook", counters_hook_name((enum counters_hook)i));
    family(m, "hook_failures_total", "counter", "Hooks that failed, ran out of time or could not be run.");
    for (unsigned i = 0; i < COUNTERS_HOOKS; i++)
        labelled(m, "hook", counters_hook_name((enum counters_hook)i), c->hooks[i].failures);
}

static void safety_net(struct metrics *m, const struct view *v)
{
    const struct counters *c = &v->counters;

    number(m, "guardian_up", "gauge", v->guardian_up, "1: the guardian runs.");
    number(m, "guardian_restarts_total", "counter", c->guardian_starts > 0 ? c->guardian_starts - 1 : 0,
           "Times that the guardian had to be started again.");
    number(m, "guardian_fences_total", "counter", counters_fences(c),
           "Times that the guardian stopped the controller.");
    number(m, "watchdog_armed", "gauge", 0, "1: a kernel watchdog is armed.");
    duration(m, "loop_stall_max_seconds", v->stall_max_ns, "The longest that one callback kept the loop.");
    family(m, "loop_lateness_seconds", "histogram", "How late the loop's timers were.");
    histogram(m, &v->lateness, NULL, NULL);
}

static void database(struct metrics *m, const struct view *v, const struct answer_now *now)
{
    family(m, "database_heard_age_seconds", "gauge", "Since the database last answered about the lease.");
    sample(m, "", NULL, NULL, NULL, NULL);
    if (v->heard_fast_ns == 0)
        text_add(m->out, "+Inf\n");
    else
        seconds(m->out, left(now->clocks.fast_ns, v->heard_fast_ns));
    family(m, "endpoint_in_use", "gauge", "1: the lease goes through this endpoint.");
    for (size_t i = 0; i < v->endpoint_count; i++)
        labelled(m, "endpoint", v->endpoints[i].text, v->endpoints[i].in_use);
    family(m, "endpoint_failures_total", "counter", "Failures of an endpoint.");
    for (size_t i = 0; i < v->endpoint_count; i++)
        labelled(m, "endpoint", v->endpoints[i].text, v->endpoints[i].failures);
    number(m, "endpoint_switches_total", "counter", v->switches,
           "Times that the lease went on through another.");
    number(m, "statements_total", "counter", v->statements, "Statements sent to the database.");
    number(m, "bookkeeping_dropped_total", "counter", v->dropped,
           "Heartbeats, history and the like that found no room or no answer.");
}

static void notices(struct metrics *m, const struct view *v)
{
    family(m, "notices_total", "counter", "Notices by receiver and how they ended.");
    for (size_t i = 0; i < v->receiver_count; i++) {
        const char *const outcomes[] = {"delivered", "failed", "dropped"};
        const uint64_t counts[] = {v->receivers[i].delivered, v->receivers[i].failed,
                                   v->receivers[i].dropped};

        for (unsigned k = 0; k < 3; k++) {
            sample(m, "", "receiver", v->receivers[i].name, "outcome", outcomes[k]);
            text_add(m->out, "%" PRIu64 "\n", counts[k]);
        }
    }
    family(m, "notice_retries_total", "counter", "Notices that were tried again, by receiver.");
    for (size_t i = 0; i < v->receiver_count; i++)
        labelled(m, "receiver", v->receivers[i].name, v->receivers[i].retries);
    family(m, "notices_waiting", "gauge", "Notices that wait, by receiver.");
    for (size_t i = 0; i < v->receiver_count; i++)
        labelled(m, "receiver", v->receivers[i].name, v->receivers[i].waiting);
}

static void server(struct metrics *m, const struct answer_now *now)
{
    number(m, "http_requests_total", "counter", now->requests, "Requests answered here.");
    number(m, "http_connections", "gauge", now->connections, "Connections that are open.");
    number(m, "http_connections_dropped_total", "counter", now->dropped,
           "Connections closed for being idle or slow, some to make room for others.");
}

void metrics_render(const struct answer_site *site, const struct view *v, const struct answer_now *now,
                    struct text *out)
{
    struct metrics m = {.out = out, .lease = site->lease};

    family(&m, "build_info", "gauge", "The sidecar's version, and which member it is.");
    sample(&m, "", "version", site->version, "member", site->member);
    text_add(out, "1\n");
    lease(&m, v, now);
    renewals(&m, v);
    alarms(&m, v);
    hooks(&m, v);
    controller(&m, v);
    safety_net(&m, v);
    database(&m, v, now);
    notices(&m, v);
    server(&m, now);
}
