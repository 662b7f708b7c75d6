/* What the core says about itself: nothing here needs a configuration, a database or a lease. */
#include <stdio.h>

#include "cli/cli.h"
#include "core/lease.h"

/* A start is under way or done: of these at most one member of a lease may be at a time. */
static bool acts(enum lease_role role)
{
    return role == LEASE_PROMOTING || role == LEASE_LEADER;
}

int verb_dump_fsm(void)
{
    printf("digraph roles {\n    rankdir=LR;\n    node [shape=box];\n");
    for (unsigned role = 0; role < LEASE_ROLES; role++)
        if (acts((enum lease_role)role))
            printf("    %s [peripheries=2];\n", lease_role_name((enum lease_role)role));
    for (unsigned from = 0; from < LEASE_ROLES; from++)
        for (unsigned to = 0; to < LEASE_ROLES; to++)
            if (lease_edge_legal((enum lease_role)from, (enum lease_role)to))
                printf("    %s -> %s;\n", lease_role_name((enum lease_role)from),
                       lease_role_name((enum lease_role)to));
    printf("}\n");
    return CLI_OK;
}
