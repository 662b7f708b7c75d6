#include "notify/webhook.h"

#include <errno.h>
#include <jansson.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "web/request.h"

#define BODY_VERSION 1

static void format_at(uint64_t at_ms, char *buf, size_t size)
{
    time_t seconds = (time_t)(at_ms / 1000);
    struct tm utc;
    char date[32];

    gmtime_r(&seconds, &utc);
    strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S", &utc);
    snprintf(buf, size, "%s.%03uZ", date, (unsigned)(at_ms % 1000));
}

char *webhook_body(const struct webhook *w, const struct notice *n)
{
    char at[48];

    format_at(n->at_ms, at, sizeof at);
    json_t *body = json_pack("{s:i, s:s, s:s, s:s, s:s, s:s, s:s, s:I, s:b, s:I, s:s}", "version",
                             BODY_VERSION, "lease", w->lease, "member", w->member, "event", n->what, "from",
                             n->from, "role", n->role, "reason", n->reason, "epoch", (json_int_t)n->epoch,
                             "alarm", n->alarm, "number", (json_int_t)n->number, "at", at);
    char *text = body ? json_dumps(body, JSON_COMPACT | JSON_ENSURE_ASCII) : NULL;

    json_decref(body);
    return text;
}

int webhook_sign(const char *secret, const char *body, char ret_signature[WEBHOOK_SIGNATURE_MAX + 1])
{
    unsigned char code[EVP_MAX_MD_SIZE];
    unsigned length = 0;

    if (!HMAC(EVP_sha256(), secret, (int)strlen(secret), (const unsigned char *)body, strlen(body), code,
              &length))
        return -EIO;
    int at = snprintf(ret_signature, WEBHOOK_SIGNATURE_MAX + 1, "sha256=");

    for (unsigned i = 0; i < length; i++)
        at += snprintf(ret_signature + at, (size_t)(WEBHOOK_SIGNATURE_MAX + 1 - at), "%02x", code[i]);
    return 0;
}

static enum courier_result judge(int status, char *ret_error)
{
    if (status >= 200 && status < 300)
        return COURIER_DELIVERED;
    snprintf(ret_error, WEBHOOK_ERROR_MAX + 1, "it answered %d%s", status,
             status >= 300 && status < 400 ? ", and redirects are not followed" : "");
    return status >= 500 || status == 429 || status == 408 ? COURIER_AGAIN : COURIER_REFUSED;
}

static enum courier_result post(const struct webhook *w, const char *const *headers, const char *body,
                                char *ret_error)
{
    struct web_request request = {.url = w->url,
                                  .post = body,
                                  .headers = headers,
                                  .ca_file = w->ca_file,
                                  .timeout_ns = w->timeout_ns,
                                  .give_up = w->give_up,
                                  .userdata = w->userdata};
    enum courier_result result = COURIER_AGAIN;
    struct web_answer answer;
    int r = web_ask(&request, &answer);

    if (r == WEB_ANSWERED)
        result = judge(answer.status, ret_error);
    else if (r == WEB_GIVEN_UP)
        snprintf(ret_error, WEBHOOK_ERROR_MAX + 1, "the sidecar ended meanwhile");
    else
        snprintf(ret_error, WEBHOOK_ERROR_MAX + 1, "%s", r < 0 ? strerror(-r) : answer.error);
    web_answer_deinit(&answer);
    return result;
}

enum courier_result webhook_deliver(const struct webhook *w, const char *secret, const struct notice *notice,
                                    char *ret_error)
{
    char signature[sizeof "X-Galera-Lease-Signature: " + WEBHOOK_SIGNATURE_MAX] =
        "X-Galera-Lease-Signature: ";
    /* Without "Expect" libcurl would wait a second for the leave to send a long body. */
    const char *headers[] = {"Content-Type: application/json", "Expect:", NULL, NULL};
    char *body = webhook_body(w, notice);
    enum courier_result result;

    ret_error[0] = '\0';
    if (body && secret && webhook_sign(secret, body, signature + strlen(signature)) == 0)
        headers[2] = signature;
    if (!body || (secret && !headers[2])) {
        snprintf(ret_error, WEBHOOK_ERROR_MAX + 1, "the notice cannot be %s",
                 body ? "signed" : "written as JSON");
        result = COURIER_REFUSED;
    } else {
        result = post(w, headers, body, ret_error);
    }
    free(body);
    return result;
}
