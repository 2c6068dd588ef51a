/* The framing of requests and responses: any legal framing gives the same answers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "fixture.h"

#define N(array) (sizeof(array) / sizeof((array)[0]))

static void send_bytes(struct kv_test_stream *stream, struct kv_slice bytes)
{
    kv_test_stream_put(stream, bytes);
    kv_test_stream_flush(stream);
}

static int receive_status(struct kv_test_stream *stream)
{
    struct kv_test_response response = {0};
    int status = kv_test_http_receive(stream, &response) ? response.status : -1;
    kv_test_response_fini(&response);
    return status;
}

/* Sends raw bytes over a connection of their own. Returns: the status of the first response. */
static int status_of(uint16_t port, struct kv_slice bytes)
{
    struct kv_test_stream stream;
    kv_test_stream_open(&stream, port);
    send_bytes(&stream, bytes);
    int status = receive_status(&stream);
    kv_test_stream_close(&stream);
    return status;
}

static void request_may_come_byte_by_byte(void **state)
{
    struct kv_test_stream stream;
    struct kv_slice request = KV_SLICE("POST /storage/bytewise HTTP/1.1\r\nHost: localhost\r\n"
                                       "Content-Length: 21\r\n\r\n{\"value\":\"in pieces\"}");
    kv_test_stream_open(&stream, kv_test_port(state));
    for (size_t i = 0; i < request.len; i++)
        send_bytes(&stream, (struct kv_slice){request.bytes + i, 1});
    assert_int_equal(receive_status(&stream), 202);
    kv_test_stream_close(&stream);
    kv_test_expect_value(kv_test_port(state), "bytewise", "\"in pieces\"");
}

static void body_may_come_in_chunks(void **state)
{
    assert_int_equal(status_of(kv_test_port(state),
                               KV_SLICE("POST /storage/chunked HTTP/1.1\r\nHost: localhost\r\n"
                                        "Transfer-Encoding: chunked\r\n\r\n"
                                        "1\r\n{\r\n8\r\n\"value\":\r\nb\r\n\"in chunks\"\r\n"
                                        "01\r\n}\r\n0\r\n\r\n")),
                     202);
    kv_test_expect_value(kv_test_port(state), "chunked", "\"in chunks\"");
}

static void chunks_may_have_extensions_and_trailers(void **state)
{
    struct kv_test_stream stream;
    kv_test_stream_open(&stream, kv_test_port(state));
    send_bytes(&stream, KV_SLICE("PUT /storage/trailers HTTP/1.1\r\nHost: localhost\r\n"
                                 "Transfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n"
                                 "B;name=value\r\n{\"value\":3}\r\n"
                                 "0\r\nX-Sum: 17\r\nX-More: 1\r\n\r\n"
                                 "GET /storage/trailers HTTP/1.1\r\nHost: localhost\r\n\r\n"));
    assert_int_equal(receive_status(&stream), 202);
    assert_int_equal(receive_status(&stream), 200);
    kv_test_stream_close(&stream);
    kv_test_expect_value(kv_test_port(state), "trailers", "3");
}

static void chunked_body_may_come_byte_by_byte(void **state)
{
    struct kv_test_stream stream;
    struct kv_slice request =
        KV_SLICE("POST /storage/slow-chunks HTTP/1.1\r\nHost: localhost\r\n"
                 "Transfer-Encoding: chunked\r\n\r\n4\r\n{\"va\r\n7\r\nlue\":4}\r\n0\r\n\r\n");
    kv_test_stream_open(&stream, kv_test_port(state));
    for (size_t i = 0; i < request.len; i++)
        send_bytes(&stream, (struct kv_slice){request.bytes + i, 1});
    assert_int_equal(receive_status(&stream), 202);
    kv_test_stream_close(&stream);
    kv_test_expect_value(kv_test_port(state), "slow-chunks", "4");
}

static void broken_chunks_are_refused_and_store_nothing(void **state)
{
    struct kv_test_stream stream;
    kv_test_stream_open(&stream, kv_test_port(state));
    send_bytes(&stream, KV_SLICE("POST /storage/broken-chunks HTTP/1.1\r\nHost: localhost\r\n"
                                 "Transfer-Encoding: chunked\r\n\r\nzz\r\n{\"value\":1}\r\n"
                                 "0\r\n\r\n"));
    int status = receive_status(&stream);
    assert_true(status == -1 || status == 400);
    kv_test_stream_close(&stream);
    kv_test_expect_missing(kv_test_port(state), "broken-chunks");
}

static void truncated_body_stores_nothing(void **state)
{
    struct kv_test_stream stream;
    kv_test_stream_open(&stream, kv_test_port(state));
    send_bytes(&stream, KV_SLICE("POST /storage/cut HTTP/1.1\r\nHost: localhost\r\n"
                                 "Content-Length: 12\r\n\r\n{\"value\":1}"));
    kv_test_stream_close(&stream);
    kv_test_expect_missing(kv_test_port(state), "cut");
}

