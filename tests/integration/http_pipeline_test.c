/* Pipelined requests: every one is answered, in order, by either implementation. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "fixture.h"

#define N(array) (sizeof(array) / sizeof((array)[0]))

enum {
    NARROW = 16 * 1024, /* receive buffer of a client that pauses */
    VALUE = 64 * 1024,
};

/* A distinguishable value: [17,"aaa…"], with `len` letters. */
static void append_value(struct kv_buffer *out, int number, size_t len)
{
    char *letters = kv_test_letters('a', len);
    kv_buffer_printf(out, "[%d,\"%s\"]", number, letters);
    free(letters);
}

static void append_get(struct kv_buffer *out, const char *key)
{
    kv_buffer_printf(out, "GET /storage/%s HTTP/1.1\r\nHost: localhost\r\n\r\n", key);
}

static void append_post(struct kv_buffer *out, const char *key, int number, size_t len)
{
    struct kv_buffer body = {0};
    kv_buffer_append(&body, KV_SLICE("{\"value\":"));
    append_value(&body, number, len);
    kv_buffer_append_char(&body, '}');
    kv_buffer_printf(out,
                     "POST /storage/%s HTTP/1.1\r\nHost: localhost\r\nContent-Length: %zu\r\n\r\n",
                     key, body.len);
    kv_buffer_append(out, kv_buffer_slice(&body));
    kv_buffer_fini(&body);
}

static void receive_status(struct kv_test_stream *stream, int status)
{
    struct kv_test_response response = {0};
    assert_true(kv_test_http_receive(stream, &response));
    assert_int_equal(response.status, status);
    kv_test_response_fini(&response);
}

static void receive_value(struct kv_test_stream *stream, int number, size_t len)
{
    struct kv_test_response response = {0};
    struct kv_buffer value = {0};
    append_value(&value, number, len);
    assert_true(kv_test_http_receive(stream, &response));
    assert_int_equal(response.status, 200);
    assert_true(kv_test_is_value_body(kv_buffer_slice(&response.body), kv_buffer_slice(&value)));
    assert_non_null(kv_test_response_header(&response, "etag"));
    assert_string_equal(kv_test_response_header(&response, "content-type"), "application/json");
    kv_buffer_fini(&value);
    kv_test_response_fini(&response);
}

static void send_all(struct kv_test_stream *stream, struct kv_buffer *requests)
{
    kv_test_stream_put(stream, kv_buffer_slice(requests));
    kv_test_stream_flush(stream);
    kv_buffer_fini(requests);
}

static void pipeline(void **state, const char *key, int n)
{
    struct kv_test_stream stream;
    struct kv_buffer requests = {0};
    for (int i = 0; i < n; i++) {
        append_post(&requests, key, i, 1);
        append_get(&requests, key);
    }
    kv_test_stream_open(&stream, kv_test_port(state));
    send_all(&stream, &requests);
    for (int i = 0; i < n; i++) {
        receive_status(&stream, 202);
        receive_value(&stream, i, 1);
    }
    assert_int_equal(kv_test_stream_unread(&stream).len, 0);
    kv_test_stream_close(&stream);
}

static void each_get_sees_the_write_before_it(void **state)
{
    pipeline(state, "eight", 8);
    pipeline(state, "many", 500);
}

static void every_method_has_its_place(void **state)
{
    struct kv_test_stream stream;
    struct kv_test_response response = {0};
    kv_test_stream_open(&stream, kv_test_port(state));
    kv_test_stream_put(
        &stream, KV_SLICE("PUT /storage/m HTTP/1.1\r\nHost: localhost\r\nContent-Length: 22\r\n"
                          "\r\n{\"value\":1,\"ttl\":\"1h\"}"
                          "HEAD /storage/m HTTP/1.1\r\nHost: localhost\r\n\r\n"
                          "DELETE /storage/m HTTP/1.1\r\nHost: localhost\r\n\r\n"
                          "HEAD /storage/m HTTP/1.1\r\nHost: localhost\r\n\r\n"
                          "DELETE /storage/m HTTP/1.1\r\nHost: localhost\r\n\r\n"));
    kv_test_stream_flush(&stream);
    receive_status(&stream, 202);
    assert_true(kv_test_http_receive_head(&stream, &response));
    assert_int_equal(response.status, 200);
    assert_string_equal(kv_test_response_header(&response, "content-length"), "11");
    int64_t left_ms = strtoll(kv_test_response_header(&response, "kv-ttl"), NULL, 10);
    assert_in_range(left_ms, 3000000, 3600000);
    receive_status(&stream, 200);
    assert_true(kv_test_http_receive_head(&stream, &response));
    assert_int_equal(response.status, 204);
    receive_status(&stream, 200);
    kv_test_response_fini(&response);
    kv_test_stream_close(&stream);
}

