/* The scanner, and the strings of JSON. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "wire/json.h"
#include "wire/json_string.h"

enum {
    DEPTH = 1024
};

static struct kv_slice check(struct kv_slice text)
{
    struct kv_slice value = {0};
    struct kv_json_error error;
    if (kv_json_check(text, DEPTH, &value, &error) != 0)
        fail_msg("%.*s: %s at %zu", (int)text.len, text.bytes, error.what, error.offset);
    return value;
}

static void assert_refused(struct kv_slice text, size_t offset, const char *what)
{
    struct kv_slice value;
    struct kv_json_error error;
    if (kv_json_check(text, DEPTH, &value, &error) == 0)
        fail_msg("%.*s was accepted", (int)text.len, text.bytes == NULL ? "" : text.bytes);
    assert_string_equal(error.what, what);
    assert_int_equal(error.offset, offset);
}

static void assert_slice(struct kv_slice slice, const char *expected)
{
    assert_non_null(slice.bytes);
    if (!kv_slice_equals(slice, kv_slice_of(expected)))
        fail_msg("%.*s instead of %s", (int)slice.len, slice.bytes, expected);
}

static void values_of_every_type_pass(void **state)
{
    static const struct {
        const char *text;
        enum kv_json_type type;
    } values[] = {
        {"null", KV_JSON_NULL},   {"true", KV_JSON_TRUE},
        {"false", KV_JSON_FALSE}, {"-0.5e+7", KV_JSON_NUMBER},
        {"12", KV_JSON_NUMBER},   {"\"\"", KV_JSON_STRING},
        {"[]", KV_JSON_ARRAY},    {"[1,[2],{}]", KV_JSON_ARRAY},
        {"{}", KV_JSON_OBJECT},   {"{\"a\":[{}]}", KV_JSON_OBJECT},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        struct kv_slice value = check(kv_slice_of(values[i].text));
        assert_slice(value, values[i].text);
        assert_int_equal(kv_json_type_of(value), values[i].type);
    }
    assert_int_equal(kv_json_type_of((struct kv_slice){0}), KV_JSON_NONE);
}

static void a_value_keeps_its_text_without_surrounding_space(void **state)
{
    static const char text[] = "{ \"b\" :\t1.00 ,\n\"b\":1e400, \"a\":\"\\u0041\\ud800\" }";
    (void)state;
    assert_slice(check(kv_slice_of(text)), text);
    assert_slice(check(KV_SLICE(" \t\r\n[ 1 , 2 ] \t\r\n")), "[ 1 , 2 ]");
}

static void errors_have_a_reason_and_an_offset(void **state)
{
    (void)state;
    assert_refused((struct kv_slice){0}, 0, "the text ends where a value is expected");
    assert_refused(KV_SLICE("  "), 2, "the text ends where a value is expected");
    assert_refused(KV_SLICE("[1,]"), 3, "a value is expected");
    assert_refused(KV_SLICE("[1 2]"), 3, "',' or ']' is expected");
    assert_refused(KV_SLICE("[1"), 2, "',' or ']' is expected");
    assert_refused(KV_SLICE("{\"a\":1]"), 6, "',' or '}' is expected");
    assert_refused(KV_SLICE("{\"a\" 1}"), 5, "':' is expected");
    assert_refused(KV_SLICE("{\"a\":1,}"), 7, "a member's name is expected");
    assert_refused(KV_SLICE("{1:1}"), 1, "a member's name is expected");
    assert_refused(KV_SLICE("nul"), 0, "a value is expected");
    assert_refused(KV_SLICE("1 2"), 2, "something follows the value");
    assert_refused(KV_SLICE("nullx"), 4, "something follows the value");
    assert_refused(KV_SLICE("\"abc"), 4, "the string has no end");
    assert_refused(KV_SLICE("\"a\nb\""), 2, "a control character must be escaped");
    assert_refused(KV_SLICE("\"a\0b\""), 2, "a control character must be escaped");
    assert_refused(KV_SLICE("\"\\x\""), 2, "unknown escape");
    assert_refused(KV_SLICE("\"\\u12g4\""), 5, "four hexadecimal digits must follow \\u");
    assert_refused(KV_SLICE("\"\\u12"), 5, "four hexadecimal digits must follow \\u");
    assert_refused(KV_SLICE("01"), 1, "a number has no leading zeros");
    assert_refused(KV_SLICE("-"), 1, "a digit is expected");
    assert_refused(KV_SLICE("1."), 2, "a digit is expected");
    assert_refused(KV_SLICE("1e"), 2, "a digit is expected");
    assert_refused(KV_SLICE("1e+-1"), 3, "a digit is expected");
    assert_refused(KV_SLICE("+1"), 0, "a value is expected");
    assert_refused(KV_SLICE("\"ab\xff\""), 3, "bytes that are not UTF-8");
    assert_refused(KV_SLICE("\v1"), 0, "a value is expected");
}

static void a_byte_order_mark_is_refused_by_name(void **state)
{
    (void)state;
    assert_refused(KV_SLICE("\xef\xbb\xbf{}"), 0, "a byte order mark is not allowed");
}

/* Each prefix is in a block of its own size, so that a sanitizer detects any access beyond it. */
static void no_proper_prefix_of_a_text_is_accepted(void **state)
{
    static const char text[] = "{\"key\":[true,false,null,-1.5e-7,\"\\u00e4\\n\xc3\xa4"
                               "a long plain string\"],\"x\":{\"y\":{}}}";
    (void)state;
    for (size_t len = 0; len < sizeof(text) - 1; len++) {
        struct kv_slice value;
        struct kv_json_error error;
        char *copy = malloc(len);
        memcpy(copy, text, len);
        assert_int_equal(kv_json_check((struct kv_slice){copy, len}, DEPTH, &value, &error), -1);
        assert_true(error.offset <= len);
        free(copy);
    }
    check(kv_slice_of(text));
}

