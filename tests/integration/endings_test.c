/*
 * Writes in progress when a durable store's server is stopped: each is answered, or the client sees
 * its connection closed; writes that took effect were answered, unless the server had to cut them
 * off.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "fixture.h"
#include "support/durable/store.h"

enum {
    WRITERS = 4, /* of each protocol */
    WRITES = 2000 / (KV_TEST_SHARE == 1 ? 1 : 4),
    CUT_OFF_MS = 15000, /* after 0.3 s of draining, on a busy machine */
};

struct writers {
    struct kv_test_ws sockets[WRITERS];
    struct kv_test_stream streams[WRITERS];
    int n_by_socket[WRITERS]; /* writes that were answered */
    int n_by_stream[WRITERS];
};

static void start(struct kv_test_store *store, const char *more)
{
    struct kv_buffer yaml = {0};
    char *usual = kv_test_store_yaml(store, "");
    kv_buffer_printf(&yaml, "%s%s", usual, more);
    kv_buffer_append_char(&yaml, '\0');
    kv_test_server_start(&store->server, yaml.bytes);
    kv_buffer_fini(&yaml);
    free(usual);
}

/* All writes are queued; each key is written once. */
static void open_writers(struct writers *writers, uint16_t port)
{
    char path[48];
    *writers = (struct writers){0};
    for (int i = 0; i < WRITERS; i++) {
        kv_test_ws_open(&writers->sockets[i], port);
        kv_test_stream_open(&writers->streams[i], port);
        for (int k = 0; k < WRITES; k++) {
            kv_test_ws_put_text(
                &writers->sockets[i],
                "{\"type\":\"set\",\"id\":%d,\"payload\":{\"key\":\"ws%d-%04d\",\"value\":%d}}", k,
                i, k, k);
            snprintf(path, sizeof(path), "/storage/http%d-%04d", i, k);
            kv_test_http_write(&writers->streams[i].out, "POST", kv_slice_of(path), NULL,
                               KV_SLICE("{\"value\":1}"));
        }
    }
}

static void close_writers(struct writers *writers)
{
    for (int i = 0; i < WRITERS; i++) {
        kv_test_ws_close(&writers->sockets[i]);
        kv_test_stream_close(&writers->streams[i]);
    }
}

static void turn(struct writers *writers, int64_t limit_ms)
{
    struct kv_test_stream *streams[2 * WRITERS];
    size_t n = 0;
    for (int i = 0; i < WRITERS; i++) {
        if (!writers->sockets[i].stream.is_ended)
            streams[n++] = &writers->sockets[i].stream;
        if (!writers->streams[i].is_ended)
            streams[n++] = &writers->streams[i];
    }
    if (n != 0 && !kv_test_stream_turn(streams, n, limit_ms))
        fail_msg("a connection neither moves nor ends");
}

static bool have_ended(const struct writers *writers)
{
    for (int i = 0; i < WRITERS; i++)
        if (!writers->sockets[i].stream.is_ended || !writers->streams[i].is_ended)
            return false;
    return true;
}

/* Everyone has been answered something: all are in the middle of it. */
static void await_first_answers(struct writers *writers)
{
    bool is_answered = false;
    while (!is_answered) {
        turn(writers, KV_TEST_LIMIT_MS);
        is_answered = true;
        for (int i = 0; i < WRITERS; i++)
            is_answered &= kv_test_stream_unread(&writers->sockets[i].stream).len != 0 &&
                           kv_test_stream_unread(&writers->streams[i]).len != 0;
    }
}

/* Returns: the code of the close at the end; 0: there was none. */
static int read_oks(struct kv_test_ws *ws, int writer, int *ret_n)
{
    struct kv_test_frame frame;
    char id[16], key[24];
    for (*ret_n = 0; kv_test_ws_take(ws, &frame) && frame.opcode == KV_TEST_WS_TEXT; (*ret_n)++) {
        uint64_t revision;
        snprintf(id, sizeof(id), "%d", *ret_n);
        snprintf(key, sizeof(key), "\"ws%d-%04d\"", writer, *ret_n);
        assert_true(kv_test_ws_is_ok(frame.payload, id, key, &revision));
    }
    return frame.opcode == KV_TEST_WS_CLOSE ? kv_test_ws_close_code(&frame) : 0;
}

static int count_responses(struct kv_test_stream *stream)
{
    struct kv_test_response response = {0};
    int n = 0;
    for (; kv_test_http_receive(stream, &response); n++)
        assert_int_equal(response.status, 202);
    kv_test_response_fini(&response);
    return n;
}

