#include "watch/watcher.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

struct watcher {
    watcher_ask_fn ask;
    void *userdata;
    uint64_t interval_ns;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t change;
    int fd;
    bool answered, ending, over;
    struct watcher_answer answer;
};

static uint64_t now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static struct timespec in_ns(uint64_t ns)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    ns += (uint64_t)t.tv_nsec;
    t.tv_sec += (time_t)(ns / 1000000000u);
    t.tv_nsec = (long)(ns % 1000000000u);
    return t;
}

static void *work(void *userdata)
{
    struct watcher *w = userdata;
    uint64_t one = 1;

    pthread_mutex_lock(&w->lock);
    while (!w->ending) {
        struct watcher_answer answer = {0};

        pthread_mutex_unlock(&w->lock);
        uint64_t begun_ns = now_ns();

        w->ask(w->userdata, &answer);
        answer.took_ns = now_ns() - begun_ns;
        pthread_mutex_lock(&w->lock);
        w->answer = answer;
        w->answered = true;
        if (write(w->fd, &one, sizeof one) < 0)
            errno = 0; /* already readable */
        struct timespec next = in_ns(w->interval_ns);

        while (!w->ending && pthread_cond_timedwait(&w->change, &w->lock, &next) != ETIMEDOUT)
            ;
    }
    w->over = true;
    pthread_cond_broadcast(&w->change);
    pthread_mutex_unlock(&w->lock);
    return NULL;
}

int watcher_new(watcher_ask_fn ask, void *userdata, uint64_t interval_ns, struct watcher **ret)
{
    struct watcher *w = calloc(1, sizeof *w);
    pthread_condattr_t monotonic;

    if (!w)
        return -ENOMEM;
    w->ask = ask;
    w->userdata = userdata;
    w->interval_ns = interval_ns;
    w->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    pthread_mutex_init(&w->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&w->change, &monotonic);
    pthread_condattr_destroy(&monotonic);
    int r = w->fd < 0 ? errno : pthread_create(&w->thread, NULL, work, w);

    if (r != 0) {
        if (w->fd >= 0)
            close(w->fd);
        free(w);
        return -r;
    }
    *ret = w;
    return 0;
}

int watcher_fd(const struct watcher *w)
{
    return w->fd;
}

bool watcher_take(struct watcher *w, struct watcher_answer *ret)
{
    uint64_t count;
    bool answered;

    pthread_mutex_lock(&w->lock);
    if (read(w->fd, &count, sizeof count) < 0)
        errno = 0; /* nothing new */
    answered = w->answered;
    w->answered = false;
    if (answered)
        *ret = w->answer;
    pthread_mutex_unlock(&w->lock);
    return answered;
}

bool watcher_end(struct watcher *w, uint64_t patience_ns)
{
    struct timespec until = in_ns(patience_ns);
    bool over;

    pthread_mutex_lock(&w->lock);
    w->ending = true;
    pthread_cond_broadcast(&w->change);
    while (!w->over && pthread_cond_timedwait(&w->change, &w->lock, &until) != ETIMEDOUT)
        ;
    over = w->over;
    pthread_mutex_unlock(&w->lock);
    if (!over) {
        pthread_detach(w->thread);
        return false;
    }
    pthread_join(w->thread, NULL);
    close(w->fd);
    pthread_mutex_destroy(&w->lock);
    pthread_cond_destroy(&w->change);
    free(w);
    return true;
}
