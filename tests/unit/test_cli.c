/* The command line: how the list looks, which command line ends with which code, and what status says. No
 * database: what needs one is told that there is none. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>

#include "cli/cli.h"
#include "cli/listing.h"
#include "util/fsio.h"

static char folder[64], config_path[128], status_path[128];
static char out[16384], err[16384];

/* ---- the list ---- */

static const struct lease_row held = {
    .version = {.epoch = 42}, .ttl_ms = 20000, .state = LEASE_ROW_HELD, .holder = "node1"};

static const struct rows_member three[] = {
    {.member = {.name = "node1", .epoch_seen = 41, .priority = 100},
     .address = "10.0.0.1",
     .port = 9501,
     .role = "leader",
     .version = "2.3.4",
     .seen_ms = 420},
    {.member = {.name = "node2", .epoch_seen = 42, .priority = 100},
     .address = "10.0.0.2",
     .port = 9501,
     .role = "follower",
     .why_not = "Another member holds the lease.",
     .version = "2.3.4",
     .seen_ms = 999},
    {.member = {.name = "node3", .epoch_seen = 42, .priority = 0},
     .address = "10.0.0.3",
     .port = 9501,
     .role = "follower",
     .why_not = "Its priority is 0: it never leads.",
     .version = "2.3.4",
     .seen_ms = 1100},
};

static const struct rows_member odd[] = {
    {.member = {.name = "node1", .epoch_seen = 42},
     .role = "leader",
     .seen_ms = 9001,
     .seen_at = "2026-01-02 03:04:05.678"},
    {.member = {.name = "n2", .epoch_seen = 7},
     .role = "promoting",
     .why_not = "Its promote hook is running."},
    {.member = {.name = "n3"}, .role = "leader", .seen_ms = 9000},
    {.member = {.name = "n4"}, .role = "follower", .seen_at = "x", .seen_ms = UINT64_C(3) * 86400000},
};

static const char *table(const struct listing *l, bool long_list)
{
    char *text = NULL;
    size_t size;
    FILE *f = open_memstream(&text, &size);

    assert_int_equal(listing_print_table(l, long_list, f), 0);
    fclose(f);
    snprintf(out, sizeof out, "%s", text);
    free(text);
    return out;
}

static void test_long_list(void **state)
{
    const struct listing l = {.lease = "cmon", .row = &held, .members = three, .count = 3};

    (void)state;
    assert_string_equal(table(&l, true),
                        "S VERSION  NAME   ADDRESS    PORT  EPOCH  SEEN  COMMENT\n"
                        "l 2.3.4    node1  10.0.0.1   9501     42  0.4s  Acting as leader.\n"
                        "f 2.3.4    node2  10.0.0.2   9501     42  0.9s  Accepting heartbeats.\n"
                        "f 2.3.4    node3  10.0.0.3   9501     42  1.1s  Its priority is 0: it never leads.\n"
                        "Total: 3 controller(s)\n");
    assert_true(listing_has_leader(&l));
}

static void test_short_list(void **state)
{
    const struct listing l = {.lease = "cmon", .row = &held, .members = three, .count = 2};

    (void)state;
    assert_string_equal(table(&l, false), "S VERSION  NAME   ADDRESS    PORT  EPOCH  COMMENT\n"
                                          "l 2.3.4    node1  10.0.0.1   9501     42  Acting as leader.\n"
                                          "f 2.3.4    node2  10.0.0.2   9501     42  Accepting heartbeats.\n"
                                          "Total: 2 controller(s)\n");
}

static void test_odd_list(void **state)
{
    const struct listing l = {.lease = "cmon", .row = &held, .members = odd, .count = 4};

    (void)state;
    assert_string_equal(
        table(&l, true),
        "S VERSION  NAME   ADDRESS   PORT  EPOCH  SEEN  COMMENT\n"
        "- -        node1  -            -     42  9.0s  Not seen since 2026-01-02 03:04:05.678; it holds the "
        "lease.\n"
        "? -        n2     -            -      7  0.0s  promoting: Its promote hook is running.\n"
        "? -        n3     -            -      0  9.0s  leader: \n"
        "- -        n4     -            -      0    3d  Not seen since x.\n"
        "Total: 4 controller(s)\n");
    assert_false(listing_has_leader(&l));
}