static void special_bytes_in_a_string_are_found_at_every_place(void **state)
{
    char text[48];
    (void)state;
    for (size_t place = 1; place < sizeof(text) - 1; place++) {
        memset(text, 'a', sizeof(text));
        text[0] = text[sizeof(text) - 1] = '"';
        text[place] = '\x1f';
        assert_refused((struct kv_slice){text, sizeof(text)}, place,
                       "a control character must be escaped");
        text[place] = (char)0x80;
        assert_refused((struct kv_slice){text, sizeof(text)}, place, "bytes that are not UTF-8");
        text[place] = '\x7f';
        check((struct kv_slice){text, sizeof(text)});
        text[place] = '"';
        if (place < sizeof(text) - 2)
            assert_refused((struct kv_slice){text, sizeof(text)}, place + 1,
                           "something follows the value");
    }
}

static char *nested(size_t depth, const char *open, const char *close, size_t *ret_len)
{
    size_t open_len = strlen(open), close_len = strlen(close);
    char *text = malloc(depth * (open_len + close_len) + 1);
    char *to = text;
    for (size_t i = 0; i < depth; i++)
        to = stpcpy(to, open);
    *to++ = '1';
    for (size_t i = 0; i < depth; i++) {
        memcpy(to, close, close_len);
        to += close_len;
    }
    *ret_len = (size_t)(to - text);
    return text;
}

static void assert_depth(size_t depth, uint32_t max_depth, const char *open, const char *close,
                         bool is_accepted)
{
    size_t len;
    char *text = nested(depth, open, close, &len);
    struct kv_slice value;
    struct kv_json_error error = {0};
    int rc = kv_json_check((struct kv_slice){text, len}, max_depth, &value, &error);
    free(text);
    assert_int_equal(rc, is_accepted ? 0 : -1);
    if (is_accepted)
        return;
    assert_ptr_equal(error.what, KV_JSON_TOO_DEEP);
    assert_int_equal(error.offset, max_depth * strlen(open));
}

static void nesting_is_allowed_up_to_the_limit(void **state)
{
    (void)state;
    assert_depth(0, 0, "[", "]", true);
    assert_depth(1, 0, "[", "]", false);
    assert_depth(1024, 1024, "[", "]", true);
    assert_depth(1025, 1024, "[", "]", false);
    assert_depth(1024, 1024, "{\"a\":", "}", true);
    assert_depth(1025, 1024, "{\"a\":", "}", false);
    assert_depth(KV_JSON_MAX_DEPTH, KV_JSON_MAX_DEPTH, "[", "]", true);
    assert_depth(KV_JSON_MAX_DEPTH + 1, KV_JSON_MAX_DEPTH, "[", "]", false);
}

