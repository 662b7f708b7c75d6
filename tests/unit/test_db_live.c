/*
 * The database layer on a real single-node Galera that this test starts, on its own socket, ports and folder.
 * A missing mariadbd or galera library is a failure, not a skip. Needs to be root (the server runs as mysql)
 * or to be a normal user (the server runs as that user).
 */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <pwd.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <arpa/inet.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "db/client.h"
#include "db/schema.h"
#include "db/statement.h"
#include "db/sync.h"
#include "db/worker.h"

static char folder[64];
static pid_t server;
static struct access_endpoint root_endpoint;

static uint64_t now_ns(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * LEASE_NS_PER_S + (uint64_t)ts.tv_nsec;
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
    (void)st, (void)flag, (void)ftw;
    return remove(path);
}

static unsigned free_port(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, size), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &size), 0);
    close(fd);
    return ntohs(address.sin_port);
}

static pid_t spawn(const char *command)
{
    pid_t pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        execl("/bin/sh", "sh", "-c", command, NULL);
        _exit(127);
    }
    return pid;
}

static struct sync *open_as(const char *user, const char *password, bool lease_rules,
                            struct sync_error *ret_error)
{
    struct sync_config config = {.endpoints = &root_endpoint,
                                 .endpoint_count = 1,
                                 .user = user,
                                 .password = password,
                                 .limit_ns = 10 * LEASE_NS_PER_S,
                                 .lease_rules = lease_rules};
    struct sync *sync = NULL;
    return sync_open(&config, &sync, ret_error) == SYNC_OK ? sync : NULL;
}

static bool start_server(const char *user)
{
    struct sync_error error = {};
    char command[2048];
    int status;

    snprintf(
        command, sizeof(command),
        "export TMPDIR=%s; exec mariadbd --no-defaults --user=%s --datadir=%s/data --socket=%s/s "
        "--pid-file=%s/pid --port=%u "
        "--bind-address=127.0.0.1 --log-error=%s/err --binlog-format=ROW --default-storage-engine=InnoDB "
        "--innodb-autoinc-lock-mode=2 --innodb-buffer-pool-size=16M --innodb-log-file-size=8M --wsrep-on=ON "
        "--wsrep-provider=/usr/lib/galera/libgalera_smm.so --wsrep-cluster-address=gcomm:// "
        "--wsrep-node-address=127.0.0.1 --wsrep-new-cluster --wsrep-provider-options='"
        "gmcast.listen_addr=tcp://127.0.0.1:%u;ist.recv_addr=127.0.0.1:%u;gcache.size=8M' > %s/out 2>&1",
        folder, user, folder, folder, folder, free_port(), folder, free_port(), free_port(), folder);
    server = spawn(command);
    for (int i = 0; i < 300; i++) {
        struct sync *sync = open_as("root", NULL, false, &error);
        bool primary = sync && sync_facts(sync)->primary && sync_facts(sync)->galera;
        sync_close(sync);
        if (primary)
            return true;
        if (waitpid(server, &status, WNOHANG) != 0)
            break;
        poll(NULL, 0, 100);
    }
    print_error("the database did not start, see %s/err: %u %s\n", folder, error.error, error.text);
    server = 0;
    return false;
}

static int setup(void **state)
{
    char command[2048], text[128];
    const char *user = getuid() == 0 ? "mysql" : getpwuid(getuid())->pw_name;
    int status;
    (void)state;

    strcpy(folder, "/tmp/galera-lease-live-XXXXXX");
    if (!mkdtemp(folder))
        return -1;
    snprintf(command, sizeof(command),
             "chown %s %s; export TMPDIR=%s; exec mariadb-install-db --no-defaults --force --user=%s "
             "--datadir=%s/data "
             "--auth-root-authentication-method=normal --skip-test-db > %s/install.log 2>&1",
             user, folder, folder, user, folder, folder);
    if (waitpid(spawn(command), &status, 0) < 0 || status != 0) {
        print_error("mariadb-install-db failed: is mariadb-server installed? It said:\n");
        snprintf(command, sizeof command, "cat %s/install.log >&2", folder);
        waitpid(spawn(command), &status, 0);
        return -1;
    }
    snprintf(text, sizeof(text), "unix:%s/s", folder);
    access_endpoint_parse(text, &root_endpoint);
    for (int i = 0; i < 3; i++) /* a port that was free may be taken when the server wants it */
        if (start_server(user))
            return 0;
    return -1;
}

