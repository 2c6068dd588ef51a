/* permessage-deflate (RFC 7692) in both directions: negotiation, the messages that are compressed,
 * and the limits of compressed messages. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "fixture.h"

#define N(array) (sizeof(array) / sizeof((array)[0]))
#define ALWAYS   "permessage-deflate; server_no_context_takeover; client_no_context_takeover"

enum {
    FINAL = KV_TEST_WS_FINAL,
    DEFLATED = KV_TEST_WS_DEFLATED,
    TEXT = KV_TEST_WS_TEXT,
    KIB = 1 << 10,
    MIB = 1 << 20,
    LIMIT = 4 * MIB, /* of a message */
};

static int start_group(void **state)
{
    return kv_test_group_start_with(state, "websocket: {deflate: true}\nlimits: {message: 4MiB}\n");
}

static void open_deflated(struct kv_test_ws *ws, uint16_t port)
{
    kv_test_ws_open_offering(ws, port, "permessage-deflate; client_max_window_bits", ALWAYS);
}

/* A message that sets `key` to an array of about that many bytes. Owns: the caller. */
static struct kv_buffer setting(const char *key, unsigned salt, size_t len)
{
    struct kv_buffer text = {0};
    kv_buffer_printf(&text, "{\"type\":\"set\",\"payload\":{\"key\":\"%s\",\"value\":[%u", key,
                     salt);
    for (unsigned i = 0; text.len < len; i++)
        kv_buffer_printf(&text, ",{\"n\":%u,\"name\":\"name %u\"}", i, (i * 7919 + salt) % 10007);
    kv_buffer_append(&text, KV_SLICE("]}}"));
    return text;
}

/* The subscriber's notification of the key. Owns: the caller. */
static struct kv_buffer told_of(const struct kv_buffer *set)
{
    struct kv_buffer text = {0};
    size_t head = strlen("{\"type\":\"set\"");
    kv_buffer_append(&text, KV_SLICE("{\"type\":\"value\""));
    kv_buffer_append(&text, (struct kv_slice){set->bytes + head, set->len - head});
    return text;
}

static struct kv_test_frame receive(struct kv_test_ws *ws, struct kv_slice expected)
{
    struct kv_test_frame frame;
    assert_true(kv_test_ws_receive(ws, &frame));
    assert_int_equal(frame.opcode, TEXT);
    assert_int_equal(frame.payload.len, expected.len);
    assert_memory_equal(frame.payload.bytes, expected.bytes, expected.len);
    return frame;
}

/* ---- negotiation ---- */

static void offers_are_answered_with_acceptable_terms(void **state)
{
    static const struct {
        const char *offer, *answer;
    } cases[] = {
        {"permessage-deflate", ALWAYS},
        {"permessage-deflate; server_max_window_bits=12; client_max_window_bits=12",
         ALWAYS "; server_max_window_bits=12"},
        {"permessage-deflate; server_max_window_bits=16", NULL},
        {"permessage-deflate; future, permessage-deflate", ALWAYS},
        {"permessage-deflate; future\r\nSec-WebSocket-Extensions: permessage-deflate", ALWAYS},
        {"permessage-bzip2", NULL},
    };
    for (size_t i = 0; i < N(cases); i++) {
        struct kv_test_ws ws;
        kv_test_ws_open_offering(&ws, kv_test_port(state), cases[i].offer, cases[i].answer);
        kv_test_ws_expect_nothing(&ws);
        kv_test_ws_close(&ws);
    }
}

static void malformed_offers_are_refused(void **state)
{
    struct kv_test_response response = {0};
    struct kv_test_stream stream;
    kv_test_stream_open(&stream, kv_test_port(state));
    assert_int_equal(kv_test_http_ask(&stream, "GET", "/ws",
                                      KV_TEST_WS_UPGRADE
                                      "Sec-WebSocket-Extensions: permessage-deflate; =1\r\n",
                                      NULL, &response),
                     400);
    kv_test_response_fini(&response);
    kv_test_stream_close(&stream);
}