/*
 * Whom the break-glass release does not overrule, also one that has just begun, whose row says so late; and
 * for whom it is, which is asked only of one that is seen now. Of all others the lease itself is asked.
 */
static void test_who_acts(void **state)
{
    static const struct {
        const char *role;
        uint64_t seen_ms;
        bool holder, acts, stops;
    } rows[] = {{"leader", 0, true, true, false},        {"promoting", 0, true, true, false},
                {"acquiring", 0, true, true, false},     {"follower", 0, true, false, false},
                {"demoting", 0, true, false, true},      {"fenced", 0, true, false, true},
                {"ended", 0, true, false, false},        {"leader", 99000, true, false, false},
                {"demoting", 99000, true, false, false}, {"follower", 99000, true, false, false},
                {"leader", 0, false, false, false},      {"promoting", 0, false, false, false},
                {"demoting", 0, false, false, false}};
    const struct listing l = {.lease = "cmon", .row = &held};

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct rows_member m = {.seen_ms = rows[i].seen_ms};

        strcpy(m.member.name, rows[i].holder ? held.holder : "another");
        strcpy(m.role, rows[i].role);
        assert_int_equal(listing_acts(&l, &m), rows[i].acts);
        assert_int_equal(listing_stops(&l, &m), rows[i].stops);
    }
}

static void test_empty_list(void **state)
{
    const struct listing l = {.lease = "cmon", .row = &held};

    (void)state;
    assert_non_null(strstr(table(&l, true), "Total: 0 controller(s)\n"));
}

/* Who is called the holder of a free row leads nobody. */
static void test_free_row(void **state)
{
    struct lease_row row = held;
    const struct listing l = {.lease = "cmon", .row = &row, .members = three, .count = 3};

    (void)state;
    row.state = LEASE_ROW_FREE;
    assert_false(listing_has_leader(&l));
    assert_int_equal(listing_sign(&l, &three[0]), '?');
    assert_int_equal(listing_epoch(&l, &three[0]), 41);
}

/* As the database answers; the second of two rows is like the first. */
#define CELL(text)                                                                                           \
    {                                                                                                        \
        (text), sizeof(text) - 1                                                                             \
    }
static struct table_cell hold_cells[] = {CELL("2026-01-02 03:04:05"), CELL("op: disks\n")};
static struct table_cell alarm_cells[5 * (LISTING_ALARMS + 1)] = {CELL("2026-01-02 03:04:05"), CELL("node2"),
                                                                  CELL("rogue"), CELL("rogue"), CELL("41")};
static const struct table hold = {.rows = 1, .columns = 2, .cells = hold_cells};
static struct table alarms = {.columns = 5, .cells = alarm_cells};
static const struct table nothing = {.rows = 0};

static void test_notices(void **state)
{
    const struct listing l = {.lease = "cmon", .row = &held, .hold = &hold, .alarms = &alarms};
    const struct listing quiet = {.lease = "cmon", .row = &held, .hold = &nothing, .alarms = &nothing};
    static const char alarm[] = "ALARM 2026-01-02 03:04:05 (UTC) node2: rogue, rogue, epoch 41\n";
    static const char first[] = "Held until 2026-01-02 03:04:05 (UTC), op: disks?\n";
    char *text = NULL;
    size_t size;
    FILE *f = open_memstream(&text, &size);

    (void)state;
    for (size_t i = 5; i < sizeof alarm_cells / sizeof alarm_cells[0]; i++)
        alarm_cells[i] = alarm_cells[i - 5];
    alarms.rows = LISTING_ALARMS + 1;
    listing_print_notices(&l, f);
    fclose(f);
    assert_memory_equal(text, first, sizeof first - 1);
    for (size_t i = 0; i < LISTING_ALARMS; i++)
        assert_memory_equal(text + sizeof first - 1 + i * (sizeof alarm - 1), alarm, sizeof alarm - 1);
    assert_string_equal(text + sizeof first - 1 + LISTING_ALARMS * (sizeof alarm - 1),
                        "... and more alarms: SELECT * FROM galera_lease.alarms\n"
                        "When you have looked into it: galera-lease alarm ack --lease cmon --reason ...\n");
    free(text);
    f = open_memstream(&text, &size);
    listing_print_notices(&quiet, f);
    fclose(f);
    assert_string_equal(text, "");
    free(text);
}

