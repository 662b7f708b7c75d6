/*
 * What a sidecar did, kept in memory and on disk, and told again: every segment replays, what is missing is
 * said, what was changed is found, and no disk holds up who records.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "member.h"
#include "record/recorder.h"
#include "record/replay.h"
#include "record/ring.h"

#define MS       UINT64_C(1000000)
#define PATIENCE (10 * LEASE_NS_PER_S)
#define WIDE     (64u << 20) /* a bound that is not reached */

static char folder[64], path[96], old_path[100];

/* ------------------------------------------------------------------ a disk that does as told */

static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER; /* held: writing hangs */
static int disk_room = -1;                               /* bytes until it is full; -1: no end */

ssize_t __real_write(int fd, const void *data, size_t length);
ssize_t __wrap_write(int fd, const void *data, size_t length);
ssize_t __wrap_write(int fd, const void *data, size_t length)
{
    pthread_mutex_lock(&gate);
    if (disk_room == 0) {
        pthread_mutex_unlock(&gate);
        errno = ENOSPC;
        return -1;
    }
    if (disk_room > 0 && (size_t)disk_room < length)
        length = (size_t)disk_room;
    if (disk_room > 0)
        disk_room -= (int)length;
    pthread_mutex_unlock(&gate);
    return __real_write(fd, data, length);
}

static void set_disk_room(int room)
{
    pthread_mutex_lock(&gate);
    disk_room = room;
    pthread_mutex_unlock(&gate);
}

/* ------------------------------------------------------------------ steps */

static struct ring ring;
static struct member member;
static char text[RECORD_STEP_MAX];

static size_t step(struct member *m)
{
    struct lease_commands commands;
    struct lease_event e;

    member_event(m, &e);
    lease_step(&m->lease, &e, &commands);
    int length = record_step_print(&e, &commands, text, sizeof text);

    assert_true(length > 0);
    return (size_t)length;
}

static void put(struct recorder *r, unsigned steps)
{
    for (unsigned i = 0; i < steps; i++) {
        size_t length = step(&member);

        recorder_put(r, text, length, &member.lease);
    }
}

/* ------------------------------------------------------------------ replaying */

static struct replay replay;
static struct replay_error error;
static unsigned line_number;

_Noreturn void lease_assert_failed(const char *expression, const char *file, int line)
{
    struct ring_assertion a = {.expression = expression, .file = file, .line = line};
    struct lease_event e;

    replay_assertion(expression, file, line);
    /* the child of test_assertion(): the event is the one that it was told */
    member.steps--;
    member_event(&member, &e);
    a.event = &e;
    _exit(ring_save(&ring, &a, path) == 0 ? 42 : 1);
}

static enum replay_result replay_lines(char *all)
{
    enum replay_result result = REPLAY_OK;

    for (char *line = all, *next; result == REPLAY_OK && *line; line = next) {
        next = strchr(line, '\n');
        if (!next)
            return REPLAY_DAMAGED;
        *next++ = '\0';
        line_number++;
        result = replay_line(&replay, line, &error);
    }
    return result;
}

static char *slurp(const char *from)
{
    FILE *f = fopen(from, "re");
    char *all = NULL;
    size_t size = 0;

    if (!f || getdelim(&all, &size, '\0', f) < 0)
        fail_msg("%s: %s", from, strerror(errno));
    fclose(f);
    return all;
}

static enum replay_result replay_files(void)
{
    const char *const files[] = {old_path, path};
    enum replay_result result = REPLAY_OK;

    replay_init(&replay);
    line_number = 0;
    for (unsigned i = 0; i < 2 && result == REPLAY_OK; i++) {
        if (i == 0 && access(old_path, F_OK) < 0)
            continue;
        char *all = slurp(files[i]);

        result = replay_lines(all);
        free(all);
    }
    return result == REPLAY_OK ? replay_end(&replay, &error) : result;
}

static void assert_as_recorded(void)
{
    if (replay_files() != REPLAY_OK)
        fail_msg("line %u: %s\nrecorded: %s\nnow:      %s", line_number, error.what, error.recorded,
                 error.now);
}

static int setup(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/test_record.XXXXXX");
    if (!mkdtemp(folder))
        return -1;
    snprintf(path, sizeof path, "%s/trace", folder);
    snprintf(old_path, sizeof old_path, "%s.1", path);
    member_begin(&member);
    set_disk_room(-1);
    return 0;
}

static int teardown(void **state)
{
    char command[128];

    (void)state;
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command);
}

static struct recorder *record(uint64_t bound)
{
    struct recorder *r = NULL;

    assert_int_equal(recorder_new(path, bound, "cmon", &member.lease, &r), 0);
    return r;
}

static uint64_t size_of(const char *of)
{
    struct stat st;

    return stat(of, &st) == 0 ? (uint64_t)st.st_size : 0;
}

