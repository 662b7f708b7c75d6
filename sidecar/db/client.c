#include "db/client.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "db/statement.h"
#include "db/worker.h"

#define PING_NS     (10 * LEASE_NS_PER_S) /* a spare that died unseen would cost a silence */
#define PREFER_NS   (30 * LEASE_NS_PER_S) /* how often a preferred endpoint is tried again */
#define RETRIES_MAX 60                    /* of an event or outcome, about a second apart */
#define FORGET_NS   (3600 * LEASE_NS_PER_S)

struct connection {
    struct worker *worker;
    size_t endpoint;
    uint64_t since_ns; /* last submit or answer, as of the last tick */
};

struct book {
    enum client_kind kind;
    uint64_t request;
    unsigned tries;
    bool silent; /* housekeeping of ours: no callback */
    char *sql;
};

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
    struct connection connections[CLIENT_CONNECTIONS];
    struct row_op op;
    struct book queue[CLIENT_QUEUE_MAX];
    size_t queue_head, queue_count;
    bool book_sent; /* the head is with its worker */
    bool book_wait; /* not before the next tick */
    uint64_t now_ns, prefer_ns, forget_ns;
    struct lease_member members[LEASE_MEMBERS_MAX];
    char namesake[ROWS_ADDRESS_MAX + 1];
    struct rows_request requests[CLIENT_REQUESTS_MAX];
    struct client_status status; /* counters and endpoints' errors */
};

/* ------------------------------------------------------------------ connections */

static void kick(struct client *client)
{
    eventfd_write(client->kick_fd, 1);
}

static size_t next_endpoint(const struct client *client, size_t endpoint)
{
    return (endpoint + 1) % client->config.endpoint_count;
}

static void connection_drop(struct client *client, enum client_connection_role role)
{
    struct connection *c = &client->connections[role];
    if (c->worker) {
        epoll_ctl(client->epoll_fd, EPOLL_CTL_DEL, worker_fd(c->worker), NULL);
        c->worker = worker_abandon(c->worker);
    }
}

static int connection_open(struct client *client, enum client_connection_role role, size_t endpoint)
{
    struct connection *c = &client->connections[role];
    struct worker_config config = {.endpoint = client->config.endpoints[endpoint], .lease_rules = true};
    struct epoll_event event = {.events = EPOLLIN};
    uint64_t limit_s = (client->config.silence_ns + LEASE_NS_PER_S - 1) / LEASE_NS_PER_S;

    connection_drop(client, role);
    c->endpoint = endpoint;
    c->since_ns = client->now_ns;
    strcpy(config.user, client->config.user);
    strcpy(config.password, client->config.password);
    config.connect_timeout_s = (uint32_t)(limit_s < 1 ? 1 : limit_s);
    config.io_timeout_s = config.connect_timeout_s * 3; /* the loop's own limits come first */
    int r = worker_new(&config, &c->worker);
    explicit_bzero(config.password, sizeof(config.password));
    if (r < 0)
        return r;
    if (epoll_ctl(client->epoll_fd, EPOLL_CTL_ADD, worker_fd(c->worker), &event) < 0) {
        r = -errno;
        c->worker = worker_abandon(c->worker);
    }
    return r;
}

static int connection_submit(struct client *client, enum client_connection_role role, uint32_t id,
                             enum worker_kind kind, bool causal, const char *sql)
{
    struct connection *c = &client->connections[role];
    if (!c->worker) {
        int r = connection_open(client, role, c->endpoint);
        if (r < 0)
            return r;
    }
    int r = worker_submit(c->worker, id, kind, causal, sql);
    if (r == 0) {
        c->since_ns = client->now_ns;
        client->status.statements += kind != WORKER_CONNECT;
    }
    return r;
}

/* A spare on another endpoint than the lease connection's, where there is one. */
static void spare_open(struct client *client, size_t endpoint)
{
    if (endpoint == client->connections[CLIENT_LEASE].endpoint)
        endpoint = next_endpoint(client, endpoint);
    if (connection_open(client, CLIENT_SPARE, endpoint) == 0)
        connection_submit(client, CLIENT_SPARE, 0, WORKER_CONNECT, false, NULL);
}

