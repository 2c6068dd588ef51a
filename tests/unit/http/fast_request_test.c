/* Which requests take the fast path, and how they are parsed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/buffer.h"
#include "base/mem.h"
#include "http/fast_request.h"

#define N(array)   (sizeof(array) / sizeof((array)[0]))
#define GET(lines) "GET /storage/k HTTP/1.1\r\nHost: h\r\n" lines "\r\n"
#define POST(len)  "POST /k HTTP/1.1\r\nContent-Length: " len "\r\nHost: h:1\r\n\r\n"

/* The input is at the very end of its block, so that a sanitizer detects any read beyond it. */
static enum kv_fast_verdict read_copy_after(struct kv_head_memory *memory, struct kv_slice input)
{
    struct kv_request request;
    size_t len;
    char *copy = kv_memdup(input.bytes, input.len);
    kv_head_memory_begin(memory);
    enum kv_fast_verdict verdict =
        kv_fast_request_read((struct kv_slice){copy, input.len}, memory, &request, &len);
    free(copy);
    return verdict;
}

static enum kv_fast_verdict read_copy(struct kv_slice input)
{
    static struct kv_known_heads known;
    struct kv_head_memory memory = kv_head_memory_of(&known);
    memset(&known, 0, sizeof(known));
    return read_copy_after(&memory, input);
}

static void assert_verdict(const char *text, enum kv_fast_verdict expected)
{
    if (read_copy(kv_slice_of(text)) != expected)
        fail_msg("misjudged: %s", text);
}

static void plain_requests_are_read(void **state)
{
    static const struct {
        const char *text, *behind;
        enum kv_method method;
        const char *host, *path, *body;
    } cases[] = {
        {"GET /storage/ HTTP/1.1\r\nHost: h\r\n\r\n", "", KV_METHOD_GET, "h", "/storage/", ""},
        {"GET / HTTP/1.1\r\nHost: h\r\n\r\n", "", KV_METHOD_GET, "h", "/", ""},
        {"GET /storage/a%2Fb/?c=d?e HTTP/1.1\r\nhost:h\r\n\r\n", "G", KV_METHOD_GET, "h",
         "/storage/a%2Fb/", ""},
        {"HEAD /ws HTTP/1.1\r\nHOST: \r\n\r\n", "\r\n", KV_METHOD_HEAD, "", "/ws", ""},
        {"DELETE /storage/k HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n", "GET",
         KV_METHOD_DELETE, "h", "/storage/k", ""},
        {"POST /storage/k HTTP/1.1\r\nHost: h\r\nContent-Length: 003\r\n\r\nabc", "GET",
         KV_METHOD_POST, "h", "/storage/k", "abc"},
        {"PUT /storage/\xc3\xa4 HTTP/1.1\r\nContent-Length: 2\r\nHost: h\r\n\r\n{}", "",
         KV_METHOD_PUT, "h", "/storage/\xc3\xa4", "{}"},
    };
    (void)state;
    static struct kv_known_heads known;
    struct kv_head_memory memory = kv_head_memory_of(&known);
    for (size_t i = 0; i < 2 * N(cases); i++) { /* twice: the second time, each head is known */
        const char *text = cases[i / 2].text;
        struct kv_request request;
        struct kv_buffer input = {0};
        size_t len;
        kv_buffer_printf(&input, "%s%s", text, cases[i / 2].behind);
        kv_head_memory_begin(&memory);
        assert_int_equal(kv_fast_request_read(kv_buffer_slice(&input), &memory, &request, &len),
                         KV_FAST_PLAIN);
        assert_int_equal(request.method, cases[i / 2].method);
        assert_true(kv_slice_equals(request.host, kv_slice_of(cases[i / 2].host)));
        assert_true(kv_slice_equals(request.path, kv_slice_of(cases[i / 2].path)));
        assert_true(kv_slice_equals(request.body, kv_slice_of(cases[i / 2].body)));
        assert_int_equal(request.n_headers, 0);
        assert_int_equal(len, strlen(text));
        kv_buffer_fini(&input);
    }
}

