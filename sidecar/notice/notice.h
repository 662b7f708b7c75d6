#pragma once
/* Something that people outside may want to hear of: a change of role, or an alarm. Plain data. */
#include <stdbool.h>
#include <stdint.h>

#define NOTICE_WORD_MAX 63
#define NOTICE_TEXT_MAX 255

struct notice {
    uint64_t
        number; /* of its receiver in this run of the sidecar: 1, 2, ... without a gap where it was made */
    uint64_t at_ms;                 /* wall clock, for people */
    uint64_t epoch;                 /* the highest known here */
    char what[NOTICE_WORD_MAX + 1]; /* "role", or the alarm's word: "rogue", "regression" ... */
    char from[NOTICE_WORD_MAX + 1]; /* of a change of role; else the role as it is */
    char role[NOTICE_WORD_MAX + 1];
    char reason[NOTICE_TEXT_MAX + 1];
    bool alarm;
};
