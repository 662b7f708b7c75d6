#include "app/watches.h"

#include <stdio.h>
#include <string.h>

#include "app/node.h"
#include "util/log.h"

#define END_PATIENCE_NS (100 * LEASE_NS_PER_MS)

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

/* ---------------------------------------------------------------- all of them */

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

void watches_start(struct node *n)
{
    if (n->config->precheck[0])
        start(n, "precheck", ask_precheck, n->config->timing.check_interval_ns, on_precheck,
              &n->watches.precheck);
}

void watches_end(struct watches *w)
{
    if (w->precheck)
        watcher_end(w->precheck, END_PATIENCE_NS);
    w->precheck = NULL;
}
