#pragma once
/* One input of a fuzzer: libFuzzer calls this, or replay.c with the files of the corpus. Always 0. */
#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What must hold; ends the program with the line. */
#define FUZZ_MUST(cond) ((cond) ? (void)0 : fuzz_broken(#cond, __FILE__, __LINE__))

#include <stdio.h>
#include <stdlib.h>

static inline _Noreturn void fuzz_broken(const char *what, const char *file, int line)
{
    fprintf(stderr, "%s:%d: does not hold: %s\n", file, line, what);
    abort();
}
