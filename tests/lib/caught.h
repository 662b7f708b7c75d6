#pragma once
/*
 * An assertion of the core ends a step, not the driver: it comes back to where caught_escape was set, and
 * caught_text says which one it was.
 */
#include <setjmp.h>

extern jmp_buf caught_escape;
extern char caught_text[256];
