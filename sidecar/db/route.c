#include "db/route.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>

#define PING_NS (10 * LEASE_NS_PER_S) /* a spare that died unseen would cost a silence */

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
    struct worker_config config = {.endpoint = route->config->endpoints[endpoint], .lease_rules = true};
    struct epoll_event event = {.events = EPOLLIN};
    uint64_t limit_s = (route->config->silence_ns + LEASE_NS_PER_S - 1) / LEASE_NS_PER_S;

    route_drop(route, role);
    c->endpoint = endpoint;
    c->since_ns = route->now_ns;
    strcpy(config.user, route->config->user);
    strcpy(config.password, route->config->password);
    config.connect_timeout_s = (uint32_t)(limit_s < 1 ? 1 : limit_s);
    config.io_timeout_s = config.connect_timeout_s * 3; /* the loop's own limits come first */
    int r = worker_new(&config, &c->worker);
    explicit_bzero(config.password, sizeof(config.password));
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

/* A spare on another endpoint than the lease connection's, where there is one. */
static void spare_open(struct route *route, size_t endpoint)
{
    if (endpoint == route->connections[CLIENT_LEASE].endpoint)
        endpoint = route_next(route, endpoint);
    if (open_worker(route, CLIENT_SPARE, endpoint) == 0)
        route_submit(route, CLIENT_SPARE, 0, WORKER_CONNECT, false, NULL);
}

void route_switch(struct route *route)
{
    struct route_connection *lease = &route->connections[CLIENT_LEASE],
                            *spare = &route->connections[CLIENT_SPARE];
    size_t failed = lease->endpoint;

    route_drop(route, CLIENT_LEASE);
    if (spare->worker) {
        *lease = *spare;
        *spare = (struct route_connection){.endpoint = failed};
    } else {
        lease->endpoint = route_next(route, failed);
    }
    route->status.switches++;
    route->prefer_ns = route->now_ns; /* not back at once */
    spare_open(route, route_next(route, lease->endpoint));
}

void route_note(struct route *route, size_t endpoint, const struct worker_result *result)
{
    route->status.endpoints[endpoint].error = result->error;
    memcpy(route->status.endpoints[endpoint].error_text, result->text, sizeof(result->text));
    route->status.endpoints[endpoint].failures += result->error != 0;
}

void route_spare_result(struct route *route, const struct worker_result *result)
{
    size_t endpoint = route->connections[CLIENT_SPARE].endpoint;

    route_note(route, endpoint, result);
    if (result->error) {
        /* The tick opens it again, on the next one. */
        route_drop(route, CLIENT_SPARE);
        route->connections[CLIENT_SPARE].endpoint = route_next(route, endpoint);
    }
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

/* ------------------------------------------------------------------ time */

static void tick_spare(struct route *route, bool lease_busy)
{
    struct route_connection *spare = &route->connections[CLIENT_SPARE],
                            *lease = &route->connections[CLIENT_LEASE];

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

    if (lease->endpoint == 0 || lease_busy || route->now_ns - route->prefer_ns < ROUTE_PREFER_NS)
        return;
    if (spare->worker && spare->endpoint < lease->endpoint && !worker_busy(spare->worker) &&
        worker_connected(spare->worker)) {
        struct route_connection swap = *lease;
        *lease = *spare;
        *spare = swap;
        route->status.switches++;
        if (spare->worker && !worker_busy(spare->worker) && !worker_connected(spare->worker))
            route_submit(route, CLIENT_SPARE, 0, WORKER_CONNECT, false, NULL);
        route->prefer_ns = route->now_ns;
    } else if (spare->endpoint != 0 && route->now_ns - route->prefer_ns >= 2 * ROUTE_PREFER_NS) {
        /* tried now; swapped at a later tick if it answers */
        route->prefer_ns = route->now_ns - ROUTE_PREFER_NS;
        spare_open(route, 0);
    }
}

/* Bookkeeping and the controller's connection go back, too. */
static void tick_prefer(struct route *route, bool book_busy)
{
    struct route_connection *book = &route->connections[CLIENT_BOOK],
                            *own = &route->connections[CLIENT_CONTROLLER];

    if (book->endpoint != 0 && !book_busy && !route->status.endpoints[0].error &&
        route->connections[CLIENT_LEASE].endpoint == 0) {
        route_drop(route, CLIENT_BOOK);
        book->endpoint = 0;
    }
    /* An idle one may be dead without anybody noticing; a new one is cheap where it is needed. */
    if (own->worker && !worker_busy(own->worker) && route->now_ns - own->since_ns > ROUTE_PREFER_NS)
        route_drop(route, CLIENT_CONTROLLER);
}

void route_tick(struct route *route, bool lease_busy, bool book_busy)
{
    tick_spare(route, lease_busy);
    tick_prefer(route, book_busy);
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
