/* RFC 6455 in both directions: the handshake, frames, control frames, and the close codes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <sys/socket.h>

#include "fixture.h"

#define N(array) (sizeof(array) / sizeof((array)[0]))

enum {
    FINAL_TEXT = KV_TEST_WS_FINAL | KV_TEST_WS_TEXT,
    FINAL_BINARY = KV_TEST_WS_FINAL | KV_TEST_WS_BINARY,
    FINAL_CONTINUATION = KV_TEST_WS_FINAL | KV_TEST_WS_CONTINUATION,
    FINAL_PING = KV_TEST_WS_FINAL | KV_TEST_WS_PING,
    FINAL_PONG = KV_TEST_WS_FINAL | KV_TEST_WS_PONG,
    FINAL_CLOSE = KV_TEST_WS_FINAL | KV_TEST_WS_CLOSE,
    RESERVED_1 = 0x40,
    RESERVED_2 = 0x20,
    RESERVED_3 = 0x10,
};

/* libh2o takes a Connection header that does not say keep-alive for a wish to close: the refusals
 * here ask to stay. */
#define KEY     "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
#define VERSION "Sec-WebSocket-Version: 13\r\n"

static const struct kv_slice GET = KV_SLICE("{\"type\":\"get\",\"payload\":{\"key\":\"no\"}}");
static const struct kv_slice NO_VALUE =
    KV_SLICE("{\"type\":\"no-value\",\"payload\":{\"key\":\"no\"}}");

static void expect_upgrade_refused(void **state, const char *headers, int status)
{
    struct kv_test_stream stream;
    struct kv_test_response response = {0};
    kv_test_stream_open(&stream, kv_test_port(state));
    int got = kv_test_http_ask(&stream, "GET", "/ws", headers, NULL, &response);
    if (got != status)
        print_error("with the headers\n%s\n", headers);
    assert_int_equal(got, status);
    assert_true(kv_slice_has_prefix(kv_buffer_slice(&response.body), KV_SLICE("{\"error\":")));
    assert_int_equal(kv_test_http_ask(&stream, "GET", "/healthz", NULL, NULL, &response), 200);
    kv_test_response_fini(&response);
    kv_test_stream_close(&stream);
}

static void expect_upgrade_refused_for_good(void **state, const char *headers)
{
    struct kv_test_stream stream;
    struct kv_test_response response = {0};
    kv_test_stream_open(&stream, kv_test_port(state));
    int got = kv_test_http_ask(&stream, "GET", "/ws", headers, NULL, &response);
    if (got != 400)
        print_error("with the headers\n%s\n", headers);
    assert_int_equal(got, 400);
    assert_string_equal(kv_test_response_header(&response, "connection"), "close");
    assert_true(kv_slice_has_prefix(kv_buffer_slice(&response.body), KV_SLICE("{\"error\":")));
    kv_test_stream_await_end(&stream);
    kv_test_response_fini(&response);
    kv_test_stream_close(&stream);
}

static void get_without_upgrade_is_426(void **state)
{
    expect_upgrade_refused(state, "", 426);
    expect_upgrade_refused(state, KEY VERSION, 426);
    expect_upgrade_refused(state, "Connection: keep-alive, Upgrade\r\nUpgrade: h2c\r\n" KEY VERSION,
                           426);
}

static void other_version_is_426_and_names_13(void **state)
{
    static const char *const versions[] = {"Sec-WebSocket-Version: 8\r\n",
                                           "Sec-WebSocket-Version: 14\r\n", ""};
    struct kv_test_stream stream;
    struct kv_test_response response = {0};
    kv_test_stream_open(&stream, kv_test_port(state));
    for (size_t i = 0; i < N(versions); i++) {
        struct kv_buffer headers = {0};
        kv_buffer_printf(&headers,
                         "Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n" KEY "%s",
                         versions[i]);
        kv_buffer_append_char(&headers, '\0');
        assert_int_equal(kv_test_http_ask(&stream, "GET", "/ws", headers.bytes, NULL, &response),
                         426);
        const char *version = kv_test_response_header(&response, "sec-websocket-version");
        assert_non_null(version);
        assert_string_equal(version, "13");
        kv_buffer_fini(&headers);
    }
    kv_test_response_fini(&response);
    kv_test_stream_close(&stream);
}

