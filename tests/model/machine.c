/*
 * A host beside its sidecar: the guardian with the real page, hooks, and the controller.
 *
 * The guardian's clock is its sidecar's: what could differ (page.h) is less than a tick. It may begin a fence
 * at any tick from deadline-(K+M) to deadline-K, and has killed within K of that.
 */
#include <sys/types.h>

#include "guardian/page.h"
#include "util/clocks.h"
#include "world.h"

void __wrap_clocks_sample(struct clocks *c);
uint64_t __wrap_kill_identity(pid_t pid);

static struct page page;
static uint64_t page_fast_ns;

void __wrap_clocks_sample(struct clocks *c)
{
    c->fast_ns = page_fast_ns;
}

uint64_t __wrap_kill_identity(pid_t pid)
{
    return pid > 0;
}

/* ------------------------------------------------------------------ the page */

static struct clocks now_of(const struct host *h)
{
    return (struct clocks){.fast_ns = h->fast_ns};
}

static void load(const struct host *h)
{
    page_fast_ns = h->fast_ns;
    page.config.kill_budget_ns = page.config.margin_ns = page.config.check_budget_ns = TICK_NS;
    atomic_store(&page.word, h->page.word);
    atomic_store(&page.epoch, h->page.epoch);
    atomic_store(&page.promotes[0], h->page.promote);
    atomic_store(&page.anchor_seq, h->page.anchor_seq);
}

static void store(struct host *h)
{
    h->page = (struct page_words){.word = atomic_load(&page.word),
                                  .epoch = atomic_load(&page.epoch),
                                  .promote = atomic_load(&page.promotes[0]),
                                  .anchor_seq = atomic_load(&page.anchor_seq)};
}

static struct page_view look(const struct host *h)
{
    struct page_clock clock = {0};

    load(h);
    return page_look(&page, &clock);
}

void page_words_clear(struct world *w, unsigned i)
{
    memset(&w->hosts[i].page, 0, sizeof w->hosts[i].page);
}

bool page_is_fencing(struct world *w, unsigned i)
{
    load(&w->hosts[i]);
    return page_fencing(&page);
}

bool page_has_stopped(struct world *w, unsigned i, uint64_t *ret_epoch)
{
    load(&w->hosts[i]);
    return page_stopped(&page, ret_epoch);
}

bool machine_arm(struct world *w, unsigned i, const struct lease_command *c)
{
    struct host *h = &w->hosts[i];
    struct clocks now = now_of(h);

    load(h);
    int r = page_arm(&page, c->guard.epoch, c->guard.deadline_ns, &now);

    store(h);
    return r == PAGE_FENCING;
}

bool machine_extend(struct world *w, unsigned i, const struct lease_command *c)
{
    struct host *h = &w->hosts[i];
    struct clocks now = now_of(h);

    load(h);
    int r = page_extend(&page, c->guard.deadline_ns, &now);

    store(h);
    return r == PAGE_FENCING;
}

bool machine_disarm(struct world *w, unsigned i)
{
    load(&w->hosts[i]);
    int r = page_disarm(&page);

    store(&w->hosts[i]);
    return r == PAGE_FENCING;
}

void machine_fence(struct world *w, unsigned i, uint64_t epoch)
{
    load(&w->hosts[i]);
    page_order_fence(&page, epoch);
    store(&w->hosts[i]);
}

/* ------------------------------------------------------------------ the guardian */

static bool guard(struct world *w, unsigned i)
{
    struct host *h = &w->hosts[i];
    struct guardian *g = &h->guardian;

    if (!g->alive || g->fences)
        return false;
    struct page_view view = look(h);
    bool due = view.state == PAGE_STATE_ARMED && (g->parent_dead || view.remaining_ns == 0);

    if (view.state == PAGE_STATE_FENCING || due) {
        if (due)
            page_begin_fence(&page, &view);
        store(h);
        g->fences = true;
        g->begun_fast_ns = h->fast_ns;
        g->view_word = view.word;
        g->news = !g->parent_dead;
        return true;
    }
    if (!g->parent_dead)
        return false;
    memset(g, 0, sizeof *g); /* nothing runs: it leaves, and the lock with it */
    return true;
}

