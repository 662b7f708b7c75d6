/*
 * A failing run, retold as a scenario of one member: what its core was told since its sidecar was started
 * last.
 *
 * Polls, ticks and renewals that change nothing in the end are left out: an event stays away for as long as
 * the member's story (roles, hooks, claims, what it told people) is the same without it. Numbers of
 * statements and hooks follow from what is left, so that the scenario plays as it stands.
 */
#include "retell.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "caught.h"
#include "trace/trace.h"

#define STEPS_MAX UINT64_C(40000000) /* spent on leaving things out */

struct told {
    struct lease_event event;
    struct lease_member members[RETELL_HOSTS_MAX];
    bool out;
};

static struct {
    struct told *list;
    size_t count, size;
    struct lease_config config;
} tales[RETELL_HOSTS_MAX];
static uint64_t steps;

void retell_forget(void)
{
    for (unsigned i = 0; i < RETELL_HOSTS_MAX; i++) {
        free(tales[i].list);
        tales[i].list = NULL;
        tales[i].count = tales[i].size = 0;
    }
}

void retell_note(unsigned host, const struct lease_config *config, const struct lease_event *e)
{
    if (e->type == LEASE_EVENT_START) {
        tales[host].count = 0;
        tales[host].config = *config;
    }
    if (tales[host].count == tales[host].size) {
        tales[host].size = tales[host].size ? 2 * tales[host].size : 256;
        tales[host].list = realloc(tales[host].list, tales[host].size * sizeof *tales[host].list);
        if (!tales[host].list)
            abort();
    }
    struct told *t = &tales[host].list[tales[host].count++];

    t->event = *e;
    t->out = false;
    if (e->type == LEASE_EVENT_MEMBERS)
        memcpy(t->members, e->members.list, e->members.count * sizeof *t->members);
}

/* ------------------------------------------------------------------ playing */

static void mix(uint64_t *digest, uint64_t value)
{
    *digest = (*digest ^ value) * UINT64_C(0x100000001b3);
    *digest ^= *digest >> 29;
}

/* What belongs to the story. */
static void digest_command(uint64_t *digest, const struct lease_command *c)
{
    bool renewal = c->type == LEASE_COMMAND_WRITE && c->write.kind == LEASE_WRITE_RENEW;
    bool check = c->type == LEASE_COMMAND_HOOK && c->hook.hook == LEASE_HOOK_CHECK;

    if (c->type == LEASE_COMMAND_READ || c->type == LEASE_COMMAND_EXTEND || c->type == LEASE_COMMAND_CANCEL ||
        (c->type == LEASE_COMMAND_SAVE && !c->save.durable) || renewal || check)
        return;
    mix(digest, (uint64_t)c->type + 1);
    if (c->type == LEASE_COMMAND_WRITE) {
        mix(digest, c->write.kind);
        mix(digest, c->write.wanted.version.epoch);
    } else if (c->type == LEASE_COMMAND_HOOK) {
        mix(digest, c->hook.hook);
        mix(digest, c->hook.epoch);
    } else if (c->type == LEASE_COMMAND_NOTE) {
        mix(digest, (uint64_t)c->note.note << 16 | (uint64_t)c->note.from << 8 | c->note.role);
        mix(digest, (uint64_t)c->note.reason << 48 | c->note.epoch);
    }
}

/* Its numbers as they are where something before it was left out. */
static void renumber(const struct lease *l, struct lease_event *e)
{
    switch (e->type) {
    case LEASE_EVENT_READ: e->read.op = l->op.is_write ? 0 : l->op.id; break;
    case LEASE_EVENT_WRITE: e->write.op = l->op.is_write ? l->op.id : 0; break;
    case LEASE_EVENT_HOOK: e->hook.id = l->hook_id; break;
    case LEASE_EVENT_SAVED: e->saved.id = l->save_id; break;
    case LEASE_EVENT_START:
    case LEASE_EVENT_TICK:
    case LEASE_EVENT_GUARDIAN:
    case LEASE_EVENT_MEMBERS:
    case LEASE_EVENT_REQUEST:
    case LEASE_EVENT_FITNESS:
    case LEASE_EVENT_SETTINGS:
    case LEASE_EVENT_HEALTH:
    case LEASE_EVENT_STOP: break;
    }
}

/* Answers to what was given up on change nothing, and have no number that renumber() could find. */
static bool stale(const struct lease *l, const struct lease_event *e)
{
    return (e->type == LEASE_EVENT_READ && e->read.op != l->op.id) ||
           (e->type == LEASE_EVENT_WRITE && e->write.op != l->op.id) ||
           (e->type == LEASE_EVENT_HOOK && e->hook.id != l->hook_id) ||
           (e->type == LEASE_EVENT_SAVED && e->saved.id != l->save_id);
}

static void print_event(const struct lease_event *e)
{
    static char text[TRACE_LIST_MAX];

    if (trace_event_print(e, text, sizeof text) > 0)
        printf("event %s\n", text);
}

/* One play of what is left; the digest of its story. */
static uint64_t play(unsigned host, bool original, bool print)
{
    static struct lease lease;
    static struct lease_commands commands;
    static volatile size_t i;
    static volatile uint64_t digest;

    digest = UINT64_C(0xcbf29ce484222325);
    lease_init(&lease, &tales[host].config);
    if (setjmp(caught_escape) != 0) {
        digest ^= 1; /* an assertion of the core ends it */
        return digest;
    }
    for (i = 0; i < tales[host].count; i++) {
        struct told *t = &tales[host].list[i];
        struct lease_event e = t->event;
        uint64_t sum = digest;

        if (t->out)
            continue;
        if (e.type == LEASE_EVENT_MEMBERS)
            e.members.list = t->members;
        if (original)
            t->out = stale(&lease, &e);
        else
            renumber(&lease, &e);
        if (print)
            print_event(&e);
        steps++;
        lease_step(&lease, &e, &commands);
        for (size_t k = 0; k < commands.count; k++)
            digest_command(&sum, &commands.list[k]);
        digest = sum;
        if (lease.exited)
            break;
    }
    return digest;
}

static void leave_out(unsigned host, uint64_t story)
{
    struct told *list = tales[host].list;
    size_t count = tales[host].count, width = 1;

    while (width * 4 < count)
        width *= 2;
    for (; width > 0; width /= 2)
        for (size_t from = 1; from < count && steps < STEPS_MAX; from += width) {
            static bool before[1 << 20];
            size_t to = from + width < count ? from + width : count;
            bool any = false;

            if (to - from > sizeof before)
                continue;
            for (size_t i = from; i < to; i++) {
                before[i - from] = list[i].out;
                any |= !list[i].out;
                list[i].out = true;
            }
            if (any && play(host, false, false) == story)
                continue;
            for (size_t i = from; i < to; i++)
                list[i].out = before[i - from];
        }
}

void retell_print(unsigned host)
{
    char text[TRACE_LINE_MAX];

    if (tales[host].count == 0)
        return;
    steps = 0;
    uint64_t story = play(host, true, false);

    leave_out(host, story);
    if (trace_config_print(&tales[host].config, text, sizeof text) > 0)
        printf("%s\n", text);
    play(host, false, true);
}
