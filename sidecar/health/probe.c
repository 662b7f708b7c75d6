#include "health/probe.h"

#include <stdio.h>
#include <string.h>

#include "web/request.h"

static bool holds(const struct web_answer *answer, const char *text)
{
    return !text || text[0] == '\0' ||
           (answer->body && memmem(answer->body, answer->length, text, strlen(text)) != NULL);
}

static enum probe_result judge(const struct probe *p, const struct web_answer *answer, char *ret_why,
                               size_t size)
{
    if (answer->status < 200 || answer->status > 299)
        snprintf(ret_why, size, "it answered %d", answer->status);
    else if (!holds(answer, p->text))
        snprintf(ret_why, size, "it answered %d, without the text that it should hold", answer->status);
    else
        return PROBE_HEALTHY;
    return PROBE_UNHEALTHY;
}

enum probe_result probe_ask(const struct probe *p, char *ret_why, size_t size)
{
    const struct web_request request = {.url = p->url,
                                        .ca_file = p->ca_file,
                                        .timeout_ns = p->timeout_ns,
                                        .give_up = p->give_up,
                                        .userdata = p->userdata};
    enum probe_result result = PROBE_UNHEALTHY;
    struct web_answer answer;
    int r = web_ask(&request, &answer);

    ret_why[0] = '\0';
    if (r == WEB_ANSWERED)
        result = judge(p, &answer, ret_why, size);
    else if (r == WEB_GIVEN_UP)
        result = PROBE_GIVEN_UP;
    else
        snprintf(ret_why, size, "%s", r < 0 ? strerror(-r) : answer.error);
    web_answer_deinit(&answer);
    return result;
}
