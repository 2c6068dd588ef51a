/* Heads of requests: every case as a whole, byte by byte and in random pieces. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/buffer.h"
#include "base/mem.h"
#include "wire/request_head.h"

#define N(array) (sizeof(array) / sizeof((array)[0]))
#define TEXT(literal)                                                                              \
    {                                                                                              \
        "" literal, sizeof(literal) - 1                                                            \
    }
#define GET(lines)  TEXT("GET / HTTP/1.1\r\nHost: h\r\n" lines "\r\n")
#define LINES_BEGIN 25 /* of GET() */

enum {
    RANDOM_CUTS = 10
};

struct outcome {
    int got;
    struct kv_request_head head;
    char *bytes; /* the remaining bytes; owned */
};

/* At each call, the available input is at the end of a block of its own, so that a sanitizer
 * detects any access beyond it. piece: the longest piece; 0: random. */
static struct outcome read_in_pieces(struct kv_slice text, size_t piece)
{
    struct outcome outcome = {.bytes = NULL};
    for (size_t len = 0; len < text.len && outcome.got == 0;) {
        size_t more = piece != 0 ? piece : 1 + (size_t)rand() % 7;
        more = more < text.len - len ? more : text.len - len;
        char *grown = malloc(len + more);
        if (len != 0)
            memcpy(grown, outcome.bytes, len);
        memcpy(grown + len, text.bytes + len, more);
        free(outcome.bytes);
        outcome.bytes = grown;
        len += more;
        outcome.got = kv_request_head_read(&outcome.head, outcome.bytes, len);
        assert_true(outcome.head.len <= len);
    }
    return outcome;
}

static bool is_same_part(struct kv_head_part a, struct kv_head_part b)
{
    return a.at == b.at && a.len == b.len;
}

static void assert_same(const struct outcome *a, const struct outcome *b)
{
    assert_int_equal(a->got, b->got);
    assert_int_equal(a->head.fault.status, b->head.fault.status);
    assert_ptr_equal(a->head.fault.what, b->head.fault.what);
    assert_int_equal(a->head.fault.at, b->head.fault.at);
    assert_int_equal(a->head.len, b->head.len);
    assert_int_equal(a->head.framing, b->head.framing);
    assert_int_equal(a->head.body_len, b->head.body_len);
    assert_true(is_same_part(a->head.host, b->head.host));
    assert_true(is_same_part(a->head.path, b->head.path));
    if (a->head.len != 0)
        assert_memory_equal(a->bytes, b->bytes, a->head.len);
}

/* Owns: the caller, the bytes of the result. */
static struct outcome read_every_way(struct kv_slice text)
{
    struct outcome whole = read_in_pieces(text, text.len);
    for (size_t i = 0; i <= RANDOM_CUTS; i++) {
        struct outcome cut = read_in_pieces(text, i == 0 ? 1 : 0);
        assert_same(&whole, &cut);
        free(cut.bytes);
    }
    return whole;
}

static void assert_part(const struct outcome *outcome, struct kv_head_part part,
                        const char *expected)
{
    struct kv_slice found = kv_head_slice(outcome->bytes, part);
    if (!kv_slice_equals(found, kv_slice_of(expected)))
        fail_msg("%.*s instead of %s", (int)found.len, found.bytes, expected);
}

static void assert_refused(struct kv_slice text, size_t at)
{
    struct outcome outcome = read_every_way(text);
    if (outcome.got != -1 || outcome.head.fault.at != at)
        fail_msg("%s: %d at %zu", text.bytes, outcome.got, outcome.head.fault.at);
    assert_int_equal(outcome.head.fault.status, 400);
    assert_non_null(outcome.head.fault.what);
    free(outcome.bytes);
}

static struct outcome read_whole(struct kv_slice text)
{
    struct outcome outcome = read_every_way(text);
    if (outcome.got != 1)
        fail_msg("%s: %d, %s at %zu", text.bytes, outcome.got,
                 outcome.got < 0 ? outcome.head.fault.what : "", outcome.head.fault.at);
    return outcome;
}

