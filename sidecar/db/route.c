#include "db/route.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>

#define PING_NS            (10 * LEASE_NS_PER_S) /* a spare that died unseen would cost a silence */
#define OWN_IDLE_NS        (30 * LEASE_NS_PER_S)
#define HOME_DOUBLINGS_MAX 4

/* A few leases long; doubled for a first endpoint that does not stay well. */
static uint64_t home_pause_ns(const struct route *route)
{
    return (route->config->silence_ns * 8) << route->home_doublings;
}

size_t route_next(const struct route *route, size_t endpoint)
{
    return (endpoint + 1) % route->config->endpoint_count;
}

void route_drop(struct route *route, enum client_connection_role role)
{
    struct route_connection *c = &route->connections[role];
    if (c->worker) {
        epoll_ctl(route->epoll_fd, EPOLL_CTL_DEL, worker_fd(c->worker), NULL);
        c->worker = worker_abandon(c->worker);
    }
}

static int open_worker(struct route *route, enum client_connection_role role, size_t endpoint)
{
    struct route_connection *c = &route->connections[role];
    struct worker_config config = {.endpoint = route->config->endpoints[endpoint],
                                   .lease_rules = true,
                                   .standalone = route->config->standalone};
    struct epoll_event event = {.events = EPOLLIN};
    uint64_t limit_s = (route->config->silence_ns + LEASE_NS_PER_S - 1) / LEASE_NS_PER_S;

    route_drop(route, role);
    c->endpoint = endpoint;
    c->since_ns = route->now_ns;
    strcpy(config.user, route->config->user);
    strcpy(config.password_file, route->config->password_file);
    config.tls = route->config->tls;
    config.connect_timeout_s = (uint32_t)(limit_s < 1 ? 1 : limit_s);
    config.io_timeout_s = config.connect_timeout_s * 3; /* the loop's own limits come first */
    int r = worker_new(&config, &c->worker);
    if (r < 0)
        return r;
    if (epoll_ctl(route->epoll_fd, EPOLL_CTL_ADD, worker_fd(c->worker), &event) < 0) {
        r = -errno;
        c->worker = worker_abandon(c->worker);
    }
    return r;
}

int route_submit(struct route *route, enum client_connection_role role, uint32_t id, enum worker_kind kind,
                 bool causal, const char *sql)
{
    struct route_connection *c = &route->connections[role];
    if (!c->worker) {
        int r = open_worker(route, role, c->endpoint);
        if (r < 0)
            return r;
    }
    int r = worker_submit(c->worker, id, kind, causal, sql);
    if (r == 0) {
        c->since_ns = route->now_ns;
        route->status.statements += kind != WORKER_CONNECT;
    }
    return r;
}

bool route_connected(const struct route *route, enum client_connection_role role)
{
    const struct worker *worker = route->connections[role].worker;
    return worker && worker_connected(worker) && !worker_busy(worker);
}

bool route_may_try(const struct route *route)
{
    return route_connected(route, CLIENT_SPARE) && route->now_ns - route->moved_ns >= home_pause_ns(route);
}

static void connect_to(struct route *route, enum client_connection_role role, size_t endpoint)
{
    if (open_worker(route, role, endpoint) == 0)
        route_submit(route, role, 0, WORKER_CONNECT, false, NULL);
}

/* A spare on another endpoint than the lease connection's, where there is one. */
static void spare_open(struct route *route, size_t endpoint)
{
    if (endpoint == route->connections[CLIENT_LEASE].endpoint)
        endpoint = route_next(route, endpoint);
    connect_to(route, CLIENT_SPARE, endpoint);
}

static void exchange(struct route *route, enum client_connection_role a, enum client_connection_role b)
{
    struct route_connection swap = route->connections[a];
    route->connections[a] = route->connections[b];
    route->connections[b] = swap;
}

/* ------------------------------------------------------------------ away from an endpoint */

/*
 * No spare is connected: nobody knows which endpoint is alive, so two are tried at the same time: one that
 * the spare is not trying already; with two endpoints, what the spare is trying and the failed one.
 */