static struct kv_request read_with(struct kv_head_memory *memory, const char *text)
{
    struct kv_request request;
    size_t len;
    kv_head_memory_begin(memory);
    assert_int_equal(kv_fast_request_read(kv_slice_of(text), memory, &request, &len),
                     KV_FAST_PLAIN);
    assert_int_equal(len, strlen(text));
    return request;
}

static void the_query_is_separated_from_the_path(void **state)
{
    static const struct {
        const char *target, *path, *query; /* NULL: no query */
    } cases[] = {
        {"/storage", "/storage", NULL},
        {"/storage?", "/storage", ""},
        {"/storage?prefix=a&limit=5", "/storage", "prefix=a&limit=5"},
        {"/storage/a?b?c", "/storage/a", "b?c"},
    };
    (void)state;
    for (size_t i = 0; i < N(cases); i++) {
        struct kv_buffer text = {0};
        static struct kv_known_heads known;
        struct kv_head_memory memory = kv_head_memory_of(&known);
        kv_buffer_printf(&text, "GET %s HTTP/1.1\r\nHost: h\r\n\r\n", cases[i].target);
        struct kv_request request = read_with(&memory, text.bytes);
        assert_true(kv_slice_equals(request.path, kv_slice_of(cases[i].path)));
        assert_int_equal(request.query.bytes == NULL, cases[i].query == NULL);
        if (cases[i].query != NULL && request.query.bytes != NULL)
            assert_true(kv_slice_equals(request.query, kv_slice_of(cases[i].query)));
        kv_buffer_fini(&text);
    }
}

static void assert_path_ends(int before, int byte)
{
    static struct kv_known_heads known;
    struct kv_head_memory memory = kv_head_memory_of(&known);
    struct kv_buffer text = {0};
    bool is_refused = byte <= ' ' || byte == '#' || byte == 0x7f;
    kv_buffer_printf(&text, "GET /%.*s%cz HTTP/1.1\r\nHost: h\r\n\r\n", before,
                     "!\"abcdefghijklmnopqrstuvwxyz", byte);
    if (is_refused) {
        assert_int_equal(read_copy(kv_buffer_slice(&text)), KV_FAST_OTHER);
    } else {
        struct kv_request request = read_with(&memory, text.bytes);
        size_t len = (size_t)before + (byte == '?' ? 1 : 3);
        assert_int_equal(request.path.len, len);
    }
    kv_buffer_fini(&text);
}

/* With each byte at each position of a word. */
static void paths_end_at_the_query_or_the_space(void **state)
{
    (void)state;
    for (int byte = 1; byte < 256; byte++)
        for (int before = 0; before < 20; before++)
            assert_path_ends(before, byte);
}

static void lengths_may_differ_in_a_known_head(void **state)
{
    static struct kv_known_heads known;
    struct kv_head_memory memory = kv_head_memory_of(&known);
    (void)state;
    read_with(&memory, POST("1") "a");
    const struct kv_known_head *usual = memory.usual;
    struct kv_request request = read_with(&memory, POST("12") "{\"value\": 1}");
    assert_ptr_equal(memory.usual, usual);
    assert_true(kv_slice_equals(request.body, KV_SLICE("{\"value\": 1}")));
    assert_true(kv_slice_equals(request.host, KV_SLICE("h:1")));
    assert_int_equal(known.all[1].len, 0);
    static const char *const others[] = {POST(""), POST("16385"), POST("000001") "a",
                                         POST("1 ") "a", POST("+1") "a"};
    for (size_t i = 0; i < N(others); i++)
        assert_int_equal(read_copy_after(&memory, kv_slice_of(others[i])), KV_FAST_OTHER);
}

#define WITH_TOKEN(token, length)                                                                  \
    "POST /storage/k HTTP/1.1\r\nAuthorization: Bearer " token                                     \
    "\r\nHost: h\r\nContent-Length: " length "\r\n\r\n"

static struct kv_request read_with_token(struct kv_head_memory *memory, const char *text)
{
    struct kv_request request = read_with(memory, text);
    kv_head_memory_use_token(memory, request.token);
    return request;
}

