#pragma once
/* Killing without cgroups: a process group, and every process of a session, even where it made groups of its
 * own. */
#include <sys/types.h>

/* SIGKILLs the group @leader and every process whose session is @leader. Bounded passes over /proc. */
void kill_session(pid_t leader);