/* ------------------------------------------------------------------ memory */

static void test_ring(void **state)
{
    struct ring_assertion a = {.expression = "x > 0", .file = "somewhere/else.c", .line = 7};
    struct ring_line lines[12];

    (void)state;
    for (unsigned turn = 0; turn < 2; turn++) {
        member_begin(&member);
        member.others = turn == 1 ? LEASE_MEMBERS_MAX : 3;
        ring_init(&ring, "cmon", &member.lease);
        for (unsigned i = 0; i < 3000; i++) {
            size_t length = step(&member);

            ring_put(&ring, text, length, &member.lease);
        }
        assert_int_equal(member.lease.role, LEASE_LEADER);
        assert_int_equal(ring_last(&ring, 12, lines), 12);
        text[strlen(text) - 1] = '\0';
        const char *last = strrchr(text, '\n');

        last = last ? last + 1 : text;
        assert_int_equal(lines[11].length, strlen(last));
        assert_memory_equal(lines[11].text, last, strlen(last));
        assert_int_equal(ring_save(&ring, &a, path), 0);
        assert_as_recorded();
        assert_int_equal(replay.segments, 2);
        assert_int_equal(replay.gaps, 0);
        assert_true(replay.steps > (turn == 1 ? 10 : 100));
        assert_memory_equal(&replay.lease.own, &member.lease.own, sizeof member.lease.own);
    }
}

static void test_ring_of_few(void **state)
{
    struct ring_assertion a = {.expression = "x > 0", .file = "else.c", .line = 7};
    struct ring_line lines[12];

    (void)state;
    ring_init(&ring, "cmon", &member.lease);
    assert_int_equal(ring_last(&ring, 12, lines), 2); /* its opening */
    ring_put(&ring, text, step(&member), &member.lease);
    ring_gap(&ring, &member.lease); /* as if it had been too long */
    ring_put(&ring, text, step(&member), &member.lease);
    assert_int_equal(ring_save(&ring, &a, path), 0);
    assert_as_recorded();
    assert_int_equal(replay.steps, 2);
    assert_int_equal(replay.gaps, 1);
    assert_int_equal(replay.dropped, 1);
}

/* A state that should not exist: what was saved fails in the same step, and in no other core. */
static void test_assertion(void **state)
{
    int status;

    (void)state;
    while (member.lease.role != LEASE_LEADER)
        step(&member);
    member.lease.armed = false;
    ring_init(&ring, "cmon", &member.lease);
    pid_t child = fork();

    if (child == 0) {
        for (;;)
            step(&member);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 42);
    assert_as_recorded();
    assert_int_equal(replay.steps, 1);
    char *all = slurp(path), *last = strstr(all, "\nassert in_step file=invariant.c line=");

    assert_non_null(last);
    /* as a core would find it that no longer stops there */
    char *armed = strstr(all, "expression=");

    armed[11] = 'X';
    replay_init(&replay);
    assert_int_equal(replay_lines(all), REPLAY_DIFFERS);
    assert_string_equal(error.what, "the core stops on another assertion");
    free(all);
}

/* ------------------------------------------------------------------ disk */

static void test_recorder(void **state)
{
    struct recorder *r = record(WIDE);
    struct recorder_counts counts;
    struct stat st;

    (void)state;
    put(r, 300);
    recorder_counts(r, &counts);
    assert_int_equal(counts.recorded, 300);
    recorder_end(r, PATIENCE);
    assert_int_equal(counts.dropped, 0);
    assert_as_recorded();
    assert_int_equal(replay.steps, 300);
    assert_int_equal(replay.segments, 1);
    assert_int_equal(replay.cut_short, 0);
    assert_true(replay.edges[LEASE_PROMOTING][LEASE_LEADER] == 1 && replay.reasons[LEASE_REASON_FREE] > 0);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
}

static void test_bounded(void **state)
{
    const uint64_t bound = 100000;
    struct recorder *r = record(bound);

    (void)state;
    for (unsigned i = 0; i < 400; i++) {
        put(r, 5);
        usleep(200);
        assert_true(size_of(path) + size_of(old_path) < bound + UINT64_C(2) * RECORDER_QUEUE);
    }
    recorder_end(r, PATIENCE);
    assert_true(size_of(old_path) > bound / 2);
    assert_as_recorded();
    assert_int_equal(replay.segments, 2);
    assert_int_equal(replay.gaps, 0);
    assert_true(replay.steps > 100 && replay.steps < 2000);
}

