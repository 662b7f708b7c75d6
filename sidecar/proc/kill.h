#pragma once
/* Killing without cgroups: a process group, and every process of a session, even where it made groups of its
 * own. */
#include <stdint.h>
#include <sys/types.h>

/* SIGKILLs the group @leader and every process whose session is @leader. Bounded passes over /proc. */
void kill_session(pid_t leader);

/* Who a process is, in one word: its number and when it started. Numbers are used again, this is not. 0: no
 * such process. */
uint64_t kill_identity(pid_t pid);

/*
 * As kill_session() of the process that was @identity, and nobody else. Its number may belong to another
 * process by now: then its session has ended too, because the kernel gives no number away that is still a
 * session's. Where the number is nobody's, only processes with @mark ("NAME=value") in their environment are
 * killed: the session may be that of a later process, gone as well.
 */
void kill_session_of(uint64_t identity, const char *mark);
