/*
 * Rows of the database: in bounds in every column, or malformed as a whole. An input is the decoder's first
 * letter, then the cells, one a line; \N is NULL, and what else a line holds is the cell, NULs too.
 */
#include <string.h>

#include "db/rows.h"
#include "fuzz.h"

#define CELLS_MAX 40

static void check_text(const char *text, size_t size)
{
    FUZZ_MUST(memchr(text, '\0', size) != NULL);
    for (; *text; text++)
        FUZZ_MUST(*text >= ' ' && *text <= '~');
}

static void check_name(const char *name)
{
    FUZZ_MUST(name[0] == '\0' || rows_name_ok(name));
}

static void check_lease(const struct table *table)
{
    static const struct lease_nonce nobody;
    struct lease_row row;

    if (!rows_lease_decode(table, 0, &row))
        return;
    check_name(row.holder);
    check_name(row.target);
    FUZZ_MUST(row.version.epoch <= LEASE_EPOCH_MAX && row.version.counter <= LEASE_EPOCH_MAX);
    FUZZ_MUST(row.ttl_ms != 0 && row.state <= LEASE_ROW_HANDOVER);
    FUZZ_MUST(row.state != LEASE_ROW_FREE || memcmp(&row.version.nonce, &nobody, sizeof nobody) == 0);
}

static void check_member(const struct table *table)
{
    struct rows_member m;

    if (!rows_member_decode(table, 0, &m))
        return;
    FUZZ_MUST(rows_name_ok(m.member.name));
    check_text(m.address, sizeof m.address);
    check_text(m.role, sizeof m.role);
    check_text(m.why_not, sizeof m.why_not);
    check_text(m.version, sizeof m.version);
    check_text(m.sidecar, sizeof m.sidecar);
    check_text(m.drift, sizeof m.drift);
    check_text(m.seen_at, sizeof m.seen_at);
}

static void check_request(const struct table *table)
{
    struct rows_request q;

    if (!rows_request_decode(table, 0, &q))
        return;
    check_name(q.target);
    check_text(q.who, sizeof q.who);
    check_text(q.why, sizeof q.why);
    FUZZ_MUST(q.id != 0 && (q.action != ROWS_SWITCHOVER || q.target[0] != '\0'));
    FUZZ_MUST(q.action != ROWS_HOLD || q.hold_ms != 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct table_cell cells[CELLS_MAX] = {{0}};
    struct table table = {.rows = 1, .cells = cells};

    if (size < 2 || size > TABLE_CELL_MAX)
        return 0;
    char *store = malloc(size); /* every cell ends with a NUL of its own */

    if (!store)
        return 0;
    memcpy(store, data + 1, size - 1);
    store[size - 1] = '\0';
    for (char *at = store, *end = store + size - 1; at <= end && table.columns < CELLS_MAX;) {
        char *stop = memchr(at, '\n', (size_t)(end - at));

        if (!stop)
            stop = end;
        *stop = '\0';
        bool null = stop - at == 2 && memcmp(at, "\\N", 2) == 0;

        cells[table.columns++] =
            null ? (struct table_cell){0} : (struct table_cell){.data = at, .size = (size_t)(stop - at)};
        at = stop + 1;
    }
    if (data[0] == 'l')
        check_lease(&table);
    else if (data[0] == 'm')
        check_member(&table);
    else
        check_request(&table);
    free(store);
    return 0;
}
