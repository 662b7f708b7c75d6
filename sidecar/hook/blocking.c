/* A hook from its start to its end, for a thread or process that has nothing else to do meanwhile. */
#include <poll.h>
#include <time.h>

#include "hook/hook.h"

enum hook_outcome hook_run_through(struct hook_run *run, const struct hook_spec *spec,
                                   const struct hook_facts *facts, hook_line_fn line_fn, void *userdata)
{
    enum hook_outcome outcome = HOOK_RUNNING;

    if (hook_start(run, spec, facts, line_fn, userdata) < 0)
        return HOOK_NOT_RUN;
    while (outcome == HOOK_RUNNING) {
        uint64_t now = hook_now_ns();
        struct pollfd fds[] = {{.fd = run->child.pidfd, .events = POLLIN},
                               {.fd = run->child.out_fd, .events = POLLIN}};
        uint64_t end = hook_deadline_ns(run), left = end > now ? end - now : 0;
        struct timespec wait = {.tv_sec = (time_t)(left / 1000000000u),
                                .tv_nsec = (long)(left % 1000000000u)};

        ppoll(fds, 2, &wait, NULL);
        outcome = hook_dispatch(run);
    }
    hook_deinit(run);
    return outcome;
}

enum hook_outcome hook_run_sync(const struct hook_spec *spec, const struct hook_facts *facts,
                                hook_line_fn line_fn, void *userdata)
{
    struct hook_run run;

    return hook_run_through(&run, spec, facts, line_fn, userdata);
}
