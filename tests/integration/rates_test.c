/*
 * Rates: clients that send requests, or open connections, too often are refused over every
 * transport, and others are not.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "fixture.h"
#include "support/client/folder.h"

#define N(array) (sizeof(array) / sizeof((array)[0]))

/* A header that makes libh2o serve the request, not the fast path. */
#define ODD_HEADER "Odd: 1\r\n"

#define BOTH  "Authorization: Bearer both-token-1234567890\r\n"
#define EVERY "Authorization: Bearer every-token-1234567890\r\n"
#define WRONG "Authorization: Bearer wrong-token-1234567890\r\n"

#define TOKENS                                                                                     \
    "  tokens:\n"                                                                                  \
    "    - {name: both, read: [a/], write: [a/], sha256: "                                         \
    "52281c6ff09b87fbfde85fcea88f45bbb51548431dd55681dfc7d26c2453bdb2}\n"                          \
    "    - {name: every, read: [''], write: [''], admin: [metrics, clients, slowlog, backup, "     \
    "cluster], sha256: "                                                                           \
    "105b1190953880ed6984b47621dbbd65799e2c07646d4e4327dd7bf205b414c4}\n"

enum {
    MOST = 5 /* of an hour, so that none come back while a test runs */
};

static struct kv_test_server server;
static struct kv_test_response response;

static void start(const char *more)
{
    char yaml[2048];
    snprintf(yaml, sizeof(yaml), "access:\n  anonymous: {read: [public/]}\n" TOKENS "%s", more);
    kv_test_start(&server, yaml);
}

static void stop(void)
{
    kv_test_response_fini(&response);
    response = (struct kv_test_response){0};
    kv_test_server_stop_cleanly(&server);
}

static int ask_over(struct kv_test_stream *stream, const char *headers, const char *method,
                    const char *path, const char *body)
{
    int status = kv_test_http_ask(stream, method, path, headers, body, &response);
    kv_buffer_append_char(&response.body, '\0');
    return status;
}

static int ask(const char *headers, const char *method, const char *path, const char *body)
{
    struct kv_test_stream stream;
    kv_test_stream_open(&stream, server.port);
    int status = ask_over(&stream, headers, method, path, body);
    kv_test_stream_close(&stream);
    return status;
}

static void expect_retry(const char *why)
{
    const char *after = kv_test_response_header(&response, "Retry-After");
    assert_non_null(after);
    assert_true(atoi(after) > 0);
    kv_test_expect_part(response.body.bytes, why);
    kv_test_expect_part(response.body.bytes, "try again in ");
}

static void requests_with_a_token_are_limited(void **state)
{
    static const char *const more[] = {"", ODD_HEADER};
    (void)state;
    for (size_t way = 0; way < N(more); way++) {
        char headers[256];
        struct kv_test_stream stream;
        snprintf(headers, sizeof(headers), BOTH "%s", more[way]);
        start("  rates: {requests: 5/h, per: [token]}\n");
        kv_test_stream_open(&stream, server.port);
        for (int i = 0; i < MOST; i++)
            assert_int_equal(ask_over(&stream, headers, "GET", "/storage/a/x", NULL), 204);
        assert_int_equal(ask_over(&stream, headers, "GET", "/storage/a/x", NULL), 429);
        expect_retry("too many requests with this token");
        kv_test_await_log(&server, "both: too many requests with this token");
        assert_int_equal(ask(headers, "PUT", "/storage/a/x", "{\"value\":1}"), 429);
        assert_int_equal(ask(headers, "GET", "/storage?prefix=a/", NULL), 429);
        assert_int_equal(ask(headers, "GET", "/events?prefix=a/", NULL), 429);
        assert_int_equal(ask(EVERY, "GET", "/storage/a/x", NULL), 204);
        assert_int_equal(ask("", "GET", "/storage/public/x", NULL), 204);
        kv_test_stream_close(&stream);
        stop();
    }
}

