#pragma once
/* The verbs of a script, and what they read their words with. */
#include "play.h"

#define WORDS_MAX 2048 /* a list of as many members as there can be */

/* -EINVAL, and *@ret_what is @what: one line for who wrote the script. */
int verb_wrong(const char *what, const char **ret_what);
/* @word's place in a list that ends with NULL, or -1. */
int verb_choose(const char *word, const char *const *list);
/* "key=value" words of a trace line of that type, read with the trace's own parser. */
int verb_parse(const char *type, char *words[], unsigned count, struct trace_event *ret,
               const char **ret_what);
/* The same over what @t has: fields that are not named stay. */
int verb_parse_over(struct trace_event *t, const char *type, char *words[], unsigned count,
                    const char **ret_what);
/* TIME [slow=TIME] */
int verb_times(char *words[], unsigned count, uint64_t *ret_fast_ns, uint64_t *ret_slow_ns);

/* What the world is like (setting.c). 0, or -EINVAL with *@ret_what. */
int verb_config(struct play *p, char *words[], unsigned count, const char **ret_what);
int verb_start(struct play *p, char *words[], unsigned count, const char **ret_what);
int verb_row(struct play *p, char *words[], unsigned count, const char **ret_what);
int verb_server(struct play *p, char *words[], unsigned count, const char **ret_what);
int verb_controller(struct play *p, char *words[], unsigned count, const char **ret_what);
int verb_hooks(struct play *p, char *words[], unsigned count, const char **ret_what);
int verb_wait(struct play *p, char *words[], unsigned count, const char **ret_what);
