/*
 * When are two worlds the same? When nothing that can come tells them apart: times count from now, and long
 * ago is long ago; numbers of statements and hooks only say whether they are the current ones; epochs and
 * counters are compared with one another, nonces only for being equal.
 *
 * Of a lease everything counts that is not named here: a field that is new makes more states, never fewer.
 */
#include "world.h"

#define FAR_NS     (200 * TICK_NS) /* the 1 h of a check that never is due */
#define GAP_MAX    3               /* numbers further apart than that are just apart */
#define NUMBERS    128
#define WORDS_MAX  1024
#define LEASE_FROM offsetof(struct lease, now)
#define LEASE_SIZE (offsetof(struct lease, peers) - LEASE_FROM)

/* ------------------------------------------------------------------ numbers */

struct numbers {
    uint64_t *at[NUMBERS];
    unsigned count;
};
static struct numbers epochs, counters;
static struct lease_nonce *nonces[NUMBERS];
static unsigned nonce_count;

static void add(struct numbers *n, uint64_t *at)
{
    n->at[n->count++] = at;
}

/* 0 stays 0; the others keep their order, and small distances. */
static void renumber(struct numbers *n)
{
    uint64_t sorted[NUMBERS], named[NUMBERS];
    unsigned count = 0;

    for (unsigned i = 0; i < n->count; i++) {
        uint64_t v = *n->at[i];
        unsigned k = count;

        if (v == 0)
            continue;
        while (k > 0 && sorted[k - 1] > v)
            k--;
        if (k > 0 && sorted[k - 1] == v)
            continue;
        memmove(&sorted[k + 1], &sorted[k], (count - k) * sizeof sorted[0]);
        sorted[k] = v;
        count++;
    }
    for (unsigned k = 0; k < count; k++) {
        uint64_t gap = k == 0 ? 1 : sorted[k] - sorted[k - 1];

        named[k] = (k == 0 ? 0 : named[k - 1]) + (gap < GAP_MAX ? gap : GAP_MAX);
    }
    for (unsigned i = 0; i < n->count; i++)
        for (unsigned k = 0; k < count; k++)
            if (*n->at[i] == sorted[k]) {
                *n->at[i] = named[k];
                break;
            }
}

static void rename_nonces(void)
{
    static const struct lease_nonce nobody;
    struct lease_nonce seen[NUMBERS];
    unsigned count = 0;

    for (unsigned i = 0; i < nonce_count; i++) {
        unsigned k = 0;

        if (memcmp(nonces[i], &nobody, sizeof nobody) == 0)
            continue;
        while (k < count && memcmp(&seen[k], nonces[i], sizeof seen[k]) != 0)
            k++;
        if (k == count)
            seen[count++] = *nonces[i];
        memset(nonces[i], 0, sizeof *nonces[i]);
        nonces[i]->bytes[0] = (uint8_t)(k + 1);
    }
}

static void add_version(struct lease_version *v)
{
    add(&epochs, &v->epoch);
    add(&counters, &v->counter);
    nonces[nonce_count++] = &v->nonce;
}

/* ------------------------------------------------------------------ times */

/* Instants within a tick are nanoseconds apart (member.c), and only keep two events from being one. */
static uint64_t apart(uint64_t from, uint64_t to)
{
    return (to - from + 500) / 1000;
}

/* Something that is due at @at: past is past. Whether a wake-up waits is told apart (put_host). */
static void due(uint64_t *at, uint64_t now)
{
    *at = *at <= now ? 0 : *at - now > FAR_NS ? FAR_NS : 1 + apart(now, *at);
}

/* The same where 0 is "none". */
static void ends(uint64_t *at, uint64_t now)
{
    if (*at == 0)
        return;
    due(at, now);
    ++*at;
}

/* Something that began at @at and is compared with what lies at most @most back. */
static void age(uint64_t *at, uint64_t now, uint64_t most)
{
    if (*at == 0)
        return;
    uint64_t past = now > *at ? now - *at : 0;

    *at = 1 + (past < most ? apart(0, past) : most);
}

/* ------------------------------------------------------------------ a lease */

