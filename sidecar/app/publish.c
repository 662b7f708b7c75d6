#include "app/publish.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "app/node.h"
#include "http/server.h"
#include "util/log.h"
#include "util/parse.h"

static bool wanted(const struct node *n)
{
    return n->config->http_listen[0] != '\0' && n->publish.board;
}

/* ---------------------------------------------------------------- in the HTTP thread */

/* The time is read here and now: what the loop posted may be old, and then it says so itself. */
static void on_request(void *userdata, const char *path, const struct http_counts *counts,
                       struct answer_reply *reply)
{
    const struct node *n =
        userdata; /* its board and page do not change; of its configuration, what no reload changes */
    const struct answer_site site = {.lease = n->config->name,
                                     .member = n->config->member,
                                     .version = GALERA_LEASE_VERSION,
                                     .redirect_url = n->config->http_redirect};
    const struct view *v = board_look(n->publish.board);
    struct answer_now now = {.clocks = v->at,
                             .wall_s = (int64_t)time(NULL),
                             .requests = counts->requests,
                             .connections = counts->connections,
                             .dropped = counts->dropped};

    clocks_sample(&now.clocks);
    now.fencing = page_fencing(n->page);
    answer(&site, v, &now, path, reply);
}

/* Something else may have the port, or the address may not be there yet: the lease does not wait for it. */
static void on_outcome(void *userdata, int error)
{
    const struct node *n = userdata;
    const struct config *c = n->config;

    if (error == 0)
        log_info("http", "lease=%s listen=%s tls=%s", c->name, c->http_listen,
                 c->http_tls_cert[0] ? "yes" : "no");
    else
        log_error(
            "http",
            "lease=%s listen=%s error=\"%s\" means=\"nobody is answered there, or as before; nothing for "
            "the lease\" action=\"tried again every %d s\"",
            c->name, c->http_listen,
            error == -EKEYREJECTED ? "http_tls_cert and http_tls_key are no certificate and its key"
                                   : strerror(-error),
            HTTP_RETRY_S);
}

/* ---------------------------------------------------------------- in the loop */

static void fill_leadership(const struct node *n, struct view *v)
{
    const struct lease *l = &n->lease;
    uint64_t lead_ns = lease_timing_demote_lead_ns(&l->config.timing);

    v->role = l->role;
    v->leads = l->role == LEASE_LEADER && !l->handover && !l->fencing;
    v->deadline_fast_ns = l->deadline_ns;
    v->lead_until_fast_ns = l->deadline_ns > lead_ns ? l->deadline_ns - lead_ns : 0;
    v->hold_left_ns = lease_hold_left_ns(l);
    v->epoch = l->own.epoch != 0 ? l->own.epoch : l->epoch_seen;
    v->epoch_seen = l->epoch_seen;
    v->guardian_up = l->guardian_up;
    v->regression = l->regression;
    v->drifted = l->drifted;
    v->health = watches_health(n);
}

static void set_place(struct view *v, const char *address, uint64_t port)
{
    snprintf(v->leader_address, sizeof v->leader_address, "%s", address);
    v->leader_port = (uint16_t)port;
}

static void fill_holder(const struct node *n, struct view *v)
{
    const struct lease *l = &n->lease;
    const struct client_place *place = client_place(n->client, l->row.holder);

    v->row_held = l->row_known && l->row.state == LEASE_ROW_HELD;
    v->row_since_slow_ns = l->row_since_slow_ns;
    v->row_ttl_ns = l->row_ttl_ns;
    v->holder_leads = place && place->leads && strcmp(l->row.holder, n->config->member) != 0;
    set_place(v, place ? place->address : "", place ? place->port : 0);
    if (v->leads)
        set_place(v, n->config->address, n->config->controller_port);
}

void publish_step(struct node *n)
{
    struct view *v = &n->publish.view;

    if (!wanted(n))
        return;
    v->at = n->clocks;
    v->timing = n->lease.config.timing;
    v->heard_fast_ns = n->publish.heard_fast_ns;
    fill_leadership(n, v);
    fill_holder(n, v);
    v->counters = n->counters;
    board_post(n->publish.board, v);
}

