/*
 * The state file, the flock, and the thread that saves. Files, locks and threads are real; fsync and rename
 * are the real ones too, but the linker leads the way to them through here, so that their order can be seen,
 * a slow disk can be played, and one that fails.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "state/state.h"
#include "util/fsio.h"

#define S UINT64_C(1000000000)

static char folder[] = "/tmp/galera-lease-state-XXXXXX";
static char path[64];

/* ---------------------------------------------------------------- what reaches the disk, and when */

static char calls[256];
static atomic_bool slow, failing;
static sem_t arrived, go_on;

int __real_fsync(int fd);
int __wrap_fsync(int fd);
int __real_rename(const char *from, const char *to);
int __wrap_rename(const char *from, const char *to);

static void note(const char *what)
{
    if (strlen(calls) + strlen(what) + 2 < sizeof calls)
        strcat(strcat(calls, what), " ");
}

int __wrap_fsync(int fd)
{
    struct stat st;

    assert_int_equal(fstat(fd, &st), 0);
    if (atomic_load(&slow) && !S_ISDIR(st.st_mode)) {
        sem_post(&arrived);
        sem_wait(&go_on);
    }
    if (atomic_load(&failing)) {
        errno = EIO;
        return -1;
    }
    note(S_ISDIR(st.st_mode) ? "sync-folder" : "sync-file");
    return __real_fsync(fd);
}

int __wrap_rename(const char *from, const char *to)
{
    note("rename");
    return __real_rename(from, to);
}

/* ---------------------------------------------------------------- the text */

static const struct state_record example = {
    .epoch_seen = 43,
    .nonce = {.bytes = {0xde, 0xad, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 0xff}},
    .epoch = 42,
    .remaining_ns = 17 * S,
    .at = {.boot_ns = 1001 * S, .raw_ns = 1002 * S, .mono_ns = 1000 * S},
};
static const struct lease_nonce example_next = {
    .bytes = {0xbe, 0xef, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 0xfe}};
static const char other_boot[] = "01234567-89ab-cdef-0123-456789abcdef";

static void put(const char *text, size_t length)
{
    assert_int_equal(fsio_replace(path, text, length, 0600, false), 0);
}

/* Nothing at all is taken from a file like this. */
static void assert_nothing_known(const char *text, size_t length, int result)
{
    static const struct lease_memory nothing;
    struct lease_memory memory;

    put(text, length);
    memset(&memory, 0x55, sizeof memory);
    assert_int_equal(state_load(folder, &memory), result);
    assert_memory_equal(&memory, &nothing, sizeof memory);
}

static size_t encode_for_this_boot(char text[STATE_TEXT_MAX])
{
    char boot[CLOCKS_BOOT_ID_SIZE];

    assert_int_equal(clocks_boot_id(boot), 0);
    return state_encode(&example, boot, text);
}

/* A resume is under way: a file of version 2. */
static size_t encode_with_next(char text[STATE_TEXT_MAX])
{
    struct state_record record = example;

    record.next = example_next;
    return state_encode(&record, other_boot, text);
}

static void test_round_trip(void **state)
{
    struct state_record extremes[4] = {example, {0}, {0}, example}, back;
    char text[STATE_TEXT_MAX], again[STATE_TEXT_MAX], boot[CLOCKS_BOOT_ID_SIZE];

    (void)state;
    memset(&extremes[2], 0xff, sizeof extremes[2]);
    extremes[3].next = example_next;
    for (unsigned i = 0; i < 4; i++) {
        size_t length = state_encode(&extremes[i], other_boot, text);

        assert_true(length < STATE_TEXT_MAX && length == strlen(text));
        memset(&back, 0x55, sizeof back);
        assert_int_equal(state_decode(text, length, &back, boot), STATE_OK);
        assert_string_equal(boot, other_boot);
        assert_memory_equal(&back, &extremes[i], sizeof back);
        assert_int_equal(state_encode(&back, boot, again), length);
        assert_memory_equal(again, text, length);
    }
}

