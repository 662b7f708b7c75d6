#pragma once
/*
 * What the doctor found: a list of verdicts, each with its reason and, where something is wrong, what to do.
 * Texts are bounded and sanitised as they are added. Pure.
 */
#include <stddef.h>

#define FINDINGS_MAX       160
#define FINDINGS_WHERE_MAX 256
#define FINDINGS_TEXT_MAX  768

enum finding_level {
    FINDING_OK,
    FINDING_SKIP, /* not looked at, and why: no verdict */
    FINDING_WARN, /* it works, and somebody should look at it */
    FINDING_FAIL, /* it does not work, or will not when it must */
    FINDING_LEVELS
};

struct finding {
    enum finding_level level;
    const char *topic;              /* one word; static */
    char where[FINDINGS_WHERE_MAX]; /* endpoint, file or member; empty: the whole */
    char text[FINDINGS_TEXT_MAX];
    char fix[FINDINGS_TEXT_MAX]; /* empty for OK and SKIP */
};

struct findings {
    size_t count; /* beyond FINDINGS_MAX only counted in @counts */
    struct finding list[FINDINGS_MAX];
    size_t counts[FINDING_LEVELS];
};

/* @where and @fix may be NULL. */
__attribute__((format(printf, 6, 7))) void findings_add(struct findings *f, enum finding_level level,
                                                        const char *topic, const char *where, const char *fix,
                                                        const char *format, ...);

/* The worst of all verdicts: OK, WARN or FAIL. */
enum finding_level findings_worst(const struct findings *f);

/* The first of the worst; NULL when all is well. */
const struct finding *findings_first(const struct findings *f);

const char *finding_level_name(enum finding_level level); /* "OK", "SKIP", "WARN", "FAIL" */
