#pragma once
/*
 * A watcher asks one question again and again, in a thread of its own: the question may take as long as it
 * likes, and the loop hears of the answers through a descriptor. Only the newest answer counts.
 */
#include <stdbool.h>
#include <stdint.h>

#define WATCHER_TEXT_MAX 1023

struct watcher_answer {
    bool good;
    uint64_t tag;                    /* whatever the question puts there: what it was asked about */
    char text[WATCHER_TEXT_MAX + 1]; /* why not, for people; or what there is to know */
    uint64_t took_ns;                /* filled in by the watcher */
};

/* Runs in the watcher's thread. @ret_answer is zeroed. */
typedef void (*watcher_ask_fn)(void *userdata, struct watcher_answer *ret_answer);

struct watcher;

/* Asks at once and then every @interval_ns, counted from the end of the last answer. */
int watcher_new(watcher_ask_fn ask, void *userdata, uint64_t interval_ns, struct watcher **ret);

/* Readable when there is an answer. */
int watcher_fd(const struct watcher *watcher);

/* The newest answer that was not taken yet; false: none. Never waits. */
bool watcher_take(struct watcher *watcher, struct watcher_answer *ret_answer);

/* True: all is over and freed. False: its thread still hangs in a question; it is left to the process's end.
 */
bool watcher_end(struct watcher *watcher, uint64_t patience_ns);
