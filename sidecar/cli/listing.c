#include "cli/listing.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <libsmartcols/libsmartcols.h>
#include <string.h>
#include <unistd.h>

#define CELL_MAX (2 * ROWS_TEXT_MAX + 128)

static bool holds(const struct listing *l, const struct rows_member *m)
{
    return l->row->state != LEASE_ROW_FREE && strcmp(l->row->holder, m->member.name) == 0;
}

char listing_sign(const struct listing *l, const struct rows_member *m)
{
    if (rows_member_silent(m, l->ttl_ms, l->row))
        return '-';
    if (strcmp(m->role, "leader") == 0 && holds(l, m))
        return 'l';
    return strcmp(m->role, "follower") == 0 ? 'f' : '?';
}

bool listing_has_leader(const struct listing *l)
{
    for (size_t i = 0; i < l->count; i++)
        if (listing_sign(l, &l->members[i]) == 'l')
            return true;
    return false;
}

static bool is(const struct rows_member *m, enum lease_role role)
{
    return strcmp(m->role, lease_role_name(role)) == 0;
}

/* What a member said that is not seen any more may be of a time before it led. */
static bool holds_and_is_seen(const struct listing *l, const struct rows_member *m)
{
    return holds(l, m) && !rows_member_silent(m, l->ttl_ms, l->row);
}

bool listing_stops(const struct listing *l, const struct rows_member *m)
{
    return holds_and_is_seen(l, m) && (is(m, LEASE_DEMOTING) || is(m, LEASE_FENCED));
}

bool listing_acts(const struct listing *l, const struct rows_member *m)
{
    return holds_and_is_seen(l, m) && !listing_stops(l, m) && !is(m, LEASE_FOLLOWER);
}

uint64_t listing_epoch(const struct listing *l, const struct rows_member *m)
{
    return holds(l, m) ? l->row->version.epoch : m->member.epoch_seen;
}

void listing_comment(const struct listing *l, const struct rows_member *m, char *buf, size_t size)
{
    switch (listing_sign(l, m)) {
    case 'l': snprintf(buf, size, "Acting as leader."); break;
    case '-':
        if (strcmp(m->role, "ended") == 0)
            snprintf(buf, size, "Ended at %s.", m->seen_at);
        else
            snprintf(buf, size, "Not seen since %s%s.", m->seen_at,
                     holds(l, m) ? "; it holds the lease" : "");
        break;
    case 'f':
        /* The normal case of a follower in the words of the list. */
        snprintf(buf, size, "%s%s%s",
                 strcmp(m->why_not, LEASE_WHY_HELD) == 0 ? "Accepting heartbeats." : m->why_not,
                 m->drift[0] ? " " : "", m->drift);
        break;
    default: snprintf(buf, size, "%s: %s", m->role, m->why_not);
    }
}

void listing_age(uint64_t ms, char *buf, size_t size)
{
    if (ms < 600000)
        snprintf(buf, size, "%" PRIu64 ".%" PRIu64 "s", ms / 1000, ms % 1000 / 100);
    else if (ms < 120 * UINT64_C(60000))
        snprintf(buf, size, "%" PRIu64 "m", ms / 60000);
    else if (ms < 48 * UINT64_C(3600000))
        snprintf(buf, size, "%" PRIu64 "h", ms / 3600000);
    else
        snprintf(buf, size, "%" PRIu64 "d", ms / 86400000);
}

/* The sign shares its column with the version: one space between those two, two everywhere else. A port
 * has room for five digits, so that the table keeps its shape (a width given to the library is only a wish).
 */
enum { SIGN_VERSION, NAME, ADDRESS, PORT, EPOCH, SEEN, COMMENT, COLUMNS };

static const struct {
    const char *title;
    int flags;
} columns[COLUMNS] = {
    {"S VERSION", 0},
    {"NAME", 0},
    {"ADDRESS", 0},
    {" PORT", SCOLS_FL_RIGHT},
    {"EPOCH", SCOLS_FL_RIGHT},
    {"SEEN", SCOLS_FL_RIGHT},
    {"COMMENT", SCOLS_FL_TRUNC},
};

static int add_line(struct libscols_table *t, const struct listing *l, const struct rows_member *m,
                    bool long_list)
{
    struct libscols_line *line = scols_table_new_line(t, NULL);
    char cell[COLUMNS][CELL_MAX];
    size_t at = 0;

    if (!line)
        return -ENOMEM;
    snprintf(cell[SIGN_VERSION], CELL_MAX, "%c %s", listing_sign(l, m), m->version[0] ? m->version : "-");
    snprintf(cell[NAME], CELL_MAX, "%s", m->member.name);
    snprintf(cell[ADDRESS], CELL_MAX, "%s", m->address[0] ? m->address : "-");
    snprintf(cell[PORT], CELL_MAX, "-");
    if (m->port != 0)
        snprintf(cell[PORT], CELL_MAX, "%u", m->port);
    snprintf(cell[EPOCH], CELL_MAX, "%" PRIu64, listing_epoch(l, m));
    listing_age(m->seen_ms, cell[SEEN], CELL_MAX);
    listing_comment(l, m, cell[COMMENT], CELL_MAX);
    for (size_t i = 0; i < COLUMNS; i++)
        if ((long_list || i != SEEN) && scols_line_set_data(line, at++, cell[i]) < 0)
            return -ENOMEM;
    return 0;
}

