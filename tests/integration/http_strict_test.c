/*
 * Requests that two readers could interpret differently, which both implementations of HTTP must
 * treat identically, byte for byte: libh2o alone, and the fast path before it. Refused requests get
 * 400 as JSON, the connection ends, and later requests have no effect.
 */
#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "fixture.h"

#define N(array) (sizeof(array) / sizeof((array)[0]))
#define TEXT(literal)                                                                              \
    {                                                                                              \
        "" literal, sizeof(literal) - 1                                                            \
    }
#define HOST          "Host: localhost\r\n"
#define GET(lines)    TEXT("GET /storage/none HTTP/1.1\r\n" HOST lines "\r\n")
#define POST(lines)   "POST /storage/strict HTTP/1.1\r\n" HOST lines "\r\n"
#define CHUNKS(bytes) TEXT(POST("Transfer-Encoding: chunked\r\n") bytes)
#define BODY          "{\"value\":1}"

/* Sent after each case; ends the connection. */
static const char behind[] =
    "POST /storage/hidden HTTP/1.1\r\n" HOST "Connection: close\r\nContent-Length: 11\r\n\r\n" BODY;
static const char plain[] = "GET /storage/none HTTP/1.1\r\n" HOST "\r\n";

enum carrier {
    FAST,
    LIBRARY,
    N_CARRIERS
};

static struct kv_test_server servers[N_CARRIERS];

static int set_up(void **state)
{
    (void)state;
    kv_test_start(&servers[FAST], "");
    kv_test_start(&servers[LIBRARY], "http: {front: false}\n");
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    for (int i = 0; i < N_CARRIERS; i++)
        kv_test_server_stop_cleanly(&servers[i]);
    return 0;
}

/* Sends the bytes in pieces of at most `piece`. Returns: all that is answered until the connection
 * ends. Owns: the caller. */
static struct kv_buffer talk(uint16_t port, struct kv_slice bytes, size_t piece)
{
    struct kv_test_stream stream;
    struct kv_buffer answers = {0};
    kv_test_stream_open(&stream, port);
    while (bytes.len != 0 && !stream.is_ended) {
        size_t len = piece < bytes.len ? piece : bytes.len;
        kv_test_stream_put(&stream, (struct kv_slice){bytes.bytes, len});
        kv_test_stream_flush(&stream);
        bytes = (struct kv_slice){bytes.bytes + len, bytes.len - len};
    }
    kv_test_stream_await_end(&stream);
    kv_buffer_append(&answers, kv_test_stream_unread(&stream));
    kv_test_stream_close(&stream);
    return answers;
}

/* Overwrites what two servers differ in: the text behind a name up to its end. */
static void mask(struct kv_buffer *answers, struct kv_slice name, char end)
{
    char *at = answers->bytes;
    char *stop = answers->bytes + answers->len;
    while (at != NULL && (at = memmem(at, (size_t)(stop - at), name.bytes, name.len)) != NULL)
        for (at += name.len; at < stop && *at != end; at++)
            *at = '_';
}

/* The statuses, with a space between them. Bodies name the protocol too, but no status. */
static struct kv_buffer statuses_of(const struct kv_buffer *answers)
{
    struct kv_slice start = KV_SLICE("HTTP/1.1 ");
    struct kv_buffer statuses = {0};
    const char *at = answers->bytes, *stop = answers->bytes + answers->len;
    while (at != NULL && (at = memmem(at, (size_t)(stop - at), start.bytes, start.len)) != NULL) {
        at += start.len;
        if (!isdigit((unsigned char)*at))
            continue;
        if (statuses.len != 0)
            kv_buffer_append_char(&statuses, ' ');
        kv_buffer_append(&statuses, (struct kv_slice){at, 3});
    }
    return statuses;
}

static void assert_answers(const struct kv_buffer *answers, const char *expected,
                           struct kv_slice sent)
{
    struct kv_buffer statuses = statuses_of(answers);
    if (!kv_slice_equals(kv_buffer_slice(&statuses), kv_slice_of(expected)))
        fail_msg("%.*s\nis answered %.*s instead of %s", (int)sent.len, sent.bytes,
                 (int)statuses.len, statuses.bytes, expected);
    bool is_refused = strstr(expected, "400") != NULL;
    if (is_refused && memmem(answers->bytes, answers->len, "\r\n\r\n{\"error\":\"", 14) == NULL)
        fail_msg("the refusal is no JSON: %.*s", (int)answers->len, answers->bytes);
    kv_buffer_fini(&statuses);
}

