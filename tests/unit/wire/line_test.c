/* Lines of imports and exports: their syntax, the messages about malformed ones, and their
 * output. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "wire/line.h"

static const struct kv_line_limits limits = {
    .max_depth = 4, .max_key_bytes = 16, .max_value_bytes = 32};

static void assert_line(const char *text, struct kv_slice key, const char *value, int64_t ttl_ms)
{
    struct kv_buffer scratch = {0};
    struct kv_line line;
    struct kv_error error;
    if (kv_line_parse(kv_slice_of(text), &limits, &scratch, &line, &error) != 0)
        fail_msg("%s", error.text);
    assert_true(kv_slice_equals(line.key, key));
    assert_true(kv_slice_equals(line.value, kv_slice_of(value)));
    assert_int_equal(line.ttl_ms, ttl_ms);
    kv_buffer_fini(&scratch);
}

static void assert_refused(const char *text, const char *what)
{
    struct kv_buffer scratch = {0};
    struct kv_line line;
    struct kv_error error;
    if (kv_line_parse(kv_slice_of(text), &limits, &scratch, &line, &error) == 0)
        fail_msg("%s was accepted", text);
    assert_string_equal(error.text, what);
    kv_buffer_fini(&scratch);
}

static void a_line_is_a_key_and_a_value(void **state)
{
    (void)state;
    assert_line("{\"key\":\"k\",\"value\":1}", KV_SLICE("k"), "1", 0);
    assert_line("{\"key\":\"\",\"value\":null}", KV_SLICE(""), "null", 0);
    assert_line(" { \"value\" : [1, 2] , \"key\" : \"k\" } \r", KV_SLICE("k"), "[1, 2]", 0);
}

static void a_key_is_unescaped(void **state)
{
    (void)state;
    assert_line("{\"key\":\"a\\n\\\"\\u0000\\u00e9\",\"value\":1}", KV_SLICE("a\n\"\0\xc3\xa9"),
                "1", 0);
}

static void a_value_is_kept_byte_for_byte(void **state)
{
    (void)state;
    assert_line("{\"key\":\"k\",\"value\":{\"a\": 1e400,\t\"a\":\"\\ud800\"}}", KV_SLICE("k"),
                "{\"a\": 1e400,\t\"a\":\"\\ud800\"}", 0);
}

static void ttl_has_the_syntax_of_any_write(void **state)
{
    (void)state;
    assert_line("{\"key\":\"k\",\"value\":1,\"ttl\":1500}", KV_SLICE("k"), "1", 1500);
    assert_line("{\"key\":\"k\",\"value\":1,\"ttl\":\"1m 1s\"}", KV_SLICE("k"), "1", 61000);
    assert_line("{\"key\":\"k\",\"value\":1,\"ttl\":0}", KV_SLICE("k"), "1", 0);
    assert_refused("{\"key\":\"k\",\"value\":1,\"ttl\":-1}", "ttl: -1 is negative");
    assert_refused("{\"key\":\"k\",\"value\":1,\"ttl\":null}",
                   "ttl: null is neither a number nor a string");
}

static void other_members_are_ignored(void **state)
{
    (void)state;
    assert_line("{\"key\":\"k\",\"value\":1,\"revision\":\"any\",\"new\":{}}", KV_SLICE("k"), "1",
                0);
    assert_line("{\"key\":\"j\",\"value\":1,\"key\":\"k\",\"value\":2}", KV_SLICE("k"), "2", 0);
}

static void malformed_lines_are_refused_with_a_reason(void **state)
{
    const char *of_backup = "this is a backup, which is restored, not imported";
    (void)state;
    assert_refused("", "bad JSON at byte 0: the text ends where a value is expected");
    assert_refused("{\"key\":\"k\",\"value\":01}",
                   "bad JSON at byte 20: a number has no leading zeros");
    assert_refused("[]", "the line is not an object");
    assert_refused("{\"value\":1}", "\"key\" is missing");
    assert_refused("{\"key\":7,\"value\":1}", "\"key\" is not a string");
    assert_refused("{\"key\":\"\\ud800\",\"value\":1}", "\"key\" has a lone surrogate");
    assert_refused("{\"key\":\"k\"}", "\"value\" is missing");
    assert_refused("{\"key\":\"k\",\"value\":1,\"deadline\":1}", of_backup);
    assert_refused("{\"key\":\"k\",\"deleted\":true}", of_backup);
    assert_refused("{\"key\":\"k\",\"touched\":true}", of_backup);
    assert_refused("{\"backup\":{}}", of_backup);
}

static void limits_are_enforced(void **state)
{
    (void)state;
    assert_line("{\"key\":\"\\u0031234567890123456\",\"value\":[[[[1]]]]}",
                KV_SLICE("1234567890123456"), "[[[[1]]]]", 0);
    assert_refused("{\"key\":\"12345678901234567\",\"value\":1}",
                   "the key has 17 bytes, the limit is 16");
    assert_refused("{\"key\":\"\\u00312345678901234567\",\"value\":1}",
                   "the key has 17 bytes, the limit is 16");
    assert_refused("{\"key\":\"k\",\"value\":\"1234567890123456789012345678901\"}",
                   "the value has 33 bytes, the limit is 32");
    assert_refused("{\"key\":\"k\",\"value\":[[[[[1]]]]]}",
                   "bad JSON at byte 23: the nesting is too deep");
}

static void assert_written(struct kv_slice key, int64_t ttl_ms, const char *expected)
{
    struct kv_buffer out = {0};
    kv_line_append_front(&out, key);
    kv_buffer_append_char(&out, '1');
    kv_line_append_back(&out, ttl_ms, 7);
    assert_true(kv_slice_equals(kv_buffer_slice(&out), kv_slice_of(expected)));
    kv_buffer_fini(&out);
}

static void a_line_is_written_with_only_the_necessary_members(void **state)
{
    (void)state;
    assert_written(KV_SLICE("k"), 0, "{\"key\":\"k\",\"value\":1,\"revision\":7}\n");
    assert_written(KV_SLICE("a\n\0\""), 60000,
                   "{\"key\":\"a\\n\\u0000\\\"\",\"value\":1,\"ttl\":60000,\"revision\":7}\n");
}

static void a_value_stays_on_its_line(void **state)
{
    (void)state;
    assert_int_equal(kv_line_value_run(KV_SLICE("")), 0);
    assert_int_equal(kv_line_value_run(KV_SLICE("{\"a\":\t1}")), 8);
    assert_int_equal(kv_line_value_run(KV_SLICE("[1,\n2]")), 3);
    assert_int_equal(kv_line_value_run(KV_SLICE("[1,\r\n2]")), 3);
}

static void the_longest_line_is_within_the_documented_length(void **state)
{
    (void)state;
    struct kv_buffer out = {0};
    char key[16] = {0}, value[32];
    memset(value, '1', sizeof(value));
    kv_line_append_front(&out, (struct kv_slice){key, sizeof(key)});
    kv_buffer_append(&out, (struct kv_slice){value, sizeof(value)});
    kv_line_append_back(&out, INT64_MAX, UINT64_MAX);
    assert_true(out.len <= kv_line_max_bytes(&limits));
    kv_buffer_fini(&out);
}

static void white_space_alone_is_blank(void **state)
{
    (void)state;
    assert_true(kv_line_is_blank(KV_SLICE("")));
    assert_true(kv_line_is_blank(KV_SLICE(" \t\r")));
    assert_false(kv_line_is_blank(KV_SLICE(" {")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_is_a_key_and_a_value),
        cmocka_unit_test(a_key_is_unescaped),
        cmocka_unit_test(a_value_is_kept_byte_for_byte),
        cmocka_unit_test(ttl_has_the_syntax_of_any_write),
        cmocka_unit_test(other_members_are_ignored),
        cmocka_unit_test(malformed_lines_are_refused_with_a_reason),
        cmocka_unit_test(limits_are_enforced),
        cmocka_unit_test(a_line_is_written_with_only_the_necessary_members),
        cmocka_unit_test(a_value_stays_on_its_line),
        cmocka_unit_test(the_longest_line_is_within_the_documented_length),
        cmocka_unit_test(white_space_alone_is_blank),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