/* Frames may follow a malformed handshake, so nothing after it is read. */
static void malformed_key_is_400_and_ends_the_connection(void **state)
{
    static const char *const keys[] = {
        "Sec-WebSocket-Key:\r\n",
        "Sec-WebSocket-Key: short\r\n",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZSE=\r\n",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25j!!==\r\n",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==dGhlIHNhbXBsZSBub25jZQ==\r\n",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZR==\r\n",
        KEY KEY,
        KEY VERSION,
        KEY "Sec-WebSocket-Version: 12\r\n",
    };
    for (size_t i = 0; i < N(keys); i++) {
        struct kv_buffer headers = {0};
        kv_buffer_printf(&headers,
                         "Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n" VERSION "%s",
                         keys[i]);
        kv_buffer_append_char(&headers, '\0');
        expect_upgrade_refused_for_good(state, headers.bytes);
        kv_buffer_fini(&headers);
    }
}

static void missing_key_is_400(void **state)
{
    expect_upgrade_refused(
        state, "Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n" VERSION, 400);
}

static void handshake_headers_are_read_in_any_letter_case_and_as_lists(void **state)
{
    assert_int_equal(kv_test_http_status(kv_test_port(state), "GET", "/ws",
                                         "connection: keep-alive, UPGRADE\r\nupgrade: WebSocket\r\n"
                                         "SEC-WEBSOCKET-KEY: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                                         "sec-websocket-version: 13\r\n",
                                         NULL),
                     101);
}

static void query_of_the_endpoint_is_ignored(void **state)
{
    assert_int_equal(
        kv_test_http_status(kv_test_port(state), "GET", "/ws?token=1", KV_TEST_WS_UPGRADE, NULL),
        101);
}

static void our_subprotocol_is_accepted_if_offered(void **state)
{
    static const struct {
        const char *offered, *answered;
    } cases[] = {
        {"Sec-WebSocket-Protocol: kvserver.v1\r\n", "kvserver.v1"},
        {"Sec-WebSocket-Protocol: chat, kvserver.v1 ,other\r\n", "kvserver.v1"},
        {"Sec-WebSocket-Protocol: chat\r\nSec-WebSocket-Protocol: kvserver.v1\r\n", "kvserver.v1"},
        {"Sec-WebSocket-Protocol: kvserver.v2, KvServer.v1, xkvserver.v1\r\n", NULL},
    };
    for (size_t i = 0; i < N(cases); i++) {
        struct kv_test_stream stream;
        struct kv_test_response response = {0};
        struct kv_buffer headers = {0};
        kv_buffer_printf(&headers, "%s%s", KV_TEST_WS_UPGRADE, cases[i].offered);
        kv_buffer_append_char(&headers, '\0');
        kv_test_stream_open(&stream, kv_test_port(state));
        assert_int_equal(kv_test_http_ask(&stream, "GET", "/ws", headers.bytes, NULL, &response),
                         101);
        const char *answered = kv_test_response_header(&response, "sec-websocket-protocol");
        assert_int_equal(answered != NULL, cases[i].answered != NULL);
        if (answered != NULL)
            assert_string_equal(answered, cases[i].answered);
        kv_buffer_fini(&headers);
        kv_test_response_fini(&response);
        kv_test_stream_close(&stream);
    }
}

static void extensions_and_other_subprotocols_are_not_accepted(void **state)
{
    struct kv_test_stream stream;
    struct kv_test_response response = {0};
    kv_test_stream_open(&stream, kv_test_port(state));
    assert_int_equal(kv_test_http_ask(&stream, "GET", "/ws",
                                      KV_TEST_WS_UPGRADE
                                      "Sec-WebSocket-Extensions: permessage-deflate\r\n"
                                      "Sec-WebSocket-Protocol: chat\r\n",
                                      NULL, &response),
                     101);
    assert_null(kv_test_response_header(&response, "sec-websocket-extensions"));
    assert_null(kv_test_response_header(&response, "sec-websocket-protocol"));
    kv_test_response_fini(&response);
    kv_test_stream_close(&stream);
}

