#pragma once
/*
 * One HTTP request at a time, through libcurl: for threads that may wait, never for the loop (to load a CA
 * bundle alone takes many milliseconds).
 *
 * Only http and https; TLS is verified, always. No redirect is followed, no proxy is used, whatever the
 * environment says: what is asked is what is written in the configuration. All of it, name resolution
 * included, ends within its timeout.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WEB_TEXT_MAX 200
#define WEB_BODY_MAX 65536 /* of an answer; what comes after it is not read */

enum web_result {
    WEB_ANSWERED = 0,
    WEB_FAILED,   /* no answer: not reached, out of time, not trusted ... */
    WEB_GIVEN_UP, /* because give_up said so */
};

struct web_request {
    const char *url;
    const char *post;           /* a JSON body; NULL: this is a GET */
    const char *const *headers; /* "Name: value" each, then NULL; NULL: none */
    const char *ca_file; /* who may vouch for the server, and nobody else; NULL or "": as the system says */
    uint64_t timeout_ns; /* of all of it */
    bool (*give_up)(void *userdata); /* asked about twenty times a second; NULL: never */
    void *userdata;
};

struct web_answer {
    int status;                   /* 0: none came */
    char error[WEB_TEXT_MAX + 1]; /* why none came, for people; printable ASCII */
    char *body;                   /* web_answer_deinit() frees it; NULL: none */
    size_t length;                /* ... it ends with a NUL that is not counted, and may hold others */
};

/* Once, before there are threads. 0 or negative errno. */
int web_init(void);

/* enum web_result, or negative errno. @ret is to be given to web_answer_deinit() in any case. */
int web_ask(const struct web_request *request, struct web_answer *ret);
void web_answer_deinit(struct web_answer *answer);

/* 0: http or https, with a host, and without a user or password; 1 with a reason: "is no ..." */
int web_url_check(const char *url, char *ret_reason, size_t size);
