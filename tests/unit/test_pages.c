/* What each path answers: pure, so every case is a view and a time. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "http/answer.h"

#define S LEASE_NS_PER_S

static struct view view;
static struct answer_now now;
static struct answer_reply reply;
static char body[HISTOGRAM_BOUNDS * 8192];
static const struct answer_site site = {
    .lease = "cmon", .member = "m1", .version = "1.2.3", .redirect_url = "https://{address}:{port}/ui"};

/* A leader at 1000 s by both clocks, with a ttl of 20 s renewed just now. */
static int make_leader(void **state)
{
    (void)state;
    memset(&view, 0, sizeof view);
    lease_timing_defaults(20 * S, &view.timing);
    view.at = (struct clocks){.fast_ns = 1000 * S, .slow_ns = 1000 * S};
    view.role = LEASE_LEADER;
    view.leads = view.guardian_up = true;
    view.deadline_fast_ns = 1020 * S;
    view.lead_until_fast_ns = view.deadline_fast_ns - lease_timing_demote_lead_ns(&view.timing);
    view.heard_fast_ns = 1000 * S;
    view.epoch = view.epoch_seen = 42;
    strcpy(view.leader_address, "10.0.0.1");
    view.leader_port = 9501;
    now = (struct answer_now){.clocks = view.at};
    return 0;
}

static int make_follower(void **state)
{
    make_leader(state);
    view.role = LEASE_FOLLOWER;
    view.leads = false;
    view.deadline_fast_ns = view.lead_until_fast_ns = 0;
    view.row_held = view.holder_leads = true;
    view.row_since_slow_ns = 1000 * S;
    view.row_ttl_ns = 20 * S;
    strcpy(view.leader_address, "10.0.0.2");
    return 0;
}

static void pass_ns(uint64_t ns)
{
    now.clocks.fast_ns += ns;
    now.clocks.slow_ns += ns;
}

/* The loop goes on meanwhile. */
static void live_ns(uint64_t ns)
{
    pass_ns(ns);
    view.at = now.clocks;
}

static unsigned ask(const char *path)
{
    text_init(&reply.body, body, sizeof body);
    answer(&site, &view, &now, path, &reply);
    return reply.status;
}

static void assert_says(const char *path, unsigned status, const char *text)
{
    assert_int_equal(ask(path), status);
    assert_string_equal(body, text);
}

/* ---------------------------------------------------------------- roles */

static void test_leader(void **state)
{
    (void)state;
    assert_says("/leader", 200, "leader\n");
    assert_says("/follower", 503, "not a follower\n");
    assert_says("/health", 200, "well\n");
    assert_int_equal(ask("/redirect"), 307);
    assert_string_equal(reply.location, "https://10.0.0.1:9501/ui");
}

/* D+K+M before the deadline, to the nanosecond; whether the loop lives or not. */
static void test_leader_until_the_demote_point(void **state)
{
    uint64_t left = view.lead_until_fast_ns - now.clocks.fast_ns;

    (void)state;
    assert_int_equal(left, 12 * S);
    pass_ns(left - 1);
    assert_int_equal(ask("/leader"), 200);
    pass_ns(1);
    assert_says("/leader", 503, "not the leader\n");
    view.at = now.clocks;
    assert_int_equal(ask("/leader"), 503);
    assert_int_equal(ask("/redirect"), 503);
}

static void test_leader_that_is_fenced_or_leaves(void **state)
{
    (void)state;
    now.fencing = true;
    assert_int_equal(ask("/leader"), 503);
    now.fencing = false;
    view.leads = false; /* it gives the lease away, the role is still the same */
    assert_int_equal(ask("/leader"), 503);
}

static void test_follower(void **state)
{
    (void)state;
    assert_says("/follower", 200, "follower\n");
    assert_says("/leader", 503, "not the leader\n");
    view.guardian_up = false;
    assert_says("/follower", 503, "the guardian is not running\n");
}

/* ---------------------------------------------------------------- health */