static void brackets_must_match_at_every_depth(void **state)
{
    (void)state;
    assert_depth(200, DEPTH, "{\"a\":[{\"b\":[", "]}]}", true);
    assert_refused(KV_SLICE("[{\"a\":[1}]]"), 8, "',' or ']' is expected");
    assert_refused(KV_SLICE("{\"a\":[{\"b\":1]}}"), 12, "',' or '}' is expected");
    assert_refused(KV_SLICE("[}"), 1, "a value is expected");
    assert_refused(KV_SLICE("{]"), 1, "a member's name is expected");
    assert_refused(KV_SLICE("[]]"), 2, "something follows the value");
}

static void depth_counts_only_open_containers(void **state)
{
    struct kv_slice value;
    struct kv_json_error error;
    (void)state;
    assert_int_equal(kv_json_check(KV_SLICE("[[],[],[{}],{\"a\":[]}]"), 3, &value, &error), 0);
}

/* Members. */

static const struct kv_json_field two_fields[] = {{.name = {"value", 5}}, {.name = {"ttl", 3}}};

static void read_two(const char *text, struct kv_slice values[2])
{
    struct kv_json_error error;
    values[0] = values[1] = (struct kv_slice){0};
    if (kv_json_read_object(kv_slice_of(text), DEPTH, two_fields, 2, values, &error) != 0)
        fail_msg("%s: %s at %zu", text, error.what, error.offset);
}

static void members_are_returned_without_surrounding_space(void **state)
{
    struct kv_slice values[2];
    (void)state;
    read_two(" { \"value\" : [ 1, 2 ] , \"ttl\"\n:\t\"1h\" } ", values);
    assert_slice(values[0], "[ 1, 2 ]");
    assert_slice(values[1], "\"1h\"");
}

static void absent_members_have_no_bytes(void **state)
{
    struct kv_slice values[2];
    (void)state;
    read_two("{}", values);
    assert_null(values[0].bytes);
    read_two("{\"valu\":1,\"value2\":2,\"\":3,\"Value\":4}", values);
    assert_null(values[0].bytes);
}

static void unknown_members_are_skipped_but_checked(void **state)
{
    struct kv_slice values[2];
    struct kv_json_error error;
    (void)state;
    read_two("{\"x\":{\"value\":1},\"value\":null,\"y\":[[[]]]}", values);
    assert_slice(values[0], "null");
    assert_int_equal(kv_json_read_object(KV_SLICE("{\"value\":1,\"x\":[1,]}"), DEPTH, two_fields, 2,
                                         values, &error),
                     -1);
    assert_int_equal(error.offset, 18);
}

static void the_last_of_duplicate_members_counts(void **state)
{
    struct kv_slice values[2];
    (void)state;
    read_two("{\"value\":1,\"value\":2,\"val\\u0075e\":3}", values);
    assert_slice(values[0], "3");
}

static void names_compare_after_unescaping(void **state)
{
    struct kv_slice values[2];
    (void)state;
    read_two("{\"\\u0076\\u0061lue\":1,\"tt\\u006C\":2}", values);
    assert_slice(values[0], "1");
    assert_slice(values[1], "2");
    read_two("{\"value\\u0000\":1,\"\\u0000value\":2,\"ttl\\ud800\":3,\"t\\tl\":4}", values);
    assert_null(values[0].bytes);
    assert_null(values[1].bytes);
}

static void a_text_that_is_not_an_object_is_refused_as_such(void **state)
{
    static const char *const texts[] = {"[]", " 1 ", "\"{}\"", "null"};
    struct kv_slice values[2] = {0};
    struct kv_json_error error;
    (void)state;
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(
            kv_json_read_object(kv_slice_of(texts[i]), DEPTH, two_fields, 2, values, &error), -1);
        assert_ptr_equal(error.what, KV_JSON_NOT_OBJECT);
        assert_int_equal(error.offset, i == 1);
    }
    assert_int_equal(kv_json_read_object(KV_SLICE("[1,"), DEPTH, two_fields, 2, values, &error),
                     -1);
    assert_string_equal(error.what, "the text ends where a value is expected");
    assert_int_equal(kv_json_read_object(KV_SLICE(""), DEPTH, two_fields, 2, values, &error), -1);
    assert_int_equal(kv_json_read_object(KV_SLICE("{} x"), DEPTH, two_fields, 2, values, &error),
                     -1);
    assert_int_equal(
        kv_json_read_object(KV_SLICE("\xef\xbb\xbf{}"), DEPTH, two_fields, 2, values, &error), -1);
    assert_string_equal(error.what, "a byte order mark is not allowed");
}

enum {
    PAYLOAD,
    KEY,
    VALUE,
    N_NESTED
};