void publish_answer(struct node *n, const struct client_answer *a)
{
    bool heard = a->answer == LEASE_ANSWER_ROW || a->answer == LEASE_ANSWER_MISMATCH ||
                 a->answer == LEASE_ANSWER_NO_ROW;

    if (!wanted(n) || !heard)
        return;
    clocks_sample(&n->clocks);
    n->publish.heard_fast_ns = n->clocks.fast_ns;
    /* A new leader tells the others at its next heartbeat; clients should not wait for ours as well. */
    if (n->lease.role == LEASE_FOLLOWER && n->publish.view.row_held && !n->publish.view.holder_leads)
        client_members(n->client);
}

void publish_status(struct node *n, const char *text)
{
    struct view *v = &n->publish.view;
    size_t size = strlen(text);

    if (!wanted(n))
        return;
    v->status_size = size <= sizeof v->status ? size : 0;
    memcpy(v->status, text, v->status_size);
    board_post(n->publish.board, v);
}

static void fill_database(const struct node *n, struct view *v)
{
    struct client_status *s = calloc(1, sizeof *s);

    if (!s)
        return;
    client_status(n->client, s);
    v->endpoint_count = s->endpoint_count;
    for (size_t i = 0; i < s->endpoint_count && i < VIEW_ENDPOINTS_MAX; i++) {
        snprintf(v->endpoints[i].text, sizeof v->endpoints[i].text, "%s", s->endpoints[i].text);
        v->endpoints[i].in_use =
            s->connections[CLIENT_LEASE].connected && s->connections[CLIENT_LEASE].endpoint == i;
        v->endpoints[i].failures = s->endpoints[i].failures;
    }
    v->statements = s->statements;
    v->switches = s->switches;
    v->dropped = s->dropped;
    free(s);
}

static void fill_receivers(const struct node *n, struct view *v)
{
    struct courier_counts counts;
    const char *name;

    v->receiver_count = 0;
    for (size_t i = 0; i < VIEW_RECEIVERS_MAX && (name = announce_counts(&n->announce, i, &counts)); i++) {
        snprintf(v->receivers[i].name, sizeof v->receivers[i].name, "%s", name);
        v->receivers[i].delivered = counts.delivered;
        v->receivers[i].failed = counts.failed;
        v->receivers[i].dropped = counts.dropped;
        v->receivers[i].retries = counts.retries;
        v->receivers[i].waiting = counts.waiting;
        v->receiver_count = i + 1;
    }
}

/* ---------------------------------------------------------------- begin and end */

void publish_start(struct node *n)
{
    const struct config *c = n->config;
    int r = 0;

    if (c->http_listen[0] == '\0')
        return;
    n->publish.board = board_new();
    if (!n->publish.board)
        r = -ENOMEM;
    clocks_sample(&n->clocks);
    publish_step(n);
    if (r == 0)
        r = http_server_new(&(struct http_config){.listen = c->http_listen,
                                                  .cert = c->http_tls_cert,
                                                  .key = c->http_tls_key,
                                                  .idle_ns = HTTP_IDLE_NS,
                                                  .answer = on_request,
                                                  .outcome = on_outcome,
                                                  .userdata = n},
                            &n->publish.server);
    if (r < 0)
        log_error("http", "lease=%s error=\"%s\" means=\"nobody is answered; nothing for the lease\"",
                  c->name, strerror(-r));
}

void publish_tick(struct node *n)
{
    struct view *v = &n->publish.view;

    if (!wanted(n))
        return;
    fill_database(n, v);
    fill_receivers(n, v);
    v->stall_max_ns = n->stall_max_ns;
    v->lateness = *loop_lateness(n->loop);
    clocks_sample(&n->clocks);
    publish_step(n);
}

void publish_end(struct node *n)
{
    n->publish.server = http_server_free(n->publish.server);
    n->publish.board = board_free(n->publish.board);
}

uint16_t publish_port(const struct node *n)
{
    struct sockaddr_storage address;
    socklen_t size;

    if (!n->publish.server || !http_server_serves(n->publish.server) ||
        parse_socket_address(n->config->http_listen, &address, &size) < 0)
        return 0;
    return ntohs(((struct sockaddr_in *)&address)->sin_port); /* in the same place for both families */
}
