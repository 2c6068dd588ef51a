/* Client addresses sent by proxies: which senders are trusted, and the use of the addresses. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "fixture.h"
#include "support/client/folder.h"
#include "support/client/tls.h"

#define HEALTH         "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
#define LINE(client)   "PROXY TCP4 " client " 192.0.2.99 1000 443\r\n"
#define BINARY(client) "\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c" client "\xc0\0\2\x63\x03\xe8\x01\xbb"
#define TRUSTING       "trusted_proxies: [127.0.0.0/8]\n"

static struct kv_test_server server;

/* Sends the bytes on a connection of its own, which stays open. Returns: the answer's status. */
static int send_on(struct kv_test_stream *stream, struct kv_slice bytes)
{
    struct kv_test_response response = {0};
    kv_test_stream_open(stream, server.port);
    kv_test_stream_put(stream, bytes);
    assert_true(kv_test_http_receive(stream, &response));
    int status = response.status;
    kv_test_response_fini(&response);
    return status;
}

static int send_once(struct kv_slice bytes)
{
    struct kv_test_stream stream;
    int status = send_on(&stream, bytes);
    kv_test_stream_close(&stream);
    return status;
}

static void expect_refusal(struct kv_slice bytes, const char *part)
{
    struct kv_test_stream stream;
    struct kv_test_response response = {0};
    kv_test_stream_open(&stream, server.port);
    kv_test_stream_put(&stream, bytes);
    assert_true(kv_test_http_receive(&stream, &response));
    assert_int_equal(response.status, 400);
    kv_buffer_append_char(&response.body, '\0');
    kv_test_expect_part(response.body.bytes, part);
    kv_test_response_fini(&response);
    kv_test_stream_close(&stream);
}

static void connections_count_for_the_client_named_by_a_proxy(void **state)
{
    (void)state;
    struct kv_test_stream one, two;
    kv_test_start(&server, TRUSTING "limits: {connections_per_address: 1}\n");
    assert_int_equal(send_on(&one, KV_SLICE(LINE("192.0.2.1") HEALTH)), 200);
    assert_int_equal(send_once(KV_SLICE(LINE("192.0.2.1") HEALTH)), 503);
    assert_int_equal(send_once(KV_SLICE(BINARY("\xc0\0\2\1") HEALTH)), 503);
    assert_int_equal(send_on(&two, KV_SLICE(BINARY("\xc0\0\2\2") HEALTH)), 200);
    kv_test_stream_close(&one);
    while (send_once(KV_SLICE(LINE("192.0.2.1") HEALTH)) != 200)
        kv_test_sleep_ms(5);
    kv_test_stream_close(&two);
    kv_test_server_stop_cleanly(&server);
}

static void header_may_be_absent_or_arrive_in_pieces(void **state)
{
    (void)state;
    struct kv_test_stream stream;
    struct kv_test_response response = {0};
    struct kv_slice bytes = KV_SLICE(BINARY("\xc0\0\2\1") HEALTH);
    kv_test_start(&server, TRUSTING);
    assert_int_equal(send_once(KV_SLICE(HEALTH)), 200);
    assert_int_equal(send_once(KV_SLICE("PROXY UNKNOWN\r\n" HEALTH)), 200);
    kv_test_stream_open(&stream, server.port);
    for (size_t i = 0; i < bytes.len; i++) {
        kv_test_stream_put(&stream, (struct kv_slice){bytes.bytes + i, 1});
        kv_test_stream_flush(&stream);
    }
    assert_true(kv_test_http_receive(&stream, &response));
    assert_int_equal(response.status, 200);
    kv_test_response_fini(&response);
    kv_test_stream_close(&stream);
    kv_test_server_stop_cleanly(&server);
}

static void malformed_header_is_400(void **state)
{
    (void)state;
    kv_test_start(&server, TRUSTING);
    assert_int_equal(send_once(KV_SLICE("PROXY TCP4 a b c d\r\n" HEALTH)), 400);
    assert_int_equal(send_once(KV_SLICE("\r\n\r\n\0\r\nQUIT\n\x21\x11\xff\xff")), 400);
    kv_test_server_stop_cleanly(&server);
}