/* The lease connection is in doubt: the spare takes its place at once. */
static void lease_switch(struct client *client)
{
    struct connection *lease = &client->connections[CLIENT_LEASE],
                      *spare = &client->connections[CLIENT_SPARE];
    size_t failed = lease->endpoint;

    connection_drop(client, CLIENT_LEASE);
    if (spare->worker) {
        *lease = *spare;
        *spare = (struct connection){.endpoint = failed};
    } else {
        lease->endpoint = next_endpoint(client, failed);
    }
    client->status.switches++;
    client->prefer_ns = client->now_ns; /* not back at once */
    spare_open(client, next_endpoint(client, lease->endpoint));
}

static void endpoint_note(struct client *client, size_t endpoint, const struct worker_result *result)
{
    client->status.endpoints[endpoint].error = result->error;
    memcpy(client->status.endpoints[endpoint].error_text, result->text, sizeof(result->text));
    client->status.endpoints[endpoint].failures += result->error != 0;
}

/* ------------------------------------------------------------------ answers */

static void answer_fill(const struct client *client, size_t endpoint, const struct worker_result *result,
                        struct client_answer *answer)
{
    answer->answer = result->answer;
    answer->non_primary = result->non_primary;
    answer->error = result->error;
    answer->text = result->text;
    answer->endpoint = client->config.endpoints[endpoint].text;
    answer->instance = result->facts.instance;
    answer->instance_up_ns = result->facts.up_ns;
}

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

    answer_fill(client, endpoint, result, &answer);
    if (!client->op.is_write && result->answer == LEASE_ANSWER_ROW) {
        if (!result->table || result->table->rows == 0)
            answer.answer = LEASE_ANSWER_NO_ROW;
        else if (!rows_lease_decode(result->table, 0, &answer.row))
            answer_malformed(&answer);
    }
    client->op.active = false;
    client->callback(&answer, client->userdata);
}

static size_t decode_members(struct client *client, const struct table *table)
{
    struct rows_member member;
    size_t count = 0;
    for (size_t i = 0; i < table->rows && count < LEASE_MEMBERS_MAX; i++)
        if (rows_member_decode(table, i, &member)) { /* one bad row must not hide the others */
            if (strcmp(member.member.name, client->config.member) == 0 &&
                memcmp(&member.member.incarnation, &client->config.incarnation, LEASE_NONCE_SIZE) != 0)
                memcpy(client->namesake, member.address, sizeof(client->namesake));
            client->members[count++] = member.member;
        }
    return count;
}

static size_t decode_requests(struct client *client, const struct table *table)
{
    size_t count = 0;
    for (size_t i = 0; i < table->rows && count < CLIENT_REQUESTS_MAX; i++)
        if (rows_request_decode(table, i, &client->requests[count]))
            count++;
    return count;
}

static void book_pop(struct client *client)
{
    free(client->queue[client->queue_head].sql);
    client->queue[client->queue_head] = (struct book){};
    client->queue_head = (client->queue_head + 1) % CLIENT_QUEUE_MAX;
    client->queue_count--;
    client->book_sent = false;
}

static void book_answer(struct client *client, size_t endpoint, struct worker_result *result)
{
    struct book *book = &client->queue[client->queue_head];
    struct client_answer answer = {.kind = book->kind, .request = book->request};
    bool silent = book->silent;

    if ((book->kind == CLIENT_EVENT || book->kind == CLIENT_FINISH) && !silent &&
        result->answer == LEASE_ANSWER_REFUSED && book->tries < RETRIES_MAX) {
        book->tries++;
        client->book_sent = false;
        client->book_wait = true;
        return;
    }
    answer_fill(client, endpoint, result, &answer);
    if (result->table && book->kind == CLIENT_MEMBERS) {
        answer.members = client->members;
        client->namesake[0] = '\0';
        answer.member_count = decode_members(client, result->table);
        answer.namesake = client->namesake[0] ? client->namesake : NULL;
    } else if (result->table && book->kind == CLIENT_REQUESTS) {
        answer.requests = client->requests;
        answer.request_count = decode_requests(client, result->table);
    }
    book_pop(client);
    if (!silent)
        client->callback(&answer, client->userdata);
}

