/* Connections that send or read so slowly that they would never end are cut. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "fixture.h"

enum {
    REQUEST_MS = 4000,
    STEP_MS = 50,
    NARROW = 16 * 1024,
    VALUE = 16 << 20,
    STEPS = 2000, /* far more than any limit here allows */
};

static int group_start(void **state)
{
    return kv_test_group_start_with(state,
                                    "limits: {least_rate: 60KiB}\n"
                                    "timeouts: {idle: 60s, request: 4s, request_progress: 1s, "
                                    "websocket_ping: 30s, stalled_reader: 1s}\n");
}

/* Sends a piece again and again until something is answered, or the connection ends. */
static void drip(struct kv_test_stream *stream, struct kv_slice piece)
{
    struct kv_test_stream *streams[] = {stream};
    for (int i = 0; i < STEPS && !stream->is_ended && kv_test_stream_unread(stream).len == 0; i++) {
        kv_test_stream_put(stream, piece);
        kv_test_stream_turn(streams, 1, STEP_MS);
        kv_test_sleep_ms(STEP_MS);
    }
}

static void expect_408(struct kv_test_stream *stream)
{
    struct kv_test_response response = {0};
    assert_true(kv_test_http_receive(stream, &response));
    assert_int_equal(response.status, 408);
    assert_string_equal(kv_test_response_header(&response, "content-type"), "application/json");
    assert_string_equal(kv_test_response_header(&response, "connection"), "close");
    assert_true(kv_slice_equals(kv_buffer_slice(&response.body),
                                KV_SLICE("{\"error\":\"the request has not arrived in time\"}")));
    kv_test_stream_await_end(stream);
    kv_test_response_fini(&response);
}

static void slow_head_is_answered_with_408(void **state)
{
    struct kv_test_stream stream;
    kv_test_stream_open(&stream, kv_test_port(state));
    kv_test_stream_put(&stream,
                       KV_SLICE("GET /storage/head HTTP/1.1\r\nHost: localhost\r\nX-Long: "));
    drip(&stream, KV_SLICE("x"));
    expect_408(&stream);
    kv_test_stream_close(&stream);
}

static void slow_body_is_answered_with_408_and_stores_nothing(void **state)
{
    struct kv_test_stream stream;
    kv_test_stream_open(&stream, kv_test_port(state));
    kv_test_stream_put(&stream, KV_SLICE("POST /storage/body HTTP/1.1\r\nHost: localhost\r\n"
                                         "Content-Length: 1000000\r\n\r\n{\"value\":1}"));
    drip(&stream, KV_SLICE(" "));
    expect_408(&stream);
    kv_test_stream_close(&stream);
    kv_test_expect_missing(kv_test_port(state), "body");
}

static void slow_chunks_are_answered_with_408(void **state)
{
    struct kv_test_stream stream;
    kv_test_stream_open(&stream, kv_test_port(state));
    kv_test_stream_put(&stream, KV_SLICE("POST /storage/chunks HTTP/1.1\r\nHost: localhost\r\n"
                                         "Transfer-Encoding: chunked\r\n\r\n"));
    drip(&stream, KV_SLICE("1\r\n \r\n"));
    expect_408(&stream);
    kv_test_stream_close(&stream);
}

static void too_long_lasting_request_is_answered_with_408(void **state)
{
    struct kv_test_stream stream;
    char *much = kv_test_letters(' ', 65536);
    kv_test_stream_open(&stream, kv_test_port(state));
    kv_test_stream_put(&stream, KV_SLICE("POST /storage/long HTTP/1.1\r\nHost: localhost\r\n"
                                         "Content-Length: 200000000\r\n\r\n"));
    int64_t began_ms = kv_test_now_ms();
    drip(&stream, kv_slice_of(much));
    assert_true(kv_test_now_ms() - began_ms >= REQUEST_MS - 50);
    expect_408(&stream);
    kv_test_stream_close(&stream);
    free(much);
}