static void escaped_keys_are_decoded(void **state)
{
    struct kv_test_stream stream;
    struct kv_buffer requests = {0};
    append_post(&requests, "%C3%A4/%62?ignored", 1, 1);
    append_post(&requests, "%C3%A4%2fc", 2, 1);
    append_get(&requests, "\xc3\xa4/b");
    append_get(&requests, "\xc3\xa4/c?b=%zz");
    kv_test_stream_open(&stream, kv_test_port(state));
    send_all(&stream, &requests);
    receive_status(&stream, 202);
    receive_status(&stream, 202);
    receive_value(&stream, 1, 1);
    receive_value(&stream, 2, 1);
    kv_test_stream_close(&stream);
}

static void requests_may_be_split_anywhere(void **state)
{
    struct kv_buffer requests = {0};
    append_post(&requests, "split", 7, 1);
    append_get(&requests, "split");
    append_get(&requests, "split%2D");
    for (size_t at = 1; at < requests.len; at++) {
        struct kv_test_stream stream;
        kv_test_stream_open(&stream, kv_test_port(state));
        kv_test_stream_put(&stream, (struct kv_slice){requests.bytes, at});
        kv_test_stream_flush(&stream);
        kv_test_stream_put(&stream, (struct kv_slice){requests.bytes + at, requests.len - at});
        kv_test_stream_flush(&stream);
        receive_status(&stream, 202);
        receive_value(&stream, 7, 1);
        receive_status(&stream, 204);
        kv_test_stream_close(&stream);
    }
    kv_buffer_fini(&requests);
}

/* A request that is no simple one, and what it is answered. */
static const struct {
    const char *text;
    int status;
} others[] = {
    {"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n", 200},
    {"GET /nothing HTTP/1.1\r\nHost: localhost\r\n\r\n", 404},
    {"GET /storage/%zz HTTP/1.1\r\nHost: localhost\r\n\r\n", 400},
    {"BREW /storage/k HTTP/1.1\r\nHost: localhost\r\n\r\n", 405},
    {"OPTIONS /storage/k HTTP/1.1\r\nHost: localhost\r\n\r\n", 204},
    {"GET http://localhost/storage/none HTTP/1.1\r\nHost: localhost\r\n\r\n", 204},
    {"GET /storage/none HTTP/1.1\r\nHost: localhost\r\nUnheard-Of: yes\r\n\r\n", 204},
    {"GET /storage/none HTTP/1.1\r\nHost: localhost\r\nConnection: TE\r\nTE: trailers\r\n\r\n",
     204},
    {"GET /storage/none HTTP/1.1\r\nHost: localhost\r\nOrigin: http://localhost\r\n\r\n", 204},
    {"DELETE /storage/none HTTP/1.1\r\nHost: localhost\r\nOrigin: http://evil.example\r\n\r\n",
     403},
    {"GET /storage/none HTTP/1.1\r\nHost: localhost\r\nIf-Match: *\r\n\r\n", 412},
    {"POST /storage/other HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n\r\n{]}", 400},
    {"POST /storage/other HTTP/1.1\r\nHost: localhost\r\n\r\n", 400},
    {"POST /storage/other HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
     "b\r\n{\"value\":1}\r\n0\r\n\r\n",
     202},
    {"GET /storage/none HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", 204},
    {"GET /storage/none HTTP/1.1\nHost: localhost\n\n", 204},
    {"GET HTTP://localhost/storage/none HTTP/1.1\r\nHost: localhost\r\n\r\n", 204},
    {"OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n", 204},
    {"GET /storage/none HTTP/1.1\r\nHost: localhost \t\r\nAccept: a \r\n\r\n", 204},
    {"GET /ws HTTP/1.1\r\nHost: localhost\r\n\r\n", 426},
};

