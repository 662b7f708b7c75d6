#include "http/counters.h"

void counters_write(struct counters *c, enum lease_write kind, uint64_t now_ns)
{
    c->renewing = kind == LEASE_WRITE_RENEW;
    c->renewal_sent_ns = now_ns;
}

static enum counters_outcome outcome_of(enum lease_answer answer)
{
    switch (answer) {
    case LEASE_ANSWER_ROW: return COUNTERS_CONFIRMED;
    case LEASE_ANSWER_NO_ROW:
    case LEASE_ANSWER_MISMATCH: return COUNTERS_MISMATCH;
    case LEASE_ANSWER_REFUSED: return COUNTERS_REFUSED;
    case LEASE_ANSWER_UNKNOWN: return COUNTERS_UNKNOWN;
    }
    return COUNTERS_UNKNOWN;
}

void counters_written(struct counters *c, enum lease_answer answer, uint64_t now_ns)
{
    if (!c->renewing)
        return;
    c->renewing = false;
    c->renewals[outcome_of(answer)]++;
    if (answer == LEASE_ANSWER_ROW)
        histogram_add(&c->renewal, now_ns - c->renewal_sent_ns);
}

void counters_silent(struct counters *c)
{
    c->renewals[COUNTERS_SILENT] += c->renewing;
    c->renewing = false;
}

void counters_note(struct counters *c, enum lease_note note, enum lease_role role, bool alarm)
{
    c->alarms[note] += alarm;
    if (note == LEASE_NOTE_ACQUIRED)
        c->elections++;
    if (note == LEASE_NOTE_ROLE && role < LEASE_ROLES)
        c->roles[role]++;
}

void counters_hook_begun(struct counters *c, enum counters_hook hook, uint64_t now_ns)
{
    c->hooks[hook].begun_ns = now_ns;
}

void counters_hook_ended(struct counters *c, enum counters_hook hook, bool failed, uint64_t now_ns)
{
    if (c->hooks[hook].begun_ns == 0)
        return;
    counters_hook_took(c, hook, failed, now_ns - c->hooks[hook].begun_ns);
    c->hooks[hook].begun_ns = 0;
}

void counters_hook_took(struct counters *c, enum counters_hook hook, bool failed, uint64_t took_ns)
{
    c->hooks[hook].failures += failed;
    histogram_add(&c->hooks[hook].duration, took_ns);
}

void counters_fencing(struct counters *c, bool fencing, uint64_t now_ns)
{
    if (!fencing)
        counters_hook_ended(c, COUNTERS_FENCE, false, now_ns);
    else if (c->hooks[COUNTERS_FENCE].begun_ns == 0)
        counters_hook_begun(c, COUNTERS_FENCE, now_ns);
}

uint64_t counters_fences(const struct counters *c)
{
    uint64_t count = c->hooks[COUNTERS_FENCE].begun_ns != 0;

    for (unsigned i = 0; i <= HISTOGRAM_BOUNDS; i++)
        count += c->hooks[COUNTERS_FENCE].duration.counts[i];
    return count;
}

const char *counters_outcome_name(enum counters_outcome outcome)
{
    static const char *const names[] = {"confirmed", "mismatch", "refused", "unknown", "silent"};

    return outcome < COUNTERS_OUTCOMES ? names[outcome] : "?";
}

const char *counters_hook_name(enum counters_hook hook)
{
    static const char *const names[] = {"promote", "demote", "check", "fence", "precheck"};

    return hook < COUNTERS_HOOKS ? names[hook] : "?";
}
