#pragma once
/* Running the sidecar. */
#include "app/config.h"

/* Runs until it was told to end and has let go of the lease; records in @trace, where that is not NULL. A
 * reload changes @config. The process's exit code. */
int app_run(struct config *config, const char *trace);