static void upgrade_over_http_1_0_is_refused(void **state)
{
    struct kv_test_stream stream;
    struct kv_test_response response = {0};
    kv_test_stream_open(&stream, kv_test_port(state));
    kv_test_stream_put(
        &stream, KV_SLICE("GET /ws HTTP/1.0\r\nHost: localhost\r\n" KV_TEST_WS_UPGRADE "\r\n"));
    kv_test_stream_flush(&stream);
    assert_true(kv_test_http_receive(&stream, &response));
    assert_true(response.status >= 400 && response.status < 500);
    kv_test_response_fini(&response);
    kv_test_stream_close(&stream);
}

static void messages_may_follow_the_handshake_at_once(void **state)
{
    struct kv_test_ws ws = {.mask = 0x01020304};
    struct kv_test_response response = {0};
    kv_test_stream_open(&ws.stream, kv_test_port(state));
    kv_test_stream_put(
        &ws.stream, KV_SLICE("GET /ws HTTP/1.1\r\nHost: localhost\r\n" KV_TEST_WS_UPGRADE "\r\n"));
    for (int i = 0; i < 200; i++)
        kv_test_ws_put(&ws, GET);
    kv_test_stream_flush(&ws.stream);
    assert_true(kv_test_http_receive(&ws.stream, &response));
    assert_int_equal(response.status, 101);
    for (int i = 0; i < 200; i++)
        kv_test_ws_expect_slice(&ws, NO_VALUE);
    kv_test_response_fini(&response);
    kv_test_ws_close(&ws);
}

static void upgrade_works_on_a_connection_that_served_requests(void **state)
{
    struct kv_test_ws ws = {0};
    struct kv_test_response response = {0};
    kv_test_stream_open(&ws.stream, kv_test_port(state));
    assert_int_equal(kv_test_http_ask(&ws.stream, "GET", "/healthz", NULL, NULL, &response), 200);
    kv_test_ws_upgrade(&ws);
    kv_test_ws_send(&ws, GET);
    kv_test_ws_expect_slice(&ws, NO_VALUE);
    kv_test_response_fini(&response);
    kv_test_ws_close(&ws);
}

static void binary_message_is_refused_by_its_first_frame(void **state)
{
    struct kv_test_ws ws;
    kv_test_ws_open(&ws, kv_test_port(state));
    kv_test_ws_send_frame(&ws, KV_TEST_WS_BINARY, KV_SLICE("{"));
    kv_test_ws_expect_error(&ws, NULL);
    kv_test_ws_send_frame(&ws, KV_TEST_WS_CONTINUATION, KV_SLICE("\xff"));
    kv_test_ws_send_frame(&ws, FINAL_PING, KV_SLICE("between"));
    kv_test_ws_expect_frame(&ws, KV_TEST_WS_PONG, KV_SLICE("between"));
    kv_test_ws_send_frame(&ws, FINAL_CONTINUATION, KV_SLICE("}"));
    kv_test_ws_send(&ws, GET);
    kv_test_ws_expect_slice(&ws, NO_VALUE);
    kv_test_ws_close(&ws);
}

static void binary_message_is_an_error_and_the_connection_is_kept(void **state)
{
    struct kv_test_ws ws;
    kv_test_ws_open(&ws, kv_test_port(state));
    kv_test_ws_send_frame(&ws, FINAL_BINARY, GET);
    kv_test_ws_expect_error(&ws, NULL);
    kv_test_ws_send_frame(&ws, FINAL_BINARY, KV_SLICE("\xff\x00"));
    kv_test_ws_expect_error(&ws, NULL);
    kv_test_ws_send(&ws, GET);
    kv_test_ws_expect_slice(&ws, NO_VALUE);
    kv_test_ws_close(&ws);
}

