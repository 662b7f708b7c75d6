#pragma once
/*
 * Children that were killed and do not end: they hang in the kernel, in a file system whose server is away
 * for instance. Neither the loop nor the guardian may wait for them, and nobody may forget them either: each
 * keeps its number, its memory and a place under every limit on processes, so that in the end no hook could
 * be started.
 *
 * Thread: any. No function blocks.
 */
#include <sys/types.h>

#define REAP_MAX 12 /* more are not remembered; whoever starts children stops well before */

/* A killed child of this process that had not ended yet. */
void reap_later(pid_t pid);

/* Reaps those that have ended meanwhile. How many have not? */
unsigned reap_left(void);