static void expect_100_continue_is_answered_before_the_body(void **state)
{
    struct kv_test_stream stream;
    kv_test_stream_open(&stream, kv_test_port(state));
    send_bytes(&stream, KV_SLICE("POST /storage/continue HTTP/1.1\r\nHost: localhost\r\n"
                                 "Expect: 100-continue\r\nContent-Length: 11\r\n\r\n"));
    assert_int_equal(receive_status(&stream), 100);
    send_bytes(&stream, KV_SLICE("{\"value\":5}"));
    assert_int_equal(receive_status(&stream), 202);
    kv_test_stream_close(&stream);
    kv_test_expect_value(kv_test_port(state), "continue", "5");
}

static void hundred_pipelined_requests_are_answered_in_order(void **state)
{
    struct kv_test_stream stream;
    struct kv_test_response response = {0};
    struct kv_buffer requests = {0};
    for (int i = 0; i < 50; i++) {
        kv_buffer_printf(&requests,
                         "POST /storage/pipe HTTP/1.1\r\nHost: localhost\r\n"
                         "Content-Length: 12\r\n\r\n{\"value\":%02d}"
                         "GET /storage/pipe HTTP/1.1\r\nHost: localhost\r\n\r\n",
                         i + 10);
    }
    kv_test_stream_open(&stream, kv_test_port(state));
    send_bytes(&stream, kv_buffer_slice(&requests));
    for (int i = 0; i < 50; i++) {
        char value[8];
        snprintf(value, sizeof(value), "%d", i + 10);
        assert_int_equal(receive_status(&stream), 202);
        assert_true(kv_test_http_receive(&stream, &response));
        assert_true(kv_test_is_value_body(kv_buffer_slice(&response.body), kv_slice_of(value)));
    }
    kv_buffer_fini(&requests);
    kv_test_response_fini(&response);
    kv_test_stream_close(&stream);
}

static void pipelined_errors_keep_their_places(void **state)
{
    static const int statuses[] = {400, 404, 405, 202, 400, 200};
    struct kv_test_stream stream;
    kv_test_stream_open(&stream, kv_test_port(state));
    send_bytes(
        &stream,
        KV_SLICE("GET /storage/%zz HTTP/1.1\r\nHost: localhost\r\n\r\n"
                 "GET /nothing HTTP/1.1\r\nHost: localhost\r\n\r\n"
                 "BREW /storage/p HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{}"
                 "POST /storage/p HTTP/1.1\r\nHost: localhost\r\nContent-Length: 11\r\n\r\n"
                 "{\"value\":1}"
                 "POST /storage/p HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n\r\n{]}"
                 "GET /storage/p HTTP/1.1\r\nHost: localhost\r\n\r\n"));
    for (size_t i = 0; i < N(statuses); i++)
        assert_int_equal(receive_status(&stream), statuses[i]);
    kv_test_stream_close(&stream);
}

static void connection_stays_usable_after_errors(void **state)
{
    static const struct {
        const char *method, *path, *body;
        int status;
    } errors[] = {
        {"GET", "/storage/%4", NULL, 400},
        {"POST", "/storage/e", "{", 400},
        {"POST", "/storage/e", "", 400},
        {"POST", "/storage/e", NULL, 400},
        {"GET", "/nowhere", NULL, 404},
        {"BREW", "/storage/e", "{\"value\":1}", 405},
        {"DELETE", "/healthz", NULL, 405},
        {"GET", "/ws", NULL, 426},
        {"POST", "/nowhere", "{\"value\":1}", 404},
    };
    struct kv_test_stream stream;
    struct kv_test_response response = {0};
    kv_test_stream_open(&stream, kv_test_port(state));
    for (size_t i = 0; i < N(errors); i++) {
        int status = kv_test_http_ask(&stream, errors[i].method, errors[i].path, NULL,
                                      errors[i].body, &response);
        assert_int_equal(status, errors[i].status);
        assert_true(kv_slice_has_prefix(kv_buffer_slice(&response.body), KV_SLICE("{\"error\":")));
    }
    assert_int_equal(kv_test_http_ask(&stream, "GET", "/storage/e", NULL, NULL, &response), 204);
    kv_test_response_fini(&response);
    kv_test_stream_close(&stream);
}

