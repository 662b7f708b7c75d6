/*
 * What a promote that was never finished leaves behind (R9).
 *
 * While one runs the guardian knows of it, and a demote or fence kills it first. Where sidecar and guardian
 * both ended meanwhile, nobody does: the hook itself dies with its parent (guardian/launch.c), what it had
 * forked does not. So a running promote is written down in run_dir, and the next start ends all of it before
 * anything else happens: a resume must not begin a second one beside it, and whoever follows must not see it
 * act later.
 */
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "app/node.h"
#include "proc/kill.h"
#include "util/fsio.h"
#include "util/log.h"

static_assert(PAGE_PROMOTES == HOOK_STEPS_MAX, "every part of a promote has its place in the page");

#define TEXT_MAX (CLOCKS_BOOT_ID_SIZE + HOOK_STEPS_MAX * 21 + 2)

static void path_of_record(const struct node *n, char ret_path[CONFIG_PATH_MAX + 16])
{
    snprintf(ret_path, CONFIG_PATH_MAX + 16, "%s/promoting", n->config->run_dir);
}

/* The boot, then each part that was begun. */
void leftover_begun(const struct node *n)
{
    char path[CONFIG_PATH_MAX + 16], text[TEXT_MAX];
    int r = clocks_boot_id(text);

    path_of_record(n, path);
    if (r == 0) {
        size_t length = strlen(text);

        for (unsigned i = 0; i <= n->hook.step; i++)
            length += (size_t)snprintf(text + length, sizeof text - length, " %" PRIu64, n->hook.begun[i]);
        text[length++] = '\n';
        r = fsio_replace(path, text, length, 0600, false);
    }
    if (r < 0)
        log_warning(
            "hook-record",
            "lease=%s path=%s error=\"%s\" means=\"should this process and its guardian be killed during "
            "this promote, the next start does not find what the hook had forked\"",
            n->config->name, path, strerror(-r));
}

void leftover_over(const struct node *n)
{
    char path[CONFIG_PATH_MAX + 16];

    path_of_record(n, path);
    unlink(path);
}

bool leftover_kill(const struct node *n)
{
    char path[CONFIG_PATH_MAX + 16], text[TEXT_MAX], mark[CONFIG_PATH_MAX];
    char ours[CLOCKS_BOOT_ID_SIZE];
    uint64_t identity;
    size_t length = 0;
    int used;

    path_of_record(n, path);
    int r = fsio_read(path, text, sizeof text, &length);

    if (r == -ENOENT)
        return false;
    if (r < 0 || clocks_boot_id(ours) < 0 || strncmp(text, ours, strlen(ours)) != 0) {
        leftover_over(n); /* of another boot, or never written: nothing of it can be left */
        return false;
    }
    log_warning(
        "hook-kill",
        "lease=%s hook=promote what=\"sidecar and guardian ended while it ran\" action=\"whatever is left of "
        "it is killed\"",
        n->config->name);
    if (n->cgroup_controller[0])
        cgroup_kill(n->cgroup_controller);
    snprintf(mark, sizeof mark, "GALERA_LEASE_NAME=%s", n->config->name);
    for (const char *at = text + strlen(ours); sscanf(at, " %" SCNu64 "%n", &identity, &used) == 1;
         at += used)
        kill_session_of(identity, mark);
    leftover_over(n);
    return true;
}
