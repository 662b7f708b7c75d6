#pragma once
/*
 * One step of a played member: an event goes to the core, and what comes of it is said. No verb is known
 * here.
 */
#include "play.h"

/* Gives the core an event at the play's time, with entropy that is counted. */
void play_feed(struct play *play, struct lease_event *event);
void play_say_commands(struct play *play, const struct lease_commands *commands);
/* The line about the role, where it differs from the one said last. */
void play_say_summary(struct play *play);

/* The write that is under way takes place, whether or not anybody hears of it. */
void play_apply(struct play *play);
/* Answers the read or write that is under way, out of the play's row. */
void play_answer(struct play *play, enum lease_answer answer, bool non_primary);
/* The hook that is under way ends. */
void play_hook_ends(struct play *play, enum lease_hook_result result);
/* Time passes; the core wakes when it asked to, and the world answers by itself. -1: it asks to be woken
 * again and again without time going on. */
int play_run(struct play *play, uint64_t length_ns, uint64_t slow_ns);
