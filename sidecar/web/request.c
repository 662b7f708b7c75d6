#include "web/request.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define NS_PER_MS 1000000u
#define TURN_MS   50 /* give_up is asked this often */

int web_init(void)
{
    return curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK ? 0 : -ENOMEM;
}

void web_answer_deinit(struct web_answer *answer)
{
    free(answer->body);
    answer->body = NULL;
}

/* What others say of themselves goes to logs and terminals. */
static void printable(char *text)
{
    for (; *text; text++)
        if (*text < ' ' || *text > '~' || *text == '"')
            *text = '?';
}

static size_t on_body(char *data, size_t one, size_t count, void *userdata)
{
    struct web_answer *answer = userdata;
    size_t size = one * count, room = WEB_BODY_MAX - answer->length;
    size_t take = size < room ? size : room;
    char *bigger = realloc(answer->body, answer->length + take + 1);

    if (!bigger)
        return 0;
    answer->body = bigger;
    memcpy(bigger + answer->length, data, take);
    answer->length += take;
    bigger[answer->length] = '\0';
    return take; /* less than came: the transfer ends */
}

/* Everything that says what is asked, of whom, and how far it is trusted. */
static CURLcode prepare(CURL *easy, const struct web_request *q, struct curl_slist *headers,
                        struct web_answer *answer, char *error)
{
    CURLcode r = CURLE_OK;

#define SET(option, value) (r = r == CURLE_OK ? curl_easy_setopt(easy, option, value) : r)
    SET(CURLOPT_ERRORBUFFER, error);
    SET(CURLOPT_URL, q->url);
    SET(CURLOPT_PROTOCOLS_STR, "http,https");
    SET(CURLOPT_FOLLOWLOCATION, 0L);
    SET(CURLOPT_PROXY, "");
    SET(CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
    SET(CURLOPT_SSL_VERIFYPEER, 1L);
    SET(CURLOPT_SSL_VERIFYHOST, 2L);
    if (q->ca_file && q->ca_file[0]) {
        SET(CURLOPT_CAINFO, q->ca_file);
        SET(CURLOPT_CAPATH, NULL); /* else the system's would be trusted beside it */
    }
    SET(CURLOPT_NOSIGNAL, 1L);
    SET(CURLOPT_QUICK_EXIT, 1L); /* a name server that hangs is waited for by nobody */
    SET(CURLOPT_TIMEOUT_MS, (long)(q->timeout_ns / NS_PER_MS));
    SET(CURLOPT_CONNECTTIMEOUT_MS, (long)(q->timeout_ns / NS_PER_MS));
    SET(CURLOPT_USERAGENT, "galera-lease/" GALERA_LEASE_VERSION);
    SET(CURLOPT_HTTPHEADER, headers);
    SET(CURLOPT_WRITEFUNCTION, on_body);
    SET(CURLOPT_WRITEDATA, answer);
    if (q->post) {
        SET(CURLOPT_POSTFIELDSIZE, (long)strlen(q->post));
        SET(CURLOPT_POSTFIELDS, q->post);
    }
#undef SET
    return r;
}

/* To the end of the transfer, or until nobody waits for it. */
static int drive(CURLM *multi, const struct web_request *q, CURLcode *ret_code)
{
    int running = 1, left;
    CURLMsg *message;

    while (running > 0) {
        if (q->give_up && q->give_up(q->userdata))
            return WEB_GIVEN_UP;
        if (curl_multi_perform(multi, &running) != CURLM_OK)
            return -EIO;
        if (running > 0 && curl_multi_poll(multi, NULL, 0, TURN_MS, NULL) != CURLM_OK)
            return -EIO;
    }
    message = curl_multi_info_read(multi, &left);
    if (!message || message->msg != CURLMSG_DONE)
        return -EIO;
    *ret_code = message->data.result;
    return WEB_ANSWERED;
}

static int transfer(CURL *easy, CURLM *multi, const struct web_request *q, struct curl_slist *headers,
                    struct web_answer *ret)
{
    char error[CURL_ERROR_SIZE] = "";
    CURLcode code = prepare(easy, q, headers, ret, error);
    long status = 0;
    int r;

    if (code != CURLE_OK)
        return -EINVAL;
    if (curl_multi_add_handle(multi, easy) != CURLM_OK)
        return -ENOMEM;
    r = drive(multi, q, &code);
    curl_multi_remove_handle(multi, easy);
    if (r == WEB_ANSWERED) {
        curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
        /* A body that is longer than we read is an answer all the same. */
        if (code == CURLE_OK || (code == CURLE_WRITE_ERROR && ret->length == WEB_BODY_MAX))
            ret->status = (int)status;
        else
            r = WEB_FAILED;
    }
    if (r != WEB_ANSWERED) {
        snprintf(ret->error, sizeof ret->error, "%s", error[0] ? error : curl_easy_strerror(code));
        printable(ret->error);
    }
    return r;
}

static struct curl_slist *header_list(const struct web_request *q)
{
    struct curl_slist *list = NULL, *longer;

    for (size_t i = 0; q->headers && q->headers[i]; i++) {
        longer = curl_slist_append(list, q->headers[i]);
        if (!longer) {
            curl_slist_free_all(list);
            return NULL;
        }
        list = longer;
    }
    return list;
}

int web_ask(const struct web_request *q, struct web_answer *ret)
{
    struct curl_slist *headers = header_list(q);
    CURL *easy = curl_easy_init();
    CURLM *multi = curl_multi_init();
    int r = -ENOMEM;

    *ret = (struct web_answer){0};
    if (easy && multi && (headers || !q->headers || !q->headers[0]))
        r = transfer(easy, multi, q, headers, ret);
    curl_easy_cleanup(easy);
    curl_multi_cleanup(multi);
    curl_slist_free_all(headers);
    return r;
}

/* ---------------------------------------------------------------- addresses */

static bool has_part(CURLU *u, CURLUPart part)
{
    char *text = NULL;
    bool has = curl_url_get(u, part, &text, 0) == CURLUE_OK && text && text[0];

    curl_free(text);
    return has;
}

static bool scheme_ok(CURLU *u)
{
    char *scheme = NULL;
    bool ok = curl_url_get(u, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK &&
              (strcasecmp(scheme, "http") == 0 || strcasecmp(scheme, "https") == 0);

    curl_free(scheme);
    return ok;
}

int web_url_check(const char *url, char *ret_reason, size_t size)
{
    CURLU *u = curl_url();
    const char *reason = NULL;

    if (!u)
        reason = "cannot be looked at: no memory";
    else if (curl_url_set(u, CURLUPART_URL, url, CURLU_NON_SUPPORT_SCHEME) != CURLUE_OK ||
             !has_part(u, CURLUPART_HOST))
        reason = "is no address: write http://host/path or https://host/path";
    else if (!scheme_ok(u))
        reason = "is neither http nor https";
    else if (has_part(u, CURLUPART_USER) || has_part(u, CURLUPART_PASSWORD))
        reason = "holds a user name or password, and would be shown with it";
    curl_url_cleanup(u);
    if (!reason)
        return 0;
    snprintf(ret_reason, size, "%s", reason);
    return 1;
}