static void requests_from_an_address_are_limited(void **state)
{
    (void)state;
    start("  rates: {requests: 5/h, per: [address]}\n");
    for (int i = 0; i < MOST; i++)
        assert_int_equal(ask(i % 2 == 0 ? "" : EVERY, "GET", "/storage/public/x", NULL), 204);
    assert_int_equal(ask("", "GET", "/storage/public/x", NULL), 429);
    expect_retry("too many requests from this address");
    kv_test_await_log(&server, "127.0.0.1: too many requests from this address");
    assert_int_equal(ask(EVERY, "GET", "/storage/public/x", NULL), 429);
    assert_int_equal(ask("", "GET", "/healthz", NULL), 200);
    stop();
}

/* Nothing need become a command to count. Each is asked by an address of its own. */
static void every_request_counts_once(void **state)
{
    static const struct {
        const char *method, *path, *body;
        int status;
    } cases[] = {
        {"GET", "/metrics", NULL, 200},
        {"GET", "/admin/clients", NULL, 200},
        {"GET", "/admin/slowlog", NULL, 200},
        {"GET", "/admin/cluster", NULL, 409},
        {"HEAD", "/admin/backup", NULL, 0},
        {"HEAD", "/events?prefix=a/", NULL, 200},
        {"GET", "/events", NULL, 400},
        {"GET", "/ws", NULL, 426},
        {"GET", "/storage/a/x", NULL, 204},
        {"PUT", "/storage/a/y", "{\"value\":1}", 0},
        {"POST", "/storage/a/x", "{bad", 400},
        {"GET", "/storage/%zz", NULL, 400},
        {"GET", "/storage?limit=zz", NULL, 400},
        {"POST", "/batch", "{bad", 400},
        {"POST", "/batch", "[]", 200},
        {"POST", "/batch", "[{\"type\":\"x\"}]", 200},
        {"POST", "/batch", "[{\"type\":\"hello\"}]", 200},
        {"GET", "/nowhere", NULL, 404},
        {"DELETE", "/metrics", NULL, 405},
        {"OPTIONS", "/storage/a/x", NULL, 204},
    };
    (void)state;
    start("  rates: {requests: 5/h, per: [address]}\ntrusted_proxies: [127.0.0.1]\n");
    for (size_t i = 0; i < N(cases); i++) {
        char headers[256];
        snprintf(headers, sizeof(headers), EVERY "X-Forwarded-For: 10.0.1.%zu\r\n", i);
        for (int n = 0; n < MOST; n++) {
            int status = ask(headers, cases[i].method, cases[i].path, cases[i].body);
            assert_int_not_equal(status, 429);
            assert_true(cases[i].status == 0 || status == cases[i].status);
        }
        assert_int_equal(ask(headers, cases[i].method, cases[i].path, cases[i].body), 429);
        assert_int_equal(ask(headers, "GET", "/healthz", NULL), 200);
        assert_int_equal(ask(headers, "GET", "/readyz", NULL), 200);
    }
    stop();
}

/* Also where one way of reading requests leaves them to another. */
static void requests_of_one_connection_count_once_each(void **state)
{
    static const char *const last[] = {"/metrics", "/events", "/storage/a/x", "/nowhere"};
    (void)state;
    for (size_t i = 0; i < N(last); i++) {
        struct kv_test_stream stream;
        start("  rates: {requests: 5/h, per: [address]}\n");
        kv_test_stream_open(&stream, server.port);
        assert_int_equal(ask_over(&stream, EVERY, "GET", "/storage/a/x", NULL), 204);
        assert_int_equal(ask_over(&stream, EVERY, "GET", "/storage?limit=zz", NULL), 400);
        assert_int_equal(ask_over(&stream, EVERY, "GET", "/storage/%zz", NULL), 400);
        assert_int_equal(ask_over(&stream, EVERY, "GET", "/healthz", NULL), 200);
        assert_int_equal(ask_over(&stream, EVERY, "GET", "/nowhere", NULL), 404);
        assert_int_not_equal(ask_over(&stream, EVERY, "GET", last[i], NULL), 429);
        assert_int_equal(ask_over(&stream, EVERY, "GET", last[i], NULL), 429);
        expect_retry("too many requests from this address");
        kv_test_stream_close(&stream);
        stop();
    }
}

