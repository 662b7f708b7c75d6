#include "verbs.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "util/parse.h"

int verb_wrong(const char *what, const char **ret_what)
{
    *ret_what = what;
    return -EINVAL;
}

int verb_choose(const char *word, const char *const *list)
{
    for (int i = 0; list[i]; i++)
        if (strcmp(word, list[i]) == 0)
            return i;
    return -1;
}

int verb_parse(const char *type, char *words[], unsigned count, struct trace_event *ret,
               const char **ret_what)
{
    static char line[TRACE_LIST_MAX];
    struct trace_error error;
    size_t length = (size_t)snprintf(line, sizeof line, "%s", type);

    for (unsigned i = 0; i < count && length < sizeof line; i++)
        length += (size_t)snprintf(line + length, sizeof line - length, " %s", words[i]);
    return trace_event_parse(line, ret, &error) < 0 ? verb_wrong(error.what, ret_what) : 0;
}
int verb_parse_over(struct trace_event *t, const char *type, char *words[], unsigned count, const char **what)
{
    char now[TRACE_LINE_MAX], *known[WORDS_MAX], *save = NULL;
    unsigned n = 0;

    trace_event_print(&t->event, now, sizeof now);
    for (char *w = strtok_r(now, " ", &save); w && n < WORDS_MAX / 2; w = strtok_r(NULL, " ", &save))
        if (strcmp(w, type) != 0)
            known[n++] = w;
    for (unsigned i = 0; i < count && n < WORDS_MAX; i++)
        known[n++] = words[i]; /* the later one counts */
    return verb_parse(type, known, n, t, what);
}
int verb_times(char *words[], unsigned count, uint64_t *ret_fast, uint64_t *ret_slow)
{
    if (count < 1 || count > 2 || parse_duration_ns(words[0], ret_fast) < 0)
        return -EINVAL;
    *ret_slow = *ret_fast;
    return count == 2 && (strncmp(words[1], "slow=", 5) != 0 || parse_duration_ns(words[1] + 5, ret_slow) < 0)
               ? -EINVAL
               : 0;
}