static void request_before_a_slow_one_is_answered(void **state)
{
    struct kv_test_stream stream;
    struct kv_test_response response = {0};
    kv_test_stream_open(&stream, kv_test_port(state));
    kv_test_stream_put(&stream,
                       KV_SLICE("GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\nGET /sto"));
    kv_test_stream_flush(&stream);
    assert_true(kv_test_http_receive(&stream, &response));
    assert_int_equal(response.status, 200);
    drip(&stream, KV_SLICE("x"));
    expect_408(&stream);
    kv_test_response_fini(&response);
    kv_test_stream_close(&stream);
}

static void slow_message_is_closed_with_1008(void **state)
{
    struct kv_test_ws ws;
    kv_test_ws_open(&ws, kv_test_port(state));
    kv_test_stream_put(&ws.stream, KV_SLICE("\x81\xfe\x10\x00\x00\x00\x00\x00 "));
    drip(&ws.stream, KV_SLICE(" "));
    kv_test_ws_expect_closed(&ws, 1008);
    kv_test_ws_close(&ws);
}

static void slow_fragments_are_closed_with_1008(void **state)
{
    struct kv_test_ws ws;
    kv_test_ws_open(&ws, kv_test_port(state));
    kv_test_stream_put(&ws.stream, KV_SLICE("\x01\x81\x00\x00\x00\x00 "));
    drip(&ws.stream, KV_SLICE("\x00\x81\x00\x00\x00\x00 "));
    kv_test_ws_expect_closed(&ws, 1008);
    kv_test_ws_close(&ws);
}

/* Each message is whole in no time, however few of them there are. */
static void session_with_few_messages_is_kept(void **state)
{
    struct kv_test_ws ws;
    kv_test_ws_open(&ws, kv_test_port(state));
    for (int64_t end_ms = kv_test_now_ms() + REQUEST_MS + 1000; kv_test_now_ms() < end_ms;) {
        kv_test_ws_expect_nothing(&ws);
        kv_test_sleep_ms(200);
    }
    kv_test_ws_close(&ws);
}

static void store_long_value(uint16_t port)
{
    char *letters = kv_test_letters('v', VALUE);
    struct kv_buffer value = {0};
    kv_buffer_printf(&value, "\"%s\"", letters);
    kv_buffer_append_char(&value, '\0');
    kv_test_store(port, "read", value.bytes);
    kv_buffer_fini(&value);
    free(letters);
}

/* Reads little by little until the connection ends. */
static void sip(const struct kv_test_stream *stream)
{
    char bytes[1024];
    ssize_t n = 1;
    int64_t began_ms = kv_test_now_ms();
    while (n > 0 || (n < 0 && errno == EAGAIN)) {
        kv_test_sleep_ms(STEP_MS);
        n = recv(stream->fd, bytes, sizeof(bytes), MSG_DONTWAIT);
        assert_true(kv_test_now_ms() - began_ms < KV_TEST_LIMIT_MS);
    }
}

static void too_slow_reader_is_cut(void **state)
{
    struct kv_test_stream stream;
    store_long_value(kv_test_port(state));
    kv_test_stream_open_narrow(&stream, kv_test_port(state), NARROW);
    kv_test_stream_put(&stream, KV_SLICE("GET /storage/read HTTP/1.1\r\nHost: localhost\r\n\r\n"));
    struct kv_test_stream *streams[] = {&stream};
    kv_test_stream_turn(streams, 1, STEP_MS);
    sip(&stream);
    kv_test_stream_close(&stream);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(slow_head_is_answered_with_408),
        cmocka_unit_test(slow_body_is_answered_with_408_and_stores_nothing),
        cmocka_unit_test(slow_chunks_are_answered_with_408),
        cmocka_unit_test(too_long_lasting_request_is_answered_with_408),
        cmocka_unit_test(request_before_a_slow_one_is_answered),
        cmocka_unit_test(slow_message_is_closed_with_1008),
        cmocka_unit_test(slow_fragments_are_closed_with_1008),
        cmocka_unit_test(session_with_few_messages_is_kept),
        cmocka_unit_test(too_slow_reader_is_cut),
    };
    return cmocka_run_group_tests(tests, group_start, kv_test_group_stop);
}
