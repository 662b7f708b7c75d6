#pragma once
/* A text that is put together in somebody's buffer, and knows when it was cut. Thread: no locking. */
#include <stdbool.h>
#include <stddef.h>

struct text {
    char *at; /* not owned; always NUL-terminated */
    size_t room, size;
    bool cut;
};

void text_init(struct text *text, char *buf, size_t room);
void text_add(struct text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));
