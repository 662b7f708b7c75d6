#pragma once
/*
 * A notice on its way to a webhook: a POST of JSON, signed where there is a secret.
 *
 *     {"version": 1,           of this shape: it changes when a receiver would have to
 *      "lease": "cmon", "member": "node1",
 *      "event": "role",        or what else happened: "acquired", "rogue", "regression" ...
 *      "from": "promoting",    of a change of role; else the role as it is
 *      "role": "leader", "reason": "free",
 *      "epoch": 42,            the highest known to the member
 *      "alarm": false,         true: somebody must look at it
 *      "number": 7,            of this webhook in this run of the sidecar, without a gap: a gap is a loss
 *      "at": "2026-01-31T23:59:59.123Z"}   the member's wall clock, for people
 *
 * The header X-Galera-Lease-Signature is "sha256=" and the HMAC-SHA256 of the body's bytes as 64 hexadecimal
 * digits. Whoever receives it should compute the same, compare in constant time, and look at `at` and
 * `number` to tell a repetition: a notice whose answer was lost is sent again.
 *
 * 2xx is delivered. 408, 429, 5xx and no answer at all may be better later; any other answer is final.
 *
 * Thread: the courier's.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "notice/courier.h"

#define WEBHOOK_SIGNATURE_MAX 71 /* "sha256=" and 64 digits */
#define WEBHOOK_ERROR_MAX     200

struct webhook {
    const char *url, *ca_file; /* as web/request.h has them */
    const char *lease, *member;
    uint64_t timeout_ns;
    bool (*give_up)(void *userdata);
    void *userdata;
};

/* To be freed; NULL: no memory, or a text that is no UTF-8. */
char *webhook_body(const struct webhook *webhook, const struct notice *notice);

/* 0 or negative errno. */
int webhook_sign(const char *secret, const char *body, char ret_signature[WEBHOOK_SIGNATURE_MAX + 1]);

/* @secret NULL: not signed. @ret_error (WEBHOOK_ERROR_MAX + 1 bytes): why not, for people; "" when delivered.
 */
enum courier_result webhook_deliver(const struct webhook *webhook, const char *secret,
                                    const struct notice *notice, char *ret_error);
