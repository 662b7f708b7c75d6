/*
 * Breadth first, so that what is found is found by the shortest way.
 *
 * Of every state only a fingerprint stays, with the way it was reached and where it goes when no fault comes
 * any more; whole states wait in the queue.
 */
#include <stdio.h>
#include <stdlib.h>

#include "search.h"

#define NOBODY UINT32_MAX
#define LED    (UINT32_MAX - 1)

struct node {
    struct fingerprint print;
    uint32_t parent;
    uint32_t calm; /* the next state if no fault comes, or LED: somebody leads here */
    struct action action;
};

static struct {
    struct node *nodes;
    uint32_t count, size;
    uint32_t *table; /* number + 1; 0: empty */
    uint32_t mask;
} seen;

static struct {
    uint8_t *bytes;
    size_t used, size;
} queue[2];

static struct world base, here, next;
static uint64_t memory, memory_max;

static void *grown(void *old, size_t before, size_t size)
{
    void *p = realloc(old, size);

    if (!p) {
        fprintf(stderr, "model: no memory for %zu bytes\n", size);
        exit(3);
    }
    memory += size - before;
    return p;
}

/* ------------------------------------------------------------------ what was seen */

static uint32_t *slot_of(const struct fingerprint *f)
{
    uint32_t i = (uint32_t)f->a & seen.mask;

    while (seen.table[i] != 0) {
        const struct fingerprint *other = &seen.nodes[seen.table[i] - 1].print;

        if (other->a == f->a && other->b == f->b)
            break;
        i = (i + 1) & seen.mask;
    }
    return &seen.table[i];
}

static void grow_table(void)
{
    size_t slots = seen.table ? 2 * ((size_t)seen.mask + 1) : 1 << 16;

    memory -= seen.table ? ((size_t)seen.mask + 1) * sizeof *seen.table : 0;
    free(seen.table);
    seen.table = grown(NULL, 0, slots * sizeof *seen.table);
    memset(seen.table, 0, slots * sizeof *seen.table);
    seen.mask = (uint32_t)(slots - 1);
    for (uint32_t i = 0; i < seen.count; i++)
        *slot_of(&seen.nodes[i].print) = i + 1;
}

/* The number of the state; *@ret_new: it was not seen before. */
static uint32_t visit(const struct world *w, uint32_t parent, struct action a, bool *ret_new)
{
    struct fingerprint f = world_fingerprint(w);

    if (!seen.table || (uint64_t)seen.count * 10 > ((uint64_t)seen.mask + 1) * 6)
        grow_table();
    uint32_t *slot = slot_of(&f);

    *ret_new = *slot == 0;
    if (!*ret_new)
        return *slot - 1;
    if (seen.count == seen.size) {
        uint32_t size = seen.size ? seen.size + seen.size / 2 : 1 << 15;

        seen.nodes = grown(seen.nodes, seen.size * sizeof *seen.nodes, size * sizeof *seen.nodes);
        seen.size = size;
    }
    seen.nodes[seen.count] = (struct node){.print = f, .parent = parent, .calm = NOBODY, .action = a};
    *slot = ++seen.count;
    return seen.count - 1;
}

/* ------------------------------------------------------------------ the queue */

static void enqueue(unsigned which, const struct world *w, uint32_t number)
{
    size_t room = queue[which].used + PACKED_MAX;

    if (room > queue[which].size) {
        size_t size = room + queue[which].size / 2;

        queue[which].bytes = grown(queue[which].bytes, queue[which].size, size);
        queue[which].size = size;
    }
    uint8_t *at = queue[which].bytes + queue[which].used;
    uint32_t bytes = (uint32_t)world_pack(w, &base, at + 8);

    memcpy(at, &number, 4);
    memcpy(at + 4, &bytes, 4);
    queue[which].used += 8 + bytes;
}

/* ------------------------------------------------------------------ one state's successors */

static void found(uint32_t from, struct action a)
{
    uint32_t to = seen.count;

    /* The last step has no number of its own yet. */
    seen.nodes = grown(seen.nodes, seen.size * sizeof *seen.nodes, (seen.size + 1) * sizeof *seen.nodes);
    seen.nodes[to] = (struct node){.parent = from, .action = a};
}

/* The step @a was taken, from state @number to what stands in next. */
static bool arrived(uint32_t number, struct action a, unsigned into, struct search_result *ret)
{
    bool is_new;

    ret->moves++;
    if (verdict.failed) {
        found(number, a);
        return false;
    }
    uint32_t to = visit(&next, number, a, &is_new);

    if (is_new)
        enqueue(into, &next, to);
    if (seen.nodes[number].calm == NOBODY && a.move < MOVE_FAULT)
        seen.nodes[number].calm = to;
    if (next.ticks > ret->ticks)
        ret->ticks = next.ticks;
    world_copy(&next, &here);
    return true;
}

