#pragma once
/* What the core's files share. Nothing outside sidecar/core includes this. */
#include <string.h>

#include "core/lease.h"

#define lease_assert(cond) ((cond) ? (void)0 : lease_assert_failed(#cond, __FILE__, __LINE__))

#define RANK_STEP_NS        (100 * LEASE_NS_PER_MS) /* R11: rank r waits r * 0.1 s */
#define QUICK_POLL_NS       (10 * LEASE_NS_PER_MS)  /* while a handover is under way */
#define ANNOUNCE_SLACK_NS   (50 * LEASE_NS_PER_MS)
#define GUARDIAN_DEATHS_MAX 2

static inline bool nonce_is_zero(const struct lease_nonce *n)
{
    static const struct lease_nonce zero;

    return memcmp(n, &zero, sizeof zero) == 0;
}

static inline bool nonce_equal(const struct lease_nonce *a, const struct lease_nonce *b)
{
    return memcmp(a, b, sizeof *a) == 0;
}

static inline bool version_equal(const struct lease_version *a, const struct lease_version *b)
{
    return a->epoch == b->epoch && a->counter == b->counter && nonce_equal(&a->nonce, &b->nonce);
}

static inline uint64_t max_u64(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static inline uint64_t min_u64(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* a + b, held below LEASE_NEVER: times far away stay far away. */
static inline uint64_t add_ns(uint64_t a, uint64_t b)
{
    return a > LEASE_NEVER - 1 - b ? LEASE_NEVER - 1 : a + b;
}

/* a - b, not below zero: a deadline nearer than its lead is due now. */
static inline uint64_t sub_ns(uint64_t a, uint64_t b)
{
    return a > b ? a - b : 0;
}

/* A claim was sent, and is neither answered nor out of time. */
static inline bool claim_under_way(const struct lease *l)
{
    return l->op.id != 0 && l->op.is_write && l->claim_open;
}

/* lease.c */
struct lease_command *emit(struct lease_commands *out, enum lease_command_type type);
void emit_note(struct lease *l, struct lease_commands *out, enum lease_note note, enum lease_reason reason);
uint32_t next_id(struct lease *l);
void become(struct lease *l, struct lease_commands *out, enum lease_role role, enum lease_reason reason);

/* absorb.c: what an event says goes into the state; nothing is decided. */
void absorb(struct lease *l, const struct lease_event *event, struct lease_commands *out);

/* identity.c: is our name ours alone (R10)? */
void absorb_identity(struct lease *l, const struct lease_event *event, struct lease_commands *out);

/* send.c: statements, and what the disk is told. */
bool may_send(const struct lease *l);
void send_read(struct lease *l, struct lease_commands *out, bool causal, bool controller_endpoint);
void send_write(struct lease *l, struct lease_commands *out, enum lease_write kind);
void save(struct lease *l, struct lease_commands *out, bool durable, bool erase);
bool shorten_saved(struct lease *l, struct lease_commands *out);
uint64_t demote_point(const struct lease *l);
bool outlasts_ttl(const struct lease *l);

/* settle.c: what the answers mean for our hold. */
void settle_answer(struct lease *l, struct lease_commands *out, const struct lease_op *op,
                   enum lease_answer answer, const struct lease_row *row);
void expire_op(struct lease *l, struct lease_commands *out);
void forget_hold(struct lease *l);
uint64_t unguarded_from(const struct lease *l);

/* decide.c */
void decide(struct lease *l, struct lease_commands *out);
bool drive_hold(struct lease *l, struct lease_commands *out);
bool out_of_time(const struct lease *l);
void begin_leading(struct lease *l, struct lease_commands *out, enum lease_reason reason);

/* resume.c: booting, and going on with the lease that the sidecar before us held (R7). */
void decide_boot(struct lease *l, struct lease_commands *out);
void resume_check(struct lease *l, struct lease_commands *out);
void resume_handover(struct lease *l);
bool left_to_us(struct lease *l, const struct lease_nonce *seen);

/* leave.c: stopping the controller, and giving the lease back. */
void start_hook(struct lease *l, struct lease_commands *out, enum lease_hook hook, uint64_t budget_ns);
void kill_hook(struct lease *l, struct lease_commands *out);
void begin_stop(struct lease *l, struct lease_commands *out);
void begin_fence(struct lease *l, struct lease_commands *out);
void drive_stop(struct lease *l, struct lease_commands *out);
void stop_seen(struct lease *l);
bool stop_is_fresh(const struct lease *l);
void leave(struct lease *l, struct lease_commands *out, enum lease_reason reason);
void fence(struct lease *l, struct lease_commands *out, enum lease_reason reason);
void decide_demoting(struct lease *l, struct lease_commands *out);
void decide_fenced(struct lease *l, struct lease_commands *out);
void to_follower(struct lease *l, struct lease_commands *out);
bool keeps_saved(const struct lease *l);

/* follow.c: watching, ranking, competing. */
void watch_row(struct lease *l, const struct lease_event *event, const struct lease_row *row);
void decide_follower(struct lease *l, struct lease_commands *out);
uint64_t peer_patience_ns(const struct lease *l);
uint64_t distrust_ns(const struct lease *l);
uint64_t takeable_slow_ns(const struct lease *l);
uint64_t attempt_slow_ns(const struct lease *l);
bool stop_unproven(struct lease *l, struct lease_commands *out, bool *ret_runs);
bool may_compete(const struct lease *l);

/* invariant.c */
void check_invariants(const struct lease *l, const struct lease_commands *out);
