/* Chunked bodies: every case as a whole, byte by byte and in random pieces. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/buffer.h"
#include "base/mem.h"
#include "wire/chunked.h"

#define N(array) (sizeof(array) / sizeof((array)[0]))
#define TEXT(literal)                                                                              \
    {                                                                                              \
        "" literal, sizeof(literal) - 1                                                            \
    }

enum {
    LIMIT = 1000,
    RANDOM_CUTS = 20
};

struct outcome {
    int got;
    size_t n_read;
    struct kv_buffer data;
    struct kv_http_fault fault;
};

/* Each piece is in a block of its own, so that a sanitizer detects any access beyond it. */
static int read_piece(struct kv_chunked *chunked, struct kv_slice piece, struct outcome *outcome)
{
    size_t n_read, n_written;
    char *copy = kv_memdup(piece.bytes, piece.len);
    int got = kv_chunked_read(chunked, copy, copy, piece.len, &n_read, &n_written);
    assert_true(n_written <= n_read && n_read <= piece.len);
    assert_true(got != 0 || n_read == piece.len);
    kv_buffer_append(&outcome->data, (struct kv_slice){copy, n_written});
    outcome->n_read += n_read;
    free(copy);
    return got;
}

/* piece: the longest piece; 0: random. */
static struct outcome read_in_pieces(struct kv_slice text, size_t piece)
{
    struct outcome outcome = {0};
    struct kv_chunked chunked;
    kv_chunked_init(&chunked, LIMIT);
    for (size_t at = 0; at < text.len && outcome.got == 0;) {
        size_t len = piece != 0 ? piece : 1 + (size_t)rand() % 7;
        len = len < text.len - at ? len : text.len - at;
        outcome.got = read_piece(&chunked, (struct kv_slice){text.bytes + at, len}, &outcome);
        at += len;
    }
    outcome.fault = chunked.fault;
    return outcome;
}

static void assert_same(const struct outcome *a, const struct outcome *b)
{
    assert_int_equal(a->got, b->got);
    assert_int_equal(a->n_read, b->n_read);
    assert_int_equal(a->fault.status, b->fault.status);
    assert_ptr_equal(a->fault.what, b->fault.what);
    assert_int_equal(a->fault.at, b->fault.at);
    assert_true(kv_slice_equals(kv_buffer_slice(&a->data), kv_buffer_slice(&b->data)));
}

static struct outcome read_every_way(struct kv_slice text)
{
    struct outcome whole = read_in_pieces(text, text.len);
    for (size_t i = 0; i <= RANDOM_CUTS; i++) {
        struct outcome cut = read_in_pieces(text, i == 0 ? 1 : 0);
        assert_same(&whole, &cut);
        kv_buffer_fini(&cut.data);
    }
    return whole;
}

static void chunks_are_joined(void **state)
{
    static const struct {
        struct kv_slice text;
        const char *data;
        size_t n_behind;
    } cases[] = {
        {TEXT("0\r\n\r\n"), "", 0},
        {TEXT("5\r\nhello\r\n0\r\n\r\nGET "), "hello", 4},
        {TEXT("5\r\nhello\r\nA\r\n, you all!\r\n00\r\n\r\n"), "hello, you all!", 0},
        {TEXT("a\r\n0123456789\r\n0\r\n\r\n0"), "0123456789", 1},
        {TEXT("0000000000000000000000000005\r\nhello\r\n000000000000000000000\r\n\r\n"), "hello",
         0},
        {TEXT("2\r\n\r\n\r\n0\r\n\r\n"), "\r\n", 0},
        {TEXT("1;name\r\na\r\n1;a=b;c=\"d;e\"\r\nb\r\n1 ;\tx\r\nc\r\n0;last\r\n\r\n"), "abc", 0},
        {TEXT("1;\xc3\xa4\r\na\r\n0\r\n\r\n"), "a", 0},
        {TEXT("0\r\nX-Sum: 17\r\nX:\r\nA: \xc3\xa4\tb \r\n\r\n"), "", 0},
    };
    (void)state;
    for (size_t i = 0; i < N(cases); i++) {
        struct outcome outcome = read_every_way(cases[i].text);
        if (outcome.got != 1)
            fail_msg("refused: %s", cases[i].text.bytes);
        assert_int_equal(outcome.n_read, cases[i].text.len - cases[i].n_behind);
        assert_true(kv_slice_equals(kv_buffer_slice(&outcome.data), kv_slice_of(cases[i].data)));
        kv_buffer_fini(&outcome.data);
    }
}

static void a_body_without_its_end_is_incomplete(void **state)
{
    struct kv_slice text = KV_SLICE("5;x\r\nhello\r\n0\r\nA: b\r\n\r\n");
    (void)state;
    for (size_t len = 0; len < text.len; len++) {
        struct outcome outcome = read_every_way((struct kv_slice){text.bytes, len});
        assert_int_equal(outcome.got, 0);
        kv_buffer_fini(&outcome.data);
    }
}

