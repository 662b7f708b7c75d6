/* Lines of traces: what can be read is printed, and read again the same. */
#include <string.h>

#include "fuzz.h"
#include "trace/trace.h"

static void check_event(const char *line)
{
    static struct trace_event event, again;
    static char text[TRACE_LIST_MAX], second[TRACE_LIST_MAX];
    struct trace_error error = {0};

    if (trace_event_parse(line, &event, &error) < 0) {
        FUZZ_MUST(error.what != NULL && error.column >= 1);
        return;
    }
    FUZZ_MUST(trace_event_print(&event.event, text, sizeof text) > 0);
    FUZZ_MUST(trace_event_parse(text, &again, &error) == 0);
    FUZZ_MUST(trace_event_print(&again.event, second, sizeof second) > 0);
    FUZZ_MUST(strcmp(text, second) == 0);
}

static void check_command(const char *line)
{
    struct lease_command command, again;
    char text[TRACE_LINE_MAX], second[TRACE_LINE_MAX];
    struct trace_error error = {0};

    if (trace_command_parse(line, &command, &error) < 0) {
        FUZZ_MUST(error.what != NULL && error.column >= 1);
        return;
    }
    FUZZ_MUST(trace_command_print(&command, text, sizeof text) > 0);
    FUZZ_MUST(trace_command_parse(text, &again, &error) == 0);
    FUZZ_MUST(memcmp(&again, &command, sizeof again) == 0);
    FUZZ_MUST(trace_command_print(&again, second, sizeof second) > 0);
    FUZZ_MUST(strcmp(text, second) == 0);
}

static void check_state(const char *line)
{
    static struct lease lease;
    struct trace_error error = {0};

    if (trace_state_parse(line, &lease, &error) < 0)
        FUZZ_MUST(error.what != NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > TRACE_LINE_MAX / 2)
        return 0;
    char *line = strndup((const char *)data, size);

    if (!line)
        return 0;
    check_event(line);
    check_command(line);
    check_state(line);
    free(line);
    return 0;
}
