#include "db/client.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "db/book.h"
#include "db/route.h"
#include "db/statement.h"

/* The lease statement under way. */
struct row_op {
    bool active;
    bool sent;   /* false: waits for its connection */
    bool failed; /* could not be handed over at all: answered by dispatch */
    bool is_write, causal;
    uint32_t id;
    enum client_connection_role role;
    char sql[WORKER_SQL_MAX + 1];
};

struct client {
    struct client_config config;
    client_callback callback;
    void *userdata;
    int epoll_fd, kick_fd;
    struct route route;
    struct row_op op;
    bool doubt; /* nobody knows what became of the last lease statement */
    struct book book;
};

static void kick(struct client *client)
{
    eventfd_write(client->kick_fd, 1);
}

/* ------------------------------------------------------------------ the lease statement */

static void answer_malformed(struct client_answer *answer)
{
    answer->answer = LEASE_ANSWER_REFUSED;
    answer->error = WORKER_ERROR_SHAPE;
    answer->text = "the row is malformed: edited by hand, or written by another program";
}

static void op_answer(struct client *client, size_t endpoint, struct worker_result *result)
{
    struct client_answer answer = {.kind = client->op.is_write ? CLIENT_WRITE : CLIENT_READ,
                                   .id = client->op.id};

    route_answer_fill(&client->route, endpoint, result, &answer);
    if (!client->op.is_write && result->answer == LEASE_ANSWER_ROW) {
        if (!result->table || result->table->rows == 0)
            answer.answer = LEASE_ANSWER_NO_ROW;
        else if (!rows_lease_decode(result->table, 0, &answer.row))
            answer_malformed(&answer);
    }
    client->op.active = false;
    client->callback(&answer, client->userdata);
}

static void lease_send(struct client *client)
{
    struct row_op *op = &client->op;
    enum worker_kind kind = op->is_write ? WORKER_WRITE : WORKER_READ;

    if (!op->active || op->sent || op->failed)
        return;
    /* Connect first: a statement that was not handed over can still go another way. */
    bool ready = route_connected(&client->route, op->role);
    int r = route_submit(&client->route, op->role, op->id, ready ? kind : WORKER_CONNECT, op->causal,
                         ready ? op->sql : NULL);
    if (r == -EBUSY)
        return; /* still connecting; sent when that is over */
    op->sent = ready && r == 0;
    op->failed = r < 0;
    if (op->failed)
        kick(client);
}

static bool moves(const struct client *client, const struct worker_result *result)
{
    if (result->answer == LEASE_ANSWER_UNKNOWN)
        return true;
    switch (worker_error_blame(result->error)) {
    case WORKER_BLAME_NOBODY: return false;
    case WORKER_BLAME_ENDPOINT: return true;
    case WORKER_BLAME_DATABASE: break;
    }
    return route_may_try(&client->route);
}

static void on_lease_result(struct client *client, enum client_connection_role role,
                            struct worker_result *result)
{
    size_t endpoint = client->route.connections[role].endpoint;
    bool ours = client->op.active && client->op.role == role;

    route_note(&client->route, endpoint, result);
    if (role == CLIENT_LEASE && !result->error)
        client->route.racing = false;
    if (ours && client->op.sent)
        client->doubt = result->answer == LEASE_ANSWER_UNKNOWN;
    if (ours && !client->op.sent && !result->error) {
        lease_send(client); /* it waited for this connect or ping of a former spare */
        return;
    }
    if (moves(client, result)) {
        if (role != CLIENT_LEASE)
            route_drop(&client->route, role);
        else if (ours || route_connected(&client->route, CLIENT_SPARE))
            route_switch(&client->route);
        else
            route_rest(&client->route);
    }
    if (ours)
        op_answer(client, endpoint, result);
}

/* Nothing of the lease's own is under way or in doubt. */
static bool quiet(const struct client *client)
{
    return !client->op.active && !client->doubt;
}

static void op_failed(struct client *client)
{
    struct worker_result result = {.answer = LEASE_ANSWER_REFUSED, .error = 2008};
    size_t endpoint = client->route.connections[client->op.role].endpoint;

    snprintf(result.text, sizeof(result.text), "no database thread could be started");
    op_answer(client, endpoint, &result);
}

