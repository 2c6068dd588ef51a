/* While the store opens, the server is alive and reports that it is not ready. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "fixture.h"

static bool opens_at_once(void)
{
    return !kv_test_uses_store("late");
}

/* A server whose store takes that long to open. Only the late store can. */
static void start_slowly(struct kv_test_server *server, int open_delay_ms)
{
    struct kv_buffer yaml = {0};
    kv_buffer_printf(&yaml,
                     "listen: [{port: %%port}]\nmodules: %s\n"
                     "storage: {module: late, late: {open_delay: %dms}}\n",
                     getenv("KV_TEST_MODULES"), open_delay_ms);
    kv_buffer_append_char(&yaml, '\0');
    kv_test_server_start_alive(server, yaml.bytes);
    kv_buffer_fini(&yaml);
}

static void expect_unavailable(struct kv_test_stream *stream, const char *method, const char *path,
                               const char *headers, const char *body)
{
    struct kv_test_response response = {0};
    assert_int_equal(kv_test_http_ask(stream, method, path, headers, body, &response), 503);
    assert_non_null(kv_test_response_header(&response, "retry-after"));
    assert_true(kv_slice_has_prefix(kv_buffer_slice(&response.body), KV_SLICE("{\"error\":")));
    kv_test_response_fini(&response);
}

static void server_that_starts_is_503_but_alive_and_serves_once_it_is_ready(void **state)
{
    struct kv_test_server server;
    struct kv_test_stream stream, fresh; /* one that asks for nothing but keys */
    struct kv_test_response response = {0};
    (void)state;
    if (opens_at_once())
        skip(); /* there is no time in which it starts */
    start_slowly(&server, 2000);
    kv_test_stream_open(&stream, server.port);
    expect_unavailable(&stream, "GET", "/readyz", NULL, NULL);
    expect_unavailable(&stream, "GET", "/storage/k", NULL, NULL);
    expect_unavailable(&stream, "POST", "/storage/k", NULL, "{\"value\":1}");
    expect_unavailable(&stream, "DELETE", "/storage/k", NULL, NULL);
    expect_unavailable(&stream, "GET", "/ws", KV_TEST_WS_UPGRADE, NULL);
    kv_test_stream_open(&fresh, server.port);
    expect_unavailable(&fresh, "POST", "/storage/k", NULL, "{\"value\":1}");
    expect_unavailable(&fresh, "GET", "/storage/k", NULL, NULL);
    kv_test_stream_close(&fresh);
    int64_t limit_ms = kv_test_now_ms() + KV_TEST_LIMIT_MS;
    while (kv_test_http_ask(&stream, "GET", "/readyz", NULL, NULL, &response) == 503)
        assert_true(kv_test_now_ms() < limit_ms);
    assert_int_equal(response.status, 200);
    assert_int_equal(
        kv_test_http_ask(&stream, "POST", "/storage/k", NULL, "{\"value\":1}", &response), 202);
    kv_test_response_fini(&response);
    kv_test_stream_close(&stream);
    kv_test_server_stop_cleanly(&server);
}

static void server_stopped_while_it_starts_exits_with_0(void **state)
{
    struct kv_test_server server;
    (void)state;
    if (opens_at_once())
        skip(); /* there is no time in which it starts */
    start_slowly(&server, 1000);
    kv_test_server_stop_cleanly(&server);
}

static void log_lines_are_json_on_request(void **state)
{
    struct kv_test_server server;
    (void)state;
    kv_test_start(&server, "log: {format: json}\n");
    kv_test_await_log(&server,
                      "\"level\":\"info\",\"subject\":\"server\",\"message\":\"listening on");
    char *log = kv_test_server_log(&server);
    assert_int_equal(strncmp(log, "{\"time\":\"", 9), 0);
    free(log);
    kv_test_server_stop_cleanly(&server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(server_that_starts_is_503_but_alive_and_serves_once_it_is_ready),
        cmocka_unit_test(server_stopped_while_it_starts_exits_with_0),
        cmocka_unit_test(log_lines_are_json_on_request),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
