#include "record/recorder.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "record/recording.h"

static const char end_line[] = "end\n";

struct buffer {
    size_t length;
    size_t turn; /* from here on it belongs into a new file; SIZE_MAX: nothing does */
    char text[RECORDER_QUEUE];
};

struct recorder {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t news, ended;
    char *path, *old_path, *lease;
    uint64_t bound;

    /* under the lock */
    struct buffer *filling;
    bool broken;      /* something was lost: the next step can only follow on a new opening */
    bool wants_turn;  /* the file is full: the next segment begins a new one */
    uint64_t missing; /* steps lost since the last opening; the next one that finds room says so */
    struct recorder_counts counts;
    bool ending, over;

    /* the thread's, once it runs */
    struct buffer *writing;
    int fd; /* -1: to be opened */
    uint64_t size;
};

/* ------------------------------------------------------------------ the files */

static int open_file(struct recorder *r)
{
    int fd = recording_open(r->path, &r->size);

    if (fd < 0)
        return fd;
    r->fd = fd;
    return 0;
}

static int turn_file(struct recorder *r)
{
    int s = recording_check_old(r->old_path);

    if (s < 0)
        return s;
    if (r->fd >= 0)
        close(r->fd);
    r->fd = -1;
    if (rename(r->path, r->old_path) < 0 && errno != ENOENT)
        return -errno;
    return open_file(r);
}

/* All of it, or nothing. */
static int append(struct recorder *r, const char *text, size_t length)
{
    size_t done = 0;

    if (length == 0)
        return 0;
    if (r->fd < 0) {
        int s = open_file(r);

        if (s < 0)
            return s;
    }
    while (done < length) {
        ssize_t n = write(r->fd, text + done, length - done);

        if (n < 0 && errno != EINTR) {
            int s = -errno;

            if (done > 0 && ftruncate(r->fd, (off_t)r->size) < 0) {
                close(r->fd); /* trimmed when it is opened again */
                r->fd = -1;
            }
            return s;
        }
        done += n < 0 ? 0 : (size_t)n;
    }
    r->size += length;
    return 0;
}

/* 0, or negative errno with what is lost. */
static int write_buffer(struct recorder *r, const struct buffer *b, struct record_loss *ret_lost)
{
    size_t before = b->turn < b->length ? b->turn : b->length, done = 0;
    int s = append(r, b->text, before);

    if (s == 0 && b->turn != SIZE_MAX) {
        done = before;
        s = turn_file(r);
    }
    if (s == 0)
        s = append(r, b->text + before, b->length - before);
    *ret_lost = (struct record_loss){0};
    if (s < 0)
        record_lose(b->text + done, b->length - done, ret_lost);
    return s;
}

/* ------------------------------------------------------------------ the thread */

/* What waits follows on what was lost: it is lost too, and a new segment begins. The lock is held. */
static void lose(struct recorder *r, const struct buffer *failed, struct record_loss *lost)
{
    record_lose(r->filling->text, r->filling->length, lost);
    r->broken = true;
    r->missing += lost->steps + lost->said;
    r->counts.dropped += lost->steps;
    r->wants_turn |= failed->turn != SIZE_MAX || r->filling->turn != SIZE_MAX;
    r->filling->length = 0;
    r->filling->turn = SIZE_MAX;
}

static void *work(void *userdata)
{
    struct recorder *r = userdata;

    pthread_mutex_lock(&r->lock);
    for (;;) {
        while (r->filling->length == 0 && !r->ending)
            pthread_cond_wait(&r->news, &r->lock);
        if (r->filling->length == 0)
            break;
        struct buffer *b = r->filling;
        struct record_loss lost;

        r->filling = r->writing;
        r->writing = b;
        pthread_mutex_unlock(&r->lock);
        int s = write_buffer(r, b, &lost);

        pthread_mutex_lock(&r->lock);
        r->counts.error = s;
        if (s < 0)
            lose(r, b, &lost);
        else if (r->size > r->bound / 2 && r->filling->turn == SIZE_MAX)
            r->wants_turn = true;
        b->length = 0;
        b->turn = SIZE_MAX;
    }
    r->over = true;
    pthread_cond_signal(&r->ended);
    pthread_mutex_unlock(&r->lock);
    return NULL;
}

/* ------------------------------------------------------------------ the loop's side */

/* The lock is held. Where there is no room the next step tries again. */
static void open_segment(struct recorder *r, enum record_why why, const struct lease *state)
{
    struct buffer *b = r->filling;
    size_t room = sizeof b->text - b->length;
    int n = room < RECORD_OPENING_MAX
                ? -ENOSPC
                : record_opening_print(r->lease, why, r->missing, state, b->text + b->length, room);

    if (n < 0)
        return;
    if (r->wants_turn && b->turn == SIZE_MAX) {
        b->turn = b->length;
        r->wants_turn = false;
    }
    b->length += (size_t)n;
    r->broken = false;
    r->missing = 0;
}