/* ------------------------------------------------------------------ dispatch and time */

int client_dispatch(struct client *client)
{
    struct worker_result result;
    eventfd_t count;

    eventfd_read(client->kick_fd, &count);
    for (enum client_connection_role role = 0; role < CLIENT_CONNECTIONS; role++) {
        struct worker *worker = client->route.connections[role].worker;
        if (!worker || worker_take(worker, &result) == 0)
            continue;
        client->route.connections[role].since_ns = client->route.now_ns;
        if (role == CLIENT_BOOK)
            book_result(&client->book, &result);
        else if (role == CLIENT_HOME)
            route_home_result(&client->route, &result, quiet(client));
        else if (role != CLIENT_SPARE)
            on_lease_result(client, role, &result);
        else if (route_spare_result(&client->route, &result))
            lease_send(client);
        worker_result_deinit(&result);
    }
    if (client->op.active && client->op.failed)
        op_failed(client);
    book_send(&client->book);
    return 0;
}

int client_tick(struct client *client, uint64_t now_ns)
{
    route_tick(&client->route, now_ns, quiet(client), client->book.count > 0);
    book_tick(&client->book);
    return 0;
}

/* ------------------------------------------------------------------ the caller's side */

int client_new(const struct client_config *config, client_callback callback, void *userdata,
               struct client **ret_client)
{
    struct epoll_event event = {.events = EPOLLIN};

    if (config->endpoint_count == 0 || config->endpoint_count > CLIENT_ENDPOINTS_MAX ||
        config->controller >= config->endpoint_count || !rows_name_ok(config->lease) ||
        !rows_name_ok(config->member))
        return -EINVAL;
    struct client *client = calloc(1, sizeof(*client));
    if (!client)
        return -ENOMEM;
    client->config = *config;
    client->callback = callback;
    client->userdata = userdata;
    client->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    client->kick_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (client->epoll_fd < 0 || client->kick_fd < 0 ||
        epoll_ctl(client->epoll_fd, EPOLL_CTL_ADD, client->kick_fd, &event) < 0) {
        int r = -errno;
        client_free(client);
        return r;
    }
    route_init(&client->route, &client->config, client->epoll_fd);
    book_init(&client->book, &client->route, callback, userdata);
    *ret_client = client;
    return 0;
}

struct client *client_free(struct client *client)
{
    if (!client)
        return NULL;
    route_deinit(&client->route);
    book_deinit(&client->book);
    if (client->epoll_fd >= 0)
        close(client->epoll_fd);
    if (client->kick_fd >= 0)
        close(client->kick_fd);
    free(client);
    return NULL;
}

int client_fd(const struct client *client)
{
    return client->epoll_fd;
}

static int op_start(struct client *client, uint32_t id, bool is_write, bool causal, bool controller)
{
    struct route_connection *lease = &client->route.connections[CLIENT_LEASE],
                            *own = &client->route.connections[CLIENT_CONTROLLER];

    client->op.role = CLIENT_LEASE;
    if (controller && lease->endpoint != client->config.controller) {
        client->op.role = CLIENT_CONTROLLER;
        own->endpoint = client->config.controller;
    }
    client->op.active = true;
    client->op.sent = client->op.failed = false;
    client->op.id = id;
    client->op.is_write = is_write;
    client->op.causal = causal;
    lease_send(client);
    return 0;
}

int client_read(struct client *client, uint32_t id, bool causal, bool controller_endpoint)
{
    if (client->op.active)
        return -EBUSY;
    int r = statement_read(client->op.sql, sizeof(client->op.sql), client->config.lease);
    return r < 0 ? r : op_start(client, id, false, causal, controller_endpoint);
}

int client_write(struct client *client, uint32_t id, enum lease_write kind,
                 const struct lease_version *expected, const struct lease_row *wanted,
                 const char *hold_reason)
{
    if (client->op.active)
        return -EBUSY;
    int r = statement_write(client->op.sql, sizeof(client->op.sql), client->config.lease, kind, expected,
                            wanted, hold_reason);
    return r < 0 ? r : op_start(client, id, true, false, false);
}