static void nothing_is_negotiated_unless_it_is_configured(void **state)
{
    struct kv_test_server server;
    struct kv_test_ws ws;
    (void)state;
    kv_test_start(&server, "");
    kv_test_ws_open_offering(&ws, server.port, "permessage-deflate", NULL);
    kv_test_ws_expect_nothing(&ws);
    kv_test_ws_put_deflated(&ws, KV_SLICE("{}"));
    kv_test_ws_expect_closed(&ws, 1002);
    kv_test_ws_close(&ws);
    kv_test_server_stop_cleanly(&server);
}

static void without_an_offer_nothing_is_compressed(void **state)
{
    struct kv_buffer set = setting("plain", 1, 2000), told = told_of(&set);
    struct kv_test_ws ws;
    kv_test_ws_open(&ws, kv_test_port(state));
    kv_test_ws_put(&ws, kv_buffer_slice(&set));
    kv_test_ws_send_text(&ws, "{\"type\":\"get\",\"payload\":{\"key\":\"plain\"}}");
    assert_false(receive(&ws, kv_buffer_slice(&told)).is_deflated);
    kv_test_ws_put_deflated(&ws, KV_SLICE("{}"));
    kv_test_ws_expect_closed(&ws, 1002);
    kv_test_ws_close(&ws);
    kv_buffer_fini(&set);
    kv_buffer_fini(&told);
}

/* ---- outgoing messages ---- */

static void answers_are_compressed_from_512_bytes_on(void **state)
{
    static const size_t lens[] = {100, 600, 3000, 5000, 33000, 400000};
    struct kv_test_ws ws;
    open_deflated(&ws, kv_test_port(state));
    for (size_t i = 0; i < N(lens); i++) {
        struct kv_buffer set = setting("answer", (unsigned)i, lens[i]), told = told_of(&set);
        kv_test_ws_put(&ws, kv_buffer_slice(&set));
        kv_test_ws_send_text(&ws, "{\"type\":\"get\",\"payload\":{\"key\":\"answer\"}}");
        struct kv_test_frame frame = receive(&ws, kv_buffer_slice(&told));
        assert_int_equal(frame.is_deflated, told.len >= 512);
        assert_true(!frame.is_deflated || frame.n_sent < told.len / 2);
        kv_buffer_fini(&set);
        kv_buffer_fini(&told);
    }
    kv_test_ws_close(&ws);
}

static void messages_beyond_a_small_window_are_not_compressed(void **state)
{
    static const size_t lens[] = {700, 1500, 100000};
    struct kv_test_ws ws;
    kv_test_ws_open_offering(&ws, kv_test_port(state),
                             "permessage-deflate; server_max_window_bits=10",
                             ALWAYS "; server_max_window_bits=10");
    for (size_t i = 0; i < N(lens); i++) {
        struct kv_buffer set = setting("window", (unsigned)i, lens[i]), told = told_of(&set);
        kv_test_ws_put(&ws, kv_buffer_slice(&set));
        kv_test_ws_send_text(&ws, "{\"type\":\"get\",\"payload\":{\"key\":\"window\"}}");
        struct kv_test_frame frame = receive(&ws, kv_buffer_slice(&told));
        assert_int_equal(frame.is_deflated, told.len <= 1024);
        kv_buffer_fini(&set);
        kv_buffer_fini(&told);
    }
    kv_test_ws_close(&ws);
}

static void subscribe(struct kv_test_ws *ws, const char *prefix)
{
    kv_test_ws_send_text(ws, "{\"type\":\"subscribe\",\"payload\":{\"prefix\":\"%s\"}}", prefix);
    kv_test_ws_expect_nothing(ws);
}

