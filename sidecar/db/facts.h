#pragma once
/*
 * The first statements on a new connection: they set the session as the lease rules need it and learn what
 * the server says of itself. What the facts mean is for others. Thread: the worker's.
 */
#include "db/link.h"

/* What @@read_only says: a number, and from MariaDB 12.0.1 on a word, for there are degrees of it. */
bool facts_writable(const char *read_only);

/* Fills link->facts. false, with @result saying why: the connection is of no use. */
bool facts_learn(struct link *link, struct worker_result *result);
