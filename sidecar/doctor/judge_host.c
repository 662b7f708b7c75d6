/* This host: its sidecar, guardian, hooks, and what else could start the controller. */
#include <stdio.h>
#include <string.h>

#include "doctor/judge.h"
#include "util/parse.h"

static void judge_files(const struct doctor_facts *facts, struct findings *f)
{
    const struct doctor_host *h = &facts->host;

    if (!h->guardian_file || !h->launcher_file)
        findings_add(f, FINDING_FAIL, "guardian", h->libexec_dir, "install it again, or mend libexec_dir",
                     "%s is not there, or may not be run: the sidecar does not start",
                     h->guardian_file ? "galera-lease-launch" : "galera-lease-guardian");
}

/* R7: what must survive a crash is written before a start, and erased before the lease is given back. */
static void judge_state_dir(const struct doctor_facts *facts, struct findings *f)
{
    const struct doctor_host *h = &facts->host;

    if (!h->state_full && !h->state_read_only)
        return;
    findings_add(
        f, FINDING_FAIL, "sidecar", facts->config->state_dir,
        h->state_read_only ? "look into the kernel's log for what made it so, then remount it"
                           : "make room there",
        "state_dir is %s: this member starts no controller, and a lease that it holds it does not give "
        "back until something can be written there",
        h->state_read_only ? "read-only" : "full");
}

/* It has written nothing for a while. Nobody shall restart one that leads only because it could not write. */
static void judge_silent(const struct doctor_facts *facts, struct findings *f)
{
    const struct doctor_host *h = &facts->host;

    if (h->no_room)
        findings_add(
            f, FINDING_FAIL, "sidecar", facts->config->run_dir,
            "make room there (is it controller.log that grows? LOG of the process hook names another "
            "file), then check again; a restart mends nothing",
            "run_dir is full, so the sidecar (pid %lld) could write nothing for %lld s: it may well "
            "lead or follow as it should",
            h->pid, h->age_s);
    else
        findings_add(
            f, FINDING_FAIL, "sidecar", NULL,
            "look at the process and its log (event=status: it could not write to run_dir, which may "
            "have been full); if it hangs, restart it",
            "the sidecar (pid %lld) has written nothing for %lld s: it hangs, is stopped, or died "
            "and left its number "
            "to another process; run_dir has room",
            h->pid, h->age_s);
}

static void judge_sidecar(const struct doctor_facts *facts, struct findings *f)
{
    const struct doctor_host *h = &facts->host;

    if (!h->sidecar) {
        findings_add(f, FINDING_WARN, "sidecar", NULL, "start it: galera-lease run with this configuration",
                     "no sidecar of lease %s runs on this host", facts->config->name);
        return;
    }
    if (!h->answers) {
        judge_silent(facts, f);
        return;
    }
    if (h->regression)
        findings_add(f, FINDING_WARN, "sidecar", NULL,
                     "find out which commits were lost, then galera-lease alarm ack --lease NAME "
                     "--reason TEXT",
                     "the epoch in the database went back: commits were lost");
    if (!h->guardian_up)
        findings_add(f, FINDING_FAIL, "guardian", NULL, "look at the sidecar's log, then restart it",
                     "the sidecar runs without its guardian: it does not lead");
    else
        findings_add(f, FINDING_OK, "sidecar", NULL, NULL, "it runs as %s, and so does its guardian",
                     h->role);
}

static bool leads(const struct doctor_host *h)
{
    return h->sidecar && h->answers && strcmp(h->role, "leader") == 0;
}

/* On its way from one to the other, where a controller may run and may not. */
static bool changes(const struct doctor_host *h)
{
    return h->sidecar && h->answers && strcmp(h->role, "leader") != 0 && strcmp(h->role, "follower") != 0;
}

/* A unit that was disabled and not stopped runs on, unseen by hooks that look at what they began themselves.
 */
static void judge_unit_active(const struct doctor_facts *facts, struct findings *f)
{
    const char *unit = facts->config->controller_unit, *state = facts->host.unit_active;
    char fix[CONFIG_TEXT_MAX + 32];

    if (strcmp(state, "active") != 0 && strcmp(state, "activating") != 0 && strcmp(state, "reloading") != 0)
        return;
    if (leads(&facts->host) || changes(&facts->host))
        return;
    snprintf(fix, sizeof fix, "systemctl stop %s", unit);
    findings_add(f, FINDING_FAIL, "unit", unit, fix,
                 "the controller's unit is %s, and this member does not lead", state);
}

