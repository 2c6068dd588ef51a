/*
 * An ordinary proxy in front of the server: requests through it arrive as intended, and ambiguous
 * requests have no effect.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "peer.h"
#include "support/client/folder.h"
#include "support/client/port.h"

#define N(array) (sizeof(array) / sizeof((array)[0]))
#define HOST     "Host: localhost\r\n"

static char *folder;
static struct kv_test_peer proxy;
static struct kv_test_server server;

static void set_up(void)
{
    folder = kv_test_folder_make();
    proxy = (struct kv_test_peer){.port = kv_test_port_reserve()};
    kv_test_start(&server, "");
}

static int tear_down(void **state)
{
    (void)state;
    kv_test_peer_end(&proxy, SIGKILL);
    kv_test_server_stop_cleanly(&server);
    kv_test_folder_remove(folder);
    free(folder);
    return 0;
}

/* Starts a program with a configuration that is the last of its arguments. */
static void start(const char *program, const char *option, const struct kv_buffer *text,
                  const char *last_option)
{
    kv_test_file_put(folder, "proxy.conf", text->bytes);
    char *path = kv_test_path(folder, "proxy.conf");
    const char *const argv[] = {program, option, path, last_option, NULL};
    kv_test_peer_start(&proxy, folder, argv);
    free(path);
}

static int start_nginx(void **state)
{
    struct kv_buffer conf = {0};
    static const char *const temporary[] = {"client_body", "proxy", "fastcgi", "uwsgi", "scgi"};
    (void)state;
    set_up();
    kv_buffer_printf(&conf,
                     "daemon off;\nmaster_process off;\npid %s/pid;\nerror_log stderr;\n"
                     "events {}\nhttp {\n  access_log off;\n",
                     folder);
    for (size_t i = 0; i < N(temporary); i++)
        kv_buffer_printf(&conf, "  %s_temp_path %s/%s;\n", temporary[i], folder, temporary[i]);
    kv_buffer_printf(&conf,
                     "  upstream kvserver { server 127.0.0.1:%d; keepalive 4; }\n"
                     "  map $http_upgrade $connection_upgrade { default upgrade; '' ''; }\n"
                     "  server {\n"
                     "    listen 127.0.0.1:%d;\n"
                     "    client_max_body_size 0;\n"
                     "    location / {\n"
                     "      proxy_pass http://kvserver;\n"
                     "      proxy_http_version 1.1;\n"
                     "      proxy_request_buffering off;\n"
                     "      proxy_set_header Host $http_host;\n"
                     "      proxy_set_header Upgrade $http_upgrade;\n"
                     "      proxy_set_header Connection $connection_upgrade;\n"
                     "    }\n  }\n}\n",
                     server.port, proxy.port);
    kv_buffer_append_char(&conf, '\0');
    start("nginx", "-c", &conf, NULL);
    kv_buffer_fini(&conf);
    return 0;
}

static int start_haproxy(void **state)
{
    struct kv_buffer conf = {0};
    (void)state;
    set_up();
    kv_buffer_printf(&conf,
                     "defaults\n  mode http\n  timeout connect 30s\n  timeout client 30s\n"
                     "  timeout server 30s\n  timeout tunnel 30s\n"
                     "frontend all\n  bind 127.0.0.1:%d\n  default_backend kvserver\n"
                     "backend kvserver\n  option httpchk GET /readyz\n"
                     "  server one 127.0.0.1:%d check\n",
                     proxy.port, server.port);
    kv_buffer_append_char(&conf, '\0');
    start("haproxy", "-f", &conf, "-db");
    kv_buffer_fini(&conf);
    return 0;
}

static void keys_of_every_kind_go_through(void **state)
{
    static const char *const paths[] = {"plain", "a%2Fb", "a%20b", "%C3%A4", "with?query"};
    (void)state;
    for (size_t i = 0; i < N(paths); i++) {
        kv_test_store(proxy.port, paths[i], "{\"a\": 1}");
        kv_test_expect_value(proxy.port, paths[i], "{\"a\": 1}");
        kv_test_expect_value(server.port, paths[i], "{\"a\": 1}");
    }
}

