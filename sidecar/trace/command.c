/* Commands as lines: the type's name, then its fields. */
#include <errno.h>
#include <string.h>

#include "trace/fields.h"

#define AT(member) offsetof(struct lease_command, member)

static const char *const words_note[] = {"role",   "acquired",   "released", "lost",      "stopped",
                                         "rogue",  "regression", "no-row",   "unstopped", "hold",
                                         "unhold", "double",     NULL};

static const struct field none[] = {{NULL}};
static const struct field read_fields[] = {{"op", FIELD_U32, AT(read.op)},
                                           {"causal", FIELD_BOOL, AT(read.causal)},
                                           {"controller_endpoint", FIELD_BOOL, AT(read.controller_endpoint)},
                                           {NULL}};
static const struct field write_head[] = {
    {"op", FIELD_U32, AT(write.op)}, {"kind", FIELD_ENUM, AT(write.kind), words_write}, {NULL}};
static const struct field op[] = {{"op", FIELD_U32, AT(cancel.op)}, {NULL}};
static const struct field hook[] = {{"id", FIELD_U32, AT(hook.id)},
                                    {"hook", FIELD_ENUM, AT(hook.hook), words_hook},
                                    {"budget", FIELD_NS, AT(hook.budget_ns)},
                                    {"epoch", FIELD_U64, AT(hook.epoch)},
                                    {"nonce", FIELD_NONCE, AT(hook.nonce)},
                                    {"reason", FIELD_ENUM, AT(hook.reason), words_reason},
                                    {"previous", FIELD_NAME, AT(hook.previous)},
                                    {NULL}};
static const struct field hook_kill[] = {{"id", FIELD_U32, AT(hook_kill.id)}, {NULL}};
static const struct field guard[] = {{"epoch", FIELD_U64, AT(guard.epoch)},
                                     {"deadline", FIELD_NS, AT(guard.deadline_ns)},
                                     {"nonce", FIELD_NONCE, AT(guard.nonce)},
                                     {NULL}};
static const struct field save[] = {{"id", FIELD_U32, AT(save.id)},
                                    {"durable", FIELD_BOOL, AT(save.durable)},
                                    {"epoch_seen", FIELD_U64, AT(save.epoch_seen)},
                                    {"nonce", FIELD_NONCE, AT(save.nonce)},
                                    {"next", FIELD_NONCE, AT(save.next)},
                                    {"epoch", FIELD_U64, AT(save.epoch)},
                                    {"deadline", FIELD_NS, AT(save.deadline_ns)},
                                    {NULL}};
static const struct field note[] = {{"note", FIELD_ENUM, AT(note.note), words_note},
                                    {"from", FIELD_ENUM, AT(note.from), words_role},
                                    {"role", FIELD_ENUM, AT(note.role), words_role},
                                    {"reason", FIELD_ENUM, AT(note.reason), words_reason},
                                    {"epoch", FIELD_U64, AT(note.epoch)},
                                    {NULL}};

/* In the order of enum lease_command_type. */
static const struct shape shapes[] = {
    {"READ", read_fields},    {"WRITE", write_head}, {"CANCEL", op},    {"HOOK", hook},
    {"HOOK_KILL", hook_kill}, {"ARM", guard},        {"EXTEND", guard}, {"FENCE", guard},
    {"DISARM", guard},        {"SAVE", save},        {"NOTE", note},    {"EXIT", none},
};

int trace_command_print(const struct lease_command *c, char *buf, size_t size)
{
    struct line line;

    line_init(&line, buf, size);
    if ((unsigned)c->type >= sizeof shapes / sizeof shapes[0])
        return -EINVAL;
    line_add(&line, "%s", shapes[c->type].name);
    fields_print(&line, shapes[c->type].fields, c);
    if (c->type == LEASE_COMMAND_WRITE) {
        line_add(&line, " if");
        fields_print(&line, fields_version, &c->write.expected);
        line_add(&line, " then");
        fields_print(&line, fields_row, &c->write.wanted);
    }
    return line.length;
}

/* WRITE op=… kind=… if VERSION then ROW */
static int parse_write(const char *line, const char **text, struct lease_command *ret,
                       struct trace_error *error)
{
    const char *word;
    int r = fields_parse(line, text, write_head, "if", ret, error);

    if (r < 0)
        return r;
    if (fields_word(text, &word) == 0)
        return fields_fail(line, word, "a write says \"if\" what it compares", error);
    r = fields_parse(line, text, fields_version, "then", &ret->write.expected, error);
    if (r < 0)
        return r;
    if (fields_word(text, &word) == 0)
        return fields_fail(line, word, "a write says \"then\" what it sets", error);
    return fields_parse(line, text, fields_row, NULL, &ret->write.wanted, error);
}

int trace_command_parse(const char *line, struct lease_command *ret, struct trace_error *ret_error)
{
    const char *text = line, *word;
    size_t length = fields_word(&text, &word);

    memset(ret, 0, sizeof *ret);
    for (unsigned i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        if (strlen(shapes[i].name) != length || memcmp(shapes[i].name, word, length) != 0)
            continue;
        ret->type = (enum lease_command_type)i;
        if (ret->type == LEASE_COMMAND_WRITE)
            return parse_write(line, &text, ret, ret_error);
        return fields_parse(line, &text, shapes[i].fields, NULL, ret, ret_error);
    }
    return fields_fail(line, word, "there is no such command", ret_error);
}
