#pragma once
/*
 * Under systemd the same messages go to the journal with fields. Does nothing elsewhere.
 *
 * Its protocol is spoken here and not through sd_journal_send(), which waits while the journal is stuck: the
 * loop would wait with it, and a lease would end because of a log. A message that finds no room is dropped,
 * and how many were dropped is said in the next one that goes through.
 */
#include "util/log.h"

#define JOURNAL_SOCKET "/run/systemd/journal/socket"

/* Makes the journal at @socket_path the log's backend when stderr is connected to one. */
void journal_init(const char *lease, const char *socket_path);
