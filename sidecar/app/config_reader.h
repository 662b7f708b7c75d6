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
    struct config_errors *errors;
    config_verify_fn verify;
};

/* One mistake, with file and line; @where NULL: about the file as a whole. */
__attribute__((format(printf, 3, 4))) void
config_complain(struct config_reader *r, const config_setting_t *where, const char *format, ...);

static inline void *config_field(struct config *c, const struct option_row *o)
{
    return (char *)c + o->offset;
}

bool config_has_endpoint(const struct config *c, const char *text);

/* What no single setting shows: what is missing, contradicts, does not add up, or cannot be used on this
 * host. */
void config_check(struct config_reader *r, const config_t *file);
