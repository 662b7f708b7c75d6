#pragma once
/* A failing run, retold as a scenario (tests/scenario) of the member that broke the rule. */
#include "core/lease.h"

#define RETELL_HOSTS_MAX 9 /* hosts, and members in one reading of their table */

void retell_forget(void);
/* What @host's core is told; a start begins its tale anew. */
void retell_note(unsigned host, const struct lease_config *config, const struct lease_event *event);
void retell_print(unsigned host);