static void clients_with_other_tokens_share_a_known_head(void **state)
{
    static struct kv_known_heads known;
    struct kv_head_memory one = kv_head_memory_of(&known), other = kv_head_memory_of(&known);
    (void)state;
    read_with_token(&one, WITH_TOKEN("abc", "1") "a");
    read_with_token(&other, WITH_TOKEN("defghi", "10") "0123456789");
    assert_ptr_equal(one.usual, other.usual);
    assert_int_equal(known.all[1].len, 0);
    for (int i = 0; i < 2; i++) {
        struct kv_request request = read_with_token(&one, WITH_TOKEN("abc", "2") "ab");
        assert_true(kv_slice_equals(request.token, KV_SLICE("abc")));
        assert_true(request.is_usual_token);
        assert_true(kv_slice_equals(request.host, KV_SLICE("h")));
        assert_true(kv_slice_equals(request.body, KV_SLICE("ab")));
        request = read_with_token(&other, WITH_TOKEN("defghi", "0"));
        assert_true(kv_slice_equals(request.token, KV_SLICE("defghi")));
    }
}

static void another_token_is_not_mistaken_for_the_known_one(void **state)
{
    static const char *const others[] = {"ab", "abcd", "abd", "Abc", "abc=", "xabc"};
    (void)state;
    for (size_t i = 0; i < N(others); i++) {
        static struct kv_known_heads known;
        struct kv_head_memory memory = kv_head_memory_of(&known);
        struct kv_buffer text = {0};
        read_with_token(&memory, WITH_TOKEN("abc", "0"));
        kv_buffer_printf(&text,
                         "POST /storage/k HTTP/1.1\r\nAuthorization: Bearer %s\r\nHost: h\r\n"
                         "Content-Length: 0\r\n\r\n",
                         others[i]);
        kv_buffer_append_char(&text, '\0');
        struct kv_request request = read_with(&memory, text.bytes);
        assert_true(kv_slice_equals(request.token, kv_slice_of(others[i])));
        assert_false(request.is_usual_token);
        kv_buffer_fini(&text);
    }
}

/* Of a GET, with the token before or behind the host. */
static void expect_token_in_known_head(const char *before, const char *behind)
{
    static const char *const tokens[] = {"abcd.efgh", "abcd.efgi", "abcd.efg", "abcd.efghi", "a"};
    static struct kv_known_heads known;
    struct kv_head_memory memory = kv_head_memory_of(&known);
    memset(&known, 0, sizeof(known));
    for (size_t i = 0; i < N(tokens); i++)
        for (int again = 0; again < 2; again++) {
            struct kv_buffer text = {0};
            kv_buffer_printf(&text, "GET /storage/k%d HTTP/1.1\r\n%s%s%s\r\n", again, before,
                             tokens[i], behind);
            size_t len = text.len;
            kv_buffer_append_char(&text, '\0');
            struct kv_request request = read_with(&memory, text.bytes);
            assert_true(kv_slice_equals(request.token, kv_slice_of(tokens[i])));
            assert_true(kv_slice_equals(request.host, KV_SLICE("h.example")));
            memory.token = kv_slice_of(tokens[i]); /* the text is freed */
            assert_int_equal(request.is_usual_token, again);
            for (size_t part = 0; part < len; part++)
                assert_int_equal(read_copy_after(&memory, (struct kv_slice){text.bytes, part}),
                                 KV_FAST_PARTIAL);
            kv_buffer_fini(&text);
        }
    assert_int_equal(known.all[1].len, 0);
}

static void a_known_head_has_a_gap_for_the_token(void **state)
{
    (void)state;
    expect_token_in_known_head("Host: h.example\r\nAuthorization: Bearer ", "\r\n");
    expect_token_in_known_head("Authorization: Bearer ", "\r\nHost: h.example\r\n");
}

static void a_head_without_a_token_has_none(void **state)
{
    static struct kv_known_heads known;
    struct kv_head_memory memory = kv_head_memory_of(&known);
    (void)state;
    read_with_token(&memory, WITH_TOKEN("abc", "0"));
    struct kv_request request = read_with(&memory, POST("1") "a");
    assert_int_equal(request.token.len, 0);
    assert_false(request.is_usual_token);
    request = read_with_token(&memory, POST("1") "a");
    assert_int_equal(request.token.len, 0);
}