static bool expand(uint32_t number, unsigned into, struct search_result *ret)
{
    world_copy(&next, &here);
    if (check_led(&here))
        seen.nodes[number].calm = LED;
    for (unsigned move = 0; move < MOVES; move++)
        for (unsigned host = 0; host < design->hosts; host++)
            for (unsigned variant = 0; variant < VARIANTS; variant++) {
                struct action a = {.move = (uint8_t)move, .host = (uint8_t)host, .variant = (uint8_t)variant};

                if (world_act(&next, a)) {
                    if (!arrived(number, a, into, ret))
                        return false;
                } else if (variant == 0 && move < MOVE_FAULT) {
                    break;
                }
            }
    if (seen.nodes[number].calm == NOBODY)
        check_fail(RULE_STUCK, 0, "nothing can happen any more");
    return !verdict.failed;
}

/* ------------------------------------------------------------------ L1 */

/* From everywhere, without another fault, somebody comes to lead: the chain of calm ends where one does. */
static uint32_t find_leaderless(void)
{
    uint8_t *mark = grown(NULL, 0, seen.count);
    uint32_t bad = NOBODY;

    memset(mark, 0, seen.count);
    for (uint32_t i = 0; i < seen.count && bad == NOBODY; i++) {
        uint32_t k = i;

        while (mark[k] == 0 && seen.nodes[k].calm != LED) {
            mark[k] = 1;
            k = seen.nodes[k].calm;
        }
        if (mark[k] == 1)
            bad = i;
        mark[k] = 2;
        for (k = i; bad == NOBODY && mark[k] == 1; k = seen.nodes[k].calm)
            mark[k] = 2;
    }
    free(mark);
    memory -= seen.count;
    return bad;
}

/* ------------------------------------------------------------------ all */

static void way_to(uint32_t number, struct search_result *ret)
{
    size_t count = 0;

    for (uint32_t k = number; k != 0; k = seen.nodes[k].parent)
        count++;
    ret->way = malloc((count + 1) * sizeof *ret->way);
    if (!ret->way)
        exit(3);
    ret->way_count = count;
    for (uint32_t k = number; k != 0; k = seen.nodes[k].parent)
        ret->way[--count] = seen.nodes[k].action;
}

static uint32_t levels(struct search_result *ret)
{
    unsigned from = 0;

    for (;; from = !from) {
        if (queue[from].used == 0)
            return NOBODY;
        queue[!from].used = 0;
        for (size_t at = 0; at < queue[from].used;) {
            const uint8_t *entry = queue[from].bytes + at;
            uint32_t number, bytes;

            memcpy(&number, entry, 4);
            memcpy(&bytes, entry + 4, 4);
            world_unpack(&here, &base, entry + 8, bytes);
            if (!expand(number, !from, ret))
                return verdict.rule == RULE_STUCK ? number : seen.count;
            if (memory > memory_max) {
                ret->cut_short = true;
                return NOBODY;
            }
            at += 8 + bytes;
        }
        ret->depth++;
        if (ret->each_level)
            fprintf(stderr, "depth %3u: %10u states, %6zu MiB wait\n", ret->depth, seen.count,
                    queue[!from].used >> 20);
    }
}

static void forget(void)
{
    free(seen.nodes);
    free(seen.table);
    memset(&seen, 0, sizeof seen);
    for (unsigned i = 0; i < 2; i++)
        free(queue[i].bytes);
    memset(queue, 0, sizeof queue);
    memory = 0;
}

void search(const struct world *first, uint64_t bytes_max, bool verbose, struct search_result *ret)
{
    bool is_new;

    *ret = (struct search_result){.each_level = verbose};
    memory_max = bytes_max;
    forget();
    world_copy(&base, first);
    visit(&base, 0, (struct action){0}, &is_new);
    enqueue(0, &base, 0);
    uint32_t bad = verdict.failed ? 0 : levels(ret);

    if (bad == NOBODY && !ret->cut_short) {
        bad = find_leaderless();
        if (bad != NOBODY)
            check_fail(RULE_L1, 0, "no fault comes any more, and nobody ever leads");
    }
    ret->states = seen.count;
    ret->memory = memory;
    if (bad != NOBODY)
        way_to(bad, ret);
}