static void test_every_truncation(void **state)
{
    char text[STATE_TEXT_MAX];
    size_t length = encode_for_this_boot(text);

    (void)state;
    for (size_t n = 0; n < length; n++)
        assert_nothing_known(text, n, STATE_DAMAGED);
    length = encode_with_next(text);
    for (size_t n = 0; n < length; n++)
        assert_nothing_known(text, n, STATE_DAMAGED);
}

static void flip_every_byte(char text[STATE_TEXT_MAX], size_t length)
{
    const size_t digit = strlen("galera-lease state ");
    struct state_record record;
    char boot[CLOCKS_BOOT_ID_SIZE];

    for (size_t i = 0; i < length; i++) {
        char was = text[i];
        bool version = i == digit || i == digit + 1;

        for (unsigned value = 0; value < 256; value++) {
            text[i] = (char)value;
            if (text[i] == was)
                continue;
            bool other = version && !(i == digit && (value == '1' || value == '2'));

            assert_int_equal(state_decode(text, length, &record, boot),
                             other ? STATE_OTHER_VERSION : STATE_DAMAGED);
        }
        text[i] = (char)(was ^ 8);
        assert_nothing_known(text, length, version ? STATE_OTHER_VERSION : STATE_DAMAGED);
        text[i] = was;
    }
}

/* Every byte, every value that it does not have. */
static void test_every_flipped_byte(void **state)
{
    char text[STATE_TEXT_MAX];

    (void)state;
    flip_every_byte(text, encode_for_this_boot(text));
    flip_every_byte(text, encode_with_next(text));
}

static uint64_t fnv(const char *text, size_t length)
{
    uint64_t h = UINT64_C(0xcbf29ce484222325);

    for (size_t i = 0; i < length; i++)
        h = (h ^ (uint8_t)text[i]) * UINT64_C(0x100000001b3);
    return h;
}

/* Whoever writes with a right checksum but in other words was not us. */
static void test_only_our_own_words(void **state)
{
    static const char *const changes[][2] = {
        {"epoch_seen 43", "epoch_seen 043"},
        {"epoch_seen 43", "epoch_seen +43"},
        {"epoch_seen 43", "epoch_seen  43"},
        {"epoch_seen 43", "epoch_seen -1"},
        {"epoch_seen 43", "epoch_seen 18446744073709551616"},
        {"nonce dead", "nonce DEAD"},
        {"nonce dead", "nonce ead"},
        {"\nepoch 42", "\n\nepoch 42"},
        {"\nat ", "\nextra 1\nat "},
    };
    char text[STATE_TEXT_MAX], changed[2 * STATE_TEXT_MAX];

    (void)state;
    encode_for_this_boot(text);
    for (unsigned i = 0; i < sizeof changes / sizeof changes[0]; i++) {
        char *at = strstr(text, changes[i][0]), *sum = strstr(text, "sum ");

        assert_non_null(at);
        int n = snprintf(changed, sizeof changed, "%.*s%s%.*s", (int)(at - text), text, changes[i][1],
                         (int)(sum - at - (ptrdiff_t)strlen(changes[i][0])), at + strlen(changes[i][0]));

        n += sprintf(changed + n, "sum %016llx\n", (unsigned long long)fnv(changed, (size_t)n));
        assert_nothing_known(changed, (size_t)n, STATE_DAMAGED);
    }
    /* The control: the same way of making a file, nothing changed. */
    size_t body = (size_t)(strstr(text, "sum ") - text);
    struct lease_memory memory;

    sprintf(text + body, "sum %016llx\n", (unsigned long long)fnv(text, body));
    put(text, strlen(text));
    assert_int_equal(state_load(folder, &memory), STATE_OK);
}