static void race(struct route *route, size_t failed)
{
    struct route_connection *spare = &route->connections[CLIENT_SPARE];
    size_t other = route_next(route, failed);

    if (spare->worker && other == spare->endpoint)
        other = route_next(route, other);
    if (spare->worker && other == failed) {
        exchange(route, CLIENT_LEASE, CLIENT_SPARE);
        connect_to(route, CLIENT_SPARE, failed);
    } else {
        connect_to(route, CLIENT_LEASE, other);
        if (!spare->worker)
            spare_open(route, route_next(route, other));
    }
    route->racing = true;
}

/* Back at the first endpoint, and off again soon: it shall be tried more rarely. */
static void judge_home(struct route *route)
{
    if (route->home_ns == 0 || route->now_ns - route->home_ns > 2 * home_pause_ns(route))
        route->home_doublings = 0;
    else if (route->home_doublings < HOME_DOUBLINGS_MAX)
        route->home_doublings++;
}

/* Returns the endpoint that is left. */
static size_t leave_endpoint(struct route *route)
{
    size_t failed = route->connections[CLIENT_LEASE].endpoint;

    if (failed == 0)
        judge_home(route);
    route_drop(route, CLIENT_LEASE);
    route_drop(route, CLIENT_HOME);
    route->status.switches++;
    route->moved_ns = route->now_ns; /* not back at once */
    return failed;
}

void route_rest(struct route *route)
{
    const struct route_connection *spare = &route->connections[CLIENT_SPARE];
    size_t next = route_next(route, leave_endpoint(route));

    if (spare->worker && next == spare->endpoint)
        next = route_next(route, next);
    route->connections[CLIENT_LEASE].endpoint = next;
}

void route_switch(struct route *route)
{
    size_t failed = leave_endpoint(route);

    route->racing = false;
    if (route_connected(route, CLIENT_SPARE)) {
        exchange(route, CLIENT_LEASE, CLIENT_SPARE);
        spare_open(route, route_next(route, route->connections[CLIENT_LEASE].endpoint));
    } else {
        race(route, failed);
    }
}

bool route_spare_result(struct route *route, const struct worker_result *result)
{
    size_t endpoint = route->connections[CLIENT_SPARE].endpoint;

    route_note(route, endpoint, result);
    if (result->error) {
        /* The tick opens it again, on the next one. */
        route_drop(route, CLIENT_SPARE);
        route->connections[CLIENT_SPARE].endpoint = route_next(route, endpoint);
        return false;
    }
    if (!route->racing)
        return false;
    exchange(route, CLIENT_LEASE, CLIENT_SPARE);
    route->racing = false;
    return true;
}

/* ------------------------------------------------------------------ back to the first one */

/* What served until now is the spare. */
static void go_home(struct route *route)
{
    route_drop(route, CLIENT_SPARE);
    exchange(route, CLIENT_SPARE, CLIENT_LEASE);
    exchange(route, CLIENT_LEASE, CLIENT_HOME);
    route->home_ns = route->now_ns;
    route->status.switches++;
}

void route_home_result(struct route *route, const struct worker_result *result, bool quiet)
{
    const struct worker_facts *facts = &result->facts;

    route_note(route, 0, result);
    route->moved_ns = route->now_ns; /* from here on the pause before another try counts */
    if (!result->error && facts->primary && facts->synced && facts->writable && quiet && !route->racing &&
        route->connections[CLIENT_LEASE].endpoint != 0)
        go_home(route);
    else
        route_drop(route, CLIENT_HOME);
}

/* On a connection of its own: the spare must stay of use while nobody knows whether the first endpoint
 * answers. */
static void tick_home(struct route *route, bool quiet)
{
    struct route_connection *home = &route->connections[CLIENT_HOME];

    if (home->worker) {
        if (route->now_ns - home->since_ns > route->config->silence_ns) {
            route_drop(route, CLIENT_HOME);
            route->moved_ns = route->now_ns;
        }
    } else if (route->connections[CLIENT_LEASE].endpoint != 0 && quiet &&
               route->now_ns - route->moved_ns >= home_pause_ns(route)) {
        connect_to(route, CLIENT_HOME, 0);
    }
}

/* ------------------------------------------------------------------ time */

