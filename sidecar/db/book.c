#include "db/book.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RETRIES_MAX 60 /* of an event or outcome that a working server refuses, about a second apart */
#define RESERVED    8  /* places that history leaves to the rest */

void book_init(struct book *book, struct route *route, client_callback callback, void *userdata)
{
    book->route = route;
    book->config = route->config;
    book->callback = callback;
    book->userdata = userdata;
}

/* ------------------------------------------------------------------ the queue */

static struct book_entry take_first(struct book *book)
{
    struct book_entry first = book->queue[0];

    memmove(book->queue, book->queue + 1, --book->count * sizeof(first));
    book->queue[book->count] = (struct book_entry){};
    book->sent = false;
    return first;
}

/* Late ones last; @again: first among those. Never before one that is under way. There is room. */
static void insert(struct book *book, const struct book_entry *entry, bool again)
{
    size_t at = book->sent ? 1 : 0;

    while (at < book->count && (!book->queue[at].late || (entry->late && !again)))
        at++;
    memmove(book->queue + at + 1, book->queue + at, (book->count++ - at) * sizeof(*entry));
    book->queue[at] = *entry;
}

static bool kind_reads(enum client_kind kind)
{
    return kind == CLIENT_MEMBERS || kind == CLIENT_REQUESTS || kind == CLIENT_LEFT;
}

static bool kind_single(enum client_kind kind)
{
    return kind == CLIENT_HEARTBEAT || kind == CLIENT_ABANDON || kind_reads(kind);
}

/* What has not left yet is said as it is now: the last word of a sidecar is that it has ended. */
static int say_instead(struct book_entry *entry, const char *sql)
{
    char *now = strdup(sql);

    if (!now)
        return -ENOMEM;
    free(entry->sql);
    entry->sql = now;
    return 0;
}

int book_push(struct book *book, enum client_kind kind, uint64_t request, const char *sql)
{
    struct book_entry entry = {.kind = kind,
                               .request = request,
                               .late =
                                   kind == CLIENT_EVENT || kind == CLIENT_FORGET || kind == CLIENT_ABANDON};

    for (size_t i = 0; kind_single(kind) && i < book->count; i++) {
        if (book->queue[i].kind != kind)
            continue;
        if (kind != CLIENT_HEARTBEAT)
            return -EALREADY;
        if (i > 0 || !book->sent)
            return say_instead(&book->queue[i], sql);
    }
    if (book->count >= CLIENT_QUEUE_MAX - (entry.late ? RESERVED : 0)) {
        book->dropped++;
        return -ENOBUFS;
    }
    entry.sql = strdup(sql);
    if (!entry.sql)
        return -ENOMEM;
    insert(book, &entry, false);
    return 0;
}

void book_deinit(struct book *book)
{
    while (book->count)
        free(take_first(book).sql);
}

void book_send(struct book *book)
{
    struct book_entry *first = &book->queue[0];

    if (book->count == 0 || book->sent || book->wait || (first->late && book->late_wait))
        return;
    int r = route_submit(book->route, CLIENT_BOOK, 0, kind_reads(first->kind) ? WORKER_READ : WORKER_WRITE,
                         first->kind == CLIENT_LEFT, first->sql);
    book->sent = r == 0;
    if (r < 0 && r != -EBUSY)
        book->wait = true; /* no thread or descriptor left: later */
}

/* ------------------------------------------------------------------ answers and time */

static void keep_place(struct book *book, size_t index, const struct rows_member *member)
{
    struct client_place *place = &book->places[index];

    memcpy(place->address, member->address, sizeof(place->address));
    place->port = member->port;
    place->leads = strcmp(member->role, "leader") == 0;
}

/* Written by us, or by a namesake. */
static void decode_own(struct book *book, const struct rows_member *own)
{
    book->drift_known = memcmp(&own->member.incarnation, &book->config->incarnation, LEASE_NONCE_SIZE) == 0;
    if (book->drift_known)
        memcpy(book->drift, own->drift, sizeof(book->drift));
    else
        memcpy(book->namesake, own->address, sizeof(book->namesake));
}

