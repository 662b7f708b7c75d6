#include "db/statement.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "db/client.h"

void statement_init(struct statement *statement, char *buffer, size_t size)
{
    *statement = (struct statement){.text = buffer, .size = size, .error = size ? 0 : -E2BIG};
    if (size)
        buffer[0] = '\0';
}

void statement_add(struct statement *statement, const char *format, ...)
{
    va_list ap;

    if (statement->error)
        return;
    va_start(ap, format);
    int n = vsnprintf(statement->text + statement->length, statement->size - statement->length, format, ap);
    va_end(ap);
    if (n < 0 || (size_t)n >= statement->size - statement->length)
        statement->error = -E2BIG;
    else
        statement->length += (size_t)n;
}

void statement_quote(struct statement *statement, const char *text, size_t max)
{
    statement_add(statement, "'");
    for (size_t i = 0; text && text[i] && i < max; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c == '\'' || c == '\\')
            statement_add(statement, "\\%c", c);
        else
            statement_add(statement, "%c", c < ' ' || c > '~' ? '?' : c);
    }
    statement_add(statement, "'");
}

void statement_nonce(struct statement *statement, const struct lease_nonce *nonce)
{
    statement_add(statement, "x'");
    for (size_t i = 0; i < LEASE_NONCE_SIZE; i++)
        statement_add(statement, "%02x", nonce->bytes[i]);
    statement_add(statement, "'");
}

int statement_end(const struct statement *statement)
{
    return statement->error ? statement->error : (int)statement->length;
}

int statement_read(char *buffer, size_t size, const char *lease)
{
    struct statement s;

    if (!rows_name_ok(lease))
        return -EINVAL;
    statement_init(&s, buffer, size);
    statement_add(
        &s,
        "SELECT l.epoch, l.counter, HEX(l.nonce), l.ttl_ms, l.state, l.holder, l.target, l.epoch_table "
        "FROM galera_lease.lease_and_epoch l WHERE l.name = '%s'",
        lease);
    return statement_end(&s);
}

static bool nonce_is_zero(const struct lease_nonce *nonce)
{
    static const struct lease_nonce nobody = {};
    return memcmp(nonce, &nobody, sizeof(nobody)) == 0;
}

/* The last line of defence: a statement that breaks the protocol is never sent, whoever asked for it. */
static bool successor_ok(enum lease_write kind, const struct lease_version *from, const struct lease_row *to)
{
    bool same = memcmp(&from->nonce, &to->version.nonce, LEASE_NONCE_SIZE) == 0;
    bool nobody = nonce_is_zero(&to->version.nonce);

    if (to->version.counter != from->counter + 1 || to->version.epoch < from->epoch || to->ttl_ms == 0 ||
        !rows_name_ok(to->holder) || (to->target[0] && !rows_name_ok(to->target)))
        return false;
    if (nobody != (to->state == LEASE_ROW_FREE))
        return false;
    switch (kind) {
    case LEASE_WRITE_ACQUIRE: return !nobody && !same;
    case LEASE_WRITE_RESUME: return !nobody && !same && !nonce_is_zero(&from->nonce);
    case LEASE_WRITE_RENEW: return !nobody && same && to->version.epoch == from->epoch;
    case LEASE_WRITE_BUMP: return !nobody && same && to->version.epoch > from->epoch;
    case LEASE_WRITE_RELEASE:
        return nobody && !nonce_is_zero(&from->nonce) && to->version.epoch == from->epoch;
    }
    return false;
}

int statement_write(char *buffer, size_t size, const char *lease, enum lease_write kind,
                    const struct lease_version *expected, const struct lease_row *wanted,
                    const char *hold_reason)
{
    struct statement s;

    if (!rows_name_ok(lease) || !successor_ok(kind, expected, wanted))
        return -EINVAL;
    statement_init(&s, buffer, size);
    statement_add(&s, "UPDATE galera_lease.lease SET epoch = %" PRIu64 ", counter = %" PRIu64 ", nonce = ",
                  wanted->version.epoch, wanted->version.counter);
    statement_nonce(&s, &wanted->version.nonce);
    statement_add(&s, ", holder = '%s', ttl_ms = %" PRIu32 ", state = '%s', target = '%s'", wanted->holder,
                  wanted->ttl_ms, rows_state_name(wanted->state), wanted->target);
    /* For people; decides nothing. */
    if (kind == LEASE_WRITE_ACQUIRE || kind == LEASE_WRITE_RESUME)
        statement_add(&s, ", acquired_at = UTC_TIMESTAMP(3)");
    if (kind != LEASE_WRITE_RELEASE)
        statement_add(&s, ", renewed_at = UTC_TIMESTAMP(3)");
    if (wanted->hold_ms == 0)
        statement_add(&s, ", hold_until = NULL, hold_reason = ''");
    else
        statement_add(&s, ", hold_until = UTC_TIMESTAMP(3) + INTERVAL %" PRIu32 "000 MICROSECOND",
                      wanted->hold_ms);
    if (wanted->hold_ms != 0 && hold_reason) {
        statement_add(&s, ", hold_reason = ");
        statement_quote(&s, hold_reason, ROWS_TEXT_MAX);
    }
    statement_add(&s,
                  " WHERE name = '%s' AND epoch = %" PRIu64 " AND counter = %" PRIu64 " AND nonce = ", lease,
                  expected->epoch, expected->counter);
    statement_nonce(&s, &expected->nonce);
    return statement_end(&s);
}