void recorder_put(struct recorder *r, const char *text, size_t length, const struct lease *after)
{
    pthread_mutex_lock(&r->lock);
    struct buffer *b = r->filling;

    r->counts.recorded++;
    if (!text || r->broken || length > sizeof b->text - b->length) {
        r->broken = true;
        r->missing++;
        r->counts.dropped++;
    } else {
        memcpy(b->text + b->length, text, length);
        b->length += length;
    }
    if (r->broken || r->wants_turn)
        open_segment(r, r->broken ? RECORD_GAP : RECORD_SIZE, after);
    pthread_cond_signal(&r->news);
    pthread_mutex_unlock(&r->lock);
}

void recorder_counts(struct recorder *r, struct recorder_counts *ret)
{
    pthread_mutex_lock(&r->lock);
    *ret = r->counts;
    pthread_mutex_unlock(&r->lock);
}

/* ------------------------------------------------------------------ begin and end */

static struct recorder *let_go(struct recorder *r)
{
    if (r->fd >= 0)
        close(r->fd);
    free(r->path);
    free(r->old_path);
    free(r->lease);
    free(r->filling);
    free(r->writing);
    free(r);
    return NULL;
}

static struct buffer *new_buffer(void)
{
    struct buffer *b = malloc(sizeof *b);

    if (b) {
        b->length = 0;
        b->turn = SIZE_MAX;
    }
    return b;
}

static int prepare(struct recorder *r, const char *path, uint64_t bound, const char *lease)
{
    r->fd = -1;
    r->bound = bound;
    r->path = strdup(path);
    r->lease = strdup(lease);
    r->filling = new_buffer();
    r->writing = new_buffer();
    if (asprintf(&r->old_path, "%s.1", path) < 0)
        r->old_path = NULL;
    if (!r->path || !r->old_path || !r->lease || !r->filling || !r->writing)
        return -ENOMEM;
    int s = recording_check_old(r->old_path); /* now, not only when there is a need to turn */

    if (s == 0)
        s = open_file(r);
    return s == 0 && r->size > bound / 2 ? turn_file(r) : s;
}

static int start_thread(struct recorder *r)
{
    pthread_condattr_t monotonic;

    pthread_mutex_init(&r->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&r->news, &monotonic);
    pthread_cond_init(&r->ended, &monotonic);
    pthread_condattr_destroy(&monotonic);
    return -pthread_create(&r->thread, NULL, work, r);
}

int recorder_new(const char *path, uint64_t bound, const char *lease, const struct lease *state,
                 struct recorder **ret)
{
    struct recorder *r = calloc(1, sizeof *r);

    if (!r)
        return -ENOMEM;
    int s = prepare(r, path, bound, lease);

    if (s == 0) {
        open_segment(r, RECORD_START, state);
        s = start_thread(r);
    }
    if (s < 0) {
        let_go(r);
        return s;
    }
    *ret = r;
    return 0;
}

static struct timespec in_ns(uint64_t ns)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    t.tv_sec += (time_t)(ns / LEASE_NS_PER_S);
    t.tv_nsec += (long)(ns % LEASE_NS_PER_S);
    if (t.tv_nsec >= (long)LEASE_NS_PER_S) {
        t.tv_sec++;
        t.tv_nsec -= (long)LEASE_NS_PER_S;
    }
    return t;
}

void recorder_end(struct recorder *r, uint64_t patience_ns)
{
    struct timespec until = in_ns(patience_ns);

    if (!r)
        return;
    pthread_mutex_lock(&r->lock);
    if (!r->broken && sizeof r->filling->text - r->filling->length >= sizeof end_line) {
        memcpy(r->filling->text + r->filling->length, end_line, sizeof end_line - 1);
        r->filling->length += sizeof end_line - 1;
    }
    r->ending = true;
    pthread_cond_signal(&r->news);
    while (!r->over && pthread_cond_timedwait(&r->ended, &r->lock, &until) != ETIMEDOUT)
        ;
    bool over = r->over;

    pthread_mutex_unlock(&r->lock);
    if (!over) {
        pthread_detach(r->thread);
        return;
    }
    pthread_join(r->thread, NULL);
    pthread_mutex_destroy(&r->lock);
    pthread_cond_destroy(&r->news);
    pthread_cond_destroy(&r->ended);
    let_go(r);
}