/* Without what the compiler left between the fields. */
static void clean_row(struct lease_row *row)
{
    struct lease_row r;

    memset(&r, 0, sizeof r);
    r.version = row->version;
    r.ttl_ms = row->ttl_ms;
    r.state = row->state;
    memcpy(r.holder, row->holder, sizeof r.holder);
    memcpy(r.target, row->target, sizeof r.target);
    r.epoch_table = row->epoch_table;
    r.hold_ms = row->hold_ms;
    r.hold_request = row->hold_request;
    *row = r;
}

static void clean_op(struct lease_op *op)
{
    struct lease_op o;

    memset(&o, 0, sizeof o);
    if (op->id != 0) {
        o.id = 1;
        o.is_write = op->is_write;
        o.causal = op->causal;
        o.controller_endpoint = op->controller_endpoint;
        o.kind = op->kind;
        o.sent_fast_ns = op->sent_fast_ns;
        o.wanted = op->wanted;
        clean_row(&o.wanted);
    }
    memcpy(op, &o, sizeof o);
}

static void lease_times(struct lease *l, const struct host *h)
{
    const struct lease_timing *t = &l->config.timing;
    const uint64_t fast = h->fast_ns, slow = h->slow_ns, more = TICK_NS / 10;
    uint64_t *fast_due[] = {&l->attempt_fast_ns,    &l->leave_fast_ns, &l->check_fast_ns,
                            &l->hook_until_fast_ns, &l->poll_fast_ns,  &l->backoff_fast_ns,
                            &l->quick_until_fast_ns};

    for (size_t i = 0; i < sizeof fast_due / sizeof fast_due[0]; i++)
        due(fast_due[i], fast);
    due(&l->instance_ok_slow_ns, slow);
    due(&l->quorum_ok_slow_ns, slow);
    ends(&l->deadline_ns, fast);
    ends(&l->hold_until_fast_ns, fast);
    ends(&l->save_deadline_ns, fast);
    ends(&l->saved_deadline_ns, fast);
    age(&l->row_since_slow_ns, slow, lease_timing_watch_ns(t->ttl_ns) + more);
    age(&l->renewed_fast_ns, fast, t->renew_ns + t->poll_ns);
    age(&l->op.sent_fast_ns, fast, t->ttl_ns);
    age(&l->role_since_fast_ns, fast, t->ttl_ns + more);
    age(&l->guardian_failed_fast_ns, fast, 3 * t->ttl_ns + more);
    l->row_read_fast_ns = 0; /* the next step is later */
    l->released_fast_ns = 0; /* for people */
}

/* What nothing reads any more, or not before it is written anew. */
static void forget(struct lease *l)
{
    bool rests = l->role == LEASE_FOLLOWER, leads = l->role == LEASE_LEADER;

    memset(&l->now, 0, sizeof l->now);
    memset(l->entropy, 0, sizeof l->entropy);
    memset(l->previous, 0, sizeof l->previous); /* for the hooks */
    l->next_id = 0;
    l->hook_id = l->hook_id != 0;
    l->save_id = l->save_id != 0;
    if (l->hook_id == 0) {
        l->hook = 0;
        l->hook_until_fast_ns = 0;
    }
    if (!l->hook_ready)
        l->hook_result = 0;
    if (!l->handover) {
        l->leave_fast_ns = 0;
        l->leave_reason = 0;
    }
    if (l->save_id == 0) {
        l->save_epoch = 0;
        l->save_deadline_ns = 0;
        l->save_erases = false;
    }
    if (!l->claim_open) {
        memset(&l->claim_expected, 0, sizeof l->claim_expected);
        memset(&l->claim_nonce, 0, sizeof l->claim_nonce);
        if (l->role != LEASE_ACQUIRING) {
            l->claim_epoch = 0;
            l->claim_resume = false;
        }
    }
    if (!l->armed && !l->fencing)
        l->armed_epoch = 0;
    if (l->saved_erased)
        l->saved_deadline_ns = 0;
    if (l->guardian_failures == 0 && l->guardian_up)
        l->guardian_failed_fast_ns = 0;
    if (rests && !l->claim_open)
        l->epoch_saved = 0; /* below whatever it will hold */
    if (!rests && l->role != LEASE_BOOT)
        l->poll_fast_ns = 0;
    if (!rests && !leads && l->stop != LEASE_STOP_CONFIRMED &&
        !(l->role == LEASE_ACQUIRING && l->controller_stopped))
        l->check_fast_ns = 0;
    if (l->role != LEASE_DEMOTING && l->role != LEASE_FENCED)
        l->reason = LEASE_REASON_NONE; /* for people */
    if (l->role != LEASE_ACQUIRING && !(leads && l->restarts_used + l->promote_failures > 0))
        l->role_since_fast_ns = 0;
    if (l->row.state == LEASE_ROW_HELD)
        l->quick_until_fast_ns = 0;
}

