/* The list of webhooks: groups with rows of their own (options_webhook.c). */
#include <string.h>

#include "app/config_reader.h"

static bool note_by_name(const char *name, enum lease_note *ret)
{
    for (enum lease_note note = LEASE_NOTE_ROLE; note <= LEASE_NOTE_DOUBLE; note++)
        if (strcmp(lease_note_name(note), name) == 0) {
            *ret = note;
            return true;
        }
    return false;
}

void config_take_events(struct config_reader *r, const struct option_row *o, const config_setting_t *s)
{
    struct config_events *events = config_field(r->base, o);
    int count = config_setting_is_aggregate(s) ? config_setting_length(s) : 0;
    enum lease_note note;

    if (count < 1)
        config_complain(r, s, "%s: must be a list, like (\"role\", \"alarm\")", o->name);
    for (int i = 0; i < count; i++) {
        const config_setting_t *entry = config_setting_get_elem(s, (unsigned)i);
        const char *text = config_setting_get_string(entry);

        if (!text)
            config_complain(r, entry, "%s: entry %d is not a text in quotes", o->name, i + 1);
        else if (strcmp(text, "alarm") == 0)
            events->alarms = true;
        else if (note_by_name(text, &note))
            events->notes |= 1u << note;
        else
            config_complain(
                r, entry,
                "%s: there is no event \"%s\": \"role\", \"alarm\" (any of them), or one of acquired, "
                "released, lost, stopped, unstopped, hold, unhold, rogue, regression, no-row, double",
                o->name, text);
    }
}

static const struct option_row *find(const char *name)
{
    for (size_t i = 0; i < option_webhook_row_count; i++)
        if (strcmp(option_webhook_rows[i].name, name) == 0)
            return &option_webhook_rows[i];
    return NULL;
}

static void take_webhook(struct config_reader *r, const config_setting_t *group, struct config_webhook *w)
{
    r->base = w;
    for (size_t i = 0; i < option_webhook_row_count; i++)
        config_take_fallback(r, &option_webhook_rows[i]);
    for (int i = 0; i < config_setting_length(group); i++) {
        const config_setting_t *s = config_setting_get_elem(group, (unsigned)i);
        const struct option_row *o = find(config_setting_name(s));

        if (o)
            config_take_value(r, o, s);
        else
            config_complain(r, s, "%s: there is no such option of a webhook", config_setting_name(s));
    }
    for (size_t i = 0; i < option_webhook_row_count; i++) {
        const struct option_row *o = &option_webhook_rows[i];
        const config_setting_t *given = config_setting_get_member(group, o->name);

        if ((o->flags & OPTION_REQUIRED) && !given)
            config_complain(r, group, "%s: is missing (%s)", o->name, o->help);
        config_check_flags(r, o, given);
    }
    if (!config_setting_get_member(group, "events"))
        w->events = (struct config_events){.notes = 1u << LEASE_NOTE_ROLE, .alarms = true};
}

void config_take_webhooks(struct config_reader *r, const config_setting_t *s)
{
    struct config_webhooks *all = &r->config->webhooks;
    int count = config_setting_is_list(s) ? config_setting_length(s) : -1;

    if (count < 0 || count > CONFIG_WEBHOOKS_MAX) {
        config_complain(
            r, s, "webhooks: must be a list of at most %d groups, like ( { url = \"https://host/path\"; } )",
            CONFIG_WEBHOOKS_MAX);
        return;
    }
    r->within = "webhooks: ";
    for (int i = 0; i < count; i++) {
        const config_setting_t *group = config_setting_get_elem(s, (unsigned)i);

        if (config_setting_is_group(group))
            take_webhook(r, group, &all->list[all->count++]);
        else
            config_complain(r, group, "entry %d is no group, like { url = \"https://host/path\"; }", i + 1);
    }
    r->within = NULL;
    r->base = r->config;
}