/* ------------------------------------------------------------------ sending */

static void lease_send(struct client *client)
{
    struct row_op *op = &client->op;

    if (!op->active || op->sent || op->failed)
        return;
    int r = connection_submit(client, op->role, op->id, op->is_write ? WORKER_WRITE : WORKER_READ, op->causal,
                              op->sql);
    if (r == -EBUSY)
        return; /* still connecting; sent when that is over */
    op->sent = r == 0;
    op->failed = r < 0;
    if (op->failed)
        kick(client);
}

static void book_send(struct client *client)
{
    struct book *book = &client->queue[client->queue_head];
    bool reads = book->kind == CLIENT_MEMBERS || book->kind == CLIENT_REQUESTS;

    if (client->queue_count == 0 || client->book_sent || client->book_wait)
        return;
    int r = connection_submit(client, CLIENT_BOOK, 0, reads ? WORKER_READ : WORKER_WRITE, false, book->sql);
    client->book_sent = r == 0;
    if (r < 0 && r != -EBUSY)
        client->book_wait = true; /* no thread or descriptor left: later */
}

/* ------------------------------------------------------------------ dispatch */

static void on_lease_result(struct client *client, enum client_connection_role role,
                            struct worker_result *result)
{
    size_t endpoint = client->connections[role].endpoint;
    bool ours = client->op.active && client->op.role == role;

    endpoint_note(client, endpoint, result);
    if (ours && !client->op.sent && !result->error) {
        lease_send(client); /* it waited for this connect or ping of a former spare */
        return;
    }
    if (result->answer == LEASE_ANSWER_UNKNOWN || worker_error_moves(result->error)) {
        if (role == CLIENT_LEASE)
            lease_switch(client);
        else
            connection_drop(client, role);
    }
    if (ours)
        op_answer(client, endpoint, result);
}

static void on_spare_result(struct client *client, struct worker_result *result)
{
    size_t endpoint = client->connections[CLIENT_SPARE].endpoint;

    endpoint_note(client, endpoint, result);
    if (result->error) {
        /* The tick opens it again, on the next one. */
        connection_drop(client, CLIENT_SPARE);
        client->connections[CLIENT_SPARE].endpoint = next_endpoint(client, endpoint);
    }
}

static void on_book_result(struct client *client, struct worker_result *result)
{
    size_t endpoint = client->connections[CLIENT_BOOK].endpoint;

    endpoint_note(client, endpoint, result);
    if (result->answer == LEASE_ANSWER_UNKNOWN || worker_error_moves(result->error)) {
        connection_drop(client, CLIENT_BOOK);
        client->connections[CLIENT_BOOK].endpoint = next_endpoint(client, endpoint);
        client->book_wait = true; /* all endpoints may be gone: no storm */
    }
    if (client->book_sent)
        book_answer(client, endpoint, result);
}

static void op_failed(struct client *client)
{
    struct worker_result result = {.answer = LEASE_ANSWER_REFUSED, .error = 2008};
    size_t endpoint = client->connections[client->op.role].endpoint;

    snprintf(result.text, sizeof(result.text), "no database thread could be started");
    op_answer(client, endpoint, &result);
}

int client_dispatch(struct client *client)
{
    struct worker_result result;
    eventfd_t count;

    eventfd_read(client->kick_fd, &count);
    for (enum client_connection_role role = 0; role < CLIENT_CONNECTIONS; role++) {
        struct worker *worker = client->connections[role].worker;
        if (!worker || worker_take(worker, &result) == 0)
            continue;
        client->connections[role].since_ns = client->now_ns;
        if (role == CLIENT_SPARE)
            on_spare_result(client, &result);
        else if (role == CLIENT_BOOK)
            on_book_result(client, &result);
        else
            on_lease_result(client, role, &result);
        worker_result_deinit(&result);
    }
    if (client->op.active && client->op.failed)
        op_failed(client);
    book_send(client);
    return 0;
}

/* ------------------------------------------------------------------ time */

