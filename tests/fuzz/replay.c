/*
 * fuzz_NAME FOLDER…: plays every file of the folders, for builds without libFuzzer. An input that breaks
 * something ends the program; its name is the last one that was said.
 */
#include <dirent.h>
#include <stdio.h>
#include <string.h>

#include "fuzz.h"

#define INPUT_MAX (1 << 20)

static int play(const char *path)
{
    FILE *f = fopen(path, "re");
    uint8_t *data = malloc(INPUT_MAX);

    if (!f || !data) {
        perror(path);
        if (f)
            fclose(f);
        free(data);
        return -1;
    }
    size_t size = fread(data, 1, INPUT_MAX, f);

    fclose(f);
    printf("%s\n", path);
    fflush(stdout);
    uint8_t *exact = malloc(size ? size : 1); /* so that a memory checker sees the end */

    if (exact) {
        memcpy(exact, data, size);
        LLVMFuzzerTestOneInput(exact, size);
    }
    free(exact);
    free(data);
    return 0;
}

int main(int argc, char *argv[])
{
    unsigned played = 0;

    for (int i = 1; i < argc; i++) {
        struct dirent **entries;
        int n = scandir(argv[i], &entries, NULL, alphasort);

        if (n < 0) {
            perror(argv[i]);
            return 1;
        }
        for (int k = 0; k < n; k++) {
            char path[4096];

            snprintf(path, sizeof path, "%s/%s", argv[i], entries[k]->d_name);
            if (entries[k]->d_name[0] != '.' && play(path) < 0)
                return 1;
            played += entries[k]->d_name[0] != '.';
            free(entries[k]);
        }
        free(entries);
    }
    printf("%u inputs played\n", played);
    return played == 0; /* none is no test */
}