static int read_nested(const char *text, uint32_t max_depth, struct kv_slice values[N_NESTED],
                       struct kv_json_error *reterr)
{
    static const struct kv_json_field fields[N_NESTED] = {
        [PAYLOAD] = {{"payload", 7}, .members_ahead = KEY - PAYLOAD, .n_members = 2},
        [KEY] = {{"key", 3}},
        [VALUE] = {{"value", 5}},
    };
    memset(values, 0, N_NESTED * sizeof(*values));
    return kv_json_read_object(kv_slice_of(text), max_depth, fields, 1, values, reterr);
}

static void nested_members_are_returned_in_the_same_pass(void **state)
{
    struct kv_slice values[N_NESTED];
    struct kv_json_error error;
    (void)state;
    assert_int_equal(read_nested("{\"payload\": {\"key\":\"k\",\"value\":{\"key\":7}} ,\"key\":1}",
                                 DEPTH, values, &error),
                     0);
    assert_slice(values[PAYLOAD], "{\"key\":\"k\",\"value\":{\"key\":7}}");
    assert_slice(values[KEY], "\"k\"");
    assert_slice(values[VALUE], "{\"key\":7}");
}

static void a_repeated_outer_member_discards_the_earlier_nested_members(void **state)
{
    struct kv_slice values[N_NESTED];
    struct kv_json_error error;
    (void)state;
    assert_int_equal(read_nested("{\"payload\":{\"key\":1,\"value\":2},\"payload\":{\"key\":3}}",
                                 DEPTH, values, &error),
                     0);
    assert_slice(values[KEY], "3");
    assert_null(values[VALUE].bytes);
    assert_int_equal(
        read_nested("{\"payload\":{\"key\":1},\"payload\":[5]}", DEPTH, values, &error), 0);
    assert_slice(values[PAYLOAD], "[5]");
    assert_null(values[KEY].bytes);
}

static void depth_counts_the_objects_that_are_parsed(void **state)
{
    struct kv_slice values[N_NESTED];
    struct kv_json_error error;
    (void)state;
    assert_int_equal(read_nested("{\"payload\":{\"value\":[]}}", 3, values, &error), 0);
    assert_int_equal(read_nested("{\"payload\":{\"value\":[[]]}}", 3, values, &error), -1);
    assert_ptr_equal(error.what, KV_JSON_TOO_DEEP);
    assert_int_equal(error.offset, 21);
    assert_int_equal(read_nested("{\"payload\":{}}", 1, values, &error), -1);
    assert_ptr_equal(error.what, KV_JSON_TOO_DEEP);
    assert_int_equal(read_nested("{\"payload\":{},\"x\":[1],\"y\":{}}", 2, values, &error), 0);
}

/* Arrays. */

static void assert_elements(const char *text, const char *const *expected, size_t n)
{
    struct kv_slice element;
    struct kv_json_error error;
    size_t at = 0;
    check(kv_slice_of(text));
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(kv_json_read_array(kv_slice_of(text), DEPTH, &at, &element, &error), 1);
        assert_slice(element, expected[i]);
    }
    assert_int_equal(kv_json_read_array(kv_slice_of(text), DEPTH, &at, &element, &error), 0);
    assert_int_equal(kv_json_read_array(kv_slice_of(text), DEPTH, &at, &element, &error), 0);
}

static void elements_of_an_array_are_returned_in_order(void **state)
{
    static const char *const elements[] = {"1", "[2,3]", "{\"a\":[]}", "\"]\"", "null"};
    (void)state;
    assert_elements(" [1 , [2,3],{\"a\":[]}\n,\"]\",null ] ", elements, 5);
    assert_elements("[1]", elements, 1);
    assert_elements("[1]", elements, 1);
}

static void an_empty_array_has_no_elements(void **state)
{
    (void)state;
    assert_elements("[]", NULL, 0);
    assert_elements(" [ ] ", NULL, 0);
}

static void reading_elements_requires_an_array(void **state)
{
    static const char *const texts[] = {"{}", "1", "", "\"[]\""};
    (void)state;
    for (size_t i = 0; i < 4; i++) {
        struct kv_slice element;
        struct kv_json_error error;
        size_t at = 0;
        assert_int_equal(kv_json_read_array(kv_slice_of(texts[i]), DEPTH, &at, &element, &error),
                         -1);
        assert_string_equal(error.what, "an array is expected");
    }
}