static size_t decode_members(struct book *book, const struct table *table)
{
    struct rows_member member;
    size_t count = 0;

    for (size_t i = 0; i < table->rows && count < LEASE_MEMBERS_MAX; i++)
        if (rows_member_decode(table, i, &member)) { /* one bad row must not hide the others */
            if (strcmp(member.member.name, book->config->member) == 0)
                decode_own(book, &member);
            keep_place(book, count, &member);
            book->members[count++] = member.member;
        }
    book->member_count = count;
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

/* What people will want to read. */
static bool worth_keeping(enum client_kind kind)
{
    return kind == CLIENT_EVENT || kind == CLIENT_FINISH;
}

/*
 * It is told again until the database has it: an outage is just what they ask about. Both kinds may be said
 * twice, so a lost answer is no reason to give up either.
 */
static bool worth_again(struct book_entry *entry, const struct worker_result *result)
{
    if (!worth_keeping(entry->kind))
        return false;
    if (result->answer == LEASE_ANSWER_UNKNOWN)
        return true;
    if (result->answer != LEASE_ANSWER_REFUSED || answer_permanent(result->error))
        return false;
    return answer_closes(result->error) || entry->tries++ < RETRIES_MAX;
}

static void answer_first(struct book *book, size_t endpoint, struct worker_result *result)
{
    struct book_entry entry = take_first(book);
    struct client_answer answer = {.kind = entry.kind, .request = entry.request};

    if (worth_again(&entry, result)) {
        entry.late = true;
        book->late_wait = true;
        insert(book, &entry, true);
        return;
    }
    free(entry.sql);
    route_answer_fill(book->route, endpoint, result, &answer);
    if (result->table && entry.kind == CLIENT_MEMBERS) {
        answer.members = book->members;
        book->namesake[0] = '\0';
        book->drift_known = false;
        answer.member_count = decode_members(book, result->table);
        answer.namesake = book->namesake[0] ? book->namesake : NULL;
        answer.drift = book->drift_known ? book->drift : NULL;
    } else if (result->table && (entry.kind == CLIENT_REQUESTS || entry.kind == CLIENT_LEFT)) {
        answer.requests = book->requests;
        answer.request_count = decode_requests(book, result->table);
    }
    book->callback(&answer, book->userdata);
}

void book_result(struct book *book, struct worker_result *result)
{
    size_t endpoint = book->route->connections[CLIENT_BOOK].endpoint;

    bool moves = answer_closes(result->error) && worker_error_blame(result->error) == WORKER_BLAME_ENDPOINT;

    route_note(book->route, endpoint, result);
    if (result->answer == LEASE_ANSWER_UNKNOWN || moves) {
        route_drop(book->route, CLIENT_BOOK);
        book->route->connections[CLIENT_BOOK].endpoint = route_next(book->route, endpoint);
        book->wait = true; /* all endpoints may be gone: no storm */
    }
    if (book->sent)
        answer_first(book, endpoint, result);
}

const struct client_place *book_place(const struct book *book, const char *member)
{
    for (size_t i = 0; i < book->member_count; i++)
        if (strcmp(book->members[i].name, member) == 0)
            return &book->places[i];
    return NULL;
}

void book_hurry(struct book *book)
{
    book->wait = book->late_wait = false;
    book_send(book);
}

size_t book_untold(const struct book *book)
{
    size_t count = 0;

    for (size_t i = 0; i < book->count; i++)
        count += worth_keeping(book->queue[i].kind);
    return count;
}

void book_tick(struct book *book)
{
    struct route_connection *own = &book->route->connections[CLIENT_BOOK];
    struct worker_result result = {.error = 2013};

    book->wait = book->late_wait = false;
    if (book->sent && book->route->now_ns - own->since_ns > book->config->silence_ns) {
        result.answer = kind_reads(book->queue[0].kind) ? LEASE_ANSWER_REFUSED : LEASE_ANSWER_UNKNOWN;
        snprintf(result.text, sizeof(result.text), "no answer in time");
        book->dropped++;
        book_result(book, &result);
        book->wait = false;
    }
    book_send(book);
}
