/*
 * step: what a step of the core costs, and what it costs to keep it. Prints rows for the table, asserts
 * nothing: WHAT | MIN | MEDIAN | MAX | UNIT | COUNT | REMARK, where the middle half of the batches lies
 * between min and max.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "member.h"
#include "record/ring.h"

#define BATCH   2000
#define BATCHES 301

static struct member member;
static struct ring ring;
static char text[RECORD_STEP_MAX];
static size_t length;

static double now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return x < y ? -1 : x > y;
}

static void step(bool kept)
{
    struct lease_commands commands;
    struct lease_event e;

    member_event(&member, &e);
    lease_step(&member.lease, &e, &commands);
    if (!kept)
        return;
    length = (size_t)record_step_print(&e, &commands, text, sizeof text);
    ring_put(&ring, text, length, &member.lease);
}

static void lead(void)
{
    step(false);
}

static void keep(void)
{
    step(true);
}

static void open_segment(void)
{
    length = (size_t)record_opening_print("cmon", RECORD_SIZE, 0, &member.lease, text, sizeof text);
}

static void row(const char *what, bool follows, unsigned batch, void (*run)(void))
{
    static double ns[BATCHES];
    double bytes = 0;

    member_begin(&member);
    member.follows = follows;
    for (unsigned i = 0; i < BATCH; i++)
        step(false);
    ring_init(&ring, "cmon", &member.lease);
    for (unsigned b = 0; b < BATCHES; b++) {
        double begun = now_ns();

        for (unsigned i = 0; i < batch; i++) {
            run();
            bytes += (double)length;
        }
        ns[b] = (now_ns() - begun) / batch;
    }
    qsort(ns, BATCHES, sizeof ns[0], compare);
    printf("%s|%.0f|%.0f|%.0f|ns|%u|batches of %u steps, the middle half of them", what, ns[BATCHES / 4],
           ns[BATCHES / 2], ns[BATCHES * 3 / 4], BATCHES, batch);
    printf(length ? "; %.0f bytes\n" : "\n", bytes / BATCHES / batch);
    length = 0;
}

_Noreturn void lease_assert_failed(const char *expression, const char *file, int line)
{
    fprintf(stderr, "%s:%d: %s\n", file, line, expression);
    abort();
}

int main(void)
{
    row("a step of the core, following", true, BATCH, lead);
    row("a step of the core, leading", false, BATCH, lead);
    row("... and kept in memory, following", true, BATCH, keep);
    row("... and kept in memory, leading", false, BATCH, keep);
    row("the whole state as text, once a segment", false, 20, open_segment);
    printf("the memory that it is kept in|%zu|%zu|%zu|bytes|1|\n", sizeof ring, sizeof ring, sizeof ring);
    return 0;
}
