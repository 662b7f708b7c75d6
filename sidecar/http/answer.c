#include "http/answer.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "http/metrics.h"

static uint64_t since(uint64_t then_ns, uint64_t now_ns)
{
    return now_ns > then_ns ? now_ns - then_ns : 0;
}

bool answer_leads(const struct view *v, const struct answer_now *now)
{
    return v->leads && !now->fencing && now->clocks.fast_ns < v->lead_until_fast_ns;
}

/* A database that is silent for longer ends leading: then nobody can say that this host is well. */
static uint64_t silence_ns(const struct view *v, uint64_t ttl_ns)
{
    return since(lease_timing_demote_lead_ns(&v->timing), ttl_ns);
}

const char *answer_unwell(const struct view *v, const struct answer_now *now)
{
    if (since(v->at.fast_ns, now->clocks.fast_ns) > ANSWER_LOOP_NS)
        return "the sidecar's loop hangs";
    if (!v->guardian_up)
        return "the guardian is not running";
    if (v->heard_fast_ns == 0 ||
        since(v->heard_fast_ns, now->clocks.fast_ns) > silence_ns(v, v->timing.ttl_ns))
        return "the database does not answer";
    return NULL;
}

static void say(struct answer_reply *r, unsigned status, const char *text)
{
    r->status = status;
    text_add(&r->body, "%s\n", text);
}

static void leader(const struct view *v, const struct answer_now *now, struct answer_reply *r)
{
    bool leads = answer_leads(v, now);

    say(r, leads ? 200 : 503, leads ? "leader" : "not the leader");
}

static void follower(const struct view *v, const struct answer_now *now, struct answer_reply *r)
{
    const char *why = v->role != LEASE_FOLLOWER ? "not a follower" : answer_unwell(v, now);

    say(r, why ? 503 : 200, why ? why : "follower");
}

static void health(const struct view *v, const struct answer_now *now, struct answer_reply *r)
{
    const char *why = answer_unwell(v, now);

    say(r, why ? 503 : 200, why ? why : "well");
}

/* What the sidecar wrote down last, and what only the time of the asking tells. */
static void status(const struct view *v, const struct answer_now *now, struct answer_reply *r)
{
    json_t *s = v->status_size > 0 ? json_loadb(v->status, v->status_size, 0, NULL) : NULL;
    uint64_t left_ns = since(now->clocks.fast_ns, v->deadline_fast_ns);
    bool answers = since(v->at.fast_ns, now->clocks.fast_ns) <= ANSWER_LOOP_NS;

    if (!s) {
        say(r, 503, "the sidecar has not written its status yet");
        return;
    }
    json_object_set_new(s, "source", json_string("sidecar"));
    json_object_set_new(s, "age_s",
                        json_integer(now->wall_s - json_integer_value(json_object_get(s, "written"))));
    json_object_set_new(s, "answers", json_boolean(answers));
    json_object_set_new(s, "time_left_ms", json_integer((json_int_t)(left_ns / LEASE_NS_PER_MS)));
    char *text = json_dumps(s, JSON_INDENT(2) | JSON_ENSURE_ASCII);

    say(r, text ? 200 : 500, text ? text : "no memory");
    if (text)
        r->type = "application/json";
    free(text);
    json_decref(s);
}

static void metrics(const struct answer_site *site, const struct view *v, const struct answer_now *now,
                    struct answer_reply *r)
{
    r->status = 200;
    r->type = "text/plain; version=0.0.4; charset=utf-8";
    metrics_render(site, v, now, &r->body);
}

/* As far as this host can know: a holder whose row stands still for so long is about to be stopped. */
static bool somebody_leads(const struct view *v, const struct answer_now *now)
{
    return v->row_held && v->holder_leads &&
           since(v->row_since_slow_ns, now->clocks.slow_ns) < silence_ns(v, v->row_ttl_ns);
}

static void redirect(const struct answer_site *site, const struct view *v, const struct answer_now *now,
                     struct answer_reply *r)
{
    if (!answer_leads(v, now)) {
        const char *why = answer_unwell(v, now);

        if (why || !somebody_leads(v, now)) {
            say(r, 503, why ? why : "nobody leads right now");
            return;
        }
    }
    int e =
        redirect_url(site->redirect_url, v->leader_address, v->leader_port, r->location, sizeof r->location);

    if (e == 0) {
        say(r, 307, "the leader is elsewhere");
        return;
    }
    r->location[0] = '\0';
    say(r, 503,
        e == -ENOENT ? "the leader's address or controller_port is not configured there"
                     : "the leader's address is no host name or address");
}

void answer(const struct answer_site *site, const struct view *v, const struct answer_now *now,
            const char *path, struct answer_reply *r)
{
    r->type = "text/plain; charset=utf-8";
    r->location[0] = '\0';
    if (strcmp(path, "/leader") == 0)
        leader(v, now, r);
    else if (strcmp(path, "/follower") == 0)
        follower(v, now, r);
    else if (strcmp(path, "/health") == 0)
        health(v, now, r);
    else if (strcmp(path, "/status") == 0)
        status(v, now, r);
    else if (strcmp(path, "/metrics") == 0)
        metrics(site, v, now, r);
    else if (strcmp(path, "/redirect") == 0)
        redirect(site, v, now, r);
    else
        say(r, 404, "paths: /leader /follower /health /status /metrics /redirect");
    if (r->body.cut)
        r->status = 500; /* half of it would be a lie */
}
