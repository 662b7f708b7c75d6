#pragma once
/*
 * One line per event, key=value, for people and for machines.
 *
 *     LOG(LOG_LEVEL_INFO, "role", "lease=%s from=%s to=%s", lease, from, to);
 *
 * Values that may hold spaces are passed through log_quote(). Called by app, cli and the guardian's main
 * only: library code returns enough for its caller to log. Any thread; one line is one write.
 */
#include <stdbool.h>
#include <stddef.h>

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/* Gets the finished message, without time and level. */
typedef void (*log_backend_fn)(enum log_level level, const char *event, const char *message);

void log_set_level(enum log_level level);     /* any time, any thread */
bool log_set_level_named(const char *name);   /* "error", "warning", "info" or "debug"; false: none of them */
void log_set_backend(log_backend_fn backend); /* NULL: stderr */

/*
 * From now on a log that nobody reads can't block: a pipe, a terminal or a socket that is full loses the
 * line, and how many were lost is said in the next one that can be written. Takes an open file of its own
 * where it can, because O_NONBLOCK belongs to the open file, which others may share.
 */
void log_unblock(void);

void log_emit(enum log_level level, const char *event, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* @text with quotes around it and everything unprintable replaced, in @buf; returns @buf. */
const char *log_quote(const char *text, char *buf, size_t size);

#define log_error(event, ...)   log_emit(LOG_LEVEL_ERROR, event, __VA_ARGS__)
#define log_warning(event, ...) log_emit(LOG_LEVEL_WARNING, event, __VA_ARGS__)
#define log_info(event, ...)    log_emit(LOG_LEVEL_INFO, event, __VA_ARGS__)
#define log_debug(event, ...)   log_emit(LOG_LEVEL_DEBUG, event, __VA_ARGS__)
