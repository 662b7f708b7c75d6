#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "state/state.h"

#define QUEUE 8

struct job {
    uint32_t id;
    struct state_record record;
    bool awaited;
    int error;
};

struct saver {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t more;
    char *folder;
    int fd;
    bool ending, busy;
    struct job waiting[QUEUE], done[QUEUE];
    unsigned waiting_count, done_count;
};

static void report(struct saver *s, const struct job *job)
{
    uint64_t one = 1;

    if (!job->awaited && job->error == 0)
        return;
    s->done[s->done_count++] = *job;
    if (write(s->fd, &one, sizeof one) < 0)
        errno = 0; /* already readable */
}

static void *work(void *userdata)
{
    struct saver *s = userdata;

    pthread_mutex_lock(&s->lock);
    for (;;) {
        while (s->waiting_count == 0 && !s->ending)
            pthread_cond_wait(&s->more, &s->lock);
        if (s->waiting_count == 0)
            break;
        struct job job = s->waiting[0];

        memmove(s->waiting, s->waiting + 1, --s->waiting_count * sizeof job);
        s->busy = true;
        pthread_mutex_unlock(&s->lock);
        job.error = state_save(s->folder, &job.record);
        pthread_mutex_lock(&s->lock);
        s->busy = false;
        report(s, &job);
    }
    pthread_mutex_unlock(&s->lock);
    return NULL;
}

int saver_new(const char *folder, struct saver **ret)
{
    struct saver *s = calloc(1, sizeof *s);

    if (!s)
        return -ENOMEM;
    s->folder = strdup(folder);
    s->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->more, NULL);
    int r = s->fd < 0 || !s->folder ? ENOMEM : pthread_create(&s->thread, NULL, work, s);

    if (r != 0) {
        if (s->fd >= 0)
            close(s->fd);
        free(s->folder);
        free(s);
        return -r;
    }
    *ret = s;
    return 0;
}

struct saver *saver_free(struct saver *s)
{
    if (!s)
        return NULL;
    pthread_mutex_lock(&s->lock);
    s->ending = true;
    pthread_cond_signal(&s->more);
    pthread_mutex_unlock(&s->lock);
    pthread_join(s->thread, NULL);
    close(s->fd);
    free(s->folder);
    free(s);
    return NULL;
}

int saver_fd(const struct saver *s)
{
    return s->fd;
}

int saver_submit(struct saver *s, uint32_t id, const struct state_record *record, bool awaited)
{
    struct job job = {.id = id, .record = *record, .awaited = awaited};
    int r = 0;

    pthread_mutex_lock(&s->lock);
    if (s->waiting_count > 0 && !s->waiting[s->waiting_count - 1].awaited)
        s->waiting_count--; /* overtaken */
    /* So that there is room for every result. */
    if (s->waiting_count + s->busy + s->done_count >= QUEUE)
        r = -ENOBUFS;
    else
        s->waiting[s->waiting_count++] = job;
    pthread_cond_signal(&s->more);
    pthread_mutex_unlock(&s->lock);
    return r;
}

int saver_take(struct saver *s, uint32_t *ret_id, int *ret_error)
{
    uint64_t count;
    int found = 0;

    pthread_mutex_lock(&s->lock);
    if (read(s->fd, &count, sizeof count) < 0)
        errno = 0;
    if (s->done_count > 0) {
        *ret_id = s->done[0].id;
        *ret_error = s->done[0].error;
        memmove(s->done, s->done + 1, --s->done_count * sizeof s->done[0]);
        found = 1;
    }
    pthread_mutex_unlock(&s->lock);
    return found;
}