static void test_health(void **state)
{
    (void)state;
    pass_ns(ANSWER_LOOP_NS);
    assert_int_equal(ask("/health"), 200);
    pass_ns(1);
    assert_says("/health", 503, "the sidecar's loop hangs\n");
    view.at = now.clocks;
    assert_int_equal(ask("/health"), 200);
    live_ns(12 * S - ANSWER_LOOP_NS - 1);
    assert_int_equal(ask("/health"), 200);
    live_ns(1);
    assert_says("/health", 503, "the database does not answer\n");
    view.heard_fast_ns = now.clocks.fast_ns;
    assert_int_equal(ask("/health"), 200);
    view.heard_fast_ns = 0;
    assert_says("/health", 503, "the database does not answer\n");
}

/* Nothing was posted yet: nobody is well, nobody leads, and nothing breaks. */
static void test_empty_view(void **state)
{
    static const char *const paths[] = {"/leader", "/follower", "/health", "/status", "/redirect"};

    (void)state;
    memset(&view, 0, sizeof view);
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++)
        assert_int_equal(ask(paths[i]), 503);
    assert_int_equal(ask("/metrics"), 200);
    assert_int_equal(ask("/"), 404);
    assert_int_equal(ask("/leader/"), 404);
}

/* ---------------------------------------------------------------- redirect */

static void test_redirect_of_a_follower(void **state)
{
    (void)state;
    assert_int_equal(ask("/redirect"), 307);
    assert_string_equal(reply.location, "https://10.0.0.2:9501/ui");
    view.holder_leads = false;
    assert_says("/redirect", 503, "nobody leads right now\n");
    view.holder_leads = true;
    view.row_held = false;
    assert_int_equal(ask("/redirect"), 503);
    view.row_held = true;
    /* A row that stands still for so long: its holder is about to be stopped. */
    view.heard_fast_ns += 100 * S;
    live_ns(12 * S - 1);
    assert_int_equal(ask("/redirect"), 307);
    live_ns(1);
    assert_says("/redirect", 503, "nobody leads right now\n");
    view.row_ttl_ns = 600 * S; /* a hold */
    assert_int_equal(ask("/redirect"), 307);
}

static void test_redirect_checks_what_came_from_outside(void **state)
{
    static const char *const bad[] = {"10.0.0.2/evil?", "a b",  "x\r\nSet-Cookie: y",
                                      "user@host",      "\xff", "a\"b"};

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        strcpy(view.leader_address, bad[i]);
        assert_says("/redirect", 503, "the leader's address is no host name or address\n");
        assert_string_equal(reply.location, "");
    }
    strcpy(view.leader_address, "");
    assert_says("/redirect", 503, "the leader's address or controller_port is not configured there\n");
    strcpy(view.leader_address, "fd00::2");
    assert_int_equal(ask("/redirect"), 307);
    assert_string_equal(reply.location, "https://[fd00::2]:9501/ui");
    view.leader_port = 0;
    assert_int_equal(ask("/redirect"), 503);
}

static void test_redirect_urls(void **state)
{
    static const char *const good[] = {"http://{address}:{port}/", "https://{address}/x?y=%20&z",
                                       "http://ui.example/"};
    static const char *const bad[] = {"",          "ftp://{address}/",  "{address}",   "http://{host}/",
                                      "http://{/", "http://{address}}", "http://a/\"", "http://a b/",
                                      "HTTP://a/", "javascript:http://"};
    char url[REDIRECT_URL_MAX];

    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        assert_int_equal(redirect_check(good[i]), 0);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(redirect_check(bad[i]), -EINVAL);
    assert_int_equal(redirect_url("http://{address}/", "host.example", 0, url, sizeof url), 0);
    assert_string_equal(url, "http://host.example/");
    assert_int_equal(redirect_url("http://{address}/", "host.example", 0, url, 20), -EINVAL);
}

/* ---------------------------------------------------------------- status, metrics */

static void test_status(void **state)
{
    const char *text = "{\"written\": 990, \"last_error\": \"a \\\"quote\\\"\", \"time_left_ms\": 19000}";

    (void)state;
    assert_int_equal(ask("/status"), 503);
    view.status_size = strlen(text);
    memcpy(view.status, text, view.status_size);
    now.wall_s = 995;
    pass_ns(5 * S);
    assert_int_equal(ask("/status"), 200);
    assert_string_equal(reply.type, "application/json");
    assert_string_equal(
        body, "{\n  \"written\": 990,\n  \"last_error\": \"a \\\"quote\\\"\",\n  \"time_left_ms\": 15000,\n"
              "  \"source\": \"sidecar\",\n  \"age_s\": 5,\n  \"answers\": false\n}\n");
}

