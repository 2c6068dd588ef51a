/* Compressed messages: RFC 7692, section 7.2, with its examples; windows, limits, and malformed
 * data. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <zlib.h>

#include "base/mem.h"
#include "wire/deflate.h"

enum {
    ANY = 1 << 20
};

#define BYTES(literal) ((struct kv_slice){(literal), sizeof(literal) - 1})

static struct kv_inflater *inflater;
static struct kv_deflater *deflater;
static struct kv_buffer text, compressed;

static int set_up(void **state)
{
    (void)state;
    inflater = kv_inflater_create();
    deflater = kv_deflater_create();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    kv_inflater_destroy(inflater);
    kv_deflater_destroy(deflater);
    kv_buffer_fini(&text);
    kv_buffer_fini(&compressed);
    return 0;
}

static enum kv_inflated inflate_all(struct kv_slice bytes, size_t most)
{
    text.len = 0;
    kv_inflater_begin(inflater, bytes);
    return kv_inflate(inflater, most, &text);
}

static void assert_says(struct kv_slice bytes, struct kv_slice expected)
{
    assert_int_equal(inflate_all(bytes, expected.len), KV_INFLATED_WHOLE);
    assert_int_equal(text.len, expected.len);
    if (expected.len != 0)
        assert_memory_equal(text.bytes, expected.bytes, expected.len);
}

/* Typical JSON of about that length. Owns: the caller. */
static struct kv_buffer json_of(size_t len)
{
    struct kv_buffer json = {0};
    for (unsigned i = 0; json.len < len; i++)
        kv_buffer_printf(&json, "{\"id\":%u,\"name\":\"user %u\",\"score\":%u},", i,
                         i * 7919 % 1000, i * i % 977);
    json.len = len;
    return json;
}

static void the_examples_of_the_rfc_are_read(void **state)
{
    (void)state;
    assert_says(BYTES("\xf2\x48\xcd\xc9\xc9\x07\x00"), KV_SLICE("Hello"));
    assert_says(BYTES("\x00\x05\x00\xfa\xffHello\x00"), KV_SLICE("Hello"));    /* not compressed */
    assert_says(BYTES("\xf3\x48\xcd\xc9\xc9\x07\x00\x00"), KV_SLICE("Hello")); /* BFINAL */
    assert_says(BYTES("\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00"),
                KV_SLICE("Hello")); /* two blocks */
    assert_says(BYTES("\x00"), KV_SLICE(""));
}

static void several_streams_may_follow_each_other(void **state)
{
    (void)state;
    assert_says(BYTES("\xf3\x48\xcd\xc9\xc9\x07\x00"), KV_SLICE("Hello"));
    assert_says(BYTES("\xf3\x48\xcd\xc9\xc9\x07\x00"
                      "\xf3\x48\xcd\xc9\xc9\x07\x00"),
                KV_SLICE("HelloHello"));
    assert_says(BYTES("\xf3\x48\xcd\xc9\xc9\x07\x00"
                      "\xf2\x48\xcd\xc9\xc9\x07\x00"),
                KV_SLICE("HelloHello"));
    for (size_t first = 0; first < 5; first++) {
        assert_int_equal(inflate_all(BYTES("\xf3\x48\xcd\xc9\xc9\x07\x00"), first),
                         KV_INFLATED_MORE);
        for (size_t most = first + 1; most < 5; most++)
            assert_int_equal(kv_inflate(inflater, most, &text), KV_INFLATED_MORE);
        assert_int_equal(kv_inflate(inflater, 5, &text), KV_INFLATED_WHOLE);
    }
}

static void malformed_data_is_broken(void **state)
{
    static const struct kv_slice cases[] = {
        {"", 0},
        {"\xf2\x48\xcd\xc9\xc9", 5},                 /* the end is missing */
        {"\xf2\x48\xcd\xc9\xc9\x07", 6},             /* the end is incomplete */
        {"\x00\x05\x00\xfa\xffHel", 8},              /* a stored block is truncated */
        {"\x00\x05\x00\x00\x00Hello\x00", 11},       /* its length is wrong */
        {"\x07", 1},                                 /* an invalid kind of block */
        {"{\"type\":\"get\"}", 14},                  /* plain text */
        {"\xf3\x48\xcd\xc9\xc9\x07\x00\xff\xff", 9}, /* data after the end of a stream */
        {"\x02\x03\x00", 3},                         /* a reference before the start of the data */
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_int_equal(inflate_all(cases[i], ANY), KV_INFLATED_BROKEN);
}

static void messages_are_inflated_unchanged(void **state)
{
    static const size_t lens[] = {512, 513, 4096, 4097, 40000, 300000, 3000000};
    (void)state;
    for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
        struct kv_buffer json = json_of(lens[i]);
        for (int form = 0; form < KV_DEFLATE_FORMS; form++) {
            const struct kv_slice parts[] = {
                {json.bytes, 100}, {0}, {json.bytes + 100, lens[i] - 100}};
            assert_true(kv_deflate(deflater, form, parts, 3, &compressed));
            assert_true(compressed.len < lens[i] / 2);
            assert_says(kv_buffer_slice(&compressed), kv_buffer_slice(&json));
        }
        kv_buffer_fini(&json);
    }
}

static void each_message_is_compressed_independently(void **state)
{
    struct kv_buffer json = json_of(2000);
    const struct kv_slice part = kv_buffer_slice(&json);
    (void)state;
    assert_true(kv_deflate(deflater, KV_DEFLATE_NARROW, &part, 1, &compressed));
    size_t len = compressed.len;
    char *first = kv_alloc(len);
    memcpy(first, compressed.bytes, len);
    assert_true(kv_deflate(deflater, KV_DEFLATE_NARROW, &part, 1, &compressed));
    assert_int_equal(compressed.len, len);
    assert_memory_equal(compressed.bytes, first, len);
    free(first);
    kv_buffer_fini(&json);
}