/* The server looks at the head before the body comes. */
static void a_body_that_comes_late_counts_once(void **state)
{
    static const char head[] = "PUT /storage/a/x HTTP/1.1\r\nHost: localhost\r\n" BOTH
                               "Content-Length: 11\r\nExpect: 100-continue\r\n\r\n";
    struct kv_test_stream stream;
    (void)state;
    start("  rates: {requests: 5/h}\n");
    kv_test_stream_open(&stream, server.port);
    for (int i = 0; i < MOST; i++) {
        kv_test_stream_put(&stream, kv_slice_of(head));
        assert_true(kv_test_http_receive(&stream, &response));
        assert_int_equal(response.status, 100);
        kv_test_stream_put(&stream, KV_SLICE("{\"value\":1}"));
        assert_true(kv_test_http_receive(&stream, &response));
        assert_int_equal(response.status / 100, 2);
    }
    kv_test_stream_put(&stream, kv_slice_of(head));
    assert_true(kv_test_http_receive(&stream, &response));
    assert_int_equal(response.status, 429);
    kv_test_stream_close(&stream);
    stop();
}

static void pages_can_read_a_refusal_by_rate(void **state)
{
    (void)state;
    start("  rates: {requests: 5/h, per: [address]}\norigins: ['https://page.example']\n");
    for (int i = 0; i <= MOST; i++)
        ask("Origin: https://page.example\r\n", "GET", "/storage/public/x", NULL);
    assert_int_equal(response.status, 429);
    assert_string_equal(kv_test_response_header(&response, "Access-Control-Allow-Origin"),
                        "https://page.example");
    stop();
}

static void clients_of_a_proxy_are_distinguished(void **state)
{
    struct kv_test_stream stream;
    (void)state;
    start("  rates: {requests: 5/h, per: [address]}\ntrusted_proxies: [127.0.0.1]\n");
    kv_test_stream_open(&stream, server.port);
    for (int i = 0; i < MOST; i++)
        assert_int_equal(
            ask_over(&stream, "X-Forwarded-For: 10.0.0.1\r\n", "GET", "/storage/public/x", NULL),
            204);
    assert_int_equal(
        ask_over(&stream, "X-Forwarded-For: 10.0.0.1\r\n", "GET", "/storage/public/x", NULL), 429);
    assert_int_equal(
        ask_over(&stream, "X-Forwarded-For: 10.0.0.2\r\n", "GET", "/storage/public/x", NULL), 204);
    kv_test_stream_close(&stream);
    stop();
}

/* Writes the server's file anew with a line before one that it has. */
static void put_before(const char *mark, const char *line)
{
    struct kv_buffer text = {0};
    char *before = kv_test_program_read(&server.program, "kvserver.yaml");
    const char *at = strstr(before, mark);
    assert_non_null(at);
    kv_buffer_append(&text, (struct kv_slice){before, (size_t)(at - before)});
    kv_buffer_append(&text, kv_slice_of(line));
    kv_buffer_append(&text, kv_slice_of(at));
    kv_buffer_append_char(&text, '\0');
    kv_test_file_put(server.program.folder, "kvserver.yaml", text.bytes);
    kv_buffer_fini(&text);
    free(before);
}

static int ask_for(struct kv_test_stream *stream, const char *client)
{
    char headers[64];
    snprintf(headers, sizeof(headers), "X-Forwarded-For: %s\r\n", client);
    return ask_over(stream, headers, "GET", "/storage/public/x", NULL);
}

