/*
 * Clients that do not read: their answers wait and are never dropped, their changes collapse to
 * each key's newest state, and others are not affected.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "fixture.h"

enum {
    NARROW = 16 * 1024, /* receive buffer of a client that pauses */
    VALUE = 64 * 1024,
    /* Far more than the kernel's buffers between the two take. */
    CHANGES = 400,
    GETS = 600,
};

static int group_start(void **state)
{
    return kv_test_group_start_with(state, "limits: {unsent_per_connection: 64KiB}\n");
}

static void open_narrow(struct kv_test_ws *ws, void **state)
{
    *ws = (struct kv_test_ws){.mask = 0x55aa55aa};
    kv_test_stream_open_narrow(&ws->stream, kv_test_port(state), NARROW);
    kv_test_ws_upgrade(ws);
}

/* A value that begins with its version: [17,"aaa…"]. */
static void set_version(struct kv_test_ws *writer, const char *key, int version)
{
    char *filler = kv_test_letters('f', VALUE);
    char id[16], quoted[32];
    kv_test_ws_send_text(
        writer, "{\"type\":\"set\",\"id\":%d,\"payload\":{\"key\":\"%s\",\"value\":[%d,\"%s\"]}}",
        version, key, version, filler);
    snprintf(id, sizeof(id), "%d", version);
    snprintf(quoted, sizeof(quoted), "\"%s\"", key);
    kv_test_ws_expect_ok(writer, id, quoted);
    free(filler);
}

/* Waits for a change of the key. Returns: its version. */
static int receive_version(struct kv_test_ws *ws, const char *key)
{
    struct kv_test_frame frame;
    struct kv_buffer start = {0};
    assert_true(kv_test_ws_receive(ws, &frame));
    assert_int_equal(frame.opcode, KV_TEST_WS_TEXT);
    kv_buffer_printf(&start, "{\"type\":\"value\",\"payload\":{\"key\":\"%s\",\"value\":[", key);
    assert_true(kv_slice_has_prefix(frame.payload, kv_buffer_slice(&start)));
    assert_true(frame.payload.len > start.len + VALUE);
    int version = atoi(frame.payload.bytes + start.len);
    kv_buffer_fini(&start);
    return version;
}

static void subscriber_that_does_not_read_gets_the_newest_state_at_last(void **state)
{
    struct kv_test_ws slow, writer;
    open_narrow(&slow, state);
    kv_test_ws_open(&writer, kv_test_port(state));
    kv_test_ws_send_text(&slow, "{\"type\":\"subscribe\",\"payload\":{\"key\":\"newest\"}}");
    kv_test_ws_expect_nothing(&slow);
    slow.stream.is_paused = true;
    for (int version = 1; version <= CHANGES; version++)
        set_version(&writer, "newest", version);
    slow.stream.is_paused = false;
    int n_told = 0;
    for (int last = 0, version = 0; last < CHANGES; last = version, n_told++) {
        version = receive_version(&slow, "newest");
        assert_true(version > last);
    }
    print_message("%d of %d states were sent\n", n_told, CHANGES);
    assert_true(n_told < CHANGES);
    kv_test_ws_expect_nothing(&slow);
    kv_test_ws_close(&writer);
    kv_test_ws_close(&slow);
}

