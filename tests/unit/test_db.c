/* The database layer without a server: answer classes, decoding, statement texts, endpoints, password files.
 */
#include <errno.h>
#include <poll.h>
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

#include "db/access.h"
#include "db/answer.h"
#include "db/client.h"
#include "db/facts.h"
#include "db/rows.h"
#include "db/schema.h"
#include "db/statement.h"
#include "db/table.h"
#include "db/version.h"

static void test_versions(void **state)
{
    static const struct {
        const char *text;
        enum version_result result;
    } versions[] = {
        {"10.11.11-MariaDB", VERSION_OK},
        {"10.11.14-MariaDB-0+deb12u2", VERSION_OK},
        {"10.11.19-MariaDB-deb12-log", VERSION_OK},
        {"10.11.10-MariaDB-ubu2204-log", VERSION_OLD},
        {"10.11.6-MariaDB-0+deb12u1", VERSION_OLD},
        {"10.11.8-MariaDB-0ubuntu0.24.04.1", VERSION_OLD},
        {"10.6.22-MariaDB-0ubuntu0.22.04.1", VERSION_OLD},
        {"10.5.29-MariaDB-0+deb11u1", VERSION_OLD},
        {"10.3.39-MariaDB-0+deb10u2", VERSION_OLD},
        {"5.5.68-MariaDB", VERSION_OLD},
        {"5.5.5-10.11.6-MariaDB", VERSION_OLD},
        {"5.5.5-10.11.14-MariaDB-log", VERSION_OK},
        {"11.4.7-MariaDB-ubu2404", VERSION_OK},
        {"11.8.3-MariaDB-0+deb13u1 from Debian", VERSION_OK},
        {"12.0.2-MariaDB", VERSION_OK},
        {"10.6.21-17-MariaDB-enterprise-log", VERSION_OLD},
        {"8.0.43-0ubuntu0.24.04.1", VERSION_FOREIGN},
        {"8.4.5", VERSION_FOREIGN},
        {"8.0.42-33.1", VERSION_FOREIGN}, /* Percona XtraDB Cluster */
        {"10.11-MariaDB", VERSION_FOREIGN},
        {"MariaDB", VERSION_FOREIGN},
        {"", VERSION_FOREIGN},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(versions) / sizeof(versions[0]); i++)
        if (version_judge(versions[i].text) != versions[i].result)
            fail_msg("%s", versions[i].text);
}

static void test_read_only(void **state)
{
    static const char *const read_only[] = {"1", "ON", "NO_LOCK", "NO_LOCK_NO_ADMIN", "2", "3", "00", ""};

    (void)state;
    assert_true(facts_writable("0"));
    assert_true(facts_writable("OFF"));
    for (size_t i = 0; i < sizeof(read_only) / sizeof(read_only[0]); i++)
        if (facts_writable(read_only[i]))
            fail_msg("%s", read_only[i]);
}

