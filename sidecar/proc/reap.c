#include "proc/reap.h"

#include <pthread.h>
#include <sys/wait.h>

/* Of the process, as children are. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pid_t waiting[REAP_MAX];
static unsigned count;

void reap_later(pid_t pid)
{
    pthread_mutex_lock(&lock);
    if (count < REAP_MAX)
        waiting[count++] = pid;
    pthread_mutex_unlock(&lock);
}

unsigned reap_left(void)
{
    unsigned left = 0;

    pthread_mutex_lock(&lock);
    for (unsigned i = 0; i < count; i++)
        if (waitpid(waiting[i], NULL, WNOHANG) == 0)
            waiting[left++] = waiting[i];
    count = left;
    pthread_mutex_unlock(&lock);
    return left;
}
