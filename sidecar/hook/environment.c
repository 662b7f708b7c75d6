#include "hook/environment.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/parse.h"

#define BUDGET "GALERA_LEASE_BUDGET_MS"

static void put(struct hook_run *run, const char *key, const char *value)
{
    unsigned n = 0;

    while (run->env[n])
        n++;
    if (n < HOOK_ENV_MAX && asprintf(&run->env[n], "%s=%s", key, value ? value : "") < 0)
        run->env[n] = NULL;
}

static void put_u64(struct hook_run *run, const char *key, uint64_t value)
{
    char text[24];

    snprintf(text, sizeof text, "%" PRIu64, value);
    put(run, key, text);
}

void hook_environment(struct hook_run *run, const struct hook_spec *s, const struct hook_facts *f)
{
    char nonce[33] = "";

    if (f->nonce)
        format_hex(f->nonce, 16, nonce);
    put(run, "PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
    put(run, "LANG", "C.UTF-8");
    put(run, "GALERA_LEASE_HOOK", hook_kind_name(s->kind));
    put(run, "GALERA_LEASE_NAME", f->lease);
    put(run, "GALERA_LEASE_MEMBER", f->member);
    put_u64(run, "GALERA_LEASE_EPOCH", f->epoch);
    put(run, "GALERA_LEASE_NONCE", nonce);
    put(run, "GALERA_LEASE_ROLE", f->role);
    put(run, "GALERA_LEASE_REASON", f->reason);
    put(run, "GALERA_LEASE_PREVIOUS", f->previous);
    put_u64(run, BUDGET, s->budget_ns / 1000000);
    put(run, "GALERA_LEASE_CGROUP", f->promote_cgroup);
    put(run, "GALERA_LEASE_RUNDIR", f->run_dir);
    put(run, "GALERA_LEASE_STATEDIR", f->state_dir);
    if (f->event) {
        put(run, "GALERA_LEASE_EVENT", f->event);
        put(run, "GALERA_LEASE_FROM", f->from);
        put(run, "GALERA_LEASE_ALARM", f->alarm ? "1" : "0");
    }
}

void hook_environment_budget(struct hook_run *run, uint64_t budget_ns)
{
    char *text;

    for (unsigned i = 0; run->env[i]; i++) {
        if (strncmp(run->env[i], BUDGET "=", strlen(BUDGET "=")) != 0)
            continue;
        if (asprintf(&text, BUDGET "=%" PRIu64, budget_ns / 1000000) < 0)
            return; /* what it had: too long, and it is killed in time all the same */
        free(run->env[i]);
        run->env[i] = text;
    }
}
