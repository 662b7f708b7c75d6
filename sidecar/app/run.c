/* Start and end of the sidecar: the lock, the state file, the page, the loop. */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "app/app.h"
#include "app/node.h"
#include "util/fsio.h"
#include "util/journal.h"
#include "util/log.h"
#include "web/request.h"

#define EXIT_RUN_FAILED 1
#define EXIT_RUN_CONFIG 2
#define EXIT_RUN_DOUBLE 6

#define BOOT_ID_LENGTH   (CLOCKS_BOOT_ID_SIZE - 1)
#define INCARNATION_SIZE (BOOT_ID_LENGTH + LEASE_NONCE_SIZE)

#define LAST_WORDS_NS LEASE_NS_PER_S /* for bookkeeping at the end, while the database is there ... */
#define LAST_TRY_NS   (200 * LEASE_NS_PER_MS) /* ... and while it is not */
#define LAST_PAUSE_NS (100 * LEASE_NS_PER_MS) /* from one try to the next */
#define LAST_POLL_MS  10

/* A guardian of the previous run may still be making sure of a stop: it has the lock until then (R7). */
static int take_lock(const struct config *c, int *ret_fd)
{
    const struct timespec pause = {.tv_nsec = 20000000};
    bool said = false;
    sigset_t stop, reload;

    sigemptyset(&reload);
    sigaddset(&reload, SIGHUP); /* kept until there is something to reload */
    sigprocmask(SIG_BLOCK, &reload, NULL);
    sigemptyset(&stop);
    sigaddset(&stop, SIGTERM);
    sigaddset(&stop, SIGINT);
    sigprocmask(SIG_BLOCK, &stop, NULL);
    for (;;) {
        int r = state_lock(c->state_dir, ret_fd);

        if (r != STATE_LOCKED)
            return r;
        if (!said)
            log_warning(
                "lock",
                "lease=%s folder=%s what=\"another sidecar or guardian of this lease is alive on this "
                "host\" action=\"wait\"",
                c->name, c->state_dir);
        said = true;
        if (sigtimedwait(&stop, NULL, &pause) > 0)
            return STATE_LOCKED;
    }
}

static void load_memory(const struct config *c, struct lease_memory *ret, struct clocks_instant *ret_at)
{
    clocks_instant_now(ret_at);
    int r = state_load(c->state_dir, ret);

    if (r < 0 || r == STATE_DAMAGED || r == STATE_OTHER_VERSION)
        log_error("state",
                  "lease=%s folder=%s what=\"the state file can't be used\" why=\"%s\" "
                  "action=\"go on knowing nothing: the controller is stopped, nothing is resumed\"",
                  c->name, c->state_dir, state_result_text(r));
    else
        log_info("state", "lease=%s found=%s epoch_seen=%" PRIu64 " resume=%s", c->name,
                 r == STATE_OK       ? "yes"
                 : r == STATE_ABSENT ? "no"
                                     : "other-boot",
                 ret->epoch_seen, ret->remaining_ns > 0 ? "maybe" : "no");
}

static void find_cgroups(struct node *n)
{
    char name[CONFIG_PATH_MAX];

    if (strcmp(n->config->cgroup, "off") == 0) {
        log_info("containment", "lease=%s kind=session why=\"cgroup = off\"", n->config->name);
        return;
    }
    snprintf(name, sizeof name, "%s@%s", n->config->name, n->config->member);
    int r = cgroup_base(name, n->cgroup_base);

    if (r == 0)
        r = cgroup_slot(n->cgroup_base, "controller", n->cgroup_controller);
    if (r == 0)
        r = cgroup_slot(n->cgroup_base, "hook", n->cgroup_hook);
    if (r == 0)
        r = cgroup_slot(n->cgroup_base, "guardian", n->cgroup_guardian);
    if (r == 0)
        r = cgroup_slot(n->cgroup_base, "notify", n->cgroup_notify);
    if (r == 0)
        r = cgroup_slot(n->cgroup_base, "precheck", n->cgroup_precheck);
    if (r < 0) {
        n->cgroup_notify[0] = n->cgroup_precheck[0] = '\0';
        n->cgroup_base[0] = n->cgroup_controller[0] = n->cgroup_hook[0] = n->cgroup_guardian[0] = '\0';
        log_warning("containment",
                    "lease=%s kind=session why=\"no writable cgroup v2: %s\" means=\"a process that leaves "
                    "its session is found by its environment only\"",
                    n->config->name, strerror(-r));
    } else {
        /* Hooks of a sidecar that is gone: nobody would hear of their end. */
        cgroup_kill(n->cgroup_guardian);
        cgroup_kill(n->cgroup_hook);
        cgroup_kill(n->cgroup_notify);
        cgroup_kill(n->cgroup_precheck);
        log_info("containment", "lease=%s kind=cgroup path=%s", n->config->name, n->cgroup_base);
    }
}

