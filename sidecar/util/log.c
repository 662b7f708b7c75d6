#include "util/log.h"

#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "util/cleanup.h"

#define LINE_MAX_BYTES 2048

static const char *const level_names[] = {"error", "warning", "info", "debug"};
static atomic_int threshold = LOG_LEVEL_INFO;
static log_backend_fn backend;
static enum { SINK_PLAIN, SINK_SOCKET, SINK_ASK } sink;
static atomic_uint lost;

void log_set_level(enum log_level level)
{
    threshold = (int)level;
}

bool log_set_level_named(const char *name)
{
    for (unsigned i = 0; i < sizeof level_names / sizeof level_names[0]; i++)
        if (strcmp(name, level_names[i]) == 0) {
            threshold = (int)i;
            return true;
        }
    return false;
}

void log_set_backend(log_backend_fn fn)
{
    backend = fn;
}

void log_unblock(void)
{
    struct stat st;

    if (fstat(STDERR_FILENO, &st) < 0)
        return;
    if (S_ISSOCK(st.st_mode)) { /* the journal's stream: it has no path to open it again by */
        sink = SINK_SOCKET;
        return;
    }
    _cleanup_(closep) int fd =
        open("/proc/self/fd/2", O_WRONLY | O_APPEND | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);

    /* Somebody else's pipe can't be opened again: then ask first. Lines are below PIPE_BUF. */
    sink = fd >= 0 && dup2(fd, STDERR_FILENO) >= 0 ? SINK_PLAIN : SINK_ASK;
}

static bool put_line(const char *line, size_t length)
{
    struct pollfd room = {.fd = STDERR_FILENO, .events = POLLOUT};
    ssize_t n;

    if (sink == SINK_SOCKET)
        n = send(STDERR_FILENO, line, length, MSG_DONTWAIT | MSG_NOSIGNAL);
    else if (sink == SINK_ASK && poll(&room, 1, 0) <= 0)
        n = -1;
    else
        n = write(STDERR_FILENO, line, length);
    return n == (ssize_t)length;
}

static size_t format_line(char *line, size_t size, enum log_level level, const char *event,
                          const char *message)
{
    struct timespec now;
    struct tm tm;

    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &tm);
    int n = snprintf(line, size, "ts=%04d-%02d-%02dT%02d:%02d:%02d.%03ldZ level=%s event=%s %s\n",
                     tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec,
                     now.tv_nsec / 1000000, level_names[level], event, message);

    return n < (int)size ? (size_t)n : size - 1;
}

/* A log that can't be written must not stop the lease. */
static void to_stderr(enum log_level level, const char *event, const char *message)
{
    char line[LINE_MAX_BYTES + 128], count[32];
    unsigned missing = atomic_exchange(&lost, 0);

    if (missing > 0) {
        snprintf(count, sizeof count, "lines=%u", missing);
        if (!put_line(line, format_line(line, sizeof line, LOG_LEVEL_WARNING, "log-lost", count))) {
            atomic_fetch_add(&lost, missing + 1);
            return;
        }
    }
    if (!put_line(line, format_line(line, sizeof line, level, event, message)))
        atomic_fetch_add(&lost, 1);
}

void log_emit(enum log_level level, const char *event, const char *format, ...)
{
    char message[LINE_MAX_BYTES];
    va_list args;

    if ((int)level > threshold)
        return;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    for (char *p = message; *p; p++)
        if (*p < ' ' || *p > '~')
            *p = '?';
    (backend ? backend : to_stderr)(level, event, message);
}

const char *log_quote(const char *text, char *buf, size_t size)
{
    size_t at = 0;

    if (size < 3)
        return "";
    buf[at++] = '"';
    for (; *text && at + 3 < size; text++) {
        if (*text == '"' || *text == '\\')
            buf[at++] = '\\';
        buf[at++] = (char)(*text < ' ' || *text > '~' ? '?' : *text);
    }
    buf[at++] = '"';
    buf[at] = '\0';
    return buf;
}