static void assert_line(const char *line)
{
    char with_ends[512];

    snprintf(with_ends, sizeof with_ends, "\n%s\n", line);
    if (!strstr(body, with_ends))
        fail_msg("no line \"%s\" in:\n%s", line, body);
}

static void test_metrics(void **state)
{
    struct counters *c = &view.counters;

    (void)state;
    counters_write(c, LEASE_WRITE_ACQUIRE, S);
    counters_written(c, LEASE_ANSWER_ROW, 2 * S); /* no renewal */
    counters_write(c, LEASE_WRITE_RENEW, 2 * S);
    counters_written(c, LEASE_ANSWER_ROW, 2 * S + 2 * LEASE_NS_PER_MS);
    counters_write(c, LEASE_WRITE_RENEW, 4 * S);
    counters_silent(c);
    counters_written(c, LEASE_ANSWER_ROW, 9 * S); /* nobody waits for it */
    counters_note(c, LEASE_NOTE_ACQUIRED, LEASE_ACQUIRING, false);
    counters_note(c, LEASE_NOTE_ROLE, LEASE_LEADER, false);
    counters_note(c, LEASE_NOTE_REGRESSION, LEASE_FOLLOWER, true);
    counters_note(c, LEASE_NOTE_LOST, LEASE_FOLLOWER, false); /* for a reason that is no alarm */
    counters_hook_begun(c, COUNTERS_PROMOTE, S);
    counters_hook_ended(c, COUNTERS_PROMOTE, true, S + 30 * LEASE_NS_PER_MS);
    counters_hook_ended(c, COUNTERS_PROMOTE, true, 9 * S); /* it had ended */
    counters_fencing(c, true, S);
    counters_fencing(c, true, 2 * S);
    counters_fencing(c, false, 3 * S);
    counters_fencing(c, true, 4 * S);
    c->guardian_starts = 3;
    view.endpoint_count = 1;
    strcpy(view.endpoints[0].text, "unix:/a\"b\\c\nd");
    view.receiver_count = 1;
    strcpy(view.receivers[0].name, "notify");
    view.receivers[0].failed = 7;
    c->unhealthy = 5;
    view.health = VIEW_UNHEALTHY;
    pass_ns(S / 2);
    assert_int_equal(ask("/metrics"), 200);
    assert_string_equal(reply.type, "text/plain; version=0.0.4; charset=utf-8");
    assert_line("galera_lease_build_info{lease=\"cmon\",version=\"1.2.3\",member=\"m1\"} 1");
    assert_line("galera_lease_role{lease=\"cmon\",role=\"leader\"} 1");
    assert_line("galera_lease_role{lease=\"cmon\",role=\"follower\"} 0");
    assert_line("galera_lease_epoch{lease=\"cmon\"} 42");
    assert_line("galera_lease_remaining_seconds{lease=\"cmon\"} 19.500000000");
    assert_line("galera_lease_renewals_total{lease=\"cmon\",outcome=\"confirmed\"} 1");
    assert_line("galera_lease_renewals_total{lease=\"cmon\",outcome=\"silent\"} 1");
    assert_line("galera_lease_renewal_duration_seconds_bucket{lease=\"cmon\",le=\"0.001\"} 0");
    assert_line("galera_lease_renewal_duration_seconds_bucket{lease=\"cmon\",le=\"0.0025\"} 1");
    assert_line("galera_lease_renewal_duration_seconds_bucket{lease=\"cmon\",le=\"+Inf\"} 1");
    assert_line("galera_lease_renewal_duration_seconds_sum{lease=\"cmon\"} 0.002000000");
    assert_line("galera_lease_elections_total{lease=\"cmon\"} 1");
    assert_line("galera_lease_alarms_total{lease=\"cmon\",alarm=\"regression\"} 1");
    assert_line("galera_lease_alarms_total{lease=\"cmon\",alarm=\"lost\"} 0");
    assert_line("galera_lease_hook_failures_total{lease=\"cmon\",hook=\"promote\"} 1");
    assert_line("galera_lease_hook_duration_seconds_bucket{lease=\"cmon\",hook=\"promote\",le=\"0.05\"} 1");
    assert_line("galera_lease_hook_duration_seconds_sum{lease=\"cmon\",hook=\"fence\"} 2.000000000");
    assert_line("galera_lease_guardian_fences_total{lease=\"cmon\"} 2"); /* and one is under way */
    assert_line("galera_lease_guardian_restarts_total{lease=\"cmon\"} 2");
    assert_line("galera_lease_controller_healthy{lease=\"cmon\"} 0");
    assert_line("galera_lease_health_answers_total{lease=\"cmon\",outcome=\"healthy\"} 0");
    assert_line("galera_lease_health_answers_total{lease=\"cmon\",outcome=\"unhealthy\"} 5");
    assert_line("galera_lease_watchdog_armed{lease=\"cmon\"} 0");
    assert_line("galera_lease_endpoint_in_use{lease=\"cmon\",endpoint=\"unix:/a\\\"b\\\\c\\nd\"} 0");
    assert_line("galera_lease_notices_total{lease=\"cmon\",receiver=\"notify\",outcome=\"failed\"} 7");
    view.health = VIEW_HEALTH_NOT_ASKED;
    assert_int_equal(ask("/metrics"), 200);
    assert_null(strstr(body, "\ngalera_lease_controller_healthy{"));
    /* One that does not fit is none. */
    text_init(&reply.body, body, 1000);
    answer(&site, &view, &now, "/metrics", &reply);
    assert_int_equal(reply.status, 500);
}

