/* Static tokens: their digests and their syntax. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "access/token.h"

/* FIPS 180-2, appendix B.1. */
#define DIGEST_OF_ABC "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"

static void the_digest_is_sha_256(void **state)
{
    unsigned char digest[KV_TOKEN_DIGEST];
    char text[2 * KV_TOKEN_DIGEST + 1];
    (void)state;
    kv_token_digest(KV_SLICE("abc"), digest);
    kv_token_print_digest(digest, text);
    assert_string_equal(text, DIGEST_OF_ABC);
}

static void a_digest_is_read_in_any_letter_case(void **state)
{
    unsigned char digest[KV_TOKEN_DIGEST], read[KV_TOKEN_DIGEST];
    (void)state;
    kv_token_digest(KV_SLICE("abc"), digest);
    assert_true(kv_token_read_digest(KV_SLICE(DIGEST_OF_ABC), read));
    assert_true(kv_token_digest_equals(digest, read));
    assert_true(kv_token_read_digest(
        KV_SLICE("BA7816BF8F01CFEA414140DE5DAE2223B00361A396177A9CB410FF61F20015AD"), read));
    assert_true(kv_token_digest_equals(digest, read));
    read[KV_TOKEN_DIGEST - 1] ^= 1;
    assert_false(kv_token_digest_equals(digest, read));
}

static void malformed_digests_are_refused(void **state)
{
    unsigned char read[KV_TOKEN_DIGEST];
    (void)state;
    assert_false(kv_token_read_digest(KV_SLICE(""), read));
    assert_false(kv_token_read_digest(KV_SLICE("ba7816bf"), read));
    assert_false(kv_token_read_digest(
        KV_SLICE("ga7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"), read));
    assert_false(kv_token_read_digest(KV_SLICE(DIGEST_OF_ABC "00"), read));
}

static bool is_token(const char *text)
{
    return kv_token_is_well_formed(kv_slice_of(text));
}

static void a_token_has_only_characters_valid_in_a_header(void **state)
{
    (void)state;
    assert_true(is_token("a"));
    assert_true(is_token("eyJ.eyJ-_~+/x=="));
    assert_false(is_token(""));
    assert_false(is_token("="));
    assert_false(is_token("a=b"));
    assert_false(is_token("a b"));
    assert_false(is_token("a,b"));
    assert_false(is_token("\xc3\xa4"));
    assert_false(kv_token_is_well_formed((struct kv_slice){"a\0b", 3}));
}

static void a_token_has_at_most_8_kib(void **state)
{
    char text[KV_LONGEST_TOKEN + 1];
    (void)state;
    memset(text, 'a', sizeof(text));
    assert_true(kv_token_is_well_formed((struct kv_slice){text, KV_LONGEST_TOKEN}));
    assert_false(kv_token_is_well_formed((struct kv_slice){text, KV_LONGEST_TOKEN + 1}));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_digest_is_sha_256),
        cmocka_unit_test(a_digest_is_read_in_any_letter_case),
        cmocka_unit_test(malformed_digests_are_refused),
        cmocka_unit_test(a_token_has_only_characters_valid_in_a_header),
        cmocka_unit_test(a_token_has_at_most_8_kib),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