static void test_other_contents(void **state)
{
    static char big[5000];
    char text[STATE_TEXT_MAX], twice[2 * STATE_TEXT_MAX];
    struct lease_memory memory;
    size_t length = encode_for_this_boot(text);

    (void)state;
    memset(big, 'x', sizeof big);
    assert_nothing_known(big, sizeof big, STATE_DAMAGED);
    assert_nothing_known(big, 600, STATE_DAMAGED);
    memcpy(twice, text, length);
    memcpy(twice + length, text, length);
    assert_nothing_known(twice, 2 * length, STATE_DAMAGED);
    assert_nothing_known(twice, length + 1, STATE_DAMAGED);
    twice[length] = '\0';
    assert_nothing_known(twice, length + 1, STATE_DAMAGED);
    assert_nothing_known("galera-lease state 3\nother\n", 27, STATE_OTHER_VERSION);
    memcpy(big, "galera-lease state 12\n", 22);
    assert_nothing_known(big, 900, STATE_OTHER_VERSION);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(state_load(folder, &memory), STATE_ABSENT);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(state_load(folder, &memory), -EISDIR);
    assert_int_equal(rmdir(path), 0);
}

static void test_other_boot(void **state)
{
    char text[STATE_TEXT_MAX];
    struct lease_memory memory;

    (void)state;
    put(text, state_encode(&example, other_boot, text));
    assert_int_equal(state_load(folder, &memory), STATE_OTHER_BOOT);
    assert_true(memory.epoch_seen == 43);
    assert_true(memory.epoch == 0 && memory.remaining_ns == 0);
    for (unsigned i = 0; i < LEASE_NONCE_SIZE; i++)
        assert_int_equal(memory.nonce.bytes[i], 0);
}

/* ---------------------------------------------------------------- on disk */

static struct state_record now_record(uint64_t remaining_ns)
{
    struct state_record r = example;

    r.remaining_ns = remaining_ns;
    clocks_instant_now(&r.at);
    return r;
}

static void test_save_and_load(void **state)
{
    struct state_record r = now_record(20 * S);
    struct lease_memory memory;
    struct stat st;

    (void)state;
    assert_int_equal(state_save(folder, &r), 0);
    assert_int_equal(state_load(folder, &memory), STATE_OK);
    assert_memory_equal(&memory.nonce, &r.nonce, sizeof r.nonce);
    assert_true(memory.epoch == 42 && memory.epoch_seen == 43);
    assert_true(memory.remaining_ns < 20 * S && memory.remaining_ns > 10 * S);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);

    r.at.boot_ns -= 5 * S; /* saved five seconds ago */
    r.at.raw_ns -= 5 * S;
    r.at.mono_ns -= 5 * S;
    assert_int_equal(state_save(folder, &r), 0);
    assert_int_equal(state_load(folder, &memory), STATE_OK);
    assert_true(memory.remaining_ns < 15 * S && memory.remaining_ns > 5 * S);
    r.remaining_ns = 5 * S;
    assert_int_equal(state_save(folder, &r), 0);
    assert_int_equal(state_load(folder, &memory), STATE_OK);
    assert_true(memory.remaining_ns == 0);
}

/* The content is on the disk before its name, and the name before anybody hears of it. */
static void test_order_to_disk(void **state)
{
    struct state_record r = now_record(20 * S), newer = r;
    struct lease_memory memory;

    (void)state;
    calls[0] = '\0';
    assert_int_equal(state_save(folder, &r), 0);
    assert_string_equal(calls, "sync-file rename sync-folder ");

    newer.epoch_seen = 99; /* a disk that fails: said, and the old file stands */
    calls[0] = '\0';
    atomic_store(&failing, true);
    assert_int_equal(state_save(folder, &newer), -EIO);
    atomic_store(&failing, false);
    assert_string_equal(calls, "");
    assert_int_equal(state_load(folder, &memory), STATE_OK);
    assert_true(memory.epoch_seen == 43);
    assert_int_equal(state_save("/nonexistent", &r), -ENOENT);
}