static void head_is_get_without_a_body(void **state)
{
    struct kv_test_stream stream;
    struct kv_test_response get = {0}, head = {0};
    kv_test_store(kv_test_port(state), "head", "\"some text\"");
    kv_test_stream_open(&stream, kv_test_port(state));
    assert_int_equal(kv_test_http_ask(&stream, "GET", "/storage/head", NULL, NULL, &get), 200);
    assert_int_equal(kv_test_http_ask(&stream, "HEAD", "/storage/head", NULL, NULL, &head), 200);
    static const char *const headers[] = {"content-type", "content-length", "etag"};
    for (size_t i = 0; i < N(headers); i++)
        assert_string_equal(kv_test_response_header(&head, headers[i]),
                            kv_test_response_header(&get, headers[i]));
    assert_int_equal(kv_test_http_ask(&stream, "GET", "/storage/head", NULL, NULL, &get), 200);
    kv_test_response_fini(&get);
    kv_test_response_fini(&head);
    kv_test_stream_close(&stream);
}

static void head_of_missing_key_is_204_and_of_unknown_path_404(void **state)
{
    struct kv_test_stream stream;
    struct kv_test_response response = {0};
    kv_test_stream_open(&stream, kv_test_port(state));
    assert_int_equal(kv_test_http_ask(&stream, "HEAD", "/storage/none", NULL, NULL, &response),
                     204);
    assert_int_equal(kv_test_http_ask(&stream, "HEAD", "/nothing", NULL, NULL, &response), 404);
    assert_int_equal(kv_test_http_ask(&stream, "HEAD", "/storage/%zz", NULL, NULL, &response), 400);
    assert_int_equal(kv_test_http_ask(&stream, "GET", "/storage/none", NULL, NULL, &response), 204);
    kv_test_response_fini(&response);
    kv_test_stream_close(&stream);
}

static void http_1_0_connection_ends_after_the_response(void **state)
{
    struct kv_test_stream stream;
    struct kv_test_response response = {0};
    kv_test_store(kv_test_port(state), "old", "1");
    kv_test_stream_open(&stream, kv_test_port(state));
    send_bytes(&stream, KV_SLICE("GET /storage/old HTTP/1.0\r\n\r\n"));
    assert_true(kv_test_http_receive(&stream, &response));
    assert_int_equal(response.status, 200);
    assert_false(response.is_chunked);
    assert_true(kv_test_is_value_body(kv_buffer_slice(&response.body), KV_SLICE("1")));
    kv_test_stream_await_end(&stream);
    assert_int_equal(kv_test_stream_unread(&stream).len, 0);
    kv_test_response_fini(&response);
    kv_test_stream_close(&stream);
}

static void http_1_0_connection_persists_on_request(void **state)
{
    struct kv_test_stream stream;
    kv_test_store(kv_test_port(state), "old-kept", "1");
    kv_test_stream_open(&stream, kv_test_port(state));
    for (int i = 0; i < 3; i++) {
        send_bytes(&stream,
                   KV_SLICE("GET /storage/old-kept HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"));
        assert_int_equal(receive_status(&stream), 200);
    }
    kv_test_stream_close(&stream);
}

static void http_1_1_connection_closes_on_request(void **state)
{
    struct kv_test_stream stream;
    kv_test_stream_open(&stream, kv_test_port(state));
    send_bytes(&stream, KV_SLICE("POST /storage/closing HTTP/1.1\r\nHost: localhost\r\n"
                                 "Connection: close\r\nContent-Length: 11\r\n\r\n{\"value\":1}"));
    assert_int_equal(receive_status(&stream), 202);
    kv_test_stream_await_end(&stream);
    assert_int_equal(kv_test_stream_unread(&stream).len, 0);
    kv_test_stream_close(&stream);
}

static void http2_preface_is_refused(void **state)
{
    struct kv_test_stream stream;
    kv_test_stream_open(&stream, kv_test_port(state));
    send_bytes(&stream, KV_SLICE("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
                                 "\0\0\0\4\0\0\0\0\0"));
    int status = receive_status(&stream);
    assert_true(status == -1 || status >= 400);
    kv_test_stream_close(&stream);
}

static void upgrade_to_h2c_is_ignored(void **state)
{
    struct kv_test_stream stream;
    struct kv_test_response response = {0};
    kv_test_store(kv_test_port(state), "h2c", "1");
    kv_test_stream_open(&stream, kv_test_port(state));
    for (int i = 0; i < 2; i++)
        assert_int_equal(kv_test_http_ask(&stream, "GET", "/storage/h2c",
                                          "Connection: keep-alive, Upgrade, HTTP2-Settings\r\n"
                                          "Upgrade: h2c\r\n"
                                          "HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n",
                                          NULL, &response),
                         200);
    kv_test_response_fini(&response);
    kv_test_stream_close(&stream);
}