/* Long ones take a worker's time, and what follows them waits. */
static void changes_arrive_in_order_on_whichever_thread_they_are_compressed(void **state)
{
    static const size_t lens[] = {100000, 100, 2000, 500000, 600, 34000, 100, 200000};
    struct kv_test_ws writer, deflated, narrow, plain;
    uint16_t port = kv_test_port(state);
    kv_test_ws_open(&writer, port);
    open_deflated(&deflated, port);
    kv_test_ws_open_offering(&narrow, port, "permessage-deflate; server_max_window_bits=12",
                             ALWAYS "; server_max_window_bits=12");
    kv_test_ws_open(&plain, port);
    struct kv_test_ws *readers[] = {&deflated, &narrow, &plain};
    for (size_t i = 0; i < N(readers); i++)
        subscribe(readers[i], "order/");
    struct kv_buffer sets[N(lens)];
    for (size_t i = 0; i < N(lens); i++) {
        char key[32];
        snprintf(key, sizeof(key), "order/%zu", i);
        sets[i] = setting(key, (unsigned)i, lens[i]);
        kv_test_ws_put(&writer, kv_buffer_slice(&sets[i]));
    }
    kv_test_stream_flush(&writer.stream);
    for (size_t i = 0; i < N(lens); i++) {
        struct kv_buffer told = told_of(&sets[i]);
        for (size_t reader = 0; reader < N(readers); reader++) {
            struct kv_test_frame frame = receive(readers[reader], kv_buffer_slice(&told));
            assert_int_equal(frame.is_deflated, reader != 2 && told.len >= 512);
        }
        kv_buffer_fini(&told);
        kv_buffer_fini(&sets[i]);
    }
    for (size_t i = 0; i < N(readers); i++) {
        kv_test_ws_expect_nothing(readers[i]);
        kv_test_ws_close(readers[i]);
    }
    kv_test_ws_close(&writer);
}

/* Its peer goes while a worker compresses what it asked for. */
static void client_that_leaves_meanwhile_is_harmless(void **state)
{
    struct kv_buffer set = setting("left", 1, 3 * MIB), told = told_of(&set);
    struct kv_test_ws stays;
    open_deflated(&stays, kv_test_port(state));
    kv_test_ws_put(&stays, kv_buffer_slice(&set));
    kv_test_ws_expect_nothing(&stays);
    for (int i = 0; i < 20; i++) {
        struct kv_test_ws leaves;
        open_deflated(&leaves, kv_test_port(state));
        kv_test_ws_put_text(&leaves, "{\"type\":\"get\",\"payload\":{\"key\":\"left\"}}");
        kv_test_stream_await_read(&leaves.stream);
        kv_test_ws_close(&leaves);
    }
    kv_test_ws_send_text(&stays, "{\"type\":\"get\",\"payload\":{\"key\":\"left\"}}");
    receive(&stays, kv_buffer_slice(&told));
    kv_test_ws_close(&stays);
    kv_buffer_fini(&set);
    kv_buffer_fini(&told);
}

/* ---- incoming messages ---- */

static void compressed_messages_are_accepted(void **state)
{
    static const size_t lens[] = {0, 600, 5000, 200000, 300000, 2 * MIB, LIMIT - 100};
    struct kv_test_ws ws;
    open_deflated(&ws, kv_test_port(state));
    for (size_t i = 0; i < N(lens); i++) {
        struct kv_buffer set = setting("taken", (unsigned)i, lens[i]), told = told_of(&set);
        kv_test_ws_put_deflated(&ws, kv_buffer_slice(&set));
        kv_test_ws_put_deflated(&ws,
                                KV_SLICE("{\"type\":\"get\",\"payload\":{\"key\":\"taken\"}}"));
        kv_test_stream_flush(&ws.stream);
        receive(&ws, kv_buffer_slice(&told));
        kv_buffer_fini(&set);
        kv_buffer_fini(&told);
    }
    kv_test_ws_close(&ws);
}

static void compressed_messages_may_come_in_fragments(void **state)
{
    struct kv_buffer set = setting("parts", 1, 5000), told = told_of(&set);
    struct kv_buffer compressed = kv_test_ws_deflate(kv_buffer_slice(&set));
    struct kv_test_ws ws;
    open_deflated(&ws, kv_test_port(state));
    for (size_t at = 0, len; at < compressed.len; at += len) {
        len = compressed.len - at < 100 ? compressed.len - at : 100;
        uint8_t first = at == 0 ? DEFLATED | TEXT : 0;
        if (at + len == compressed.len)
            first |= FINAL;
        kv_test_ws_send_frame(&ws, first, (struct kv_slice){compressed.bytes + at, len});
        kv_test_ws_send_frame(&ws, FINAL | KV_TEST_WS_PING, KV_SLICE("between"));
        kv_test_ws_expect_frame(&ws, KV_TEST_WS_PONG, KV_SLICE("between"));
    }
    kv_test_ws_send_text(&ws, "{\"type\":\"get\",\"payload\":{\"key\":\"parts\"}}");
    receive(&ws, kv_buffer_slice(&told));
    kv_test_ws_close(&ws);
    kv_buffer_fini(&set);
    kv_buffer_fini(&told);
    kv_buffer_fini(&compressed);
}