static void tick_spare(struct route *route)
{
    struct route_connection *spare = &route->connections[CLIENT_SPARE];

    if (!spare->worker) {
        spare_open(route, spare->endpoint);
    } else if (worker_busy(spare->worker)) {
        if (route->now_ns - spare->since_ns > route->config->silence_ns + LEASE_NS_PER_S)
            spare_open(route, route_next(route, spare->endpoint));
    } else if (route->now_ns - spare->since_ns >= PING_NS) {
        /* not SELECT 1: a node without quorum answers that */
        route_submit(route, CLIENT_SPARE, 0, WORKER_READ, false,
                     "SELECT MAX(version) FROM galera_lease.schema_version");
    }
}

/* Bookkeeping follows the lease's connection home. */
static void tick_others(struct route *route, bool book_busy)
{
    struct route_connection *book = &route->connections[CLIENT_BOOK],
                            *own = &route->connections[CLIENT_CONTROLLER];

    if (book->endpoint != 0 && !book_busy && route->connections[CLIENT_LEASE].endpoint == 0 &&
        !route->status.endpoints[0].error && route->now_ns - route->moved_ns >= home_pause_ns(route)) {
        route_drop(route, CLIENT_BOOK);
        book->endpoint = 0;
    }
    /* An idle one may be dead without anybody noticing; a new one is cheap where it is needed. */
    if (own->worker && !worker_busy(own->worker) && route->now_ns - own->since_ns > OWN_IDLE_NS)
        route_drop(route, CLIENT_CONTROLLER);
}

void route_tick(struct route *route, uint64_t now_ns, bool quiet, bool book_busy)
{
    if (route->now_ns == 0) { /* the first one: the times so far mean nothing */
        route->moved_ns = now_ns;
        for (size_t i = 0; i < CLIENT_CONNECTIONS; i++)
            route->connections[i].since_ns = now_ns;
    }
    route->now_ns = now_ns;
    tick_spare(route);
    tick_home(route, quiet);
    tick_others(route, book_busy);
}

/* ------------------------------------------------------------------ answers */

void route_note(struct route *route, size_t endpoint, const struct worker_result *result)
{
    route->status.endpoints[endpoint].error = result->error;
    memcpy(route->status.endpoints[endpoint].error_text, result->text, sizeof(result->text));
    route->status.endpoints[endpoint].failures += result->error != 0;
}

void route_answer_fill(const struct route *route, size_t endpoint, const struct worker_result *result,
                       struct client_answer *answer)
{
    answer->answer = result->answer;
    answer->non_primary = result->non_primary;
    answer->error = result->error;
    answer->text = result->text;
    answer->endpoint = route->config->endpoints[endpoint].text;
    answer->instance = result->facts.instance;
    answer->instance_up_ns = result->facts.up_ns;
}

/* ------------------------------------------------------------------ begin, end, status */

void route_init(struct route *route, const struct client_config *config, int epoll_fd)
{
    *route = (struct route){.config = config, .epoll_fd = epoll_fd};
    spare_open(route, route_next(route, 0));
}

void route_deinit(struct route *route)
{
    for (enum client_connection_role role = 0; role < CLIENT_CONNECTIONS; role++)
        route_drop(route, role);
}

void route_status(const struct route *route, struct client_status *ret_status)
{
    *ret_status = route->status;
    ret_status->endpoint_count = route->config->endpoint_count;
    for (size_t i = 0; i < route->config->endpoint_count; i++)
        memcpy(ret_status->endpoints[i].text, route->config->endpoints[i].text, ACCESS_ENDPOINT_MAX + 1);
    for (size_t i = 0; i < CLIENT_CONNECTIONS; i++) {
        const struct route_connection *c = &route->connections[i];
        ret_status->connections[i].endpoint = c->endpoint;
        ret_status->connections[i].open = c->worker != NULL;
        if (!c->worker)
            continue;
        const struct worker_facts *facts = worker_facts(c->worker);
        ret_status->connections[i].connected = worker_connected(c->worker);
        ret_status->connections[i].busy = worker_busy(c->worker);
        ret_status->connections[i].instance = facts->instance;
        memcpy(ret_status->connections[i].version, facts->version, sizeof(facts->version));
        memcpy(ret_status->connections[i].node_name, facts->node_name, sizeof(facts->node_name));
    }
}