static void connections_of_a_proxy_before_the_rates_are_distinguished(void **state)
{
    struct kv_test_stream stream;
    int64_t until_ms = kv_test_now_ms() + KV_TEST_LIMIT_MS;
    (void)state;
    start("trusted_proxies: [127.0.0.1]\n");
    kv_test_stream_open(&stream, server.port);
    assert_int_equal(ask_for(&stream, "10.0.0.1"), 204);
    put_before("trusted_proxies", "  rates: {requests: 5/h, per: [address]}\n");
    assert_int_equal(kill(server.program.pid, SIGHUP), 0);
    while (ask_for(&stream, "10.0.0.1") != 429)
        assert_true(kv_test_now_ms() < until_ms);
    assert_int_equal(ask_for(&stream, "10.0.0.2"), 204);
    assert_int_equal(ask_for(&stream, "10.0.0.1"), 429);
    kv_test_stream_close(&stream);
    stop();
}

static void wrong_tokens_count_for_the_address(void **state)
{
    (void)state;
    start("  rates: {requests: 5/h}\n");
    for (int i = 0; i < MOST; i++)
        assert_int_equal(ask(WRONG, "GET", "/storage/a/x", NULL), 401);
    assert_int_equal(ask(WRONG, "GET", "/storage/a/x", NULL), 429);
    assert_int_equal(ask(EVERY, "GET", "/storage/a/x", NULL), 429);
    stop();
}

static void messages_count_each(void **state)
{
    struct kv_test_ws ws;
    (void)state;
    start("  rates: {requests: 5/h, per: [token]}\n");
    kv_test_ws_open_with(&ws, server.port, BOTH); /* is a request as well */
    kv_test_ws_send_text(&ws, "{\"type\":\"hello\",\"id\":1}");
    struct kv_test_frame hello;
    assert_true(kv_test_ws_receive(&ws, &hello));
    assert_non_null(memmem(hello.payload.bytes, hello.payload.len, "\"limits\"", 8));
    kv_test_ws_send_text(&ws,
                         "{\"type\":\"set\",\"id\":2,\"payload\":{\"key\":\"b/x\",\"value\":1}}");
    kv_test_ws_expect_error(&ws, "2"); /* what is denied counts, too */
    kv_test_ws_send_text(&ws, "{\"type\":\"nonsense\",\"id\":3}");
    kv_test_ws_expect_error(&ws, "3");
    kv_test_ws_send_text(&ws, "{\"type\":\"get\",\"payload\":{\"key\":\"a/x\"}}");
    kv_test_ws_expect(&ws, "{\"type\":\"no-value\",\"payload\":{\"key\":\"a/x\"}}");
    static const char *const more[] = {
        "{\"type\":\"get\",\"id\":9,\"payload\":{\"key\":\"a/x\"}}",
        "{\"type\":\"subscribe\",\"id\":9,\"payload\":{\"key\":\"a/x\"}}",
        "{\"type\":\"hello\",\"id\":9}",
        "{\"type\":\"nonsense\",\"id\":9}",
        "{\"type\":\"auth\",\"id\":9,\"payload\":{\"token\":\"both-token-1234567890\"}}",
    };
    for (size_t i = 0; i < N(more); i++) {
        struct kv_test_frame frame;
        kv_test_ws_send(&ws, kv_slice_of(more[i]));
        assert_true(kv_test_ws_receive(&ws, &frame));
        assert_non_null(memmem(frame.payload.bytes, frame.payload.len,
                               "too many requests with this token: try again in ", 48));
    }
    kv_test_ws_close(&ws);
    stop();
}

/* Items that are not commands. */
static void odd_items_of_a_batch_count_each(void **state)
{
    static const char *const bodies[] = {
        "[{\"type\":\"x\"},1,{},{\"type\":\"x\"},{\"type\":\"x\"},"
        "{\"type\":\"x\"},{\"type\":\"x\"}]",
        "[{\"type\":\"hello\"},{\"type\":\"hello\"},{\"type\":\"hello\"},"
        "{\"type\":\"hello\"},{\"type\":\"hello\"},{\"type\":\"hello\"},"
        "{\"type\":\"hello\"}]"};
    (void)state;
    for (size_t i = 0; i < N(bodies); i++) {
        int n_refused = 0;
        start("  rates: {requests: 5/h, per: [token]}\n");
        assert_int_equal(ask(BOTH, "POST", "/batch", bodies[i]), 200);
        for (const char *at = response.body.bytes; (at = strstr(at, "too many req")) != NULL; at++)
            n_refused++;
        assert_int_equal(n_refused, 7 - MOST);
        assert_int_equal(ask(BOTH, "POST", "/batch", "[]"), 429);
        stop();
    }
}

