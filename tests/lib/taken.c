#include "taken.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void taken_count(struct taken *t, const struct lease_command *c)
{
    if (c->type != LEASE_COMMAND_NOTE || c->note.note != LEASE_NOTE_ROLE)
        return;
    t->edges[c->note.from][c->note.role]++;
    t->reasons[c->note.reason]++;
}

void taken_write(const struct taken *t, const char *path)
{
    FILE *f = fopen(path, "we");

    if (!f) {
        fprintf(stderr, "%s: %s\n", path, strerror(errno));
        exit(2);
    }
    for (unsigned from = 0; from < LEASE_ROLES; from++)
        for (unsigned to = 0; to < LEASE_ROLES; to++)
            if (lease_edge_legal((enum lease_role)from, (enum lease_role)to))
                fprintf(f, "edge %s %s %" PRIu64 "\n", lease_role_name((enum lease_role)from),
                        lease_role_name((enum lease_role)to), t->edges[from][to]);
    for (unsigned i = 0; i < LEASE_REASONS; i++)
        fprintf(f, "reason %s %" PRIu64 "\n", lease_reason_name((enum lease_reason)i), t->reasons[i]);
    if (fclose(f) != 0) {
        fprintf(stderr, "%s: %s\n", path, strerror(errno));
        exit(2);
    }
}