static void add_lease(struct lease *l, const struct host *h)
{
    lease_times(l, h);
    forget(l);
    clean_op(&l->op);
    clean_row(&l->row);
    add_version(&l->row.version);
    add(&epochs, &l->row.epoch_table);
    add_version(&l->own);
    add(&counters, &l->own_counter_max);
    add(&epochs, &l->own_epoch_max);
    nonces[nonce_count++] = &l->left_nonce;
    add_version(&l->claim_expected);
    nonces[nonce_count++] = &l->claim_nonce;
    nonces[nonce_count++] = &l->boot_next;
    add(&epochs, &l->claim_epoch);
    add(&epochs, &l->epoch_seen);
    add(&epochs, &l->epoch_saved);
    add(&epochs, &l->save_epoch);
    add(&epochs, &l->armed_epoch);
    add_version(&l->op.wanted.version);
    add(&epochs, &l->op.wanted.epoch_table);
}

/* ------------------------------------------------------------------ a host */

static void add_file(struct state_file *f, uint64_t fast)
{
    if (f->deadline_ns <= fast) { /* nothing to resume */
        f->deadline_ns = f->epoch = 0;
        memset(&f->nonce, 0, sizeof f->nonce);
        memset(&f->next, 0, sizeof f->next);
    }
    due(&f->deadline_ns, fast);
    add(&epochs, &f->epoch_seen);
    add(&epochs, &f->epoch);
    nonces[nonce_count++] = &f->nonce;
    nonces[nonce_count++] = &f->next;
}

static void clean_page(struct host *h)
{
    uint64_t state = h->page.word & 3, deadline_ns = page_deadline_ns(h->page.word);

    if (state == 0)
        ends(&deadline_ns, h->fast_ns);
    else
        deadline_ns = 0;
    if (state == 0 && deadline_ns == 0)
        h->page.epoch = 0;
    h->guardian.view_word = h->guardian.fences ? 1 + (h->guardian.view_word == h->page.word) : 0;
    h->page.word = deadline_ns << 2 | state;
    h->page.anchor_seq = h->page.anchor_seq != 0;
    add(&epochs, &h->page.epoch);
}

static void add_host(struct host *h)
{
    uint64_t *seen[] = {&h->promote.epoch, &h->controller.epoch, &h->shown_epoch,
                        &h->witness,       &h->witnessed,        &h->disk_epoch_seen};

    for (size_t i = 0; i < sizeof seen / sizeof seen[0]; i++)
        add(&epochs, seen[i]);
    add_version(&h->statement.expected);
    add_version(&h->statement.row.version);
    add(&epochs, &h->statement.row.epoch_table);
    add_file(&h->file, h->fast_ns);
    add_file(&h->save.record, h->fast_ns);
    clean_page(h);
    if (h->guardian.fences)
        age(&h->guardian.begun_fast_ns, h->fast_ns, FAR_NS);
}

/* ------------------------------------------------------------------ all of it as words */

static uint64_t words[WORDS_MAX];
static size_t word_count;

static void put(uint64_t v)
{
    words[word_count++] = v;
}

static void put_bytes(const void *from, size_t size)
{
    words[word_count + size / 8] = 0;
    memcpy(&words[word_count], from, size);
    word_count += (size + 7) / 8;
}

