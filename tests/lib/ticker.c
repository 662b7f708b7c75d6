/*
 * A stand-in controller: every 10 ms it appends "BOOTTIME_NS PID EPOCH" to its file. An observer outside the
 * sidecars reads who acted when.
 *
 *     ticker FILE [--stubborn] [--exit-after MS]
 *
 * --stubborn: forks twice, calls setsid and ignores TERM, so that only killing everything that is left ends
 * it.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static uint64_t now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_BOOTTIME, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void hide(void)
{
    signal(SIGTERM, SIG_IGN);
    for (int i = 0; i < 2; i++) {
        pid_t pid = fork();

        if (pid < 0)
            exit(1);
        if (pid > 0)
            _exit(0);
        setsid();
    }
}

int main(int argc, char *argv[])
{
    const char *epoch = getenv("GALERA_LEASE_EPOCH");
    uint64_t end = UINT64_MAX;

    if (argc < 2 || !epoch)
        return 2;
    for (int i = 2; i < argc; i++) {
        if (strcmp(argv[i], "--stubborn") == 0)
            hide();
        else if (strcmp(argv[i], "--exit-after") == 0 && i + 1 < argc)
            end = now_ns() + strtoull(argv[++i], NULL, 10) * 1000000u;
    }
    int fd = open(argv[1], O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);

    while (fd >= 0 && now_ns() < end) {
        char line[96];
        int n = snprintf(line, sizeof line, "%" PRIu64 " %d %s\n", now_ns(), (int)getpid(), epoch);

        if (write(fd, line, (size_t)n) != n)
            return 1;
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    }
    return 1;
}