static bool guard_kill(struct world *w, unsigned i)
{
    struct host *h = &w->hosts[i];
    struct guardian *g = &h->guardian;

    if (!g->alive || !g->fences)
        return false;
    memset(&h->promote, 0, sizeof h->promote);
    memset(&h->controller, 0, sizeof h->controller);
    load(h);
    struct page_view view = {.word = g->view_word};

    /* "Stopped" speaks for the turn it was begun in; of a later one it makes sure again. */
    if (page_set_stopped(&page, &view))
        g->news = !g->parent_dead;
    store(h);
    g->fences = false;
    g->view_word = g->begun_fast_ns = 0;
    return true;
}

/* Would the guardian still be in time after one more tick? */
static bool guard_can_wait(const struct host *h, uint64_t next_fast_ns)
{
    const struct guardian *g = &h->guardian;

    if (!g->alive)
        return !h->alive;
    if (g->fences)
        return next_fast_ns <= g->begun_fast_ns + TICK_NS;
    struct page_view view = look(h);

    if (view.state == PAGE_STATE_FENCING || g->parent_dead)
        return false;
    if (view.remaining_ns > 0)
        return true;
    /* It may begin M late: told from the deadline, for the page may be wrong about when it was due. */
    return next_fast_ns + TICK_NS < page_deadline_ns(view.word);
}

/* ------------------------------------------------------------------ hooks */

void hook_begin(struct world *w, unsigned i, const struct lease_command *c)
{
    struct host *h = &w->hosts[i];

    h->hook = (struct hook){.active = true, .kind = (int)c->hook.hook, .id = c->hook.id};
    if (c->hook.hook == LEASE_HOOK_PROMOTE)
        h->promote = (struct promote){.state = PROMOTE_LAUNCHED, .epoch = c->hook.epoch};
}

/* What it began goes on: the worse of both cases. */
void hook_kill(struct world *w, unsigned i)
{
    struct host *h = &w->hosts[i];

    if (h->hook.kind == LEASE_HOOK_PROMOTE) {
        memset(&h->promote, 0, sizeof h->promote);
        h->page.promote = 0;
    }
    memset(&h->hook, 0, sizeof h->hook);
}

static void ended(struct world *w, unsigned i, enum lease_hook_result result)
{
    struct host *h = &w->hosts[i];
    struct lease_event e = {.type = LEASE_EVENT_HOOK, .hook = {.id = h->hook.id, .result = result}};

    if (h->hook.kind == LEASE_HOOK_PROMOTE) {
        memset(&h->promote, 0, sizeof h->promote); /* what it left is the controller now */
        h->page.promote = 0;
    }
    memset(&h->hook, 0, sizeof h->hook);
    member_feed(w, i, &e);
}

/* The launcher's last step before exec. */
static bool launch(struct world *w, unsigned i)
{
    struct host *h = &w->hosts[i];

    load(h);
    bool may = page_may_start(&page, h->promote.epoch);

    store(h);
    h->promote.state = may ? PROMOTE_RUNNING : PROMOTE_NONE;
    return may;
}

static void begin(struct world *w, unsigned i)
{
    struct host *h = &w->hosts[i];

    if (h->promote.began || (h->controller.alive && h->controller.ours))
        return;
    h->promote.began = true;
    h->controller = (struct controller){.alive = true, .ours = true, .epoch = h->promote.epoch};
    check_start(w, i);
}

static enum lease_hook_result truth(const struct host *h)
{
    if (h->promote.state == PROMOTE_RUNNING)
        return LEASE_HOOK_FAILED; /* neither running nor stopped */
    return h->controller.alive ? LEASE_HOOK_DONE : LEASE_HOOK_STOPPED;
}

static bool hook_ends(struct world *w, unsigned i)
{
    struct host *h = &w->hosts[i];
    enum lease_hook_result result = LEASE_HOOK_DONE;

    if (!h->hook.active)
        return false;
    if (h->hook.kind == LEASE_HOOK_PROMOTE) {
        if (h->promote.state == PROMOTE_LAUNCHED)
            launch(w, i);
        if (h->promote.state == PROMOTE_RUNNING)
            begin(w, i);
        else
            result = LEASE_HOOK_FAILED;
    } else if (h->hook.kind == LEASE_HOOK_DEMOTE) {
        memset(&h->controller, 0, sizeof h->controller);
    } else {
        result = truth(h);
    }
    ended(w, i, result);
    return true;
}