static void expect_closed_for(void **state, int code, uint8_t first_byte, struct kv_slice payload)
{
    struct kv_test_ws ws;
    open_deflated(&ws, kv_test_port(state));
    kv_test_ws_send_frame(&ws, first_byte, payload);
    kv_test_ws_expect_closed(&ws, code);
    kv_test_ws_close(&ws);
}

static void invalid_compressed_data_closes_with_1007(void **state)
{
    struct kv_buffer no_utf8 = kv_test_ws_deflate(KV_SLICE("{\"type\":\"\xff\"}"));
    struct kv_buffer cut = kv_test_ws_deflate(KV_SLICE("{\"type\":\"get\"}"));
    cut.len -= 2;
    expect_closed_for(state, 1007, FINAL | DEFLATED | TEXT, KV_SLICE("{\"type\":\"get\"}"));
    expect_closed_for(state, 1007, FINAL | DEFLATED | TEXT, kv_buffer_slice(&no_utf8));
    expect_closed_for(state, 1007, FINAL | DEFLATED | TEXT, kv_buffer_slice(&cut));
    char *noise = kv_test_letters('\xff', 100000); /* too long for the loop */
    expect_closed_for(state, 1007, FINAL | DEFLATED | TEXT, (struct kv_slice){noise, 100000});
    free(noise);
    kv_buffer_fini(&no_utf8);
    kv_buffer_fini(&cut);
}

static void reserved_bits_elsewhere_are_1002(void **state)
{
    expect_closed_for(state, 1002, FINAL | DEFLATED | KV_TEST_WS_PING, KV_SLICE(""));
    expect_closed_for(state, 1002, FINAL | DEFLATED | KV_TEST_WS_CLOSE, KV_SLICE(""));
    expect_closed_for(state, 1002, FINAL | DEFLATED, KV_SLICE("x"));
    expect_closed_for(state, 1002, FINAL | DEFLATED | 0x20 | TEXT, KV_SLICE("x"));
    struct kv_test_ws ws;
    open_deflated(&ws, kv_test_port(state));
    kv_test_ws_put_frame(&ws, DEFLATED | TEXT, KV_SLICE("\xf2\x48"));
    kv_test_ws_send_frame(&ws, FINAL | DEFLATED, KV_SLICE("\xcd\xc9\xc9\x07"));
    kv_test_ws_expect_closed(&ws, 1002);
    kv_test_ws_close(&ws);
}

static void compressed_binary_messages_are_refused_uninflated(void **state)
{
    struct kv_test_ws ws;
    open_deflated(&ws, kv_test_port(state));
    kv_test_ws_send_frame(&ws, FINAL | DEFLATED | KV_TEST_WS_BINARY, KV_SLICE("no such thing"));
    kv_test_ws_expect_error(&ws, NULL);
    kv_test_ws_expect_nothing(&ws);
    kv_test_ws_close(&ws);
}

/* So many blanks, compressed to a thousandth. Owns: the caller. */
static struct kv_buffer blanks(size_t len)
{
    char *text = kv_test_letters(' ', len);
    struct kv_buffer compressed = kv_test_ws_deflate((struct kv_slice){text, len});
    free(text);
    return compressed;
}

