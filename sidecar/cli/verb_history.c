/* history: the view of that name, for one lease, since a while. */
#include <inttypes.h>
#include <jansson.h>
#include <libsmartcols/libsmartcols.h>
#include <stdio.h>
#include <unistd.h>

#include "cli/cli.h"
#include "db/statement.h"
#include "util/cleanup.h"

#define SINCE_DEFAULT_NS (LEASE_NS_PER_S * 3600 * 24)
#define SHOWN_MAX        500 /* the newest; well within what one answer may be */

enum { AT, MEMBER, EPOCH, WHAT, REASON, WHO, COLUMNS };

static const struct {
    const char *title, *key;
    int flags;
} columns[COLUMNS] = {{"AT", "at", 0},
                      {"MEMBER", "member", 0},
                      {"EPOCH", "epoch", SCOLS_FL_RIGHT},
                      {"WHAT", "what", 0},
                      {"REASON", "reason", SCOLS_FL_TRUNC},
                      {"WHO", "who", 0}};

/* One more than is shown: then there are older ones. */
static int read_history(struct sync *sync, const char *lease, uint64_t since_ns, struct table **ret)
{
    struct sync_error error = {0};
    struct statement s;
    char sql[512];

    statement_init(&s, sql, sizeof sql);
    statement_add(&s,
                  "SELECT at, member, epoch, what, reason, who FROM (SELECT * FROM galera_lease.history "
                  "WHERE lease = '%s' AND at >= UTC_TIMESTAMP(3) - INTERVAL %" PRIu64
                  " SECOND ORDER BY at DESC, number DESC LIMIT %d) AS newest ORDER BY at, number",
                  lease, since_ns / LEASE_NS_PER_S, SHOWN_MAX + 1);
    int r = statement_end(&s) < 0 ? statement_end(&s) : sync_query(sync, true, sql, ret, &error);

    return r == 0 ? CLI_OK : session_failed("cannot read the history", r, &error);
}

/* What stands in the database is shown, never obeyed: no control character reaches the terminal. */
static const char *cell(const struct table *t, size_t row, size_t column, char *buf, size_t size)
{
    table_sanitise(buf, size, table_text(t, row, column));
    return buf;
}

static size_t first_shown(const struct table *t)
{
    return t->rows > SHOWN_MAX ? t->rows - SHOWN_MAX : 0;
}

static int print_table(const struct table *t)
{
    struct libscols_table *out = scols_new_table();
    char text[ROWS_TEXT_MAX + 64];
    int r = out ? scols_table_set_column_separator(out, "  ") : -1;

    if (r == 0 && !isatty(STDOUT_FILENO))
        scols_table_set_termforce(out, SCOLS_TERMFORCE_NEVER);
    for (size_t c = 0; r == 0 && c < COLUMNS; c++)
        r = scols_table_new_column(out, columns[c].title, 0, columns[c].flags) ? 0 : -1;
    for (size_t i = first_shown(t); r == 0 && i < t->rows; i++) {
        struct libscols_line *line = scols_table_new_line(out, NULL);

        r = line ? 0 : -1;
        for (size_t c = 0; r == 0 && c < COLUMNS; c++)
            r = scols_line_set_data(line, c, cell(t, i, c, text, sizeof text));
    }
    if (r == 0)
        r = scols_print_table(out);
    scols_unref_table(out);
    return r;
}

static int print_json(const struct table *t)
{
    json_auto_t *list = json_array();
    char text[ROWS_TEXT_MAX + 64];

    for (size_t i = first_shown(t); i < t->rows; i++) {
        json_t *event = json_object();

        for (size_t c = 0; c < COLUMNS; c++) {
            uint64_t epoch = 0;
            bool number = c == EPOCH && table_u64(t, i, c, &epoch);

            json_object_set_new(event, columns[c].key,
                                number ? json_integer((json_int_t)epoch)
                                       : json_string(cell(t, i, c, text, sizeof text)));
        }
        json_array_append_new(list, event);
    }
    int r = list ? json_dumpf(list, stdout, JSON_INDENT(2)) : -1;

    putchar('\n');
    return r;
}

int verb_history(const struct cli_options *o)
{
    static struct config config;
    _cleanup_(sync_closep) struct sync *sync = NULL;
    _cleanup_(table_freep) struct table *table = NULL;
    struct lease_row row;
    int r = session_config(o, false, &config);

    if (r == CLI_OK)
        r = session_open(o, &config, false, &sync);
    if (r == CLI_OK)
        r = session_lease(sync, false, config.name, &row); /* a lease that is not there has no history */
    if (r == CLI_OK)
        r = read_history(sync, config.name, o->since_ns ? o->since_ns : SINCE_DEFAULT_NS, &table);
    if (r != CLI_OK || !table)
        return r != CLI_OK ? r : CLI_FAILED;
    if ((o->json ? print_json(table) : print_table(table)) != 0)
        return CLI_FAILED;
    if (first_shown(table) > 0)
        fprintf(
            stderr,
            "galera-lease: these are the newest %d; give a shorter --since, or ask for older ones in SQL: "
            "galera-lease-sql(7)\n",
            SHOWN_MAX);
    return CLI_OK;
}
