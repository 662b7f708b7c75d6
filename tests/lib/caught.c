#include "caught.h"

#include <stdio.h>

#include "core/lease.h"

jmp_buf caught_escape;
char caught_text[256];

_Noreturn void lease_assert_failed(const char *expression, const char *file, int line)
{
    snprintf(caught_text, sizeof caught_text, "%s:%d: %s", file, line, expression);
    longjmp(caught_escape, 1);
}