static void header_from_an_untrusted_address_is_400(void **state)
{
    (void)state;
    kv_test_start(&server, "trusted_proxies: [192.0.2.0/24, 'unix']\n");
    expect_refusal(KV_SLICE(LINE("192.0.2.1") HEALTH), "this looks like a PROXY header, which");
    expect_refusal(KV_SLICE(BINARY("\xc0\0\2\1") HEALTH), "this looks like a PROXY header, which");
    kv_test_await_log(&server, "a connection was refused, from 127.0.0.1: this looks like a PROXY");
    kv_test_server_stop_cleanly(&server);
}

static void tls_on_a_port_in_clear_text_is_400(void **state)
{
    (void)state;
    static const char *const fronts[] = {"", "http: {front: false}\n"};
    for (size_t i = 0; i < 2; i++) {
        kv_test_start(&server, fronts[i]);
        expect_refusal(KV_SLICE("\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03"),
                       "{\"error\":\"this port speaks no TLS: begin addresses with http:// or "
                       "ws://\"}");
        kv_test_await_log(&server, "a connection was refused, from 127.0.0.1: this port speaks no");
        kv_test_server_stop_cleanly(&server);
    }
}

static void stalled_header_ends_the_connection(void **state)
{
    (void)state;
    struct kv_test_stream stream;
    kv_test_start(&server, TRUSTING "timeouts: {request_progress: 200ms}\n");
    kv_test_stream_open(&stream, server.port);
    kv_test_stream_put(&stream, KV_SLICE("PROXY TCP4 "));
    kv_test_stream_await_end(&stream);
    kv_test_stream_close(&stream);
    kv_test_server_stop_cleanly(&server);
}

static int upgrade_for(struct kv_test_stream *stream, const char *forwarded_for)
{
    struct kv_buffer request = {0};
    kv_buffer_printf(
        &request,
        "GET /ws HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-For: %s\r\n" KV_TEST_WS_UPGRADE "\r\n",
        forwarded_for);
    int status = send_on(stream, kv_buffer_slice(&request));
    kv_buffer_fini(&request);
    return status;
}

static void websockets_count_for_the_forwarded_client(void **state)
{
    (void)state;
    struct kv_test_stream first, other, over;
    kv_test_start(&server, TRUSTING "limits: {connections_per_address: 1}\n");
    assert_int_equal(upgrade_for(&first, "192.0.2.1"), 101);
    assert_int_equal(upgrade_for(&over, "192.0.2.7, 192.0.2.1, 127.0.0.1"), 503);
    assert_int_equal(upgrade_for(&other, "192.0.2.1, 192.0.2.2"), 101);
    assert_int_equal(send_once(KV_SLICE(HEALTH)), 200);
    kv_test_stream_close(&first);
    kv_test_stream_close(&over);
    kv_test_stream_close(&other);
    kv_test_server_stop_cleanly(&server);
}

/* The hook keeps the address of each writer as the value. */
#define TELLING_HOOK                                                                               \
    "function before_set(key)\n"                                                                   \
    "  return kv.caller().address\n"                                                               \
    "end\n"

static void start_with_hook(const char *folder, const char *more)
{
    struct kv_buffer yaml = {0};
    kv_test_file_put(folder, "hook.lua", TELLING_HOOK);
    kv_buffer_printf(&yaml, "%sscripts: [{file: '%%s/hook.lua'}]\n", more);
    kv_buffer_append_char(&yaml, '\0');
    kv_test_start_in(&server, folder, yaml.bytes);
    kv_buffer_fini(&yaml);
}

/* Writes a key on a connection that begins with `before`, and checks the address that the hook was
 * told. */
static void expect_writer(const char *before, const char *headers, const char *address)
{
    struct kv_test_stream stream;
    struct kv_test_response response = {0};
    char expected[64];
    kv_test_stream_open(&stream, server.port);
    kv_test_stream_put(&stream, kv_slice_of(before));
    assert_int_equal(
        kv_test_http_ask(&stream, "PUT", "/storage/x", headers, "{\"value\":0}", &response), 202);
    assert_int_equal(kv_test_http_ask(&stream, "GET", "/storage/x", NULL, NULL, &response), 200);
    kv_buffer_append_char(&response.body, '\0');
    snprintf(expected, sizeof(expected), "{\"value\":\"%s\"}", address);
    assert_string_equal(response.body.bytes, expected);
    kv_test_response_fini(&response);
    kv_test_stream_close(&stream);
}