/* Reads the next request of a pipeline, which must have these parts, within itself. */
static struct kv_request read_next(struct kv_head_memory *memory, struct kv_slice *input,
                                   const char *token, const char *body)
{
    struct kv_request request;
    size_t len;
    assert_int_equal(kv_fast_request_read(*input, memory, &request, &len), KV_FAST_PLAIN);
    assert_true(kv_slice_equals(request.token, kv_slice_of(token)));
    assert_true(kv_slice_equals(request.host, KV_SLICE("h")));
    assert_true(kv_slice_equals(request.body, kv_slice_of(body)));
    assert_in_range(request.token.bytes, input->bytes, input->bytes + len);
    assert_in_range(request.host.bytes, input->bytes, input->bytes + len);
    *input = (struct kv_slice){input->bytes + len, input->len - len};
    return request;
}

static void a_pipeline_may_repeat_its_head(void **state)
{
    static struct kv_known_heads known;
    struct kv_head_memory memory = kv_head_memory_of(&known);
    struct kv_slice input =
        KV_SLICE(WITH_TOKEN("abc", "1") "a" WITH_TOKEN("abc", "1") "b" WITH_TOKEN(
            "abc", "2") "cd" WITH_TOKEN("abd", "2") "ef" WITH_TOKEN("abd", "2") "gh");
    (void)state;
    kv_head_memory_begin(&memory);
    kv_head_memory_use_token(&memory, KV_SLICE("abc"));
    assert_false(read_next(&memory, &input, "abc", "a").is_usual_token); /* parsed */
    assert_false(read_next(&memory, &input, "abc", "b").is_usual_token);
    assert_true(read_next(&memory, &input, "abc", "cd").is_usual_token);
    assert_false(read_next(&memory, &input, "abd", "ef").is_usual_token);
    assert_false(read_next(&memory, &input, "abd", "gh").is_usual_token);
    assert_int_equal(input.len, 0);
}

/* As when the token of the last request was refused. */
static void a_repeated_token_is_not_usual_for_another_client(void **state)
{
    static struct kv_known_heads known;
    struct kv_head_memory memory = kv_head_memory_of(&known);
    struct kv_slice input =
        KV_SLICE(WITH_TOKEN("abc", "0") WITH_TOKEN("abc", "0") WITH_TOKEN("abc", "0"));
    (void)state;
    read_with_token(&memory, WITH_TOKEN("abc", "0"));
    kv_head_memory_begin(&memory);
    assert_true(read_next(&memory, &input, "abc", "").is_usual_token);
    assert_true(read_next(&memory, &input, "abc", "").is_usual_token);
    kv_head_memory_use_token(&memory, KV_SLICE(""));
    assert_false(read_next(&memory, &input, "abc", "").is_usual_token);
}

static void requests_with_cookies_are_left_to_libh2o_if_cookies_count(void **state)
{
    static struct kv_known_heads known;
    struct kv_head_memory memory = kv_head_memory_of(&known);
    const char *text = "GET /storage/k HTTP/1.1\r\nHost: h\r\nCookie: a=b\r\n\r\n";
    (void)state;
    read_with(&memory, text);
    known.reads_cookies = true;
    kv_known_heads_forget(&known);
    assert_int_equal(read_copy_after(&memory, kv_slice_of(text)), KV_FAST_OTHER);
}

static void a_head_that_starts_like_a_known_one_is_parsed(void **state)
{
    static const struct {
        const char *text;
        enum kv_fast_verdict verdict;
    } cases[] = {
        {"GET /storage/k HTTP/1.1\r\nHost: h\r\nX-A: b\r\n\r\n", KV_FAST_PLAIN},
        {"GET /storage/k HTTP/1.1\r\nHost: h\r\n", KV_FAST_PARTIAL},
        {"GET /storage/k HTTP/1.1\r\nHost: h\r\nOrigin: http://h\r\n\r\n", KV_FAST_OTHER},
        {"GET /storage/k HTTP/1.1\r\nHost: h\r\n\n\n", KV_FAST_OTHER},
        {"GET /storage/k HTTP/1.0\r\nHost: h\r\n\r\n", KV_FAST_OTHER},
        {"PATCH /storage/k HTTP/1.1\r\nHost: h\r\n\r\n", KV_FAST_OTHER},
        {"GET /storage/# HTTP/1.1\r\nHost: h\r\n\r\n", KV_FAST_OTHER},
    };
    (void)state;
    for (size_t i = 0; i < N(cases); i++) {
        static struct kv_known_heads known;
        struct kv_head_memory memory = kv_head_memory_of(&known);
        read_with(&memory, GET(""));
        assert_int_equal(read_copy_after(&memory, kv_slice_of(cases[i].text)), cases[i].verdict);
    }
}