/* A folder made for the state file is worth no more than its own name. */
static void test_new_folders_are_synced(void **state)
{
    char inner[96], outer[80];

    (void)state;
    snprintf(outer, sizeof outer, "%s/a", folder);
    snprintf(inner, sizeof inner, "%s/b", outer);
    calls[0] = '\0';
    assert_int_equal(fsio_mkdir_p(inner, 0700), 0);
    assert_string_equal(calls, "sync-folder sync-folder ");
    calls[0] = '\0';
    assert_int_equal(fsio_mkdir_p(inner, 0700), 0);
    assert_string_equal(calls, "");
    rmdir(inner);
    rmdir(outer);
}

/* What an interrupted save left behind counts for nothing and is in nobody's way. */
static void test_left_over(void **state)
{
    struct state_record r = now_record(20 * S);
    struct lease_memory memory;
    char tmp[80];

    (void)state;
    snprintf(tmp, sizeof tmp, "%s.tmp", path);
    assert_int_equal(state_save(folder, &r), 0);
    assert_int_equal(fsio_replace(tmp, "galera-lease sta", 16, 0600, false), 0);
    assert_int_equal(state_load(folder, &memory), STATE_OK);
    r.epoch_seen = 44;
    assert_int_equal(state_save(folder, &r), 0);
    assert_int_equal(state_load(folder, &memory), STATE_OK);
    assert_true(memory.epoch_seen == 44);
    assert_int_equal(access(tmp, F_OK), -1);
}

static void test_lock(void **state)
{
    char lock[64], deep[5000];
    int fd = -1, other = -1, status;

    (void)state;
    assert_int_equal(state_lock(folder, &fd), STATE_OK);
    assert_int_equal(state_lock(folder, &other), STATE_LOCKED);
    pid_t child = fork(); /* the guardian's copy */

    if (child == 0) {
        pause();
        _exit(0);
    }
    close(fd);
    assert_int_equal(state_lock(folder, &other), STATE_LOCKED);
    kill(child, SIGKILL);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(state_lock(folder, &other), STATE_OK);
    close(other);
    snprintf(lock, sizeof lock, "%s/lock", folder);
    unlink(lock);
    assert_int_equal(symlink("/dev/null", lock), 0);
    assert_int_equal(state_lock(folder, &other), -ELOOP);
    unlink(lock);
    memset(deep, '/', sizeof deep - 1);
    deep[sizeof deep - 1] = '\0';
    assert_int_equal(state_lock(deep, &other), -ENAMETOOLONG); /* never a lock of another name */
    assert_int_equal(state_save(deep, &example), -ENAMETOOLONG);
}

/* ---------------------------------------------------------------- the thread that saves */

static void next_result(struct saver *saver, uint32_t id, int error)
{
    struct pollfd news = {.fd = saver_fd(saver), .events = POLLIN};
    uint32_t got = 0;
    int result = 1;

    for (int i = 0; i < 100 && !saver_take(saver, &got, &result); i++)
        poll(&news, 1, 100);
    assert_int_equal(got, id);
    assert_int_equal(result, error);
}

static uint64_t epoch_on_disk(void)
{
    struct lease_memory memory;

    assert_int_equal(state_load(folder, &memory), STATE_OK);
    return memory.epoch_seen;
}

static void submit(struct saver *saver, uint32_t id, bool awaited, int result)
{
    struct state_record r = now_record(20 * S);

    r.epoch_seen = 1000 + id;
    assert_int_equal(saver_submit(saver, id, &r, awaited), result);
}

/* On a slow disk: nobody is answered before the disk has it, the caller never waits, order is kept. */
static void test_saver_on_a_slow_disk(void **state)
{
    struct saver *saver;
    uint32_t id;
    int error;

    (void)state;
    assert_int_equal(saver_new(folder, &saver), 0);
    atomic_store(&slow, true);
    submit(saver, 1, true, 0);
    sem_wait(&arrived); /* 1 is being synced, and stays there */
    assert_int_equal(saver_take(saver, &id, &error), 0);
    submit(saver, 2, false, 0); /* overtaken by 3, 3 by 4 */
    submit(saver, 3, false, 0);
    submit(saver, 4, true, 0);
    submit(saver, 5, false, 0); /* behind one that is awaited: both are written */
    sem_post(&go_on);
    sem_wait(&arrived);
    next_result(saver, 1, 0);
    assert_true(epoch_on_disk() == 1001);
    assert_int_equal(saver_take(saver, &id, &error), 0);
    sem_post(&go_on);
    sem_wait(&arrived);
    next_result(saver, 4, 0);
    assert_true(epoch_on_disk() == 1004);
    atomic_store(&slow, false);
    sem_post(&go_on);
    assert_null(saver_free(saver)); /* finishes what is queued */
    assert_true(epoch_on_disk() == 1005);
    assert_int_equal(sem_trywait(&arrived), -1);
    assert_null(saver_free(NULL));
}