static void hooks_and_the_log_see_the_forwarded_client(void **state)
{
    char *folder = kv_test_folder_make();
    (void)state;
    start_with_hook(folder, TRUSTING "log: {access: 1}\n");
    expect_writer("", "X-Forwarded-For: 192.0.2.1\r\n", "192.0.2.1");
    kv_test_await_log(&server, "operation=set key=\"x\"");
    kv_test_await_log(&server, "address=192.0.2.1");
    expect_writer("", "X-Forwarded-For: 192.0.2.2\r\nOdd: 1\r\n", "192.0.2.2");
    expect_writer("", "", "127.0.0.1");
    kv_test_server_stop_cleanly(&server);
    kv_test_folder_remove(folder);
    free(folder);
}

static void each_request_of_a_proxys_connection_has_its_own_client(void **state)
{
    static const char *const clients[] = {"192.0.2.1", "192.0.2.2", "192.0.2.1"};
    struct kv_buffer requests = {0};
    struct kv_test_response response = {0};
    struct kv_test_stream stream;
    char *folder = kv_test_folder_make();
    (void)state;
    start_with_hook(folder, TRUSTING);
    for (size_t i = 0; i < 3; i++)
        kv_buffer_printf(&requests,
                         "PUT /storage/%zu HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-For: %s\r\n"
                         "Content-Length: 11\r\n\r\n{\"value\":0}",
                         i, clients[i]);
    kv_test_stream_open(&stream, server.port);
    kv_test_stream_put(&stream, kv_buffer_slice(&requests));
    for (size_t i = 0; i < 3; i++)
        assert_true(kv_test_http_receive(&stream, &response));
    for (size_t i = 0; i < 3; i++) {
        char path[16];
        snprintf(path, sizeof(path), "/storage/%zu", i);
        assert_int_equal(kv_test_http_ask(&stream, "GET", path, NULL, NULL, &response), 200);
        kv_buffer_append_char(&response.body, '\0');
        kv_test_expect_part(response.body.bytes, clients[i]);
    }
    kv_test_stream_close(&stream);
    kv_test_response_fini(&response);
    kv_buffer_fini(&requests);
    kv_test_server_stop_cleanly(&server);
    kv_test_folder_remove(folder);
    free(folder);
}

static void all_lines_of_forwarded_addresses_count(void **state)
{
    static const struct {
        const char *headers, *address;
    } cases[] = {
        {"X-Forwarded-For: 192.0.2.9\r\nX-Forwarded-For: 192.0.2.1\r\n", "192.0.2.1"},
        {"X-Forwarded-For: 192.0.2.9, 192.0.2.1\r\nx-forwarded-for: 127.0.0.2\r\n", "192.0.2.1"},
        {"X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-For:\r\nX-Forwarded-For: 127.0.0.3, "
         "127.0.0.2\r\n",
         "192.0.2.1"},
        {"X-Forwarded-For: 127.0.0.4\r\nX-Forwarded-For: 127.0.0.2\r\n", "127.0.0.4"},
        {"X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-For: unknown\r\n", "127.0.0.1"},
    };
    char *folder = kv_test_folder_make();
    (void)state;
    start_with_hook(folder, TRUSTING);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        expect_writer("", cases[i].headers, cases[i].address);
    kv_test_server_stop_cleanly(&server);
    kv_test_folder_remove(folder);
    free(folder);
}

/* A client could make up the header, as the proxy need not know HTTP. */
static void forwarded_addresses_do_not_count_behind_a_proxy_header(void **state)
{
    char *folder = kv_test_folder_make();
    (void)state;
    start_with_hook(folder, TRUSTING);
    for (int i = 0; i < 2; i++)
        expect_writer(LINE("192.0.2.1"),
                      i == 0 ? "X-Forwarded-For: 192.0.2.2\r\n"
                             : "X-Forwarded-For: 192.0.2.2\r\nOdd: 1\r\n",
                      "192.0.2.1");
    kv_test_server_stop_cleanly(&server);
    kv_test_folder_remove(folder);
    free(folder);
}

static void forwarded_addresses_of_others_are_ignored(void **state)
{
    char *folder = kv_test_folder_make();
    (void)state;
    start_with_hook(folder, "trusted_proxies: [192.0.2.0/24]\n");
    for (int i = 0; i < 2; i++)
        expect_writer("",
                      i == 0 ? "X-Forwarded-For: 192.0.2.2\r\n"
                             : "X-Forwarded-For: 192.0.2.2\r\nOdd: 1\r\n",
                      "127.0.0.1");
    kv_test_server_stop_cleanly(&server);
    kv_test_folder_remove(folder);
    free(folder);
}

