#include "app/watches.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "app/node.h"
#include "health/drift.h"
#include "health/probe.h"
#include "util/log.h"

#define END_PATIENCE_NS (100 * LEASE_NS_PER_MS)

static void start(struct node *n, const char *what, watcher_ask_fn ask, uint64_t interval_ns,
                  loop_fn on_answer, struct watcher **ret)
{
    int r = watcher_new(ask, n, interval_ns, ret);

    if (r == 0)
        r = loop_watch(n->loop, watcher_fd(*ret), on_answer, n);
    if (r < 0)
        log_error("watch", "lease=%s what=%s error=\"%s\" means=\"it is not asked\"", n->config->name, what,
                  strerror(-r));
}

/* ---------------------------------------------------------------- precheck */

static void keep_first_line(void *userdata, const char *line)
{
    struct watcher_answer *answer = userdata;

    if (answer->text[0] == '\0')
        snprintf(answer->text, sizeof answer->text, "%s", line);
}

/* In the watcher's thread: reads what never changes while the sidecar runs. */
static void ask_precheck(void *userdata, struct watcher_answer *ret)
{
    const struct node *n = userdata;
    const struct config *c = n->config;
    static const uint8_t nobody[LEASE_NONCE_SIZE];
    struct hook_facts facts = {.lease = c->name,
                               .member = c->member,
                               .role = "",
                               .reason = "",
                               .previous = "",
                               .run_dir = c->run_dir,
                               .state_dir = c->state_dir,
                               .promote_cgroup = n->cgroup_controller,
                               .nonce = nobody};
    struct hook_spec spec = {.kind = HOOK_PRECHECK,
                             .path = c->precheck,
                             .launcher = n->launcher_path,
                             .cgroup = n->cgroup_precheck[0] ? n->cgroup_precheck : NULL,
                             .page_fd = -1,
                             .budget_ns = c->timing.check_budget_ns};
    enum hook_outcome outcome = hook_run_sync(&spec, &facts, keep_first_line, ret);

    ret->good = outcome == HOOK_OK;
    if (outcome == HOOK_TIMED_OUT)
        snprintf(ret->text, sizeof ret->text, "no answer within check_budget");
    else if (outcome == HOOK_NOT_RUN)
        snprintf(ret->text, sizeof ret->text, "it cannot be run");
    else if (ret->text[0] == '\0')
        snprintf(ret->text, sizeof ret->text, "it failed and said nothing");
}

static void on_precheck(void *userdata)
{
    struct node *n = userdata;
    struct watches *w = &n->watches;
    struct watcher_answer answer;
    char quoted[2 * WATCHER_TEXT_MAX];

    if (!watcher_take(w->precheck, &answer))
        return;
    counters_hook_took(&n->counters, COUNTERS_PRECHECK, !answer.good, answer.took_ns);
    bool news = !w->precheck_answered || answer.good != w->prechecked.good ||
                (!answer.good && strcmp(answer.text, w->prechecked.text) != 0);

    w->prechecked = answer;
    w->precheck_answered = true;
    if (!news)
        return;
    struct lease_event e = {.type = LEASE_EVENT_FITNESS, .fitness = {.fit = answer.good}};

    if (answer.good)
        log_info("precheck", "lease=%s member=%s may_lead=yes", n->config->name, n->config->member);
    else
        log_warning("precheck", "lease=%s member=%s may_lead=no why=%s", n->config->name, n->config->member,
                    log_quote(answer.text, quoted, sizeof quoted));
    node_feed(n, &e);
    report_beat(n); /* others rank by it */
    report_status(n);
}

const char *watches_precheck_text(const struct watches *w)
{
    return w->precheck_answered ? w->prechecked.text : "it has not answered yet";
}

/* ---------------------------------------------------------------- health URL */

struct question {
    const struct node *node;
    uint64_t epoch;
};

/* Nobody asks any more about a start that is over. */
static bool nobody_asks(void *userdata)
{
    const struct question *q = userdata;
    const struct watches *w = &q->node->watches;

    return atomic_load(&w->ending) || atomic_load(&w->leading_epoch) != q->epoch;
}

/* In the watcher's thread. While nothing leads here nothing is asked: tag 0. */
static void ask_health(void *userdata, struct watcher_answer *ret)
{
    const struct node *n = userdata;
    const struct config *c = n->config;
    struct question question = {.node = n, .epoch = atomic_load(&n->watches.leading_epoch)};
    const struct probe probe = {.url = c->health_url,
                                .ca_file = c->health_ca,
                                .text = c->health_text,
                                .timeout_ns = c->health_timeout_ns,
                                .give_up = nobody_asks,
                                .userdata = &question};

    if (question.epoch == 0)
        return;
    enum probe_result result = probe_ask(&probe, ret->text, sizeof ret->text);

    ret->good = result == PROBE_HEALTHY;
    ret->tag = result == PROBE_GIVEN_UP ? 0 : question.epoch;
}