static void test_answers(void **state)
{
    static const struct {
        unsigned error;
        enum lease_answer write;
        bool closes;
    } expected[] = {
        {1213, LEASE_ANSWER_REFUSED, false}, {1205, LEASE_ANSWER_REFUSED, false},
        {1969, LEASE_ANSWER_REFUSED, false}, {1020, LEASE_ANSWER_REFUSED, false},
        {1047, LEASE_ANSWER_REFUSED, true},  {1044, LEASE_ANSWER_REFUSED, false},
        {1045, LEASE_ANSWER_REFUSED, true},  {1046, LEASE_ANSWER_REFUSED, false},
        {1049, LEASE_ANSWER_REFUSED, false}, {1054, LEASE_ANSWER_REFUSED, false},
        {1064, LEASE_ANSWER_REFUSED, false}, {1142, LEASE_ANSWER_REFUSED, false},
        {1143, LEASE_ANSWER_REFUSED, false}, {1146, LEASE_ANSWER_REFUSED, false},
        {1227, LEASE_ANSWER_REFUSED, false}, {1290, LEASE_ANSWER_REFUSED, true},
        {1370, LEASE_ANSWER_REFUSED, false}, {1698, LEASE_ANSWER_REFUSED, true},
        {1820, LEASE_ANSWER_REFUSED, true},  {1836, LEASE_ANSWER_REFUSED, true},
        {4025, LEASE_ANSWER_REFUSED, false}, {1062, LEASE_ANSWER_REFUSED, false},
        {1264, LEASE_ANSWER_REFUSED, false}, {1265, LEASE_ANSWER_REFUSED, false},
        {1406, LEASE_ANSWER_REFUSED, false}, {1452, LEASE_ANSWER_REFUSED, false},
        {1644, LEASE_ANSWER_REFUSED, false}, {1180, LEASE_ANSWER_UNKNOWN, true},
        {1317, LEASE_ANSWER_UNKNOWN, true},  {1053, LEASE_ANSWER_UNKNOWN, true},
        {1927, LEASE_ANSWER_UNKNOWN, true},  {1158, LEASE_ANSWER_UNKNOWN, true},
        {1159, LEASE_ANSWER_UNKNOWN, true},  {1160, LEASE_ANSWER_UNKNOWN, true},
        {1161, LEASE_ANSWER_UNKNOWN, true},  {2006, LEASE_ANSWER_UNKNOWN, true},
        {2013, LEASE_ANSWER_UNKNOWN, true},  {2026, LEASE_ANSWER_UNKNOWN, true},
        {2027, LEASE_ANSWER_UNKNOWN, true},  {2055, LEASE_ANSWER_UNKNOWN, true},
        {9999, LEASE_ANSWER_UNKNOWN, true},  {0, LEASE_ANSWER_UNKNOWN, false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
        assert_int_equal(answer_class(ANSWER_STAGE_WRITE, expected[i].error), expected[i].write);
        assert_int_equal(answer_class(ANSWER_STAGE_READ, expected[i].error), LEASE_ANSWER_REFUSED);
        assert_int_equal(answer_class(ANSWER_STAGE_CONNECT, expected[i].error), LEASE_ANSWER_REFUSED);
        assert_int_equal(answer_closes(expected[i].error), expected[i].closes);
        assert_int_equal(answer_non_primary(expected[i].error), expected[i].error == 1047);
    }
}

#define HEX  "00112233445566778899aabbCCDDEEFF"
#define ZERO "00000000000000000000000000000000"

static struct table make_table(struct table_cell *cells, const char *const *texts, size_t columns)
{
    for (size_t i = 0; i < columns; i++)
        cells[i] = (struct table_cell){texts[i], texts[i] ? strlen(texts[i]) : 0};
    return (struct table){.rows = 1, .columns = columns, .cells = cells};
}

static bool decode_lease(const char *const *good, size_t change, const char *with, struct lease_row *ret_row)
{
    const char *texts[8];
    struct table_cell cells[8];
    memcpy(texts, good, sizeof(texts));
    if (change < 8)
        texts[change] = with;
    struct table table = make_table(cells, texts, 8);
    return rows_lease_decode(&table, 0, ret_row);
}

static void test_lease_row(void **state)
{
    static const char *const good[8] = {"4611686018427387903", "7", HEX, "20000", "held", "node1", "", "41"};
    static const char long_name[] =
        "a123456789012345678901234567890123456789012345678901234567890123"; /* 64 */
    static const struct {
        size_t column;
        const char *text;
    } bad[] = {{0, NULL},
               {0, "-1"},
               {0, "18446744073709551616"},
               {0, " 1"},
               {0, ""},
               {1, "1.0"},
               {2, ""},
               {2, "00"},
               {2, "0011223344556677889GaabbCCDDEEFF"},
               {3, "0"},
               {3, "4294967296"},
               {4, ""},
               {4, "HELD"},
               {4, "gone"},
               {5, "a b"},
               {5, "../x"},
               {5, long_name},
               {6, NULL},
               {6, "x\n"},
               {7, NULL},
               {0, "4611686018427387904"},
               {1, "18446744073709551615"},
               {7, "4611686018427387904"}};
    struct lease_row row;
    (void)state;

    assert_true(decode_lease(good, 99, NULL, &row));
    assert_true(row.version.epoch == LEASE_EPOCH_MAX && row.version.counter == 7 && row.ttl_ms == 20000);
    assert_int_equal(row.version.nonce.bytes[15], 0xff);
    assert_int_equal(row.state, LEASE_ROW_HELD);
    assert_string_equal(row.holder, "node1");
    assert_true(row.epoch_table == 41);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_false(decode_lease(good, bad[i].column, bad[i].text, &row));
    /* "free" under a living nonce is an edit by hand: still held */
    assert_true(decode_lease(good, 4, "free", &row));
    assert_int_equal(row.state, LEASE_ROW_HELD);
    static const char *const freed[8] = {"1", "7", ZERO, "20000", "free", "", "", "1"};
    assert_true(decode_lease(freed, 99, NULL, &row));
    assert_int_equal(row.state, LEASE_ROW_FREE);
}

static void test_member_and_request(void **state)
{
    const char *member[15] = {
        "n1",       HEX, "5",   "42",  "100", "x\x1b differs.", "9501", "0", "12", "10.0.0.1\x1b[2J",
        "follower", "",  "2.3", "0.1", ""};
    const char *request[8] = {"3", "step_down", "", "42", "root@x\n", "why", "0", "0"};
    struct table_cell cells[16];
    struct rows_member m;
    struct rows_request r;
    (void)state;

    struct table table = make_table(cells, member, 15);
    assert_true(rows_member_decode(&table, 0, &m));
    assert_true(m.member.drifted && m.member.heartbeat == 5 && m.port == 9501);
    assert_string_equal(m.address, "10.0.0.1?[2J");
    assert_string_equal(m.drift, "x? differs.");
    member[5] = "";
    table = make_table(cells, member, 15);
    assert_true(rows_member_decode(&table, 0, &m));
    assert_false(m.member.drifted);
    member[6] = "65536";
    table = make_table(cells, member, 15);
    assert_false(rows_member_decode(&table, 0, &m));

    table = make_table(cells, request, 8);
    assert_true(rows_request_decode(&table, 0, &r));
    assert_string_equal(r.who, "root@x?");
    request[1] = "switchover"; /* without a target */
    table = make_table(cells, request, 8);
    assert_false(rows_request_decode(&table, 0, &r));
    request[1] = "hold"; /* for no time */
    table = make_table(cells, request, 8);
    assert_false(rows_request_decode(&table, 0, &r));
    request[7] = "600000";
    table = make_table(cells, request, 8);
    assert_true(rows_request_decode(&table, 0, &r));
    assert_true(r.action == ROWS_HOLD && r.hold_ms == 600000);
    request[1] = "shut_down";
    table = make_table(cells, request, 8);
    assert_false(rows_request_decode(&table, 0, &r));
}

/* Named one by one, and only those that have no outcome yet: a statement may be applied late. */
static void test_requests_left(void **state)
{
    static const uint64_t ids[] = {3, 18446744073709551615u};
    char sql[600], small[100];

    (void)state;
    assert_true(statement_requests(sql, sizeof sql, "cmon", "", 16) > 0);
    assert_non_null(strstr(sql, " WHERE lease = 'cmon' AND claimed_by = '' AND outcome = '' "));
    assert_true(statement_requests(sql, sizeof sql, "cmon", "n1", 16) > 0);
    assert_non_null(strstr(sql, " AND claimed_by = 'n1' AND outcome = '' "));
    assert_int_equal(statement_requests(sql, sizeof sql, "cmon", "n'1", 16), -EINVAL);
    assert_true(statement_abandon(sql, sizeof sql, "cmon", ids, 2, "n1", "it's over") > 0);
    assert_string_equal(sql, "UPDATE galera_lease.request SET outcome = 'it\\'s over', "
                             "finished_at = UTC_TIMESTAMP(3) WHERE id IN (3, 18446744073709551615) "
                             "AND lease = 'cmon' AND claimed_by = 'n1' AND outcome = ''");
    assert_int_equal(statement_abandon(sql, sizeof sql, "cmon", ids, 0, "n1", "none"), -EINVAL);
    assert_int_equal(statement_abandon(sql, sizeof sql, "cmon", ids, 2, "", "nobody's"), -EINVAL);
    assert_int_equal(statement_abandon(small, sizeof small, "cmon", ids, 2, "n1", "it's over"), -E2BIG);
}

static void test_quoting(void **state)
{
    struct statement s;
    char buffer[64];
    (void)state;

    statement_init(&s, buffer, sizeof(buffer));
    statement_quote(&s, "it's \\ a\n\xc3\xa4", 100);
    assert_string_equal(buffer, "'it\\'s \\\\ a?"
                                "?"
                                "?'");
    statement_init(&s, buffer, sizeof(buffer));
    statement_quote(&s, "''''", 2);
    assert_string_equal(buffer, "'\\'\\''");
    statement_init(&s, buffer, 4);
    statement_quote(&s, "abcdef", 100);
    assert_int_equal(statement_end(&s), -E2BIG);
    assert_int_equal(statement_read(buffer, sizeof(buffer), "cmon' OR '1"), -EINVAL);
}

static void test_writes(void **state)
{
    struct lease_version free_version = {.epoch = 4, .counter = 9}, ours = {.epoch = 5, .counter = 10};
    struct lease_row wanted = {.ttl_ms = 20000, .state = LEASE_ROW_HELD, .holder = "n1"};
    char sql[1024];
    (void)state;

    ours.nonce.bytes[0] = 0xab;
    wanted.version = ours;
    assert_true(statement_write(sql, sizeof(sql), "cmon", LEASE_WRITE_ACQUIRE, &free_version, &wanted, NULL) >
                0);
    assert_string_equal(
        sql, "UPDATE galera_lease.lease SET epoch = 5, counter = 10, nonce = "
             "x'ab000000000000000000000000000000', holder = 'n1', ttl_ms = 20000, state = 'held', target = "
             "'', acquired_at = UTC_TIMESTAMP(3), renewed_at = UTC_TIMESTAMP(3), hold_until = NULL, "
             "hold_reason = '' "
             "WHERE name = 'cmon' AND "
             "epoch = 4 AND counter = 9 AND nonce = x'00000000000000000000000000000000'");
    wanted.version.counter = 11;
    assert_true(statement_write(sql, sizeof(sql), "cmon", LEASE_WRITE_RENEW, &ours, &wanted, NULL) > 0);
    assert_null(strstr(sql, "acquired_at"));
    wanted.hold_ms = 600000;
    assert_true(statement_write(sql, sizeof(sql), "cmon", LEASE_WRITE_RENEW, &ours, &wanted, "me: it's due") >
                0);
    assert_non_null(
        strstr(sql, ", hold_until = UTC_TIMESTAMP(3) + INTERVAL 600000000 MICROSECOND, hold_reason = 'me: "
                    "it\\'s due' WHERE"));
    assert_true(statement_write(sql, sizeof(sql), "cmon", LEASE_WRITE_RENEW, &ours, &wanted, NULL) > 0);
    assert_null(strstr(sql, "hold_reason"));
    wanted.hold_ms = 0;
    assert_int_equal(statement_write(sql, sizeof(sql), "cmon", LEASE_WRITE_BUMP, &ours, &wanted, NULL),
                     -EINVAL);
    assert_int_equal(statement_write(sql, sizeof(sql), "cmon", LEASE_WRITE_RELEASE, &ours, &wanted, NULL),
                     -EINVAL);
    wanted.version.epoch = 6;
    assert_true(statement_write(sql, sizeof(sql), "cmon", LEASE_WRITE_BUMP, &ours, &wanted, NULL) > 0);
    assert_int_equal(statement_write(sql, sizeof(sql), "cmon", LEASE_WRITE_RENEW, &ours, &wanted, NULL),
                     -EINVAL);
    wanted.version.epoch = 4; /* never back */
    assert_int_equal(statement_write(sql, sizeof(sql), "cmon", LEASE_WRITE_BUMP, &ours, &wanted, NULL),
                     -EINVAL);
    wanted.version = (struct lease_version){.epoch = 5, .counter = 11};
    wanted.state = LEASE_ROW_FREE;
    assert_true(statement_write(sql, sizeof(sql), "cmon", LEASE_WRITE_RELEASE, &ours, &wanted, NULL) > 0);
    wanted.version.counter = 12; /* +1 at every write */
    assert_int_equal(statement_write(sql, sizeof(sql), "cmon", LEASE_WRITE_RELEASE, &ours, &wanted, NULL),
                     -EINVAL);
}

static void test_endpoints(void **state)
{
    struct access_endpoint e;
    static const char *const bad[] = {"",           "unix:relative", "unix:", "host:", "host:0",
                                      "host:65536", "host:1x",       ":3306", "a b:1", "[::1",
                                      "[::1]x",     "::1",           "h;ost"};
    (void)state;

    assert_int_equal(access_endpoint_parse("unix:/run/x.sock", &e), ACCESS_OK);
    assert_string_equal(e.socket, "/run/x.sock");
    assert_int_equal(access_endpoint_parse("db1.example:3307", &e), ACCESS_OK);
    assert_true(e.port == 3307 && e.socket[0] == '\0' && strcmp(e.host, "db1.example") == 0);
    assert_int_equal(access_endpoint_parse("10.0.0.1", &e), ACCESS_OK);
    assert_int_equal(e.port, 3306);
    assert_int_equal(access_endpoint_parse("[fe80::1]:4", &e), ACCESS_OK);
    assert_string_equal(e.host, "fe80::1");
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(access_endpoint_parse(bad[i], &e), ACCESS_MALFORMED);
}

static int password_case(const char *content, mode_t mode, char *ret_password)
{
    char path[] = "/tmp/galera-lease-password-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, content, strlen(content)), (ssize_t)strlen(content));
    assert_int_equal(fchmod(fd, mode), 0);
    close(fd);
    int r = access_password_read(path, ret_password);
    unlink(path);
    return r;
}

static void test_password(void **state)
{
    char password[ACCESS_PASSWORD_MAX + 1];
    (void)state;

    assert_int_equal(password_case("s3cret\n", 0600, password), ACCESS_OK);
    assert_string_equal(password, "s3cret");
    assert_int_equal(password_case("s3cret\n", 0640, password), ACCESS_EXPOSED);
    assert_int_equal(password_case("s3cret\n", 0604, password), ACCESS_EXPOSED);
    assert_int_equal(password_case("", 0600, password), ACCESS_UNSUITABLE);
    assert_int_equal(password_case("a\tb\n", 0600, password), ACCESS_UNSUITABLE);
    assert_int_equal(access_password_read("/nonexistent/x", password), ACCESS_MISSING);
    assert_int_equal(access_password_read("/tmp", password), ACCESS_EXPOSED);
}

static void count_answer(const struct client_answer *answer, void *userdata)
{
    assert_int_equal(answer->answer, LEASE_ANSWER_REFUSED);
    ++*(unsigned *)userdata;
}

/* Every endpoint refuses at once, as when a cluster is down: no failure brings about the next by itself. */
static void test_nobody_there(void **state)
{
    struct client_config config = {
        .lease = "cmon", .member = "n1", .endpoint_count = 3, .user = "x", .silence_ns = 8 * LEASE_NS_PER_S};
    struct client_status *status = calloc(1, sizeof *status);
    unsigned answers = 0, failures = 0;
    struct client *client = NULL;

    (void)state;
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(access_endpoint_parse("unix:/nonexistent/socket", &config.endpoints[i]), ACCESS_OK);
    assert_int_equal(client_new(&config, count_answer, &answers, &client), 0);
    client_tick(client, LEASE_NS_PER_S);
    assert_int_equal(client_read(client, 1, false, false), 0);
    for (int i = 0; i < 50; i++) {
        struct pollfd fd = {.fd = client_fd(client), .events = POLLIN};

        poll(&fd, 1, 10);
        client_dispatch(client);
    }
    client_status(client, status);
    for (size_t i = 0; i < 3; i++)
        failures += (unsigned)status->endpoints[i].failures;
    assert_int_equal(answers, 1);
    assert_in_range(failures, 2, 5); /* the statement's own, the two tried in its wake, a spare */
    client_free(client);
    free(status);
}

static void test_print(void **state)
{
    struct schema_plan plan = {.lease = "cmon", .ttl_ms = 20000, .sidecar = {"gl", "10.0.0.%", "it's"}};
    char *text = NULL;
    size_t size = 0;
    (void)state;

    FILE *file = open_memstream(&text, &size);
    assert_int_equal(schema_print(&plan, true, file), 0);
    fclose(file);
    assert_non_null(strstr(text, "CREATE TABLE IF NOT EXISTS galera_lease.lease"));
    /* Pasted as it is, it is refused: in quotes that would be the password. */
    assert_non_null(
        strstr(text, "\n-- <password>: write that of password_file in its place, in quotes\nCREATE USER"));
    assert_non_null(strstr(text, "CREATE USER IF NOT EXISTS 'gl'@'10.0.0.%' IDENTIFIED BY <password>;"));
    assert_null(strstr(text, "it\\'s"));
    free(text);
    plan.sidecar.host = "x' OR '";
    assert_int_equal(schema_print(&plan, true, stdout), SCHEMA_BAD_PLAN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_read_only),
        cmocka_unit_test(test_answers),
        cmocka_unit_test(test_versions),
        cmocka_unit_test(test_lease_row),
        cmocka_unit_test(test_member_and_request),
        cmocka_unit_test(test_requests_left),
        cmocka_unit_test(test_quoting),
        cmocka_unit_test(test_writes),
        cmocka_unit_test(test_endpoints),
        cmocka_unit_test(test_password),
        cmocka_unit_test(test_print),
        cmocka_unit_test(test_nobody_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
