/* The option table, the configuration reader, and the sample that ships: which input gives which messages. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "app/config.h"
#include "app/options.h"
#include "util/fsio.h"
#include "util/parse.h"

static char folder[64], path[128];
static struct config config;
static struct config_errors errors;

/* Everything that must be there, on line 1; what a case adds begins on line 2. */
#define GOOD                                                                                                 \
    "name = \"a\"; endpoints = (\"unix:/s\", \"unix:/t\"); user = \"u\"; promote = \"/p\"; demote = "        \
    "\"/d\"; "                                                                                               \
    "fence = \"/f\"; check = \"/c\"; member = \"m\"; tls = false;\n"

static void write_file(const char *text)
{
    assert_int_equal(fsio_replace(path, text, strlen(text), 0600, false), 0);
}

static int load(const char *text, config_verify_fn verify)
{
    write_file(text);
    return config_load(path, verify, &config, &errors);
}

struct mistake {
    const char *text;
    const char *messages[6]; /* each after "path" */
};

#define NAME_RULE     " is no valid name: 1 to 63 letters, digits, '.', '_' or '-', not beginning with '.' or '-'"
#define DURATION_RULE " is no duration: write a whole number and ms, s, m or h, like \"20s\""
#define ENDPOINT_RULE " is not an endpoint: write unix:/path, host:port or [v6-address]:port"
#define LIST_RULE                                                                                            \
    "endpoints: must be a list of 1 to 16 endpoints, like (\"unix:/run/mysqld/mysqld.sock\", "               \
    "\"10.0.0.2:3306\")"