/* Rows of members that are gone stay. Where there are too many, those seen last are taken. */
int statement_members(char *buffer, size_t size, const char *lease)
{
    struct statement s;

    if (!rows_name_ok(lease))
        return -EINVAL;
    statement_init(&s, buffer, size);
    statement_add(&s,
                  "SELECT m.name, HEX(m.incarnation), m.heartbeat, m.epoch_seen, m.priority, "
                  "COALESCE(galera_lease.file_drift(m.digest, h.digest), ''), m.port, m.http_port, "
                  "GREATEST(0, TIMESTAMPDIFF(MICROSECOND, m.seen_at, UTC_TIMESTAMP(3)) DIV 1000), "
                  "m.address, m.role, m.why_not, m.version, m.sidecar, m.seen_at "
                  "FROM (SELECT * FROM galera_lease.member WHERE lease = '%s' "
                  "ORDER BY role = 'ended', seen_at DESC, name LIMIT %d) m "
                  "LEFT JOIN galera_lease.lease l ON l.name = m.lease "
                  "LEFT JOIN galera_lease.member h ON h.lease = m.lease AND h.name = l.holder "
                  "ORDER BY m.name",
                  lease, LEASE_MEMBERS_MAX);
    return statement_end(&s);
}

int statement_requests(char *buffer, size_t size, const char *lease, const char *member, unsigned limit)
{
    struct statement s;

    if (!rows_name_ok(lease) || (member[0] && !rows_name_ok(member)))
        return -EINVAL;
    statement_init(&s, buffer, size);
    statement_add(&s,
                  "SELECT id, action, target, epoch, who, why, "
                  "GREATEST(0, TIMESTAMPDIFF(MICROSECOND, asked_at, UTC_TIMESTAMP(3)) DIV 1000), hold_ms "
                  "FROM galera_lease.request WHERE lease = '%s' AND claimed_by = '%s' AND outcome = '' "
                  "AND action NOT IN ('ack', 'release') ORDER BY id LIMIT %u",
                  lease, member, limit);
    return statement_end(&s);
}

int statement_claim(char *buffer, size_t size, const char *lease, uint64_t request, const char *member)
{
    struct statement s;

    if (!rows_name_ok(lease) || !rows_name_ok(member))
        return -EINVAL;
    statement_init(&s, buffer, size);
    statement_add(&s,
                  "UPDATE galera_lease.request SET claimed_by = '%s', claimed_at = UTC_TIMESTAMP(3) "
                  "WHERE id = %" PRIu64 " AND lease = '%s' AND claimed_by = ''",
                  member, request, lease);
    return statement_end(&s);
}

int statement_finish(char *buffer, size_t size, const char *lease, uint64_t request, const char *member,
                     const char *outcome)
{
    struct statement s;

    if (!rows_name_ok(lease) || !rows_name_ok(member))
        return -EINVAL;
    statement_init(&s, buffer, size);
    statement_add(&s, "UPDATE galera_lease.request SET outcome = ");
    statement_quote(&s, outcome, ROWS_TEXT_MAX);
    statement_add(
        &s, ", finished_at = UTC_TIMESTAMP(3) WHERE id = %" PRIu64 " AND lease = '%s' AND claimed_by = '%s'",
        request, lease, member);
    return statement_end(&s);
}

/* By their numbers: should it be applied late, it must not meet what was claimed meanwhile. */
int statement_abandon(char *buffer, size_t size, const char *lease, const uint64_t *requests, size_t count,
                      const char *member, const char *outcome)
{
    struct statement s;

    if (!rows_name_ok(lease) || !rows_name_ok(member) || count == 0)
        return -EINVAL;
    statement_init(&s, buffer, size);
    statement_add(&s, "UPDATE galera_lease.request SET outcome = ");
    statement_quote(&s, outcome, ROWS_TEXT_MAX);
    statement_add(&s, ", finished_at = UTC_TIMESTAMP(3) WHERE id IN (");
    for (size_t i = 0; i < count; i++)
        statement_add(&s, "%s%" PRIu64, i ? ", " : "", requests[i]);
    statement_add(&s, ") AND lease = '%s' AND claimed_by = '%s' AND outcome = ''", lease, member);
    return statement_end(&s);
}

