/*
 * Records after the handshake: each cipher suite, keys that change within requests and values,
 * records that arrive in two parts, faults, and ends. tls_test.c is about handshakes.
 */
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/mem.h"
#include "fixture.h"
#include "support/client/tls.h"

enum {
    LONG = 2 << 20, /* a value, of many records */
    N_IDLE = 60,
    MOST_OF_IDLE = 6 << 10, /* bytes that an idle connection counts */
    TOO_MANY_UPDATES = 33,
};

static struct kv_test_server server;
static uint16_t port; /* of TLS; the server's own is in clear */

static int start_with(const char *more)
{
    port = kv_test_server_start_tls(&server, more);
    return 0;
}

static int start(void **state)
{
    (void)state;
    return start_with("threads: 1\n");
}

static int start_impatient(void **state)
{
    (void)state;
    return start_with("threads: 1\nlimits: {least_rate: 0}\ntimeouts: {request_progress: 500ms}\n");
}

static int stop(void **state)
{
    (void)state;
    kv_test_server_stop_cleanly(&server);
    return 0;
}

/* ---- clients that behave ---- */

static void connect_with(struct kv_test_stream *stream, const struct kv_test_tls_options *options)
{
    kv_test_stream_open_clear(stream, port);
    assert_true(kv_test_tls_connect(stream, options));
}

/* Owns: the caller, by free(). */
static char *create_value(void)
{
    struct kv_buffer value = {0};
    kv_buffer_append(&value, KV_SLICE("{\"value\":\""));
    memset(kv_buffer_reserve(&value, LONG), 'v', LONG);
    value.len += LONG;
    kv_buffer_append(&value, KV_SLICE("\"}\0"));
    return value.bytes;
}

static void write_and_read(struct kv_test_stream *stream, const char *value)
{
    struct kv_test_response response = {0};
    assert_int_equal(kv_test_http_ask(stream, "PUT", "/storage/a", NULL, value, &response), 202);
    assert_int_equal(kv_test_http_ask(stream, "GET", "/storage/a", NULL, NULL, &response), 200);
    assert_true(kv_slice_equals(kv_buffer_slice(&response.body), kv_slice_of(value)));
    kv_test_response_fini(&response);
}

static void each_suite_and_version_carries_short_and_long_values(void **state)
{
    static const struct kv_test_tls_options cases[] = {
        {.suites = "TLS_AES_128_GCM_SHA256", .version = TLS1_3_VERSION},
        {.suites = "TLS_AES_256_GCM_SHA384", .version = TLS1_3_VERSION},
        {.suites = "TLS_CHACHA20_POLY1305_SHA256", .version = TLS1_3_VERSION},
        {.version = TLS1_2_VERSION},
    };
    char *value = create_value();
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct kv_test_stream stream;
        connect_with(&stream, &cases[i]);
        write_and_read(&stream, "{\"value\":1}");
        write_and_read(&stream, value);
        write_and_read(&stream, "{\"value\":2}");
        kv_test_stream_close(&stream);
    }
    free(value);
}

/* Small devices have no room for longer records, and refuse them (RFC 6066, section 4). */
static void records_are_as_short_as_the_client_asks(void **state)
{
    static const int versions[] = {TLS1_3_VERSION, TLS1_2_VERSION};
    char *value = create_value();
    (void)state;
    for (size_t i = 0; i < sizeof(versions) / sizeof(versions[0]); i++) {
        struct kv_test_stream stream;
        connect_with(&stream,
                     &(struct kv_test_tls_options){.version = versions[i],
                                                   .fragment = TLSEXT_max_fragment_length_512});
        write_and_read(&stream, value);
        kv_test_stream_close(&stream);
    }
    free(value);
}

static void sessions_are_resumed_again_and_again(void **state)
{
    struct kv_test_stream stream;
    SSL_SESSION *session = NULL;
    (void)state;
    for (int i = 0; i < 4; i++) {
        connect_with(&stream, &(struct kv_test_tls_options){.session = session});
        assert_int_equal(kv_test_tls_is_resumed(&stream), i != 0);
        write_and_read(&stream, "{\"value\":1}");
        SSL_SESSION_free(session);
        session = kv_test_tls_session(&stream);
        kv_test_stream_close(&stream);
    }
    SSL_SESSION_free(session);
}

/* ---- keys that change ---- */