static const struct mistake mistakes[] = {
    {"",
     {": name: is missing (the lease: one name per controller service)",
      ": endpoints: is missing (Galera nodes in order of preference: \"unix:/path\" or \"host:port\")",
      ": user: is missing (database account of the sidecar)",
      ": promote: is missing (hook: start the controller)", ": demote: is missing (hook: stop it gracefully)",
      ": fence: is missing (hook: stop it by force)"}},
    {GOOD "a = 1\nb = = 2\nc = \"x\"\n", {":3: syntax error"}},
    {GOOD "ttl = \"6s\";\nttl = \"7s\";\n", {":3: duplicate setting name"}},
    {GOOD "tll = \"6s\";\nhold = true;\n",
     {":2: tll: there is no such option", ":3: hold: there is no such option"}},
    {GOOD "ttl = 6;\npoll = \"5\";\nrenew = \"-1s\";\nmargin = \"1.5s\";\nkill_budget = \"1 s\";\n",
     {":2: ttl: must be a text in quotes with its unit, like \"20s\"", ":3: poll: \"5\"" DURATION_RULE,
      ":4: renew: \"-1s\"" DURATION_RULE, ":5: margin: \"1.5s\"" DURATION_RULE,
      ":6: kill_budget: \"1 s\"" DURATION_RULE}},
    {GOOD "ttl = \"500ms\";\n",
     {":2: ttl: ttl must lie between 1s and 1h (ttl 500ms - (demote_budget 125ms + kill_budget 50ms + margin "
      "25ms) - renew 50ms leaves 250ms)"}},
    {GOOD "\nttl = \"2h\";\n",
     {":3: ttl: ttl must lie between 1s and 1h (ttl 2h - (demote_budget 30m + kill_budget 12m + margin 6m) - "
      "renew 12m leaves 1h)"}},
    {GOOD "poll = \"0s\";\ncheck_budget = \"0ms\";\n",
     {":2: poll: every duration must be above zero and below a day (ttl 20s - (demote_budget 5s + "
      "kill_budget "
      "2s + margin 1s) - renew 2s leaves 10s)",
      ":3: check_budget: every duration must be above zero and below a day (ttl 20s - (demote_budget 5s + "
      "kill_budget 2s + margin 1s) - renew 2s leaves 10s)"}},
    {GOOD "demote_budget = \"16s\";\nmargin = \"100ms\";\n",
     {":2: demote_budget: ttl - (demote_budget + kill_budget + margin) - renew must be at least one renew "
      "and ttl/100: "
      "otherwise a single lost renewal stops the controller (ttl 20s - (demote_budget 16s + kill_budget 2s + "
      "margin 100ms) - renew 2s leaves 0s)",
      ":3: margin: margin must be at least ttl/50: it covers scheduling delay before the deadline (ttl 20s - "
      "(demote_budget 5s + kill_budget 2s + margin 100ms) - renew 2s leaves 10900ms)"}},
    /* Each fits alone, together they do not: the first is blamed, once. */
    {GOOD "demote_budget = \"9s\";\nkill_budget = \"7s\";\n",
     {":2: demote_budget: ttl - (demote_budget + kill_budget + margin) - renew must be at least one renew "
      "and ttl/100: "
      "otherwise a single lost renewal stops the controller (ttl 20s - (demote_budget 9s + kill_budget 7s + "
      "margin 1s) - renew 2s leaves 1s)"}},
    /* Good for the ttl that was meant; what was read instead of it accuses nobody else. */
    {GOOD "ttl = \"6\";\nmargin = \"200ms\";\n", {":2: ttl: \"6\"" DURATION_RULE}},
    {GOOD "renew = \"8s\";\npoll = \"6s\";\ncheck_budget = \"3s\";\n",
     {":2: renew: renew must be at most ttl/3: otherwise one lost renewal is too many (ttl 20s - "
      "(demote_budget 5s + kill_budget 2s + margin 1s) - renew 8s leaves 4s)",
      ":3: poll: poll must be at most ttl/4: followers would notice a free lease late (ttl 20s - "
      "(demote_budget 5s + kill_budget 2s + margin 1s) - renew 2s leaves 10s)",
      ":4: check_budget: check_budget must be at most kill_budget: otherwise a stop can't be confirmed "
      "before "
      "the deadline (ttl 20s - (demote_budget 5s + kill_budget 2s + margin 1s) - renew 2s leaves 10s)"}},
    {GOOD "priority = 1001;\nrestarts = -1;\ncheck_failures = 0;\ncontroller_port = 65536;\n",
     {":2: priority: 1001 is not between 0 and 1000", ":3: restarts: -1 is not between 0 and 100",
      ":4: check_failures: 0 is not between 1 and 100",
      ":5: controller_port: 65536 is not between 0 and 65535"}},
    {GOOD "priority = \"1\";\nrestarts = 1.5;\n",
     {":2: priority: must be a whole number without quotes",
      ":3: restarts: must be a whole number without quotes"}},
    {GOOD "restart_window = \"999ms\";\n", {":2: restart_window: 999ms is not between 1s and 168h"}},
    {GOOD "state_dir = \"var\";\nrun_dir = 5;\naddress = \"a\\x1bb\";\n",
     {":2: state_dir: \"var\" must be an absolute path", ":3: run_dir: must be a text in quotes",
      ":4: address: \"a?b\" holds characters that are not printable ASCII"}},
    {GOOD "cgroup = \"on\";\nlog_level = \"loud\";\ncontroller_endpoint = \"h:2\";\n",
     {":2: cgroup: \"on\" is neither \"auto\" nor \"off\"",
      ":3: log_level: \"loud\" is none of \"error\", \"warning\", \"info\", \"debug\"",
      ":4: controller_endpoint: \"h:2\" is not among the endpoints"}},
    {GOOD "tls_cert = \"/x\";\n",
     {":2: tls_cert and tls_key: only one of them is given", ":2: tls_cert: is of no use without tls_ca"}},
    {GOOD "http_listen = \"localhost:80\";\nhttp_redirect = \"ftp://{address}/\";\nhttp_tls_key = \"/x\";\n",
     {":2: http_listen: \"localhost:80\" is no numeric address with a port, like \"127.0.0.1:8008\" or "
      "\"[::1]:8008\"",
      ":3: http_redirect: \"ftp://{address}/\" is no http:// or https:// URL with {address} and {port} in it",
      ":4: http_tls_cert and http_tls_key: only one of them is given"}},
    {GOOD "http_tls_cert = \"/x\"; http_tls_key = \"/x\";\n",
     {":2: http_tls_cert: is of no use without http_listen"}},
    {GOOD "tls_ca = \"/x\";\n", {":1: tls: false, and yet there is a tls_ca: which of them?"}},
    {"name = \"a\"; user = \"u\"; promote = \"/p\"; demote = \"/d\"; fence = \"/f\"; check = \"/c\"; member "
     "= \"m\";\n"
     "endpoints = (\"unix:/s\", \"127.0.0.1\", \"[::1]:1\", \"localhost:2\",\n\"10.0.0.2:3306\", "
     "\"h\");\ntls = 1;\n",
     {":4: tls: must be true or false, without quotes",
      ":2: endpoints: \"127.0.0.1\" is reached over TCP, and there is no password_file: unix_socket "
      "authentication works on a local socket only",
      ":2: endpoints: \"10.0.0.2:3306\" is on another host, and there is no tls_ca to know it by; to speak "
      "to it in "
      "clear, write tls = false"}},
    /* An empty tls_ca is none. */
    {"name = \"a\"; user = \"u\"; promote = \"/p\"; demote = \"/d\"; fence = \"/f\"; check = \"/c\"; member "
     "= \"m\"; endpoints = (\"h:1\");\ntls_ca = \"\"; password_file = \"/w\";\n",
     {":1: endpoints: \"h:1\" is on another host, and there is no tls_ca to know it by; to speak to it in "
      "clear, write tls = false"}},
    {"name = \"a b\";\nmember = \".x\";\nendpoints = ();\nuser = \"\";\npromote = \"p\";\n"
     "demote = \"/d\"; fence = \"/f\"; check = \"/c\";\n",
     {":1: name: \"a b\"" NAME_RULE, ":2: member: \".x\"" NAME_RULE, ":3: " LIST_RULE,
      ":4: user: must not be empty (database account of the sidecar)",
      ":5: promote: \"p\" must be an absolute path"}},
    {"name = \"a\"; user = \"u\"; promote = \"/p\"; demote = \"/d\"; fence = \"/f\"; check = \"/c\";\n"
     "endpoints = (\"unix:s\",\n\"h:0\",\n7,\n\"h:1\",\n\"h:1\");\nmember = \"m\"; tls = false; "
     "password_file = \"/w\";\n",
     {":2: endpoints: \"unix:s\"" ENDPOINT_RULE, ":3: endpoints: \"h:0\"" ENDPOINT_RULE,
      ":4: endpoints: entry 3 is not a text in quotes", ":6: endpoints: \"h:1\" is given twice"}},
    {"name = \"a\"; user = \"u\"; promote = \"/p\"; demote = \"/d\"; fence = \"/f\"; check = \"/c\";\n"
     "endpoints = \"h:1\"; member = \"m\";\n",
     {":2: " LIST_RULE}},
};

