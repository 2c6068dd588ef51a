/* Everything that a client can enlarge has a limit: at the limit it works, beyond it is refused. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "fixture.h"

enum {
    MAX_KEY = 64,
    MAX_VALUE = 1000,
    MAX_MESSAGE = 2000,
    MAX_CONNECTIONS = 6,
    MAX_SUBSCRIPTIONS = 3,
};

static const char small_limits[] =
    "limits: {key: 64, value: 1000, message: 2000, depth: 8, subscriptions_per_connection: 3}\n";

static int group_start(void **state)
{
    return kv_test_group_start_with(state, small_limits);
}

/* A JSON string of that many bytes, its quotes included. Owns: the caller, by free(). */
static char *json_string(size_t len)
{
    char *text = kv_test_letters('v', len);
    text[0] = '"';
    text[len - 1] = '"';
    return text;
}

static int post_value(uint16_t port, const char *path, const char *value)
{
    struct kv_buffer body = {0};
    kv_buffer_printf(&body, "{\"value\":%s}", value);
    kv_buffer_append_char(&body, '\0');
    int status = kv_test_http_status(port, "POST", path, NULL, body.bytes);
    kv_buffer_fini(&body);
    return status;
}

static void value_at_the_limit_is_stored_and_a_longer_one_is_413(void **state)
{
    char *most = json_string(MAX_VALUE), *more = json_string(MAX_VALUE + 1);
    char *far_more = json_string(10000);
    assert_int_equal(post_value(kv_test_port(state), "/storage/value", most), 202);
    assert_int_equal(post_value(kv_test_port(state), "/storage/value", more), 413);
    assert_int_equal(post_value(kv_test_port(state), "/storage/value", far_more), 413);
    kv_test_expect_value(kv_test_port(state), "value", most);
    free(most);
    free(more);
    free(far_more);
}

static void chunked_body_beyond_the_limit_is_413(void **state)
{
    struct kv_test_stream stream;
    struct kv_test_response response = {0};
    char *value = json_string(10000);
    struct kv_buffer request = {0};
    kv_buffer_printf(&request,
                     "POST /storage/chunked HTTP/1.1\r\nHost: localhost\r\n"
                     "Transfer-Encoding: chunked\r\n\r\n271a\r\n{\"value\":%s}\r\n0\r\n\r\n",
                     value);
    kv_test_stream_open(&stream, kv_test_port(state));
    kv_test_stream_put(&stream, kv_buffer_slice(&request));
    kv_test_stream_flush(&stream);
    assert_true(kv_test_http_receive(&stream, &response));
    assert_int_equal(response.status, 413);
    kv_test_stream_close(&stream);
    kv_test_expect_missing(kv_test_port(state), "chunked");
    free(value);
    kv_buffer_fini(&request);
    kv_test_response_fini(&response);
}

static void value_beyond_the_limit_is_an_error_over_websocket(void **state)
{
    struct kv_test_ws ws;
    char *most = json_string(MAX_VALUE), *more = json_string(MAX_VALUE + 1);
    kv_test_ws_open(&ws, kv_test_port(state));
    kv_test_ws_put_text(&ws, "{\"type\":\"set\",\"payload\":{\"key\":\"v\",\"value\":%s}}", most);
    kv_test_ws_put_text(&ws, "{\"type\":\"set\",\"payload\":{\"key\":\"v\",\"value\":%s}}", more);
    kv_test_ws_send_text(&ws, "{\"type\":\"get\",\"payload\":{\"key\":\"v\"}}");
    kv_test_ws_expect_error(&ws, NULL);
    kv_test_ws_expect(&ws, "{\"type\":\"value\",\"payload\":{\"key\":\"v\",\"value\":%s}}", most);
    kv_test_ws_close(&ws);
    free(most);
    free(more);
}