static void message_may_come_in_fragments(void **state)
{
    struct kv_test_ws ws;
    kv_test_ws_open(&ws, kv_test_port(state));
    kv_test_ws_put_frame(&ws, KV_TEST_WS_TEXT, (struct kv_slice){GET.bytes, 5});
    kv_test_ws_put_frame(&ws, KV_TEST_WS_CONTINUATION, KV_SLICE(""));
    kv_test_ws_put_frame(&ws, KV_TEST_WS_CONTINUATION, (struct kv_slice){GET.bytes + 5, 9});
    kv_test_ws_send_frame(&ws, FINAL_CONTINUATION, (struct kv_slice){GET.bytes + 14, GET.len - 14});
    kv_test_ws_expect_slice(&ws, NO_VALUE);
    kv_test_ws_close(&ws);
}

static void message_may_come_in_ten_thousand_fragments(void **state)
{
    struct kv_test_ws ws;
    kv_test_ws_open(&ws, kv_test_port(state));
    kv_test_ws_put_frame(&ws, KV_TEST_WS_TEXT, KV_SLICE(" "));
    for (int i = 0; i < 10000; i++)
        kv_test_ws_put_frame(&ws, KV_TEST_WS_CONTINUATION, KV_SLICE(" "));
    kv_test_ws_send_frame(&ws, FINAL_CONTINUATION, GET);
    kv_test_ws_expect_slice(&ws, NO_VALUE);
    kv_test_ws_close(&ws);
}

static void frame_may_come_byte_by_byte(void **state)
{
    struct kv_test_ws ws, made = {.mask = 0x0a0b0c0d};
    kv_test_ws_put(&made, GET);
    kv_test_ws_open(&ws, kv_test_port(state));
    for (size_t i = 0; i < made.stream.out.len; i++) {
        kv_test_stream_put(&ws.stream, (struct kv_slice){made.stream.out.bytes + i, 1});
        kv_test_stream_flush(&ws.stream);
    }
    kv_test_ws_expect_slice(&ws, NO_VALUE);
    kv_buffer_fini(&made.stream.out);
    kv_test_ws_close(&ws);
}

static void character_may_be_split_between_fragments(void **state)
{
    struct kv_test_ws ws;
    kv_test_ws_open(&ws, kv_test_port(state));
    kv_test_ws_put_frame(&ws, KV_TEST_WS_TEXT,
                         KV_SLICE("{\"type\":\"get\",\"payload\":{\"key\":\"\xf0\x9f"));
    kv_test_ws_send_frame(&ws, FINAL_CONTINUATION, KV_SLICE("\x98\x80\"}}"));
    kv_test_ws_expect(&ws, "{\"type\":\"no-value\",\"payload\":{\"key\":\"\xf0\x9f\x98\x80\"}}");
    kv_test_ws_close(&ws);
}

static void ping_is_answered_with_its_payload(void **state)
{
    struct kv_test_ws ws;
    char *payload = kv_test_letters('p', 125);
    kv_test_ws_open(&ws, kv_test_port(state));
    kv_test_ws_send_frame(&ws, FINAL_PING, KV_SLICE(""));
    kv_test_ws_expect_frame(&ws, KV_TEST_WS_PONG, KV_SLICE(""));
    kv_test_ws_send_frame(&ws, FINAL_PING, kv_slice_of(payload));
    kv_test_ws_expect_frame(&ws, KV_TEST_WS_PONG, kv_slice_of(payload));
    free(payload);
    kv_test_ws_close(&ws);
}

static void ping_between_fragments_is_answered_first(void **state)
{
    struct kv_test_ws ws;
    kv_test_ws_open(&ws, kv_test_port(state));
    kv_test_ws_put_frame(&ws, KV_TEST_WS_TEXT, (struct kv_slice){GET.bytes, 20});
    kv_test_ws_put_frame(&ws, FINAL_PING, KV_SLICE("between"));
    kv_test_ws_put_frame(&ws, FINAL_PONG, KV_SLICE("nobody asked"));
    kv_test_ws_send_frame(&ws, FINAL_CONTINUATION, (struct kv_slice){GET.bytes + 20, GET.len - 20});
    kv_test_ws_expect_frame(&ws, KV_TEST_WS_PONG, KV_SLICE("between"));
    kv_test_ws_expect_slice(&ws, NO_VALUE);
    kv_test_ws_close(&ws);
}

