#pragma once
/* Which changes of role a driver has seen, and for which reasons: counted, and written for tests/coverage. */
#include "core/lease.h"

struct taken {
    uint64_t edges[LEASE_ROLES][LEASE_ROLES], reasons[LEASE_REASONS];
};

void taken_count(struct taken *taken, const struct lease_command *note);

/* Every legal edge and every reason, also those with none. Ends the program if it can't. */
void taken_write(const struct taken *taken, const char *path);