/* Both sides', or the client's alone. */
static void (*const updates[])(struct kv_test_stream *stream) = {kv_test_tls_update_keys,
                                                                 kv_test_tls_update_key};

/* Sends the text in pieces, with a change of keys behind each. */
static void send_with_updates(struct kv_test_stream *stream, struct kv_slice text, size_t piece)
{
    for (size_t i = 0; text.len != 0; i++) {
        size_t n = text.len < piece ? text.len : piece;
        kv_test_stream_put(stream, (struct kv_slice){text.bytes, n});
        kv_test_stream_flush(stream);
        updates[i % 2](stream);
        text = (struct kv_slice){text.bytes + n, text.len - n};
    }
}

static void keys_may_change_within_a_request(void **state)
{
    struct kv_test_stream stream;
    struct kv_test_response response = {0};
    (void)state;
    connect_with(&stream, &(struct kv_test_tls_options){.version = TLS1_3_VERSION});
    for (int i = 0; i < 10; i++) {
        send_with_updates(&stream, KV_SLICE("GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"), 7);
        assert_true(kv_test_http_receive(&stream, &response));
        assert_int_equal(response.status, 200);
    }
    kv_test_response_fini(&response);
    kv_test_stream_close(&stream);
}

static void keys_may_change_within_long_values(void **state)
{
    struct kv_test_stream stream;
    struct kv_test_response response = {0};
    struct kv_buffer request = {0};
    char *value = create_value();
    (void)state;
    connect_with(&stream, &(struct kv_test_tls_options){.version = TLS1_3_VERSION});
    kv_test_http_write(&request, "PUT", KV_SLICE("/storage/a"), NULL, kv_slice_of(value));
    send_with_updates(&stream, kv_buffer_slice(&request), LONG / 9);
    assert_true(kv_test_http_receive(&stream, &response));
    assert_int_equal(response.status, 202);
    kv_test_stream_put(&stream, KV_SLICE("GET /storage/a HTTP/1.1\r\nHost: localhost\r\n\r\n"));
    for (size_t i = 1; i < 9; i++) {
        assert_true(kv_test_stream_await(&stream, i * LONG / 9));
        updates[i % 2](&stream);
    }
    assert_true(kv_test_http_receive(&stream, &response));
    assert_true(kv_slice_equals(kv_buffer_slice(&response.body), kv_slice_of(value)));
    write_and_read(&stream, "{\"value\":1}");
    kv_buffer_fini(&request);
    kv_test_response_fini(&response);
    kv_test_stream_close(&stream);
    free(value);
}

/* ---- clients whose records the test sends ---- */

struct raw {
    struct kv_test_stream stream;
    SSL_CTX *context;
    SSL *ssl; /* reads and writes memory */
};

/* Takes the records that the library has written. Valid until it writes again. */
static struct kv_slice take_written(struct raw *raw)
{
    char *bytes;
    long len = BIO_get_mem_data(SSL_get_wbio(raw->ssl), &bytes);
    return (struct kv_slice){bytes, (size_t)len};
}

static void send_bytes(struct raw *raw, struct kv_slice bytes)
{
    kv_test_stream_put(&raw->stream, bytes);
    kv_test_stream_flush(&raw->stream);
}

static void send_written(struct raw *raw)
{
    send_bytes(raw, take_written(raw));
    (void)BIO_reset(SSL_get_wbio(raw->ssl));
}

/* Has the library read what has come. */
static void pass_on(struct raw *raw)
{
    struct kv_slice came = kv_test_stream_unread(&raw->stream);
    BIO_write(SSL_get_rbio(raw->ssl), came.bytes, (int)came.len);
    kv_test_stream_use(&raw->stream, came.len);
}