/* systemd starts at boot what is enabled, lease or no lease. */
static void judge_unit(const struct doctor_facts *facts, struct findings *f)
{
    const char *unit = facts->config->controller_unit, *state = facts->host.unit_state;
    char fix[CONFIG_TEXT_MAX + 32];

    judge_unit_active(facts, f);
    snprintf(fix, sizeof fix, "systemctl disable %s", unit);
    if (unit[0] == '\0')
        findings_add(f, FINDING_SKIP, "unit", NULL, NULL,
                     "no controller_unit in the configuration: whether the controller starts at boot is not "
                     "looked at");
    else if (state[0] == '\0')
        findings_add(f, FINDING_SKIP, "unit", unit, NULL, "systemctl could not be asked: not looked at");
    else if (strcmp(state, "not-found") == 0 || strstr(state, "Failed") || strstr(state, "No such"))
        findings_add(f, FINDING_WARN, "unit", unit, "give the controller's unit as controller_unit",
                     "there is no such unit on this host (%s)", state);
    else if (strncmp(state, "enabled", 7) == 0 || strcmp(state, "alias") == 0 ||
             strcmp(state, "generated") == 0)
        findings_add(f, FINDING_FAIL, "unit", unit, fix,
                     "the controller's unit is %s: it starts at boot, whoever leads", state);
    else
        findings_add(f, FINDING_OK, "unit", unit, NULL,
                     "the controller's unit is %s: it does not start by itself", state);
}

/* Does the hook tell what the sidecar's role says? */
static void judge_check(const struct doctor_facts *facts, struct findings *f)
{
    const struct doctor_host *h = &facts->host;
    const char *hook = facts->config->check;
    bool changing = changes(h);
    char took[32], budget[32];

    if (h->sidecar && !h->answers && (h->check == DOCTOR_CHECK_RUNS || h->check == DOCTOR_CHECK_STOPPED)) {
        findings_add(f, FINDING_SKIP, "hooks", hook, NULL,
                     "nobody knows what this member is now: what the check hook says is not judged");
        return;
    }
    switch (h->check) {
    case DOCTOR_CHECK_NOT_ASKED: return;
    case DOCTOR_CHECK_UNHEALTHY:
        findings_add(f, FINDING_FAIL, "hooks", hook,
                     "run it by hand and mend what it says; 0 is running, 3 is stopped",
                     "the check hook can tell neither \"running\" nor \"stopped\": %s", h->check_text);
        return;
    case DOCTOR_CHECK_RUNS:
        if (changing)
            break;
        if (!h->sidecar)
            findings_add(f, FINDING_WARN, "hooks", hook, "know that the sidecar stops it when it starts",
                         "the check hook says that a controller runs here, and no sidecar does");
        else if (!leads(h))
            findings_add(f, FINDING_FAIL, "hooks", hook,
                         "stop that controller, or mend the hook if there is none",
                         "the check hook says that the controller runs, and this member is %s", h->role);
        else
            findings_add(f, FINDING_OK, "hooks", hook, NULL,
                         "the check hook says that the controller runs, and this member leads");
        break;
    case DOCTOR_CHECK_STOPPED:
        if (changing)
            break;
        if (leads(h))
            findings_add(f, FINDING_FAIL, "hooks", hook,
                         "look at the controller's own log, or mend the hook if it does run",
                         "the check hook says that nothing runs, and this member leads");
        else
            findings_add(f, FINDING_OK, "hooks", hook, NULL,
                         "the check hook says that nothing runs, and this member does not lead");
        break;
    }
    if (changing)
        findings_add(f, FINDING_SKIP, "hooks", hook, NULL,
                     "this member is %s just now: what the check hook says is not judged", h->role);
    if (2 * h->check_took_ns > facts->config->timing.check_budget_ns) {
        format_duration(h->check_took_ns / LEASE_NS_PER_MS * LEASE_NS_PER_MS, took, sizeof took);
        format_duration(facts->config->timing.check_budget_ns, budget, sizeof budget);
        findings_add(f, FINDING_WARN, "hooks", hook, "a quicker check, or a longer check_budget",
                     "the check hook took %s of its check_budget of %s", took, budget);
    }
}

void judge_host(const struct doctor_facts *facts, struct findings *f)
{
    judge_files(facts, f);
    judge_state_dir(facts, f);
    judge_sidecar(facts, f);
    judge_unit(facts, f);
    judge_check(facts, f);
}

void judge_all(const struct doctor_facts *facts, struct findings *f)
{
    judge_endpoints(facts, f);
    judge_cluster(facts, f);
    judge_settings(facts, f);
    judge_times(facts, f);
    judge_clocks(facts, f);
    judge_schema(facts, f);
    judge_grants(facts, f);
    judge_members(facts, f);
    judge_host(facts, f);
}