static void the_text_may_end_near_the_end_of_a_step(void **state)
{
    struct kv_buffer json = json_of(5000);
    const struct kv_slice part = kv_buffer_slice(&json);
    (void)state;
    assert_true(kv_deflate(deflater, KV_DEFLATE_NARROW, &part, 1, &compressed));
    for (size_t most = json.len - 5; most < json.len; most++) {
        assert_int_equal(inflate_all(kv_buffer_slice(&compressed), most), KV_INFLATED_MORE);
        assert_int_equal(text.len, most + 1);
        assert_int_equal(kv_inflate(inflater, json.len, &text), KV_INFLATED_WHOLE);
        assert_int_equal(text.len, json.len);
    }
    kv_buffer_fini(&json);
}

/* Inflates with a window of `bits` bits. */
static void assert_fits_window(int bits, struct kv_slice expected)
{
    Bytef *room = kv_alloc(expected.len);
    z_stream stream = {0};
    assert_int_equal(inflateInit2(&stream, -bits), Z_OK);
    stream.next_in = (Bytef *)compressed.bytes;
    stream.avail_in = (uInt)compressed.len;
    stream.next_out = room;
    /* In small steps, so that data further back than the window is no longer available. */
    while (stream.total_out < expected.len) {
        stream.avail_out = 100;
        if (stream.avail_out > expected.len - stream.total_out)
            stream.avail_out = (uInt)(expected.len - stream.total_out);
        assert_int_equal(inflate(&stream, Z_SYNC_FLUSH), Z_OK);
    }
    assert_memory_equal(room, expected.bytes, expected.len);
    inflateEnd(&stream);
    free(room);
}

static void a_message_fits_the_window_of_its_recipient(void **state)
{
    static const size_t lens[] = {512, 513, 1024, 1025, 2048, 2049, 4096, 4097, 100000};
    (void)state;
    for (uint8_t bits = 8; bits <= 15; bits++)
        for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
            struct kv_buffer json = json_of(lens[i]);
            struct kv_slice part = kv_buffer_slice(&json);
            enum kv_deflate_form form = kv_deflate_form_of(bits, lens[i]);
            if (form != KV_DEFLATE_NONE) {
                assert_true(kv_deflate(deflater, form, &part, 1, &compressed));
                assert_fits_window(bits, part);
            }
            assert_true(form != KV_DEFLATE_NONE || bits < 12);
            kv_buffer_fini(&json);
        }
}

static void short_messages_are_not_compressed(void **state)
{
    (void)state;
    assert_int_equal(kv_deflate_form_of(15, KV_DEFLATE_SHORTEST - 1), KV_DEFLATE_NONE);
    assert_int_equal(kv_deflate_form_of(15, KV_DEFLATE_SHORTEST), KV_DEFLATE_NARROW);
    assert_int_equal(kv_deflate_form_of(15, 100000), KV_DEFLATE_WIDE);
    assert_int_equal(kv_deflate_form_of(14, 100000), KV_DEFLATE_NARROW);
    assert_int_equal(kv_deflate_form_of(11, 100000), KV_DEFLATE_NONE);
    assert_int_equal(kv_deflate_form_of(0, 100000), KV_DEFLATE_NONE);
}

static void incompressible_messages_are_left_uncompressed(void **state)
{
    enum {
        LEN = 200000
    };
    char *noise = kv_alloc(LEN);
    uint32_t number = 1;
    (void)state;
    for (size_t i = 0; i < LEN; i++) {
        number = number * 1664525 + 1013904223;
        noise[i] = (char)(number >> 24);
    }
    for (int form = 0; form < KV_DEFLATE_FORMS; form++)
        for (size_t len = 512; len <= LEN; len += 39900)
            assert_false(
                kv_deflate(deflater, form, &(struct kv_slice){noise, len}, 1, &compressed));
    free(noise);
}

static void inflating_stops_at_the_limit(void **state)
{
    enum {
        LEN = 1000000
    };
    char *zeros = kv_calloc(1, LEN);
    (void)state;
    assert_true(
        kv_deflate(deflater, KV_DEFLATE_WIDE, &(struct kv_slice){zeros, LEN}, 1, &compressed));
    assert_true(compressed.len < LEN / 150);
    assert_int_equal(inflate_all(kv_buffer_slice(&compressed), LEN - 1), KV_INFLATED_MORE);
    assert_int_equal(text.len, LEN);
    assert_int_equal(inflate_all(kv_buffer_slice(&compressed), 1000), KV_INFLATED_MORE);
    assert_int_equal(text.len, 1001);
    assert_int_equal(kv_inflate(inflater, 100000, &text), KV_INFLATED_MORE);
    assert_int_equal(text.len, 100001);
    assert_int_equal(kv_inflate(inflater, LEN, &text), KV_INFLATED_WHOLE);
    assert_int_equal(text.len, LEN);
    assert_memory_equal(text.bytes, zeros, LEN);
    free(zeros);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_examples_of_the_rfc_are_read),
        cmocka_unit_test(several_streams_may_follow_each_other),
        cmocka_unit_test(malformed_data_is_broken),
        cmocka_unit_test(messages_are_inflated_unchanged),
        cmocka_unit_test(the_text_may_end_near_the_end_of_a_step),
        cmocka_unit_test(each_message_is_compressed_independently),
        cmocka_unit_test(a_message_fits_the_window_of_its_recipient),
        cmocka_unit_test(short_messages_are_not_compressed),
        cmocka_unit_test(incompressible_messages_are_left_uncompressed),
        cmocka_unit_test(inflating_stops_at_the_limit),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