/* Known heads replace each other; a connection whose usual head was replaced parses its head, which
 * is remembered again. */
static void more_heads_than_are_remembered_are_parsed(void **state)
{
    static struct kv_known_heads known;
    struct kv_head_memory memories[2 * KV_MOST_KNOWN_HEADS];
    (void)state;
    for (size_t i = 0; i < N(memories); i++)
        memories[i] = kv_head_memory_of(&known);
    for (size_t i = 0; i < 3 * N(memories); i++) {
        char text[100], host[20];
        snprintf(host, sizeof(host), "host-%zu", i % N(memories));
        snprintf(text, sizeof(text), "GET /storage/k HTTP/1.1\r\nHost: %s\r\n\r\n", host);
        struct kv_request request = read_with(&memories[i % N(memories)], text);
        assert_true(kv_slice_equals(request.host, kv_slice_of(host)));
    }
}

static void clients_of_a_kind_share_a_known_head(void **state)
{
    static struct kv_known_heads known;
    struct kv_head_memory first = kv_head_memory_of(&known), second = first;
    (void)state;
    read_with(&first, GET("X-A: b\r\n"));
    read_with(&first, GET("X-A: c\r\n"));
    read_with(&second, GET("X-A: c\r\n"));
    assert_ptr_equal(first.usual, second.usual);
}

/* Otherwise a resource would miss a header that it reads. */
static void no_header_that_the_server_reads_is_hidden(void **state)
{
    (void)state;
    assert_true(kv_fast_request_hides(KV_SLICE("accept")));
    for (enum kv_header_id id = 0; id < KV_HEADER_CONTENT_TYPE; id++)
        assert_false(kv_fast_request_hides(kv_header_name(id)));
}

static void harmless_headers_are_accepted(void **state)
{
    static const char *const texts[] = {
        GET("User-Agent: curl/7.88\r\nAccept: */*\r\n"),
        GET("Accept-Encoding: gzip, br\r\naccept-language: de\r\nConnection: keep-alive\r\n"),
        GET("Sec-Fetch-Site: same-origin\r\nSec-Fetch-Mode: cors\r\nSec-CH-UA-Platform: "
            "\"x\"\r\nDNT: 1\r\nPriority: u=0\r\n"),
        GET("Sec-Fetch-Site: none\r\n"),
        GET("X-Forwarded-For: ::1\r\nX-Real-IP: ::1\r\nVia: 1.1 a\r\nForwarded: for=b\r\n"),
        GET("Cookie: a=b\r\nReferer: http://h/\r\nCache-Control: no-cache\r\nPragma: c\r\n"),
        GET("Connection: Keep-Alive\r\nContent-Type: text/plain\r\nX-A:\r\nX-B:    c\r\n"),
        GET("X-Umlaut: \xc3\xa4\r\n"),
    };
    (void)state;
    for (size_t i = 0; i < N(texts); i++)
        assert_verdict(texts[i], KV_FAST_PLAIN);
}

