/* This host: what the sidecar wrote, the files it needs, the controller's unit, the check hook. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "doctor/look.h"
#include "doctor/status_file.h"
#include "hook/hook.h"
#include "util/parse.h"

#define UNIT_LIMIT_MS 3000

static void look_status(struct doctor_facts *facts)
{
    struct doctor_host *h = &facts->host;
    json_t *s = status_file_read(facts->config, &h->age_s, &h->answers);
    const char *role = json_string_value(json_object_get(s, "role"));

    h->sidecar = s != NULL;
    h->no_room = status_file_no_room(facts->config->run_dir);
    h->pid = json_integer_value(json_object_get(s, "pid"));
    h->guardian_up = json_is_true(json_object_get(s, "guardian"));
    h->regression = json_is_true(json_object_get(s, "regression"));
    snprintf(h->role, sizeof h->role, "%s", role ? role : "");
    parse_sanitise(h->role);
    json_decref(s);
}

static void executable_path(const struct doctor_facts *facts, const char *name, char *buf, size_t size)
{
    snprintf(buf, size, "%s/%s", facts->host.libexec_dir, name);
}

static void look_files(struct doctor_facts *facts)
{
    struct doctor_host *h = &facts->host;
    char path[CONFIG_PATH_MAX + 32];

    snprintf(h->libexec_dir, sizeof h->libexec_dir, "%s",
             facts->config->libexec_dir[0] ? facts->config->libexec_dir : GALERA_LEASE_LIBEXECDIR);
    executable_path(facts, "galera-lease-guardian", path, sizeof path);
    h->guardian_file = access(path, X_OK) == 0;
    executable_path(facts, "galera-lease-launch", path, sizeof path);
    h->launcher_file = access(path, X_OK) == 0;
}

/* Before each start of the controller something is written there. One that is not there is made at the start.
 */
static void look_state_dir(struct doctor_facts *facts)
{
    struct statvfs v;

    facts->host.state_full = status_file_no_room(facts->config->state_dir);
    facts->host.state_read_only = statvfs(facts->config->state_dir, &v) == 0 && (v.f_flag & ST_RDONLY) != 0;
}

/* ---- systemctl ---- */

/* What came within the limit; false: it did not end by then. */
static bool read_within(int fd, char *buf, size_t size)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    size_t length = 0;
    ssize_t n = 1;

    while (length + 1 < size && n > 0) {
        if (poll(&p, 1, UNIT_LIMIT_MS) <= 0)
            return false;
        n = read(fd, buf + length, size - 1 - length);
        length += n > 0 ? (size_t)n : 0;
        buf[length] = '\0';
    }
    return true;
}

/* In no language but its own: its errors are looked into. */
static bool run_systemctl(const char *verb, const char *unit, char *buf, size_t size)
{
    char *const argv[] = {(char *)"systemctl", (char *)verb, (char *)"--", (char *)unit, NULL};
    char *const environment[] = {(char *)"PATH=/usr/sbin:/usr/bin:/sbin:/bin", (char *)"LC_ALL=C", NULL};
    posix_spawn_file_actions_t actions;
    int fds[2];
    pid_t pid;

    buf[0] = '\0';
    if (pipe2(fds, O_CLOEXEC) < 0)
        return false;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, fds[1], STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&actions, fds[1], STDERR_FILENO);
    bool ok = posix_spawnp(&pid, "systemctl", &actions, NULL, argv, environment) == 0;

    posix_spawn_file_actions_destroy(&actions);
    close(fds[1]);
    if (ok) {
        ok = read_within(fds[0], buf, size);
        if (!ok)
            kill(pid, SIGKILL);
        while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
            ;
    }
    close(fds[0]);
    return ok;
}

/*
 * One word is a state; of other texts only "there is no such unit" says something of the unit. The word comes
 * last: of a unit that is made from an init script others are asked, and that is told first.
 */
static void ask_unit(const char *verb, const char *unit, char *state, size_t size)
{
    char said[512];

    if (!run_systemctl(verb, unit, said, sizeof said))
        return;
    for (size_t end = strlen(said); end > 0 && said[end - 1] == '\n'; end--)
        said[end - 1] = '\0';
    const char *line = strrchr(said, '\n'), *word = line ? line + 1 : said;

    if (strstr(word, "No such file"))
        word = "not-found";
    if (word[0] && word[strspn(word, "abcdefghijklmnopqrstuvwxyz-")] == '\0')
        snprintf(state, size, "%s", word);
}

static void look_unit(struct doctor_facts *facts)
{
    const char *unit = facts->config->controller_unit;
    struct doctor_host *h = &facts->host;

    if (unit[0] == '\0')
        return;
    ask_unit("is-enabled", unit, h->unit_state, sizeof h->unit_state);
    ask_unit("is-active", unit, h->unit_active, sizeof h->unit_active);
}

void look_host(struct doctor_facts *facts)
{
    look_status(facts);
    look_files(facts);
    look_state_dir(facts);
    look_unit(facts);
}

/* ---- the check hook ---- */

static void keep_first_line(void *userdata, const char *line)
{
    char *text = userdata;

    if (text[0] == '\0')
        snprintf(text, DOCTOR_TEXT_MAX, "%s", line);
}

void look_check_hook(struct doctor_facts *facts)
{
    static const uint8_t nobody[LEASE_NONCE_SIZE];
    const struct config *c = facts->config;
    struct doctor_host *h = &facts->host;
    char launcher[CONFIG_PATH_MAX + 32], line[DOCTOR_TEXT_MAX] = "";
    struct hook_facts said = {.lease = c->name,
                              .member = c->member,
                              .role = h->role,
                              .reason = "doctor",
                              .previous = "",
                              .run_dir = c->run_dir,
                              .state_dir = c->state_dir,
                              .promote_cgroup = "",
                              .nonce = nobody};
    struct hook_spec spec = {.kind = HOOK_CHECK,
                             .path = c->check,
                             .launcher = launcher,
                             .page_fd = -1,
                             .budget_ns = c->timing.check_budget_ns};
    uint64_t begun = hook_now_ns();

    executable_path(facts, "galera-lease-launch", launcher, sizeof launcher);
    enum hook_outcome outcome = hook_run_sync(&spec, &said, keep_first_line, line);

    h->check_took_ns = hook_now_ns() - begun;
    h->check = outcome == HOOK_OK        ? DOCTOR_CHECK_RUNS
               : outcome == HOOK_STOPPED ? DOCTOR_CHECK_STOPPED
                                         : DOCTOR_CHECK_UNHEALTHY;
    if (outcome == HOOK_TIMED_OUT)
        snprintf(h->check_text, sizeof h->check_text, "no answer within check_budget");
    else if (outcome == HOOK_NOT_RUN)
        snprintf(h->check_text, sizeof h->check_text, "it cannot be run");
    else if (h->check == DOCTOR_CHECK_UNHEALTHY)
        snprintf(h->check_text, sizeof h->check_text, "%s", line[0] ? line : "it failed and said nothing");
}