static int teardown(void **state)
{
    (void)state;
    if (server > 0) {
        kill(server, SIGKILL);
        waitpid(server, NULL, 0);
    }
    nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    return 0;
}

static void test_init(void **state)
{
    struct schema_plan plan = {.lease = "cmon",
                               .ttl_ms = 20000,
                               .sidecar = {"sc", "localhost", "it's\\secret"},
                               .operator_ = {"op", "localhost", "o"},
                               .reader = {"rd", "localhost", "r"}};
    struct sync_error error = {};
    char step[128];
    (void)state;

    /* before: an unknown schema is refused as such */
    assert_null(open_as("root", NULL, true, &error));
    assert_int_equal(error.error, 1146);
    for (int i = 0; i < 2; i++) { /* twice: the second changes nothing */
        struct sync *sync = open_as("root", NULL, false, &error);
        assert_non_null(sync);
        int r = schema_apply(sync, &plan, step, &error);
        if (r != 0)
            print_error("%s: %u %s\n", step, error.error, error.text);
        assert_int_equal(r, 0);
        sync_close(sync);
    }
    struct sync *sync = open_as("sc", "it's\\secret", true, &error);
    assert_non_null(sync);
    assert_true(sync_facts(sync)->instance != 0 && sync_facts(sync)->primary);
    struct lease_row row;
    bool found = false;
    assert_int_equal(sync_lease(sync, false, "cmon", &row, &found, &error), SYNC_OK);
    assert_true(found && row.state == LEASE_ROW_FREE && row.ttl_ms == 20000 && row.epoch_table == 0);
    assert_int_equal(sync_lease(sync, false, "other", &row, &found, &error), SYNC_OK);
    assert_false(found);
    sync_close(sync);
    assert_null(open_as("sc", "wrong", true, &error));
    assert_int_equal(error.error, 1045);
    assert_int_equal(error.answer, LEASE_ANSWER_REFUSED);
}

static void test_unknown_schema(void **state)
{
    struct sync_error error;
    (void)state;

    struct sync *sync = open_as("root", NULL, false, &error);
    assert_int_equal(
        sync_exec(sync, "INSERT INTO galera_lease.schema_version VALUES (99, NOW())", NULL, &error), 0);
    assert_null(open_as("root", NULL, true, &error));
    assert_int_equal(error.error, WORKER_ERROR_SCHEMA);
    assert_int_equal(
        sync_exec(sync, "DELETE FROM galera_lease.schema_version WHERE version = 99", NULL, &error), 0);
    sync_close(sync);
}

static void exec_expect(struct sync *sync, const char *sql, unsigned expected)
{
    struct sync_error error = {};
    sync_exec(sync, sql, NULL, &error);
    if (error.error != expected)
        print_error("%s: %u %s\n", sql, error.error, error.text);
    assert_int_equal(error.error, expected);
}

static void test_rights(void **state)
{
    struct sync_error error;
    (void)state;

    struct sync *sync = open_as("sc", "it's\\secret", true, &error);
    exec_expect(sync, "UPDATE galera_lease.epoch SET epoch = 9", 1142);
    exec_expect(sync, "INSERT INTO galera_lease.epoch VALUES ('x', 1)", 1142);
    exec_expect(sync, "DELETE FROM galera_lease.epoch", 1142);
    exec_expect(sync, "DELETE FROM galera_lease.lease", 1142);
    exec_expect(sync, "INSERT INTO galera_lease.lease (name, ttl_ms) VALUES ('x', 1000)", 1142);
    exec_expect(sync, "UPDATE galera_lease.lease SET name = 'x'", 1143);
    exec_expect(sync, "DELETE FROM galera_lease.request", 1142);
    exec_expect(sync, "INSERT INTO galera_lease.guard VALUES ('1', 'cmon', 0)", 1142);
    exec_expect(sync, "CREATE TABLE galera_lease.x (i INT PRIMARY KEY)", 1142);
    sync_close(sync);
    sync = open_as("rd", "r", true, &error);
    assert_non_null(sync);
    exec_expect(sync, "CALL galera_lease.step_down('cmon', '')", 1370);
    exec_expect(sync, "UPDATE galera_lease.member SET heartbeat = 0", 1142);
    sync_close(sync);
}

