#pragma once
/* Under systemd the same messages go to the journal with fields. Does nothing elsewhere. */
#include "util/log.h"

/* Makes the journal the log's backend when stderr is connected to it. */
void journal_init(const char *lease);