static void key_at_the_limit_is_served_and_a_longer_one_is_414(void **state)
{
    static const char *const methods[] = {"GET", "POST", "DELETE"};
    char *key = kv_test_letters('k', MAX_KEY + 1);
    char path[100];
    snprintf(path, sizeof(path), "/storage/%.*s", MAX_KEY, key);
    assert_int_equal(post_value(kv_test_port(state), path, "1"), 202);
    snprintf(path, sizeof(path), "/storage/%s", key);
    for (int i = 0; i < 3; i++) {
        const char *body = i == 1 ? "{\"value\":1}" : NULL;
        assert_int_equal(kv_test_http_status(kv_test_port(state), methods[i], path, NULL, body),
                         414);
    }
    free(key);
}

static void length_of_a_key_counts_after_decoding(void **state)
{
    struct kv_buffer path = {0};
    kv_buffer_printf(&path, "/storage/");
    for (int i = 0; i < MAX_KEY; i++)
        kv_buffer_printf(&path, "%%6b");
    kv_buffer_append_char(&path, '\0');
    assert_int_equal(post_value(kv_test_port(state), path.bytes, "\"decoded\""), 202);
    kv_buffer_fini(&path);
}

static void key_beyond_the_limit_is_an_error_over_websocket(void **state)
{
    static const char *const types[] = {"get", "set", "delete", "subscribe"};
    struct kv_test_ws ws;
    char *key = kv_test_letters('k', MAX_KEY + 1);
    kv_test_ws_open(&ws, kv_test_port(state));
    for (int i = 0; i < 4; i++) {
        kv_test_ws_send_text(&ws, "{\"type\":\"%s\",\"payload\":{\"key\":\"%s\",\"value\":1}}",
                             types[i], key);
        kv_test_ws_expect_error(&ws, NULL);
    }
    kv_test_ws_send_text(
        &ws, "{\"type\":\"set\",\"id\":1,\"payload\":{\"key\":\"%s\",\"value\":1}}", key + 1);
    struct kv_buffer quoted = {0};
    kv_buffer_printf(&quoted, "\"%s\"", key + 1);
    kv_buffer_append_char(&quoted, '\0');
    kv_test_ws_expect_ok(&ws, "1", quoted.bytes);
    kv_buffer_fini(&quoted);
    kv_test_ws_close(&ws);
    free(key);
}

static void nesting_beyond_the_limit_is_refused_by_both_protocols(void **state)
{
    struct kv_test_ws ws;
    assert_int_equal(post_value(kv_test_port(state), "/storage/deep", "[[[[1]]]]"), 202);
    assert_int_equal(post_value(kv_test_port(state), "/storage/deep", "[[[[[[[[[2]]]]]]]]]"), 400);
    kv_test_ws_open(&ws, kv_test_port(state));
    kv_test_ws_send_text(&ws, "{\"type\":\"set\",\"payload\":{\"key\":\"deep\","
                              "\"value\":[[[[[[[[[3]]]]]]]]]}}");
    kv_test_ws_expect_error(&ws, NULL);
    kv_test_ws_close(&ws);
    kv_test_expect_value(kv_test_port(state), "deep", "[[[[1]]]]");
}

/* A get that is padded to that many bytes. Owns: the caller, by free(). */
static char *padded_get(size_t len)
{
    static const char get[] = "{\"type\":\"get\",\"payload\":{\"key\":\"pad\"}}";
    char *message = kv_test_letters(' ', len);
    memcpy(message, get, sizeof(get) - 1);
    return message;
}

static void message_at_the_limit_is_answered(void **state)
{
    struct kv_test_ws ws;
    char *message = padded_get(MAX_MESSAGE);
    kv_test_ws_open(&ws, kv_test_port(state));
    kv_test_ws_send(&ws, kv_slice_of(message));
    kv_test_ws_expect(&ws, "{\"type\":\"no-value\",\"payload\":{\"key\":\"pad\"}}");
    kv_test_ws_close(&ws);
    free(message);
}

