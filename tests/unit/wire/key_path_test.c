/* Keys in URL paths. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "wire/key_path.h"

static void assert_key(const char *escaped, struct kv_slice expected)
{
    struct kv_buffer out = {0};
    const char *what = NULL;
    size_t offset = 0;
    if (kv_key_path_decode(kv_slice_of(escaped), &out, &what, &offset) != 0)
        fail_msg("%s: %s at %zu", escaped, what, offset);
    if (!kv_slice_equals(kv_buffer_slice(&out), expected))
        fail_msg("%s became %.*s", escaped, (int)out.len, out.bytes);
    kv_buffer_fini(&out);
}

static void assert_refused(const char *escaped, const char *expected, size_t expected_offset)
{
    struct kv_buffer out = {0};
    const char *what = NULL;
    size_t offset = 0;
    kv_buffer_append(&out, KV_SLICE("kept"));
    assert_int_equal(kv_key_path_decode(kv_slice_of(escaped), &out, &what, &offset), -1);
    assert_string_equal(what, expected);
    assert_int_equal(offset, expected_offset);
    assert_true(kv_slice_equals(kv_buffer_slice(&out), KV_SLICE("kept")));
    kv_buffer_fini(&out);
}

static void an_escaped_slash_and_a_slash_are_one_key(void **state)
{
    (void)state;
    assert_key("a%2Fb", KV_SLICE("a/b"));
    assert_key("a%2fb", KV_SLICE("a/b"));
    assert_key("a/b", KV_SLICE("a/b"));
}

static void dots_and_double_slashes_are_part_of_the_key(void **state)
{
    (void)state;
    assert_key("../a/./b//c/", KV_SLICE("../a/./b//c/"));
    assert_key("%2e%2e", KV_SLICE(".."));
}

static void an_escaped_nul_is_part_of_the_key(void **state)
{
    (void)state;
    assert_key("a%00b", KV_SLICE("a\0b"));
}

static void a_plus_is_a_plus(void **state)
{
    (void)state;
    assert_key("a+b%2B%20", KV_SLICE("a+b+ "));
}

static void an_empty_path_is_the_empty_key(void **state)
{
    struct kv_buffer out = {0};
    const char *what;
    size_t offset;
    (void)state;
    assert_key("", KV_SLICE(""));
    assert_int_equal(kv_key_path_decode((struct kv_slice){0}, &out, &what, &offset), 0);
}

static void an_escape_is_decoded_once(void **state)
{
    (void)state;
    assert_key("%252F", KV_SLICE("%2F"));
    assert_key("%25", KV_SLICE("%"));
}

static void characters_may_come_raw_or_in_escapes(void **state)
{
    (void)state;
    assert_key("\xc3\xa4%C3%A4\xc3%A4%c3\xa4", KV_SLICE("\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4"));
    assert_key("%F0%9F%98%80", KV_SLICE("\xf0\x9f\x98\x80"));
}

static void a_broken_escape_is_refused_at_its_offset(void **state)
{
    (void)state;
    assert_refused("%", "a broken percent escape", 0);
    assert_refused("ab%", "a broken percent escape", 2);
    assert_refused("ab%2", "a broken percent escape", 2);
    assert_refused("%41%2G", "a broken percent escape", 3);
    assert_refused("%G2", "a broken percent escape", 0);
    assert_refused("%%41", "a broken percent escape", 0);
    assert_refused("% 41", "a broken percent escape", 0);
    assert_refused("%-1", "a broken percent escape", 0);
}

static void invalid_utf8_is_refused_at_its_offset(void **state)
{
    (void)state;
    assert_refused("ab%ff", "bytes that are not UTF-8", 2);
    assert_refused("%41%42\xff", "bytes that are not UTF-8", 6);
    assert_refused("%C3", "bytes that are not UTF-8", 0);
    assert_refused("a%ED%A0%80", "bytes that are not UTF-8", 1);
    assert_refused("%C0%80", "bytes that are not UTF-8", 0);
    assert_refused("%c3%a4%f5", "bytes that are not UTF-8", 6);
}

static void the_key_is_appended(void **state)
{
    struct kv_buffer out = {0};
    const char *what;
    size_t offset;
    (void)state;
    kv_buffer_append(&out, KV_SLICE("before "));
    assert_int_equal(kv_key_path_decode(KV_SLICE("%61b"), &out, &what, &offset), 0);
    assert_true(kv_slice_equals(kv_buffer_slice(&out), KV_SLICE("before ab")));
    kv_buffer_fini(&out);
}

static void a_key_without_escapes_is_read_in_place(void **state)
{
    struct kv_buffer scratch = {0};
    struct kv_slice key, plain = KV_SLICE("plain/\xc3\xa4+");
    const char *what;
    size_t offset;
    (void)state;
    assert_int_equal(kv_key_path_read(plain, &scratch, &key, &what, &offset), 0);
    assert_ptr_equal(key.bytes, plain.bytes);
    assert_int_equal(key.len, plain.len);
    assert_int_equal(kv_key_path_read(KV_SLICE("ab\xff"), &scratch, &key, &what, &offset), -1);
    assert_string_equal(what, "bytes that are not UTF-8");
    assert_int_equal(offset, 2);
    assert_null(scratch.bytes);
}

/* At any position of the words that are tested at once. */
static void a_single_special_byte_is_detected(void **state)
{
    char text[] = "aaaaaaaaaaaaaaaaaaaa";
    struct kv_buffer scratch = {0};
    struct kv_slice key;
    const char *what;
    size_t offset;
    (void)state;
    for (size_t len = 1; len < sizeof(text); len++)
        for (size_t at = 0; at < len; at++) {
            text[at] = '\xff';
            assert_int_equal(
                kv_key_path_read((struct kv_slice){text, len}, &scratch, &key, &what, &offset), -1);
            assert_int_equal(offset, at);
            text[at] = '%';
            assert_int_equal(
                kv_key_path_read((struct kv_slice){text, at + 1}, &scratch, &key, &what, &offset),
                -1);
            assert_int_equal(offset, at);
            text[at] = 'a';
        }
    kv_buffer_fini(&scratch);
}