static void unsolicited_pong_is_ignored(void **state)
{
    struct kv_test_ws ws;
    kv_test_ws_open(&ws, kv_test_port(state));
    kv_test_ws_send_frame(&ws, FINAL_PONG, KV_SLICE("x"));
    kv_test_ws_expect_nothing(&ws);
    kv_test_ws_close(&ws);
}

static void close_is_answered_with_its_code(void **state)
{
    static const struct {
        struct kv_slice payload;
        int code;
    } closes[] = {
        {KV_SLICE("\x03\xe8"), 1000},    {KV_SLICE("\x03\xe9going away"), 1001},
        {KV_SLICE("\x03\xf4"), 1012},    {KV_SLICE("\x03\xf5later"), 1013},
        {KV_SLICE("\x03\xf6"), 1014},    {KV_SLICE("\x0b\xb8"), 3000},
        {KV_SLICE("\x13\x87own"), 4999}, {KV_SLICE(""), 1005},
    };
    for (size_t i = 0; i < N(closes); i++) {
        struct kv_test_ws ws;
        kv_test_ws_open(&ws, kv_test_port(state));
        kv_test_ws_send_frame(&ws, FINAL_CLOSE, closes[i].payload);
        struct kv_test_frame frame;
        assert_true(kv_test_ws_receive(&ws, &frame));
        assert_int_equal(frame.opcode, KV_TEST_WS_CLOSE);
        assert_int_equal(kv_test_ws_close_code(&frame), closes[i].code);
        kv_test_stream_await_end(&ws.stream);
        kv_test_ws_close(&ws);
    }
}

static void messages_before_a_close_are_answered_and_those_after_ignored(void **state)
{
    struct kv_test_ws ws;
    kv_test_ws_open(&ws, kv_test_port(state));
    kv_test_ws_put(&ws, GET);
    kv_test_ws_put_text(&ws,
                        "{\"type\":\"set\",\"id\":1,\"payload\":{\"key\":\"last\",\"value\":1}}");
    kv_test_ws_put_frame(&ws, FINAL_CLOSE, KV_SLICE("\x03\xe8"));
    kv_test_ws_send_text(&ws, "{\"type\":\"set\",\"payload\":{\"key\":\"last\",\"value\":2}}");
    kv_test_ws_expect_slice(&ws, NO_VALUE);
    kv_test_ws_expect_ok(&ws, "1", "\"last\"");
    kv_test_ws_expect_closed(&ws, 1000);
    kv_test_ws_close(&ws);
    kv_test_expect_value(kv_test_port(state), "last", "1");
}

/* Sends bytes as they are over a connection that works. */
static void expect_bytes_close_with(void **state, struct kv_slice bytes, int code)
{
    struct kv_test_ws ws;
    kv_test_ws_open(&ws, kv_test_port(state));
    kv_test_ws_expect_nothing(&ws);
    kv_test_stream_put(&ws.stream, bytes);
    kv_test_stream_flush(&ws.stream);
    kv_test_ws_expect_closed(&ws, code);
    kv_test_ws_close(&ws);
}

static void expect_frame_closes_with(void **state, uint8_t first_byte, struct kv_slice payload,
                                     int code)
{
    struct kv_test_ws made = {.mask = 0x11223344};
    kv_test_ws_put_frame(&made, first_byte, payload);
    expect_bytes_close_with(state, kv_buffer_slice(&made.stream.out), code);
    kv_buffer_fini(&made.stream.out);
}

static void invalid_utf8_closes_with_1007(void **state)
{
    static const struct kv_slice texts[] = {
        KV_SLICE("\xff"),
        KV_SLICE("{\"type\":\"get\",\"payload\":{\"key\":\"\xc3\"}}"),
        KV_SLICE("\"\xc0\x80\""),
        KV_SLICE("\"\xed\xa0\x80\""),
        KV_SLICE("\"\xf4\x90\x80\x80\""),
        KV_SLICE("\"\xe2\x82"),
    };
    for (size_t i = 0; i < N(texts); i++)
        expect_frame_closes_with(state, FINAL_TEXT, texts[i], 1007);
}