/* Without the guardian this member never leads, and without the launcher no hook runs: said at once. */
static bool find_helpers(struct node *n)
{
    const struct config *c = n->config;
    const char *libexec = c->libexec_dir[0] ? c->libexec_dir : GALERA_LEASE_LIBEXECDIR;
    const char *paths[] = {n->guardian_path, n->launcher_path};
    bool found = true;

    snprintf(n->guardian_path, sizeof n->guardian_path, "%s/galera-lease-guardian", libexec);
    snprintf(n->launcher_path, sizeof n->launcher_path, "%s/galera-lease-launch", libexec);
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        if (access(paths[i], X_OK) == 0)
            continue;
        log_error("libexec",
                  "lease=%s path=%s error=\"%s\" action=\"not started: install it again, or mend "
                  "libexec_dir\"",
                  c->name, paths[i], strerror(errno));
        found = false;
    }
    return found;
}

static int make_page(struct node *n)
{
    const struct config *c = n->config;
    struct page_config p = {.kill_budget_ns = c->timing.kill_budget_ns,
                            .margin_ns = c->timing.margin_ns,
                            .check_budget_ns = c->timing.check_budget_ns};

    snprintf(p.lease, sizeof p.lease, "%s", c->name);
    snprintf(p.member, sizeof p.member, "%s", c->member);
    snprintf(p.fence_hook, sizeof p.fence_hook, "%s", c->fence);
    snprintf(p.check_hook, sizeof p.check_hook, "%s", c->check);
    snprintf(p.launcher, sizeof p.launcher, "%s", n->launcher_path);
    snprintf(p.cgroup_base, sizeof p.cgroup_base, "%s", n->cgroup_base);
    snprintf(p.promote_cgroup, sizeof p.promote_cgroup, "%s", n->cgroup_controller);
    snprintf(p.guardian_cgroup, sizeof p.guardian_cgroup, "%s", n->cgroup_guardian);
    snprintf(p.run_dir, sizeof p.run_dir, "%s", c->run_dir);
    snprintf(p.state_dir, sizeof p.state_dir, "%s", c->state_dir);
    return page_create(&p, &n->page, &n->page_fd);
}

static void fill_lease_config(const struct config *c, struct lease_config *ret)
{
    *ret = (struct lease_config){.timing = c->timing,
                                 .priority = (uint32_t)c->priority,
                                 .restarts = (uint32_t)c->restarts,
                                 .check_failures = (uint32_t)c->check_failures,
                                 .restart_window_ns = c->restart_window_ns,
                                 .prechecked = c->precheck[0] != '\0',
                                 .require_match = c->require_match};
    memcpy(ret->member, c->member, sizeof ret->member);
}

/* Behind the boot's id, so that the file of another boot is known. */
static int write_incarnation(const struct node *n, const char *path)
{
    char text[INCARNATION_SIZE + 1];
    int r = clocks_boot_id(text);

    if (r < 0)
        return r;
    memcpy(text + BOOT_ID_LENGTH, n->incarnation.bytes, LEASE_NONCE_SIZE);
    return fsio_replace(path, text, INCARNATION_SIZE, 0600, false);
}

/*
 * The incarnation before ours is kept in run_dir: with the lock in our hands its writer is gone, so its name
 * is ours at once (R10). Unless that was another boot: a run_dir that lies on a disk is in its image too, and
 * there the writer may be the living original of this clone.
 */
static void hand_over_incarnation(const struct node *n, struct lease_memory *memory)
{
    char path[CONFIG_PATH_MAX + 16], boot[CLOCKS_BOOT_ID_SIZE];
    char old[INCARNATION_SIZE + 1];
    size_t length = 0;

    snprintf(path, sizeof path, "%s/incarnation", n->config->run_dir);
    if (fsio_read(path, old, sizeof old, &length) == 0 && length == INCARNATION_SIZE &&
        clocks_boot_id(boot) == 0 && memcmp(old, boot, BOOT_ID_LENGTH) == 0)
        memcpy(memory->incarnation.bytes, old + BOOT_ID_LENGTH, LEASE_NONCE_SIZE);
    int r = write_incarnation(n, path);

    if (r < 0)
        log_warning("identity",
                    "lease=%s path=%s error=\"%s\" means=\"the next start waits before it takes its name\"",
                    n->config->name, path, strerror(-r));
}

/* What is needed is not to be had. */
static int not_started(const struct config *c, const char *path, const char *what, int r)
{
    log_error("start", "lease=%s path=%s error=\"%s\" what=\"%s\" action=\"not started\"", c->name, path,
              strerror(-r), what);
    return EXIT_RUN_FAILED;
}

/* 0 or an exit code. */
static int prepare_folders(struct node *n)
{
    const struct config *c = n->config;
    int r = fsio_mkdir_p(c->state_dir, 0700);

    if (r < 0)
        return not_started(c, c->state_dir, "state_dir cannot be made", r);
    r = fsio_mkdir_p(c->run_dir, 0755);
    if (r < 0)
        return not_started(c, c->run_dir, "run_dir cannot be made", r);
    r = take_lock(c, &n->lock_fd);
    if (r < 0)
        return not_started(c, c->state_dir, "the lock in it cannot be taken", r);
    if (r != STATE_OK) {
        log_error("lock",
                  "lease=%s folder=%s what=\"told to end while waiting for the lock\" "
                  "action=\"not started\"",
                  c->name, c->state_dir);
        return EXIT_RUN_FAILED;
    }
    return 0;
}