/* ------------------------------------------------------------------ through the client */

struct seen {
    unsigned count;
    struct client_answer last;
    char text[256];
    struct lease_member member;
    struct rows_request request;
};

static void on_answer(const struct client_answer *answer, void *userdata)
{
    struct seen *seen = userdata;
    seen->count++;
    seen->last = *answer;
    snprintf(seen->text, sizeof(seen->text), "%s", answer->text ? answer->text : "");
    if (answer->member_count)
        seen->member = answer->members[0];
    if (answer->request_count)
        seen->request = answer->requests[0];
}

static void wait_answer(struct client *client, struct seen *seen)
{
    struct pollfd fd = {.fd = client_fd(client), .events = POLLIN};
    unsigned before = seen->count;
    for (int i = 0; i < 200 && seen->count == before; i++) {
        assert_true(poll(&fd, 1, 10000) == 1);
        client_dispatch(client);
    }
    assert_int_equal(seen->count, before + 1);
}

static struct client *client_open(struct seen *seen, size_t endpoints)
{
    struct client_config config = {.lease = "cmon",
                                   .member = "n1",
                                   .endpoint_count = endpoints,
                                   .user = "sc",
                                   .silence_ns = 8 * LEASE_NS_PER_S};
    struct client *client = NULL;
    memset(&config.incarnation, 7, sizeof(config.incarnation));
    for (size_t i = 0; i < endpoints; i++)
        config.endpoints[i] = root_endpoint;
    snprintf(config.password_file, sizeof(config.password_file), "%s/password", folder);
    int fd = open(config.password_file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_int_equal(write(fd, "it's\\secret\n", 12), 12);
    close(fd);
    assert_int_equal(client_new(&config, on_answer, seen, &client), 0);
    client_tick(client, now_ns());
    return client;
}

static struct lease_row wanted_row(const struct lease_version *from, uint64_t epoch, uint8_t nonce)
{
    struct lease_row row = {
        .version = {.epoch = epoch, .counter = from->counter + 1}, .ttl_ms = 20000, .holder = "n1"};
    memset(&row.version.nonce, nonce, sizeof(row.version.nonce));
    row.state = nonce ? LEASE_ROW_HELD : LEASE_ROW_FREE;
    return row;
}

static void write_expect(struct client *client, struct seen *seen, enum lease_write kind,
                         const struct lease_version *expected, const struct lease_row *wanted,
                         enum lease_answer answer)
{
    assert_int_equal(client_write(client, 5, kind, expected, wanted, NULL), 0);
    wait_answer(client, seen);
    if (seen->last.answer != answer)
        print_error("%u %s\n", seen->last.error, seen->text);
    assert_int_equal(seen->last.answer, answer);
    assert_int_equal(seen->last.kind, CLIENT_WRITE);
    assert_int_equal(seen->last.id, 5);
}

static bool yes(struct sync *sync, const char *question)
{
    struct sync_error error;
    struct table *table = NULL;
    uint64_t answer = 0;

    assert_int_equal(sync_query(sync, false, question, &table, &error), 0);
    assert_true(table_u64(table, 0, 0, &answer));
    table_free(table);
    return answer == 1;
}

static void test_compare_and_set(void **state)
{
    struct client_event told = {.number = 1, .at_ms = 1764028800123, .epoch = 43, .what = "acquired"};
    struct seen seen = {};
    struct client *client = client_open(&seen, 2);
    struct lease_version free_version = {};
    struct lease_row held = wanted_row(&free_version, 42, 1), renewed = wanted_row(&held.version, 42, 1);
    struct lease_row resumed = wanted_row(&renewed.version, 42, 2),
                     bumped = wanted_row(&resumed.version, 43, 2);
    struct lease_row released = wanted_row(&bumped.version, 43, 0);
    (void)state;

    assert_int_equal(client_read(client, 1, true, true), 0);
    assert_int_equal(client_read(client, 2, false, false), -EBUSY);
    wait_answer(client, &seen);
    assert_int_equal(seen.last.answer, LEASE_ANSWER_ROW);
    assert_true(seen.last.id == 1 && seen.last.instance != 0 && seen.last.row.version.counter == 0);

    write_expect(client, &seen, LEASE_WRITE_ACQUIRE, &free_version, &held, LEASE_ANSWER_ROW);
    write_expect(client, &seen, LEASE_WRITE_ACQUIRE, &free_version, &held, LEASE_ANSWER_MISMATCH);
    write_expect(client, &seen, LEASE_WRITE_RENEW, &held.version, &renewed, LEASE_ANSWER_ROW);
    write_expect(client, &seen, LEASE_WRITE_RENEW, &held.version, &renewed, LEASE_ANSWER_MISMATCH);
    write_expect(client, &seen, LEASE_WRITE_RESUME, &renewed.version, &resumed, LEASE_ANSWER_ROW);
    write_expect(client, &seen, LEASE_WRITE_BUMP, &resumed.version, &bumped, LEASE_ANSWER_ROW);
    assert_int_equal(client_read(client, 3, false, false), 0);
    wait_answer(client, &seen);
    assert_memory_equal(&seen.last.row.version, &bumped.version, sizeof(bumped.version));
    assert_true(seen.last.row.epoch_table == 43 && seen.last.row.state == LEASE_ROW_HELD);

    /* bookkeeping while held */
    struct client_heartbeat beat = {.heartbeat = 1, .epoch_seen = 43, .priority = 100, .role = "leader"};
    assert_int_equal(client_heartbeat(client, &beat), 0);
    beat.role = "follower";
    assert_int_equal(client_heartbeat(client, &beat), 0); /* in its place */
    client_dispatch(client);                              /* it is under way ... */
    beat.role = "ended";
    assert_int_equal(client_heartbeat(client, &beat), 0); /* ... and this comes after it */
    wait_answer(client, &seen);
    assert_int_equal(seen.last.answer, LEASE_ANSWER_ROW);
    wait_answer(client, &seen);
    assert_int_equal(seen.last.answer, LEASE_ANSWER_ROW);
    struct sync_error error;
    struct sync *op = open_as("op", "o", true, &error);
    uint64_t request = 0;
    assert_true(yes(op, "SELECT role = 'ended' FROM galera_lease.member"));
    assert_int_equal(
        sync_request(op, &(struct sync_ask){.action = ROWS_STEP_DOWN, .lease = "cmon", .why = "it's time"},
                     &request, &error),
        SYNC_OK);
    assert_int_equal(client_requests(client), 0);
    wait_answer(client, &seen);
    assert_true(seen.last.request_count == 1 && seen.request.id == request && seen.request.epoch == 43);
    assert_string_equal(seen.request.why, "it's time");
    assert_int_equal(client_claim(client, request), 0);
    wait_answer(client, &seen);
    assert_int_equal(seen.last.answer, LEASE_ANSWER_ROW);
    assert_int_equal(client_claim(client, request), 0); /* never twice */
    wait_answer(client, &seen);
    assert_int_equal(seen.last.answer, LEASE_ANSWER_MISMATCH);
    assert_int_equal(client_left(client), 0);
    wait_answer(client, &seen);
    assert_true(seen.last.request_count == 1 && seen.request.id == request);
    assert_int_equal(client_finish(client, request, "done"), 0);
    wait_answer(client, &seen);
    assert_int_equal(client_abandon(client, &request, 1, "unknown"), 0); /* it came after all */
    wait_answer(client, &seen);
    assert_int_equal(seen.last.answer, LEASE_ANSWER_MISMATCH);
    assert_int_equal(client_left(client), 0);
    wait_answer(client, &seen);
    assert_true(seen.last.answer == LEASE_ANSWER_ROW && seen.last.request_count == 0);
    char claimed[ROWS_WORD_MAX + 1], outcome[ROWS_TEXT_MAX + 1];
    assert_int_equal(sync_request_outcome(op, request, LEASE_NS_PER_S, claimed, outcome, &error), SYNC_OK);
    assert_string_equal(claimed, "n1");
    assert_string_equal(outcome, "done");
    sync_close(op);
    assert_int_equal(client_event(client, &told), 0);
    wait_answer(client, &seen);
    assert_int_equal(seen.last.answer, LEASE_ANSWER_ROW);
    assert_int_equal(client_event(client, &told), 0); /* as after a lost answer: it stands there once */
    wait_answer(client, &seen);
    assert_int_equal(seen.last.answer, LEASE_ANSWER_MISMATCH);
    assert_int_equal(client_members(client), 0);
    wait_answer(client, &seen);
    assert_true(seen.last.member_count == 1 && seen.member.heartbeat == 1 && !seen.member.drifted);

    write_expect(client, &seen, LEASE_WRITE_RELEASE, &bumped.version, &released, LEASE_ANSWER_ROW);
    assert_true(client_idle(client));
    client_free(client);
}

/* A foreign incarnation's row is not overwritten unless asked for. */
static void test_heartbeat_twin(void **state)
{
    struct seen seen = {};
    struct sync_error error;
    (void)state;

    struct sync *sync = open_as("root", NULL, true, &error);
    exec_expect(sync, "UPDATE galera_lease.member SET incarnation = x'11111111111111111111111111111111'", 0);
    struct client *client = client_open(&seen, 1);
    struct client_heartbeat beat = {.heartbeat = 9};
    assert_int_equal(client_heartbeat(client, &beat), 0);
    wait_answer(client, &seen);
    assert_int_equal(seen.last.answer, LEASE_ANSWER_MISMATCH);
    beat.take_over = true;
    assert_int_equal(client_heartbeat(client, &beat), 0);
    wait_answer(client, &seen);
    assert_int_equal(seen.last.answer, LEASE_ANSWER_ROW);
    client_free(client);
    sync_close(sync);
}

/* What every node would refuse is dropped at once; and history never stands in the way of a heartbeat. */
static void test_history_refused(void **state)
{
    struct seen seen = {};
    struct sync_error error;
    struct client_event event = {
        .number = 10, .at_ms = (uint64_t)time(NULL) * 1000, .epoch = 43, .what = "acquired"};
    struct client_heartbeat beat = {.heartbeat = 20, .take_over = true};
    struct client_status status;
    int pushed = 0;
    (void)state;

    struct sync *sync = open_as("root", NULL, true, &error);
    struct client *client = client_open(&seen, 1);
    exec_expect(sync, "RENAME TABLE galera_lease.event TO galera_lease.event_away", 0);
    assert_int_equal(client_event(client, &event), 0);
    wait_answer(client, &seen);
    assert_true(seen.last.kind == CLIENT_EVENT && seen.last.answer == LEASE_ANSWER_REFUSED);
    assert_int_equal(seen.last.error, 1146);
    exec_expect(sync, "RENAME TABLE galera_lease.event_away TO galera_lease.event", 0);

    /* A lock is for the time being: it is tried again, and the heartbeat does not wait for it. */
    exec_expect(sync, "LOCK TABLES galera_lease.event WRITE", 0);
    while (pushed < CLIENT_QUEUE_MAX && client_event(client, &event) == 0) {
        pushed++;
        event.number++;
    }
    assert_true(pushed > 0 && pushed < CLIENT_QUEUE_MAX);
    assert_int_equal(client_dispatch(client), 0); /* the first is under way */
    assert_int_equal(client_heartbeat(client, &beat), 0);
    wait_answer(client, &seen);
    assert_true(seen.last.kind == CLIENT_HEARTBEAT && seen.last.answer == LEASE_ANSWER_ROW);
    client_status(client, &status);
    assert_int_equal(status.queued, pushed);
    exec_expect(sync, "UNLOCK TABLES", 0);
    client_tick(client, now_ns());
    for (int i = 0; i < pushed; i++) {
        wait_answer(client, &seen);
        assert_true(seen.last.kind == CLIENT_EVENT && seen.last.answer == LEASE_ANSWER_ROW);
    }
    assert_true(client_idle(client));
    exec_expect(sync, "UPDATE galera_lease.event SET at = at - INTERVAL 8 DAY LIMIT 3", 0);
    /* Of two more that are as old, the open alarm stays. */
    exec_expect(sync,
                "UPDATE galera_lease.event SET at = at - INTERVAL 8 DAY, alarm = TRUE WHERE at > "
                "UTC_TIMESTAMP(3) - INTERVAL 7 DAY LIMIT 2",
                0);
    exec_expect(sync, "UPDATE galera_lease.event SET acked_at = at WHERE alarm AND acked_at IS NULL LIMIT 1",
                0);
    assert_int_equal(client_forget(client, 7), 0);
    wait_answer(client, &seen);
    assert_true(seen.last.kind == CLIENT_FORGET && seen.last.answer == LEASE_ANSWER_ROW);
    struct table *table = NULL;
    assert_int_equal(sync_query(sync, false, "SELECT COUNT(*) FROM galera_lease.event", &table, &error), 0);
    uint64_t left = 0;
    assert_true(table_u64(table, 0, 0, &left));
    assert_int_equal(left, pushed + 1 - 4); /* one was there before */
    table_free(table);
    client_free(client);
    sync_close(sync);
}

/* A schema that is gone is no endpoint's fault: no new connection at every look. */
static void test_schema_gone(void **state)
{
    struct seen seen = {};
    struct sync_error error;
    struct client_status status;
    (void)state;

    struct sync *sync = open_as("root", NULL, true, &error);
    struct client *client = client_open(&seen, 2);
    client_tick(client, now_ns());
    exec_expect(sync, "RENAME TABLE galera_lease.lease TO galera_lease.lease_away", 0);
    for (uint32_t id = 1; id < 10; id++) {
        assert_int_equal(client_read(client, id, false, false), 0);
        wait_answer(client, &seen);
        assert_true(seen.last.answer == LEASE_ANSWER_REFUSED && seen.last.error == 1356); /* through a view */
    }
    exec_expect(sync, "RENAME TABLE galera_lease.lease_away TO galera_lease.lease", 0);
    assert_int_equal(client_read(client, 10, false, false), 0);
    wait_answer(client, &seen);
    assert_int_equal(seen.last.answer, LEASE_ANSWER_ROW);
    client_status(client, &status);
    assert_int_equal(status.switches, 0);
    client_free(client);
    sync_close(sync);
}

static void test_guard(void **state)
{
    struct sync_error error;
    (void)state;

    struct sync *sync = open_as("root", NULL, true, &error);
    exec_expect(sync, "CALL galera_lease.guard('cmon', 43)", 1644); /* outside a transaction */
    exec_expect(sync, "START TRANSACTION", 0);
    exec_expect(sync, "CALL galera_lease.guard('cmon', 43)", 0);
    exec_expect(sync, "COMMIT", 0);
    exec_expect(sync, "START TRANSACTION", 0);
    exec_expect(sync, "CALL galera_lease.guard('cmon', 42)", 1452); /* an old epoch */
    exec_expect(sync, "CALL galera_lease.guard('cmon', NULL)", 1644);
    exec_expect(sync, "SET foreign_key_checks = 0", 0);
    exec_expect(sync, "CALL galera_lease.guard('cmon', 42)", 1644);
    exec_expect(sync, "ROLLBACK", 0);
    /* lowering the row by hand does not open an old epoch again */
    exec_expect(sync, "SET foreign_key_checks = 1", 0);
    exec_expect(sync, "UPDATE galera_lease.lease SET epoch = 41", 0);
    exec_expect(sync, "START TRANSACTION", 0);
    exec_expect(sync, "CALL galera_lease.guard('cmon', 41)", 1452);
    exec_expect(sync, "ROLLBACK", 0);
    exec_expect(sync, "UPDATE galera_lease.lease SET epoch = 43", 0);
    struct table *table = NULL;
    assert_int_equal(sync_query(sync, false, "SELECT COUNT(*) FROM galera_lease.guard", &table, &error), 0);
    assert_string_equal(table_text(table, 0, 0), "0");
    table_free(table);
    sync_close(sync);
}

static void wait_worker(struct worker *worker, struct worker_result *ret_result)
{
    struct pollfd fd = {.fd = worker_fd(worker), .events = POLLIN};
    assert_int_equal(poll(&fd, 1, 10000), 1);
    assert_int_equal(worker_take(worker, ret_result), 1);
}

/* A connection that stands proves that the server lives: it grows old meanwhile. */
static void test_server_grows_old(void **state)
{
    struct worker_config config = {.endpoint = root_endpoint,
                                   .user = "root",
                                   .connect_timeout_s = 10,
                                   .io_timeout_s = 60,
                                   .lease_rules = true};
    struct worker_result result;
    struct worker *worker = NULL;
    uint64_t up_ns, before_ns, after_ns;
    (void)state;

    assert_int_equal(worker_new(&config, &worker), 0);
    before_ns = now_ns();
    assert_int_equal(worker_submit(worker, 1, WORKER_CONNECT, false, NULL), 0);
    wait_worker(worker, &result);
    assert_true(result.connected);
    up_ns = result.facts.up_ns;
    after_ns = now_ns();
    poll(NULL, 0, 500);
    uint64_t asked_ns = now_ns();
    assert_int_equal(worker_submit(worker, 2, WORKER_READ, false, "SELECT 1"), 0);
    wait_worker(worker, &result);
    assert_int_equal(result.answer, LEASE_ANSWER_ROW);
    worker_result_deinit(&result);
    /* Two clocks of one machine: a little room. */
    assert_true(result.facts.up_ns - up_ns >= (asked_ns - after_ns) / 10 * 9);
    assert_true(result.facts.up_ns - up_ns <= (now_ns() - before_ns) / 10 * 11);
    /* One that is closed proves nothing more. */
    assert_int_equal(worker_submit(worker, 3, WORKER_CLOSE, false, NULL), 0);
    wait_worker(worker, &result);
    assert_false(result.connected);
    assert_true(result.facts.up_ns <= up_ns);
    /* Nor does one that was made anew vouch for the time before: the server may be another. */
    struct worker *other = NULL;
    struct worker_result of_other;
    uint64_t again_ns = now_ns();
    assert_int_equal(worker_submit(worker, 4, WORKER_CONNECT, false, NULL), 0);
    wait_worker(worker, &result);
    assert_true(result.connected);
    again_ns = now_ns() - again_ns;
    assert_int_equal(worker_new(&config, &other), 0);
    assert_int_equal(worker_submit(other, 1, WORKER_CONNECT, false, NULL), 0);
    wait_worker(other, &of_other);
    assert_true(of_other.connected);
    assert_true(result.facts.up_ns <= of_other.facts.up_ns + again_ns);
    worker_free(other);
    worker_free(worker);
}

static void test_cancel(void **state)
{
    struct worker_config config = {.endpoint = root_endpoint,
                                   .user = "root",
                                   .connect_timeout_s = 10,
                                   .io_timeout_s = 60,
                                   .lease_rules = true};
    struct worker_result result;
    struct worker *worker = NULL;
    (void)state;

    assert_int_equal(worker_new(&config, &worker), 0);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(worker_submit(worker, 1, WORKER_CONNECT, false, NULL), 0);
        wait_worker(worker, &result);
        assert_true(result.connected);
        assert_int_equal(worker_submit(worker, 2, i ? WORKER_WRITE : WORKER_READ, false, "SELECT SLEEP(30)"),
                         0);
        assert_int_equal(worker_submit(worker, 3, WORKER_READ, false, "SELECT 1"), -EBUSY);
        uint64_t start_ns = now_ns();
        worker_cancel(worker);
        wait_worker(worker, &result);
        assert_true(now_ns() - start_ns < 2 * LEASE_NS_PER_S);
        assert_int_equal(result.answer, i ? LEASE_ANSWER_UNKNOWN : LEASE_ANSWER_REFUSED);
        assert_false(result.connected);
    }
    /* the next operation connects again; a frozen server cannot keep us from leaving */
    assert_int_equal(worker_submit(worker, 4, WORKER_READ, true, "SELECT 1"), 0);
    wait_worker(worker, &result);
    assert_int_equal(result.answer, LEASE_ANSWER_ROW);
    worker_result_deinit(&result);
    assert_int_equal(worker_submit(worker, 5, WORKER_READ, false, "SELECT SLEEP(30)"), 0);
    uint64_t start_ns = now_ns();
    worker_free(worker);
    assert_true(now_ns() - start_ns < 2 * LEASE_NS_PER_S);
}

