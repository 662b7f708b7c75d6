#include "util/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#define LINE_MAX_BYTES 2048

static enum log_level threshold = LOG_LEVEL_INFO;
static log_backend_fn backend;

void log_set_level(enum log_level level)
{
    threshold = level;
}

void log_set_backend(log_backend_fn fn)
{
    backend = fn;
}

static void to_stderr(enum log_level level, const char *event, const char *message)
{
    static const char *const names[] = {"error", "warning", "info", "debug"};
    char line[LINE_MAX_BYTES + 128];
    struct timespec now;
    struct tm tm;

    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &tm);
    int n = snprintf(line, sizeof line, "ts=%04d-%02d-%02dT%02d:%02d:%02d.%03ldZ level=%s event=%s %s\n",
                     tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec,
                     now.tv_nsec / 1000000, names[level], event, message);
    size_t length = n < (int)sizeof line ? (size_t)n : sizeof line - 1;

    /* A log that can't be written must not stop the lease. */
    if (write(STDERR_FILENO, line, length) < 0)
        errno = 0;
}

void log_emit(enum log_level level, const char *event, const char *format, ...)
{
    char message[LINE_MAX_BYTES];
    va_list args;

    if (level > threshold)
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
        buf[at++] = *text < ' ' || *text > '~' ? '?' : *text;
    }
    buf[at++] = '"';
    buf[at] = '\0';
    return buf;
}
