#include "core/internal.h"

const char *lease_role_name(enum lease_role role)
{
    static const char *const names[LEASE_ROLES] = {"boot",   "follower", "acquiring", "promoting",
                                                   "leader", "demoting", "fenced"};

    return (unsigned)role < LEASE_ROLES ? names[role] : "?";
}

const char *lease_reason_name(enum lease_reason reason)
{
    static const char *const names[LEASE_REASONS] = {
        "none",           "start",      "resume",    "free",     "expired",     "step-down",  "switchover",
        "shutdown",       "deadline",   "lost",      "twin",     "row-missing", "regression", "higher-epoch",
        "promote-failed", "unverified", "unhealthy", "guardian", "rogue",       "hold",       "double",
    };

    return (unsigned)reason < LEASE_REASONS ? names[reason] : "?";
}

const char *lease_note_name(enum lease_note note)
{
    switch (note) {
    case LEASE_NOTE_ROLE: return "role";
    case LEASE_NOTE_ACQUIRED: return "acquired";
    case LEASE_NOTE_RELEASED: return "released";
    case LEASE_NOTE_LOST: return "lost";
    case LEASE_NOTE_STOPPED: return "stopped";
    case LEASE_NOTE_ROGUE: return "rogue";
    case LEASE_NOTE_REGRESSION: return "regression";
    case LEASE_NOTE_NO_ROW: return "no-row";
    case LEASE_NOTE_UNSTOPPED: return "unstopped";
    case LEASE_NOTE_HOLD: return "hold";
    case LEASE_NOTE_UNHOLD: return "unhold";
    case LEASE_NOTE_DOUBLE: return "double";
    }
    return "?";
}

const char *lease_write_name(enum lease_write kind)
{
    switch (kind) {
    case LEASE_WRITE_ACQUIRE: return "acquire";
    case LEASE_WRITE_RESUME: return "resume";
    case LEASE_WRITE_RENEW: return "renew";
    case LEASE_WRITE_BUMP: return "bump";
    case LEASE_WRITE_RELEASE: return "release";
    }
    return "?";
}

const char *lease_answer_name(enum lease_answer answer)
{
    switch (answer) {
    case LEASE_ANSWER_ROW: return "row";
    case LEASE_ANSWER_MISMATCH: return "mismatch";
    case LEASE_ANSWER_NO_ROW: return "no-row";
    case LEASE_ANSWER_REFUSED: return "refused";
    case LEASE_ANSWER_UNKNOWN: return "unknown";
    }
    return "?";
}

const char *lease_why_not(const struct lease *l)
{
    switch (l->role) {
    case LEASE_LEADER: return "";
    case LEASE_BOOT: return "It is making sure that its controller is stopped.";
    case LEASE_ACQUIRING: return "It is taking the lease.";
    case LEASE_PROMOTING: return "Its promote hook is running.";
    case LEASE_DEMOTING: return "It is stopping its controller.";
    case LEASE_FENCED: return "The guardian had to stop its controller; the lease must be seen gone first.";
    case LEASE_FOLLOWER:
    case LEASE_ROLES: break;
    }
    if (l->name == LEASE_NAME_DOUBLE)
        return "Another live sidecar bears this member's name.";
    if (l->stop_wanted)
        return "It is shutting down.";
    if (l->config.priority == 0)
        return "Its priority is 0: it never leads.";
    if (!l->fit)
        return LEASE_WHY_UNFIT;
    if (l->drifted && l->config.require_match)
        return "Its files are not known to match the leader's: it does not lead.";
    if (!l->guardian_up)
        return "Its guardian is not running.";
    if (l->row_missing)
        return "The lease row does not exist: run 'galera-lease init'.";
    if (!l->row_known)
        return "It has not been able to read the lease from the database.";
    if (sub_ns(l->now.fast_ns, l->row_read_fast_ns) > l->config.timing.ttl_ns)
        return "The database has not answered for longer than a ttl.";
    if (l->name == LEASE_NAME_OPEN)
        return "It is making sure that no other live sidecar bears its name.";
    if (l->now.fast_ns < l->backoff_fast_ns)
        return "It backs off after a failed start or a step-down.";
    if (l->row.state == LEASE_ROW_FREE)
        return l->row_suspect
                   ? "The lease is free, but commits may have been lost (a server has just started, or was "
                     "without a quorum): it is watched for a whole ttl."
                   : "The lease is free and about to be taken.";
    return LEASE_WHY_HELD;
}