static void put_version(const struct lease_version *v)
{
    put(v->epoch << 32 | v->counter << 8 | v->nonce.bytes[0]);
}

static void put_row(const struct lease_row *r)
{
    put_version(&r->version);
    put(r->epoch_table << 32 | (uint64_t)r->ttl_ms << 8 | r->state);
    put((uint64_t)(uint8_t)r->holder[1] << 8 | (uint8_t)r->target[1]); /* m1, m2, m3 */
}

static void put_file(const struct state_file *f)
{
    put(f->epoch_seen << 40 | f->epoch << 16 | (uint64_t)f->next.bytes[0] << 8 | f->nonce.bytes[0]);
    put(f->deadline_ns);
}

static void put_host(const struct host *h, bool wakes)
{
    const struct statement *s = &h->statement;
    const struct guardian *g = &h->guardian;

    put(wakes);
    put(h->alive | h->paused << 1 | h->silent << 2 | h->hurry << 3 | h->save.pending << 4 |
        h->hook.active << 5 | h->hook.slow << 6 | h->hook.kind << 7 | (unsigned)h->promote.state << 11 |
        h->promote.began << 13 | h->controller.alive << 14 | h->controller.ours << 15 | g->alive << 16 |
        g->gone << 17 | g->parent_dead << 18 | g->fences << 19 | g->news << 20 | s->state << 21 |
        s->is_write << 23 | s->causal << 24 | s->own_node << 25 | s->kind << 26 | s->answer << 29);
    if (s->state != STATEMENT_NONE) {
        put_version(&s->expected);
        put_row(&s->row);
    }
    put_file(&h->file);
    put_file(&h->save.record);
    put(h->disk_epoch_seen << 40 | h->promote.epoch << 20 | h->controller.epoch);
    put(h->shown_epoch << 40 | h->witness << 20 | h->witnessed);
    put(h->page.epoch << 8 | h->page.promote << 2 | h->page.anchor_seq << 1 | h->demoted);
    put(h->page.word);
    put(g->view_word << 60 | g->begun_fast_ns);
}

/* What no fault that is left could bring back. */
static void forget_in_world(struct world *w)
{
    bool dies = w->left[FAULT_REBOOT] + w->left[FAULT_DISK_LOST] > 0;
    bool ends_early = dies || w->left[FAULT_KILL] + w->left[FAULT_BOTH] + w->left[FAULT_STOP] > 0;

    if (w->left[FAULT_LAG] + w->left[FAULT_LOSS] == 0)
        w->before = (struct lease_row){0};
    for (unsigned i = 0; i < design->hosts; i++) {
        struct host *h = &w->hosts[i];

        if (!dies)
            h->disk_epoch_seen = 0;
        if (!ends_early && h->alive && !w->leases[i].stop_wanted)
            h->file = (struct state_file){0};
        if (w->left[FAULT_LOSS] == 0 && w->lost_epoch == 0)
            h->witness = h->witnessed = 0;
    }
}

static void put_world(const struct world *w, const bool wakes[HOSTS_MAX])
{
    put_row(&w->head);
    put_row(&w->before);
    put(w->instance << 48 | w->lost_epoch << 32 | w->highest_started << 16 | w->highest_promoted);
    put(w->left_in_all);
    put_bytes(w->left, sizeof w->left);
    for (unsigned i = 0; i < LATE_MAX; i++) {
        const struct late_write *l = &w->late[i];

        put(l->used | l->orphan << 1 | l->host << 2 | l->kind << 6);
        if (l->used) {
            put_version(&l->expected);
            put_row(&l->wanted);
        }
    }
    for (unsigned i = 0; i < design->hosts; i++) {
        put_host(&w->hosts[i], wakes[i]);
        if (w->hosts[i].alive)
            put_bytes((const char *)&w->leases[i] + LEASE_FROM, LEASE_SIZE);
    }
}

static struct fingerprint hash(void)
{
    uint64_t a = UINT64_C(0x9e3779b97f4a7c15), b = UINT64_C(0xd1b54a32d192ed03);