static void requests_of_one_connection_are_answered_in_order(void **state)
{
    struct kv_test_stream stream;
    struct kv_test_response response = {0};
    (void)state;
    kv_test_stream_open(&stream, proxy.port);
    for (int i = 0; i < 20; i++) {
        assert_int_equal(
            kv_test_http_ask(&stream, "PUT", "/storage/k", NULL, "{\"value\":1}", &response), 202);
        assert_int_equal(kv_test_http_ask(&stream, "GET", "/storage/k", NULL, NULL, &response),
                         200);
        assert_string_equal(kv_test_response_header(&response, "cache-control"), "no-cache");
        assert_int_equal(kv_test_http_ask(&stream, "DELETE", "/storage/k", NULL, NULL, &response),
                         200);
        assert_int_equal(kv_test_http_ask(&stream, "GET", "/storage/k", NULL, NULL, &response),
                         204);
        assert_int_equal(kv_test_http_ask(&stream, "POST", "/storage/k", NULL, "{", &response),
                         400);
    }
    kv_test_response_fini(&response);
    kv_test_stream_close(&stream);
}

static void a_body_in_chunks_goes_through(void **state)
{
    struct kv_test_stream stream;
    struct kv_test_response response = {0};
    (void)state;
    kv_test_stream_open(&stream, proxy.port);
    kv_test_stream_put(&stream, KV_SLICE("POST /storage/chunked HTTP/1.1\r\n" HOST
                                         "Transfer-Encoding: chunked\r\n\r\n"));
    for (int i = 0; i < 100; i++)
        kv_test_stream_put(&stream, KV_SLICE("1;x=y\r\n \r\n"));
    kv_test_stream_put(&stream, KV_SLICE("b\r\n{\"value\":7}\r\n0\r\nX-Sum: 1\r\n\r\n"));
    kv_test_stream_flush(&stream);
    assert_true(kv_test_http_receive(&stream, &response));
    assert_int_equal(response.status, 202);
    kv_test_expect_value(server.port, "chunked", "7");
    kv_test_response_fini(&response);
    kv_test_stream_close(&stream);
}

static void a_large_value_goes_through(void **state)
{
    struct kv_buffer value = {0};
    char *letters = kv_test_letters('v', 1 << 20);
    (void)state;
    kv_buffer_printf(&value, "\"%s\"", letters);
    kv_buffer_append_char(&value, '\0');
    kv_test_store(proxy.port, "large", value.bytes);
    kv_test_expect_value(proxy.port, "large", value.bytes);
    free(letters);
    kv_buffer_fini(&value);
}

/* Waits until a text has come, whatever frames the bytes around it. */
static void await_text(struct kv_test_stream *stream, const char *text)
{
    struct kv_slice unread = kv_test_stream_unread(stream);
    while (memmem(unread.bytes, unread.len, text, strlen(text)) == NULL) {
        assert_true(kv_test_stream_await(stream, unread.len + 1));
        unread = kv_test_stream_unread(stream);
    }
}

/* Each event at once, and not when the proxy has gathered some. */
static void events_go_through_as_they_come(void **state)
{
    struct kv_test_stream stream;
    char data[64];
    (void)state;
    kv_test_stream_open(&stream, proxy.port);
    kv_test_stream_put(&stream,
                       KV_SLICE("GET /events?key=sse&initial=true HTTP/1.1\r\n" HOST "\r\n"));
    kv_test_stream_flush(&stream);
    await_text(&stream, "event: synced\n");
    for (int i = 0; i < 10; i++) {
        snprintf(data, sizeof(data), "%d", i);
        kv_test_store(server.port, "sse", data);
        snprintf(data, sizeof(data), "data: {\"key\":\"sse\",\"value\":%d}\n\n", i);
        await_text(&stream, data);
    }
    kv_test_stream_close(&stream);
}