static void items_of_a_batch_count_each(void **state)
{
    (void)state;
    start("  rates: {requests: 5/h, per: [token]}\n");
    assert_int_equal(ask(BOTH, "POST", "/batch",
                         "[{\"type\":\"get\",\"payload\":{\"key\":\"a/x\"}},"
                         "{\"type\":\"get\",\"payload\":{\"key\":\"a/x\"}},"
                         "{\"type\":\"get\",\"payload\":{\"key\":\"a/x\"}},"
                         "{\"type\":\"get\",\"payload\":{\"key\":\"a/x\"}},"
                         "{\"type\":\"get\",\"payload\":{\"key\":\"a/x\"}},"
                         "{\"type\":\"get\",\"payload\":{\"key\":\"a/x\"}}]"),
                     200);
    int n_found = 0;
    for (const char *at = response.body.bytes; (at = strstr(at, "no-value")) != NULL; at++)
        n_found++;
    assert_int_equal(n_found, MOST);
    kv_test_expect_part(response.body.bytes, "too many requests with this token: try again in ");
    stop();
}

static void new_connections_from_an_address_are_limited(void **state)
{
    (void)state;
    start(
        "  rates: {connections: 5/h, per: [address]}\n"); /* the first asked whether it is ready */
    int status = 0, n = 0;
    while (n <= MOST && (status = ask("", "GET", "/healthz", NULL)) == 200)
        n++;
    assert_int_equal(status, 429);
    assert_in_range(n, 0, MOST);
    kv_test_expect_part(response.body.bytes, "too many new connections from this address");
    kv_test_await_log(&server, "127.0.0.1: too many new connections from this address");
    assert_string_equal(kv_test_response_header(&response, "Retry-After"), "1");
    kv_test_server_stop_cleanly(&server);
    kv_test_response_fini(&response);
    response = (struct kv_test_response){0};
}

static void connections_of_a_token_are_limited(void **state)
{
    struct kv_test_ws first, second;
    struct kv_test_stream third;
    (void)state;
    start("limits: {connections_per_token: 2}\n");
    kv_test_ws_open_with(&first, server.port, BOTH);
    kv_test_ws_open_with(&second, server.port, BOTH);
    assert_int_equal(ask(BOTH, "GET", "/storage/a/x", NULL), 429);
    expect_retry("too many connections with this token");
    kv_test_stream_open(&third, server.port);
    assert_int_equal(ask_over(&third, EVERY, "GET", "/storage/a/x", NULL), 204);
    assert_int_equal(ask_over(&third, BOTH ODD_HEADER, "GET", "/storage/a/x", NULL), 429);
    kv_test_ws_close(&first);
    while (ask_over(&third, BOTH, "GET", "/storage/a/x", NULL) == 429) /* until that is noticed */
        continue;
    assert_int_equal(response.status, 204);
    kv_test_ws_close(&second);
    kv_test_stream_close(&third);
    stop();
}

/* The second request is libh2o's. */
static void a_connection_keeps_its_place_when_another_carrier_serves_it(void **state)
{
    struct kv_test_stream stream;
    (void)state;
    start("limits: {connections_per_token: 1}\n");
    kv_test_stream_open(&stream, server.port);
    assert_int_equal(ask_over(&stream, BOTH, "GET", "/storage/a/x", NULL), 204);
    assert_int_equal(ask_over(&stream, BOTH ODD_HEADER, "GET", "/storage/a/x", NULL), 204);
    assert_int_equal(ask(BOTH, "GET", "/storage/a/x", NULL), 429);
    kv_test_stream_close(&stream);
    stop();
}