static void test_json_list(void **state)
{
    const struct listing l = {
        .lease = "cmon", .row = &held, .members = three, .count = 3, .hold = &hold, .alarms = &alarms};
    char *text = NULL;
    size_t size;
    FILE *f = open_memstream(&text, &size);

    (void)state;
    alarms.rows = 2;
    assert_int_equal(listing_print_json(&l, f), 0);
    fclose(f);
    json_t *j = json_loads(text, 0, NULL);
    json_t *first = json_array_get(json_object_get(j, "members"), 0);

    assert_string_equal(json_string_value(json_object_get(j, "lease")), "cmon");
    assert_string_equal(json_string_value(json_object_get(j, "state")), "held");
    assert_string_equal(json_string_value(json_object_get(j, "holder")), "node1");
    assert_int_equal(json_integer_value(json_object_get(j, "epoch")), 42);
    assert_int_equal(json_array_size(json_object_get(j, "members")), 3);
    assert_string_equal(json_string_value(json_object_get(first, "state")), "l");
    assert_string_equal(json_string_value(json_object_get(first, "name")), "node1");
    assert_int_equal(json_integer_value(json_object_get(first, "epoch")), 42);
    assert_int_equal(json_integer_value(json_object_get(first, "port")), 9501);
    assert_int_equal(json_integer_value(json_object_get(first, "seen_ms")), 420);
    assert_string_equal(json_string_value(json_object_get(first, "comment")), "Acting as leader.");
    assert_string_equal(json_string_value(json_object_get(json_object_get(j, "hold"), "reason")),
                        "op: disks?");
    first = json_array_get(json_object_get(j, "alarms"), 1);
    assert_int_equal(json_array_size(json_object_get(j, "alarms")), 2);
    assert_string_equal(json_string_value(json_object_get(first, "what")), "rogue");
    assert_int_equal(json_integer_value(json_object_get(first, "epoch")), 41);
    assert_true(json_is_false(json_object_get(j, "more_alarms")));
    json_decref(j);
    free(text);
}

static void test_full_disk(void **state)
{
    const struct listing l = {
        .lease = "cmon", .row = &held, .members = three, .count = 3, .hold = &nothing, .alarms = &nothing};
    FILE *f = fopen("/dev/full", "w");

    (void)state;
    assert_non_null(f);
    setvbuf(f, NULL, _IONBF, 0);
    assert_true(listing_print_json(&l, f) < 0);
    fclose(f);
}

/* ---- command lines ---- */

static void slurp(int fd, char *buf, size_t size)
{
    ssize_t n = pread(fd, buf, size - 1, 0);

    assert_true(n >= 0);
    buf[n] = '\0';
    close(fd);
}

static int temporary(void)
{
    char name[] = "/tmp/test_cli.out.XXXXXX";
    int fd = mkstemp(name);

    assert_true(fd >= 0);
    unlink(name);
    return fd;
}

