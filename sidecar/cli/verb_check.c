/*
 * check: the doctor. Its output and exit codes are those of a monitoring plug-in: a summary first, then each
 * verdict with its reason and what to do.
 */
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "doctor/judge.h"
#include "doctor/look.h"
#include "hook/hook.h"
#include "util/parse.h"

static int exit_code(const struct findings *f, bool blind)
{
    switch (findings_worst(f)) {
    case FINDING_FAIL: return CHECK_FAIL;
    case FINDING_WARN: return blind ? CHECK_UNKNOWN : CHECK_WARN;
    case FINDING_OK:
    case FINDING_SKIP:
    case FINDING_LEVELS: break;
    }
    return blind ? CHECK_UNKNOWN : CHECK_OK;
}

static const char *word(int code)
{
    static const char *const words[] = {"OK", "WARN", "FAIL", "UNKNOWN"};

    return words[code];
}

/* ---- output ---- */

static void summary(const struct findings *f, char *buf, size_t size)
{
    const struct finding *first = findings_first(f);

    snprintf(buf, size, "%zu failed, %zu warning(s), %zu well, %zu not looked at", f->counts[FINDING_FAIL],
             f->counts[FINDING_WARN], f->counts[FINDING_OK], f->counts[FINDING_SKIP]);
    if (first)
        snprintf(buf + strlen(buf), size - strlen(buf), ": %s%s%s: %s", first->topic,
                 first->where[0] ? " " : "", first->where, first->text);
}

static void print_text(const char *lease, const struct findings *f, int code)
{
    char text[FINDINGS_TEXT_MAX + FINDINGS_WHERE_MAX];

    summary(f, text, sizeof text);
    /* What stands behind a bar would be read as numbers. */
    for (char *bar = text; (bar = strchr(bar, '|'));)
        *bar = '/';
    printf("LEASE %s - %s: %s\n", word(code), lease, text);
    for (size_t i = 0; i < f->count; i++) {
        const struct finding *one = &f->list[i];

        printf("%-4s  %s%s%s: %s\n", finding_level_name(one->level), one->topic, one->where[0] ? " " : "",
               one->where, one->text);
        if (one->fix[0])
            printf("      do: %s\n", one->fix);
    }
}

static int print_json(const char *lease, const struct findings *f, int code)
{
    json_t *list = json_array();
    char text[FINDINGS_TEXT_MAX + FINDINGS_WHERE_MAX];

    summary(f, text, sizeof text);
    for (size_t i = 0; i < f->count; i++)
        json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:s, s:s}", "level",
                                              finding_level_name(f->list[i].level), "topic", f->list[i].topic,
                                              "where", f->list[i].where, "text", f->list[i].text, "fix",
                                              f->list[i].fix));
    json_auto_t *all = json_pack("{s:s, s:s, s:i, s:s, s:o}", "lease", lease, "result", word(code), "exit",
                                 code, "summary", text, "findings", list);
    int r = all ? json_dumpf(all, stdout, JSON_INDENT(2)) : -1;

    printf("\n");
    return r;
}

static int say(const struct cli_options *o, const char *lease, const struct findings *f, bool blind)
{
    int code = exit_code(f, blind);

    if (!o->json)
        print_text(lease, f, code);
    else if (print_json(lease, f, code) < 0)
        return CHECK_UNKNOWN;
    return code;
}

/* ---- what is looked at ---- */

/* Mistakes that concern the file alone; with any of them nothing of it can be used. */
static bool read_config(const struct cli_options *o, struct config *c, struct findings *f)
{
    static struct config_errors errors;

    if (config_load(o->config_path, NULL, c, &errors) == 0)
        return true;
    for (size_t i = 0; i < errors.count; i++)
        findings_add(f, FINDING_FAIL, "config", NULL, "mend it: the sidecar does not start with it", "%s",
                     errors.list[i]);
    return false;
}

/* Hooks, password file, certificates: as this user sees them. */
static void check_files(const struct cli_options *o, const struct config *c, struct findings *f)
{
    static struct config_errors errors;
    static struct config again;

    if (config_load(o->config_path, hook_verify, &again, &errors) == 0)
        findings_add(f, FINDING_OK, "config", c->file, NULL,
                     "no mistakes; hooks, password file and certificates can be used");
    for (size_t i = 0; i < errors.count; i++)
        findings_add(f, FINDING_FAIL, "config", NULL, "mend it: the sidecar does not start like this", "%s",
                     errors.list[i]);
    if (config_in_clear(c))
        findings_add(f, FINDING_WARN, "config", config_in_clear(c), "tls_ca instead of tls = false",
                     "what is said to this endpoint can be read and changed on the way");
    if (c->standalone)
        findings_add(f, FINDING_WARN, "config", NULL, "a Galera cluster of three nodes",
                     "standalone = true: one server without a quorum decides; when it is away nobody leads");
}

static void look(const struct cli_options *o, const struct config *c, const char *password,
                 struct doctor_facts *facts)
{
    struct look_login login = {.config = c, .password = password, .limit_ns = o->timeout_ns / 2};

    facts->config = c;
    look_host(facts);
    look_nodes(&login, facts);
    login.limit_ns = o->timeout_ns / 4;
    look_database(&login, facts);
    look_http(facts);
    if (o->hooks)
        look_check_hook(facts);
}

int verb_check(const struct cli_options *o)
{
    static struct doctor_facts facts;
    static struct config config;
    static struct findings f;
    static char password[ACCESS_PASSWORD_MAX + 1];
    bool blind = false;

    if (o->config_path[0] == '\0' || access(o->config_path, R_OK) < 0) {
        fprintf(stderr, "galera-lease check: %s%s%s\n", o->config_path, o->config_path[0] ? ": " : "",
                o->config_path[0] ? strerror(errno) : "which lease? give --config FILE or --lease NAME");
        return CHECK_UNKNOWN;
    }
    if (!read_config(o, &config, &f))
        return say(o, config.name[0] ? config.name : o->config_path, &f, false);
    if (config.password_file[0] && geteuid() != 0 && access(config.password_file, R_OK) < 0 &&
        errno == EACCES) {
        findings_add(&f, FINDING_SKIP, "config", config.password_file, NULL,
                     "this user may not read it: run check as the sidecar's user");
        blind = true;
    } else {
        check_files(o, &config, &f);
    }
    if (!blind) {
        /* One that cannot be used was named already; what the servers say without it is worth hearing. */
        if (config.password_file[0])
            access_password_read(config.password_file, password);
        look(o, &config, password, &facts);
        explicit_bzero(password, sizeof password);
        judge_all(&facts, &f);
    }
    int code = say(o, config.name, &f, blind);

    look_deinit(&facts);
    return code;
}