static void a_request_of_another_kind_keeps_its_place(void **state)
{
    enum {
        AROUND = 20
    };
    for (size_t i = 0; i < N(others); i++) {
        struct kv_test_stream stream;
        struct kv_buffer requests = {0};
        for (int n = 0; n < AROUND; n++) {
            append_post(&requests, "around", n, 1);
            append_get(&requests, "around");
        }
        kv_buffer_append(&requests, kv_slice_of(others[i].text));
        append_get(&requests, "around");
        append_post(&requests, "around", AROUND, 1);
        append_get(&requests, "around");
        kv_test_stream_open(&stream, kv_test_port(state));
        send_all(&stream, &requests);
        for (int n = 0; n < AROUND; n++) {
            receive_status(&stream, 202);
            receive_value(&stream, n, 1);
        }
        receive_status(&stream, others[i].status);
        receive_value(&stream, AROUND - 1, 1);
        receive_status(&stream, 202);
        receive_value(&stream, AROUND, 1);
        kv_test_stream_close(&stream);
    }
}

/* Requests that are answered at once do not overtake those that the store answers. */
static void other_resources_and_refusals_keep_their_place(void **state)
{
    static const struct {
        const char *request;
        int status;
    } cases[] = {
        {"PUT /storage/o HTTP/1.1\r\nHost: localhost\r\nContent-Length: 11\r\n\r\n{\"value\":1}",
         202},
        {"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n", 200},
        {"POST /storage/o HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n[]", 400},
        {"GET /storage/none HTTP/1.1\r\nHost: localhost\r\n\r\n", 204},
        {"GET /storage/%ff HTTP/1.1\r\nHost: localhost\r\n\r\n", 400},
        {"GET /nowhere HTTP/1.1\r\nHost: localhost\r\n\r\n", 404},
        {"DELETE /storage/o HTTP/1.1\r\nHost: localhost\r\n\r\n", 200},
        {"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n", 405},
        {"GET /storage/o HTTP/1.1\r\nHost: localhost\r\n\r\n", 204},
        {"GET /ws HTTP/1.1\r\nHost: localhost\r\n\r\n", 426},
        {"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", 200},
    };
    struct kv_test_stream stream;
    kv_test_stream_open(&stream, kv_test_port(state));
    for (int round = 0; round < 20; round++)
        for (size_t i = 0; i < N(cases); i++)
            kv_test_stream_put(&stream, kv_slice_of(cases[i].request));
    kv_test_stream_flush(&stream);
    for (int round = 0; round < 20; round++)
        for (size_t i = 0; i < N(cases); i++)
            receive_status(&stream, cases[i].status);
    assert_int_equal(kv_test_stream_unread(&stream).len, 0);
    kv_test_stream_close(&stream);
}

static void connection_may_become_a_websocket_behind_other_requests(void **state)
{
    struct kv_test_ws ws = {.mask = 0x55aa55aa};
    struct kv_buffer requests = {0};
    append_post(&requests, "before-ws", 1, 1);
    append_get(&requests, "before-ws");
    kv_test_stream_open(&ws.stream, kv_test_port(state));
    send_all(&ws.stream, &requests);
    receive_status(&ws.stream, 202);
    receive_value(&ws.stream, 1, 1);
    kv_test_ws_upgrade(&ws);
    kv_test_ws_send_text(&ws, "{\"type\":\"get\",\"payload\":{\"key\":\"before-ws\"}}");
    kv_test_ws_expect(
        &ws, "{\"type\":\"value\",\"payload\":{\"key\":\"before-ws\",\"value\":[1,\"a\"]}}");
    kv_test_ws_close(&ws);
}

