#include "guardian/page.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/cleanup.h"

#define MAGIC       UINT32_C(0x676c7031)
#define FENCING_BIT UINT64_C(1)

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
    atomic_store(&page->stopped_epoch, PAGE_EPOCH_NOBODY);
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

/* One writer (the sidecar); readers try again while the sequence is odd or moved. */
static void write_anchor(struct page *page, const struct clocks *now)
{
    atomic_fetch_add(&page->anchor_seq, 1);
    atomic_store(&page->anchor_fast_ns, now->fast_ns);
    atomic_store(&page->anchor_boot_ns, now->boot_ns);
    atomic_store(&page->anchor_raw_ns, now->raw_ns);
    atomic_fetch_add(&page->anchor_seq, 1);
}

int page_arm(struct page *page, uint64_t epoch, uint64_t deadline_ns, const struct clocks *now)
{
    uint64_t expected = atomic_load(&page->word);

    if (expected & FENCING_BIT)
        return PAGE_FENCING;
    atomic_store(&page->armed_epoch, epoch);
    atomic_store(&page->stopped_epoch, PAGE_EPOCH_NOBODY);
    atomic_store(&page->promote_pid, 0);
    write_anchor(page, now);
    return atomic_compare_exchange_strong(&page->word, &expected, deadline_ns << 1) ? PAGE_OK : PAGE_FENCING;
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
        if (word == 0)
            return PAGE_DISARMED;
    } while (!atomic_compare_exchange_weak(&page->word, &word, deadline_ns << 1));
    return PAGE_OK;
}

void page_order_fence(struct page *page, uint64_t epoch)
{
    if (atomic_load(&page->word) == 0) {
        atomic_store(&page->armed_epoch, epoch);
        atomic_store(&page->stopped_epoch, PAGE_EPOCH_NOBODY);
    }
    atomic_fetch_or(&page->word, FENCING_BIT);
}

int page_disarm(struct page *page)
{
    uint64_t word = atomic_load(&page->word);

    do {
        if (word & FENCING_BIT)
            return PAGE_FENCING;
    } while (!atomic_compare_exchange_weak(&page->word, &word, 0));
    return PAGE_OK;
}

void page_clear_fence(struct page *page)
{
    atomic_store(&page->word, 0);
    atomic_store(&page->stopped_epoch, PAGE_EPOCH_NOBODY);
}

bool page_fencing(const struct page *page)
{
    return (atomic_load(&page->word) & FENCING_BIT) != 0;
}

bool page_stopped(const struct page *page, uint64_t *ret_epoch)
{
    uint64_t epoch = atomic_load(&page->stopped_epoch);

    if (epoch == PAGE_EPOCH_NOBODY)
        return false;
    *ret_epoch = epoch;
    return true;
}

void page_clock_sync(const struct page *page, struct clocks *clock, uint32_t *anchor_seen)
{
    uint32_t seq = atomic_load(&page->anchor_seq);
    struct clocks anchored;

    if (seq == *anchor_seen || (seq & 1))
        return; /* a sidecar that died half-way leaves the older anchor in force */
    anchored = (struct clocks){.boot_ns = atomic_load(&page->anchor_boot_ns),
                               .raw_ns = atomic_load(&page->anchor_raw_ns),
                               .fast_ns = atomic_load(&page->anchor_fast_ns)};
    if (atomic_load(&page->anchor_seq) != seq)
        return;
    *anchor_seen = seq;
    *clock = anchored;
}

int page_remaining(const struct page *page, const struct clocks *clock, uint64_t *ret_word,
                   uint64_t *ret_remaining_ns)
{
    uint64_t word = atomic_load(&page->word);
    uint64_t lead = page->config.kill_budget_ns + page->config.margin_ns;
    uint64_t deadline = word >> 1;

    *ret_word = word;
    *ret_remaining_ns = UINT64_MAX;
    if (word & FENCING_BIT)
        return PAGE_FENCING;
    if (word != 0)
        *ret_remaining_ns = deadline > clock->fast_ns + lead ? deadline - clock->fast_ns - lead : 0;
    return PAGE_OK;
}

bool page_begin_fence(struct page *page, uint64_t seen)
{
    return atomic_compare_exchange_strong(&page->word, &seen, seen | FENCING_BIT);
}

void page_set_stopped(struct page *page)
{
    atomic_store(&page->stopped_epoch, atomic_load(&page->armed_epoch));
}

bool page_may_start(struct page *page, uint64_t epoch, int64_t pid)
{
    struct clocks clock = {0};
    uint32_t seen = 0;
    uint64_t word, remaining;

    /* Register, then look; the guardian sets the bit, then looks for us. At least one sees the other. */
    atomic_store(&page->promote_pid, pid);
    clocks_init(&clock);
    page_clock_sync(page, &clock, &seen);
    clocks_sample(&clock);
    return page_remaining(page, &clock, &word, &remaining) == PAGE_OK && word != 0 && remaining > 0 &&
           seen != 0 && atomic_load(&page->armed_epoch) == epoch;
}