static void handshake_may_follow_a_header(void **state)
{
    (void)state;
    struct kv_test_stream stream;
    struct kv_test_response response = {0};
    kv_test_stream_open_clear(&stream, kv_test_server_start_tls(&server, TRUSTING));
    kv_test_stream_put(&stream, KV_SLICE(BINARY("\xc0\0\2\1")));
    kv_test_stream_flush(&stream);
    assert_true(kv_test_tls_connect(&stream, &(struct kv_test_tls_options){0}));
    assert_int_equal(kv_test_http_ask(&stream, "GET", "/healthz", NULL, NULL, &response), 200);
    kv_test_stream_close(&stream);
    kv_test_response_fini(&response);
    kv_test_server_stop_cleanly(&server);
}

/* The answer is in clear, as no handshake has begun. */
static void expect_400_in_clear(uint16_t port, struct kv_slice bytes)
{
    struct kv_test_stream stream;
    struct kv_test_response response = {0};
    kv_test_stream_open_clear(&stream, port);
    kv_test_stream_put(&stream, bytes);
    assert_true(kv_test_http_receive(&stream, &response));
    assert_int_equal(response.status, 400);
    assert_true(kv_slice_has_prefix(kv_buffer_slice(&response.body), KV_SLICE("{\"error\":")));
    kv_test_stream_await_end(&stream);
    kv_test_stream_close(&stream);
    kv_test_response_fini(&response);
}

static void malformed_header_at_a_tls_port_is_400(void **state)
{
    (void)state;
    uint16_t port = kv_test_server_start_tls(&server, TRUSTING);
    expect_400_in_clear(port, KV_SLICE("PROXY TCP4 a b c d\r\n"));
    expect_400_in_clear(port, KV_SLICE("\r\n\r\n\0\r\nQUIT\n\x21\x11\xff\xff"));
    kv_test_server_stop_cleanly(&server);
}

static void header_from_an_untrusted_address_at_a_tls_port_is_400(void **state)
{
    (void)state;
    uint16_t port = kv_test_server_start_tls(&server, "trusted_proxies: [192.0.2.0/24, 'unix']\n");
    expect_400_in_clear(port, KV_SLICE(LINE("192.0.2.1")));
    expect_400_in_clear(port, KV_SLICE(BINARY("\xc0\0\2\1")));
    kv_test_server_stop_cleanly(&server);
}

static void invalid_address_is_a_fault(void **state)
{
    (void)state;
    static const char *const faults[] = {"localhost", "10.0.0.1/8", "10.0.0.0/33", ""};
    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
        char yaml[128];
        struct kv_test_outcome outcome;
        snprintf(yaml, sizeof(yaml), "trusted_proxies: ['::1', '%s']\n", faults[i]);
        char *whole = kv_test_with_modules(yaml);
        kv_test_program_run_with_file("--check-config", whole, &outcome);
        kv_test_expect_part(outcome.err, ":1:26: trusted_proxies[1]: ");
        assert_int_equal(outcome.exit_code, 2);
        kv_test_outcome_fini(&outcome);
        free(whole);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(connections_count_for_the_client_named_by_a_proxy),
        cmocka_unit_test(header_may_be_absent_or_arrive_in_pieces),
        cmocka_unit_test(malformed_header_is_400),
        cmocka_unit_test(header_from_an_untrusted_address_is_400),
        cmocka_unit_test(tls_on_a_port_in_clear_text_is_400),
        cmocka_unit_test(stalled_header_ends_the_connection),
        cmocka_unit_test(websockets_count_for_the_forwarded_client),
        cmocka_unit_test(hooks_and_the_log_see_the_forwarded_client),
        cmocka_unit_test(each_request_of_a_proxys_connection_has_its_own_client),
        cmocka_unit_test(all_lines_of_forwarded_addresses_count),
        cmocka_unit_test(forwarded_addresses_do_not_count_behind_a_proxy_header),
        cmocka_unit_test(forwarded_addresses_of_others_are_ignored),
        cmocka_unit_test(handshake_may_follow_a_header),
        cmocka_unit_test(malformed_header_at_a_tls_port_is_400),
        cmocka_unit_test(header_from_an_untrusted_address_at_a_tls_port_is_400),
        cmocka_unit_test(invalid_address_is_a_fault),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