/* Another connection asks all the time, often from another loop. */
static void a_connection_keeps_its_place_when_it_becomes_a_websocket(void **state)
{
    enum {
        ROUNDS = 20,
        REQUESTS = 500
    };
    struct kv_buffer requests = {0};
    struct kv_test_stream other;
    (void)state;
    for (int i = 0; i < REQUESTS; i++)
        kv_test_http_write(&requests, "GET", KV_SLICE("/storage/a/x"), BOTH, (struct kv_slice){0});
    start("limits: {connections_per_token: 1}\n");
    kv_test_stream_open(&other, server.port);
    for (int round = 0; round < ROUNDS; round++) {
        struct kv_test_stream first;
        kv_test_stream_open(&first, server.port);
        while (ask_over(&first, BOTH ODD_HEADER, "GET", "/storage/a/x", NULL) == 429)
            continue; /* until the end of the one before is noticed */
        kv_test_stream_put(&other, kv_buffer_slice(&requests));
        kv_test_stream_flush(&other);
        assert_int_equal(ask_over(&first, BOTH KV_TEST_WS_UPGRADE, "GET", "/ws", NULL), 101);
        for (int i = 0; i < REQUESTS; i++) {
            assert_true(kv_test_http_receive(&other, &response));
            assert_int_equal(response.status, 429);
        }
        kv_test_stream_close(&first);
    }
    kv_test_stream_close(&other);
    kv_buffer_fini(&requests);
    stop();
}

#define AUTH "{\"type\":\"auth\",\"id\":9,\"payload\":{\"token\":\"both-token-1234567890\"}}"

/* The first one has the only connection of the token that AUTH has. */
static void start_with_both(struct kv_test_ws *first, struct kv_test_ws *second)
{
    start("limits: {connections_per_token: 1}\n");
    kv_test_ws_open_with(first, server.port, BOTH);
    kv_test_ws_open(second, server.port);
}

static void auth_beyond_the_connections_of_a_token_is_no_bad_token(void **state)
{
    struct kv_test_ws first, second;
    struct kv_test_frame frame;
    (void)state;
    start_with_both(&first, &second);
    kv_test_ws_send_text(&second, AUTH);
    assert_true(kv_test_ws_receive(&second, &frame));
    assert_non_null(
        memmem(frame.payload.bytes, frame.payload.len, "too many connections with this token", 36));
    assert_non_null(memmem(frame.payload.bytes, frame.payload.len, "\"status\":429", 12));
    assert_int_equal(ask(EVERY, "GET", "/metrics", NULL), 200);
    kv_test_expect_part(response.body.bytes,
                        "kvserver_access_failures_total{cause=\"bad_token\"} 0\n");
    kv_test_ws_close(&first);
    kv_test_ws_close(&second);
    stop();
}

/* The client may send it again, and keeps the rights that it has meanwhile. */
static void auth_beyond_the_connections_of_a_token_changes_nothing(void **state)
{
    struct kv_test_ws first, second;
    struct kv_test_frame frame;
    (void)state;
    start_with_both(&first, &second);
    kv_test_ws_send_text(&second, "{\"type\":\"subscribe\",\"id\":1,"
                                  "\"payload\":{\"key\":\"public/x\"}}");
    assert_true(kv_test_ws_receive(&second, &frame));
    kv_test_ws_send_text(&second, AUTH);
    kv_test_ws_expect_error(&second, "9");
    kv_test_ws_send_text(&second, "{\"type\":\"get\",\"payload\":{\"key\":\"public/x\"}}");
    kv_test_ws_expect(&second, "{\"type\":\"no-value\",\"payload\":{\"key\":\"public/x\"}}");
    assert_int_equal(ask(EVERY, "PUT", "/storage/public/x", "{\"value\":1}"), 202);
    kv_test_ws_expect(&second,
                      "{\"type\":\"value\",\"payload\":{\"key\":\"public/x\",\"value\":1}}");
    kv_test_ws_send_text(&second,
                         "{\"type\":\"unsubscribe\",\"id\":2,\"payload\":{\"key\":\"public/x\"}}");
    kv_test_ws_expect_ok(&second, "2", "\"public/x\"");
    kv_test_ws_close(&first);
    do { /* until that is noticed */
        kv_test_ws_send_text(&second, AUTH);
        assert_true(kv_test_ws_receive(&second, &frame));
    } while (memmem(frame.payload.bytes, frame.payload.len, "\"status\":429", 12) != NULL);
    kv_test_ws_send_text(&second, "{\"type\":\"get\",\"payload\":{\"key\":\"a/x\"}}");
    kv_test_ws_expect(&second, "{\"type\":\"no-value\",\"payload\":{\"key\":\"a/x\"}}");
    kv_test_ws_close(&second);
    stop();
}