/* The program's exit code; what it said is in out and err. In a child, as it would really run. */
static int program_to(int out_fd, const char *const words[], int count)
{
    int err_fd = temporary(), status;

    fflush(NULL);
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0) {
        char *argv[16] = {strdup("galera-lease")};

        for (int i = 0; i < count; i++)
            argv[i + 1] = strdup(strcmp(words[i], "CONFIG") == 0 ? config_path : words[i]);
        dup2(out_fd, STDOUT_FILENO);
        dup2(err_fd, STDERR_FILENO);
        exit(cli_main(count + 1, argv));
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    slurp(err_fd, err, sizeof err);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static int program(const char *const words[], int count)
{
    int out_fd = temporary(), code = program_to(out_fd, words, count);

    slurp(out_fd, out, sizeof out);
    return code;
}

#define PROGRAM(...)                                                                                         \
    program((const char *[]){__VA_ARGS__}, (int)(sizeof((const char *[]){__VA_ARGS__}) / sizeof(char *)))

static const struct {
    const char *words[8];
    int code;
    const char *says; /* on stdout for 0, else on stderr */
} lines[] = {
    {{NULL}, CLI_USAGE, "usage: galera-lease VERB"},
    {{"--help"},
     CLI_OK,
     "exit: 0 done, 1 failed, 2 usage or configuration, 3 no leader or nothing found,\n"
     "      4 database unreachable or without quorum, 5 time limit passed,"},
    {{"help"}, CLI_OK, "  step-down  ask the leader"},
    {{"run", "--help"}, CLI_OK, "--check-config "},
    {{"init", "--help"}, CLI_OK, "--print-sql "},
    {{"list", "--help"}, CLI_OK, "--long "},
    {{"status", "--help"}, CLI_OK, "--json "},
    {{"step-down", "--help"}, CLI_OK, "--reason TEXT "},
    {{"hold", "--for", "1500ms"}, CLI_USAGE, "--for \"1500ms\" is no time for a hold"},
    {{"hold", "--for", "25h"}, CLI_USAGE, "--for \"25h\" is no time for a hold"},
    {{"hold", "--reason", "x"}, CLI_USAGE, "give --for TIME"},
    {{"hold", "--for", "10m"}, CLI_USAGE, "give --reason TEXT"},
    {{"switchover", "--to", "-x"}, CLI_USAGE, "--to \"-x\" is no member name"},
    {{"--dump-fsm"}, CLI_OK, "\n    demoting -> fenced;\n"},
    {{"--dump-fsm", "now"}, CLI_USAGE, "is no verb"},
    {{"version", "--help"}, CLI_OK, "--json "},
    {{"version"}, CLI_OK, "galera-lease " GALERA_LEASE_VERSION "\n"},
    {{"--version"}, CLI_OK, "galera-lease " GALERA_LEASE_VERSION "\n"},
    {{"version", "--json"}, CLI_OK, "{\"version\": \"" GALERA_LEASE_VERSION "\"}\n"},
    {{"elect"}, CLI_USAGE, "\"elect\" is no verb"},
    {{""}, CLI_USAGE, "\"\" is no verb"},
    {{"list"}, CLI_USAGE, "which lease? give --config FILE or --lease NAME"},
    {{"list", "--config"}, CLI_USAGE, "requires an argument"},
    {{"list", "--config", ""}, CLI_USAGE, "is no usable path"},
    {{"list", "--lease", "../etc"}, CLI_USAGE, "--lease \"../etc\" is no lease name"},
    {{"list", "--lease", "a", "--config", "b"}, CLI_USAGE, "\"b\" is a second configuration"},
    {{"list", "--lease", "no-such-lease"}, CLI_USAGE, "/etc/galera-lease/no-such-lease.conf: cannot be read"},
    {{"list", "--config", "CONFIG", "rest"}, CLI_USAGE, "\"rest\" is one argument too many"},
    {{"list", "--config", "CONFIG", "--timeout", "10"}, CLI_USAGE, "--timeout \"10\" is no time"},
    {{"list", "--config", "CONFIG", "--timeout", "0s"}, CLI_USAGE, "--timeout \"0s\" is no time"},
    {{"list", "--config", "CONFIG", "--timeout", "2h"}, CLI_USAGE, "--timeout \"2h\" is no time"},
    /* An option of another verb is a mistake, not ignored. */
    {{"list", "--config", "CONFIG", "--print-sql"}, CLI_USAGE, "unrecognized option"},
    {{"run", "--config", "CONFIG", "--timeout", "1s"}, CLI_USAGE, "unrecognized option"},
    {{"version", "--lease", "a"}, CLI_USAGE, "unrecognized option"},
    {{"run", "--config", "CONFIG", "--check-config"}, CLI_USAGE, "promote: hook refused: "},
    {{"run", "--config", "CONFIG", "--print-config"}, CLI_OK, "# ttl = \"20s\";"},
    {{"run", "--config", "CONFIG", "--json"}, CLI_USAGE, "--json is for --print-config and --check-config"},
    {{"init", "--config", "CONFIG", "--json", "--print-sql"}, CLI_USAGE, "give one of them"},
    {{"list", "--config", "CONFIG", "--interval", "1s"}, CLI_USAGE, "--interval is for --watch"},
    {{"list", "--config", "CONFIG", "--watch", "--interval", "99ms"},
     CLI_USAGE,
     "--interval \"99ms\" is no time"},
    {{"list", "--config", "CONFIG", "--watch", "--interval", "2h"},
     CLI_USAGE,
     "--interval \"2h\" is no time"},
    {{"check", "--help"}, CLI_OK, "exit: 0 all is well, 1 warnings, 2 failures, 3 it could not look\n"},
    {{"check"}, CHECK_UNKNOWN, "which lease?"},
    {{"check", "--config", "/nonexistent"}, CHECK_UNKNOWN, "/nonexistent: No such file"},
    {{"check", "--nonsense"}, CHECK_UNKNOWN, "unrecognized option"},
    {{"run", "--config", "CONFIG", "--print-config", "--check-config"}, CLI_USAGE, "give one of them"},
    {{"init", "--config", "CONFIG", "--print-sql"}, CLI_OK, "CREATE"},
    {{"init", "--config", "CONFIG", "--socket", "run.sock"},
     CLI_USAGE,
     "--socket: \"unix:run.sock\" is not an endpoint"},
    {{"init", "--config", "CONFIG", "--password-file", "/nonexistent"},
     CLI_USAGE,
     "--password-file: /nonexistent cannot be read"},
    {{"init", "--config", "CONFIG"}, CLI_UNREACHABLE, "cannot reach the database: unix:"},
    {{"list", "--config", "CONFIG"}, CLI_UNREACHABLE, "cannot reach the database: unix:"},
    {{"step-down", "--config", "CONFIG"}, CLI_UNREACHABLE, "cannot reach the database: unix:"},
    {{"status", "--config", "CONFIG"}, CLI_UNREACHABLE, "no sidecar of lease cmon runs on this host"},
};

static void test_command_lines(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        int count = 0;

        while (count < 8 && lines[i].words[count])
            count++;
        int code = program(lines[i].words, count);

        if (code != lines[i].code || !strstr(code == CLI_OK ? out : err, lines[i].says))
            fail_msg("line %zu (%s %s): exit %d\nstdout: %s\nstderr: %s", i,
                     count > 0 ? lines[i].words[0] : "", count > 1 ? lines[i].words[1] : "", code, out, err);
        /* Results on stdout, mistakes on stderr, never mixed. */
        assert_string_equal(code == CLI_OK ? err : out, "");
    }
}