static void test_histogram(void **state)
{
    struct histogram h = {0};

    (void)state;
    histogram_add(&h, 0);
    histogram_add(&h, histogram_bounds_ns[0]);
    histogram_add(&h, histogram_bounds_ns[0] + 1);
    histogram_add(&h, histogram_bounds_ns[HISTOGRAM_BOUNDS - 1] + 1);
    assert_int_equal(h.counts[0], 2);
    assert_int_equal(h.counts[1], 1);
    assert_int_equal(h.counts[HISTOGRAM_BOUNDS], 1);
    for (unsigned i = 1; i < HISTOGRAM_BOUNDS; i++)
        assert_true(histogram_bounds_ns[i] > histogram_bounds_ns[i - 1]);
}

/* ---------------------------------------------------------------- the board */

static void test_board(void **state)
{
    struct board *b = board_new();

    (void)state;
    assert_int_equal(board_look(b)->epoch, 0);
    for (unsigned i = 1; i <= 5; i++) {
        view.epoch = i;
        board_post(b, &view);
    }
    const struct view *seen = board_look(b);

    assert_int_equal(seen->epoch, 5);
    assert_ptr_equal(board_look(b), seen); /* nothing new */
    view.epoch = 6;
    board_post(b, &view);
    board_post(b, &view);
    assert_int_equal(seen->epoch, 5); /* the reader's, until it looks again */
    assert_int_equal(board_look(b)->epoch, 6);
    assert_null(board_free(b));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_leader, make_leader),
        cmocka_unit_test_setup(test_leader_until_the_demote_point, make_leader),
        cmocka_unit_test_setup(test_leader_that_is_fenced_or_leaves, make_leader),
        cmocka_unit_test_setup(test_follower, make_follower),
        cmocka_unit_test_setup(test_health, make_leader),
        cmocka_unit_test_setup(test_empty_view, make_leader),
        cmocka_unit_test_setup(test_redirect_of_a_follower, make_follower),
        cmocka_unit_test_setup(test_redirect_checks_what_came_from_outside, make_follower),
        cmocka_unit_test(test_redirect_urls),
        cmocka_unit_test_setup(test_status, make_leader),
        cmocka_unit_test_setup(test_metrics, make_leader),
        cmocka_unit_test(test_histogram),
        cmocka_unit_test_setup(test_board, make_leader),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