static bool fault_in_promote(struct world *w, struct action a)
{
    struct host *h = &w->hosts[a.host];

    if (h->hook.kind != LEASE_HOOK_PROMOTE || h->promote.state != PROMOTE_LAUNCHED ||
        !spend(w, FAULT_PROMOTE))
        return false;
    h->hook.slow = true;
    if (a.variant == 0)
        return true;
    bool runs = launch(w, a.host);

    if (a.variant == 1 && runs)
        return true;
    if (a.variant == 2 && runs)
        begin(w, a.host);
    ended(w, a.host, LEASE_HOOK_FAILED);
    return true;
}

static bool fault_in_hook(struct world *w, struct action a, enum fault fault)
{
    struct host *h = &w->hosts[a.host];
    int kind = fault == FAULT_DEMOTE ? LEASE_HOOK_DEMOTE : LEASE_HOOK_CHECK;

    if (!h->hook.active || h->hook.slow || h->paused)
        return false;
    if (fault == FAULT_PROMOTE)
        return fault_in_promote(w, a);
    if (h->hook.kind != kind || a.variant > (fault == FAULT_DEMOTE ? 2 : 1) || !spend(w, fault))
        return false;
    if (a.variant == 0)
        h->hook.slow = true;
    else
        ended(w, a.host, a.variant == 1 ? LEASE_HOOK_FAILED : LEASE_HOOK_DONE);
    return true;
}

static bool fault_in_controller(struct world *w, unsigned i, enum fault fault)
{
    struct host *h = &w->hosts[i];

    if (fault == FAULT_DIES) {
        if (!h->controller.alive || !h->controller.ours || !spend(w, fault))
            return false;
        memset(&h->controller, 0, sizeof h->controller);
        return true;
    }
    if (h->controller.alive || !h->alive || w->leases[i].role != LEASE_FOLLOWER || !spend(w, fault))
        return false;
    h->controller = (struct controller){.alive = true};
    return true;
}

static bool guardian_dies(struct world *w, unsigned i)
{
    struct host *h = &w->hosts[i];

    if (!h->alive || h->paused || !h->guardian.alive || h->guardian.fences || !spend(w, FAULT_GUARDIAN))
        return false;
    h->guardian = (struct guardian){.gone = true};
    return true;
}

/* A demote hook that takes all of D is none that hangs. */
static bool takes_its_time(const struct world *w, unsigned i)
{
    return design->slow_demotes && w->hosts[i].hook.kind == LEASE_HOOK_DEMOTE &&
           w->leases[i].role == LEASE_DEMOTING;
}

bool machine_allows_tick(struct world *w, unsigned i)
{
    const struct host *h = &w->hosts[i];

    return guard_can_wait(h, h->fast_ns + design->fast[i] * (TICK_NS / 1000)) &&
           (!h->hook.active || h->hook.slow || h->paused || takes_its_time(w, i));
}

bool machine_act(struct world *w, struct action a)
{
    struct host *h = &w->hosts[a.host];

    if (a.move == MOVE_FAULT + FAULT_PROMOTE || a.move == MOVE_FAULT + FAULT_DEMOTE ||
        a.move == MOVE_FAULT + FAULT_CHECK)
        return fault_in_hook(w, a, (enum fault)(a.move - MOVE_FAULT));
    if (a.variant != 0)
        return false;
    switch ((unsigned)a.move) {
    case MOVE_GUARD: return guard(w, a.host);
    case MOVE_GUARD_KILL: return guard_kill(w, a.host);
    case MOVE_HOOK: return !h->paused && hook_ends(w, a.host);
    case MOVE_LAUNCH:
        if (h->promote.state == PROMOTE_NONE || h->hook.active ||
            (h->promote.state == PROMOTE_RUNNING && !h->promote.began))
            return false;
        if (h->promote.state == PROMOTE_LAUNCHED)
            launch(w, a.host);
        else
            memset(&h->promote, 0, sizeof h->promote); /* it ends, unheard */
        return true;
    case MOVE_BEGIN:
        if (h->promote.state != PROMOTE_RUNNING || h->promote.began ||
            (h->controller.alive && h->controller.ours))
            return false;
        begin(w, a.host);
        return true;
    case MOVE_FAULT + FAULT_DIES:
    case MOVE_FAULT + FAULT_ROGUE: return fault_in_controller(w, a.host, (enum fault)(a.move - MOVE_FAULT));
    case MOVE_FAULT + FAULT_GUARDIAN: return guardian_dies(w, a.host);
    default: return false;
    }
}
