#pragma once
/*
 * The controller's health URL, asked once: healthy is a status of 200 to 299 and, where one is given, a text
 * in the body (in its first 64 KB). Everything else is not, no answer in time included.
 *
 * Thread: one that may wait.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct probe {
    const char *url, *ca_file; /* as web/request.h has them */
    const char *text;          /* "" or NULL: any body will do */
    uint64_t timeout_ns;
    bool (*give_up)(void *userdata);
    void *userdata;
};

enum probe_result { PROBE_HEALTHY, PROBE_UNHEALTHY, PROBE_GIVEN_UP };

/* @ret_why: what was wrong, for people; "" when healthy. */
enum probe_result probe_ask(const struct probe *probe, char *ret_why, size_t size);