static void depth_limit_applies_to_elements(void **state)
{
    struct kv_slice element;
    struct kv_json_error error;
    size_t at = 0;
    (void)state;
    assert_int_equal(kv_json_read_array(KV_SLICE("[[],[[]]]"), 2, &at, &element, &error), 1);
    assert_int_equal(kv_json_read_array(KV_SLICE("[[],[[]]]"), 2, &at, &element, &error), -1);
    assert_ptr_equal(error.what, KV_JSON_TOO_DEEP);
    assert_int_equal(error.offset, 5);
}

/* Strings. */

static void assert_unescaped(const char *string, struct kv_slice expected)
{
    struct kv_buffer out = {0};
    kv_buffer_append(&out, KV_SLICE("before "));
    assert_int_equal(kv_json_unescape(kv_slice_of(string), &out), 0);
    struct kv_slice result = {out.bytes + 7, out.len - 7};
    if (!kv_slice_equals(result, expected))
        fail_msg("%s became %.*s", string, (int)result.len, result.bytes);
    assert_memory_equal(out.bytes, "before ", 7);
    kv_buffer_fini(&out);
}

static void escapes_are_decoded(void **state)
{
    (void)state;
    assert_unescaped("\"\"", KV_SLICE(""));
    assert_unescaped("\"plain\"", KV_SLICE("plain"));
    assert_unescaped("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", KV_SLICE("\"\\/\b\f\n\r\t"));
    assert_unescaped("\"a\\u0000b\"", KV_SLICE("a\0b"));
    assert_unescaped("\"\\u0041\\u00e4\\u20AC\\uFFFF\"",
                     KV_SLICE("A\xc3\xa4\xe2\x82\xac\xef\xbf\xbf"));
    assert_unescaped("\"\\ud834\\udd1e!\"", KV_SLICE("\xf0\x9d\x84\x9e!"));
    assert_unescaped("\"\\uDBFF\\uDFFF\"", KV_SLICE("\xf4\x8f\xbf\xbf"));
    assert_unescaped("\"\\\\u0041\"", KV_SLICE("\\u0041"));
}

static void lone_surrogates_are_refused_and_leave_the_buffer_unchanged(void **state)
{
    static const char *const strings[] = {
        "\"\\ud800\"",          "\"ab\\udc00cd\"",           "\"\\ud800\\u0041\"",
        "\"\\udc00\\ud800\"",   "\"\\ud800\\ud800\\udc00\"", "\"\\ud800x\\udc00\"",
        "\"\\ud800\\\\udc00\"",
    };
    (void)state;
    for (size_t i = 0; i < sizeof(strings) / sizeof(strings[0]); i++) {
        struct kv_buffer out = {0};
        kv_buffer_append(&out, KV_SLICE("kept"));
        check(kv_slice_of(strings[i]));
        assert_int_equal(kv_json_unescape(kv_slice_of(strings[i]), &out), -1);
        assert_slice(kv_buffer_slice(&out), "kept");
        kv_buffer_fini(&out);
    }
}

static void assert_written(struct kv_slice utf8, const char *expected)
{
    struct kv_buffer out = {0};
    kv_json_append_string(&out, utf8);
    assert_slice(kv_buffer_slice(&out), expected);
    kv_buffer_fini(&out);
}

static void strings_are_written_with_the_necessary_escapes(void **state)
{
    (void)state;
    assert_written((struct kv_slice){0}, "\"\"");
    assert_written(KV_SLICE("a/b"), "\"a/b\"");
    assert_written(KV_SLICE("\"\\\b\f\n\r\t"), "\"\\\"\\\\\\b\\f\\n\\r\\t\"");
    assert_written(KV_SLICE("\0\x1f\x7f"), "\"\\u0000\\u001f\x7f\"");
    assert_written(KV_SLICE("a long text before \"and\" after a quote"),
                   "\"a long text before \\\"and\\\" after a quote\"");
    assert_written(KV_SLICE("\xc3\xa4\xe2\x82\xac\xf0\x9d\x84\x9e"),
                   "\"\xc3\xa4\xe2\x82\xac\xf0\x9d\x84\x9e\"");
}

