#include <fcntl.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "hook/hook.h"
#include "proc/kill.h"
#include "util/fsio.h"
#include "kit.h"

static char home[] = "/tmp/galera-lease-guardian-XXXXXX";
struct page_config config;
struct page *page;
struct keeper keeper;
struct clocks sidecar_clock;
int page_fd = -1, lock_fd = -1;
char folder[128];
static unsigned serial;

char *in_folder(const char *name)
{
    static char path[4][256];
    static unsigned next;
    char *p = path[next++ % 4];

    snprintf(p, 256, "%s/%s", folder, name);
    return p;
}

void script(const char *name, const char *body)
{
    char text[2048];
    int n =
        snprintf(text, sizeof text,
                 "#!/bin/sh\nD=$GALERA_LEASE_RUNDIR\n"
                 "[ $GALERA_LEASE_HOOK = check ] || "
                 "echo $GALERA_LEASE_HOOK epoch=$GALERA_LEASE_EPOCH reason=$GALERA_LEASE_REASON >>$D/log\n"
                 "%s\n",
                 body);

    assert_int_equal(fsio_replace(in_folder(name), text, (size_t)n, 0755, false), 0);
}

void touch(const char *name)
{
    assert_int_equal(fsio_replace(in_folder(name), "", 0, 0644, false), 0);
}

const char *contents(const char *name)
{
    static char text[65536];

    return fsio_read(in_folder(name), text, sizeof text, NULL) < 0 ? "" : text;
}

bool exists(const char *name)
{
    return access(in_folder(name), F_OK) == 0;
}

int set_up(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "%s/%u", home, serial++);
    if (mkdir(folder, 0755) < 0)
        return -1;
    config = (struct page_config){
        .kill_budget_ns = S, .margin_ns = S / 2, .check_budget_ns = S, .lease = "cmon", .member = "node1"};
    snprintf(config.fence_hook, sizeof config.fence_hook, "%s", in_folder("fence"));
    snprintf(config.check_hook, sizeof config.check_hook, "%s", in_folder("check"));
    snprintf(config.launcher, sizeof config.launcher, "%s", getenv("LAUNCHER"));
    snprintf(config.run_dir, sizeof config.run_dir, "%s", folder);
    snprintf(config.state_dir, sizeof config.state_dir, "%s", folder);
    script("fence", FENCE_STOPS);
    script("check", CHECK_LOOKS);
    touch("runs");
    clocks_init(&sidecar_clock);
    sidecar_clock.fast_ns += 30000000 * S;
    return 0;
}

void begin(void)
{
    assert_int_equal(page_create(&config, &page, &page_fd), 0);
    lock_fd = open(in_folder("lock"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    assert_int_equal(flock(lock_fd, LOCK_EX | LOCK_NB), 0);
    assert_int_equal(keeper_init(&keeper, getenv("GUARDIAN"), page_fd, lock_fd), 0);
}

void arm(uint64_t epoch, uint64_t ns)
{
    clocks_sample(&sidecar_clock);
    page_arm(page, epoch, sidecar_clock.fast_ns + config.kill_budget_ns + config.margin_ns + ns,
             &sidecar_clock);
    keeper_wake(&keeper);
}

void start(void)
{
    assert_int_equal(keeper_start(&keeper), 0);
}

bool running(void)
{
    struct pollfd ended = {.fd = keeper.pidfd, .events = POLLIN};

    return poll(&ended, 1, 0) == 0;
}

void wait_until(const char *what, bool (*done)(void))
{
    uint64_t end = hook_now_ns() + PATIENCE;

    while (!done()) {
        if (hook_now_ns() > end)
            fail_msg("not within %llu s: %s; log:\n%s", (unsigned long long)(PATIENCE / S), what,
                     contents("log"));
        poll(&(struct pollfd){.fd = keeper.notify_fd, .events = POLLIN}, 1, 5);
    }
}

bool is_stopped(void)
{
    uint64_t epoch;

    return page_stopped(page, &epoch);
}

bool is_fencing(void)
{
    return page_fencing(page);
}

bool fence_tried(void)
{
    return contents("log")[0] != '\0';
}

bool is_over(void)
{
    return !running();
}

int tear_down(void **state)
{
    (void)state;
    keeper_kill(&keeper);
    keeper_deinit(&keeper);
    page = page_unmap(page);
    close(page_fd);
    if (lock_fd >= 0)
        close(lock_fd);
    lock_fd = -1;
    return 0;
}

int begin_all(void **state)
{
    (void)state;
    return getenv("LAUNCHER") && getenv("GUARDIAN") && mkdtemp(home) ? 0 : -1;
}

int end_all(void **state)
{
    char command[128];

    (void)state;
    snprintf(command, sizeof command, "rm -rf %s", home);
    return system(command);
}
