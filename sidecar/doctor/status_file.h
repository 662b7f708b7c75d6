#pragma once
/* What the sidecar of this host wrote down of itself in run_dir at its last change or renewal. */
#include <jansson.h>
#include <stdbool.h>

#include "app/config.h"

/* What it wrote, when a process of that number lives; else NULL. @ret_age_s: by the wall clock; @ret_answers:
 * it has written lately (it does at every renewal). The caller's to json_decref(). */
json_t *status_file_read(const struct config *config, long long *ret_age_s, bool *ret_answers);

/* @folder is full, so that a sidecar in the best of health could write nothing there. */
bool status_file_no_room(const char *folder);