static void the_inflated_length_counts(void **state)
{
    struct kv_buffer most = blanks(LIMIT), more = blanks(LIMIT + 1);
    struct kv_test_ws ws;
    open_deflated(&ws, kv_test_port(state));
    kv_test_ws_send_frame(&ws, FINAL | DEFLATED | TEXT, kv_buffer_slice(&most));
    kv_test_ws_expect_error(&ws, NULL); /* it is no JSON */
    kv_test_ws_close(&ws);
    expect_closed_for(state, 1009, FINAL | DEFLATED | TEXT, kv_buffer_slice(&more));
    kv_buffer_fini(&most);
    kv_buffer_fini(&more);
}

static void expect_inflated(const struct kv_test_server *server, size_t bytes)
{
    struct kv_test_stream stream;
    struct kv_test_response response = {0};
    char line[128];
    snprintf(line, sizeof(line),
             "\nkvserver_websocket_compression_bytes_total{direction=\"in\",form=\"plain\"} %zu\n",
             bytes);
    kv_test_stream_open(&stream, server->port);
    assert_int_equal(kv_test_http_ask(&stream, "GET", "/metrics", NULL, NULL, &response), 200);
    kv_buffer_append_char(&response.body, '\0');
    kv_test_expect_part(response.body.bytes, line);
    kv_test_response_fini(&response);
    kv_test_stream_close(&stream);
}

/* Not more than one byte beyond the limit is inflated, and memory for no more than that is taken.
 */
static void expect_refused_at(const char *limits, size_t limit, size_t len)
{
    struct kv_test_server server;
    struct kv_test_ws ws;
    struct kv_buffer bomb = blanks(len);
    char yaml[256];
    snprintf(yaml, sizeof(yaml), "websocket: {deflate: true}\n%s", limits);
    kv_test_start(&server, yaml);
    size_t before = kv_test_program_resident(&server.program);
    open_deflated(&ws, server.port);
    kv_test_ws_send_frame(&ws, FINAL | DEFLATED | TEXT, kv_buffer_slice(&bomb));
    kv_test_ws_expect_closed(&ws, 1009);
    kv_test_ws_close(&ws);
    expect_inflated(&server, limit + 1);
    if (KV_TEST_SHARE == 1)
        assert_true(kv_test_program_peak(&server.program) < before + limit + 8 * MIB);
    kv_test_server_stop_cleanly(&server);
    kv_buffer_fini(&bomb);
}

static void a_bomb_is_refused_at_the_limit(void **state)
{
    (void)state;
    expect_refused_at("limits: {message: 64KiB, value: 64KiB}\n", 64 * KIB, 16 * MIB);
    expect_refused_at("limits: {message: 1MiB, value: 1MiB}\n", MIB, 64 * MIB);
}

/* If there is the memory for it. */
static void a_bomb_is_refused_at_the_default_limit(void **state)
{
    (void)state;
    expect_refused_at("limits: {memory: 2GiB}\n", 257 * MIB, 300 * MIB);
}

static void memory_for_inflated_texts_is_bounded(void **state)
{
    struct kv_test_server server;
    struct kv_buffer long_text = blanks(80 * MIB);
    (void)state;
    kv_test_start(&server, "websocket: {deflate: true}\nlimits: {memory: 16MiB}\n");
    size_t before = kv_test_program_resident(&server.program);
    struct kv_test_ws ws;
    open_deflated(&ws, server.port);
    kv_test_ws_send_frame(&ws, FINAL | DEFLATED | TEXT, kv_buffer_slice(&long_text));
    kv_test_ws_expect_closed(&ws, 1013);
    kv_test_ws_close(&ws);
    if (KV_TEST_SHARE == 1)
        assert_true(kv_test_program_peak(&server.program) < before + 32 * MIB);
    kv_test_server_stop_cleanly(&server);
    kv_buffer_fini(&long_text);
}

/* Or the end of the connection. */
static void await_answers(struct kv_test_ws *ws, int n)
{
    struct kv_test_frame frame;
    while (n-- > 0 && kv_test_ws_receive(ws, &frame) && frame.opcode == TEXT) {
    }
}