static void invalid_utf8_in_a_later_fragment_closes_with_1007(void **state)
{
    struct kv_test_ws made = {.mask = 0x11223344};
    kv_test_ws_put_frame(&made, KV_TEST_WS_TEXT, KV_SLICE("\"\xe2"));
    kv_test_ws_put_frame(&made, FINAL_CONTINUATION, KV_SLICE("x\""));
    expect_bytes_close_with(state, kv_buffer_slice(&made.stream.out), 1007);
    kv_buffer_fini(&made.stream.out);
}

static void invalid_utf8_between_fragments_and_control_frames_closes_with_1007(void **state)
{
    struct kv_test_ws made = {.mask = 0x11223344};
    kv_test_ws_put_frame(&made, KV_TEST_WS_TEXT, KV_SLICE("\"\xf0\x9f"));
    kv_test_ws_put_frame(&made, FINAL_PONG, KV_SLICE("\x98\x80"));
    kv_test_ws_put_frame(&made, KV_TEST_WS_CONTINUATION, KV_SLICE(""));
    kv_test_ws_put_frame(&made, KV_TEST_WS_CONTINUATION, KV_SLICE("\x98"));
    kv_test_ws_put_frame(&made, KV_TEST_WS_CONTINUATION, KV_SLICE("\""));
    expect_bytes_close_with(state, kv_buffer_slice(&made.stream.out), 1007);
    kv_buffer_fini(&made.stream.out);
}

/* The scanner of JSON meets another fault first. */
static void invalid_utf8_behind_bad_json_closes_with_1007(void **state)
{
    expect_frame_closes_with(state, FINAL_TEXT, KV_SLICE("no JSON \xc3("), 1007);
    expect_frame_closes_with(state, FINAL_TEXT, KV_SLICE("{} \xff"), 1007);
    expect_frame_closes_with(state, FINAL_TEXT, KV_SLICE("{\"a\":1,}\xe2\x82"), 1007);
}

static void invalid_utf8_in_a_long_message_closes_with_1007(void **state)
{
    struct kv_test_ws ws;
    char *text = kv_test_letters('x', 1 << 20);
    text[(1 << 20) - 3] = (char)0xff;
    kv_test_ws_open(&ws, kv_test_port(state));
    kv_test_ws_put(&ws, GET);
    kv_test_ws_put(&ws, kv_slice_of(text));
    kv_test_ws_put(&ws, GET);
    kv_test_stream_flush(&ws.stream);
    kv_test_ws_expect_slice(&ws, NO_VALUE);
    kv_test_ws_expect_closed(&ws, 1007);
    kv_test_ws_close(&ws);
    free(text);
}

static void unmasked_frame_closes_with_1002(void **state)
{
    expect_bytes_close_with(state, KV_SLICE("\x81\x02{}"), 1002);
    expect_bytes_close_with(state, KV_SLICE("\x89\x00"), 1002);
}

static void reserved_bits_close_with_1002(void **state)
{
    static const uint8_t bits[] = {RESERVED_1, RESERVED_2, RESERVED_3};
    for (size_t i = 0; i < N(bits); i++) {
        expect_frame_closes_with(state, FINAL_TEXT | bits[i], KV_SLICE("{}"), 1002);
        expect_frame_closes_with(state, FINAL_PING | bits[i], KV_SLICE(""), 1002);
    }
}

static void reserved_opcodes_close_with_1002(void **state)
{
    static const uint8_t opcodes[] = {0x3, 0x7, 0xb, 0xf};
    for (size_t i = 0; i < N(opcodes); i++)
        expect_frame_closes_with(state, KV_TEST_WS_FINAL | opcodes[i], KV_SLICE("x"), 1002);
}

static void control_frame_that_is_fragmented_or_long_closes_with_1002(void **state)
{
    char *payload = kv_test_letters('p', 126);
    expect_frame_closes_with(state, KV_TEST_WS_PING, KV_SLICE("x"), 1002);
    expect_frame_closes_with(state, FINAL_PING, kv_slice_of(payload), 1002);
    expect_frame_closes_with(state, KV_TEST_WS_CLOSE, KV_SLICE("\x03\xe8"), 1002);
    free(payload);
}

