/* The validator compared with a simple decoder, over every relevant sequence. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/utf8.h"

/* Decodes by the bit patterns and checks the resulting number. */
static bool plain_is_character(const unsigned char *bytes, size_t len)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    static const unsigned char lead_mask[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
    static const unsigned char lead_bits[] = {0, 0x00, 0xc0, 0xe0, 0xf0};
    if ((bytes[0] & ~lead_mask[len] & 0xff) != lead_bits[len])
        return false;
    uint32_t code = bytes[0] & lead_mask[len];
    for (size_t i = 1; i < len; i++) {
        if ((bytes[i] & 0xc0) != 0x80)
            return false;
        code = code << 6 | (bytes[i] & 0x3f);
    }
    return code >= least[len] && code <= 0x10ffff && (code < 0xd800 || code > 0xdfff);
}

static bool is_valid(const unsigned char *bytes, size_t len)
{
    return kv_utf8_is_valid((struct kv_slice){(const char *)bytes, len});
}

/* Whether the text is one character, or several. */
static bool plain_is_valid(const unsigned char *bytes, size_t len)
{
    if (len == 0)
        return true;
    for (size_t first = 1; first <= 4 && first <= len; first++)
        if (plain_is_character(bytes, first))
            return plain_is_valid(bytes + first, len - first);
    return false;
}

static void every_text_of_up_to_three_bytes_is_validated(void **state)
{
    (void)state;
    for (uint32_t number = 0; number < 1u << 24; number++) {
        unsigned char bytes[3] = {(unsigned char)(number >> 16), (unsigned char)(number >> 8),
                                  (unsigned char)number};
        size_t len = bytes[0] != 0 ? 3 : bytes[1] != 0 ? 2 : 1;
        if (is_valid(bytes + 3 - len, len) != plain_is_valid(bytes + 3 - len, len))
            fail_msg("%02x %02x %02x", bytes[0], bytes[1], bytes[2]);
    }
}

static void every_kind_of_four_bytes_is_validated(void **state)
{
    static const unsigned char edges[] = {0x00, 0x7f, 0x80, 0x8f, 0x90,
                                          0x9f, 0xa0, 0xbf, 0xc0, 0xff};
    (void)state;
    for (unsigned lead = 0xe0; lead <= 0xff; lead++)
        for (unsigned second = 0; second <= 0xff; second++)
            for (size_t i = 0; i < 100; i++) {
                unsigned char bytes[] = {(unsigned char)lead, (unsigned char)second, edges[i / 10],
                                         edges[i % 10]};
                if (is_valid(bytes, 4) != plain_is_valid(bytes, 4))
                    fail_msg("%02x %02x %02x %02x", bytes[0], bytes[1], bytes[2], bytes[3]);
            }
}

static void every_character_is_encoded_as_valid_utf8(void **state)
{
    (void)state;
    for (uint32_t code = 0; code <= 0x10ffff; code++) {
        char bytes[4];
        if (code >= 0xd800 && code <= 0xdfff)
            continue;
        size_t len = kv_utf8_encode(code, bytes);
        assert_int_equal(len, code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4);
        assert_true(plain_is_character((unsigned char *)bytes, len));
    }
}

static void the_empty_text_is_valid(void **state)
{
    (void)state;
    assert_true(kv_utf8_is_valid((struct kv_slice){0}));
    assert_true(kv_utf8_is_valid(KV_SLICE("")));
}

static void nul_and_all_of_ascii_is_valid(void **state)
{
    unsigned char bytes[128];
    (void)state;
    for (unsigned i = 0; i < sizeof(bytes); i++)
        bytes[i] = (unsigned char)i;
    assert_true(is_valid(bytes, sizeof(bytes)));
}

/* The fast path must detect a bad byte at any position in a word. */
static void a_bad_byte_is_found_at_every_place(void **state)
{
    (void)state;
    for (size_t len = 1; len < 40; len++) {
        for (size_t place = 0; place < len; place++) {
            char *text = malloc(len);
            memset(text, 'a', len);
            text[place] = (char)0x80;
            assert_int_equal(kv_utf8_valid_len((struct kv_slice){text, len}), place);
            free(text);
        }
    }
}