static void test_mistakes(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof mistakes / sizeof mistakes[0]; i++) {
        size_t count = 0;

        assert_int_equal(load(mistakes[i].text, NULL), 1);
        for (; count < 6 && mistakes[i].messages[count]; count++) {
            char expected[1024];

            assert_true(count < errors.count);
            snprintf(expected, sizeof expected, "%s%s", path, mistakes[i].messages[count]);
            assert_string_equal(errors.list[count], expected);
        }
        /* The empty file misses one more than the table has room for. */
        assert_int_equal(errors.count, i == 0 ? 7 : count);
    }
}

static void test_many_mistakes_are_cut(void **state)
{
    char text[8192] = GOOD;
    char expected[256];

    (void)state;
    for (unsigned i = 0; i < CONFIG_ERRORS_MAX + 10; i++)
        snprintf(text + strlen(text), sizeof text - strlen(text), "x%u = 1;\n", i);
    assert_int_equal(load(text, NULL), 1);
    assert_int_equal(errors.count, CONFIG_ERRORS_MAX);
    snprintf(expected, sizeof expected, "%s: and more", path);
    assert_string_equal(errors.list[CONFIG_ERRORS_MAX - 1], expected);
}

static void test_missing_file(void **state)
{
    (void)state;
    assert_int_equal(config_load("/nonexistent/x.conf", NULL, &config, &errors), 1);
    assert_int_equal(errors.count, 1);
    assert_string_equal(errors.list[0], "/nonexistent/x.conf: cannot be read");
}

