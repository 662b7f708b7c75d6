#pragma once
/*
 * The page that the sidecar and its guardian share (a memfd).
 *
 * One atomic word holds {deadline, fencing}. Both sides change it by compare-and-exchange only; the loser
 * obeys. So there is no instant at which the sidecar believes that it extended a lease while the guardian
 * stops the controller.
 *
 *   0                      disarmed: nothing of ours runs
 *   deadline << 1          the epoch may act until deadline-(K+M), on the sidecar's fast clock
 *   ... | 1                fencing: the guardian stops the controller, until confirmed; nothing may start
 *
 * The deadline is on the fast clock of the sidecar. The anchor says which kernel readings belong to which
 * fast time; it is renewed at every arm and extend, so that the guardian, counting on from it with its own
 * samples, is never far from the sidecar: what can differ is the noise of the samples since the last renewal,
 * never an hour's worth.
 *
 * Thread: any; processes: the sidecar and one guardian. No function blocks.
 */
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "util/clocks.h"

#define PAGE_TEXT_MAX     64
#define PAGE_PATH_MAX     512
#define PAGE_EPOCH_NOBODY UINT64_MAX

enum page_result {
    PAGE_OK = 0,
    PAGE_FENCING,  /* the guardian has begun: obey */
    PAGE_DISARMED, /* there is nothing to extend */
};

/* Written by the sidecar before the first guardian starts, constant afterwards. */
struct page_config {
    uint64_t kill_budget_ns, margin_ns, check_budget_ns;
    char lease[PAGE_TEXT_MAX], member[PAGE_TEXT_MAX];
    char fence_hook[PAGE_PATH_MAX], check_hook[PAGE_PATH_MAX], launcher[PAGE_PATH_MAX];
    char promote_cgroup[PAGE_PATH_MAX * 2]; /* empty: no cgroups here */
    char guardian_cgroup[PAGE_PATH_MAX * 2];
    char run_dir[PAGE_PATH_MAX], state_dir[PAGE_PATH_MAX];
};

struct page {
    uint32_t magic;
    struct page_config config;
    _Atomic uint64_t word;
    _Atomic uint64_t armed_epoch;
    _Atomic uint64_t stopped_epoch; /* PAGE_EPOCH_NOBODY until the guardian has confirmed the stop */
    _Atomic int64_t promote_pid;    /* of a promote that is running; 0: none */
    _Atomic uint32_t anchor_seq;    /* odd while the anchor is being written */
    _Atomic uint64_t anchor_fast_ns, anchor_boot_ns, anchor_raw_ns;
};

int page_create(const struct page_config *config, struct page **ret_page, int *ret_fd);
int page_map(int fd, struct page **ret_page); /* -EBADMSG: not such a page */
struct page *page_unmap(struct page *page);

/* Sidecar. */
int page_arm(struct page *page, uint64_t epoch, uint64_t deadline_ns, const struct clocks *now);
int page_extend(struct page *page, uint64_t deadline_ns, const struct clocks *now);
void page_order_fence(struct page *page, uint64_t epoch);
int page_disarm(struct page *page);       /* PAGE_FENCING: wait for the guardian's "stopped" */
void page_clear_fence(struct page *page); /* after page_stopped() said so */

/* Both. */
bool page_fencing(const struct page *page);
bool page_stopped(const struct page *page, uint64_t *ret_epoch);

/* Guardian: what is due? On PAGE_OK @ret_remaining_ns is the time until the fence (0: now), UINT64_MAX if
 * disarmed. */
void page_clock_sync(const struct page *page, struct clocks *clock, uint32_t *anchor_seen);
int page_remaining(const struct page *page, const struct clocks *clock, uint64_t *ret_word,
                   uint64_t *ret_remaining_ns);

/* Guardian: sets the fencing bit if the word is still @seen. False: somebody changed it, look again. */
bool page_begin_fence(struct page *page, uint64_t seen);
void page_set_stopped(struct page *page);

/* Launcher: registers @pid, then asks. True: this epoch may start a controller now. */
bool page_may_start(struct page *page, uint64_t epoch, int64_t pid);