static void tick_book(struct client *client)
{
    struct connection *book = &client->connections[CLIENT_BOOK];
    struct worker_result result = {};

    client->book_wait = false;
    if (client->book_sent && client->now_ns - book->since_ns > client->config.silence_ns) {
        enum client_kind kind = client->queue[client->queue_head].kind;
        result.answer =
            kind == CLIENT_MEMBERS || kind == CLIENT_REQUESTS ? LEASE_ANSWER_REFUSED : LEASE_ANSWER_UNKNOWN;
        result.error = 2013;
        snprintf(result.text, sizeof(result.text), "no answer in time");
        client->status.dropped++;
        on_book_result(client, &result);
        client->book_wait = false;
    }
    book_send(client);
}

static void tick_spare(struct client *client)
{
    struct connection *spare = &client->connections[CLIENT_SPARE],
                      *lease = &client->connections[CLIENT_LEASE];

    if (!spare->worker) {
        spare_open(client, spare->endpoint);
    } else if (worker_busy(spare->worker)) {
        if (client->now_ns - spare->since_ns > client->config.silence_ns + LEASE_NS_PER_S)
            spare_open(client, next_endpoint(client, spare->endpoint));
    } else if (client->now_ns - spare->since_ns >= PING_NS) {
        /* not SELECT 1: a node without quorum answers that */
        connection_submit(client, CLIENT_SPARE, 0, WORKER_READ, false,
                          "SELECT MAX(version) FROM galera_lease.schema_version");
    }

    if (lease->endpoint == 0 || client->op.active || client->now_ns - client->prefer_ns < PREFER_NS)
        return;
    if (spare->worker && spare->endpoint < lease->endpoint && !worker_busy(spare->worker) &&
        worker_connected(spare->worker)) {
        struct connection swap = *lease;
        *lease = *spare;
        *spare = swap;
        client->status.switches++;
        if (spare->worker && !worker_busy(spare->worker) && !worker_connected(spare->worker))
            connection_submit(client, CLIENT_SPARE, 0, WORKER_CONNECT, false, NULL);
        client->prefer_ns = client->now_ns;
    } else if (spare->endpoint != 0 && client->now_ns - client->prefer_ns >= 2 * PREFER_NS) {
        client->prefer_ns = client->now_ns - PREFER_NS; /* tried now; swapped at a later tick if it answers */
        spare_open(client, 0);
    }
}

/* Bookkeeping and the controller's connection go back, too. */
static void tick_prefer(struct client *client)
{
    struct connection *book = &client->connections[CLIENT_BOOK];

    if (book->endpoint != 0 && client->queue_count == 0 && !client->status.endpoints[0].error &&
        client->connections[CLIENT_LEASE].endpoint == 0) {
        connection_drop(client, CLIENT_BOOK);
        book->endpoint = 0;
    }
    /* An idle one may be dead without anybody noticing; a new one is cheap where it is needed. */
    struct connection *own = &client->connections[CLIENT_CONTROLLER];
    if (own->worker && !worker_busy(own->worker) && client->now_ns - own->since_ns > PREFER_NS)
        connection_drop(client, CLIENT_CONTROLLER);
}

static int book_push(struct client *client, enum client_kind kind, uint64_t request, bool silent,
                     const char *sql)
{
    bool single = kind == CLIENT_HEARTBEAT || kind == CLIENT_MEMBERS || kind == CLIENT_REQUESTS;
    for (size_t i = 0; single && i < client->queue_count; i++)
        if (client->queue[(client->queue_head + i) % CLIENT_QUEUE_MAX].kind == kind)
            return -EALREADY;
    if (client->queue_count == CLIENT_QUEUE_MAX) {
        client->status.dropped++;
        return -ENOBUFS;
    }
    char *copy = strdup(sql);
    if (!copy)
        return -ENOMEM;
    client->queue[(client->queue_head + client->queue_count++) % CLIENT_QUEUE_MAX] =
        (struct book){.kind = kind, .request = request, .silent = silent, .sql = copy};
    kick(client);
    return 0;
}