/* Too long for its field: refused, never cut. */
static void test_too_long(void **state)
{
    char text[2048] = GOOD, user[ACCESS_USER_MAX + 2], expected[256];

    (void)state;
    memset(user, 'u', sizeof user - 1);
    user[sizeof user - 1] = '\0';
    snprintf(text + strlen(text), sizeof text - strlen(text), "controller_version = \"%s%s%s%s\";\n", user,
             user, user, user);
    assert_int_equal(load(text, NULL), 1);
    assert_int_equal(errors.count, 1);
    snprintf(expected, sizeof expected, "%s:2: controller_version: longer than 255 characters", path);
    assert_string_equal(errors.list[0], expected);
}

static void test_values(void **state)
{
    (void)state;
    assert_int_equal(
        load(GOOD "ttl = \"6s\";\npoll = \"100ms\";\ncontroller_endpoint = \"unix:/t\";\nrestarts = 0;\n"
                  "controller_port = 9501;\n",
             NULL),
        0);
    assert_int_equal(errors.count, 0);
    assert_int_equal(config.timing.ttl_ns, 6 * LEASE_NS_PER_S);
    assert_int_equal(config.timing.poll_ns, 100 * LEASE_NS_PER_MS);
    assert_int_equal(config.timing.renew_ns, 600 * LEASE_NS_PER_MS);
    assert_int_equal(config.restarts, 0);
    assert_int_equal(config.check_failures, 3);
    assert_int_equal(config.controller_port, 9501);
    assert_int_equal(config.endpoint_count, 2);
    assert_string_equal(config.endpoints[0], "unix:/s");
    assert_string_equal(config.controller_endpoint, "unix:/t");
    assert_string_equal(config.state_dir, "/var/lib/galera-lease/a");
    assert_string_equal(config.run_dir, "/run/galera-lease/a");
    assert_string_equal(config.cgroup, "auto");
    /* The order of the lines does not matter: a time given before the ttl is kept. */
    assert_int_equal(load(GOOD "poll = \"100ms\";\nttl = \"6s\";\n", NULL), 0);
    assert_int_equal(config.timing.poll_ns, 100 * LEASE_NS_PER_MS);
    assert_int_equal(config.timing.renew_ns, 600 * LEASE_NS_PER_MS);
}

static int refuse_fence(const char *hook, char *ret_reason, unsigned size)
{
    if (strcmp(hook, "/f") != 0)
        return 0;
    snprintf(ret_reason, size, "it is /f");
    return 1;
}

static void test_hooks_and_password(void **state)
{
    char text[1024], secret[128], expected[512];

    (void)state;
    snprintf(secret, sizeof secret, "%s/secret", folder);
    snprintf(text, sizeof text, GOOD "password_file = \"%s\";\n", secret);
    assert_int_equal(load(text, NULL), 0); /* somebody who only asks */
    assert_int_equal(load(text, refuse_fence), 1);
    assert_int_equal(errors.count, 2);
    snprintf(expected, sizeof expected,
             "%s:2: password_file: %s cannot be read: does it exist, and may this user read it?", path,
             secret);
    assert_string_equal(errors.list[0], expected);
    snprintf(expected, sizeof expected, "%s:1: fence: hook refused: it is /f", path);
    assert_string_equal(errors.list[1], expected);

    /* No permission for group or others, whatever it is. */
    static const mode_t refused[] = {0640, 0604, 0620, 0610, 0601, 0660, 0644};

    assert_int_equal(fsio_replace(secret, "geheim\n", 7, 0600, false), 0);
    assert_int_equal(load(text, refuse_fence), 1);
    assert_int_equal(errors.count, 1);
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        assert_int_equal(chmod(secret, refused[i]), 0);
        assert_int_equal(load(text, refuse_fence), 1);
        assert_int_equal(errors.count, 2);
        assert_non_null(strstr(errors.list[0], " is not private: "));
    }
    unlink(secret);
}

static void read_sample(char *text, size_t size)
{
    assert_int_equal(fsio_read(SAMPLE, text, size, NULL), 0);
}

/* "# key = value;" with nothing else on the line shows a default. */
static bool shows_default(const char *line)
{
    size_t word = strspn(line + 2, "abcdefghijklmnopqrstuvwxyz_");

    return strncmp(line, "# ", 2) == 0 && word > 0 && strncmp(line + 2 + word, " = ", 3) == 0;
}