/* Reads all answers up to the end of each connection. */
static void read_answers(struct writers *writers, int close_code)
{
    for (int i = 0; i < WRITERS; i++) {
        int code = read_oks(&writers->sockets[i], i, &writers->n_by_socket[i]);
        writers->n_by_stream[i] = count_responses(&writers->streams[i]);
        if (close_code != 0)
            assert_int_equal(code, close_code);
        assert_true(writers->n_by_socket[i] > 0 && writers->n_by_stream[i] > 0);
    }
}

/* Returns: how many keys there are that begin so. */
static int count_keys(uint16_t port, const char *prefix)
{
    struct kv_test_stream stream;
    struct kv_test_response response = {0};
    char path[64], part[16];
    int n = 0;
    snprintf(path, sizeof(path), "/storage?prefix=%s&limit=10000", prefix);
    snprintf(part, sizeof(part), "\"%s", prefix);
    kv_test_stream_open(&stream, port);
    assert_int_equal(kv_test_http_ask(&stream, "GET", path, NULL, NULL, &response), 200);
    kv_buffer_append_char(&response.body, '\0');
    for (const char *at = response.body.bytes; (at = strstr(at, part)) != NULL; at += strlen(part))
        n++;
    kv_test_response_fini(&response);
    kv_test_stream_close(&stream);
    return n;
}

/* Writes take effect in the order in which they are sent, so their number says which they are. */
static void expect_kept(const struct writers *writers, uint16_t port, bool is_all)
{
    char prefix[16];
    for (int i = 0; i < WRITERS; i++) {
        snprintf(prefix, sizeof(prefix), "ws%d-", i);
        assert_in_range(count_keys(port, prefix), writers->n_by_socket[i],
                        is_all ? writers->n_by_socket[i] : WRITES);
        snprintf(prefix, sizeof(prefix), "http%d-", i);
        assert_in_range(count_keys(port, prefix), writers->n_by_stream[i],
                        is_all ? writers->n_by_stream[i] : WRITES);
    }
}

/* The disk is slow for the writes in progress. */
static void every_write_that_takes_effect_is_answered(void **state)
{
    struct kv_test_store store;
    struct writers writers;
    (void)state;
    kv_test_store_make(&store);
    start(&store, "");
    open_writers(&writers, store.server.port);
    await_first_answers(&writers);
    kv_test_store_set(&store, "stuck", true);
    kv_test_server_terminate(&store.server);
    kv_test_await_log(&store.server, "received SIGTERM, shutting down");
    kv_test_store_set(&store, "stuck", false);
    while (!have_ended(&writers))
        turn(&writers, KV_TEST_LIMIT_MS);
    read_answers(&writers, 1001);
    kv_test_server_stop_cleanly(&store.server);
    close_writers(&writers);
    kv_test_store_start(&store, "");
    expect_kept(&writers, store.server.port, true);
    kv_test_server_stop_cleanly(&store.server);
    kv_test_store_remove(&store);
}

/* That is not answered as long as the disk is stuck, however fast those before it were. */
static void write_in_vain(struct kv_test_stream *stream, uint16_t port)
{
    kv_test_stream_open(stream, port);
    kv_test_http_write(&stream->out, "POST", KV_SLICE("/storage/in-vain"), NULL,
                       KV_SLICE("{\"value\":1}"));
    kv_test_stream_await_read(stream);
}

static void writes_delayed_by_a_disk_are_cut_off_in_time(void **state)
{
    struct kv_test_store store;
    struct writers writers;
    struct kv_test_stream in_vain;
    (void)state;
    kv_test_store_make(&store);
    start(&store, "timeouts: {drain: 300ms}\n");
    open_writers(&writers, store.server.port);
    await_first_answers(&writers);
    kv_test_store_set(&store, "stuck", true);
    write_in_vain(&in_vain, store.server.port);
    int64_t began_ms = kv_test_now_ms();
    kv_test_server_terminate(&store.server);
    while (!have_ended(&writers))
        turn(&writers, KV_TEST_LIMIT_MS);
    assert_in_range(kv_test_now_ms() - began_ms, 0, CUT_OFF_MS);
    read_answers(&writers, 0);
    kv_test_stream_await_end(&in_vain);
    assert_int_equal(kv_test_stream_unread(&in_vain).len, 0);
    kv_test_stream_close(&in_vain);
    assert_int_equal(kv_test_program_wait(&store.server.program, KV_TEST_LIMIT_MS), 1);
    kv_test_await_log(&store.server, "giving up without closing the store; unfinished: ");
    kv_test_program_remove(&store.server.program);
    kv_test_store_set(&store, "stuck", false);
    close_writers(&writers);
    kv_test_store_start(&store, "");
    expect_kept(&writers, store.server.port, false);
    kv_test_server_stop_cleanly(&store.server);
    kv_test_store_remove(&store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_write_that_takes_effect_is_answered),
        cmocka_unit_test(writes_delayed_by_a_disk_are_cut_off_in_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
