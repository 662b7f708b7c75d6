#pragma once
/*
 * The first statements on a new connection: they set the session as the lease rules need it and learn what
 * the server says of itself. What the facts mean is for others. Thread: the worker's.
 */
#include "db/link.h"

/* Fills link->facts. false, with @result saying why: the connection is of no use. */
bool facts_learn(struct link *link, struct worker_result *result);