/* What is commented out shows the default: with every such line alive, the result is the same. */
static void test_sample_shows_the_defaults(void **state)
{
    static char text[16384];
    static struct config shipped, all;

    (void)state;
    read_sample(text, sizeof text);
    assert_int_equal(config_load(SAMPLE, NULL, &shipped, &errors), 0);
    for (char *line = text; line && *line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL)
        if (shows_default(line))
            line[0] = line[1] = ' ';
    if (load(text, NULL) != 0)
        fail_msg("%s", errors.list[0]);
    all = config;
    /* The one default that is the host's own. */
    assert_string_equal(all.member, "node1");
    memset(all.member, 0, sizeof all.member);
    memset(shipped.member, 0, sizeof shipped.member);
    for (size_t i = 0; i < option_row_count; i++) {
        const struct option_row *o = &option_rows[i];

        if (memcmp((char *)&all + o->offset, (char *)&shipped + o->offset, o->size) != 0)
            fail_msg("the sample shows another default for %s", o->name);
    }
}

/* Every option stands in the sample exactly once: alive when it is required, else commented out, with the
 * table's own text. */
static void test_sample_has_every_option(void **state)
{
    static char text[16384];

    (void)state;
    read_sample(text, sizeof text);
    for (size_t i = 0; i < option_row_count; i++) {
        const struct option_row *o = &option_rows[i];
        char alive[128], comment[128], value[256] = "";
        unsigned lines = 0;

        snprintf(alive, sizeof alive, "%s = ", o->name);
        snprintf(comment, sizeof comment, "# %s = ", o->name);
        for (char *line = text; line && *line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL) {
            const char *start = o->flags & (OPTION_REQUIRED | OPTION_ADVISED) ? alive : comment;

            if (strncmp(line, start, strlen(start)) != 0)
                continue;
            lines++;
            snprintf(value, sizeof value, "%.*s", (int)strcspn(line + strlen(start), "\n"),
                     line + strlen(start));
        }
        if (lines != 1)
            fail_msg("%s stands in the sample %u times", o->name, lines);
        if (o->fallback) {
            char expected[256];

            snprintf(expected, sizeof expected,
                     o->type == OPTION_COUNT || o->type == OPTION_SWITCH ? "%s;%s" : "\"%s\";%s", o->fallback,
                     o->flags & OPTION_RELOAD ? " # reload" : "");
            assert_string_equal(value, expected);
        }
    }
}

/* Each row of the table can be used: its field has the size of its type, its name is unique, its text is
 * there. */
static void test_table(void **state)
{
    (void)state;
    for (size_t i = 0; i < option_row_count; i++) {
        const struct option_row *o = &option_rows[i];

        assert_ptr_equal(option_find(o->name), o);
        assert_true(o->help && o->help[0]);
        assert_true(o->offset + o->size <= sizeof(struct config));
        assert_false((o->flags & OPTION_REQUIRED) && o->fallback);
        if (o->type == OPTION_DURATION || o->type == OPTION_COUNT)
            assert_int_equal(o->size, sizeof(uint64_t));
        else if (o->type == OPTION_NAME)
            assert_int_equal(o->size, LEASE_NAME_MAX + 1);
        if (o->type == OPTION_COUNT)
            assert_true(o->min < o->max);
        if (o->flags & OPTION_TIMING)
            assert_true(o->offset >= offsetof(struct config, timing) &&
                        o->offset < offsetof(struct config, timing) + sizeof(struct lease_timing));
    }
    assert_null(option_find("nonsense"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_mistakes),
        cmocka_unit_test(test_many_mistakes_are_cut),
        cmocka_unit_test(test_missing_file),
        cmocka_unit_test(test_too_long),
        cmocka_unit_test(test_hooks_and_password),
        cmocka_unit_test(test_sample_has_every_option),
        cmocka_unit_test(test_sample_shows_the_defaults),
    };
    strcpy(folder, "/tmp/test_config.XXXXXX");
    if (!mkdtemp(folder))
        return 1;
    snprintf(path, sizeof path, "%s/x.conf", folder);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);

    unlink(path);
    rmdir(folder);
    return failed;
}