static void message_beyond_the_limit_closes_with_1009(void **state)
{
    struct kv_test_ws ws;
    char *message = padded_get(MAX_MESSAGE + 1);
    kv_test_ws_open(&ws, kv_test_port(state));
    kv_test_ws_send(&ws, kv_slice_of(message));
    kv_test_ws_expect_closed(&ws, 1009);
    kv_test_ws_close(&ws);
    free(message);
}

static void fragments_beyond_the_limit_together_close_with_1009(void **state)
{
    struct kv_test_ws ws;
    char *part = kv_test_letters(' ', MAX_MESSAGE / 4);
    kv_test_ws_open(&ws, kv_test_port(state));
    kv_test_ws_put_frame(&ws, KV_TEST_WS_TEXT, kv_slice_of(part));
    for (int i = 0; i < 4; i++)
        kv_test_ws_put_frame(&ws, KV_TEST_WS_CONTINUATION, kv_slice_of(part));
    kv_test_stream_flush(&ws.stream);
    kv_test_ws_expect_closed(&ws, 1009);
    kv_test_ws_close(&ws);
    free(part);
}

static void announced_length_beyond_the_limit_closes_before_the_bytes_arrive(void **state)
{
    struct kv_test_ws ws;
    kv_test_ws_open(&ws, kv_test_port(state));
    kv_test_stream_put(&ws.stream, KV_SLICE("\x81\xff\0\0\0\1\0\0\0\0\1\2\3\4{"));
    kv_test_stream_flush(&ws.stream);
    kv_test_ws_expect_closed(&ws, 1009);
    kv_test_ws_close(&ws);
}

static void subscription_beyond_the_limit_is_an_error(void **state)
{
    struct kv_test_ws ws;
    kv_test_ws_open(&ws, kv_test_port(state));
    for (int round = 0; round < 2; round++)
        for (int i = 0; i < MAX_SUBSCRIPTIONS; i++)
            kv_test_ws_put_text(&ws, "{\"type\":\"subscribe\",\"payload\":{\"key\":\"s%d\"}}", i);
    kv_test_ws_expect_nothing(&ws);
    kv_test_ws_send_text(&ws, "{\"type\":\"subscribe\",\"id\":1,\"payload\":{\"key\":\"s3\"}}");
    kv_test_ws_expect_error(&ws, "1");
    kv_test_ws_send_text(&ws, "{\"type\":\"unsubscribe\",\"payload\":{\"key\":\"s0\"}}");
    kv_test_ws_send_text(&ws, "{\"type\":\"subscribe\",\"id\":2,\"payload\":{\"key\":\"s3\"}}");
    kv_test_ws_expect_ok(&ws, "2", "\"s3\"");
    kv_test_ws_close(&ws);
}

/* Opens a connection that is served; ends of earlier ones may take the server a moment to see. */
static void open_counted(struct kv_test_stream *stream, uint16_t port)
{
    int64_t deadline_ms = kv_test_now_ms() + KV_TEST_LIMIT_MS;
    struct kv_test_response response = {0};
    kv_test_stream_open(stream, port);
    while (kv_test_http_ask(stream, "GET", "/healthz", NULL, NULL, &response) == 503) {
        assert_true(kv_test_now_ms() < deadline_ms);
        kv_test_stream_close(stream);
        kv_test_stream_open(stream, port);
    }
    assert_int_equal(response.status, 200);
    kv_test_response_fini(&response);
}

