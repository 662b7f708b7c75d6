#pragma once
/* A member that has something to do: it starts, takes the free lease, leads, and hears of others. For tests
 * and benchmarks that need steps as a sidecar takes them, and no story. */
#include "core/lease.h"

struct member {
    struct lease lease;
    struct lease_row row;
    struct lease_now now;
    uint64_t steps;
    bool follows; /* somebody else holds the lease */
    size_t others;
    struct lease_member list[LEASE_MEMBERS_MAX];
};

void member_begin(struct member *member);

/* What it is told next: an answer to what it asked, the members now and then, else half a second has passed.
 */
void member_event(struct member *member, struct lease_event *ret);