static void malformed_chunks_are_refused_at_their_offset(void **state)
{
    static const struct {
        struct kv_slice text;
        size_t at;
    } cases[] = {
        {TEXT("zz\r\n"), 0},
        {TEXT("\r\n"), 0},
        {TEXT(" 5\r\nhello\r\n"), 0},
        {TEXT("+5\r\nhello\r\n"), 0},
        {TEXT("-5\r\n"), 0},
        {TEXT("\"5\"\r\n"), 0},
        {TEXT(";x\r\n"), 0},
        {TEXT("0x50\r\n\r\n"), 1},
        {TEXT("bzzz\r\n"), 1},
        {TEXT("5h\r\nhello\r\n"), 1},
        {TEXT("5,\r\nhello\r\n"), 1},
        {TEXT("5 5\r\nhello\r\n"), 2},
        {TEXT("5 \r\nhello\r\n"), 2},
        {TEXT("5\nhello\r\n"), 1},
        {TEXT("5\r\r\nhello\r\n"), 2},
        {TEXT("5\rhello\r\n"), 2},
        {TEXT("5\0\r\nhello"), 1},
        {TEXT("5;a\nhello\r\n"), 3},
        {TEXT("5;a\0\r\nhello\r\n"), 3},
        {TEXT("5;a\r\r\nhello\r\n"), 4},
        {TEXT("5;a\rb\r\nhello\r\n"), 4},
        {TEXT("5\r\nhello\n0\r\n\r\n"), 8},
        {TEXT("5\r\nhello\r\r\n0\r\n\r\n"), 9},
        {TEXT("5\r\nhello0\r\n\r\n"), 8},
        {TEXT("5\r\nhello!\r\n0\r\n\r\n"), 8},
        {TEXT("5\r\nhel\r\n0\r\n\r\n"), 8},
        {TEXT("0\n\n"), 1},
        {TEXT("0\r\n\n"), 3},
        {TEXT("0\r\n\r\r\n"), 4},
        {TEXT("0\r\n\rX"), 4},
        {TEXT("0\r\nno colon\r\n\r\n"), 5},
        {TEXT("0\r\nX: a\n\r\n"), 7},
        {TEXT("0\r\nX: a\r\n b\r\n\r\n"), 9},
        {TEXT("0\r\n: a\r\n\r\n"), 3},
        {TEXT("0\r\nX : a\r\n\r\n"), 4},
        {TEXT("0\r\nX: a\0b\r\n\r\n"), 7},
        {TEXT("0\r\nX: a\rb\r\n\r\n"), 8},
        {TEXT("0\r\nGET / HTTP/1.1\r\n\r\n"), 6},
    };
    (void)state;
    for (size_t i = 0; i < N(cases); i++) {
        struct outcome outcome = read_every_way(cases[i].text);
        if (outcome.got != -1 || outcome.fault.at != cases[i].at)
            fail_msg("%s: %d at %zu", cases[i].text.bytes, outcome.got, outcome.fault.at);
        assert_int_equal(outcome.fault.status, 400);
        assert_int_equal(outcome.n_read, cases[i].at);
        kv_buffer_fini(&outcome.data);
    }
}

static void data_beyond_the_limit_is_413_when_announced(void **state)
{
    static const struct kv_slice texts[] = {
        TEXT("3e9\r\n"),
        TEXT("ffffffffffffffff\r\n"),
        TEXT("10000000000000000\r\n"),
        TEXT("100000000000000000000000000000000003e8\r\n"),
        TEXT("1\r\na\r\n3e8\r\n"),
    };
    (void)state;
    for (size_t i = 0; i < N(texts); i++) {
        struct outcome outcome = read_every_way(texts[i]);
        assert_int_equal(outcome.got, -1);
        assert_int_equal(outcome.fault.status, 413);
        kv_buffer_fini(&outcome.data);
    }
}

/* Returns: the status of `head`, then `n` times `filler`, then `tail`. */
static int status_of(const char *head, const char *filler, size_t n, const char *tail)
{
    struct kv_buffer text = {0};
    kv_buffer_append(&text, kv_slice_of(head));
    for (size_t i = 0; i < n; i++)
        kv_buffer_append(&text, kv_slice_of(filler));
    kv_buffer_append(&text, kv_slice_of(tail));
    struct outcome outcome = read_in_pieces(kv_buffer_slice(&text), text.len);
    int status = outcome.got == 1 ? 200 : outcome.fault.status;
    kv_buffer_fini(&outcome.data);
    kv_buffer_fini(&text);
    return status;
}

static void extensions_and_trailers_are_at_most_16_kib(void **state)
{
    (void)state;
    assert_int_equal(status_of("1;", "x", 16383, "\r\na\r\n0\r\n\r\n"), 200);
    assert_int_equal(status_of("1;", "x", 16384, "\r\na\r\n0\r\n\r\n"), 400);
    assert_int_equal(status_of("", "1;xxxxxxxxxxxxxxx\r\na\r\n", 900, "0\r\n\r\n"), 200);
    assert_int_equal(status_of("", "1;xxxxxxxxxxxxxxxxxxxxxxx\r\na\r\n", 900, "0\r\n\r\n"), 400);
    assert_int_equal(status_of("", "0", 16000, "1\r\na\r\n0\r\n\r\n"), 200);
    assert_int_equal(status_of("", "0", 17000, "1\r\na\r\n0\r\n\r\n"), 400);
    assert_int_equal(status_of("0\r\n", "A: b\r\n", 2730, "\r\n"), 200);
    assert_int_equal(status_of("0\r\n", "A: b\r\n", 2731, "\r\n"), 400);
    assert_int_equal(status_of("0\r\nX: ", "x", 20000, "\r\n\r\n"), 400);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(chunks_are_joined),
        cmocka_unit_test(a_body_without_its_end_is_incomplete),
        cmocka_unit_test(malformed_chunks_are_refused_at_their_offset),
        cmocka_unit_test(data_beyond_the_limit_is_413_when_announced),
        cmocka_unit_test(extensions_and_trailers_are_at_most_16_kib),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