static void continuation_out_of_place_closes_with_1002(void **state)
{
    expect_frame_closes_with(state, FINAL_CONTINUATION, KV_SLICE("{}"), 1002);
    struct kv_test_ws made = {.mask = 0x11223344};
    kv_test_ws_put_frame(&made, KV_TEST_WS_TEXT, KV_SLICE("{"));
    kv_test_ws_put_frame(&made, FINAL_TEXT, KV_SLICE("}"));
    expect_bytes_close_with(state, kv_buffer_slice(&made.stream.out), 1002);
    kv_buffer_fini(&made.stream.out);
}

static void length_in_a_longer_form_than_needed_closes_with_1002(void **state)
{
    expect_bytes_close_with(state, KV_SLICE("\x81\xfe\0\x02\1\2\3\4zz"), 1002);
    expect_bytes_close_with(state, KV_SLICE("\x81\xff\0\0\0\0\0\0\0\x02\1\2\3\4zz"), 1002);
}

static void length_with_the_highest_bit_closes_with_1002(void **state)
{
    expect_bytes_close_with(state, KV_SLICE("\x81\xff\x80\0\0\0\0\0\0\0\1\2\3\4"), 1002);
}

static void bad_close_frames_close_with_1002(void **state)
{
    static const struct kv_slice payloads[] = {
        KV_SLICE("\x03"),     KV_SLICE("\0\0"),     KV_SLICE("\x03\xe7"), KV_SLICE("\x03\xec"),
        KV_SLICE("\x03\xed"), KV_SLICE("\x03\xee"), KV_SLICE("\x03\xf7"), KV_SLICE("\x13\x88"),
    };
    for (size_t i = 0; i < N(payloads); i++)
        expect_frame_closes_with(state, FINAL_CLOSE, payloads[i], 1002);
}

static void close_with_a_reason_that_is_no_utf8_closes_with_1007(void **state)
{
    expect_frame_closes_with(state, FINAL_CLOSE, KV_SLICE("\x03\xe8\xff"), 1007);
}

static void close_reason_in_chunks_is_checked_whole(void **state)
{
    static const struct {
        struct kv_slice payload;
        int code;
    } closes[] = {
        {KV_SLICE("\x03\xe8 \xe2\x82\xac"), 1000},
        {KV_SLICE("\x03\xe8 \xe2\x82("), 1007},
        {KV_SLICE("\x03\xe8 \xe2\x82"), 1007},
    };
    for (size_t i = 0; i < N(closes); i++) {
        struct kv_test_ws ws, made = {.mask = 0x11223344};
        kv_test_ws_put_frame(&made, FINAL_CLOSE, closes[i].payload);
        kv_test_ws_open(&ws, kv_test_port(state));
        for (size_t at = 0; at < made.stream.out.len; at++) {
            kv_test_stream_put(&ws.stream, (struct kv_slice){made.stream.out.bytes + at, 1});
            kv_test_stream_flush(&ws.stream);
        }
        kv_test_ws_expect_closed(&ws, closes[i].code);
        kv_buffer_fini(&made.stream.out);
        kv_test_ws_close(&ws);
    }
}

static void messages_before_a_broken_frame_are_answered(void **state)
{
    struct kv_test_ws ws;
    kv_test_ws_open(&ws, kv_test_port(state));
    for (int i = 0; i < 100; i++)
        kv_test_ws_put(&ws, GET);
    kv_test_ws_send_frame(&ws, FINAL_TEXT | RESERVED_2, GET);
    for (int i = 0; i < 100; i++)
        kv_test_ws_expect_slice(&ws, NO_VALUE);
    kv_test_ws_expect_closed(&ws, 1002);
    kv_test_ws_close(&ws);
}

static void protocol_errors_of_one_connection_do_not_affect_others(void **state)
{
    struct kv_test_ws ws;
    kv_test_ws_open(&ws, kv_test_port(state));
    kv_test_ws_send_text(&ws, "{\"type\":\"subscribe\",\"payload\":{\"key\":\"alone\"}}");
    kv_test_ws_expect_nothing(&ws);
    expect_bytes_close_with(state, KV_SLICE("\xff\xff"), 1002);
    kv_test_store(kv_test_port(state), "alone", "1");
    kv_test_ws_expect(&ws, "{\"type\":\"value\",\"payload\":{\"key\":\"alone\",\"value\":1}}");
    kv_test_ws_close(&ws);
}