static void a_key_with_escapes_is_read_into_the_scratch(void **state)
{
    struct kv_buffer scratch = {0};
    struct kv_slice key;
    const char *what;
    size_t offset;
    (void)state;
    for (int i = 0; i < 2; i++) {
        assert_int_equal(kv_key_path_read(KV_SLICE("a%2Fb"), &scratch, &key, &what, &offset), 0);
        assert_true(kv_slice_equals(key, KV_SLICE("a/b")));
    }
    assert_int_equal(kv_key_path_read(KV_SLICE("a%2"), &scratch, &key, &what, &offset), -1);
    assert_string_equal(what, "a broken percent escape");
    assert_int_equal(offset, 1);
    kv_buffer_fini(&scratch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_escaped_slash_and_a_slash_are_one_key),
        cmocka_unit_test(dots_and_double_slashes_are_part_of_the_key),
        cmocka_unit_test(an_escaped_nul_is_part_of_the_key),
        cmocka_unit_test(a_plus_is_a_plus),
        cmocka_unit_test(an_empty_path_is_the_empty_key),
        cmocka_unit_test(an_escape_is_decoded_once),
        cmocka_unit_test(characters_may_come_raw_or_in_escapes),
        cmocka_unit_test(a_broken_escape_is_refused_at_its_offset),
        cmocka_unit_test(invalid_utf8_is_refused_at_its_offset),
        cmocka_unit_test(the_key_is_appended),
        cmocka_unit_test(a_key_without_escapes_is_read_in_place),
        cmocka_unit_test(a_single_special_byte_is_detected),
        cmocka_unit_test(a_key_with_escapes_is_read_into_the_scratch),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