static void assert_same(const struct kv_buffer answers[N_CARRIERS], struct kv_slice sent)
{
    if (!kv_slice_equals(kv_buffer_slice(&answers[FAST]), kv_buffer_slice(&answers[LIBRARY])))
        fail_msg("%.*s\nis answered\n%.*s\nand\n%.*s", (int)sent.len, sent.bytes,
                 (int)answers[FAST].len, answers[FAST].bytes, (int)answers[LIBRARY].len,
                 answers[LIBRARY].bytes);
}

static void expect_hidden(bool is_expected)
{
    for (int i = 0; i < N_CARRIERS; i++) {
        if (is_expected)
            kv_test_expect_value(servers[i].port, "hidden", "1");
        else
            kv_test_expect_missing(servers[i].port, "hidden");
        kv_test_http_status(servers[i].port, "DELETE", "/storage/hidden", NULL, NULL);
        kv_test_http_status(servers[i].port, "DELETE", "/storage/strict", NULL, NULL);
    }
}

static void check_sent(struct kv_slice sent, size_t piece, const char *expected)
{
    struct kv_buffer answers[N_CARRIERS];
    for (int i = 0; i < N_CARRIERS; i++) {
        answers[i] = talk(servers[i].port, sent, piece);
        mask(&answers[i], KV_SLICE("\r\nDate: "), '\r');
        mask(&answers[i], KV_SLICE("etag: \""), '"');
        assert_answers(&answers[i], expected, sent);
    }
    assert_same(answers, sent);
    for (int i = 0; i < N_CARRIERS; i++)
        kv_buffer_fini(&answers[i]);
}

/* A case at once, byte by byte, and behind a plain request. statuses: of its answers; with what
 * comes behind it where that is answered. */
static void check(struct kv_slice text, const char *statuses)
{
    bool goes_on = strlen(statuses) >= 4 && strcmp(statuses + strlen(statuses) - 4, " 202") == 0;
    struct kv_buffer sent = {0}, expected = {0};
    kv_buffer_append(&sent, kv_slice_of(plain));
    kv_buffer_append(&sent, text);
    kv_buffer_append(&sent, kv_slice_of(behind));
    kv_buffer_printf(&expected, "204 %s", statuses);
    kv_buffer_append_char(&expected, '\0');
    struct kv_slice all = kv_buffer_slice(&sent);
    struct kv_slice alone = {all.bytes + sizeof(plain) - 1, all.len - sizeof(plain) + 1};
    check_sent(alone, alone.len, statuses);
    expect_hidden(goes_on);
    check_sent(alone, 1, statuses);
    expect_hidden(goes_on);
    check_sent(all, all.len, expected.bytes);
    expect_hidden(goes_on);
    kv_buffer_fini(&sent);
    kv_buffer_fini(&expected);
}

static void check_all(const struct kv_slice *texts, size_t n, const char *statuses)
{
    for (size_t i = 0; i < n; i++)
        check(texts[i], statuses);
}

static void folded_header_lines_are_refused(void **state)
{
    static const struct kv_slice texts[] = {
        TEXT(POST("Content-Length: 0\r\n 73\r\n") BODY),
        GET("Origin: http://localhost\r\n .evil.example\r\n"),
        GET("Accept: a\r\n\tb\r\n"),
        TEXT("GET /storage/none HTTP/1.1\r\n " HOST "\r\n"),
    };
    (void)state;
    check_all(texts, N(texts), "400");
}

static void broken_chunk_lines_are_refused(void **state)
{
    static const struct kv_slice texts[] = {
        CHUNKS("0x50\r\n\r\n"),
        CHUNKS("bzzz\r\n" BODY "\r\n0\r\n\r\n"),
        CHUNKS("b\n" BODY "\r\n0\r\n\r\n"),
        CHUNKS("b\r\r\n" BODY "\r\n0\r\n\r\n"),
        CHUNKS("b\r\n" BODY "\n0\r\n\r\n"),
        CHUNKS("b\r\n" BODY "\r\r\n0\r\n\r\n"),
        CHUNKS("b\r\n" BODY "0\r\n\r\n"),
        CHUNKS("b\r\n" BODY "\r\n0\n\r\n"),
        CHUNKS("b\r\n" BODY "\r\n0\r\n\n"),
        CHUNKS("b\r\n" BODY "\r\n0\r\n\r\r\n"),
        CHUNKS("b;x\n" BODY "\r\n0\r\n\r\n"),
        CHUNKS("b ;x\0\r\n" BODY "\r\n0\r\n\r\n"),
        CHUNKS("-b\r\n" BODY "\r\n0\r\n\r\n"),
        CHUNKS(" b\r\n" BODY "\r\n0\r\n\r\n"),
        CHUNKS("b \r\n" BODY "\r\n0\r\n\r\n"),
        CHUNKS("b,b\r\n" BODY "\r\n0\r\n\r\n"),
    };
    (void)state;
    check_all(texts, N(texts), "400");
}

