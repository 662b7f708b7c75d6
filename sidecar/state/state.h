#pragma once
/*
 * The state file (R7, R8) and the flock: one sidecar per lease and host.
 *
 * The file remembers the highest epoch seen, and what a restart needs to resume: nonce, its epoch, and the
 * deadline in terms of this boot's clocks. It is text with a checksum, replaced atomically, and synced at
 * every save: a rename that reaches the disk before its content would lose the remembered epoch in a power
 * cut. Only what encodes to the very same bytes again is believed; anything else is "know nothing", and the
 * caller says it aloud.
 */
#include <stddef.h>
#include <stdint.h>

#include "core/lease.h"
#include "util/clocks.h"

#define STATE_TEXT_MAX 512 /* of the whole file */

enum state_result {
    STATE_OK = 0,
    STATE_ABSENT,
    STATE_DAMAGED,
    STATE_OTHER_VERSION,
    STATE_OTHER_BOOT, /* the epoch counts, the deadline does not */
    STATE_LOCKED,     /* another sidecar or guardian of this lease is alive on this host */
};

struct state_record {
    uint64_t epoch_seen;
    struct lease_nonce nonce;
    struct lease_nonce next; /* of a resume under way; zero: none, and the file is one of version 1 */
    uint64_t epoch;
    uint64_t remaining_ns; /* until the deadline, at @at; 0: erased */
    struct clocks_instant at;
};

/* STATE_OK with the fd that holds the lock (close it to let go), STATE_LOCKED, or negative errno. */
int state_lock(const char *folder, int *ret_fd);

/* The file's text, always shorter than STATE_TEXT_MAX; returns its length. */
size_t state_encode(const struct state_record *record, const char boot[CLOCKS_BOOT_ID_SIZE],
                    char ret_text[STATE_TEXT_MAX]);

/* STATE_OK, STATE_DAMAGED or STATE_OTHER_VERSION. */
int state_decode(const char *text, size_t length, struct state_record *ret_record,
                 char ret_boot[CLOCKS_BOOT_ID_SIZE]);

/* Fills @ret_memory: zeroes where nothing is known. What it says remains, remains now: it goes on running out
 * until the core is told. enum state_result or negative errno. */
int state_load(const char *folder, struct lease_memory *ret_memory);

/* For people: what a result of state_load() means. */
const char *state_result_text(int result);

/* On disk when this returns. 0 or negative errno. */
int state_save(const char *folder, const struct state_record *record);

/*
 * The thread that saves, so that a slow disk never blocks the loop. Saves are done in order; one that nobody
 * awaits is dropped when a newer one waits behind it.
 */
struct saver;
int saver_new(const char *folder, struct saver **ret);
struct saver *saver_free(struct saver *saver); /* finishes what is queued */
int saver_fd(const struct saver *saver);       /* readable: call saver_take() */
int saver_submit(struct saver *saver, uint32_t id, const struct state_record *record, bool awaited);
/* 1 and the result of one save that was awaited or that failed, or 0: no more. */
int saver_take(struct saver *saver, uint32_t *ret_id, int *ret_error);