static void open_raw(struct raw *raw)
{
    kv_test_stream_open_clear(&raw->stream, port);
    raw->context = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_min_proto_version(raw->context, TLS1_3_VERSION);
    raw->ssl = SSL_new(raw->context);
    SSL_set_bio(raw->ssl, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    while (SSL_connect(raw->ssl) != 1) {
        send_written(raw);
        if (kv_test_stream_unread(&raw->stream).len == 0)
            kv_test_stream_wait(&raw->stream);
        pass_on(raw);
    }
    send_written(raw);
}

static void close_raw(struct raw *raw)
{
    SSL_free(raw->ssl);
    SSL_CTX_free(raw->context);
    kv_test_stream_close(&raw->stream);
    ERR_clear_error();
}

#define REQUEST "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"

static void write_request(struct raw *raw)
{
    assert_int_equal(SSL_write(raw->ssl, REQUEST, sizeof(REQUEST) - 1), sizeof(REQUEST) - 1);
}

/* The answer may have come already, while the request was being sent. */
static void expect_answer(struct raw *raw)
{
    char answer[4096];
    int n;
    for (pass_on(raw); (n = SSL_read(raw->ssl, answer, sizeof(answer))) <= 0; pass_on(raw)) {
        assert_int_equal(SSL_get_error(raw->ssl, n), SSL_ERROR_WANT_READ);
        kv_test_stream_wait(&raw->stream);
    }
    assert_memory_equal(answer, "HTTP/1.1 200", 12);
}

static void record_may_arrive_in_two_parts(void **state)
{
    struct raw raw;
    (void)state;
    open_raw(&raw);
    size_t len = 0;
    for (size_t first = 1; first < len || len == 0; first++) {
        write_request(&raw);
        struct kv_slice record = take_written(&raw);
        len = record.len;
        send_bytes(&raw, (struct kv_slice){record.bytes, first});
        kv_test_stream_await_read(&raw.stream);
        send_bytes(&raw, (struct kv_slice){record.bytes + first, len - first});
        (void)BIO_reset(SSL_get_wbio(raw.ssl));
        expect_answer(&raw);
    }
    close_raw(&raw);
}

/* As long as more of it arrives before `request_progress` is over. */
static void slow_record_is_read(void **state)
{
    struct raw raw;
    (void)state;
    open_raw(&raw);
    write_request(&raw);
    struct kv_slice record = take_written(&raw);
    for (size_t i = 0; i < record.len; i++) {
        send_bytes(&raw, (struct kv_slice){record.bytes + i, 1});
        kv_test_sleep_ms(20);
    }
    (void)BIO_reset(SSL_get_wbio(raw.ssl));
    expect_answer(&raw);
    close_raw(&raw);
}

static void request_before_close_notify_is_answered(void **state)
{
    struct raw raw;
    char rest[16];
    (void)state;
    open_raw(&raw);
    write_request(&raw);
    SSL_shutdown(raw.ssl);
    send_written(&raw);
    expect_answer(&raw);
    kv_test_stream_await_end(&raw.stream);
    pass_on(&raw);
    assert_int_equal(SSL_get_error(raw.ssl, SSL_read(raw.ssl, rest, sizeof(rest))),
                     SSL_ERROR_ZERO_RETURN);
    close_raw(&raw);
}

/* It would come with the next text, and until then nothing can keep close_notify from being sent.
 */
static void answer_to_a_key_update_does_not_precede_close_notify(void **state)
{
    enum {
        CLOSE_NOTIFY = 5 + 2 + 1 + 16 /* header, alert, type and tag */
    };
    struct raw raw;
    char rest[16];
    (void)state;
    open_raw(&raw);
    write_request(&raw);
    send_written(&raw);
    expect_answer(&raw);
    assert_int_equal(SSL_key_update(raw.ssl, SSL_KEY_UPDATE_REQUESTED), 1);
    assert_int_equal(SSL_do_handshake(raw.ssl), 1);
    SSL_shutdown(raw.ssl);
    send_written(&raw);
    kv_test_stream_await_end(&raw.stream);
    assert_int_equal(kv_test_stream_unread(&raw.stream).len, CLOSE_NOTIFY);
    pass_on(&raw);
    assert_int_equal(SSL_get_error(raw.ssl, SSL_read(raw.ssl, rest, sizeof(rest))),
                     SSL_ERROR_ZERO_RETURN);
    close_raw(&raw);
}

/* Expects the server to send that alert, encrypted, and to close the connection. */
static void expect_alert(struct raw *raw, int reason)
{
    char rest[16];
    kv_test_stream_await_end(&raw->stream);
    pass_on(raw);
    ERR_clear_error();
    assert_int_equal(SSL_get_error(raw->ssl, SSL_read(raw->ssl, rest, sizeof(rest))),
                     SSL_ERROR_SSL);
    assert_int_equal(ERR_GET_REASON(ERR_peek_error()), reason);
    close_raw(raw);
}

static void changed_bit_ends_the_connection_with_an_alert(void **state)
{
    struct raw raw;
    (void)state;
    for (int i = 0; i < 3; i++) {
        open_raw(&raw);
        write_request(&raw);
        struct kv_slice record = take_written(&raw);
        size_t at[] = {5, record.len / 2, record.len - 1};
        char *changed = kv_memdup(record.bytes, record.len);
        changed[at[i]] ^= 1;
        send_bytes(&raw, (struct kv_slice){changed, record.len});
        expect_alert(&raw, SSL_R_SSLV3_ALERT_BAD_RECORD_MAC);
        free(changed);
    }
}

static void records_that_are_not_encrypted_end_the_connection_with_an_alert(void **state)
{
    static const struct {
        struct kv_slice bytes;
        int reason;
    } cases[] = {
        {{"\x14\3\3\0\1\1", 6}, SSL_R_SSLV3_ALERT_UNEXPECTED_MESSAGE},
        {{"\x15\3\3\0\2\2\50", 7}, SSL_R_SSLV3_ALERT_UNEXPECTED_MESSAGE},
        {{"GET / HTTP/1.1\r\n\r\n", 18}, SSL_R_SSLV3_ALERT_UNEXPECTED_MESSAGE},
        {{"\x17\3\3\x41\1", 5}, SSL_R_TLSV1_ALERT_RECORD_OVERFLOW},
    };
    struct raw raw;
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        open_raw(&raw);
        send_bytes(&raw, cases[i].bytes);
        expect_alert(&raw, cases[i].reason);
    }
}