/* Nobody waits for a disk that hangs; what was lost is counted, and what came before and after replays. */
static void test_gap(void **state)
{
    struct recorder *r = record(WIDE);
    struct recorder_counts counts;
    struct timespec begun, done;

    (void)state;
    pthread_mutex_lock(&gate);
    clock_gettime(CLOCK_MONOTONIC, &begun);
    put(r, 5000);
    clock_gettime(CLOCK_MONOTONIC, &done);
    assert_true(done.tv_sec - begun.tv_sec < 10);
    recorder_counts(r, &counts);
    assert_true(counts.dropped > 1000);
    pthread_mutex_unlock(&gate);
    while (size_of(path) < RECORDER_QUEUE)
        usleep(1000);
    put(r, 10); /* room again */
    recorder_counts(r, &counts);
    recorder_end(r, PATIENCE);
    assert_as_recorded();
    assert_in_range(replay.gaps, 1, 2); /* two where the thread began late */
    assert_int_equal(replay.dropped, counts.dropped);
    assert_int_equal(replay.steps + replay.dropped, 5010);
}

static void test_disk_full(void **state)
{
    struct recorder *r = record(WIDE);
    struct recorder_counts counts = {0};

    (void)state;
    put(r, 50);
    while (size_of(path) == 0)
        usleep(1000);
    set_disk_room(3000); /* in the middle of some line */
    while (counts.error == 0) {
        put(r, 10);
        usleep(1000);
        recorder_counts(r, &counts);
    }
    assert_int_equal(counts.error, -ENOSPC);
    for (unsigned i = 0; i < 10; i++) { /* openings that say what is missing are lost as well */
        put(r, 10);
        usleep(2000);
    }
    set_disk_room(-1);
    while (counts.error != 0) {
        put(r, 10);
        usleep(1000);
        recorder_counts(r, &counts);
    }
    put(r, 50);
    recorder_end(r, PATIENCE);
    assert_as_recorded();
    assert_true(replay.gaps >= 1);
    assert_int_equal(replay.steps + replay.dropped, member.steps);
}

/* The next sidecar goes on in the same file, whatever the one before left. */
static void test_restart(void **state)
{
    static const char half[] = "tick at=100.5s entr";
    struct recorder *r = record(WIDE);

    (void)state;
    put(r, 100);
    recorder_end(r, PATIENCE);
    char *all = slurp(path);
    FILE *f = fopen(path, "we"); /* without its "end": killed */

    assert_int_equal(fprintf(f, "%.*s%s", (int)strlen(all) - 4, all, half),
                     strlen(all) - 4 + sizeof half - 1);
    fclose(f);
    free(all);
    member_begin(&member);
    r = record(WIDE);
    put(r, 100);
    recorder_end(r, PATIENCE);
    assert_as_recorded();
    assert_int_equal(replay.segments, 2);
    assert_int_equal(replay.starts, 2);
    assert_int_equal(replay.cut_short, 1);
    assert_int_equal(replay.steps, 200);
}

static void test_no_place(void **state)
{
    struct recorder *r = NULL, *first;
    FILE *f = fopen(path, "we");

    (void)state;
    fprintf(f, "root:x:0:0:\n");
    fclose(f);
    assert_int_equal(recorder_new(path, WIDE, "cmon", &member.lease, &r), -EINVAL);
    assert_int_equal(size_of(path), 12);
    unlink(path);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(recorder_new(path, WIDE, "cmon", &member.lease, &r), -EINVAL);
    unlink(path);
    assert_int_equal(symlink(old_path, path), 0);
    assert_int_equal(recorder_new(path, WIDE, "cmon", &member.lease, &r), -ELOOP);
    unlink(path);
    assert_int_equal(recorder_new("/nowhere/trace", WIDE, "cmon", &member.lease, &r), -ENOENT);
    first = record(WIDE);
    assert_int_equal(recorder_new(path, WIDE, "cmon", &member.lease, &r), -EWOULDBLOCK);
    recorder_end(first, PATIENCE);
}

/* A disk that hangs for good does not keep the sidecar from ending. */
static void test_end_does_not_wait(void **state)
{
    struct recorder *r = record(WIDE);

    (void)state;
    pthread_mutex_lock(&gate);
    put(r, 50);
    recorder_end(r, 50 * MS); /* it comes back */
    pthread_mutex_unlock(&gate);
    usleep(20000); /* the thread that was left behind ends with its file */
}

/* ------------------------------------------------------------------ what is found */

