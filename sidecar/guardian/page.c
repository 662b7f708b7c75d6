#include "guardian/page.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proc/kill.h"
#include "util/cleanup.h"

#define MAGIC        UINT32_C(0x676c7033)
#define ANCHOR_TRIES 8

/* The word: deadline in us (rounded down; 0: none), 8 bits of turn, stopped, fencing. */
#define FENCING_BIT    UINT64_C(1)
#define STOPPED_BIT    UINT64_C(2)
#define TURN_ONE       UINT64_C(4)
#define TURN_MASK      UINT64_C(0x3fc)
#define DEADLINE_SHIFT 10
#define DEADLINE_MASK  (~UINT64_C(0) << DEADLINE_SHIFT)

int page_map(int fd, struct page **ret_page)
{
    struct stat st;

    if (fstat(fd, &st) < 0)
        return -errno;
    if (st.st_size != (off_t)sizeof(struct page))
        return -EBADMSG;
    struct page *page = mmap(NULL, sizeof *page, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

    if (page == MAP_FAILED)
        return -errno;
    if (page->magic != MAGIC) {
        munmap(page, sizeof *page);
        return -EBADMSG;
    }
    *ret_page = page;
    return 0;
}

int page_create(const struct page_config *config, struct page **ret_page, int *ret_fd)
{
    _cleanup_(closep) int fd = memfd_create("galera-lease-page", MFD_CLOEXEC);

    if (fd < 0)
        return -errno;
    if (ftruncate(fd, sizeof(struct page)) < 0)
        return -errno;
    struct page *page = mmap(NULL, sizeof *page, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

    if (page == MAP_FAILED)
        return -errno;
    page->magic = MAGIC;
    page->config = *config;
    *ret_page = page;
    *ret_fd = steal_fd(&fd);
    return 0;
}

struct page *page_unmap(struct page *page)
{
    if (page)
        munmap(page, sizeof *page);
    return NULL;
}

static uint64_t deadline_bits(uint64_t deadline_ns)
{
    uint64_t us = deadline_ns / 1000;

    return (us > 0 ? us : 1) << DEADLINE_SHIFT;
}

static uint64_t next_turn(uint64_t word)
{
    return (word + TURN_ONE) & TURN_MASK;
}

/* One writer, the sidecar. It fills the anchor that is not in force, then puts it in force. */
static void write_anchor(struct page *page, const struct clocks *now)
{
    uint64_t seq = atomic_load(&page->anchor_seq) + 1;
    struct page_anchor *a = &page->anchors[seq % 2];

    atomic_store(&a->fast_ns, now->fast_ns);
    atomic_store(&a->boot_ns, now->boot_ns);
    atomic_store(&a->raw_ns, now->raw_ns);
    atomic_store(&page->anchor_seq, seq);
}

/* While fencing this is an order to make sure of the new epoch too: whoever arms awaits "stopped" for it. */
int page_arm(struct page *page, uint64_t epoch, uint64_t deadline_ns, const struct clocks *now)
{
    uint64_t word = atomic_load(&page->word), next;

    write_anchor(page, now);
    atomic_store(&page->epoch, epoch);
    do {
        next = word & FENCING_BIT ? (word & DEADLINE_MASK) | FENCING_BIT : deadline_bits(deadline_ns);
        next |= next_turn(word);
    } while (!atomic_compare_exchange_weak(&page->word, &word, next));
    return next & FENCING_BIT ? PAGE_FENCING : PAGE_OK;
}

int page_extend(struct page *page, uint64_t deadline_ns, const struct clocks *now)
{
    uint64_t word = atomic_load(&page->word);

    /* The anchor first: whoever sees the new deadline counts from the new anchor. A newer anchor alone is
     * harmless, it only says the same time more exactly. */
    write_anchor(page, now);
    do {
        if (word & FENCING_BIT)
            return PAGE_FENCING;
        if (!(word & DEADLINE_MASK))
            return PAGE_DISARMED;
    } while (
        !atomic_compare_exchange_weak(&page->word, &word, (word & TURN_MASK) | deadline_bits(deadline_ns)));
    return PAGE_OK;
}

void page_order_fence(struct page *page, uint64_t epoch)
{
    uint64_t word = atomic_load(&page->word);

    atomic_store(&page->epoch, epoch);
    while (!atomic_compare_exchange_weak(&page->word, &word,
                                         (word & DEADLINE_MASK) | next_turn(word) | FENCING_BIT))
        ;
}

int page_disarm(struct page *page)
{
    uint64_t word = atomic_load(&page->word);

    do {
        if ((word & FENCING_BIT) && !(word & STOPPED_BIT))
            return PAGE_FENCING;
    } while (!atomic_compare_exchange_weak(&page->word, &word, word & TURN_MASK));
    return PAGE_OK;
}

bool page_fencing(const struct page *page)
{
    return (atomic_load(&page->word) & FENCING_BIT) != 0;
}

bool page_stopped(const struct page *page, uint64_t *ret_epoch)
{
    if (!(atomic_load(&page->word) & STOPPED_BIT))
        return false;
    *ret_epoch = atomic_load(&page->epoch);
    return true;
}

void page_promote_over(struct page *page)
{
    for (unsigned i = 0; i < PAGE_PROMOTES; i++)
        atomic_store(&page->promotes[i], 0);
}

/* Not replaced while it stands in force, so unchanged before and after means whole. */
static void sync_clock(const struct page *page, struct page_clock *clock)
{
    for (unsigned i = 0; i < ANCHOR_TRIES; i++) {
        uint64_t seq = atomic_load(&page->anchor_seq);
        const struct page_anchor *a = &page->anchors[seq % 2];

        if (seq == clock->anchor_seq)
            return;
        struct clocks read = {.boot_ns = atomic_load(&a->boot_ns),
                              .raw_ns = atomic_load(&a->raw_ns),
                              .fast_ns = atomic_load(&a->fast_ns)};

        if (atomic_load(&page->anchor_seq) != seq)
            continue;
        *clock = (struct page_clock){.clocks = read, .anchor_seq = seq};
        return;
    }
}

static enum page_state state_of(uint64_t word)
{
    if (word & STOPPED_BIT)
        return PAGE_STATE_STOPPED;
    if (word & FENCING_BIT)
        return PAGE_STATE_FENCING;
    return word & DEADLINE_MASK ? PAGE_STATE_ARMED : PAGE_STATE_DISARMED;
}

struct page_view page_look(const struct page *page, struct page_clock *clock)
{
    struct page_view view = {.word = atomic_load(&page->word), .remaining_ns = UINT64_MAX};
    uint64_t lead = page->config.kill_budget_ns + page->config.margin_ns;
    uint64_t deadline_ns = (view.word >> DEADLINE_SHIFT) * 1000;

    sync_clock(page, clock);
    clocks_sample(&clock->clocks);
    view.state = state_of(view.word);
    if (view.state != PAGE_STATE_ARMED)
        return view;
    /* Who can't tell the time has none left. */
    view.remaining_ns = clock->anchor_seq != 0 && deadline_ns > clock->clocks.fast_ns + lead
                            ? deadline_ns - clock->clocks.fast_ns - lead
                            : 0;
    return view;
}

static bool change(struct page *page, struct page_view *view, uint64_t bit)
{
    if (!atomic_compare_exchange_strong(&page->word, &view->word, view->word | bit))
        return false;
    view->word |= bit;
    view->state = state_of(view->word);
    return true;
}

bool page_begin_fence(struct page *page, struct page_view *view)
{
    return change(page, view, FENCING_BIT);
}

bool page_set_stopped(struct page *page, struct page_view *view)
{
    return change(page, view, STOPPED_BIT);
}

/* Beside the parts before it: what they left must be found too. */
static bool register_promote(struct page *page, uint64_t self)
{
    for (unsigned i = 0; i < PAGE_PROMOTES; i++) {
        uint64_t none = 0;

        if (atomic_compare_exchange_strong(&page->promotes[i], &none, self))
            return true;
    }
    return false;
}

bool page_may_start(struct page *page, uint64_t epoch)
{
    struct page_clock clock = {0};
    uint64_t self = kill_identity(getpid());

    /* Register, then look; the guardian sets the bit, then looks for us. At least one sees the other. */
    bool registered = self != 0 && register_promote(page, self);
    struct page_view view = page_look(page, &clock);

    return registered && view.state == PAGE_STATE_ARMED && view.remaining_ns > 0 &&
           atomic_load(&page->epoch) == epoch;
}