static void test_lost_output(void **state)
{
    FILE *full = fopen("/dev/full", "w");

    (void)state;
    assert_non_null(full);
    assert_int_equal(program_to(fileno(full), (const char *[]){"version"}, 1), CLI_FAILED);
    assert_non_null(strstr(err, "the output cannot be written"));
    fclose(full);
}

static void test_failures(void **state)
{
    static const struct {
        int result;
        bool non_primary;
        int code;
    } cases[] = {
        {-ENOMEM, false, CLI_FAILED},
        {SYNC_UNREACHABLE, false, CLI_UNREACHABLE},
        {SYNC_UNREACHABLE, true, CLI_UNREACHABLE},
        {SYNC_FAILED, false, CLI_FAILED},
        {SYNC_FAILED, true, CLI_UNREACHABLE},
        {SYNC_TIMEOUT, false, CLI_TIMEOUT},
        {SYNC_MALFORMED, false, CLI_FAILED},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct sync_error error = {.non_primary = cases[i].non_primary};

        assert_int_equal(session_failed("test, ignoring", cases[i].result, &error), cases[i].code);
    }
}

/* Three numbers for one thing that somebody forgot. */
static void test_hint_at_the_schema(void **state)
{
    static const unsigned numbers[] = {1049, 1142, 1146};

    (void)state;
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        struct sync_error error = {.error = numbers[i], .endpoint = "h:1", .text = "no such thing"};
        int fd = temporary(), old = dup(STDERR_FILENO);

        dup2(fd, STDERR_FILENO);
        session_failed("cannot read the lease", SYNC_FAILED, &error);
        dup2(old, STDERR_FILENO);
        close(old);
        slurp(fd, err, sizeof err);
        assert_string_equal(err,
                            "galera-lease: cannot read the lease: h:1: there is no schema galera_lease here "
                            "(galera-lease init makes it), a table of it is gone, or this account may not "
                            "see it (is its role its default?): no such thing\n");
    }
}