/* Connects as another machine would, from another address of the loopback network. */
static void open_from(struct kv_test_stream *stream, uint16_t port, const char *address)
{
    struct sockaddr_in from = {.sin_family = AF_INET};
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
    *stream = (struct kv_test_stream){.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    inet_pton(AF_INET, address, &from.sin_addr);
    inet_pton(AF_INET, "127.0.0.1", &to.sin_addr);
    assert_int_equal(bind(stream->fd, (const struct sockaddr *)&from, sizeof(from)), 0);
    assert_int_equal(connect(stream->fd, (const struct sockaddr *)&to, sizeof(to)), 0);
    assert_int_equal(fcntl(stream->fd, F_SETFL, O_NONBLOCK), 0);
}

static void connection_beyond_the_limit_is_503_and_room_comes_back(void **state)
{
    (void)state;
    struct kv_test_server server;
    struct kv_test_stream streams[MAX_CONNECTIONS], over;
    struct kv_test_response response = {0};
    kv_test_start(&server, "limits: {connections: 6}\n");
    for (int i = 0; i < MAX_CONNECTIONS; i++)
        open_counted(&streams[i], server.port);
    kv_test_stream_open(&over, server.port);
    assert_int_equal(kv_test_http_ask(&over, "GET", "/healthz", NULL, NULL, &response), 503);
    kv_test_stream_await_end(&over);
    kv_test_stream_close(&over);
    assert_int_equal(kv_test_http_status(server.port, "GET", "/ws", KV_TEST_WS_UPGRADE, NULL), 503);
    assert_int_equal(kv_test_http_ask(&streams[0], "GET", "/healthz", NULL, NULL, &response), 200);
    kv_test_stream_close(&streams[1]);
    open_counted(&streams[1], server.port);
    for (int i = 0; i < MAX_CONNECTIONS; i++)
        kv_test_stream_close(&streams[i]);
    kv_test_response_fini(&response);
    kv_test_server_stop_cleanly(&server);
}

/* For peers that have left before the refusal is written. */
static void peers_that_reset_at_once_beyond_the_limit_are_harmless(void **state)
{
    const struct linger at_once = {.l_onoff = 1};
    (void)state;
    struct kv_test_server server;
    struct kv_test_stream counted, gone;
    kv_test_start(&server, "limits: {connections_per_address: 1}\n");
    open_counted(&counted, server.port);
    for (int i = 0; i < 200; i++) {
        kv_test_stream_open(&gone, server.port);
        setsockopt(gone.fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
        kv_test_stream_close(&gone);
    }
    kv_test_stream_close(&counted);
    open_counted(&counted, server.port);
    kv_test_stream_close(&counted);
    kv_test_server_stop_cleanly(&server);
}

static void connection_beyond_the_limit_of_its_address_is_503_and_others_are_served(void **state)
{
    enum {
        MOST = 3
    };
    (void)state;
    struct kv_test_server server;
    struct kv_test_stream streams[MOST], over;
    struct kv_test_response response = {0};
    kv_test_start(&server, "limits: {connections_per_address: 3}\n");
    for (int i = 0; i < MOST; i++)
        open_counted(&streams[i], server.port);
    kv_test_stream_open(&over, server.port);
    assert_int_equal(kv_test_http_ask(&over, "GET", "/healthz", NULL, NULL, &response), 503);
    kv_test_stream_await_end(&over);
    kv_test_stream_close(&over);
    open_from(&over, server.port, "127.0.0.2");
    assert_int_equal(kv_test_http_ask(&over, "GET", "/healthz", NULL, NULL, &response), 200);
    kv_test_stream_close(&over);
    kv_test_stream_close(&streams[1]);
    open_counted(&streams[1], server.port);
    for (int i = 0; i < MOST; i++)
        kv_test_stream_close(&streams[i]);
    kv_test_response_fini(&response);
    kv_test_server_stop_cleanly(&server);
}

static void key_of_a_mebibyte_works_over_websocket_if_allowed(void **state)
{
    (void)state;
    struct kv_test_server server;
    struct kv_test_ws ws;
    char *key = kv_test_letters('k', 1 << 20);
    kv_test_start(&server, "limits: {key: 2MiB}\n");
    kv_test_ws_open(&ws, server.port);
    kv_test_ws_put_text(&ws, "{\"type\":\"subscribe\",\"payload\":{\"key\":\"%s\"}}", key);
    kv_test_ws_put_text(&ws, "{\"type\":\"set\",\"payload\":{\"key\":\"%s\",\"value\":1}}", key);
    kv_test_stream_flush(&ws.stream);
    kv_test_ws_expect(&ws, "{\"type\":\"value\",\"payload\":{\"key\":\"%s\",\"value\":1}}", key);
    kv_test_ws_send_text(&ws, "{\"type\":\"get\",\"payload\":{\"key\":\"%s\"}}", key);
    kv_test_ws_expect(&ws, "{\"type\":\"value\",\"payload\":{\"key\":\"%s\",\"value\":1}}", key);
    kv_test_ws_send_text(&ws, "{\"type\":\"get\",\"payload\":{\"key\":\"%s\"}}", key + 1);
    kv_test_ws_expect(&ws, "{\"type\":\"no-value\",\"payload\":{\"key\":\"%s\"}}", key + 1);
    kv_test_ws_close(&ws);
    kv_test_server_stop_cleanly(&server);
    free(key);
}

/* A server that closes with input unread resets the connection, and the answer is lost. */
static void refusal_of_a_large_body_reaches_a_client_that_still_sends(void **state)
{
    char *value = kv_test_letters('1', 3 << 20);
    for (int i = 0; i < 20; i++)
        assert_int_equal(post_value(kv_test_port(state), "/storage/large", value), 413);
    free(value);
}

static void full_store_is_507_and_keeps_its_data(void **state)
{
    (void)state;
    struct kv_test_server server;
    struct kv_test_ws ws;
    struct kv_buffer yaml = {0};
    kv_buffer_printf(&yaml,
                     "listen: [{port: %%port}]\nmodules: %s\n"
                     "storage: {module: simple, simple: {max_bytes: 100}}\n",
                     getenv("KV_TEST_MODULES"));
    kv_buffer_append_char(&yaml, '\0');
    kv_test_server_start(&server, yaml.bytes);
    kv_buffer_fini(&yaml);
    char *large = kv_test_letters('1', 200);
    kv_test_store(server.port, "k", "1");
    kv_test_ws_open(&ws, server.port);
    kv_test_ws_send_text(&ws, "{\"type\":\"set\",\"payload\":{\"key\":\"k\",\"value\":%s}}", large);
    kv_test_ws_expect(&ws, "{\"type\":\"error\",\"payload\":\"the store is full\"}");
    kv_test_ws_close(&ws);
    assert_int_equal(post_value(server.port, "/storage/k", large), 507);
    kv_test_expect_value(server.port, "k", "1");
    kv_test_server_stop_cleanly(&server);
    free(large);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(value_at_the_limit_is_stored_and_a_longer_one_is_413),
        cmocka_unit_test(chunked_body_beyond_the_limit_is_413),
        cmocka_unit_test(value_beyond_the_limit_is_an_error_over_websocket),
        cmocka_unit_test(key_at_the_limit_is_served_and_a_longer_one_is_414),
        cmocka_unit_test(length_of_a_key_counts_after_decoding),
        cmocka_unit_test(key_beyond_the_limit_is_an_error_over_websocket),
        cmocka_unit_test(nesting_beyond_the_limit_is_refused_by_both_protocols),
        cmocka_unit_test(message_at_the_limit_is_answered),
        cmocka_unit_test(message_beyond_the_limit_closes_with_1009),
        cmocka_unit_test(fragments_beyond_the_limit_together_close_with_1009),
        cmocka_unit_test(announced_length_beyond_the_limit_closes_before_the_bytes_arrive),
        cmocka_unit_test(subscription_beyond_the_limit_is_an_error),
        cmocka_unit_test(refusal_of_a_large_body_reaches_a_client_that_still_sends),
        cmocka_unit_test(full_store_is_507_and_keeps_its_data),
        cmocka_unit_test(connection_beyond_the_limit_is_503_and_room_comes_back),
        cmocka_unit_test(peers_that_reset_at_once_beyond_the_limit_are_harmless),
        cmocka_unit_test(connection_beyond_the_limit_of_its_address_is_503_and_others_are_served),
        cmocka_unit_test(key_of_a_mebibyte_works_over_websocket_if_allowed),
    };
    return cmocka_run_group_tests(tests, group_start, kv_test_group_stop);
}