static void broken_request_is_refused_behind_the_answers_before_it(void **state)
{
    struct kv_test_stream stream;
    struct kv_buffer requests = {0};
    append_post(&requests, "broken", 1, 1);
    append_get(&requests, "broken");
    kv_buffer_append(&requests, KV_SLICE("GET /storage/broken HTTP/1.1\r\nno colon\r\n\r\n"));
    append_get(&requests, "broken");
    kv_test_stream_open(&stream, kv_test_port(state));
    send_all(&stream, &requests);
    receive_status(&stream, 202);
    receive_value(&stream, 1, 1);
    receive_status(&stream, 400);
    kv_test_stream_await_end(&stream);
    assert_int_equal(kv_test_stream_unread(&stream).len, 0);
    kv_test_stream_close(&stream);
}

static void half_closed_client_gets_all_its_answers(void **state)
{
    enum {
        GETS = 100
    };
    struct kv_test_stream stream;
    struct kv_buffer requests = {0};
    append_post(&requests, "half", 1, VALUE / 8);
    for (int i = 0; i < GETS; i++)
        append_get(&requests, "half");
    kv_buffer_append(&requests, KV_SLICE("GET /storage/cut"));
    kv_test_stream_open(&stream, kv_test_port(state));
    send_all(&stream, &requests);
    assert_int_equal(shutdown(stream.fd, SHUT_WR), 0);
    receive_status(&stream, 202);
    for (int i = 0; i < GETS; i++)
        receive_value(&stream, 1, VALUE / 8);
    kv_test_stream_await_end(&stream);
    assert_int_equal(kv_test_stream_unread(&stream).len, 0);
    kv_test_stream_close(&stream);
}

static void writes_of_a_client_that_left_take_effect(void **state)
{
    enum {
        WRITES = 200
    };
    struct kv_test_stream stream;
    struct kv_test_response response = {0};
    struct kv_buffer requests = {0};
    for (int i = 1; i <= WRITES; i++)
        append_post(&requests, "gone", i, 1);
    kv_test_stream_open(&stream, kv_test_port(state));
    send_all(&stream, &requests);
    receive_status(&stream, 202);
    kv_test_stream_close(&stream);
    kv_test_stream_open(&stream, kv_test_port(state));
    assert_int_equal(kv_test_http_ask(&stream, "GET", "/storage/gone", NULL, NULL, &response), 200);
    kv_test_response_fini(&response);
    kv_test_stream_close(&stream);
}

static void client_that_does_not_read_is_throttled(void **state)
{
    enum {
        GETS = 5000, /* more than the kernel's buffers take of both, */
        FILLER = 4000,
        LONG = 8000, /* but little enough for a slow store */
    };
    struct kv_test_stream slow, *stream = &slow;
    struct kv_buffer requests = {0}, target = {0};
    char *filler = kv_test_letters('q', FILLER);
    kv_buffer_printf(&target, "flood?%s", filler);
    kv_buffer_append_char(&target, '\0');
    append_post(&requests, "flood", 1, LONG);
    kv_test_stream_open_narrow(&slow, kv_test_port(state), NARROW);
    send_all(&slow, &requests);
    receive_status(&slow, 202);
    setsockopt(slow.fd, SOL_SOCKET, SO_SNDBUF, &(int){NARROW}, sizeof(int));
    for (int i = 0; i < GETS; i++)
        append_get(&requests, target.bytes);
    slow.is_paused = true;
    kv_test_stream_put(&slow, kv_buffer_slice(&requests));
    /* Until the server, over its limit, has stopped reading: nothing moves for a while. */
    while (kv_test_stream_turn(&stream, 1, 300))
        continue;
    assert_true(slow.out_at < slow.out.len);
    slow.is_paused = false;
    for (int i = 0; i < GETS; i++)
        receive_value(&slow, 1, LONG);
    kv_test_stream_close(&slow);
    kv_buffer_fini(&requests);
    kv_buffer_fini(&target);
    free(filler);
}