static void on_health(void *userdata)
{
    struct node *n = userdata;
    struct watches *w = &n->watches;
    struct watcher_answer answer;
    char quoted[2 * WATCHER_TEXT_MAX];

    if (!watcher_take(w->health, &answer) || answer.tag == 0)
        return;
    bool news = answer.tag != w->healthy.tag || answer.good != w->healthy.good ||
                strcmp(answer.text, w->healthy.text) != 0;
    struct lease_event e = {.type = LEASE_EVENT_HEALTH,
                            .health = {.epoch = answer.tag, .healthy = answer.good}};

    w->healthy = answer;
    if (answer.good)
        n->counters.healthy++;
    else
        n->counters.unhealthy++;
    if (news && answer.good)
        log_info("health", "lease=%s member=%s epoch=%" PRIu64 " healthy=yes", n->config->name,
                 n->config->member, answer.tag);
    else if (news)
        log_warning("health", "lease=%s member=%s epoch=%" PRIu64 " healthy=no why=%s", n->config->name,
                    n->config->member, answer.tag, log_quote(answer.text, quoted, sizeof quoted));
    node_feed(n, &e);
    if (news)
        report_status(n);
}

void watches_stepped(struct node *n)
{
    const struct lease *l = &n->lease;

    atomic_store(&n->watches.leading_epoch, l->role == LEASE_LEADER ? l->own.epoch : 0);
}

enum view_health watches_health(const struct node *n)
{
    const struct watches *w = &n->watches;

    if (!w->health || n->lease.role != LEASE_LEADER || w->healthy.tag != n->lease.own.epoch)
        return VIEW_HEALTH_NOT_ASKED;
    return w->healthy.good ? VIEW_HEALTHY : VIEW_UNHEALTHY;
}

json_t *watches_health_status(const struct node *n)
{
    static const char *const states[] = {"not asked", "healthy", "unhealthy"};
    enum view_health health = watches_health(n);

    if (!n->watches.health)
        return NULL;
    return json_pack("{s:s, s:s}", "state", states[health], "why",
                     health == VIEW_HEALTH_NOT_ASKED ? "" : n->watches.healthy.text);
}

/* ---------------------------------------------------------------- files */

/* In the watcher's thread. */
static void ask_files(void *userdata, struct watcher_answer *ret)
{
    const struct node *n = userdata;

    ret->good = true;
    drift_digest(n->watches.drift, ret->text);
}

static void on_files(void *userdata)
{
    struct node *n = userdata;
    struct watches *w = &n->watches;
    struct watcher_answer answer;

    if (!watcher_take(w->files, &answer) || strcmp(answer.text, w->digest) == 0)
        return;
    memcpy(w->digest, answer.text, sizeof w->digest);
    log_info("files", "lease=%s member=%s digest=%s", n->config->name, n->config->member, w->digest);
    report_beat(n); /* others rank by it */
}

void watches_drifted(struct node *n, const char *drift)
{
    struct watches *w = &n->watches;
    char quoted[2 * sizeof w->drifted];

    if (!drift || strcmp(drift, w->drifted) == 0)
        return;
    snprintf(w->drifted, sizeof w->drifted, "%s", drift);
    if (drift[0])
        log_warning("drift", "lease=%s member=%s what=%s means=\"%s\"", n->config->name, n->config->member,
                    log_quote(drift, quoted, sizeof quoted),
                    n->config->require_match ? "it does not lead until they match"
                                             : "it leads after the others");
    else
        log_info("drift", "lease=%s member=%s what=\"its files match the leader's\"", n->config->name,
                 n->config->member);
}

static void start_files(struct node *n)
{
    const struct config *c = n->config;
    const char *paths[CONFIG_LIST_MAX], *patterns[CONFIG_LIST_MAX];

    for (size_t i = 0; i < c->files.count; i++)
        paths[i] = c->files.text[i];
    for (size_t i = 0; i < c->ignore_lines.count; i++)
        patterns[i] = c->ignore_lines.text[i];
    snprintf(n->watches.digest, sizeof n->watches.digest, DRIFT_UNREAD);
    int r = drift_new(paths, c->files.count, patterns, c->ignore_lines.count, &n->watches.drift);

    if (r < 0)
        log_error("watch", "lease=%s what=files error=\"%s\" means=\"they are not compared\"", c->name,
                  strerror(-r));
    else
        start(n, "files", ask_files, c->timing.check_interval_ns, on_files, &n->watches.files);
}

/* ---------------------------------------------------------------- all of them */

void watches_start(struct node *n)
{
    if (n->config->precheck[0])
        start(n, "precheck", ask_precheck, n->config->timing.check_interval_ns, on_precheck,
              &n->watches.precheck);
    if (n->config->health_url[0])
        start(n, "health", ask_health, n->config->timing.check_interval_ns, on_health, &n->watches.health);
    if (n->config->files.count > 0)
        start_files(n);
}

void watches_end(struct watches *w)
{
    atomic_store(&w->ending, true);
    if (w->precheck)
        watcher_end(w->precheck, END_PATIENCE_NS);
    w->precheck = NULL;
    if (w->health)
        watcher_end(w->health, END_PATIENCE_NS);
    w->health = NULL;
    if (!w->files || watcher_end(w->files, END_PATIENCE_NS))
        w->drift = drift_free(w->drift); /* else its thread still uses it */
    w->files = NULL;
}