static void written_strings_are_read_back(void **state)
{
    (void)state;
    srand(3);
    for (int round = 0; round < 5000; round++) {
        char text[64];
        size_t len = (size_t)rand() % sizeof(text);
        for (size_t i = 0; i < len; i++)
            text[i] = (char)(rand() % (rand() % 2 ? 0x80 : 0x24));
        struct kv_slice utf8 = {text, len};
        struct kv_buffer json = {0}, back = {0};
        kv_json_append_string(&json, utf8);
        assert_int_equal(kv_json_unescape(check(kv_buffer_slice(&json)), &back), 0);
        assert_true(kv_slice_equals(kv_buffer_slice(&back), utf8));
        kv_buffer_fini(&json);
        kv_buffer_fini(&back);
    }
}

static void strings_compare_after_unescaping(void **state)
{
    (void)state;
    assert_true(kv_json_string_equals(KV_SLICE("\"\""), KV_SLICE("")));
    assert_true(kv_json_string_equals(KV_SLICE("\"get\""), KV_SLICE("get")));
    assert_true(kv_json_string_equals(KV_SLICE("\"g\\u0065t\""), KV_SLICE("get")));
    assert_true(
        kv_json_string_equals(KV_SLICE("\"\\ud834\\udd1e\""), KV_SLICE("\xf0\x9d\x84\x9e")));
    assert_true(kv_json_string_equals(KV_SLICE("\"\\u0067et\\n\""), KV_SLICE("get\n")));
    assert_false(kv_json_string_equals(KV_SLICE("\"set\""), KV_SLICE("get")));
    assert_false(kv_json_string_equals(KV_SLICE("\"unsubscribe\""), KV_SLICE("set")));
    assert_false(kv_json_string_equals(KV_SLICE("\"ge\""), KV_SLICE("get")));
    assert_false(kv_json_string_equals(KV_SLICE("\"gets\""), KV_SLICE("get")));
    assert_false(kv_json_string_equals(KV_SLICE("\"ge\\u0074s\""), KV_SLICE("get")));
    assert_false(kv_json_string_equals(KV_SLICE("\"get\\u0000\""), KV_SLICE("get")));
    assert_false(kv_json_string_equals(KV_SLICE("\"\\ud834\""), KV_SLICE("\xf0\x9d\x84\x9e")));
    assert_false(kv_json_string_equals(KV_SLICE("\"\\ud834\\udd1e\""), KV_SLICE("\xf0")));
}

static void errors_are_reported_with_their_place(void **state)
{
    struct kv_json_error json_error = {.what = "unknown escape", .offset = 17};
    struct kv_error error;
    (void)state;
    assert_int_equal(kv_json_error_tell(&json_error, &error), -1);
    assert_string_equal(error.text, "bad JSON at byte 17: unknown escape");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_of_every_type_pass),
        cmocka_unit_test(a_value_keeps_its_text_without_surrounding_space),
        cmocka_unit_test(errors_have_a_reason_and_an_offset),
        cmocka_unit_test(a_byte_order_mark_is_refused_by_name),
        cmocka_unit_test(no_proper_prefix_of_a_text_is_accepted),
        cmocka_unit_test(special_bytes_in_a_string_are_found_at_every_place),
        cmocka_unit_test(nesting_is_allowed_up_to_the_limit),
        cmocka_unit_test(brackets_must_match_at_every_depth),
        cmocka_unit_test(depth_counts_only_open_containers),
        cmocka_unit_test(members_are_returned_without_surrounding_space),
        cmocka_unit_test(absent_members_have_no_bytes),
        cmocka_unit_test(unknown_members_are_skipped_but_checked),
        cmocka_unit_test(the_last_of_duplicate_members_counts),
        cmocka_unit_test(names_compare_after_unescaping),
        cmocka_unit_test(a_text_that_is_not_an_object_is_refused_as_such),
        cmocka_unit_test(nested_members_are_returned_in_the_same_pass),
        cmocka_unit_test(a_repeated_outer_member_discards_the_earlier_nested_members),
        cmocka_unit_test(depth_counts_the_objects_that_are_parsed),
        cmocka_unit_test(elements_of_an_array_are_returned_in_order),
        cmocka_unit_test(an_empty_array_has_no_elements),
        cmocka_unit_test(reading_elements_requires_an_array),
        cmocka_unit_test(depth_limit_applies_to_elements),
        cmocka_unit_test(escapes_are_decoded),
        cmocka_unit_test(lone_surrogates_are_refused_and_leave_the_buffer_unchanged),
        cmocka_unit_test(strings_are_written_with_the_necessary_escapes),
        cmocka_unit_test(written_strings_are_read_back),
        cmocka_unit_test(strings_compare_after_unescaping),
        cmocka_unit_test(errors_are_reported_with_their_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