static void half_closed_connection_still_gets_its_answers(void **state)
{
    struct kv_test_ws ws;
    kv_test_store(kv_test_port(state), "half", "1");
    kv_test_ws_open(&ws, kv_test_port(state));
    for (int i = 0; i < 100; i++)
        kv_test_ws_put_text(&ws, "{\"type\":\"get\",\"id\":%d,\"payload\":{\"key\":\"half\"}}", i);
    kv_test_stream_flush(&ws.stream);
    shutdown(ws.stream.fd, SHUT_WR);
    for (int i = 0; i < 100; i++)
        kv_test_ws_expect(
            &ws, "{\"type\":\"value\",\"id\":%d,\"payload\":{\"key\":\"half\",\"value\":1}}", i);
    kv_test_ws_close(&ws);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(get_without_upgrade_is_426),
        cmocka_unit_test(other_version_is_426_and_names_13),
        cmocka_unit_test(malformed_key_is_400_and_ends_the_connection),
        cmocka_unit_test(missing_key_is_400),
        cmocka_unit_test(handshake_headers_are_read_in_any_letter_case_and_as_lists),
        cmocka_unit_test(query_of_the_endpoint_is_ignored),
        cmocka_unit_test(our_subprotocol_is_accepted_if_offered),
        cmocka_unit_test(extensions_and_other_subprotocols_are_not_accepted),
        cmocka_unit_test(upgrade_over_http_1_0_is_refused),
        cmocka_unit_test(messages_may_follow_the_handshake_at_once),
        cmocka_unit_test(upgrade_works_on_a_connection_that_served_requests),
        cmocka_unit_test(binary_message_is_an_error_and_the_connection_is_kept),
        cmocka_unit_test(binary_message_is_refused_by_its_first_frame),
        cmocka_unit_test(message_may_come_in_fragments),
        cmocka_unit_test(message_may_come_in_ten_thousand_fragments),
        cmocka_unit_test(frame_may_come_byte_by_byte),
        cmocka_unit_test(character_may_be_split_between_fragments),
        cmocka_unit_test(ping_is_answered_with_its_payload),
        cmocka_unit_test(ping_between_fragments_is_answered_first),
        cmocka_unit_test(unsolicited_pong_is_ignored),
        cmocka_unit_test(close_is_answered_with_its_code),
        cmocka_unit_test(messages_before_a_close_are_answered_and_those_after_ignored),
        cmocka_unit_test(invalid_utf8_closes_with_1007),
        cmocka_unit_test(invalid_utf8_in_a_later_fragment_closes_with_1007),
        cmocka_unit_test(invalid_utf8_between_fragments_and_control_frames_closes_with_1007),
        cmocka_unit_test(invalid_utf8_behind_bad_json_closes_with_1007),
        cmocka_unit_test(invalid_utf8_in_a_long_message_closes_with_1007),
        cmocka_unit_test(unmasked_frame_closes_with_1002),
        cmocka_unit_test(reserved_bits_close_with_1002),
        cmocka_unit_test(reserved_opcodes_close_with_1002),
        cmocka_unit_test(control_frame_that_is_fragmented_or_long_closes_with_1002),
        cmocka_unit_test(continuation_out_of_place_closes_with_1002),
        cmocka_unit_test(length_in_a_longer_form_than_needed_closes_with_1002),
        cmocka_unit_test(length_with_the_highest_bit_closes_with_1002),
        cmocka_unit_test(bad_close_frames_close_with_1002),
        cmocka_unit_test(close_with_a_reason_that_is_no_utf8_closes_with_1007),
        cmocka_unit_test(close_reason_in_chunks_is_checked_whole),
        cmocka_unit_test(messages_before_a_broken_frame_are_answered),
        cmocka_unit_test(half_closed_connection_still_gets_its_answers),
        cmocka_unit_test(protocol_errors_of_one_connection_do_not_affect_others),
    };
    return cmocka_run_group_tests(tests, kv_test_group_start, kv_test_group_stop);
}