int client_tick(struct client *client, uint64_t now_ns)
{
    char sql[WORKER_SQL_MAX];

    client->now_ns = now_ns;
    if (client->prefer_ns == 0) { /* the first one: the times so far mean nothing */
        client->prefer_ns = client->forget_ns = now_ns;
        for (size_t i = 0; i < CLIENT_CONNECTIONS; i++)
            client->connections[i].since_ns = now_ns;
    }
    if (now_ns - client->forget_ns >= FORGET_NS) {
        client->forget_ns = now_ns;
        if (statement_forget(sql, sizeof(sql), client->config.lease) > 0)
            book_push(client, CLIENT_EVENT, 0, true, sql);
    }
    tick_book(client);
    tick_spare(client);
    tick_prefer(client);
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
    spare_open(client, next_endpoint(client, 0));
    *ret_client = client;
    return 0;
}

struct client *client_free(struct client *client)
{
    if (!client)
        return NULL;
    for (enum client_connection_role role = 0; role < CLIENT_CONNECTIONS; role++)
        connection_drop(client, role);
    while (client->queue_count)
        book_pop(client);
    if (client->epoll_fd >= 0)
        close(client->epoll_fd);
    if (client->kick_fd >= 0)
        close(client->kick_fd);
    explicit_bzero(client->config.password, sizeof(client->config.password));
    free(client);
    return NULL;
}

int client_fd(const struct client *client)
{
    return client->epoll_fd;
}

static int op_start(struct client *client, uint32_t id, bool is_write, bool causal, bool controller)
{
    struct connection *lease = &client->connections[CLIENT_LEASE],
                      *own = &client->connections[CLIENT_CONTROLLER];

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

void client_cancel(struct client *client, uint32_t id)
{
    if (!client->op.active || client->op.id != id)
        return;
    client->op.active = false;
    client->status.endpoints[client->connections[client->op.role].endpoint].failures++;
    if (client->op.role == CLIENT_LEASE)
        lease_switch(client);
    else
        connection_drop(client, client->op.role);
}

int client_heartbeat(struct client *client, const struct client_heartbeat *heartbeat)
{
    char sql[WORKER_SQL_MAX];
    int r = statement_heartbeat(sql, sizeof(sql), client->config.lease, client->config.member,
                                &client->config.incarnation, heartbeat);
    return r < 0 ? r : book_push(client, CLIENT_HEARTBEAT, 0, false, sql);
}

int client_members(struct client *client)
{
    char sql[WORKER_SQL_MAX];
    int r = statement_members(sql, sizeof(sql), client->config.lease);
    return r < 0 ? r : book_push(client, CLIENT_MEMBERS, 0, false, sql);
}

int client_requests(struct client *client)
{
    char sql[WORKER_SQL_MAX];
    int r = statement_requests(sql, sizeof(sql), client->config.lease, CLIENT_REQUESTS_MAX);
    return r < 0 ? r : book_push(client, CLIENT_REQUESTS, 0, false, sql);
}

int client_claim(struct client *client, uint64_t request)
{
    char sql[WORKER_SQL_MAX];
    int r = statement_claim(sql, sizeof(sql), client->config.lease, request, client->config.member);
    return r < 0 ? r : book_push(client, CLIENT_CLAIM, request, false, sql);
}

int client_finish(struct client *client, uint64_t request, const char *outcome)
{
    char sql[WORKER_SQL_MAX];
    int r = statement_finish(sql, sizeof(sql), client->config.lease, request, client->config.member, outcome);
    return r < 0 ? r : book_push(client, CLIENT_FINISH, request, false, sql);
}

int client_event(struct client *client, const struct client_event *event)
{
    char sql[WORKER_SQL_MAX];
    int r = statement_event(sql, sizeof(sql), client->config.lease, client->config.member, event);
    return r < 0 ? r : book_push(client, CLIENT_EVENT, 0, false, sql);
}

bool client_idle(const struct client *client)
{
    return client->queue_count == 0;
}

void client_status(const struct client *client, struct client_status *ret_status)
{
    *ret_status = client->status;
    ret_status->queued = client->queue_count;
    ret_status->endpoint_count = client->config.endpoint_count;
    for (size_t i = 0; i < client->config.endpoint_count; i++)
        memcpy(ret_status->endpoints[i].text, client->config.endpoints[i].text, ACCESS_ENDPOINT_MAX + 1);
    for (size_t i = 0; i < CLIENT_CONNECTIONS; i++) {
        const struct connection *c = &client->connections[i];
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
