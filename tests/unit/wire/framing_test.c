/* Where requests end in the input of a connection: every case as a whole, byte by byte and in
 * pieces. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/buffer.h"
#include "base/mem.h"
#include "wire/framing.h"

#define N(array) (sizeof(array) / sizeof((array)[0]))
#define HEAD     "POST / HTTP/1.1\r\nHost: h\r\n"
#define CHUNKED  HEAD "Transfer-Encoding: chunked\r\n\r\n"

enum {
    LIMIT = 100,
    RANDOM_CUTS = 10
};

/* The input of a connection, in a block of exactly its size at each call. */
struct input {
    char *bytes;
    size_t len;
};

static void add(struct input *input, struct kv_slice piece)
{
    char *grown = malloc(input->len + piece.len);
    if (input->len != 0)
        memcpy(grown, input->bytes, input->len);
    memcpy(grown + input->len, piece.bytes, piece.len);
    free(input->bytes);
    *input = (struct input){grown, input->len + piece.len};
}

static void take(struct input *input, size_t len)
{
    char *rest = kv_memdup(input->bytes + len, input->len - len);
    free(input->bytes);
    *input = (struct input){rest, input->len - len};
}

/* Appends each request's body in brackets, and the fault. Returns: false after a fault. */
static bool read_requests(struct kv_framing *framing, struct input *input, struct kv_buffer *log)
{
    int got;
    while ((got = kv_framing_read(framing, input->bytes, &input->len)) == 1) {
        size_t head = framing->head.len;
        take(input, framing->n_dropped);
        assert_true(framing->len <= input->len);
        assert_int_equal(framing->len - head, framing->head.body_len);
        kv_buffer_printf(log, "[%.*s]", (int)(framing->len - head), input->bytes + head);
        take(input, framing->len);
        kv_framing_init(framing, LIMIT);
        if (input->len == 0)
            return true;
    }
    if (got < 0)
        kv_buffer_printf(log, "%d at %zd", framing->fault.status, (ssize_t)framing->fault.at);
    return got == 0;
}

/* piece: the longest piece; 0: random. Owns: the caller. */
static struct kv_buffer read_in_pieces(struct kv_slice text, size_t piece)
{
    struct kv_framing framing;
    struct input input = {NULL, 0};
    struct kv_buffer log = {0};
    kv_framing_init(&framing, LIMIT);
    for (bool goes_on = true; goes_on && text.len != 0;) {
        size_t len = piece != 0 ? piece : 1 + (size_t)rand() % 9;
        len = len < text.len ? len : text.len;
        add(&input, (struct kv_slice){text.bytes, len});
        text = (struct kv_slice){text.bytes + len, text.len - len};
        goes_on = read_requests(&framing, &input, &log);
    }
    free(input.bytes);
    return log;
}

static void assert_read(struct kv_slice text, const char *expected)
{
    for (size_t i = 0; i < RANDOM_CUTS; i++) {
        struct kv_buffer log = read_in_pieces(text, i == 0 ? text.len : i == 1 ? 1 : 0);
        if (!kv_slice_equals(kv_buffer_slice(&log), kv_slice_of(expected)))
            fail_msg("%s\nwas read as %.*s", text.bytes, (int)log.len, log.bytes);
        kv_buffer_fini(&log);
    }
}

static void requests_of_every_kind_follow_each_other(void **state)
{
    (void)state;
    assert_read(KV_SLICE(HEAD "\r\n" HEAD "Content-Length: 3\r\n\r\nabc" CHUNKED
                              "2\r\nde\r\n1;x\r\nf\r\n0\r\nA: b\r\n\r\n"
                              "\r\n" HEAD "Content-Length: 0\r\n\r\n" HEAD "\n"),
                "[][abc][def][][]");
}

static void nothing_after_a_fault_is_read(void **state)
{
    static const struct {
        const char *text, *log;
    } cases[] = {
        {HEAD "\r\nGET / HTTP/1.1\r\n\r\n" HEAD "\r\n", "[]400 at 16"},
        {CHUNKED "0x50\r\n\r\n" HEAD "\r\n", "400 at 57"},
        {CHUNKED "5\r\nhello\n0\r\n\r\n" HEAD "\r\n", "400 at 64"},
        {CHUNKED "0\r\nbad\r\n\r\n" HEAD "\r\n", "400 at 62"},
        {HEAD "Content-Length: 0\r\n 73\r\n\r\n" HEAD "\r\n", "400 at 45"},
    };
    (void)state;
    for (size_t i = 0; i < N(cases); i++)
        assert_read(kv_slice_of(cases[i].text), cases[i].log);
}

static void a_body_over_the_limit_is_413_before_it_arrives(void **state)
{
    (void)state;
    assert_read(KV_SLICE(HEAD "Content-Length: 101\r\n\r\n"), "413 at -1");
    assert_read(KV_SLICE(HEAD "Expect: 100-continue\r\nContent-Length: 101\r\n\r\n"), "413 at -1");
    assert_read(KV_SLICE(CHUNKED "65\r\n"), "413 at 59");
    assert_read(KV_SLICE(CHUNKED "1\r\na\r\n64\r\n"), "413 at 65");
}

static void an_unknown_expectation_of_a_body_is_417(void **state)
{
    (void)state;
    assert_read(KV_SLICE(HEAD "Expect: x\r\nContent-Length: 101\r\n\r\n"), "417 at -1");
    assert_read(KV_SLICE(HEAD "Expect: x\r\n\r\n"), "[]");
}

static void the_plain_form_is_read_as_the_same_request(void **state)
{
    struct kv_framing framing, again;
    char text[] = CHUNKED "2\r\nab\r\n0003;x\r\ncde\r\n0\r\nT: u\r\n\r\nrest";
    size_t len = sizeof(text) - 1;
    (void)state;
    kv_framing_init(&framing, LIMIT);
    assert_int_equal(kv_framing_read(&framing, text, &len), 1);
    char *plain = text + framing.n_dropped;
    len -= framing.n_dropped;
    assert_int_equal(len, framing.len + 4);
    assert_memory_equal(plain + framing.head.len, "abcderest", 9);
    kv_framing_init(&again, LIMIT);
    assert_int_equal(kv_framing_read(&again, plain, &len), 1);
    assert_int_equal(again.n_dropped, 0);
    assert_int_equal(again.len, framing.len);
    assert_int_equal(again.head.framing, KV_FRAMED_BY_LENGTH);
    assert_int_equal(again.head.body_len, 5);
}

static void bytes_after_a_chunked_request_stay_in_place(void **state)
{
    struct kv_framing framing;
    char text[] = CHUNKED "2\r\nab\r\n0\r\n\r\nrest";
    size_t len = sizeof(text) - 1;
    (void)state;
    kv_framing_init(&framing, LIMIT);
    assert_int_equal(kv_framing_read(&framing, text, &len), 1);
    assert_int_equal(len, sizeof(text) - 1);
    assert_int_equal(framing.n_dropped + framing.len, len - 4);
    assert_string_equal(text + len - 4, "rest");
    assert_int_equal(kv_framing_read(&framing, text + framing.n_dropped, &len), 1);
    assert_int_equal(framing.n_dropped, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_of_every_kind_follow_each_other),
        cmocka_unit_test(nothing_after_a_fault_is_read),
        cmocka_unit_test(a_body_over_the_limit_is_413_before_it_arrives),
        cmocka_unit_test(an_unknown_expectation_of_a_body_is_417),
        cmocka_unit_test(the_plain_form_is_read_as_the_same_request),
        cmocka_unit_test(bytes_after_a_chunked_request_stay_in_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
