#include "doctor/findings.h"

#include <stdarg.h>
#include <stdio.h>

#include "util/parse.h"

static void take(char *buf, size_t size, const char *text)
{
    snprintf(buf, size, "%s", text ? text : "");
    parse_sanitise(buf);
}

void findings_add(struct findings *f, enum finding_level level, const char *topic, const char *where,
                  const char *fix, const char *format, ...)
{
    va_list args;

    f->counts[level]++;
    if (f->count == FINDINGS_MAX)
        return;
    struct finding *one = &f->list[f->count++];

    one->level = level;
    one->topic = topic;
    take(one->where, sizeof one->where, where);
    take(one->fix, sizeof one->fix, fix);
    va_start(args, format);
    vsnprintf(one->text, sizeof one->text, format, args);
    va_end(args);
    parse_sanitise(one->text);
}

enum finding_level findings_worst(const struct findings *f)
{
    if (f->counts[FINDING_FAIL] > 0)
        return FINDING_FAIL;
    return f->counts[FINDING_WARN] > 0 ? FINDING_WARN : FINDING_OK;
}

const struct finding *findings_first(const struct findings *f)
{
    enum finding_level worst = findings_worst(f);

    for (size_t i = 0; worst != FINDING_OK && i < f->count; i++)
        if (f->list[i].level == worst)
            return &f->list[i];
    return NULL;
}

const char *finding_level_name(enum finding_level level)
{
    static const char *const names[FINDING_LEVELS] = {"OK", "SKIP", "WARN", "FAIL"};

    return names[level];
}