static void a_request_line_has_method_target_and_version(void **state)
{
    static const struct {
        struct kv_slice text;
        const char *method, *path, *host;
    } cases[] = {
        {TEXT("GET / HTTP/1.1\r\nHost: h\r\n\r\n"), "GET", "/", "h"},
        {TEXT("GET / HTTP/1.1\nHost:h:80\n\n"), "GET", "/", "h:80"},
        {TEXT("\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n"), "GET", "/", "h"},
        {TEXT("\nGET / HTTP/1.1\r\nHost:\r\n\r\n"), "GET", "/", ""},
        {TEXT("M!#$%&'*+-.^_`|~9 /a?b=c HTTP/1.9\r\nhOsT: [::1]:3\r\n\r\n"), "M!#$%&'*+-.^_`|~9",
         "/a?b=c", "[::1]:3"},
        {TEXT("PUT /\xc3\xa4\"<>\\^`{|}%zz HTTP/1.0\r\n\r\n"), "PUT", "/\xc3\xa4\"<>\\^`{|}%zz",
         ""},
        {TEXT("GET //a/..//%00 HTTP/1.1\r\nHost: h\r\n\r\n"), "GET", "//a/..//%00", "h"},
        {TEXT("GET http://a.b:80/c?d HTTP/1.1\r\nHost: e\r\n\r\n"), "GET", "/c?d", "a.b:80"},
        {TEXT("GET HTTP://a HTTP/1.1\r\nHost: a\r\n\r\n"), "GET", "", "a"},
        {TEXT("GET hTTps://[::1]?q HTTP/1.1\r\nHost: a\r\n\r\n"), "GET", "?q", "[::1]"},
        {TEXT("GET http://a/ HTTP/1.0\r\n\r\n"), "GET", "/", "a"},
        {TEXT("OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n"), "OPTIONS", "*", "h"},
    };
    (void)state;
    for (size_t i = 0; i < N(cases); i++) {
        struct outcome outcome = read_whole(cases[i].text);
        assert_part(&outcome, outcome.head.method, cases[i].method);
        assert_part(&outcome, outcome.head.path, cases[i].path);
        assert_part(&outcome, outcome.head.host, cases[i].host);
        assert_int_equal(outcome.head.len, cases[i].text.len);
        free(outcome.bytes);
    }
}

