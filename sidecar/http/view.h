#pragma once
/*
 * What the loop tells the HTTP thread: a whole view of the sidecar at one instant, as plain data. What
 * depends on the time is not in it as an answer but as a time on the loop's clocks: whoever reads counts on
 * from `at` with its own readings, so that a loop that hangs is never believed for longer than it may be.
 *
 * The board carries it across: three copies, of which each side has one in hand and the third lies between
 * them. Neither side ever waits, and the reader's is always whole. Threads: one writer, one reader.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/lease.h"
#include "http/counters.h"
#include "util/clocks.h"

#define VIEW_ENDPOINTS_MAX 16
#define VIEW_RECEIVERS_MAX 9
#define VIEW_TEXT_MAX      256
#define VIEW_STATUS_MAX    32768

/* What the health URL says of the controller that leads here. */
enum view_health { VIEW_HEALTH_NOT_ASKED, VIEW_HEALTHY, VIEW_UNHEALTHY };

struct view {
    struct clocks at; /* when the loop posted this */
    struct lease_timing timing;

    enum lease_role role;
    bool leads;                  /* it is the leader and does not give the lease away; good until ... */
    uint64_t lead_until_fast_ns; /* ... the point where the controller must be stopped at the latest (R5) */
    uint64_t deadline_fast_ns, hold_left_ns; /* 0: none */
    uint64_t epoch, epoch_seen;
    bool guardian_up, regression, drifted;
    enum view_health health;
    uint64_t heard_fast_ns; /* when the database last answered; 0: never */

    /* the lease row as last read, and where its holder is, as the member table says */
    uint64_t row_read_fast_ns, row_since_slow_ns, row_ttl_ns;
    bool row_held;     /* by a member that does not give it away */
    bool holder_leads; /* as that member says of itself */
    char holder[LEASE_NAME_MAX + 1];
    char leader_address[VIEW_TEXT_MAX]; /* the holder's; of a leader: our own */
    uint16_t leader_port;

    /* for metrics: not every step brings these up to date */
    struct counters counters;
    uint64_t stall_max_ns;
    struct histogram lateness; /* of the loop's timers */
    size_t endpoint_count;
    struct {
        char text[VIEW_TEXT_MAX];
        bool in_use;
        uint64_t failures;
    } endpoints[VIEW_ENDPOINTS_MAX];
    uint64_t statements, switches, dropped;
    size_t receiver_count;
    struct {
        char name[VIEW_TEXT_MAX];
        uint64_t delivered, failed, dropped, retries;
        unsigned waiting;
    } receivers[VIEW_RECEIVERS_MAX];

    size_t status_size;           /* 0: none yet */
    char status[VIEW_STATUS_MAX]; /* JSON; must be last: only what is used is copied */
};

struct board;

struct board *board_new(void); /* NULL: no memory */
struct board *board_free(struct board *board);

/* Writer: the reader gets a copy of this from now on. */
void board_post(struct board *board, const struct view *view);

/* Reader: the newest one; never NULL. It is the reader's until it looks again. */
const struct view *board_look(struct board *board);