static void target_that_is_not_a_path_is_400(void **state)
{
    static const char *const targets[] = {"*", "storage/k", "ftp://test/storage/k"};
    for (size_t i = 0; i < N(targets); i++) {
        struct kv_buffer request = {0};
        kv_buffer_printf(&request, "GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n", targets[i]);
        assert_int_equal(status_of(kv_test_port(state), kv_buffer_slice(&request)), 400);
        kv_buffer_fini(&request);
    }
}

static void target_in_absolute_form_is_served(void **state)
{
    kv_test_store(kv_test_port(state), "absolute", "1");
    assert_int_equal(status_of(kv_test_port(state),
                               KV_SLICE("GET http://localhost:80/storage/absolute?q HTTP/1.1\r\n"
                                        "Host: any.example\r\n\r\n")),
                     200);
    assert_int_equal(status_of(kv_test_port(state), KV_SLICE("GET http://localhost HTTP/1.1\r\n"
                                                             "Host: any.example\r\n\r\n")),
                     200);
}

static void host_is_required_only_for_http_1_1(void **state)
{
    assert_int_equal(status_of(kv_test_port(state), KV_SLICE("GET /healthz HTTP/1.1\r\n\r\n")),
                     400);
    assert_int_equal(status_of(kv_test_port(state), KV_SLICE("GET /healthz HTTP/1.0\r\n\r\n")),
                     200);
}

static void duplicate_length_is_400_and_stores_nothing(void **state)
{
    static const char *const lengths[] = {
        "Content-Length: 11\r\nContent-Length: 12",
        "Content-Length: 0\r\nContent-Length: 11",
        "Content-Length: 11\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
    };
    for (size_t i = 0; i < N(lengths); i++) {
        struct kv_buffer request = {0};
        kv_buffer_printf(&request,
                         "POST /storage/twice HTTP/1.1\r\nHost: localhost\r\n%s\r\n\r\n"
                         "b\r\n{\"value\":1}\r\n0\r\n\r\n",
                         lengths[i]);
        assert_int_equal(status_of(kv_test_port(state), kv_buffer_slice(&request)), 400);
        kv_buffer_fini(&request);
    }
    kv_test_expect_missing(kv_test_port(state), "twice");
}

static void malformed_requests_are_refused(void **state)
{
    static const struct kv_slice requests[] = {
        {"\0\0\0\0\r\n\r\n", 8},
        {"GET\r\n\r\n", 7},
        {"GET /storage/k\r\n\r\n", 18},
        {"GET /storage/k HTTP/1.1\r\nno colon\r\n\r\n", 37},
        {"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 15},
    };
    for (size_t i = 0; i < N(requests); i++) {
        int status = status_of(kv_test_port(state), requests[i]);
        assert_true(status == -1 || status == 400);
    }
}

static void path_beyond_the_header_block_is_400(void **state)
{
    struct kv_buffer request = {0};
    char *key = kv_test_letters('k', 420000);
    kv_buffer_printf(&request, "GET /storage/%s HTTP/1.1\r\nHost: localhost\r\n\r\n", key);
    int status = status_of(kv_test_port(state), kv_buffer_slice(&request));
    assert_true(status == -1 || status == 400 || status == 414);
    free(key);
    kv_buffer_fini(&request);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(request_may_come_byte_by_byte),
        cmocka_unit_test(body_may_come_in_chunks),
        cmocka_unit_test(chunks_may_have_extensions_and_trailers),
        cmocka_unit_test(chunked_body_may_come_byte_by_byte),
        cmocka_unit_test(broken_chunks_are_refused_and_store_nothing),
        cmocka_unit_test(truncated_body_stores_nothing),
        cmocka_unit_test(expect_100_continue_is_answered_before_the_body),
        cmocka_unit_test(hundred_pipelined_requests_are_answered_in_order),
        cmocka_unit_test(pipelined_errors_keep_their_places),
        cmocka_unit_test(connection_stays_usable_after_errors),
        cmocka_unit_test(head_is_get_without_a_body),
        cmocka_unit_test(head_of_missing_key_is_204_and_of_unknown_path_404),
        cmocka_unit_test(http_1_0_connection_ends_after_the_response),
        cmocka_unit_test(http_1_0_connection_persists_on_request),
        cmocka_unit_test(http_1_1_connection_closes_on_request),
        cmocka_unit_test(http2_preface_is_refused),
        cmocka_unit_test(upgrade_to_h2c_is_ignored),
        cmocka_unit_test(target_that_is_not_a_path_is_400),
        cmocka_unit_test(target_in_absolute_form_is_served),
        cmocka_unit_test(host_is_required_only_for_http_1_1),
        cmocka_unit_test(duplicate_length_is_400_and_stores_nothing),
        cmocka_unit_test(malformed_requests_are_refused),
        cmocka_unit_test(path_beyond_the_header_block_is_400),
    };
    return cmocka_run_group_tests(tests, kv_test_group_start, kv_test_group_stop);
}