static void a_truncated_character_is_not_valid(void **state)
{
    (void)state;
    static const char clef[] = "abc\xf0\x9d\x84\x9e";
    for (size_t len = 4; len < 7; len++)
        assert_int_equal(kv_utf8_valid_len((struct kv_slice){clef, len}), 3);
    assert_int_equal(kv_utf8_valid_len((struct kv_slice){clef, 7}), 7);
}

static void scripts_may_mix(void **state)
{
    (void)state;
    assert_true(
        kv_utf8_is_valid(KV_SLICE("a\xc3\xa9\xe4\xb8\xad\xf0\x9f\x98\x80\xd0\xb0z\xe2\x82\xac"
                                  "\xf0\x9f\x98\x80\xc3\xa9")));
}

/* Passes the text in pieces: it is split after byte i if bit i of `cuts` is set. */
static bool is_valid_in_pieces(const unsigned char *bytes, size_t len, unsigned cuts)
{
    struct kv_utf8_stream stream = {0};
    size_t from = 0;
    for (size_t i = 0; i < len; i++) {
        if ((cuts >> i & 1) == 0 && i + 1 < len)
            continue;
        struct kv_slice piece = {(const char *)bytes + from, i + 1 - from};
        if (!kv_utf8_stream_take(&stream, piece))
            return false;
        from = i + 1;
    }
    return kv_utf8_stream_is_whole(&stream);
}

static void text_in_pieces_is_validated_like_the_whole(void **state)
{
    static const unsigned char edges[] = {0x00, 0x7f, 0x80, 0x8f, 0x90, 0x9f,
                                          0xa0, 0xbf, 0xc2, 0xe0, 0xf4, 0xff};
    const size_t n = sizeof(edges);
    (void)state;
    for (unsigned lead = 0; lead <= 0xff; lead++)
        for (size_t i = 0; i < n * n * n; i++) {
            unsigned char bytes[] = {(unsigned char)lead, edges[i / n / n], edges[i / n % n],
                                     edges[i % n]};
            bool expected = is_valid(bytes, 4);
            for (unsigned cuts = 0; cuts < 8; cuts++)
                if (is_valid_in_pieces(bytes, 4, cuts) != expected)
                    fail_msg("%02x %02x %02x %02x, cuts %u", bytes[0], bytes[1], bytes[2], bytes[3],
                             cuts);
        }
}

/* A piece is accepted if and only if it can still become valid text. */
static void invalid_piece_is_refused_at_once(void **state)
{
    static const struct {
        struct kv_slice piece;
        bool may_begin;
    } pieces[] = {
        {KV_SLICE("\xc2"), true},
        {KV_SLICE("\xc1"), false},
        {KV_SLICE("\xe0\xa0"), true},
        {KV_SLICE("\xe0\x9f"), false},
        {KV_SLICE("\xed\x9f"), true},
        {KV_SLICE("\xed\xa0"), false},
        {KV_SLICE("\xf0\x90\x80"), true},
        {KV_SLICE("\xf0\x8f\x80"), false},
        {KV_SLICE("\xf4\x8f\xbf"), true},
        {KV_SLICE("\xf4\x90\x80"), false},
        {KV_SLICE("text \xf4"), true},
        {KV_SLICE("text \xf5"), false},
        {KV_SLICE("\xe2\x82\xac\xe2"), true},
        {KV_SLICE("\x80"), false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
        struct kv_utf8_stream stream = {0};
        assert_int_equal(kv_utf8_stream_take(&stream, pieces[i].piece), pieces[i].may_begin);
        assert_true(!pieces[i].may_begin || !kv_utf8_stream_is_whole(&stream));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_text_of_up_to_three_bytes_is_validated),
        cmocka_unit_test(every_kind_of_four_bytes_is_validated),
        cmocka_unit_test(every_character_is_encoded_as_valid_utf8),
        cmocka_unit_test(the_empty_text_is_valid),
        cmocka_unit_test(nul_and_all_of_ascii_is_valid),
        cmocka_unit_test(a_bad_byte_is_found_at_every_place),
        cmocka_unit_test(a_truncated_character_is_not_valid),
        cmocka_unit_test(scripts_may_mix),
        cmocka_unit_test(text_in_pieces_is_validated_like_the_whole),
        cmocka_unit_test(invalid_piece_is_refused_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
