#include "db/rows.h"

#include <stdio.h>
#include <string.h>

bool rows_name_ok(const char *name)
{
    size_t size = name ? strlen(name) : 0;

    if (size == 0 || size > LEASE_NAME_MAX || name[0] == '-' || name[0] == '.')
        return false;
    for (size_t i = 0; i < size; i++) {
        char c = name[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
              c == '_' || c == '-'))
            return false;
    }
    return true;
}

bool rows_member_silent(const struct rows_member *m, uint64_t ttl_ms, const struct lease_row *row)
{
    if (ttl_ms == 0 || row->ttl_ms < ttl_ms)
        ttl_ms = row->ttl_ms;
    return strcmp(m->role, "ended") == 0 || m->seen_ms > ttl_ms * 2 / 5 + 1000;
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool decode_nonce(const struct table *table, size_t row, size_t column, struct lease_nonce *ret_nonce)
{
    const struct table_cell *cell = table_cell(table, row, column);

    if (!cell || cell->size != (size_t)2 * LEASE_NONCE_SIZE)
        return false;
    for (size_t i = 0; i < LEASE_NONCE_SIZE; i++) {
        int high = hex_value(cell->data[2 * i]), low = hex_value(cell->data[2 * i + 1]);
        if (high < 0 || low < 0)
            return false;
        ret_nonce->bytes[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}

/* A name, or empty where @empty_ok. */
static bool decode_name(const struct table *table, size_t row, size_t column, bool empty_ok, char *ret_name)
{
    const struct table_cell *cell = table_cell(table, row, column);

    if (!cell || cell->size != strlen(cell->data))
        return false;
    if (!(cell->size == 0 && empty_ok) && !rows_name_ok(cell->data))
        return false;
    strcpy(ret_name, cell->data);
    return true;
}

static bool decode_u32(const struct table *table, size_t row, size_t column, uint32_t max,
                       uint32_t *ret_value)
{
    uint64_t value;
    if (!table_u64(table, row, column, &value) || value > max)
        return false;
    *ret_value = (uint32_t)value;
    return true;
}

/* Epochs and counters: one that nothing can exceed would be the last that this lease ever has. */
static bool decode_version(const struct table *table, size_t row, size_t column, uint64_t *ret_value)
{
    return table_u64(table, row, column, ret_value) && *ret_value <= LEASE_EPOCH_MAX;
}

static bool decode_state(const char *text, enum lease_row_state *ret_state)
{
    for (enum lease_row_state state = LEASE_ROW_FREE; state <= LEASE_ROW_HANDOVER; state++)
        if (strcmp(text, rows_state_name(state)) == 0) {
            *ret_state = state;
            return true;
        }
    return false;
}

bool rows_lease_decode(const struct table *table, size_t row, struct lease_row *ret_row)
{
    static const struct lease_nonce nobody = {};
    struct lease_row out = {};

    if (!table || table->columns != 8 || !decode_version(table, row, 0, &out.version.epoch) ||
        !decode_version(table, row, 1, &out.version.counter) ||
        !decode_nonce(table, row, 2, &out.version.nonce) ||
        !decode_u32(table, row, 3, UINT32_MAX, &out.ttl_ms) || out.ttl_ms == 0 ||
        !decode_state(table_text(table, row, 4), &out.state) ||
        !decode_name(table, row, 5, true, out.holder) || !decode_name(table, row, 6, true, out.target) ||
        !decode_version(table, row, 7, &out.epoch_table))
        return false;
    /* Identity is the nonce: a row that an edit by hand called free under a living nonce is still held. */
    if (memcmp(&out.version.nonce, &nobody, sizeof(nobody)) != 0 && out.state == LEASE_ROW_FREE)
        out.state = LEASE_ROW_HELD;
    *ret_row = out;
    return true;
}

bool rows_member_decode(const struct table *table, size_t row, struct rows_member *ret_member)
{
    struct rows_member out = {};
    uint32_t port, http_port;

    if (!table || table->columns != 15 || !decode_name(table, row, 0, false, out.member.name) ||
        !decode_nonce(table, row, 1, &out.member.incarnation) ||
        !table_u64(table, row, 2, &out.member.heartbeat) ||
        !table_u64(table, row, 3, &out.member.epoch_seen) ||
        !decode_u32(table, row, 4, UINT32_MAX, &out.member.priority) ||
        !decode_u32(table, row, 6, UINT16_MAX, &port) || !decode_u32(table, row, 7, UINT16_MAX, &http_port) ||
        !table_u64(table, row, 8, &out.seen_ms))
        return false;
    table_sanitise(out.drift, sizeof(out.drift), table_text(table, row, 5));
    out.member.drifted = out.drift[0] != '\0';
    out.port = (uint16_t)port;
    out.http_port = (uint16_t)http_port;
    table_sanitise(out.address, sizeof(out.address), table_text(table, row, 9));
    table_sanitise(out.role, sizeof(out.role), table_text(table, row, 10));
    table_sanitise(out.why_not, sizeof(out.why_not), table_text(table, row, 11));
    table_sanitise(out.version, sizeof(out.version), table_text(table, row, 12));
    table_sanitise(out.sidecar, sizeof(out.sidecar), table_text(table, row, 13));
    table_sanitise(out.seen_at, sizeof(out.seen_at), table_text(table, row, 14));
    *ret_member = out;
    return true;
}

bool rows_request_decode(const struct table *table, size_t row, struct rows_request *ret_request)
{
    struct rows_request out = {};
    const char *action = table_text(table, row, 1);

    if (!table || table->columns != 8 || !table_u64(table, row, 0, &out.id) || out.id == 0 ||
        !decode_name(table, row, 2, true, out.target) || !table_u64(table, row, 3, &out.epoch) ||
        !table_u64(table, row, 6, &out.age_ms) || !decode_u32(table, row, 7, UINT32_MAX, &out.hold_ms))
        return false;
    if (strcmp(action, "step_down") == 0)
        out.action = ROWS_STEP_DOWN;
    else if (strcmp(action, "switchover") == 0 && out.target[0])
        out.action = ROWS_SWITCHOVER;
    else if (strcmp(action, "hold") == 0 && out.hold_ms != 0)
        out.action = ROWS_HOLD;
    else if (strcmp(action, "unhold") == 0)
        out.action = ROWS_UNHOLD;
    else
        return false;
    table_sanitise(out.who, sizeof(out.who), table_text(table, row, 4));
    table_sanitise(out.why, sizeof(out.why), table_text(table, row, 5));
    *ret_request = out;
    return true;
}

const char *rows_action_name(enum rows_action action)
{
    switch (action) {
    case ROWS_STEP_DOWN: return "step-down";
    case ROWS_SWITCHOVER: return "switchover";
    case ROWS_HOLD: return "hold";
    case ROWS_UNHOLD: return "unhold";
    case ROWS_ACK: return "alarm ack";
    case ROWS_RELEASE: return "release";
    }
    return "?";
}

const char *rows_state_name(enum lease_row_state state)
{
    switch (state) {
    case LEASE_ROW_FREE: return "free";
    case LEASE_ROW_HELD: return "held";
    case LEASE_ROW_HANDOVER: return "handover";
    }
    return "?";
}
