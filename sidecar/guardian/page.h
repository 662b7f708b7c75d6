#pragma once
/*
 * The page that the sidecar and its guardian share (a memfd).
 *
 * One atomic word says all that is decided on. Both sides change it by compare-and-exchange only; the loser
 * obeys. So there is no instant at which the sidecar believes that it extended a lease while the guardian
 * stops the controller, and no order of reading two words that could be wrong.
 *
 *   disarmed   nothing of ours runs
 *   armed      the epoch may act until deadline-(K+M), on the sidecar's fast clock
 *   fencing    the guardian stops the controller until its check confirms it; nothing may start
 *   stopped    confirmed; the sidecar disarms
 *
 * The word also counts the turns: the sidecar begins one whenever it arms or orders a fence. "Stopped" is a
 * change of the word as it was when that fence began, so it never speaks for a later turn: of an epoch armed
 * or ordered meanwhile the guardian makes sure again.
 *
 * The deadline is on the fast clock of the sidecar. An anchor says which kernel readings belong to which fast
 * time; it is renewed at every arm and extend, so that the guardian, counting on from it with its own
 * samples, is never far from the sidecar: what can differ is the noise of the samples since the last renewal,
 * never an hour's worth. There are two anchors, written in turns: one is always whole, whenever the sidecar
 * dies.
 *
 * Thread: any; processes: the sidecar and one guardian. No function blocks.
 */
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "util/clocks.h"

#define PAGE_TEXT_MAX 64
#define PAGE_PATH_MAX 512
/* An attempt at a fence that is not the first takes up to so many times K and the check's budget. */
#define PAGE_ATTEMPT_TIMES_MAX 4

#define PAGE_PROMOTES 32 /* parts of a promote: HOOK_STEPS_MAX */

enum page_result {
    PAGE_OK = 0,
    PAGE_FENCING,  /* the guardian has begun: obey */
    PAGE_DISARMED, /* there is nothing to extend */
};

enum page_state { PAGE_STATE_DISARMED, PAGE_STATE_ARMED, PAGE_STATE_FENCING, PAGE_STATE_STOPPED };

/* Written by the sidecar before the first guardian starts, constant afterwards. */
struct page_config {
    uint64_t kill_budget_ns, margin_ns, check_budget_ns;
    char lease[PAGE_TEXT_MAX], member[PAGE_TEXT_MAX];
    char fence_hook[PAGE_PATH_MAX], check_hook[PAGE_PATH_MAX], launcher[PAGE_PATH_MAX];
    char cgroup_base[PAGE_PATH_MAX * 2]; /* empty: no cgroups here */
    char promote_cgroup[PAGE_PATH_MAX * 2];
    char guardian_cgroup[PAGE_PATH_MAX * 2];
    char run_dir[PAGE_PATH_MAX], state_dir[PAGE_PATH_MAX];
};

struct page_anchor {
    _Atomic uint64_t fast_ns, boot_ns, raw_ns;
};

struct page {
    uint32_t magic;
    struct page_config config;
    _Atomic uint64_t word;
    _Atomic uint64_t epoch;      /* last armed or ordered; changed by the sidecar only */
    _Atomic uint64_t anchor_seq; /* anchors[anchor_seq % 2] is whole; 0: there is none yet */
    struct page_anchor anchors[2];
    /* kill_identity() of the parts of a promote that is running, in their order; 0: none */
    _Atomic uint64_t promotes[PAGE_PROMOTES];
    /* Attempts at a fence that were begun; changed by the guardian only. While fencing: its sign of life. */
    _Atomic uint64_t attempts;
};

int page_create(const struct page_config *config, struct page **ret_page, int *ret_fd);
int page_map(int fd, struct page **ret_page); /* -EBADMSG: not such a page */
struct page *page_unmap(struct page *page);

/* Sidecar. */
int page_arm(struct page *page, uint64_t epoch, uint64_t deadline_ns, const struct clocks *now);
int page_extend(struct page *page, uint64_t deadline_ns, const struct clocks *now);
void page_order_fence(struct page *page, uint64_t epoch);
int page_disarm(struct page *page); /* PAGE_FENCING: wait for the guardian's "stopped" */
bool page_fencing(const struct page *page);
bool page_stopped(const struct page *page, uint64_t *ret_epoch);
void page_promote_over(struct page *page); /* what it left is the controller now, or is dead */

/* A reader's own clock, counted on from the newest anchor it has seen. Begins as zero. */
struct page_clock {
    struct clocks clocks;
    uint64_t anchor_seq;
};

struct page_view {
    enum page_state state;
    uint64_t word;         /* for page_begin_fence() and page_set_stopped() */
    uint64_t remaining_ns; /* armed: until the fence is due, 0: now; else UINT64_MAX */
};

/* Guardian and launcher: what is due now? */
struct page_view page_look(const struct page *page, struct page_clock *clock);

/* Guardian. Both change the page only if nobody changed it since @view, and bring @view up to date. False:
 * somebody did, look again. */
bool page_begin_fence(struct page *page, struct page_view *view);
bool page_set_stopped(struct page *page, struct page_view *view);

/* Launcher: registers its own process, then asks. True: this epoch may start a controller now. */
bool page_may_start(struct page *page, uint64_t epoch);