static void endless_key_updates_end_the_connection_with_an_alert(void **state)
{
    struct raw raw;
    (void)state;
    open_raw(&raw);
    for (int i = 0; i < TOO_MANY_UPDATES; i++) {
        assert_int_equal(SSL_key_update(raw.ssl, SSL_KEY_UPDATE_NOT_REQUESTED), 1);
        assert_int_equal(SSL_do_handshake(raw.ssl), 1);
    }
    send_written(&raw);
    expect_alert(&raw, SSL_R_SSLV3_ALERT_UNEXPECTED_MESSAGE);
}

/* ---- memory ---- */

static size_t counted_memory(void)
{
    static const char name[] = "\nkvserver_connection_memory_bytes ";
    struct kv_test_stream stream;
    struct kv_test_response response = {0};
    kv_test_stream_open_clear(&stream, server.port);
    assert_int_equal(kv_test_http_ask(&stream, "GET", "/metrics", NULL, NULL, &response), 200);
    kv_buffer_append_char(&response.body, '\0');
    const char *at = strstr(response.body.bytes, name);
    assert_non_null(at);
    size_t bytes = strtoul(at + strlen(name), NULL, 10);
    kv_test_response_fini(&response);
    kv_test_stream_close(&stream);
    return bytes;
}

/* The count is exact to 256 KiB; with an `SSL`, each would count 14 KiB. */
static void idle_connections_take_little_memory(void **state)
{
    static struct kv_test_ws idle[N_IDLE];
    (void)state;
    for (size_t i = 0; i < N_IDLE; i++) {
        idle[i] = (struct kv_test_ws){.mask = 1};
        connect_with(&idle[i].stream, &(struct kv_test_tls_options){.version = TLS1_3_VERSION});
        kv_test_ws_upgrade(&idle[i]);
    }
    assert_true(counted_memory() <= (size_t)N_IDLE * MOST_OF_IDLE);
    for (size_t i = 0; i < N_IDLE; i++)
        kv_test_ws_close(&idle[i]);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, start, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(each_suite_and_version_carries_short_and_long_values),
        TEST(records_are_as_short_as_the_client_asks),
        TEST(sessions_are_resumed_again_and_again),
        TEST(keys_may_change_within_a_request),
        TEST(keys_may_change_within_long_values),
        TEST(record_may_arrive_in_two_parts),
        cmocka_unit_test_setup_teardown(slow_record_is_read, start_impatient, stop),
        TEST(request_before_close_notify_is_answered),
        TEST(answer_to_a_key_update_does_not_precede_close_notify),
        TEST(changed_bit_ends_the_connection_with_an_alert),
        TEST(records_that_are_not_encrypted_end_the_connection_with_an_alert),
        TEST(endless_key_updates_end_the_connection_with_an_alert),
        TEST(idle_connections_take_little_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
