/* Events as lines. The type's name, `at` (and `slow`), the fields of the type, and the entropy at the end. */
#include <errno.h>
#include <string.h>

#include "trace/fields.h"

#define EVENT(member)  offsetof(struct lease_event, member)
#define MEMBER(member) offsetof(struct lease_member, member)

static const char *const words_result[] = {"done", "stopped", "failed", NULL};
static const char *const words_news[] = {"up", "down", "fencing", "stopped", NULL};
static const char *const words_request[] = {"leave", "hold", "unhold", NULL};

static const struct field none[] = {{NULL}};
static const struct field start[] = {{"epoch_seen", FIELD_U64, EVENT(start.epoch_seen)},
                                     {"nonce", FIELD_NONCE, EVENT(start.nonce)},
                                     {"next", FIELD_NONCE, EVENT(start.next)},
                                     {"epoch", FIELD_U64, EVENT(start.epoch)},
                                     {"remaining", FIELD_NS, EVENT(start.remaining_ns)},
                                     {"incarnation", FIELD_NONCE, EVENT(start.incarnation)},
                                     {"unfinished", FIELD_BOOL, EVENT(start.unfinished)},
                                     {NULL}};
#define ROW(member) EVENT(read.row.member)
static const struct field read_fields[] = {{"op", FIELD_U32, EVENT(read.op)},
                                           {"answer", FIELD_ENUM, EVENT(read.answer), words_answer},
                                           {"non_primary", FIELD_BOOL, EVENT(read.non_primary)},
                                           {"instance", FIELD_U64, EVENT(read.instance)},
                                           {"instance_up", FIELD_NS, EVENT(read.instance_up_ns)},
                                           {"epoch", FIELD_U64, ROW(version.epoch)},
                                           {"counter", FIELD_U64, ROW(version.counter)},
                                           {"nonce", FIELD_NONCE, ROW(version.nonce)},
                                           {"ttl_ms", FIELD_U32, ROW(ttl_ms)},
                                           {"state", FIELD_ENUM, ROW(state), words_state},
                                           {"holder", FIELD_NAME, ROW(holder)},
                                           {"target", FIELD_NAME, ROW(target)},
                                           {"epoch_table", FIELD_U64, ROW(epoch_table)},
                                           {"hold_ms", FIELD_U32, ROW(hold_ms)},
                                           {"hold_request", FIELD_U64, ROW(hold_request)},
                                           {NULL}};
static const struct field write_fields[] = {
    {"op", FIELD_U32, EVENT(write.op)}, {"answer", FIELD_ENUM, EVENT(write.answer), words_answer}, {NULL}};
static const struct field hook[] = {
    {"id", FIELD_U32, EVENT(hook.id)}, {"result", FIELD_ENUM, EVENT(hook.result), words_result}, {NULL}};
static const struct field guardian[] = {{"news", FIELD_ENUM, EVENT(guardian.news), words_news},
                                        {"epoch", FIELD_U64, EVENT(guardian.epoch)},
                                        {NULL}};
static const struct field saved[] = {
    {"id", FIELD_U32, EVENT(saved.id)}, {"ok", FIELD_BOOL, EVENT(saved.ok)}, {NULL}};
static const struct field request[] = {{"kind", FIELD_ENUM, EVENT(request.kind), words_request},
                                       {"id", FIELD_U64, EVENT(request.id)},
                                       {"reason", FIELD_ENUM, EVENT(request.reason), words_reason},
                                       {"hold", FIELD_NS, EVENT(request.hold_ns)},
                                       {"target", FIELD_NAME, EVENT(request.target)},
                                       {NULL}};
static const struct field fitness[] = {{"fit", FIELD_BOOL, EVENT(fitness.fit)}, {NULL}};
static const struct field settings[] = {{"priority", FIELD_U32, EVENT(settings.priority)},
                                        {"restarts", FIELD_U32, EVENT(settings.restarts)},
                                        {"check_failures", FIELD_U32, EVENT(settings.check_failures)},
                                        {"restart_window", FIELD_NS, EVENT(settings.restart_window_ns)},
                                        {NULL}};
static const struct field health[] = {
    {"epoch", FIELD_U64, EVENT(health.epoch)}, {"healthy", FIELD_BOOL, EVENT(health.healthy)}, {NULL}};
static const struct field member_fields[] = {{"name", FIELD_NAME, MEMBER(name)},
                                             {"incarnation", FIELD_NONCE, MEMBER(incarnation)},
                                             {"heartbeat", FIELD_U64, MEMBER(heartbeat)},
                                             {"epoch_seen", FIELD_U64, MEMBER(epoch_seen)},
                                             {"priority", FIELD_U32, MEMBER(priority)},
                                             {"drifted", FIELD_BOOL, MEMBER(drifted)},
                                             {NULL}};

