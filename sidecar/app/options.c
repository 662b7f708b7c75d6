#include "app/options.h"

#include <assert.h>
#include <string.h>

#include "app/config.h"

#define FIELD(field) offsetof(struct config, field), sizeof(((struct config *)0)->field)

const struct option_row option_rows[] = {
    {"name", OPTION_NAME, OPTION_REQUIRED, FIELD(name), NULL, 0, 0,
     "the lease: one name per controller service"},
    {"member", OPTION_NAME, 0, FIELD(member), NULL, 0, 0, "this member", "the host name"},
    {"address", OPTION_TEXT, OPTION_RELOAD, FIELD(address), "", 0, 0,
     "where people and clients find this controller"},
    {"endpoints", OPTION_ENDPOINTS, OPTION_REQUIRED, FIELD(endpoints), NULL, 0, 0,
     "Galera nodes in order of preference: \"unix:/path\" or \"host:port\""},
    {"controller_endpoint", OPTION_TEXT, 0, FIELD(controller_endpoint), "", 0, 0,
     "the endpoint that the controller itself uses", "the first one"},
    {"standalone", OPTION_SWITCH, 0, FIELD(standalone), "false", 0, 0,
     "true: the one endpoint may be a server without Galera; no quorum decides then"},
    {"user", OPTION_TEXT, OPTION_REQUIRED, FIELD(user), NULL, 0, 0, "database account of the sidecar"},
    {"password_file", OPTION_PATH, OPTION_ADVISED | OPTION_SECRET, FIELD(password_file), NULL, 0, 0,
     "its password, in a file that nobody else may read; empty: unix_socket authentication, on unix sockets "
     "only"},
    {"tls", OPTION_SWITCH, 0, FIELD(tls), "true", 0, 0,
     "false: endpoints on other hosts are spoken to in clear, where anybody may read and change what is "
     "said"},
    {"tls_ca", OPTION_PATH, OPTION_ADVISED | OPTION_READ, FIELD(tls_ca), NULL, 0, 0,
     "certificates of those who vouch for the database servers on other hosts, as PEM"},
    {"tls_cert", OPTION_PATH, OPTION_READ, FIELD(tls_cert), "", 0, 0,
     "this host's own certificate, if servers ask for one"},
    {"tls_key", OPTION_PATH, OPTION_READ, FIELD(tls_key), "", 0, 0, "the key of that certificate"},
    {"ttl", OPTION_DURATION, OPTION_TIMING, FIELD(timing.ttl_ns), "20s", 0, 0, "how long one renewal lasts"},
    {"renew", OPTION_DURATION, OPTION_TIMING, FIELD(timing.renew_ns), NULL, 0, 0, "renew this often",
     "ttl/10"},
    {"demote_budget", OPTION_DURATION, OPTION_TIMING, FIELD(timing.demote_budget_ns), NULL, 0, 0,
     "time for a graceful stop", "ttl/4"},
    {"kill_budget", OPTION_DURATION, OPTION_TIMING, FIELD(timing.kill_budget_ns), NULL, 0, 0,
     "time for a stop by force", "ttl/10"},
    {"margin", OPTION_DURATION, OPTION_TIMING, FIELD(timing.margin_ns), NULL, 0, 0, "scheduling delay",
     "ttl/20"},
    {"promote_budget", OPTION_DURATION, OPTION_TIMING, FIELD(timing.promote_budget_ns), NULL, 0, 0,
     "time for a start", "3*ttl"},
    {"poll", OPTION_DURATION, OPTION_TIMING, FIELD(timing.poll_ns), NULL, 0, 0,
     "followers look at the lease this often", "ttl/40"},
    {"check_interval", OPTION_DURATION, OPTION_TIMING, FIELD(timing.check_interval_ns), NULL, 0, 0,
     "the check hook runs this often", "ttl/4"},
    {"check_budget", OPTION_DURATION, OPTION_TIMING, FIELD(timing.check_budget_ns), NULL, 0, 0,
     "time for one check", "ttl/10"},
    {"check_failures", OPTION_COUNT, OPTION_RELOAD, FIELD(check_failures), "3", 1, 100,
     "unhealthy checks in a row, or answers of health_url, before the controller counts as failed"},
    {"health_url", OPTION_URL, 0, FIELD(health_url), "", 0, 0,
     "asked like the check hook while the controller leads: 200 to 299 is healthy"},
    {"health_text", OPTION_TEXT, 0, FIELD(health_text), "", 0, 0,
     "what its answer must hold; empty: anything will do"},
    {"health_timeout", OPTION_DURATION, 0, FIELD(health_timeout_ns), "2s", 100, 60000, "time for one answer"},
    {"health_ca", OPTION_PATH, OPTION_READ, FIELD(health_ca), "", 0, 0,
     "certificates of those who vouch for it, as PEM; empty: as the system says"},
    {"restarts", OPTION_COUNT, OPTION_RELOAD, FIELD(restarts), "3", 0, 100,
     "restarts in place before the lease is released"},
    {"restart_window", OPTION_DURATION, OPTION_RELOAD, FIELD(restart_window_ns), "10m", 1000, 604800000,
     "a controller that ran this long has earned its restarts back"},
    {"priority", OPTION_COUNT, OPTION_RELOAD, FIELD(priority), "100", 0, 1000,
     "higher leads first; 0 never leads"},
    {"promote", OPTION_PATH, OPTION_REQUIRED | OPTION_HOOK, FIELD(promote), NULL, 0, 0,
     "hook: start the controller"},
    {"demote", OPTION_PATH, OPTION_REQUIRED | OPTION_HOOK, FIELD(demote), NULL, 0, 0,
     "hook: stop it gracefully"},
    {"fence", OPTION_PATH, OPTION_REQUIRED | OPTION_HOOK, FIELD(fence), NULL, 0, 0, "hook: stop it by force"},
    {"check", OPTION_PATH, OPTION_REQUIRED | OPTION_HOOK, FIELD(check), NULL, 0, 0,
     "hook: 0 running, 3 stopped, else unhealthy"},
    {"precheck", OPTION_PATH, OPTION_HOOK, FIELD(precheck), "", 0, 0,
     "hook: 0 this host may lead; else it says why not, and stands for no election"},
    {"notify", OPTION_PATH, OPTION_HOOK, FIELD(notify), "", 0, 0,
     "hook: hears of changes of role and alarms; nothing waits for it"},
    {"notify_budget", OPTION_DURATION, OPTION_RELOAD, FIELD(notify_budget_ns), "10s", 100, 3600000,
     "time for one notify hook"},
    {"webhooks", OPTION_WEBHOOKS, 0, FIELD(webhooks), NULL, 0, 0,
     "who else hears of it, by HTTP: groups with url, secret_file, events, ca_file, timeout, tries"},
    {"files", OPTION_PATHS, 0, FIELD(files), NULL, 0, DRIFT_FILES_MAX,
     "files of the controller that should be the same on all hosts; who differs from the leader ranks last"},
    {"ignore_lines", OPTION_PATTERNS, 0, FIELD(ignore_lines), NULL, 0, DRIFT_PATTERNS_MAX,
     "lines that do not count in them, as extended regular expressions"},
    {"require_match", OPTION_SWITCH, 0, FIELD(require_match), "false", 0, 0,
     "true: a member whose files differ from the leader's does not lead"},
    {"controller_unit", OPTION_TEXT, 0, FIELD(controller_unit), "", 0, 0,
     "the controller's systemd unit, for check to see that it does not start at boot"},
    {"controller_version", OPTION_TEXT, OPTION_RELOAD, FIELD(controller_version), "", 0, 0,
     "shown in the list"},
    {"controller_port", OPTION_COUNT, OPTION_RELOAD, FIELD(controller_port), "0", 0, 65535,
     "shown in the list"},
    {"http_listen", OPTION_TEXT, 0, FIELD(http_listen), "", 0, 0,
     "ADDRESS:PORT, like \"127.0.0.1:8008\": answers /leader, /follower, /health, /status, /metrics and "
     "/redirect there, to anybody who can reach it; empty: off"},
    {"http_tls_cert", OPTION_PATH, OPTION_READ, FIELD(http_tls_cert), "", 0, 0,
     "a certificate (PEM, with those between it and its authority): HTTP goes through TLS"},
    {"http_tls_key", OPTION_PATH, OPTION_READ, FIELD(http_tls_key), "", 0, 0, "the key of that certificate"},
    {"http_redirect", OPTION_TEXT, 0, FIELD(http_redirect), "http://{address}:{port}/", 0, 0,
     "where /redirect sends a client: {address} and {port} become the leader's address and "
     "controller_port"},
    {"history_days", OPTION_COUNT, OPTION_RELOAD, FIELD(history_days), "90", 1, 36500,
     "the leader clears history that is older"},
    {"state_dir", OPTION_PATH, 0, FIELD(state_dir), NULL, 0, 0, "survives restarts",
     "/var/lib/galera-lease/NAME"},
    {"run_dir", OPTION_PATH, 0, FIELD(run_dir), NULL, 0, 0, "status for the command line",
     "/run/galera-lease/NAME"},
    {"libexec_dir", OPTION_PATH, 0, FIELD(libexec_dir), "", 0, 0, "where the guardian is", "as installed"},
    {"cgroup", OPTION_TEXT, 0, FIELD(cgroup), "auto", 0, 0,
     "auto: cgroup v2 where it is writable; off: never"},
    {"log_level", OPTION_TEXT, OPTION_RELOAD, FIELD(log_level), "info", 0, 0,
     "error, warning, info or debug"},
};

const size_t option_row_count = sizeof option_rows / sizeof option_rows[0];
static_assert(sizeof option_rows / sizeof option_rows[0] <= CONFIG_OPTIONS_MAX,
              "config.origins is too small");

const struct option_row *option_find(const char *name)
{
    for (size_t i = 0; i < option_row_count; i++)
        if (strcmp(option_rows[i].name, name) == 0)
            return &option_rows[i];
    return NULL;
}