static void newest_state_of_every_key_comes_once_the_reader_reads(void **state)
{
    enum {
        KEYS = 8
    };
    struct kv_test_ws slow, writer;
    int last[KEYS] = {0};
    open_narrow(&slow, state);
    kv_test_ws_open(&writer, kv_test_port(state));
    for (int i = 0; i < KEYS; i++)
        kv_test_ws_put_text(&slow, "{\"type\":\"subscribe\",\"payload\":{\"key\":\"each-%d\"}}", i);
    kv_test_ws_expect_nothing(&slow);
    slow.stream.is_paused = true;
    for (int version = 1; version <= CHANGES; version++) {
        char key[16];
        snprintf(key, sizeof(key), "each-%d", version % KEYS);
        set_version(&writer, key, version);
    }
    slow.stream.is_paused = false;
    for (int n_done = 0; n_done < KEYS;) {
        struct kv_test_frame frame;
        char text[64] = "";
        int key = 0, version = 0;
        assert_true(kv_test_ws_receive(&slow, &frame));
        memcpy(text, frame.payload.bytes, sizeof(text) - 1);
        int n = sscanf(text, "{\"type\":\"value\",\"payload\":{\"key\":\"each-%d\",\"value\":[%d,",
                       &key, &version);
        assert_int_equal(n, 2);
        assert_in_range(key, 0, KEYS - 1);
        assert_true(version > last[key]);
        last[key] = version;
        n_done += version > CHANGES - KEYS;
    }
    kv_test_ws_expect_nothing(&slow);
    kv_test_ws_close(&writer);
    kv_test_ws_close(&slow);
}

static void answers_are_never_dropped(void **state)
{
    struct kv_test_ws slow;
    char *value = kv_test_letters('a', VALUE);
    value[0] = '"';
    value[VALUE - 1] = '"';
    kv_test_store(kv_test_port(state), "answers", value);
    open_narrow(&slow, state);
    slow.stream.is_paused = true;
    for (int i = 0; i < GETS; i++)
        kv_test_ws_put_text(&slow, "{\"type\":\"get\",\"id\":%d,\"payload\":{\"key\":\"answers\"}}",
                            i);
    /* Until the server, over its limit, has stopped reading: nothing more can be sent for a while.
     */
    struct kv_test_stream *stream = &slow.stream;
    while (kv_test_stream_turn(&stream, 1, 300))
        continue;
    slow.stream.is_paused = false;
    for (int i = 0; i < GETS; i++)
        kv_test_ws_expect(
            &slow, "{\"type\":\"value\",\"id\":%d,\"payload\":{\"key\":\"answers\",\"value\":%s}}",
            i, value);
    kv_test_ws_expect_nothing(&slow);
    kv_test_ws_close(&slow);
    free(value);
}

static void message_may_be_larger_than_the_limit(void **state)
{
    struct kv_test_ws ws;
    char *value = kv_test_letters('m', 4 << 20);
    value[0] = '"';
    value[(4 << 20) - 1] = '"';
    kv_test_ws_open(&ws, kv_test_port(state));
    kv_test_ws_put_text(&ws, "{\"type\":\"subscribe\",\"payload\":{\"key\":\"big\"}}");
    kv_test_ws_put_text(&ws, "{\"type\":\"set\",\"payload\":{\"key\":\"big\",\"value\":%s}}",
                        value);
    kv_test_stream_flush(&ws.stream);
    kv_test_ws_expect(&ws, "{\"type\":\"value\",\"payload\":{\"key\":\"big\",\"value\":%s}}",
                      value);
    kv_test_ws_close(&ws);
    free(value);
}

static void pongs_to_a_client_that_does_not_read_do_not_accumulate(void **state)
{
    enum {
        PINGS = 400000
    };
    struct kv_test_ws slow;
    open_narrow(&slow, state);
    slow.stream.is_paused = true;
    char *payload = kv_test_letters('p', 120);
    for (int i = 0; i < PINGS; i++)
        kv_test_ws_put_frame(&slow, KV_TEST_WS_FINAL | KV_TEST_WS_PING, kv_slice_of(payload));
    struct kv_test_stream *stream = &slow.stream;
    while (stream->out_at < stream->out.len) /* the server takes all of them */
        assert_true(kv_test_stream_turn(&stream, 1, KV_TEST_LIMIT_MS));
    slow.stream.is_paused = false;
    kv_test_ws_put_frame(&slow, KV_TEST_WS_FINAL | KV_TEST_WS_PING, KV_SLICE("newest"));
    struct kv_test_frame frame;
    int n_pongs = 0;
    do {
        assert_true(kv_test_ws_receive(&slow, &frame));
        assert_int_equal(frame.opcode, KV_TEST_WS_PONG);
        n_pongs++;
    } while (!kv_slice_equals(frame.payload, KV_SLICE("newest")));
    print_message("%d pongs to %d pings\n", n_pongs, PINGS);
    assert_true(n_pongs < PINGS / 4);
    kv_test_ws_expect_nothing(&slow);
    kv_test_ws_close(&slow);
    free(payload);
}