static void metrics_count_denials(void **state)
{
    (void)state;
    start("  rates: {requests: 5/h, per: [token]}\n");
    for (int i = 0; i < MOST + 2; i++)
        ask(BOTH, "GET", "/storage/a/x", NULL);
    assert_int_equal(ask(WRONG, "GET", "/storage/a/x", NULL), 401);
    assert_int_equal(ask("", "GET", "/storage/a/x", NULL), 401);
    assert_int_equal(ask(EVERY, "GET", "/metrics", NULL), 200);
    kv_test_expect_part(response.body.bytes,
                        "kvserver_access_failures_total{cause=\"too_often\"} 2\n");
    kv_test_expect_part(response.body.bytes,
                        "kvserver_access_failures_total{cause=\"bad_token\"} 1\n");
    kv_test_expect_part(response.body.bytes,
                        "kvserver_access_failures_total{cause=\"no_token\"} 1\n");
    stop();
}

static void faults_of_the_rates_are_reported(void **state)
{
    static const struct {
        const char *rates, *message;
    } cases[] = {
        {"{requests: 10}", ":1:28: access.rates.requests: a rate is expected, as 1000/s"},
        {"{requests: 0/s}", "access.rates.requests: a rate is expected"},
        {"{connections: 10/fortnight}", "access.rates.connections: a rate is expected"},
        {"{requests: 1/s, per: []}", "access.rates.per: an empty list limits nobody"},
        {"{requests: 1/s, per: [user]}", "access.rates.per[0]"},
    };
    (void)state;
    for (size_t i = 0; i < N(cases); i++) {
        char yaml[256];
        struct kv_test_outcome outcome;
        snprintf(yaml, sizeof(yaml), "access: {rates: %s}\n", cases[i].rates);
        char *whole = kv_test_with_modules(yaml);
        kv_test_program_run_with_file("--check-config", whole, &outcome);
        assert_int_not_equal(outcome.exit_code, 0);
        kv_test_expect_part(outcome.err, cases[i].message);
        kv_test_outcome_fini(&outcome);
        free(whole);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_with_a_token_are_limited),
        cmocka_unit_test(requests_from_an_address_are_limited),
        cmocka_unit_test(every_request_counts_once),
        cmocka_unit_test(requests_of_one_connection_count_once_each),
        cmocka_unit_test(a_body_that_comes_late_counts_once),
        cmocka_unit_test(pages_can_read_a_refusal_by_rate),
        cmocka_unit_test(clients_of_a_proxy_are_distinguished),
        cmocka_unit_test(connections_of_a_proxy_before_the_rates_are_distinguished),
        cmocka_unit_test(wrong_tokens_count_for_the_address),
        cmocka_unit_test(messages_count_each),
        cmocka_unit_test(odd_items_of_a_batch_count_each),
        cmocka_unit_test(items_of_a_batch_count_each),
        cmocka_unit_test(new_connections_from_an_address_are_limited),
        cmocka_unit_test(connections_of_a_token_are_limited),
        cmocka_unit_test(a_connection_keeps_its_place_when_another_carrier_serves_it),
        cmocka_unit_test(a_connection_keeps_its_place_when_it_becomes_a_websocket),
        cmocka_unit_test(auth_beyond_the_connections_of_a_token_is_no_bad_token),
        cmocka_unit_test(auth_beyond_the_connections_of_a_token_changes_nothing),
        cmocka_unit_test(metrics_count_denials),
        cmocka_unit_test(faults_of_the_rates_are_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