static void test_dead_or_unwilling(void **state)
{
    static const struct {
        unsigned error;
        const char *says;
    } rows[] = {{0, "cannot reach the database: "},   {2002, "cannot reach the database: "},
                {1045, "cannot use the database: "},  {1047, "cannot use the database: "},
                {65001, "cannot use the database: "}, {65004, "cannot use the database: "}};

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct sync_error error = {.error = rows[i].error, .endpoint = "h:1", .text = "text"};
        int fd = temporary(), old = dup(STDERR_FILENO);

        dup2(fd, STDERR_FILENO);
        assert_int_equal(session_no_use(SYNC_UNREACHABLE, &error), CLI_UNREACHABLE);
        dup2(old, STDERR_FILENO);
        close(old);
        slurp(fd, err, sizeof err);
        assert_non_null(strstr(err, rows[i].says));
        assert_non_null(strstr(err, "h:1: text\n"));
    }
}

static void test_every_endpoint_is_named(void **state)
{
    char both[512];

    (void)state;
    assert_int_equal(PROGRAM("list", "--config", "CONFIG"), CLI_UNREACHABLE);
    const char *second = strchr(err, '\n') + 1;

    snprintf(both, sizeof both, "galera-lease: cannot reach the database: unix:%s/none: ", folder);
    assert_memory_equal(err, both, strlen(both));
    snprintf(both, sizeof both, "galera-lease: cannot reach the database: unix:%s/other: ", folder);
    assert_memory_equal(second, both, strlen(both));
    assert_string_equal(strchr(second, '\n'), "\n");
}

/* ---- status ---- */

static void write_status(long long pid, long long age_s)
{
    char text[2048];

    snprintf(
        text, sizeof text,
        "{\"lease\": \"cmon\", \"member\": \"m\", \"pid\": %lld, \"written\": %lld, \"role\": \"leader\", "
        "\"epoch\": 42, \"time_left_ms\": 17000, \"holder\": \"m\", \"guardian\": true, \"why_not_leader\": "
        "\"\", \"containment\": \"cgroup\", \"regression\": false, \"last_error\": \"bad\\u001b[31m\", "
        "\"last_error_at\": %lld, \"hold_left_ms\": 59900, "
        "\"endpoints\": [{\"endpoint\": \"unix:/s\", \"in_use\": true, \"error\": \"\"}, {\"endpoint\": "
        "\"h:1\", \"in_use\": false, \"error\": \"2002 \\u0007refused\"}]}\n",
        pid, (long long)time(NULL) - age_s, (long long)time(NULL) - 720);
    assert_int_equal(fsio_replace(status_path, text, strlen(text), 0644, false), 0);
}

static void test_status_of_a_leader(void **state)
{
    (void)state;
    write_status(getpid(), 0);
    assert_int_equal(PROGRAM("status", "--config", "CONFIG"), CLI_OK);
    assert_string_equal(err, "");
    assert_string_equal(out, "lease:      cmon\n"
                             "member:     m\n"
                             "role:       leader\n"
                             "epoch:      42\n"
                             "time left:  17000 ms\n"
                             "hold:       for 59 s yet\n"
                             "holder:     m\n"
                             "guardian:   running\n"
                             "contained:  cgroup\n"
                             "endpoint:   unix:/s (in use)\n"
                             "endpoint:   h:1: 2002 ?refused\n"
                             "last error: bad?[31m (12m ago)\n");
    assert_int_equal(PROGRAM("status", "--config", "CONFIG", "--json"), CLI_OK);
    json_t *j = json_loads(out, 0, NULL);

    assert_string_equal(json_string_value(json_object_get(j, "source")), "sidecar");
    assert_true(json_is_true(json_object_get(j, "answers")));
    assert_int_equal(json_integer_value(json_object_get(j, "time_left_ms")), 17000);
    json_decref(j);
}

