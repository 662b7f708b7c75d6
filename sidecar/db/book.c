#include "db/book.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "db/statement.h"

#define RETRIES_MAX 60 /* of an event or outcome, about a second apart */
#define FORGET_NS   (3600 * LEASE_NS_PER_S)

void book_init(struct book *book, struct route *route, client_callback callback, void *userdata)
{
    book->route = route;
    book->config = route->config;
    book->callback = callback;
    book->userdata = userdata;
}

/* ------------------------------------------------------------------ answers */

static size_t decode_members(struct book *book, const struct table *table)
{
    struct rows_member member;
    size_t count = 0;
    for (size_t i = 0; i < table->rows && count < LEASE_MEMBERS_MAX; i++)
        if (rows_member_decode(table, i, &member)) { /* one bad row must not hide the others */
            if (strcmp(member.member.name, book->config->member) == 0 &&
                memcmp(&member.member.incarnation, &book->config->incarnation, LEASE_NONCE_SIZE) != 0)
                memcpy(book->namesake, member.address, sizeof(book->namesake));
            book->members[count++] = member.member;
        }
    return count;
}

static size_t decode_requests(struct book *book, const struct table *table)
{
    size_t count = 0;
    for (size_t i = 0; i < table->rows && count < CLIENT_REQUESTS_MAX; i++)
        if (rows_request_decode(table, i, &book->requests[count]))
            count++;
    return count;
}

static void pop(struct book *book)
{
    free(book->queue[book->head].sql);
    book->queue[book->head] = (struct book_entry){};
    book->head = (book->head + 1) % CLIENT_QUEUE_MAX;
    book->count--;
    book->sent = false;
}

static void answer_head(struct book *book, size_t endpoint, struct worker_result *result)
{
    struct book_entry *head = &book->queue[book->head];
    struct client_answer answer = {.kind = head->kind, .request = head->request};
    bool silent = head->silent;

    if ((head->kind == CLIENT_EVENT || head->kind == CLIENT_FINISH) && !silent &&
        result->answer == LEASE_ANSWER_REFUSED && head->tries < RETRIES_MAX) {
        head->tries++;
        book->sent = false;
        book->wait = true;
        return;
    }
    route_answer_fill(book->route, endpoint, result, &answer);
    if (result->table && head->kind == CLIENT_MEMBERS) {
        answer.members = book->members;
        book->namesake[0] = '\0';
        answer.member_count = decode_members(book, result->table);
        answer.namesake = book->namesake[0] ? book->namesake : NULL;
    } else if (result->table && head->kind == CLIENT_REQUESTS) {
        answer.requests = book->requests;
        answer.request_count = decode_requests(book, result->table);
    }
    pop(book);
    if (!silent)
        book->callback(&answer, book->userdata);
}

/* ------------------------------------------------------------------ the queue */

static int push(struct book *book, enum client_kind kind, uint64_t request, bool silent, const char *sql)
{
    bool single = kind == CLIENT_HEARTBEAT || kind == CLIENT_MEMBERS || kind == CLIENT_REQUESTS;
    for (size_t i = 0; single && i < book->count; i++)
        if (book->queue[(book->head + i) % CLIENT_QUEUE_MAX].kind == kind)
            return -EALREADY;
    if (book->count == CLIENT_QUEUE_MAX) {
        book->dropped++;
        return -ENOBUFS;
    }
    char *copy = strdup(sql);
    if (!copy)
        return -ENOMEM;
    book->queue[(book->head + book->count++) % CLIENT_QUEUE_MAX] =
        (struct book_entry){.kind = kind, .request = request, .silent = silent, .sql = copy};
    return 0;
}

int book_push(struct book *book, enum client_kind kind, uint64_t request, const char *sql)
{
    return push(book, kind, request, false, sql);
}

void book_deinit(struct book *book)
{
    while (book->count)
        pop(book);
}

void book_send(struct book *book)
{
    struct book_entry *head = &book->queue[book->head];
    bool reads = head->kind == CLIENT_MEMBERS || head->kind == CLIENT_REQUESTS;

    if (book->count == 0 || book->sent || book->wait)
        return;
    int r = route_submit(book->route, CLIENT_BOOK, 0, reads ? WORKER_READ : WORKER_WRITE, false, head->sql);
    book->sent = r == 0;
    if (r < 0 && r != -EBUSY)
        book->wait = true; /* no thread or descriptor left: later */
}

void book_result(struct book *book, struct worker_result *result)
{
    size_t endpoint = book->route->connections[CLIENT_BOOK].endpoint;

    route_note(book->route, endpoint, result);
    if (result->answer == LEASE_ANSWER_UNKNOWN || worker_error_moves(result->error)) {
        route_drop(book->route, CLIENT_BOOK);
        book->route->connections[CLIENT_BOOK].endpoint = route_next(book->route, endpoint);
        book->wait = true; /* all endpoints may be gone: no storm */
    }
    if (book->sent)
        answer_head(book, endpoint, result);
}

/* ------------------------------------------------------------------ time */

static void tick_limit(struct book *book)
{
    struct route_connection *own = &book->route->connections[CLIENT_BOOK];
    struct worker_result result = {};

    book->wait = false;
    if (book->sent && book->route->now_ns - own->since_ns > book->config->silence_ns) {
        enum client_kind kind = book->queue[book->head].kind;
        result.answer =
            kind == CLIENT_MEMBERS || kind == CLIENT_REQUESTS ? LEASE_ANSWER_REFUSED : LEASE_ANSWER_UNKNOWN;
        result.error = 2013;
        snprintf(result.text, sizeof(result.text), "no answer in time");
        book->dropped++;
        book_result(book, &result);
        book->wait = false;
    }
    book_send(book);
}

void book_tick(struct book *book)
{
    uint64_t now_ns = book->route->now_ns;
    char sql[WORKER_SQL_MAX];

    if (book->forget_ns == 0)
        book->forget_ns = now_ns;
    if (now_ns - book->forget_ns >= FORGET_NS) {
        book->forget_ns = now_ns;
        if (statement_forget(sql, sizeof(sql), book->config->lease) > 0)
            push(book, CLIENT_EVENT, 0, true, sql);
    }
    tick_limit(book);
}