static void requests_with_significant_headers_are_left_to_libh2o(void **state)
{
    static const char *const texts[] = {
        GET("Origin: http://localhost\r\n"),
        GET("If-Match: *\r\n"),
        GET("If-None-Match: *\r\n"),
        GET("Connection: close\r\n"),
        GET("Connection: keep-alive, TE\r\n"),
        GET("Connection: Upgrade\r\nUpgrade: websocket\r\n"),
        GET("Upgrade: h2c\r\n"),
        GET("Transfer-Encoding: chunked\r\n"),
        GET("Expect: 100-continue\r\n"),
        GET("Host: again\r\n"),
        "GET /storage/k HTTP/1.1\r\nHost: a b\r\n\r\n",
        "GET /storage/k HTTP/1.1\r\nHost: h:port\r\n\r\n",
        GET("Content-Length: 0\r\nContent-Length: 0\r\n"),
        GET("User-Agent: Mozilla/4.0 (compatible; MSIE 6.0; x)\r\n"),
        GET("Authorization: Basic YTpi\r\n"),
        GET("Authorization: Bearer\r\n"),
        GET("Authorization: Bearer a b\r\n"),
        GET("Authorization: bearer abc\r\n"),
        GET("Authorization: Bearer a\r\nAuthorization: Bearer a\r\n"),
        GET("Unheard-Of: yes\r\n"),
        GET("Sec-Fetch-Site: cross-site\r\n"),
        GET("sec-fetch-site: same-site\r\n"),
        GET("Sec-Fetch-Site:\r\n"),
        GET("Sec-WebSocket-Version: 13\r\n"),
        GET("Accepting: yes\r\n"),
        GET("Hos: h\r\n"),
        GET("X-: a\r\n"),
        GET("X-(a): b\r\n"),
    };
    (void)state;
    for (size_t i = 0; i < N(texts); i++)
        assert_verdict(texts[i], KV_FAST_OTHER);
}

static void other_request_syntax_is_left_to_libh2o(void **state)
{
    static const char *const texts[] = {
        "\r\n" GET(""),
        " " GET(""),
        "GET http://h/storage/k HTTP/1.1\r\nHost: h\r\n\r\n",
        "get /storage/k HTTP/1.1\r\nHost: h\r\n\r\n",
        "GET  /storage/k HTTP/1.1\r\nHost: h\r\n\r\n",
        "GET /storage/k  HTTP/1.1\r\nHost: h\r\n\r\n",
        "GET /storage/k HTTP/1.0\r\nHost: h\r\n\r\n",
        "GET /storage/k HTTP/1.1 \r\nHost: h\r\n\r\n",
        "GET /storage/k\r\n\r\n",
        "GET /storage/\x7f HTTP/1.1\r\nHost: h\r\n\r\n",
        "GET /storage/a\tb HTTP/1.1\r\nHost: h\r\n\r\n",
        "GET /storage/k HTTP/1.1\nHost: h\r\n\r\n",
        "GET /storage/k HTTP/1.1\r\n\r\n",
        "PATCH /storage/k HTTP/1.1\r\nHost: h\r\n\r\n",
        "OPTIONS /storage/k HTTP/1.1\r\nHost: h\r\n\r\n",
        GET(" folded\r\n"),
        GET("X-Tab:\ta\r\n"),
        GET("X-Tab: a\tb\r\n"),
        GET("X-Bell: \a\r\n"),
        GET("X-Return: a\rb\r\n"),
        GET("X-Feed: a\nX-B: c\r\n"),
        GET("X-Space : a\r\n"),
        GET(": a\r\n"),
        GET("no colon\r\n"),
        GET("Content-Length:\r\n"),
        GET("Content-Length: +1\r\n") "a",
        GET("Content-Length: 1 \r\n") "a",
        GET("Content-Length: 16385\r\n"),
        GET("Content-Length: 000001\r\n") "a",
    };
    (void)state;
    for (size_t i = 0; i < N(texts); i++)
        assert_verdict(texts[i], KV_FAST_OTHER);
}

static void many_headers_are_left_to_libh2o(void **state)
{
    struct kv_buffer text = {0};
    (void)state;
    kv_buffer_append(&text, KV_SLICE("GET /storage/k HTTP/1.1\r\nHost: h\r\n"));
    for (int i = 1; i < 64; i++)
        kv_buffer_append(&text, KV_SLICE("X-A: b\r\n"));
    size_t len = text.len;
    kv_buffer_append(&text, KV_SLICE("\r\n"));
    assert_int_equal(read_copy(kv_buffer_slice(&text)), KV_FAST_PLAIN);
    text.len = len;
    kv_buffer_append(&text, KV_SLICE("X-A: b\r\n\r\n"));
    assert_int_equal(read_copy(kv_buffer_slice(&text)), KV_FAST_OTHER);
    kv_buffer_fini(&text);
}