/* In the order of enum lease_event_type. */
static const struct shape shapes[] = {
    {"start", start},     {"tick", none},         {"read", read_fields},  {"write", write_fields},
    {"hook", hook},       {"guardian", guardian}, {"saved", saved},       {"members", none},
    {"request", request}, {"fitness", fitness},   {"settings", settings}, {"health", health},
    {"stop", none},
};

/* The parser's view of what every event has. */
struct head {
    uint64_t at_ns, slow_ns;
    struct lease_nonce entropy;
};
static const struct field head_at[] = {{"at", FIELD_NS, offsetof(struct head, at_ns)},
                                       {"slow", FIELD_NS, offsetof(struct head, slow_ns)},
                                       {NULL}};
static const struct field head_entropy[] = {{"entropy", FIELD_NONCE, offsetof(struct head, entropy)}, {NULL}};

int trace_event_print(const struct lease_event *e, char *buf, size_t size)
{
    struct head head = {.at_ns = e->now.fast_ns,
                        .slow_ns = e->now.slow_ns != e->now.fast_ns ? e->now.slow_ns : 0};
    struct line line;

    line_init(&line, buf, size);
    if ((unsigned)e->type >= sizeof shapes / sizeof shapes[0])
        return -EINVAL;
    memcpy(head.entropy.bytes, e->entropy, sizeof head.entropy.bytes);
    line_add(&line, "%s", shapes[e->type].name);
    fields_print(&line, head_at, &head);
    fields_print(&line, head_entropy, &head);
    fields_print(&line, shapes[e->type].fields, e);
    if (e->type == LEASE_EVENT_MEMBERS)
        for (size_t i = 0; i < e->members.count; i++)
            fields_print(&line, member_fields, &e->members.list[i]);
    return line.length;
}

/* Every member begins with its name. */
static int parse_members(const char *begin, const char **text, struct trace_event *ret,
                         struct trace_error *error)
{
    size_t count = 0;
    const char *word, *before;

    ret->event.members.list = ret->members;
    while (before = *text, fields_word(text, &word) > 0) {
        const char *rest = *text;

        if (count == LEASE_MEMBERS_MAX)
            return fields_fail(begin, word, "more members than a lease can have", error);
        struct lease_member *m = &ret->members[count++];
        /* the name alone, then everything up to the next name */
        char name[3 * LEASE_NAME_MAX + 8];
        size_t length = (size_t)(rest - word);

        if (length >= sizeof name || strncmp(word, "name=", 5) != 0)
            return fields_fail(begin, word, "a member begins with its name", error);
        memcpy(name, word, length);
        name[length] = '\0';
        const char *at = name;

        if (fields_parse(name, &at, member_fields, NULL, m, error) < 0)
            return fields_fail(begin, word, "this is no member name", error);
        int r = fields_parse(begin, text, member_fields, "name", m, error);

        if (r < 0)
            return r;
    }
    *text = before;
    ret->event.members.count = count;
    return 0;
}

/* Takes the fields at the head, in their order, as far as they are there. */
static int parse_head(const char *begin, const char **text, struct head *head, struct trace_error *error)
{
    const char *word, *before;

    for (;;) {
        before = *text;
        size_t length = fields_word(text, &word);
        bool at = length > 3 && (strncmp(word, "at=", 3) == 0 || strncmp(word, "slow=", 5) == 0);
        bool entropy = length > 8 && strncmp(word, "entropy=", 8) == 0;
        char one[128];

        if ((!at && !entropy) || length >= sizeof one) {
            *text = before;
            return 0;
        }
        memcpy(one, word, length);
        one[length] = '\0';
        const char *p = one;

        if (fields_parse(one, &p, at ? head_at : head_entropy, NULL, head, error) < 0)
            return fields_fail(begin, word, error->what, error);
    }
}

int trace_event_parse(const char *line, struct trace_event *ret, struct trace_error *ret_error)
{
    const char *text = line, *word;
    size_t length = fields_word(&text, &word);
    struct head head = {0};

    memset(ret, 0, sizeof *ret);
    for (unsigned i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        if (strlen(shapes[i].name) != length || memcmp(shapes[i].name, word, length) != 0)
            continue;
        ret->event.type = (enum lease_event_type)i;
        int r = parse_head(line, &text, &head, ret_error);

        if (r == 0)
            r = i == LEASE_EVENT_MEMBERS
                    ? parse_members(line, &text, ret, ret_error)
                    : fields_parse(line, &text, shapes[i].fields, NULL, &ret->event, ret_error);
        ret->event.now.fast_ns = head.at_ns;
        ret->event.now.slow_ns = head.slow_ns ? head.slow_ns : head.at_ns;
        memcpy(ret->event.entropy, head.entropy.bytes, sizeof ret->event.entropy);
        return r;
    }
    return fields_fail(line, word, "there is no such event", ret_error);
}
