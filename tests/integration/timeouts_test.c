/* Silent connections are closed, slow ones are not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "fixture.h"

enum {
    IDLE_MS = 1000,
    LATEST_MS = 10000, /* far beyond every limit here, for machines that are busy */
};

static int group_start(void **state)
{
    return kv_test_group_start_with(
        state, "limits: {least_rate: 0}\n"
               "timeouts: {idle: 1s, request_progress: 1500ms, websocket_ping: 200ms}\n");
}

static void put_and_flush(struct kv_test_stream *stream, struct kv_slice bytes)
{
    kv_test_stream_put(stream, bytes);
    kv_test_stream_flush(stream);
}

static void silent_http_connection_is_closed(void **state)
{
    struct kv_test_stream fresh, used;
    struct kv_test_response response = {0};
    kv_test_stream_open(&fresh, kv_test_port(state));
    kv_test_stream_open(&used, kv_test_port(state));
    kv_test_http_ask(&used, "GET", "/healthz", NULL, NULL, &response);
    int64_t began_ms = kv_test_now_ms();
    kv_test_stream_await_end(&used);
    assert_true(kv_test_now_ms() - began_ms >= IDLE_MS - 50);
    kv_test_stream_await_end(&fresh);
    assert_true(kv_test_now_ms() - began_ms < LATEST_MS);
    kv_test_response_fini(&response);
    kv_test_stream_close(&fresh);
    kv_test_stream_close(&used);
}

static void stalled_upload_is_cut_and_stores_nothing(void **state)
{
    struct kv_test_stream stream;
    kv_test_stream_open(&stream, kv_test_port(state));
    int64_t began_ms = kv_test_now_ms();
    put_and_flush(&stream, KV_SLICE("POST /storage/still HTTP/1.1\r\nHost: localhost\r\n"
                                    "Content-Length: 100\r\n\r\n{\"value\":"));
    kv_test_stream_await_end(&stream);
    assert_true(kv_test_now_ms() - began_ms < LATEST_MS);
    kv_test_stream_close(&stream);
    kv_test_expect_missing(kv_test_port(state), "still");
}

static void slow_upload_is_served(void **state)
{
    struct kv_test_stream stream;
    struct kv_test_response response = {0};
    struct kv_slice body = KV_SLICE("{\"value\":\"slowly but surely\"}");
    kv_test_stream_open(&stream, kv_test_port(state));
    put_and_flush(&stream, KV_SLICE("POST /storage/slow HTTP/1.1\r\nHost: localhost\r\n"
                                    "Content-Length: 29\r\n\r\n"));
    for (size_t i = 0; i < body.len; i++) {
        kv_test_sleep_ms(60);
        put_and_flush(&stream, (struct kv_slice){body.bytes + i, 1});
    }
    assert_true(kv_test_http_receive(&stream, &response));
    assert_int_equal(response.status, 202);
    kv_test_response_fini(&response);
    kv_test_stream_close(&stream);
}

static void websocket_that_answers_pings_is_kept(void **state)
{
    struct kv_test_ws ws;
    struct kv_test_frame frame;
    int n_pings = 0;
    kv_test_ws_open(&ws, kv_test_port(state));
    struct kv_test_stream *stream = &ws.stream;
    for (int64_t end_ms = kv_test_now_ms() + 3 * IDLE_MS; kv_test_now_ms() < end_ms;) {
        kv_test_stream_turn(&stream, 1, 20);
        while (kv_test_ws_take(&ws, &frame)) {
            assert_int_equal(frame.opcode, KV_TEST_WS_PING);
            kv_test_ws_put_frame(&ws, KV_TEST_WS_FINAL | KV_TEST_WS_PONG, frame.payload);
            n_pings++;
        }
    }
    assert_true(n_pings > 0);
    kv_test_ws_expect_nothing(&ws);
    kv_test_ws_close(&ws);
}

static void websocket_that_answers_nothing_is_closed(void **state)
{
    struct kv_test_ws ws;
    kv_test_ws_open(&ws, kv_test_port(state));
    int64_t began_ms = kv_test_now_ms();
    kv_test_stream_await_end(&ws.stream);
    assert_true(kv_test_now_ms() - began_ms >= IDLE_MS - 50);
    assert_true(kv_test_now_ms() - began_ms < LATEST_MS);
    kv_test_ws_close(&ws);
}

/* The message is the first one, and is on its way when the server looks for the first time. */
static void first_message_may_take_its_time(void **state)
{
    struct kv_test_ws ws;
    struct kv_test_frame frame;
    bool is_pinged = false;
    kv_test_ws_open(&ws, kv_test_port(state));
    struct kv_test_stream *stream = &ws.stream;
    kv_test_ws_send_frame(&ws, KV_TEST_WS_TEXT, KV_SLICE("{\"type\":\"set\",\"id\":1,"));
    while (!is_pinged) {
        kv_test_stream_turn(&stream, 1, LATEST_MS);
        is_pinged = kv_test_ws_take(&ws, &frame);
    }
    assert_int_equal(frame.opcode, KV_TEST_WS_PING);
    kv_test_ws_send_frame(&ws, KV_TEST_WS_FINAL | KV_TEST_WS_CONTINUATION,
                          KV_SLICE("\"payload\":{\"key\":\"first\",\"value\":1}}"));
    kv_test_ws_expect_ok(&ws, "1", "\"first\"");
    kv_test_ws_close(&ws);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(silent_http_connection_is_closed),
        cmocka_unit_test(stalled_upload_is_cut_and_stores_nothing),
        cmocka_unit_test(slow_upload_is_served),
        cmocka_unit_test(websocket_that_answers_pings_is_kept),
        cmocka_unit_test(websocket_that_answers_nothing_is_closed),
        cmocka_unit_test(first_message_may_take_its_time),
    };
    return cmocka_run_group_tests(tests, group_start, kv_test_group_stop);
}