/* It lives but writes nothing: what it said last is shown, and not as if it were so. */
static void test_status_of_a_frozen_sidecar(void **state)
{
    (void)state;
    write_status(getpid(), 60);
    assert_int_equal(PROGRAM("status", "--config", "CONFIG"), CLI_FAILED);
    assert_non_null(strstr(err, " s old: the sidecar (pid "));
    assert_non_null(strstr(out, "role:       leader\n"));
    assert_null(strstr(out, "time left"));
    /* A clock set back an hour is no accusation. */
    write_status(getpid(), -3600);
    assert_int_equal(PROGRAM("status", "--config", "CONFIG"), CLI_OK);
}

/* Nothing that can be believed here: the database is asked, and there is none. */
static void test_status_without_a_sidecar(void **state)
{
    static const char *const broken[] = {
        "", "{", "[]", "{\"pid\": 0}", "{\"pid\": -1}", "{\"pid\": 99999999999}", "{\"pid\": \"1\"}"};
    pid_t gone = fork();

    (void)state;
    if (gone == 0)
        _exit(0);
    assert_int_equal(waitpid(gone, NULL, 0), gone);
    write_status(gone, 0);
    assert_int_equal(PROGRAM("status", "--config", "CONFIG"), CLI_UNREACHABLE);
    for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++) {
        assert_int_equal(fsio_replace(status_path, broken[i], strlen(broken[i]), 0644, false), 0);
        assert_int_equal(PROGRAM("status", "--config", "CONFIG"), CLI_UNREACHABLE);
        assert_non_null(strstr(err, "no sidecar of lease cmon runs on this host"));
        assert_string_equal(out, "");
    }
    unlink(status_path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_long_list),
        cmocka_unit_test(test_short_list),
        cmocka_unit_test(test_odd_list),
        cmocka_unit_test(test_who_acts),
        cmocka_unit_test(test_empty_list),
        cmocka_unit_test(test_free_row),
        cmocka_unit_test(test_notices),
        cmocka_unit_test(test_json_list),
        cmocka_unit_test(test_full_disk),
        cmocka_unit_test(test_command_lines),
        cmocka_unit_test(test_lost_output),
        cmocka_unit_test(test_failures),
        cmocka_unit_test(test_hint_at_the_schema),
        cmocka_unit_test(test_dead_or_unwilling),
        cmocka_unit_test(test_every_endpoint_is_named),
        cmocka_unit_test(test_status_of_a_leader),
        cmocka_unit_test(test_status_of_a_frozen_sidecar),
        cmocka_unit_test(test_status_without_a_sidecar),
    };
    char text[1024];

    strcpy(folder, "/tmp/test_cli.XXXXXX");
    if (!mkdtemp(folder))
        return 1;
    snprintf(config_path, sizeof config_path, "%s/cmon.conf", folder);
    snprintf(status_path, sizeof status_path, "%s/status.json", folder);
    snprintf(
        text, sizeof text,
        "name = \"cmon\"; member = \"m\"; user = \"u\"; run_dir = \"%s\"; endpoints = (\"unix:%s/none\", "
        "\"unix:%s/other\");\n"
        "promote = \"/none/p\"; demote = \"/none/d\"; fence = \"/none/f\"; check = \"/none/c\";\n",
        folder, folder, folder);
    if (fsio_replace(config_path, text, strlen(text), 0600, false) < 0)
        return 1;
    int failed = cmocka_run_group_tests(tests, NULL, NULL);

    unlink(config_path);
    unlink(status_path);
    rmdir(folder);
    return failed;
}
