#include "db/table.h"

#include <stdlib.h>

const struct table_cell *table_cell(const struct table *table, size_t row, size_t column)
{
    if (!table || row >= table->rows || column >= table->columns)
        return NULL;
    const struct table_cell *cell = &table->cells[row * table->columns + column];
    return cell->data ? cell : NULL;
}

const char *table_text(const struct table *table, size_t row, size_t column)
{
    const struct table_cell *cell = table_cell(table, row, column);
    return cell ? cell->data : "";
}

bool table_u64(const struct table *table, size_t row, size_t column, uint64_t *ret_value)
{
    const struct table_cell *cell = table_cell(table, row, column);
    uint64_t value = 0;

    if (!cell || cell->size == 0 || cell->size > 20)
        return false;
    for (size_t i = 0; i < cell->size; i++) {
        if (cell->data[i] < '0' || cell->data[i] > '9')
            return false;
        if (__builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, (uint64_t)(cell->data[i] - '0'), &value))
            return false;
    }
    *ret_value = value;
    return true;
}

struct table *table_free(struct table *table)
{
    if (table) {
        free(table->cells);
        free(table->store);
        free(table);
    }
    return NULL;
}

void table_sanitise(char *dst, size_t size, const char *text)
{
    size_t i = 0;

    if (size == 0)
        return;
    for (; text && text[i] && i + 1 < size; i++)
        dst[i] = (char)(text[i] >= ' ' && text[i] <= '~' ? text[i] : '?');
    dst[i] = '\0';
}
