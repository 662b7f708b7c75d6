/* The members, as the database knows them: who lives, who leads, and who could. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "doctor/judge.h"

static bool seen(const struct doctor_facts *facts, const struct rows_member *m)
{
    return !rows_member_silent(m, facts->config->timing.ttl_ns / LEASE_NS_PER_MS, &facts->database.row);
}

/* Of two live sidecars with one name only one row can be seen: the other's address in it tells. */
static void judge_own_name(const struct doctor_facts *facts, const struct rows_member *m, struct findings *f)
{
    static const char fix[] = "member = \"...\": a name of its own for every host";
    const struct config *c = facts->config;

    if (!seen(facts, m))
        return;
    if (strcmp(m->address, c->address) != 0)
        findings_add(f, FINDING_FAIL, "members", m->member.name, fix,
                     "a live sidecar with another address bears this member's name (\"%s\", here \"%s\"): of "
                     "two the one that "
                     "comes later ends",
                     m->address, c->address);
    else if (!facts->host.sidecar)
        findings_add(f, FINDING_WARN, "members", m->member.name, fix,
                     "no sidecar runs here, and this member was seen %.1f s ago: it has just ended, or "
                     "another host bears its name",
                     (double)m->seen_ms / 1e3);
}

static void judge_member(const struct doctor_facts *facts, const struct rows_member *m, struct findings *f)
{
    const struct doctor_database *d = &facts->database;
    char fix[FINDINGS_TEXT_MAX];

    if (strcmp(m->member.name, facts->config->member) == 0)
        judge_own_name(facts, m, f);
    snprintf(
        fix, sizeof fix,
        "start its sidecar, or look at that host; of a host that is gone for good, as administrator: DELETE "
        "FROM galera_lease.member WHERE lease = '%s' AND name = '%s'",
        facts->config->name, m->member.name);
    if (strcmp(m->role, "ended") != 0 && !seen(facts, m))
        findings_add(f, FINDING_WARN, "members", m->member.name, fix, "not seen since %s (UTC)", m->seen_at);
    if (d->http_away && d->http_away[m - d->members] && seen(facts, m))
        findings_add(
            f, FINDING_WARN, "http", m->member.name,
            "let this host reach that port, or look at http_listen there (loopback is for that host alone)",
            "its HTTP port %s:%u cannot be reached from here: /redirect and balancers on this host go astray",
            m->address, m->http_port);
    if (m->member.drifted)
        findings_add(f, FINDING_WARN, "members", m->member.name,
                     "make the controller's files the same on every host",
                     "its controller's files differ from the leader's");
    for (size_t i = 0; i < d->member_count && &d->members[i] != m; i++)
        if (m->address[0] && strcmp(m->address, d->members[i].address) == 0 && seen(facts, m) &&
            seen(facts, &d->members[i]))
            findings_add(f, FINDING_WARN, "members", m->member.name,
                         "address: where this host's own controller is found",
                         "it gives the same address as %s: %s", d->members[i].member.name, m->address);
}

void judge_members(const struct doctor_facts *facts, struct findings *f)
{
    const struct doctor_database *d = &facts->database;
    const struct rows_member *leader = NULL;
    size_t live = 0, able = 0;

    if (!d->looked || !d->lease_found)
        return;
    for (size_t i = 0; i < d->member_count; i++) {
        const struct rows_member *m = &d->members[i];

        judge_member(facts, m, f);
        live += seen(facts, m);
        able += seen(facts, m) && m->member.priority > 0;
        if (seen(facts, m) && strcmp(m->role, "leader") == 0 && d->row.state != LEASE_ROW_FREE &&
            strcmp(d->row.holder, m->member.name) == 0)
            leader = m;
    }
    if (leader)
        findings_add(f, FINDING_OK, "members", NULL, NULL,
                     "%s leads with epoch %" PRIu64 "; %zu member(s) live", leader->member.name,
                     d->row.version.epoch, live);
    else
        findings_add(f, FINDING_WARN, "members", NULL,
                     live > 0 ? "galera-lease list says why each member does not lead" : "start the sidecars",
                     "nobody leads; %zu member(s) live", live);
    if (leader && able < 2)
        findings_add(
            f, FINDING_WARN, "members", NULL,
            "start another member's sidecar; of one that lives, galera-lease list says why it could not "
            "(priority 0, files that differ, backing off)",
            "nobody else could lead if %s ended", leader->member.name);
}