/* A lease statement given up on has no callback, and the next one goes through the spare at once. */
static void test_client_cancel(void **state)
{
    struct seen seen = {};
    struct client_status status;
    struct client *client = client_open(&seen, 2);
    struct lease_version from = {.epoch = 1, .counter = 1};
    struct lease_row wanted = wanted_row(&from, 2, 3);
    (void)state;

    assert_int_equal(client_read(client, 1, false, false), 0);
    wait_answer(client, &seen);
    do { /* without a spare the quicker of two new connections would serve */
        poll(NULL, 0, 5);
        client_dispatch(client);
        client_status(client, &status);
    } while (!status.connections[CLIENT_SPARE].connected || status.connections[CLIENT_SPARE].busy);
    kill(server, SIGSTOP);
    assert_int_equal(client_write(client, 2, LEASE_WRITE_ACQUIRE, &from, &wanted, NULL), 0);
    client_cancel(client, 2);
    kill(server, SIGCONT);
    assert_int_equal(client_read(client, 3, false, false), 0);
    wait_answer(client, &seen);
    assert_int_equal(seen.last.id, 3);
    assert_int_equal(seen.last.answer, LEASE_ANSWER_ROW);
    client_status(client, &status);
    assert_int_equal(status.connections[CLIENT_LEASE].endpoint, 1);
    assert_int_equal(status.switches, 1);
    client_free(client);
}