static void long_values_are_sent_as_they_were_when_they_were_read(void **state)
{
    enum {
        LONG = 1 << 20,
        TIMES = 5
    };
    struct kv_test_stream slow;
    struct kv_buffer requests = {0};
    struct kv_test_stream writer;
    append_post(&requests, "long", 1, LONG);
    kv_test_stream_open(&writer, kv_test_port(state));
    send_all(&writer, &requests);
    receive_status(&writer, 202);
    kv_test_stream_open_narrow(&slow, kv_test_port(state), NARROW);
    for (int i = 0; i < TIMES; i++)
        append_get(&requests, "long");
    send_all(&slow, &requests);
    assert_true(kv_test_stream_await(&slow, 1));
    slow.is_paused = true;
    append_post(&requests, "long", 2, 1);
    append_get(&requests, "long");
    send_all(&writer, &requests);
    receive_status(&writer, 202);
    receive_value(&writer, 2, 1);
    slow.is_paused = false;
    receive_value(&slow, 1, LONG);
    for (int i = 1; i < TIMES; i++)
        receive_status(&slow, 200);
    kv_test_stream_close(&slow);
    kv_test_stream_close(&writer);
}

static void commands_in_progress_are_bounded_and_none_is_lost(void **state)
{
    (void)state;
    struct kv_test_server server;
    struct kv_test_stream stream;
    struct kv_buffer requests = {0};
    kv_test_start(&server, "limits: {pending_per_connection: 2}\n");
    for (int i = 0; i < 100; i++) {
        append_post(&requests, "bounded", i, 1);
        append_get(&requests, "bounded");
    }
    kv_test_stream_open(&stream, server.port);
    send_all(&stream, &requests);
    for (int i = 0; i < 100; i++) {
        receive_status(&stream, 202);
        receive_value(&stream, i, 1);
    }
    kv_test_stream_close(&stream);
    kv_test_server_stop_cleanly(&server);
}

static void shutdown_answers_commands_in_progress_completely_and_in_order(void **state)
{
    enum {
        GETS = 200
    };
    (void)state;
    struct kv_test_server server;
    struct kv_test_stream stream;
    struct kv_test_response response = {0};
    struct kv_buffer requests = {0}, value = {0};
    kv_test_start(&server, "");
    kv_test_stream_open_narrow(&stream, server.port, NARROW);
    append_post(&requests, "drain", 1, VALUE);
    for (int i = 0; i < GETS; i++)
        append_get(&requests, "drain");
    send_all(&stream, &requests);
    receive_status(&stream, 202);
    assert_true(kv_test_stream_await(&stream, 1));
    kv_test_server_terminate(&server);
    append_value(&value, 1, VALUE);
    int n_answers = 0;
    for (; kv_test_http_receive(&stream, &response); n_answers++)
        assert_true(
            kv_test_is_value_body(kv_buffer_slice(&response.body), kv_buffer_slice(&value)));
    assert_in_range(n_answers, 1, GETS);
    assert_int_equal(kv_test_stream_unread(&stream).len, 0);
    kv_buffer_fini(&value);
    kv_test_response_fini(&response);
    kv_test_stream_close(&stream);
    kv_test_server_stop_cleanly(&server);
}

static int group_start(void **state)
{
    return kv_test_group_start_with(
        state, "limits: {unsent_per_connection: 64KiB, pending_per_connection: 64}\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_get_sees_the_write_before_it),
        cmocka_unit_test(every_method_has_its_place),
        cmocka_unit_test(escaped_keys_are_decoded),
        cmocka_unit_test(requests_may_be_split_anywhere),
        cmocka_unit_test(a_request_of_another_kind_keeps_its_place),
        cmocka_unit_test(other_resources_and_refusals_keep_their_place),
        cmocka_unit_test(connection_may_become_a_websocket_behind_other_requests),
        cmocka_unit_test(broken_request_is_refused_behind_the_answers_before_it),
        cmocka_unit_test(half_closed_client_gets_all_its_answers),
        cmocka_unit_test(writes_of_a_client_that_left_take_effect),
        cmocka_unit_test(client_that_does_not_read_is_throttled),
        cmocka_unit_test(long_values_are_sent_as_they_were_when_they_were_read),
        cmocka_unit_test(commands_in_progress_are_bounded_and_none_is_lost),
        cmocka_unit_test(shutdown_answers_commands_in_progress_completely_and_in_order),
    };
    return cmocka_run_group_tests(tests, group_start, kv_test_group_stop);
}