static void a_long_head_is_left_to_libh2o(void **state)
{
    enum {
        LONGEST = 16384,
        AROUND = sizeof("GET /storage/ HTTP/1.1\r\nHost: h\r\n\r\n") - 1
    };
    (void)state;
    for (size_t len = LONGEST - 1; len <= LONGEST + 1; len++) {
        struct kv_buffer text = {0};
        char key[LONGEST];
        memset(key, 'k', sizeof(key));
        kv_buffer_printf(&text, "GET /storage/%.*s HTTP/1.1\r\nHost: h\r\n\r\nGET",
                         (int)(len - AROUND), key);
        enum kv_fast_verdict expected = len <= LONGEST ? KV_FAST_PLAIN : KV_FAST_OTHER;
        assert_int_equal(read_copy(kv_buffer_slice(&text)), expected);
        kv_buffer_fini(&text);
    }
}

static void a_request_is_partial_until_its_last_byte(void **state)
{
    static const char *const texts[] = {
        "POST /storage/a%20b?c HTTP/1.1\r\nHost: h\r\nX-Long-Name: value\r\n"
        "Content-Length: 3\r\n\r\nabc",
        "DELETE /storage/k HTTP/1.1\r\nHost:h\r\n\r\n",
    };
    (void)state;
    for (size_t i = 0; i < N(texts); i++) {
        for (size_t len = 1; len < strlen(texts[i]); len++)
            assert_int_equal(read_copy((struct kv_slice){texts[i], len}), KV_FAST_PARTIAL);
        assert_verdict(texts[i], KV_FAST_PLAIN);
    }
}

static void a_partial_request_that_cannot_become_plain_is_left_to_libh2o(void **state)
{
    static const char *const texts[] = {
        "GET s",
        "PA",
        "GET /storage/k HTTP/1.0",
        "GET /storage/k HTTP/1.1\r\nHost: h\r\nUpgrade:",
        "GET /storage/k HTTP/1.1\r\nHost: a b\r\n",
        "GET /storage/k HTTP/1.1\r\nHost: h\r\n\"name",
        "GET /storage/k HTTP/1.1\r\nHost: h\r\nX-A: b\rc",
    };
    (void)state;
    for (size_t i = 0; i < N(texts); i++)
        assert_verdict(texts[i], KV_FAST_OTHER);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_requests_are_read),
        cmocka_unit_test(the_query_is_separated_from_the_path),
        cmocka_unit_test(paths_end_at_the_query_or_the_space),
        cmocka_unit_test(lengths_may_differ_in_a_known_head),
        cmocka_unit_test(clients_with_other_tokens_share_a_known_head),
        cmocka_unit_test(another_token_is_not_mistaken_for_the_known_one),
        cmocka_unit_test(a_known_head_has_a_gap_for_the_token),
        cmocka_unit_test(a_head_without_a_token_has_none),
        cmocka_unit_test(a_pipeline_may_repeat_its_head),
        cmocka_unit_test(a_repeated_token_is_not_usual_for_another_client),
        cmocka_unit_test(requests_with_cookies_are_left_to_libh2o_if_cookies_count),
        cmocka_unit_test(a_head_that_starts_like_a_known_one_is_parsed),
        cmocka_unit_test(more_heads_than_are_remembered_are_parsed),
        cmocka_unit_test(clients_of_a_kind_share_a_known_head),
        cmocka_unit_test(no_header_that_the_server_reads_is_hidden),
        cmocka_unit_test(harmless_headers_are_accepted),
        cmocka_unit_test(requests_with_significant_headers_are_left_to_libh2o),
        cmocka_unit_test(other_request_syntax_is_left_to_libh2o),
        cmocka_unit_test(many_headers_are_left_to_libh2o),
        cmocka_unit_test(a_long_head_is_left_to_libh2o),
        cmocka_unit_test(a_request_is_partial_until_its_last_byte),
        cmocka_unit_test(a_partial_request_that_cannot_become_plain_is_left_to_libh2o),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