/* Last: the server is gone. */
static void test_unreachable(void **state)
{
    struct seen seen = {};
    struct client *client = client_open(&seen, 2);
    (void)state;

    assert_int_equal(client_read(client, 1, false, false), 0);
    wait_answer(client, &seen);
    kill(server, SIGKILL);
    waitpid(server, NULL, 0);
    server = 0;
    for (uint32_t id = 2; id < 6; id++) {
        assert_int_equal(client_read(client, id, false, false), 0);
        wait_answer(client, &seen);
        assert_int_equal(seen.last.answer, LEASE_ANSWER_REFUSED);
        assert_int_equal(seen.last.id, id);
        assert_true(seen.last.error != 0 && seen.text[0]);
    }
    client_free(client);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_init),
        cmocka_unit_test(test_unknown_schema),
        cmocka_unit_test(test_rights),
        cmocka_unit_test(test_compare_and_set),
        cmocka_unit_test(test_heartbeat_twin),
        cmocka_unit_test(test_guard),
        cmocka_unit_test(test_history_refused),
        cmocka_unit_test(test_schema_gone),
        cmocka_unit_test(test_server_grows_old),
        cmocka_unit_test(test_cancel),
        cmocka_unit_test(test_client_cancel),
        cmocka_unit_test(test_unreachable),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