/* 0 or an exit code. */
static int prepare(struct node *n, struct lease_memory *memory)
{
    const struct config *c = n->config;

    if (!find_helpers(n))
        return EXIT_RUN_CONFIG;
    int r = prepare_folders(n);

    if (r != 0)
        return r;
    load_memory(c, memory, &n->loaded);
    hand_over_incarnation(n, memory);
    find_cgroups(n);
    memory->unfinished = leftover_kill(n);
    r = make_page(n);
    if (r < 0)
        return not_started(c, "-", "no memory to share with the guardian", r);
    r = keeper_init(&n->keeper, n->guardian_path, n->page_fd, n->lock_fd);
    if (r < 0)
        return not_started(c, "-", "no descriptors to talk to the guardian", r);
    r = loop_new(&n->loop);
    return r < 0 ? not_started(c, "-", "no event loop", r) : 0;
}

/*
 * The last bookkeeping goes out if it can do so soon. After an outage all of its history may wait here for
 * the next try, and nobody comes after us who knows it; a database that is away is not waited for.
 */
static void say_last_words(struct node *n)
{
    uint64_t begun = hook_now_ns(), hurried = 0;

    while (!client_idle(n->client)) {
        uint64_t now = hook_now_ns();

        if (now - begun >= (client_connected(n->client) ? LAST_WORDS_NS : LAST_TRY_NS))
            break;
        if (now - hurried >= LAST_PAUSE_NS) {
            client_hurry(n->client);
            hurried = now;
        }
        poll(&(struct pollfd){.fd = client_fd(n->client), .events = POLLIN}, 1, LAST_POLL_MS);
        client_dispatch(n->client);
    }
    if (client_untold(n->client) > 0)
        log_warning(
            "history",
            "lease=%s dropped=%zu means=\"the database did not take these entries of the history or "
            "outcomes of requests before this sidecar ended: they stand in the log only, alarms among "
            "them too\" action=\"read them above; nothing is to be done for the lease\"",
            n->config->name, client_untold(n->client));
}

/* Nothing depends on it. */
static void end_run(struct node *n)
{
    report_beat(n);
    report_status(n);
    announce_end(&n->announce);
    watches_end(&n->watches);
    publish_end(n);
    say_last_words(n);
    trail_end(&n->trail);
    saver_free(n->saver);
    client_free(n->client);
    log_info("end", "lease=%s member=%s", n->config->name, n->config->member);
}

static void begin_log(const struct config *c)
{
    signal(SIGPIPE, SIG_IGN); /* whoever reads our log may go */
    log_unblock();
    journal_init(c->name, JOURNAL_SOCKET);
    log_set_level_named(c->log_level);
    log_info("start", "version=%s lease=%s member=%s ttl_ms=%" PRIu64, GALERA_LEASE_VERSION, c->name,
             c->member, c->timing.ttl_ns / LEASE_NS_PER_MS);
    caution_config(c);
}

int app_run(struct config *c, const char *trace)
{
    static struct node node; /* one a process; its trail alone is 128 KiB */
    struct node *n = &node;
    struct lease_config lease_config;
    struct lease_memory memory = {0};

    signal(SIGCHLD, SIG_DFL); /* who ignores it never learns how a hook ended */
    begin_log(c);
    /* libcurl brings its libraries to life: 0.3 MB that most do without. Neither option is reloaded. */
    if ((c->health_url[0] || c->webhooks.count > 0) && web_init() < 0)
        log_error("web", "lease=%s what=\"libcurl cannot be set up: webhooks and health_url will fail\"",
                  c->name);
    n->config = c;
    n->hook_pidfd = n->hook_out_fd = n->page_fd = n->lock_fd = -1;
    if (getrandom(n->incarnation.bytes, sizeof n->incarnation.bytes, 0) !=
        (ssize_t)sizeof n->incarnation.bytes)
        return not_started(c, "-", "no random numbers", -errno);
    fill_lease_config(c, &lease_config);
    lease_config.incarnation = n->incarnation;
    lease_init(&n->lease, &lease_config);
    clocks_init(&n->clocks);
    int r = prepare(n, &memory);

    if (r != 0)
        return r;
    if (trail_begin(n, trace) < 0)
        return EXIT_RUN_CONFIG;
    r = reload_start(n, c);
    if (r == 0)
        r = node_start(n, &memory);
    if (r < 0) {
        log_error("start",
                  "lease=%s error=\"%s\" what=\"threads or connections cannot be set up\" "
                  "action=\"not started: look at the limits on processes and open files\"",
                  c->name, strerror(-r));
        return r == -EINVAL ? EXIT_RUN_CONFIG : EXIT_RUN_FAILED;
    }
    r = loop_run(n->loop);
    end_run(n);
    if (n->lease.name == LEASE_NAME_DOUBLE)
        return EXIT_RUN_DOUBLE;
    if (n->schema_foreign)
        return EXIT_RUN_CONFIG;
    return r < 0 ? EXIT_RUN_FAILED : 0;
}