static int fill(struct libscols_table *t, const struct listing *l, bool long_list, FILE *f)
{
    int r = scols_table_set_column_separator(t, "  ");

    scols_table_set_stream(t, f);
    /* Only a terminal has a width; a pipe gets everything. */
    if (!isatty(fileno(f)))
        scols_table_set_termforce(t, SCOLS_TERMFORCE_NEVER);
    for (size_t i = 0; r == 0 && i < COLUMNS; i++)
        if ((long_list || i != SEEN) && !scols_table_new_column(t, columns[i].title, 0, columns[i].flags))
            r = -ENOMEM;
    for (size_t i = 0; r == 0 && i < l->count; i++)
        r = add_line(t, l, &l->members[i], long_list);
    return r;
}

int listing_print_table(const struct listing *l, bool long_list, FILE *f)
{
    struct libscols_table *t = scols_new_table();
    int r = t ? fill(t, l, long_list, f) : -ENOMEM;

    if (r == 0)
        r = scols_print_table(t);
    scols_unref_table(t);
    if (r == 0)
        fprintf(f, "Total: %zu controller(s)\n", l->count);
    return r;
}

#define NOTICE_COLUMNS 5

/* One row of what others wrote, cleaned. */
static void notice(const struct table *t, size_t row, char ret[NOTICE_COLUMNS][CELL_MAX])
{
    for (size_t c = 0; c < NOTICE_COLUMNS; c++)
        table_sanitise(ret[c], CELL_MAX, table_text(t, row, c));
}

static size_t shown_alarms(const struct listing *l)
{
    return l->alarms->rows < LISTING_ALARMS ? l->alarms->rows : LISTING_ALARMS;
}

void listing_print_notices(const struct listing *l, FILE *f)
{
    char text[NOTICE_COLUMNS][CELL_MAX];

    if (l->hold->rows > 0) {
        notice(l->hold, 0, text);
        fprintf(f, "Held until %s (UTC), %s\n", text[0], text[1]);
    }
    for (size_t i = 0; i < shown_alarms(l); i++) {
        notice(l->alarms, i, text);
        fprintf(f, "ALARM %s (UTC) %s: %s, %s, epoch %s\n", text[0], text[1], text[2], text[3], text[4]);
    }
    if (l->alarms->rows > LISTING_ALARMS)
        fprintf(f, "... and more alarms: SELECT * FROM galera_lease.alarms\n");
    if (l->alarms->rows > 0)
        fprintf(f, "When you have looked into it: galera-lease alarm ack --lease %s --reason ...\n",
                l->lease);
}

static json_t *hold_json(const struct listing *l)
{
    char text[NOTICE_COLUMNS][CELL_MAX];

    if (l->hold->rows == 0)
        return json_null();
    notice(l->hold, 0, text);
    return json_pack("{s:s, s:s}", "until", text[0], "reason", text[1]);
}

static json_t *alarms_json(const struct listing *l)
{
    char text[NOTICE_COLUMNS][CELL_MAX];
    json_t *list = json_array();
    uint64_t epoch = 0;

    for (size_t i = 0; i < shown_alarms(l); i++) {
        notice(l->alarms, i, text);
        table_u64(l->alarms, i, 4, &epoch);
        json_array_append_new(list,
                              json_pack("{s:s, s:s, s:s, s:s, s:I}", "at", text[0], "member", text[1], "what",
                                        text[2], "reason", text[3], "epoch", (json_int_t)epoch));
    }
    return list;
}

int listing_print_json(const struct listing *l, FILE *f)
{
    json_t *list = json_array();

    for (size_t i = 0; i < l->count; i++) {
        const struct rows_member *m = &l->members[i];
        char text[CELL_MAX], s[2] = {listing_sign(l, m)};

        listing_comment(l, m, text, sizeof text);
        json_array_append_new(
            list, json_pack("{s:s, s:s, s:s, s:s, s:s, s:i, s:I, s:I, s:i, s:s}", "state", s, "name",
                            m->member.name, "role", m->role, "version", m->version, "address", m->address,
                            "port", (int)m->port, "epoch", (json_int_t)listing_epoch(l, m), "seen_ms",
                            (json_int_t)m->seen_ms, "priority", (int)m->member.priority, "comment", text));
    }
    /* Takes the lists over, also when it fails. */
    json_t *whole = json_pack("{s:s, s:s, s:s, s:I, s:o, s:o, s:o, s:b}", "lease", l->lease, "state",
                              rows_state_name(l->row->state), "holder",
                              l->row->state != LEASE_ROW_FREE ? l->row->holder : "", "epoch",
                              (json_int_t)l->row->version.epoch, "members", list, "hold", hold_json(l),
                              "alarms", alarms_json(l), "more_alarms", l->alarms->rows > LISTING_ALARMS);
    int r = whole && json_dumpf(whole, f, JSON_INDENT(2)) == 0 ? 0 : -EIO;

    fprintf(f, "\n");
    json_decref(whole);
    return r;
}