int statement_heartbeat(char *buffer, size_t size, const char *lease, const char *member,
                        const struct lease_nonce *incarnation, const struct client_heartbeat *h)
{
    /* incarnation last: assignments run from left to right, and the others look at the stored one. */
    static const char *const columns[] = {"heartbeat", "epoch_seen", "priority",   "port",    "http_port",
                                          "role",      "why_not",    "address",    "version", "sidecar",
                                          "digest",    "seen_at",    "incarnation"};
    static const struct lease_nonce nobody = {};
    struct statement s;

    if (!rows_name_ok(lease) || !rows_name_ok(member))
        return -EINVAL;
    statement_init(&s, buffer, size);
    statement_add(
        &s,
        "INSERT INTO galera_lease.member (lease, name, heartbeat, epoch_seen, priority, port, http_port, "
        "role, why_not, address, version, sidecar, digest, seen_at, incarnation) VALUES ('%s', '%s', %" PRIu64
        ", %" PRIu64 ", %" PRIu32 ", %u, %u, ",
        lease, member, h->heartbeat, h->epoch_seen, h->priority, h->port, h->http_port);
    const struct {
        const char *text;
        size_t max;
    } texts[] = {{h->role, ROWS_WORD_MAX},    {h->why_not, ROWS_TEXT_MAX}, {h->address, ROWS_ADDRESS_MAX},
                 {h->version, ROWS_WORD_MAX}, {h->sidecar, ROWS_WORD_MAX}, {h->digest, ROWS_DIGEST_MAX}};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        statement_quote(&s, texts[i].text, texts[i].max);
        statement_add(&s, ", ");
    }
    statement_add(&s, "UTC_TIMESTAMP(3), ");
    statement_nonce(&s, h->ended ? &nobody : incarnation);
    statement_add(&s, ") ON DUPLICATE KEY UPDATE ");
    for (size_t i = 0; i < sizeof(columns) / sizeof(columns[0]); i++) {
        const char *c = columns[i];
        if (h->take_over) {
            statement_add(&s, "%s%s = VALUES(%s)", i ? ", " : "", c, c);
        } else {
            /* Another incarnation's row stays as it is: nothing changed = MISMATCH. */
            statement_add(&s, "%s%s = IF(incarnation = ", i ? ", " : "", c);
            statement_nonce(&s, incarnation);
            statement_add(&s, ", VALUES(%s), %s)", c, c);
        }
    }
    return statement_end(&s);
}

/* UTC, as a literal: the connection's time zone has no say. */
static void add_time(struct statement *s, uint64_t at_ms)
{
    time_t seconds = (time_t)(at_ms / 1000);
    char text[32];
    struct tm tm;

    if (!gmtime_r(&seconds, &tm) || strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", &tm) == 0)
        statement_add(s, "UTC_TIMESTAMP(3)");
    else
        statement_add(s, "'%s.%03u'", text, (unsigned)(at_ms % 1000));
}

/* IGNORE: one that is there already (the answer to its first telling was lost) stays as it is. */
int statement_event(char *buffer, size_t size, const char *lease, const char *member,
                    const struct lease_nonce *incarnation, const struct client_event *event)
{
    struct statement s;

    if (!rows_name_ok(lease) || !rows_name_ok(member) || !event->what)
        return -EINVAL;
    statement_init(&s, buffer, size);
    statement_add(
        &s,
        "INSERT IGNORE INTO galera_lease.event (lease, epoch, member, what, reason, at, alarm, origin, "
        "number) VALUES ('%s', %" PRIu64 ", '%s', ",
        lease, event->epoch, member);
    statement_quote(&s, event->what, ROWS_WORD_MAX);
    statement_add(&s, ", ");
    statement_quote(&s, event->reason, ROWS_TEXT_MAX);
    statement_add(&s, ", ");
    add_time(&s, event->at_ms);
    statement_add(&s, ", %d, ", event->alarm);
    statement_nonce(&s, incarnation);
    statement_add(&s, ", %" PRIu64 ")", event->number);
    return statement_end(&s);
}

int statement_forget(char *buffer, size_t size, const char *lease, uint32_t days)
{
    struct statement s;

    if (!rows_name_ok(lease))
        return -EINVAL;
    statement_init(&s, buffer, size);
    statement_add(
        &s,
        "DELETE FROM galera_lease.event WHERE lease = '%s' AND at < UTC_TIMESTAMP(3) - INTERVAL %u DAY "
        "AND (NOT alarm OR acked_at IS NOT NULL) LIMIT 100",
        lease, (unsigned)days);
    return statement_end(&s);
}
