/* Base64 for URLs: RFC 4648, section 10, without padding; each byte string has only one valid
 * encoding. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "wire/base64url.h"

#define N(array) (sizeof(array) / sizeof((array)[0]))

static const struct {
    const char *text, *bytes;
    size_t len;
} pairs[] = {
    {"", "", 0},
    {"Zg", "f", 1},
    {"Zm8", "fo", 2},
    {"Zm9v", "foo", 3},
    {"Zm9vYg", "foob", 4},
    {"Zm9vYmE", "fooba", 5},
    {"Zm9vYmFy", "foobar", 6},
    {"AP_-", "\0\xff\xfe", 3},
};

static void bytes_are_encoded(void **state)
{
    struct kv_buffer out = {0};
    (void)state;
    for (size_t i = 0; i < N(pairs); i++) {
        out.len = 0;
        kv_buffer_append(&out, KV_SLICE("kept"));
        kv_base64url_append(&out, (struct kv_slice){pairs[i].bytes, pairs[i].len});
        assert_int_equal(out.len, 4 + strlen(pairs[i].text));
        assert_memory_equal(out.bytes + 4, pairs[i].text, out.len - 4);
    }
    kv_buffer_fini(&out);
}

static void text_is_decoded(void **state)
{
    char bytes[16];
    (void)state;
    for (size_t i = 0; i < N(pairs); i++) {
        assert_true(kv_base64url_decode(kv_slice_of(pairs[i].text), bytes));
        assert_int_equal(kv_base64url_decoded_len(strlen(pairs[i].text)), pairs[i].len);
        assert_memory_equal(bytes, pairs[i].bytes, pairs[i].len);
    }
}

static void malformed_texts_are_refused(void **state)
{
    static const char *const texts[] = {"A",    "AAAAA", "Zg==", "Zh",      "Zm9",
                                        "Zm+v", "Zm/v",  "Zm v", "\xc3\xa4"};
    char bytes[16];
    (void)state;
    for (size_t i = 0; i < N(texts); i++)
        if (kv_base64url_decode(kv_slice_of(texts[i]), bytes))
            fail_msg("%s was decoded", texts[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_are_encoded),
        cmocka_unit_test(text_is_decoded),
        cmocka_unit_test(malformed_texts_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