/* A few hundred bytes each, which ask for much. The crowd may be refused; others may not. */
static void writer_is_served_beside_a_crowd_of_small_bombs(void **state)
{
    enum {
        CROWD = 100,
        SENT = 10, /* by each */
        WRITES = 20,
    };
    struct kv_test_ws crowd[CROWD];
    struct kv_test_server server;
    struct kv_test_response response = {0};
    struct kv_buffer bomb = blanks(900 * KIB), body = {0};
    char *value = kv_test_letters('v', 200 * KIB);
    (void)state;
    kv_buffer_printf(&body, "{\"value\":\"%s\"}", value);
    kv_buffer_append_char(&body, '\0');
    kv_test_start(&server, "websocket: {deflate: true}\n"
                           "limits: {memory: 64MiB, message: 4MiB, value: 3MiB}\n");
    for (int i = 0; i < CROWD; i++)
        open_deflated(&crowd[i], server.port);
    for (int i = 0; i < CROWD; i++) {
        for (int k = 0; k < SENT; k++)
            kv_test_ws_put_frame(&crowd[i], FINAL | DEFLATED | TEXT, kv_buffer_slice(&bomb));
        kv_test_stream_flush(&crowd[i].stream);
    }
    for (int i = 0; i < WRITES; i++) {
        struct kv_test_stream stream;
        kv_test_stream_open(&stream, server.port);
        assert_int_equal(
            kv_test_http_ask(&stream, "PUT", "/storage/v", NULL, body.bytes, &response), 202);
        kv_test_stream_close(&stream);
    }
    for (int i = 0; i < CROWD; i++) {
        await_answers(&crowd[i], SENT);
        kv_test_ws_close(&crowd[i]);
    }
    kv_test_server_stop_cleanly(&server);
    kv_test_response_fini(&response);
    kv_buffer_fini(&bomb);
    kv_buffer_fini(&body);
    free(value);
}

static void the_limit_before_a_token_is_of_the_inflated_length(void **state)
{
    struct kv_test_server server;
    struct kv_buffer most = blanks(16 * KIB), more = blanks(16 * KIB + 1);
    struct kv_test_ws ws;
    (void)state;
    kv_test_start(&server, "websocket: {deflate: true}\naccess: {}\n");
    open_deflated(&ws, server.port);
    kv_test_ws_send_frame(&ws, FINAL | DEFLATED | TEXT, kv_buffer_slice(&most));
    kv_test_ws_expect_error(&ws, NULL);
    kv_test_ws_send_frame(&ws, FINAL | DEFLATED | TEXT, kv_buffer_slice(&more));
    kv_test_ws_expect_closed(&ws, 1009);
    kv_test_ws_close(&ws);
    kv_test_server_stop_cleanly(&server);
    kv_buffer_fini(&most);
    kv_buffer_fini(&more);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(offers_are_answered_with_acceptable_terms),
        cmocka_unit_test(malformed_offers_are_refused),
        cmocka_unit_test(nothing_is_negotiated_unless_it_is_configured),
        cmocka_unit_test(without_an_offer_nothing_is_compressed),
        cmocka_unit_test(answers_are_compressed_from_512_bytes_on),
        cmocka_unit_test(messages_beyond_a_small_window_are_not_compressed),
        cmocka_unit_test(changes_arrive_in_order_on_whichever_thread_they_are_compressed),
        cmocka_unit_test(client_that_leaves_meanwhile_is_harmless),
        cmocka_unit_test(compressed_messages_are_accepted),
        cmocka_unit_test(compressed_messages_may_come_in_fragments),
        cmocka_unit_test(invalid_compressed_data_closes_with_1007),
        cmocka_unit_test(reserved_bits_elsewhere_are_1002),
        cmocka_unit_test(compressed_binary_messages_are_refused_uninflated),
        cmocka_unit_test(the_inflated_length_counts),
        cmocka_unit_test(a_bomb_is_refused_at_the_limit),
        cmocka_unit_test(a_bomb_is_refused_at_the_default_limit),
        cmocka_unit_test(memory_for_inflated_texts_is_bounded),
        cmocka_unit_test(writer_is_served_beside_a_crowd_of_small_bombs),
        cmocka_unit_test(the_limit_before_a_token_is_of_the_inflated_length),
    };
    return cmocka_run_group_tests(tests, start_group, kv_test_group_stop);
}
