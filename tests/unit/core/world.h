/*
 * A world of one member: the core driven by hand, a database that answers what the test says, and clocks
 * that the test moves. Every step is taken twice and must come out the same. Each test of this folder names
 * the rule that it would catch the loss of.
 */
#ifndef TEST_CORE_WORLD_H
#define TEST_CORE_WORLD_H

#include "core/lease.h"

#define S  LEASE_NS_PER_S
#define MS LEASE_NS_PER_MS

struct world {
    struct lease lease;
    struct lease_now now;
    struct lease_commands out;
    struct lease_command write, read, hook, save, guard; /* the last of each */
    unsigned writes, promotes, fences, releases, exits;
    uint8_t seed;
    struct lease_row row;
};

/* One event, at the world's time; the commands that came of it stand in @w afterwards. */
void feed(struct world *w, struct lease_event *e);
/* Both clocks go on by @ns, and the core is told. */
void tick(struct world *w, uint64_t ns);
/* The read, or the write, that is under way is answered; the row is the world's, or what was written. */
void answer_read(struct world *w, enum lease_answer answer);
void answer_write(struct world *w, enum lease_answer answer);
/* The same read, answered by a server that has just been started. */
void answer_read_of_new_server(struct world *w);
void hook_ends(struct world *w, enum lease_hook_result result);
void guardian(struct world *w, enum lease_guardian_news news);
/* The state file that is being written is on disk. */
void saved(struct world *w);

/* A sidecar called m1 with a ttl of 20 s; @memory is what its state file says, or NULL. */
void start(struct world *w, const struct lease_memory *memory);
/* Up to FOLLOWER, with the row read once. */
void follow(struct world *w, const struct lease_row *row);
void lead(struct world *w);
/* Follows and reads whenever it asks, until @ns have passed or it claims. */
void watch(struct world *w, uint64_t ns);
/* A row that m2 holds. */
struct lease_row held_row(uint64_t epoch, uint64_t counter);

/* The tests, a file each; they return how many failed. */
int core_lead(void);
int core_follow(void);
int core_claim(void);
int core_hold(void);
int core_name(void);
int core_rules(void);

#endif
