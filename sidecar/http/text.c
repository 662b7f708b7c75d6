#include "http/text.h"

#include <stdarg.h>
#include <stdio.h>

void text_init(struct text *t, char *buf, size_t room)
{
    *t = (struct text){.at = buf, .room = room};
    buf[0] = '\0';
}

void text_add(struct text *t, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    int n = vsnprintf(t->at + t->size, t->room - t->size, format, args);

    va_end(args);
    if (n < 0 || (size_t)n >= t->room - t->size) {
        t->cut = true;
        t->at[t->size] = '\0';
        return;
    }
    t->size += (size_t)n;
}
