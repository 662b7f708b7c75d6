#pragma once
/*
 * A small result set, detached from the connection that gave it. Everything in it came from the database and
 * is untrusted: cells are bounded here, and checked by whoever decodes them.
 *
 * Thread: no locking; it belongs to one thread at a time.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TABLE_ROWS_MAX    1024
#define TABLE_COLUMNS_MAX 32
#define TABLE_CELL_MAX    4096 /* longer cells make the result malformed */

struct table_cell {
    const char *data; /* NUL-terminated; NULL: SQL NULL */
    size_t size;      /* bytes, without the NUL */
};

struct table {
    size_t rows, columns;
    struct table_cell *cells; /* rows * columns */
    char *store;
    size_t store_size;
};

/* The cell, or NULL when out of range or SQL NULL. */
const struct table_cell *table_cell(const struct table *table, size_t row, size_t column);

/* Text of a cell; "" when there is none. Not sanitised. */
const char *table_text(const struct table *table, size_t row, size_t column);

/* false: not there, or not a plain decimal number that fits. */
bool table_u64(const struct table *table, size_t row, size_t column, uint64_t *ret_value);

struct table *table_free(struct table *table);
static inline void table_freep(struct table **table)
{
    *table = table_free(*table);
}

/*
 * Copies @text into @dst (@size bytes with the NUL), with every byte that is not printable ASCII replaced by
 * '?'. Cuts what does not fit. For everything that is to reach a log, a terminal or a file name of a person.
 */
void table_sanitise(char *dst, size_t size, const char *text);
