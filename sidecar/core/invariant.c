/* What must hold after every step, whatever happened. Safety asserts stay on in release builds. */
#include "core/internal.h"

static void check_acting(const struct lease *l)
{
    bool acting = l->role == LEASE_PROMOTING || l->role == LEASE_LEADER;

    if (!acting)
        return;
    lease_assert(l->holding && l->armed && !l->controller_stopped);
    lease_assert(l->own.epoch != 0 && l->armed_epoch == l->own.epoch);
    lease_assert(l->now.fast_ns < demote_point(l)); /* R5 */
    lease_assert(l->epoch_saved >= l->own.epoch);   /* R8: remembered before promote */
}

static void check_resting(const struct lease *l)
{
    if (l->role == LEASE_FOLLOWER)
        lease_assert(l->controller_stopped && !l->holding && l->stop == LEASE_STOP_NONE);
    if (l->stop == LEASE_STOP_CONFIRMED)
        lease_assert(l->controller_stopped);
    if (!l->controller_stopped && l->started && l->role == LEASE_DEMOTING)
        lease_assert(l->stop != LEASE_STOP_NONE);
}

static void check_commands(const struct lease *l, const struct lease_commands *out)
{
    for (size_t i = 0; i < out->count; i++) {
        const struct lease_command *c = &out->list[i];

        if (c->type == LEASE_COMMAND_WRITE && c->write.kind == LEASE_WRITE_RELEASE)
            lease_assert(l->controller_stopped && l->saved_erased); /* R6, R7 */
        if (c->type == LEASE_COMMAND_WRITE)
            lease_assert(c->write.wanted.version.counter == c->write.expected.counter + 1 &&
                         c->write.wanted.version.epoch >= c->write.expected.epoch);
        if (c->type == LEASE_COMMAND_HOOK && c->hook.hook == LEASE_HOOK_PROMOTE)
            lease_assert(l->role == LEASE_PROMOTING);
        if (c->type == LEASE_COMMAND_EXIT)
            lease_assert(l->controller_stopped && !l->holding);
    }
}

void check_invariants(const struct lease *l, const struct lease_commands *out)
{
    struct lease_now wake = lease_wake(l);

    check_acting(l);
    check_resting(l);
    check_commands(l, out);
    lease_assert(wake.fast_ns > l->now.fast_ns && wake.slow_ns > l->now.slow_ns); /* no spinning */
    if (l->holding && l->deadline_ns != 0) /* R1: never later than the last send allows */
        lease_assert(l->deadline_ns <= add_ns(l->now.fast_ns, l->ttl_sent_ns));
}