/* One change to a recording of 200 steps, and what replay says. */
static void test_changes(void **state)
{
    static const struct {
        const char *from, *to;
        enum replay_result result;
        const char *what;
    } changes[] = {
        {"  READ op=1", "  READ op=9", REPLAY_DIFFERS, "the core answers otherwise"},
        {"read at=1s entropy=03 op=", "read at=1s entropy=04 op=", REPLAY_OK, NULL},
        {"answer=row", "answer=maybe", REPLAY_DAMAGED, "this is no value for the field"},
        {"tick at=", "tock at=", REPLAY_DAMAGED, "there is no such event"},
        {"state build=", "state of=", REPLAY_DAMAGED, "this state is of another build"},
        {"segment format=1", "segment format=2", REPLAY_DAMAGED, "this is another format of recordings"},
        {"segment format=1", "sediment format=1", REPLAY_DAMAGED,
         "this is no recording: it does not begin with a segment"},
        {"\nend\n", "\nend\nend\n", REPLAY_DAMAGED, "a line after the end"},
        {"start at=1s", "  READ op=1\nstart at=1s", REPLAY_DAMAGED, "a command without an event"},
        {"result=stopped", "result=failed", REPLAY_DIFFERS, NULL},
    };
    struct recorder *r = record(WIDE);

    (void)state;
    put(r, 200);
    recorder_end(r, PATIENCE);
    char *all = slurp(path);

    for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++) {
        char *at = strstr(all, changes[i].from), *changed;

        if (!at)
            fail_msg("%s is not in %.1500s", changes[i].from, strstr(all, "start "));
        assert_true(asprintf(&changed, "%.*s%s%s", (int)(at - all), all, changes[i].to,
                             at + strlen(changes[i].from)) > 0);
        replay_init(&replay);
        enum replay_result result = replay_lines(changed);

        if (result == REPLAY_OK)
            result = replay_end(&replay, &error);
        if (result != changes[i].result)
            fail_msg("\"%s\" to \"%s\": %d: %s", changes[i].from, changes[i].to, result, error.what);
        if (changes[i].what)
            assert_string_equal(error.what, changes[i].what);
        free(changed);
    }
    free(all);
}

/* Every command left out, one after the other; and one too many. */
static void test_commands_missing(void **state)
{
    struct recorder *r = record(WIDE);
    unsigned found = 0;

    (void)state;
    put(r, 60);
    recorder_end(r, PATIENCE);
    char *all = slurp(path);

    for (char *at = all; (at = strstr(at, "\n  ")); at++) {
        char *next = strchr(at + 1, '\n'), *changed;

        assert_true(asprintf(&changed, "%.*s%s", (int)(at - all), all, next) > 0);
        replay_init(&replay);
        assert_int_equal(replay_lines(changed), REPLAY_DIFFERS);
        free(changed);
        assert_true(asprintf(&changed, "%.*s\n  EXIT%s", (int)(next - all), all, next) > 0);
        replay_init(&replay);
        assert_int_equal(replay_lines(changed), REPLAY_DIFFERS);
        free(changed);
        found++;
    }
    assert_true(found > 20);
    free(all);
}

/* Cut after every byte: never a difference, at most damage. */
static void test_cut_anywhere(void **state)
{
    struct recorder *r = record(WIDE);

    (void)state;
    put(r, 25);
    recorder_end(r, PATIENCE);
    char *all = slurp(path);

    for (size_t length = 0; length < strlen(all); length++) {
        char *part = strndup(all, length);

        replay_init(&replay);
        enum replay_result result = replay_lines(part);

        if (result == REPLAY_OK)
            result = replay_end(&replay, &error);
        if (result == REPLAY_DIFFERS)
            fail_msg("cut at %zu: %s: %s", length, error.what, error.now);
        free(part);
    }
    free(all);
}

static void test_other_core(void **state)
{
    struct recorder *r = record(WIDE);

    (void)state;
    put(r, 25);
    recorder_end(r, PATIENCE);
    char *all = slurp(path), *core = strstr(all, "core=");

    core[5] = core[5] == '0' ? '1' : '0';
    char *read = strstr(all, "READ op=1");

    read[8] = '9'; /* what it decided is its own affair */
    replay_init(&replay);
    assert_int_equal(replay_lines(all), REPLAY_OK);
    assert_int_equal(replay_end(&replay, &error), REPLAY_OK);
    assert_int_equal(replay.other_core, 1);
    assert_int_equal(replay.steps, 0);
    free(all);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_ring, setup, teardown),
        cmocka_unit_test_setup_teardown(test_ring_of_few, setup, teardown),
        cmocka_unit_test_setup_teardown(test_assertion, setup, teardown),
        cmocka_unit_test_setup_teardown(test_recorder, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bounded, setup, teardown),
        cmocka_unit_test_setup_teardown(test_gap, setup, teardown),
        cmocka_unit_test_setup_teardown(test_disk_full, setup, teardown),
        cmocka_unit_test_setup_teardown(test_restart, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_place, setup, teardown),
        cmocka_unit_test_setup_teardown(test_end_does_not_wait, setup, teardown),
        cmocka_unit_test_setup_teardown(test_changes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_commands_missing, setup, teardown),
        cmocka_unit_test_setup_teardown(test_cut_anywhere, setup, teardown),
        cmocka_unit_test_setup_teardown(test_other_core, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
