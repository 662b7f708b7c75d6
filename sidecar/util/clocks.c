#include "util/clocks.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "util/cleanup.h"

#define START_NS      UINT64_C(1000000000)
#define BRACKET_NS    UINT64_C(100000)
#define BRACKET_TRIES 3

static uint64_t read_clock(clockid_t id)
{
    struct timespec t;

    if (clock_gettime(id, &t) < 0)
        abort(); /* a kernel without these clocks can't keep any promise of ours */
    return (uint64_t)t.tv_sec * UINT64_C(1000000000) + (uint64_t)t.tv_nsec;
}

uint64_t clocks_boot_ns(void)
{
    return read_clock(CLOCK_BOOTTIME);
}

/* RAW between two readings of BOOTTIME: a wide bracket means that we were interrupted in between. */
static void read_pair(uint64_t *ret_boot, uint64_t *ret_raw)
{
    for (unsigned i = 0; i < BRACKET_TRIES; i++) {
        uint64_t before = read_clock(CLOCK_BOOTTIME);
        uint64_t raw = read_clock(CLOCK_MONOTONIC_RAW);
        uint64_t after = read_clock(CLOCK_BOOTTIME);

        *ret_boot = after;
        *ret_raw = raw;
        if (after - before <= BRACKET_NS)
            break;
    }
}

void clocks_init(struct clocks *c)
{
    *c = (struct clocks){.fast_ns = START_NS, .slow_ns = START_NS};
    read_pair(&c->boot_ns, &c->raw_ns);
}

void clocks_advance(struct clocks *c, uint64_t boot_ns, uint64_t raw_ns)
{
    uint64_t boot = boot_ns > c->boot_ns ? boot_ns - c->boot_ns : 0;
    uint64_t raw = raw_ns > c->raw_ns ? raw_ns - c->raw_ns : 0;

    c->fast_ns += boot > raw ? boot : raw;
    c->slow_ns += boot > raw ? raw : boot;
    c->boot_ns += boot;
    c->raw_ns += raw;
}

void clocks_sample(struct clocks *c)
{
    uint64_t boot, raw;

    read_pair(&boot, &raw);
    clocks_advance(c, boot, raw);
}

void clocks_instant_now(struct clocks_instant *ret)
{
    ret->boot_ns = read_clock(CLOCK_BOOTTIME);
    ret->raw_ns = read_clock(CLOCK_MONOTONIC_RAW);
    ret->mono_ns = read_clock(CLOCK_MONOTONIC);
}

uint64_t clocks_elapsed_fast_ns(const struct clocks_instant *from, const struct clocks_instant *to)
{
    uint64_t boot = to->boot_ns > from->boot_ns ? to->boot_ns - from->boot_ns : 0;
    uint64_t raw = to->raw_ns > from->raw_ns ? to->raw_ns - from->raw_ns : 0;
    uint64_t mono = to->mono_ns > from->mono_ns ? to->mono_ns - from->mono_ns : 0;
    uint64_t asleep = boot > mono ? boot - mono : 0;

    return (raw > mono ? raw : mono) + asleep;
}

uint64_t clocks_left_ns(uint64_t left_ns, const struct clocks_instant *from, const struct clocks_instant *to)
{
    uint64_t elapsed = clocks_elapsed_fast_ns(from, to);

    return left_ns > elapsed ? left_ns - elapsed : 0;
}

int clocks_boot_id(char ret_id[CLOCKS_BOOT_ID_SIZE])
{
    _cleanup_(closep) int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    char id[CLOCKS_BOOT_ID_SIZE] = "";

    if (fd < 0)
        return -errno;
    if (read(fd, id, sizeof id - 1) != (ssize_t)sizeof id - 1)
        return -EIO;
    memcpy(ret_id, id, sizeof id);
    return 0;
}
