#pragma once
/*
 * SIGHUP: the configuration is read again, in a thread of its own, for a file may be slow to come. A file
 * with any mistake changes nothing. Of a good one the options that are marked OPTION_RELOAD take effect at
 * once; any other that was changed is named in log and status and waits for a restart.
 *
 * The controller is not touched: neither started, stopped nor checked anew.
 */
#include <jansson.h>

#include "app/config.h"

struct node;
struct reload;

/* @config is the node's own, and changes when a reload says so: in the loop's thread. 0 or negative errno. */
int reload_start(struct node *node, struct config *config);

/* For status: when the file was last read again (0: never), what was wrong, what waits for a restart. */
json_t *reload_status(const struct reload *reload);