/* Also one that nobody awaits is on the disk in the right order: it may be the last before a power cut. */
static void test_saver_always_syncs(void **state)
{
    struct saver *saver;

    (void)state;
    calls[0] = '\0';
    assert_int_equal(saver_new(folder, &saver), 0);
    submit(saver, 1, false, 0);
    saver_free(saver);
    assert_string_equal(calls, "sync-file rename sync-folder ");
}

/* No result is lost: what can't be told later is not taken on. */
static void test_saver_is_full(void **state)
{
    struct state_record r = now_record(20 * S);
    struct saver *saver;
    uint32_t taken = 0, id = 0;
    int error;

    (void)state;
    assert_int_equal(saver_new(folder, &saver), 0);
    for (; taken < 100; taken++) { /* all are written, none is asked for */
        r.epoch_seen = 2000 + taken;
        if (saver_submit(saver, taken + 1, &r, true) < 0)
            break;
        for (int i = 0; i < 5000 && epoch_on_disk() != r.epoch_seen; i++)
            poll(NULL, 0, 1);
    }
    assert_true(taken >= 4 && taken < 100);
    for (uint32_t i = 1; i <= taken; i++)
        next_result(saver, i, 0);
    assert_int_equal(saver_take(saver, &id, &error), 0);
    submit(saver, 200, true, 0);
    next_result(saver, 200, 0);
    saver_free(saver);
}

/* A failure is told, awaited or not. */
static void test_saver_tells_failures(void **state)
{
    struct saver *saver;

    (void)state;
    assert_int_equal(saver_new(folder, &saver), 0);
    atomic_store(&failing, true);
    submit(saver, 1, true, 0);
    next_result(saver, 1, -EIO);
    submit(saver, 2, false, 0);
    next_result(saver, 2, -EIO);
    atomic_store(&failing, false);
    submit(saver, 3, true, 0);
    next_result(saver, 3, 0);
    saver_free(saver);
}

static void test_result_text(void **state)
{
    (void)state;
    for (int r = STATE_OK; r <= STATE_LOCKED; r++)
        for (int other = STATE_OK; other < r; other++)
            assert_string_not_equal(state_result_text(r), state_result_text(other));
    assert_string_equal(state_result_text(-EIO), strerror(EIO));
}

static int set_up(void **state)
{
    (void)state;
    if (!mkdtemp(folder) || sem_init(&arrived, 0, 0) < 0 || sem_init(&go_on, 0, 0) < 0)
        return -1;
    snprintf(path, sizeof path, "%s/state", folder);
    return 0;
}

static int tear_down(void **state)
{
    char command[128];

    (void)state;
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_every_truncation),
        cmocka_unit_test(test_every_flipped_byte),
        cmocka_unit_test(test_only_our_own_words),
        cmocka_unit_test(test_other_contents),
        cmocka_unit_test(test_other_boot),
        cmocka_unit_test(test_save_and_load),
        cmocka_unit_test(test_order_to_disk),
        cmocka_unit_test(test_new_folders_are_synced),
        cmocka_unit_test(test_left_over),
        cmocka_unit_test(test_lock),
        cmocka_unit_test(test_saver_on_a_slow_disk),
        cmocka_unit_test(test_saver_always_syncs),
        cmocka_unit_test(test_saver_is_full),
        cmocka_unit_test(test_saver_tells_failures),
        cmocka_unit_test(test_result_text),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