static void malformed_trailers_are_refused(void **state)
{
    static const struct kv_slice texts[] = {
        CHUNKS("b\r\n" BODY "\r\n0\r\nno colon\r\n\r\n"),
        CHUNKS("b\r\n" BODY "\r\n0\r\nX: a\n\r\n"),
        CHUNKS("b\r\n" BODY "\r\n0\r\nX: a\r\n b\r\n\r\n"),
        CHUNKS("b\r\n" BODY "\r\n0\r\nX : a\r\n\r\n"),
        CHUNKS("b\r\n" BODY "\r\n0\r\n: a\r\n\r\n"),
    };
    (void)state;
    check_all(texts, N(texts), "400");
}

static void long_extensions_and_trailers_are_refused(void **state)
{
    static const char *const begins[] = {"b;", "b\r\n" BODY "\r\n0\r\nX: "};
    (void)state;
    for (size_t i = 0; i < N(begins); i++) {
        struct kv_buffer text = {0};
        char *filler = kv_test_letters('x', 17000);
        kv_buffer_printf(&text, POST("Transfer-Encoding: chunked\r\n") "%s%s\r\n\r\n", begins[i],
                         filler);
        check_sent(kv_buffer_slice(&text), text.len, "400");
        free(filler);
        kv_buffer_fini(&text);
    }
}