const char *client_cancel(struct client *client, uint32_t id)
{
    if (!client->op.active || client->op.id != id)
        return NULL;
    size_t endpoint = client->route.connections[client->op.role].endpoint;
    client->op.active = false;
    client->doubt = true;
    client->route.status.endpoints[endpoint].failures++;
    if (client->op.role == CLIENT_LEASE)
        route_switch(&client->route);
    else
        route_drop(&client->route, client->op.role);
    return client->config.endpoints[endpoint].text;
}

/* Sent by the next dispatch: a callback never comes from the call itself. */
static int enqueue(struct client *client, enum client_kind kind, uint64_t request, const char *sql)
{
    int r = book_push(&client->book, kind, request, sql);
    if (r == 0)
        kick(client);
    return r;
}

int client_heartbeat(struct client *client, const struct client_heartbeat *heartbeat)
{
    char sql[WORKER_SQL_MAX];
    int r = statement_heartbeat(sql, sizeof(sql), client->config.lease, client->config.member,
                                &client->config.incarnation, heartbeat);
    return r < 0 ? r : enqueue(client, CLIENT_HEARTBEAT, 0, sql);
}

int client_members(struct client *client)
{
    char sql[WORKER_SQL_MAX];
    int r = statement_members(sql, sizeof(sql), client->config.lease);
    return r < 0 ? r : enqueue(client, CLIENT_MEMBERS, 0, sql);
}

int client_requests(struct client *client)
{
    char sql[WORKER_SQL_MAX];
    int r = statement_requests(sql, sizeof(sql), client->config.lease, "", CLIENT_REQUESTS_MAX);
    return r < 0 ? r : enqueue(client, CLIENT_REQUESTS, 0, sql);
}

int client_claim(struct client *client, uint64_t request)
{
    char sql[WORKER_SQL_MAX];
    int r = statement_claim(sql, sizeof(sql), client->config.lease, request, client->config.member);
    return r < 0 ? r : enqueue(client, CLIENT_CLAIM, request, sql);
}

int client_finish(struct client *client, uint64_t request, const char *outcome)
{
    char sql[WORKER_SQL_MAX];
    int r = statement_finish(sql, sizeof(sql), client->config.lease, request, client->config.member, outcome);
    return r < 0 ? r : enqueue(client, CLIENT_FINISH, request, sql);
}

int client_left(struct client *client)
{
    char sql[WORKER_SQL_MAX];
    int r = statement_requests(sql, sizeof(sql), client->config.lease, client->config.member,
                               CLIENT_REQUESTS_MAX);
    return r < 0 ? r : enqueue(client, CLIENT_LEFT, 0, sql);
}

int client_abandon(struct client *client, const uint64_t *requests, size_t count, const char *outcome)
{
    char sql[WORKER_SQL_MAX];
    int r = statement_abandon(sql, sizeof(sql), client->config.lease, requests, count, client->config.member,
                              outcome);
    return r < 0 ? r : enqueue(client, CLIENT_ABANDON, 0, sql);
}

int client_event(struct client *client, const struct client_event *event)
{
    char sql[WORKER_SQL_MAX];
    int r = statement_event(sql, sizeof(sql), client->config.lease, client->config.member,
                            &client->config.incarnation, event);
    return r < 0 ? r : enqueue(client, CLIENT_EVENT, 0, sql);
}

int client_forget(struct client *client, uint32_t days)
{
    char sql[WORKER_SQL_MAX];
    int r = statement_forget(sql, sizeof(sql), client->config.lease, days);
    return r < 0 ? r : enqueue(client, CLIENT_FORGET, 0, sql);
}

const struct client_place *client_place(const struct client *client, const char *member)
{
    return book_place(&client->book, member);
}

bool client_idle(const struct client *client)
{
    return client->book.count == 0;
}

void client_hurry(struct client *client)
{
    book_hurry(&client->book);
}

bool client_connected(const struct client *client)
{
    return route_connected(&client->route, CLIENT_LEASE);
}

size_t client_untold(const struct client *client)
{
    return book_untold(&client->book);
}

void client_status(const struct client *client, struct client_status *ret_status)
{
    route_status(&client->route, ret_status);
    ret_status->dropped = client->book.dropped;
    ret_status->queued = client->book.count;
}
