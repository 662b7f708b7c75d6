/*
 * scenario [--rewrite] [--edges] [--taken OUTPUT] FILE…: plays each file and compares what came with what
 * stands there.
 *
 * A file is a script with its outcome in between: lines that begin with two spaces are outcome, '#' begins a
 * comment. With
 * --rewrite the outcome is written anew, to be reviewed as a diff. With --edges a legal change of role that
 * no file took is a failure; --taken writes them all, for tests/coverage.
 */
#include <errno.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>

#include "play.h"

_Noreturn void lease_assert_failed(const char *expression, const char *file, int line)
{
    fprintf(stderr, "%s:%d: the core's own invariant does not hold: %s\n", file, line, expression);
    abort();
}

static char *read_file(const char *path)
{
    FILE *f = fopen(path, "re");
    char *text = NULL;
    size_t size = 0;

    if (!f || getdelim(&text, &size, '\0', f) < 0) {
        fprintf(stderr, "%s: %s\n", path, f ? "is empty" : strerror(errno));
        exit(2);
    }
    fclose(f);
    return text;
}

static void say_difference(const char *path, const char *there, const char *now);

/*
 * The script with the outcome that it has now. Ends the program on a line that can't be played: a mistake in
 * the script, or the core went another way before, which is said then.
 */
static char *play_file(const char *path, const char *there, char *script)
{
    static struct play play;
    char *text = NULL, *save = NULL;
    const char *what = NULL;
    size_t size = 0;
    unsigned number = 0;
    FILE *out = open_memstream(&text, &size);

    play_init(&play, out);
    for (char *line = script, *next; line && *line; line = next) {
        next = strchr(line, '\n');
        if (next)
            *next++ = '\0';
        number++;
        if (strncmp(line, "  ", 2) == 0)
            continue; /* the outcome of another day */
        fprintf(out, "%s\n", line);
        if (line[0] == '#' || line[0] == '\0')
            continue;
        if (play_line(&play, line, &what) < 0) {
            fclose(out);
            if (strncmp(there, text, strlen(text) - strlen(line) - 1) != 0)
                say_difference(path, there, text);
            fprintf(stderr, "%s:%u: %s: %s\n", path, number, line, what);
            exit(2);
        }
    }
    (void)save;
    fclose(out);
    return text;
}

/* The first line that differs, for people. */
static void say_difference(const char *path, const char *there, const char *now)
{
    unsigned line = 1;
    size_t begin = 0, i = 0;

    for (; there[i] && there[i] == now[i]; i++)
        if (there[i] == '\n') {
            line++;
            begin = i + 1;
        }
    fprintf(stderr, "%s:%u: the outcome differs\n  expected: %.*s\n  came:     %.*s\n", path, line,
            (int)strcspn(there + begin, "\n"), there + begin, (int)strcspn(now + begin, "\n"), now + begin);
    fprintf(stderr, "  if that is right: %s --rewrite %s, and review the diff\n", program_invocation_name,
            path);
}

static bool check_file(const char *path, bool rewrite)
{
    char *there = read_file(path), *script = strdup(there), *now = play_file(path, there, script);
    bool same = strcmp(there, now) == 0;

    if (!same && rewrite) {
        FILE *f = fopen(path, "we");

        if (!f || fputs(now, f) < 0 || fclose(f) != 0) {
            fprintf(stderr, "%s: %s\n", path, strerror(errno));
            exit(2);
        }
        printf("rewritten: %s\n", path);
        same = true;
    } else if (!same) {
        say_difference(path, there, now);
    } else {
        printf("ok   scenario %s\n", basename(script = (free(script), strdup(path))));
    }
    free(there);
    free(script);
    free(now);
    return same;
}

static bool check_edges(void)
{
    bool all = true;

    for (unsigned from = 0; from < LEASE_ROLES; from++)
        for (unsigned to = 0; to < LEASE_ROLES; to++)
            if (lease_edge_legal(from, to) && play_taken.edges[from][to] == 0) {
                fprintf(stderr, "no scenario takes the legal edge %s -> %s\n", lease_role_name(from),
                        lease_role_name(to));
                all = false;
            }
    return all;
}

int main(int argc, char *argv[])
{
    const char *taken = NULL;
    bool rewrite = false, edges = false;
    unsigned passed = 0, failed = 0;

    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--rewrite") == 0)
            rewrite = true;
        else if (strcmp(argv[i], "--edges") == 0)
            edges = true;
        else if (strcmp(argv[i], "--taken") == 0 && i + 1 < argc)
            taken = argv[++i];
        else if (check_file(argv[i], rewrite))
            passed++;
        else
            failed++;
    }
    if (taken)
        taken_write(&play_taken, taken);
    if (edges && check_edges())
        passed++;
    else if (edges)
        failed++;
    printf("%u passed, %u failed\n", passed, failed);
    return passed > 0 && failed == 0 ? 0 : 1;
}