static void malformed_request_lines_are_refused_with_400(void **state)
{
    static const struct kv_slice texts[] = {
        TEXT("G(T /storage/none HTTP/1.1\r\n" HOST "\r\n"),
        TEXT("G\xc3\xa4T /storage/none HTTP/1.1\r\n" HOST "\r\n"),
        TEXT(" GET /storage/none HTTP/1.1\r\n" HOST "\r\n"),
        TEXT("GET  /storage/none HTTP/1.1\r\n" HOST "\r\n"),
        TEXT("GET /storage/none HTTP/1.1 \r\n" HOST "\r\n"),
        TEXT("GET /storage/none HTTP/2.0\r\n" HOST "\r\n"),
        TEXT("GET /storage/none\r\n" HOST "\r\n"),
        TEXT("GET /storage/no#ne HTTP/1.1\r\n" HOST "\r\n"),
        TEXT("GET /storage/none?a#b HTTP/1.1\r\n" HOST "\r\n"),
        TEXT("GET /storage/n\x01ne HTTP/1.1\r\n" HOST "\r\n"),
        TEXT("GET /storage/n\tne HTTP/1.1\r\n" HOST "\r\n"),
        TEXT("GET /storage/n\x7fne HTTP/1.1\r\n" HOST "\r\n"),
        TEXT("GET storage/none HTTP/1.1\r\n" HOST "\r\n"),
        TEXT("GET * HTTP/1.1\r\n" HOST "\r\n"),
        TEXT("GET http:///storage/none HTTP/1.1\r\n" HOST "\r\n"),
        TEXT("CONNECT localhost:80 HTTP/1.1\r\n" HOST "\r\n"),
        TEXT("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
        TEXT("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n"),
        TEXT("\r\n\r\n\r\nGET /storage/none HTTP/1.1\r\n" HOST "\r\n"),
    };
    (void)state;
    check_all(texts, N(texts), "400");
}

static void malformed_header_lines_are_refused_with_400(void **state)
{
    static const struct kv_slice texts[] = {
        GET("no colon\r\n"),      GET(": a\r\n"),          GET("Accept : a\r\n"),
        GET("A(b: c\r\n"),        GET("Accept: a\0b\r\n"), GET("Accept: a\rb\r\n"),
        GET("Accept: a\x01\r\n"),
    };
    (void)state;
    check_all(texts, N(texts), "400");
}

static void ambiguous_hosts_are_refused(void **state)
{
    static const struct kv_slice texts[] = {
        GET("Host: localhost\r\n"),
        GET("host: localhost\r\n"),
        TEXT("GET /storage/none HTTP/1.1\r\n\r\n"),
        TEXT("GET /storage/none HTTP/1.1\r\nHost: local host\r\n\r\n"),
        TEXT("GET /storage/none HTTP/1.1\r\nHost: localhost, localhost\r\n\r\n"),
        TEXT("GET /storage/none HTTP/1.1\r\nHost: localhost/\r\n\r\n"),
        TEXT("GET /storage/none HTTP/1.1\r\nHost: http://localhost\r\n\r\n"),
        TEXT("GET /storage/none HTTP/1.1\r\nHost: user@localhost\r\n\r\n"),
        TEXT("GET /storage/none HTTP/1.1\r\nHost: localhost:port\r\n\r\n"),
        TEXT("GET /storage/none HTTP/1.1\r\nHost: localhost:65536\r\n\r\n"),
        TEXT("GET /storage/none HTTP/1.1\r\nHost: [::1\r\n\r\n"),
        TEXT("GET /storage/none HTTP/1.1\r\nHost: \xc3\xa4\r\n\r\n"),
        TEXT("GET /storage/none HTTP/1.0\r\nHost: localhost\r\nHost: localhost\r\n\r\n"),
    };
    (void)state;
    check_all(texts, N(texts), "400");
}

static void ambiguous_lengths_are_refused(void **state)
{
    static const struct kv_slice texts[] = {
        TEXT(POST("Content-Length: 11\r\nContent-Length: 11\r\n") BODY),
        TEXT(POST("Content-Length: 11, 11\r\n") BODY),
        TEXT(POST("Content-Length: +11\r\n") BODY),
        TEXT(POST("Content-Length: 0xb\r\n") BODY),
        TEXT(POST("Content-Length: 1 1\r\n") BODY),
        TEXT(POST("Content-Length:\r\n") BODY),
        TEXT(POST("Content-Length: 18446744073709551627\r\n") BODY),
        TEXT(POST("Content-Length: 11\r\nTransfer-Encoding: chunked\r\n") "b\r\n" BODY
                                                                          "\r\n0\r\n\r\n"),
        TEXT(POST("Transfer-Encoding: chunked\r\nContent-Length: 11\r\n") "b\r\n" BODY
                                                                          "\r\n0\r\n\r\n"),
        TEXT(POST("Transfer-Encoding: gzip, chunked\r\n") "b\r\n" BODY "\r\n0\r\n\r\n"),
        TEXT(POST("Transfer-Encoding: identity\r\n") BODY),
        TEXT(POST("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n") "0\r\n\r\n"),
    };
    (void)state;
    check_all(texts, N(texts), "400");
}

static void more_than_100_headers_or_417792_bytes_are_refused(void **state)
{
    struct kv_buffer many = {0}, large = {0};
    char *filler = kv_test_letters('x', 420000);
    (void)state;
    kv_buffer_append(&many, KV_SLICE("GET /storage/none HTTP/1.1\r\n" HOST));
    for (int i = 0; i < 100; i++)
        kv_buffer_append(&many, KV_SLICE("X-A: b\r\n"));
    kv_buffer_append(&many, KV_SLICE("\r\n"));
    kv_buffer_printf(&large, "GET /storage/none HTTP/1.1\r\n" HOST "X-A: %s\r\n\r\n", filler);
    check_sent(kv_buffer_slice(&many), many.len, "400");
    check_sent(kv_buffer_slice(&large), large.len, "400");
    free(filler);
    kv_buffer_fini(&many);
    kv_buffer_fini(&large);
}

static void requests_valid_by_rfc_9112_are_accepted(void **state)
{
    static const struct {
        struct kv_slice text;
        const char *statuses;
    } cases[] = {
        {TEXT(POST("Content-Length: 11 \t\r\n") BODY), "202 202"},
        {TEXT(POST("Content-Length: \t11\r\n") BODY), "202 202"},
        {TEXT(POST("Content-Length: 000011\r\n") BODY), "202 202"},
        {TEXT(POST("Transfer-Encoding: chunked \r\n") "b\r\n" BODY "\r\n0\r\n\r\n"), "202 202"},
        {CHUNKS("0000000000000000000000b\r\n" BODY "\r\n000\r\n\r\n"), "202 202"},
        {CHUNKS("B;a=\"b\";c ; d\r\n" BODY "\r\n0;e\r\nX: y\r\nZ:\r\n\r\n"), "202 202"},
        {TEXT(POST("Expect: 100-continue \r\nContent-Length: 11\r\n") BODY), "100 202 202"},
        {GET("Origin: http://localhost \r\n"), "204 202"},
        {GET("Connection: TE \r\n"), "204 202"},
        {GET("If-Match: * \r\n"), "412 202"},
        {TEXT("GET HTTP://localhost/storage/none HTTP/1.1\r\n" HOST "\r\n"), "204 202"},
        {TEXT("GET http://localhost:80/storage/none?q HTTP/1.1\r\nHost: [::1]\r\n\r\n"), "204 202"},
        {TEXT("OPTIONS * HTTP/1.1\r\n" HOST "\r\n"), "204 202"},
        {TEXT("\r\nGET /storage/none HTTP/1.1\r\n" HOST "\r\n"), "204 202"},
        {TEXT("GET /storage/none HTTP/1.1\nHost:localhost:1\n\n"), "204 202"},
        {TEXT("GET /storage/none HTTP/1.1\r\nHost:\r\n\r\n"), "204 202"},
        {TEXT("M!#$%&'*+-.^_`|~9 /storage/none HTTP/1.1\r\n" HOST "\r\n"), "405 202"},
        {GET("X-A: \xc3\xa4\tb\r\n"), "204 202"},
    };
    (void)state;
    for (size_t i = 0; i < N(cases); i++)
        check(cases[i].text, cases[i].statuses);
}

static void close_closes_in_any_order_and_on_any_line(void **state)
{
    static const struct kv_slice texts[] = {
        GET("Connection: close\r\n"),
        GET("Connection: keep-alive, close\r\n"),
        GET("Connection: close, keep-alive\r\n"),
        GET("Connection: close\r\nConnection: keep-alive\r\n"),
        GET("Connection: keep-alive\r\nConnection: TE,CLOSE \r\n"),
        TEXT("GET /storage/none HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n"),
        TEXT("GET /storage/none HTTP/1.0\r\nConnection: close\r\nConnection: keep-alive\r\n\r\n"),
        TEXT("GET /storage/none HTTP/1.0\r\n\r\n"),
    };
    (void)state;
    check_all(texts, N(texts), "204");
    check((struct kv_slice)TEXT("GET /storage/none HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n"),
          "204 202");
}

static void http_1_0_has_neither_chunks_nor_expectations(void **state)
{
    static const struct kv_slice texts[] = {
        TEXT("POST /storage/strict HTTP/1.0\r\nTransfer-Encoding: chunked\r\n"
             "Connection: keep-alive\r\n\r\nb\r\n" BODY "\r\n0\r\n\r\n"),
        TEXT("POST /storage/strict HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: "
             "11\r\n\r\n" BODY),
        TEXT("POST /storage/strict HTTP/1.0\r\nExpect: more\r\nContent-Length: 11\r\n\r\n" BODY),
    };
    (void)state;
    check_all(texts, N(texts), "202");
}

static void refusals_contain_reason_and_offset(void **state)
{
    struct kv_test_stream stream;
    struct kv_test_response response = {0};
    (void)state;
    kv_test_stream_open(&stream, servers[FAST].port);
    kv_test_stream_put(&stream,
                       KV_SLICE("GET / HTTP/1.1\r\nHost: localhost\r\nA: b\r\n c\r\n\r\n"));
    kv_test_stream_flush(&stream);
    assert_true(kv_test_http_receive(&stream, &response));
    assert_int_equal(response.status, 400);
    assert_string_equal(kv_test_response_header(&response, "content-type"), "application/json");
    assert_string_equal(kv_test_response_header(&response, "connection"), "close");
    assert_true(kv_slice_equals(
        kv_buffer_slice(&response.body),
        KV_SLICE("{\"error\":\"a header line is folded, at byte 39 of the request\"}")));
    kv_test_response_fini(&response);
    kv_test_stream_close(&stream);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(folded_header_lines_are_refused),
        cmocka_unit_test(broken_chunk_lines_are_refused),
        cmocka_unit_test(malformed_trailers_are_refused),
        cmocka_unit_test(long_extensions_and_trailers_are_refused),
        cmocka_unit_test(malformed_request_lines_are_refused_with_400),
        cmocka_unit_test(malformed_header_lines_are_refused_with_400),
        cmocka_unit_test(ambiguous_hosts_are_refused),
        cmocka_unit_test(ambiguous_lengths_are_refused),
        cmocka_unit_test(more_than_100_headers_or_417792_bytes_are_refused),
        cmocka_unit_test(requests_valid_by_rfc_9112_are_accepted),
        cmocka_unit_test(close_closes_in_any_order_and_on_any_line),
        cmocka_unit_test(http_1_0_has_neither_chunks_nor_expectations),
        cmocka_unit_test(refusals_contain_reason_and_offset),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