static void reader_that_stalls_is_closed_and_others_are_served(void **state)
{
    (void)state;
    struct kv_test_server server;
    struct kv_test_ws slow = {.mask = 0x55aa55aa}, writer;
    kv_test_start(&server,
                  "limits: {unsent_per_connection: 64KiB}\ntimeouts: {stalled_reader: 500ms}\n");
    kv_test_stream_open_narrow(&slow.stream, server.port, NARROW);
    kv_test_ws_upgrade(&slow);
    kv_test_ws_open(&writer, server.port);
    kv_test_ws_send_text(&slow, "{\"type\":\"subscribe\",\"payload\":{\"key\":\"stalled\"}}");
    kv_test_ws_expect_nothing(&slow);
    slow.stream.is_paused = true;
    for (int version = 1; version <= CHANGES; version++)
        set_version(&writer, "stalled", version);
    kv_test_sleep_ms(1500);
    slow.stream.is_paused = false;
    struct kv_test_frame frame;
    bool is_closed = false;
    while (!is_closed && kv_test_ws_receive(&slow, &frame))
        is_closed = frame.opcode == KV_TEST_WS_CLOSE;
    if (is_closed) {
        assert_int_equal(kv_test_ws_close_code(&frame), 1013);
        kv_test_ws_put_frame(&slow, KV_TEST_WS_FINAL | KV_TEST_WS_CLOSE, frame.payload);
    }
    kv_test_stream_await_end(&slow.stream);
    kv_test_ws_expect_nothing(&writer);
    kv_test_ws_close(&writer);
    kv_test_ws_close(&slow);
    kv_test_server_stop_cleanly(&server);
}

static void http_client_that_does_not_read_gets_its_response_late_and_whole(void **state)
{
    enum {
        LARGE = 16 << 20
    };
    struct kv_test_stream slow;
    struct kv_test_response response = {0};
    char *value = kv_test_letters('h', LARGE);
    value[0] = '"';
    value[LARGE - 1] = '"';
    kv_test_store(kv_test_port(state), "late", value);
    kv_test_stream_open_narrow(&slow, kv_test_port(state), NARROW);
    kv_test_stream_put(&slow, KV_SLICE("GET /storage/late HTTP/1.1\r\nHost: localhost\r\n\r\n"));
    kv_test_stream_flush(&slow);
    kv_test_store(kv_test_port(state), "late", "\"replaced meanwhile\"");
    kv_test_expect_value(kv_test_port(state), "late", "\"replaced meanwhile\"");
    assert_true(kv_test_http_receive(&slow, &response));
    assert_int_equal(response.status, 200);
    kv_test_response_fini(&response);
    kv_test_stream_close(&slow);
    free(value);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(subscriber_that_does_not_read_gets_the_newest_state_at_last),
        cmocka_unit_test(newest_state_of_every_key_comes_once_the_reader_reads),
        cmocka_unit_test(answers_are_never_dropped),
        cmocka_unit_test(message_may_be_larger_than_the_limit),
        cmocka_unit_test(pongs_to_a_client_that_does_not_read_do_not_accumulate),
        cmocka_unit_test(reader_that_stalls_is_closed_and_others_are_served),
        cmocka_unit_test(http_client_that_does_not_read_gets_its_response_late_and_whole),
    };
    return cmocka_run_group_tests(tests, group_start, kv_test_group_stop);
}