    for (size_t i = 0; i < word_count; i++) {
        unsigned __int128 p = (unsigned __int128)(words[i] ^ a) * UINT64_C(0xda942042e4dd58b5);

        a = (uint64_t)p ^ (uint64_t)(p >> 64) ^ b;
        b = (b ^ words[i]) * UINT64_C(0x2545f4914f6cdd1d);
        b ^= b >> 29;
    }
    return (struct fingerprint){.a = a ^ a >> 32, .b = b ^ word_count};
}

struct fingerprint world_fingerprint(const struct world *original)
{
    static struct world w;
    bool wakes[HOSTS_MAX] = {false};

    world_copy(&w, original);
    for (unsigned i = 0; i < design->hosts; i++)
        wakes[i] = member_due(original, i);
    epochs.count = counters.count = nonce_count = 0;
    word_count = 0;
    forget_in_world(&w);
    add_version(&w.head.version);
    add(&epochs, &w.head.epoch_table);
    add_version(&w.before.version);
    add(&epochs, &w.before.epoch_table);
    add(&epochs, &w.highest_started);
    add(&epochs, &w.highest_promoted);
    add(&epochs, &w.lost_epoch);
    for (unsigned i = 0; i < LATE_MAX; i++)
        if (w.late[i].used) {
            add_version(&w.late[i].expected);
            add_version(&w.late[i].wanted.version);
        }
    for (unsigned i = 0; i < design->hosts; i++) {
        add_host(&w.hosts[i]);
        if (w.hosts[i].alive)
            add_lease(&w.leases[i], &w.hosts[i]);
    }
    renumber(&epochs);
    renumber(&counters);
    rename_nonces();
    put_world(&w, wakes);
    return hash();
}

/* ------------------------------------------------------------------ a world in the queue */

static size_t parts(struct world *w, uint8_t *at[HOSTS_MAX + 1], size_t size[HOSTS_MAX + 1])
{
    at[0] = (uint8_t *)w;
    size[0] = offsetof(struct world, leases);
    for (unsigned i = 0; i < design->hosts; i++) {
        at[i + 1] = (uint8_t *)&w->leases[i];
        size[i + 1] = offsetof(struct lease, peers);
    }
    return design->hosts + 1;
}

/* What differs from @base: for every eight bytes that do, how many were skipped, which do, and those. */
size_t world_pack(const struct world *w, const struct world *base, uint8_t *buf)
{
    uint8_t *at[HOSTS_MAX + 1], *base_at[HOSTS_MAX + 1], *out = buf;
    size_t size[HOSTS_MAX + 1], skipped = 0;
    size_t n = parts((struct world *)w, at, size);

    parts((struct world *)base, base_at, size);
    for (size_t p = 0; p < n; p++)
        for (size_t i = 0; i < size[p]; i += 8) {
            uint64_t a, b;

            memcpy(&a, at[p] + i, 8);
            memcpy(&b, base_at[p] + i, 8);
            if (a == b && skipped < 255) {
                skipped++;
                continue;
            }
            uint8_t *mask = out + 1;

            *out = (uint8_t)skipped;
            *mask = 0;
            out += 2;
            for (unsigned k = 0; k < 8; k++)
                if (at[p][i + k] != base_at[p][i + k]) {
                    *mask |= (uint8_t)(1u << k);
                    *out++ = at[p][i + k];
                }
            skipped = 0;
        }
    return (size_t)(out - buf);
}

void world_unpack(struct world *w, const struct world *base, const uint8_t *buf, size_t bytes)
{
    uint8_t *at[HOSTS_MAX + 1];
    size_t size[HOSTS_MAX + 1] = {0}, p = 0, i = 0;
    const uint8_t *end = buf + bytes;

    world_copy(w, base);
    parts(w, at, size);
    while (buf < end) {
        size_t skip = (size_t)*buf++ * 8;
        unsigned mask = *buf++;

        i += skip;
        while (i >= size[p]) {
            i -= size[p];
            p++;
        }
        for (unsigned k = 0; k < 8; k++)
            if (mask & 1u << k)
                at[p][i + k] = *buf++;
        i += 8;
    }
}