static void malformed_request_lines_are_refused(void **state)
{
    static const struct {
        struct kv_slice text;
        size_t at;
    } cases[] = {
        {TEXT("\r\n\r\nGET / HTTP/1.1\r\n"), 2},
        {TEXT(" GET / HTTP/1.1\r\n"), 0},
        {TEXT("GET\r\n"), 0},
        {TEXT("GET /\r\n"), 0},
        {TEXT("GET / HTTP/1.1 \r\n"), 0},
        {TEXT("GET / HTTP/1.10\r\n"), 0},
        {TEXT("GET / HTTP/1.\r\n"), 0},
        {TEXT("GET / http/1.1\r\n"), 0},
        {TEXT("GET / HTTP/2.0\r\n"), 0},
        {TEXT("GET / HTTP/0.9\r\n"), 0},
        {TEXT("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), 0},
        {TEXT("GET HTTP/1.1\r\n"), 0},
        {TEXT("GET  HTTP/1.1\r\n"), 4},
        {TEXT("GET  / HTTP/1.1\r\n"), 4},
        {TEXT("GET /  HTTP/1.1\r\n"), 5},
        {TEXT("GET /a b HTTP/1.1\r\n"), 6},
        {TEXT("GET\t/ HTTP/1.1\r\n"), 0},
        {TEXT("GET /a\tb HTTP/1.1\r\n"), 6},
        {TEXT("GET /\tHTTP/1.1\r\n"), 0},
        {TEXT("G(T / HTTP/1.1\r\n"), 0},
        {TEXT("GET\xc3\xa4 / HTTP/1.1\r\n"), 0},
        {TEXT("GET: / HTTP/1.1\r\n"), 0},
        {TEXT("GET /a#b HTTP/1.1\r\n"), 6},
        {TEXT("GET http://h/#b HTTP/1.1\r\n"), 13},
        {TEXT("GET /a\x01 HTTP/1.1\r\n"), 6},
        {TEXT("GET /a\0 HTTP/1.1\r\n"), 6},
        {TEXT("GET /a\x7f HTTP/1.1\r\n"), 6},
        {TEXT("GET /\rHTTP/1.1\r\n"), 5},
        {TEXT("GET / HTTP/1.1\r\r\n"), 14},
        {TEXT("\x16\x03\x01\x02"), SIZE_MAX}, /* TLS */
        {TEXT("PROXY TCP4 192.0.2.1 192.0.2.2 1000 443\r\n"), SIZE_MAX},
        {TEXT("GET * HTTP/1.1\r\n"), 4},
        {TEXT("OPTIONS ** HTTP/1.1\r\n"), 8},
        {TEXT("GET storage/k HTTP/1.1\r\n"), 4},
        {TEXT("GET ftp://h/ HTTP/1.1\r\n"), 4},
        {TEXT("GET http:/h/ HTTP/1.1\r\n"), 4},
        {TEXT("GET http:// HTTP/1.1\r\n"), 11},
        {TEXT("GET http:///path HTTP/1.1\r\n"), 11},
        {TEXT("GET http://:80/ HTTP/1.1\r\n"), 11},
        {TEXT("GET http://a@h/ HTTP/1.1\r\n"), 11},
        {TEXT("GET http://h:x/ HTTP/1.1\r\n"), 11},
        {TEXT("CONNECT h:80 HTTP/1.1\r\n"), 8},
    };
    (void)state;
    for (size_t i = 0; i < N(cases); i++)
        assert_refused(cases[i].text, cases[i].at);
}

static void malformed_header_lines_are_refused(void **state)
{
    static const struct {
        struct kv_slice text;
        size_t at;
    } cases[] = {
        {TEXT("GET / HTTP/1.1\r\n Host: h\r\n\r\n"), 16},
        {GET("A: b\r\n c\r\n"), LINES_BEGIN + 6},
        {GET("A: b\r\n\tc\r\n"), LINES_BEGIN + 6},
        {GET("A: b\r\n \r\n"), LINES_BEGIN + 6},
        {GET("Content-Length: 0\r\n 73\r\n"), LINES_BEGIN + 19},
        {GET("Origin: http://localhost\r\n .evil.example\r\n"), LINES_BEGIN + 26},
        {GET("no colon\r\n"), LINES_BEGIN},
        {GET(": a\r\n"), LINES_BEGIN},
        {GET("A : b\r\n"), LINES_BEGIN},
        {GET("A\t: b\r\n"), LINES_BEGIN},
        {GET("A B: b\r\n"), LINES_BEGIN},
        {GET("A(: b\r\n"), LINES_BEGIN},
        {GET("\xc3\xa4: b\r\n"), LINES_BEGIN},
        {GET("A: b\0c\r\n"), LINES_BEGIN + 4},
        {GET("A: b\x01\r\n"), LINES_BEGIN + 4},
        {GET("A: b\x7f\r\n"), LINES_BEGIN + 4},
        {GET("A: b\rc\r\n"), LINES_BEGIN + 4},
        {GET("A: b\r\r\n"), LINES_BEGIN + 4},
        {GET("A\0: b\r\n"), LINES_BEGIN + 1},
        {GET("\r \r\n"), LINES_BEGIN},
    };
    (void)state;
    for (size_t i = 0; i < N(cases); i++)
        assert_refused(cases[i].text, cases[i].at);
}

static void exactly_one_valid_host_is_required(void **state)
{
    static const struct {
        struct kv_slice text;
        size_t at;
    } cases[] = {
        {TEXT("GET / HTTP/1.1\r\n\r\n"), 16},
        {TEXT("GET http://h/ HTTP/1.1\r\n\r\n"), 24},
        {GET("Host: h\r\n"), LINES_BEGIN},
        {GET("host: \r\n"), LINES_BEGIN},
        {TEXT("GET / HTTP/1.0\r\nHost: h\r\nHost: h\r\n\r\n"), 25},
        {TEXT("GET / HTTP/1.1\r\nHost: a b\r\n\r\n"), 16},
        {TEXT("GET / HTTP/1.1\r\nHost: a, b:1\r\n\r\n"), 16},
        {TEXT("GET / HTTP/1.1\r\nHost: http://a\r\n\r\n"), 16},
        {TEXT("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n"), 16},
        {TEXT("GET / HTTP/1.1\r\nHost: a@b\r\n\r\n"), 16},
        {TEXT("GET / HTTP/1.1\r\nHost: a:b\r\n\r\n"), 16},
        {TEXT("GET http://h/ HTTP/1.1\r\nHost: a:b\r\n\r\n"), 24},
    };
    (void)state;
    for (size_t i = 0; i < N(cases); i++)
        assert_refused(cases[i].text, cases[i].at);
}

static void the_length_of_a_body_must_be_given_once_and_in_digits(void **state)
{
    static const struct {
        struct kv_slice text;
        size_t at;
    } cases[] = {
        {GET("Content-Length: 1\r\nContent-Length: 1\r\n"), LINES_BEGIN + 19},
        {GET("Content-Length: 0\r\nContent-Length: 11\r\n"), LINES_BEGIN + 19},
        {GET("Content-Length: 1\r\nTransfer-Encoding: chunked\r\n"), LINES_BEGIN + 19},
        {GET("Transfer-Encoding: chunked\r\nContent-Length: 1\r\n"), LINES_BEGIN + 28},
        {GET("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"), LINES_BEGIN + 28},
        {GET("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n"), LINES_BEGIN + 28},
        {GET("Content-Length:\r\n"), LINES_BEGIN},
        {GET("Content-Length: +1\r\n"), LINES_BEGIN},
        {GET("Content-Length: -1\r\n"), LINES_BEGIN},
        {GET("Content-Length: 0x1\r\n"), LINES_BEGIN},
        {GET("Content-Length: 1,1\r\n"), LINES_BEGIN},
        {GET("Content-Length: 1, 1\r\n"), LINES_BEGIN},
        {GET("Content-Length: 1 1\r\n"), LINES_BEGIN},
        {GET("Content-Length: 1.0\r\n"), LINES_BEGIN},
        {GET("Content-Length: \"1\"\r\n"), LINES_BEGIN},
        {GET("Content-Length: 1e1\r\n"), LINES_BEGIN},
        {GET("Content-Length: 9223372036854775808\r\n"), LINES_BEGIN},
        {GET("Content-Length: 18446744073709551617\r\n"), LINES_BEGIN},
        {GET("Content-Length: 99999999999999999999999999999999999999999\r\n"), LINES_BEGIN},
        {GET("Transfer-Encoding:\r\n"), LINES_BEGIN},
        {GET("Transfer-Encoding: identity\r\n"), LINES_BEGIN},
        {GET("Transfer-Encoding: gzip, chunked\r\n"), LINES_BEGIN},
        {GET("Transfer-Encoding: chunked, gzip\r\n"), LINES_BEGIN},
        {GET("Transfer-Encoding: chunked, chunked\r\n"), LINES_BEGIN},
        {GET("Transfer-Encoding: chunked,\r\n"), LINES_BEGIN},
        {GET("Transfer-Encoding: chunked;q=1\r\n"), LINES_BEGIN},
        {GET("Transfer-Encoding: \"chunked\"\r\n"), LINES_BEGIN},
        {GET("Transfer-Encoding: xchunked\r\n"), LINES_BEGIN},
        {GET("Transfer-Encoding: chunk\r\n"), LINES_BEGIN},
    };
    (void)state;
    for (size_t i = 0; i < N(cases); i++)
        assert_refused(cases[i].text, cases[i].at);
}

static void lengths_and_encodings_are_read(void **state)
{
    static const struct {
        struct kv_slice text;
        enum kv_request_framing framing;
        uint64_t len;
    } cases[] = {
        {GET(""), KV_FRAMED_BY_NOTHING, 0},
        {GET("Content-Length: 0\r\n"), KV_FRAMED_BY_LENGTH, 0},
        {GET("content-length:11\r\n"), KV_FRAMED_BY_LENGTH, 11},
        {GET("Content-Length: \t 11 \t \r\n"), KV_FRAMED_BY_LENGTH, 11},
        {GET("Content-Length: 000000000000000000000000000000011\r\n"), KV_FRAMED_BY_LENGTH, 11},
        {GET("Content-Length: 922337203685477579\r\n"), KV_FRAMED_BY_LENGTH, 922337203685477579},
        {GET("Transfer-Encoding: chunked\r\n"), KV_FRAMED_BY_CHUNKS, 0},
        {GET("transfer-encoding:CHUNKED \r\n"), KV_FRAMED_BY_CHUNKS, 0},
    };
    (void)state;
    for (size_t i = 0; i < N(cases); i++) {
        struct outcome outcome = read_whole(cases[i].text);
        assert_int_equal(outcome.head.framing, cases[i].framing);
        assert_int_equal(outcome.head.body_len, cases[i].len);
        free(outcome.bytes);
    }
}

static void trailing_blanks_of_values_are_removed(void **state)
{
    struct outcome outcome = read_whole((struct kv_slice)GET("A: b c \t\r\nB: \t \r\nC:d \r\n"));
    (void)state;
    assert_memory_equal(outcome.bytes + LINES_BEGIN, "A:   b c\r\nB:   \r\nC: d\r\n\r\n", 25);
    free(outcome.bytes);
}

static void a_connection_persists_as_version_and_header_specify(void **state)
{
    static const struct {
        struct kv_slice text;
        bool stays;
    } cases[] = {
        {GET(""), true},
        {GET("Connection: close\r\n"), false},
        {GET("Connection: Close \r\n"), false},
        {GET("Connection: keep-alive, close\r\n"), false},
        {GET("Connection: close, keep-alive\r\n"), false},
        {GET("Connection: close\r\nConnection: keep-alive\r\n"), false},
        {GET("Connection: keep-alive\r\nConnection: TE ,\tCLOSE\r\n"), false},
        {GET("Connection: Upgrade\r\n"), true},
        {GET("Connection: closed, not-close\r\n"), true},
        {GET("Connection: ,,\r\n"), true},
        {GET("Transfer-Encoding: chunked\r\n"), true},
        {TEXT("GET / HTTP/1.0\r\n\r\n"), false},
        {TEXT("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n"), true},
        {TEXT("GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n"), false},
        {TEXT("GET / HTTP/1.0\r\nConnection: keep-alive\r\nConnection: close\r\n\r\n"), false},
        {TEXT("GET / HTTP/1.0\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n"),
         false},
    };
    (void)state;
    for (size_t i = 0; i < N(cases); i++) {
        struct outcome outcome = read_whole(cases[i].text);
        if (kv_request_head_is_persistent(&outcome.head) != cases[i].stays)
            fail_msg("%s", cases[i].text.bytes);
        free(outcome.bytes);
    }
}

static void expectations_are_met_once_and_not_for_http_1_0(void **state)
{
    static const struct {
        struct kv_slice text;
        bool expects_continue, expects_other;
    } cases[] = {
        {GET("A: b\r\n"), false, false},
        {GET("Expect: 100-continue\r\n"), true, false},
        {GET("EXPECT: 100-Continue \r\n"), true, false},
        {GET("Expect: 100-continue\r\nExpect: 100-continue\r\n"), true, false},
        {GET("Expect: more\r\n"), false, true},
        {GET("Expect: 100-continue, more\r\n"), false, true},
        {GET("Expect:\r\n"), false, true},
        {TEXT("GET / HTTP/1.0\r\nExpect: 100-continue\r\nExpect: more\r\n\r\n"), false, false},
    };
    (void)state;
    for (size_t i = 0; i < N(cases); i++) {
        struct outcome outcome = read_whole(cases[i].text);
        assert_int_equal(outcome.head.expects_continue, cases[i].expects_continue);
        assert_int_equal(outcome.head.expects_other, cases[i].expects_other);
        assert_null(memmem(outcome.bytes, outcome.head.len, "Expect:", 7));
        free(outcome.bytes);
    }
}

/* Returns: the result for a head with that many headers and that many bytes in total. */
static int read_large(size_t n_headers, size_t len)
{
    struct kv_buffer text = {0};
    kv_buffer_append(&text, KV_SLICE("GET / HTTP/1.1\r\nHost: h\r\n"));
    for (size_t i = 1; i < n_headers; i++)
        kv_buffer_append(&text, KV_SLICE("A: b\r\n"));
    text.len -= 2;
    while (text.len + 4 < len)
        kv_buffer_append_char(&text, 'x');
    kv_buffer_append(&text, KV_SLICE("\r\n\r\n"));
    struct kv_request_head head = {0};
    int got = kv_request_head_read(&head, text.bytes, text.len);
    assert_int_equal(got < 0 ? 400 : 0, head.fault.status);
    kv_buffer_fini(&text);
    return got;
}

static void a_head_has_at_most_100_headers_and_417792_bytes(void **state)
{
    (void)state;
    assert_int_equal(read_large(100, 0), 1);
    assert_int_equal(read_large(101, 0), -1);
    assert_int_equal(read_large(2, KV_REQUEST_HEAD_MOST_BYTES), 1);
    assert_int_equal(read_large(2, KV_REQUEST_HEAD_MOST_BYTES + 1), -1);
    assert_int_equal(read_large(2, 2 * KV_REQUEST_HEAD_MOST_BYTES), -1);
}

static void a_dechunked_body_has_a_length(void **state)
{
    static const struct {
        struct kv_slice text;
        uint64_t len;
        const char *line;
    } cases[] = {
        {GET("Transfer-Encoding: chunked\r\n"), 0, "Content-Length:          0\r\n\r\n"},
        {GET("Transfer-Encoding:chunked\r\n"), KV_REQUEST_HEAD_LONGEST_REWRITTEN,
         "Content-Length:9999999999\r\n\r\n"},
        {GET("Transfer-Encoding: chunked  \r\n"), 12, "Content-Length:           12\r\n\r\n"},
    };
    (void)state;
    for (size_t i = 0; i < N(cases); i++) {
        struct outcome outcome = read_whole(cases[i].text);
        kv_request_head_set_length(&outcome.head, outcome.bytes, cases[i].len);
        assert_memory_equal(outcome.bytes + LINES_BEGIN, cases[i].line, strlen(cases[i].line));
        struct kv_request_head again = {0};
        assert_int_equal(kv_request_head_read(&again, outcome.bytes, outcome.head.len), 1);
        assert_int_equal(again.body_len, cases[i].len);
        free(outcome.bytes);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_line_has_method_target_and_version),
        cmocka_unit_test(malformed_request_lines_are_refused),
        cmocka_unit_test(malformed_header_lines_are_refused),
        cmocka_unit_test(exactly_one_valid_host_is_required),
        cmocka_unit_test(the_length_of_a_body_must_be_given_once_and_in_digits),
        cmocka_unit_test(lengths_and_encodings_are_read),
        cmocka_unit_test(trailing_blanks_of_values_are_removed),
        cmocka_unit_test(a_connection_persists_as_version_and_header_specify),
        cmocka_unit_test(expectations_are_met_once_and_not_for_http_1_0),
        cmocka_unit_test(a_head_has_at_most_100_headers_and_417792_bytes),
        cmocka_unit_test(a_dechunked_body_has_a_length),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