static void a_websocket_goes_through(void **state)
{
    struct kv_test_ws ws;
    (void)state;
    kv_test_ws_open(&ws, proxy.port);
    kv_test_ws_send_text(&ws, "{\"type\":\"subscribe\",\"payload\":{\"key\":\"ws\"}}");
    kv_test_ws_expect_nothing(&ws);
    kv_test_store(proxy.port, "ws", "1");
    kv_test_ws_expect(&ws, "{\"type\":\"value\",\"payload\":{\"key\":\"ws\",\"value\":1}}");
    kv_test_ws_close(&ws);
}

static bool is_stored(const char *path)
{
    int status = kv_test_http_status(server.port, "GET", path, NULL, NULL);
    assert_int_equal(kv_test_http_status(server.port, "DELETE", path, NULL, NULL), 200);
    return status == 200;
}

/* Texts that one of the two may take for the end of a request, and the other not. If the rest is
 * served, both have treated it as a request of its own: it is answered. */
static void a_request_that_is_served_is_answered(void **state)
{
#define HIDDEN "PUT /storage/hidden HTTP/1.1\r\n" HOST "Content-Length: 11\r\n\r\n{\"value\":1}"
#define LENGTH "80" /* of HIDDEN; in hexadecimal, 50 */
#define POST   "POST /storage/k HTTP/1.1\r\n" HOST
#define CLOSE  "GET /storage/k HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n"
    static const char *const texts[] = {
        POST "Content-Length: 0\r\n " LENGTH "\r\n\r\n" HIDDEN CLOSE,
        POST "Content-Length: " LENGTH
             "\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" HIDDEN CLOSE,
        POST "Transfer-Encoding: chunked\r\nContent-Length: " LENGTH
             "\r\n\r\n0\r\n\r\n" HIDDEN CLOSE,
        POST "Transfer-Encoding: chunked\r\n\r\n0x50\r\n\r\n" HIDDEN CLOSE,
        POST "Transfer-Encoding: chunked\r\n\r\n0;\n\r\n" HIDDEN CLOSE,
        POST "Transfer-Encoding: xchunked\r\nContent-Length: " LENGTH "\r\n\r\n" HIDDEN CLOSE,
        POST "Transfer-Encoding : chunked\r\nContent-Length: " LENGTH
             "\r\n\r\n0\r\n\r\n" HIDDEN CLOSE,
        POST "Content-Length: 0, " LENGTH "\r\n\r\n" HIDDEN CLOSE,
        POST "Content-Length: 0\r\nContent-Length: " LENGTH "\r\n\r\n" HIDDEN CLOSE,
        "GET /storage/k HTTP/1.1\r\n" HOST "Content-Length: " LENGTH "\r\n\r\n" HIDDEN CLOSE,
    };
    (void)state;
    for (size_t i = 0; i < N(texts); i++) {
        struct kv_test_stream stream;
        kv_test_stream_open(&stream, proxy.port);
        kv_test_stream_put(&stream, kv_slice_of(texts[i]));
        kv_test_stream_flush(&stream);
        kv_test_stream_await_end(&stream);
        struct kv_slice answers = kv_test_stream_unread(&stream);
        bool is_answered = memmem(answers.bytes, answers.len, "HTTP/1.1 202", 12) != NULL;
        if (is_stored("/storage/hidden") && !is_answered)
            fail_msg("%s\nis answered %.*s", texts[i], (int)answers.len, answers.bytes);
        kv_test_stream_close(&stream);
    }
}

#define THROUGH(proxy_name, test)                                                                  \
    {                                                                                              \
#proxy_name ": " #test, test, start_##proxy_name, tear_down, NULL                          \
    }
#define ALL_THROUGH(proxy_name)                                                                    \
    THROUGH(proxy_name, keys_of_every_kind_go_through),                                            \
        THROUGH(proxy_name, requests_of_one_connection_are_answered_in_order),                     \
        THROUGH(proxy_name, a_body_in_chunks_goes_through),                                        \
        THROUGH(proxy_name, a_large_value_goes_through),                                           \
        THROUGH(proxy_name, a_websocket_goes_through),                                             \
        THROUGH(proxy_name, events_go_through_as_they_come),                                       \
        THROUGH(proxy_name, a_request_that_is_served_is_answered)

int main(void)
{
    const struct CMUnitTest tests[] = {ALL_THROUGH(nginx), ALL_THROUGH(haproxy)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
