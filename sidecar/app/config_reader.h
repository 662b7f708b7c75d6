#pragma once
/* Between the two halves of reading a configuration: config.c takes each setting, config_check.c judges the
 * whole.
 */
#include <libconfig.h>
#include <stdbool.h>

#include "app/config.h"
#include "app/options.h"

struct config_reader {
    const char *path;
    struct config *config;
    void *base;         /* where values land: config, or the group that is being read */
    const char *within; /* of a group, before what is said of it: "webhooks: "; NULL: none */
    struct config_errors *errors;
    config_verify_fn verify;
};

/* One mistake, with file and line; @where NULL: about the file as a whole. */
__attribute__((format(printf, 3, 4))) void
config_complain(struct config_reader *r, const config_setting_t *where, const char *format, ...);

static inline void *config_field(void *base, const struct option_row *o)
{
    return (char *)base + o->offset;
}

/* One setting's value to where its row says. */
void config_take_value(struct config_reader *r, const struct option_row *o, const config_setting_t *s);
void config_take_fallback(struct config_reader *r, const struct option_row *o);

/* What a row's flags ask of its file or hook on this host; @given NULL: about the file as a whole. */
void config_check_flags(struct config_reader *r, const struct option_row *o, const config_setting_t *given);

/* config_lists.c: OPTION_PATHS, OPTION_PATTERNS */
void config_take_list(struct config_reader *r, const struct option_row *o, const config_setting_t *s);

/* config_webhooks.c */
void config_take_webhooks(struct config_reader *r, const config_setting_t *s);
void config_take_events(struct config_reader *r, const struct option_row *o, const config_setting_t *s);

bool config_has_endpoint(const struct config *c, const char *text);

/* What no single setting shows: what is missing, contradicts, does not add up, or cannot be used on this
 * host. */
void config_check(struct config_reader *r, const config_t *file);
