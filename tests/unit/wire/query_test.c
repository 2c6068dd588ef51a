/* Query parameters: their decoding, their order, and the messages about malformed ones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "wire/query.h"

enum {
    PREFIX,
    LIMIT,
    KEY,
    N_NAMES
};
static const struct kv_slice names[N_NAMES] = {{"prefix", 6}, {"limit", 5}, {"key", 3}};
static const struct kv_query_form form = {
    .names = names, .n_names = N_NAMES, .repeatable = 1u << KEY};

static struct kv_query query;
static struct kv_buffer decoded;
static struct kv_error error;

static void begin(const char *text)
{
    assert_int_equal(kv_query_begin(&query, &form, kv_slice_of(text), &decoded), 0);
}

static void assert_next(int expected, struct kv_slice expected_value)
{
    struct kv_slice value;
    int which = kv_query_next(&query, &value, &error);
    if (which == KV_QUERY_BAD)
        fail_msg("%s", error.text);
    assert_int_equal(which, expected);
    if (!kv_slice_equals(value, expected_value))
        fail_msg("%.*s instead of %.*s", (int)value.len, value.bytes, (int)expected_value.len,
                 expected_value.bytes);
}

static void assert_end(void)
{
    struct kv_slice value;
    assert_int_equal(kv_query_next(&query, &value, &error), KV_QUERY_END);
}

/* The last parameter of the query is invalid. */
static void assert_refused(const char *text, const char *expected)
{
    struct kv_slice value;
    int which;
    begin(text);
    while ((which = kv_query_next(&query, &value, &error)) >= 0)
        continue;
    assert_int_equal(which, KV_QUERY_BAD);
    assert_string_equal(error.text, expected);
}

static void parameters_are_returned_in_the_order_sent(void **state)
{
    (void)state;
    begin("limit=5&prefix=a");
    assert_next(LIMIT, KV_SLICE("5"));
    assert_next(PREFIX, KV_SLICE("a"));
    assert_end();
    assert_end();
}

static void a_query_may_be_empty(void **state)
{
    (void)state;
    begin("");
    assert_end();
    assert_int_equal(kv_query_begin(&query, &form, (struct kv_slice){0}, &decoded), 0);
    assert_end();
    begin("&&");
    assert_end();
}

static void a_plus_is_a_space_and_an_escape_a_byte(void **state)
{
    (void)state;
    begin("prefix=a+b%2B%2fc%C3%A4%00&pre%66ix=");
    assert_next(PREFIX, KV_SLICE("a b+/c\xc3\xa4\0"));
    assert_refused("pre%66ix=1&prefix=2", "the parameter \"prefix\" is given twice");
}

static void the_first_of_several_equals_signs_counts(void **state)
{
    (void)state;
    begin("prefix=a=b=&&limit");
    assert_next(PREFIX, KV_SLICE("a=b="));
    assert_next(LIMIT, KV_SLICE(""));
    assert_end();
}

static void values_stay_valid_while_others_are_read(void **state)
{
    (void)state;
    struct kv_slice first, second;
    begin("key=%61&key=%62&key=%63");
    assert_int_equal(kv_query_next(&query, &first, &error), KEY);
    assert_int_equal(kv_query_next(&query, &second, &error), KEY);
    assert_next(KEY, KV_SLICE("c"));
    assert_true(kv_slice_equals(first, KV_SLICE("a")));
    assert_true(kv_slice_equals(second, KV_SLICE("b")));
}

static void faults_are_reported_with_name_and_offset(void **state)
{
    (void)state;
    assert_refused("limit=1&limit=2", "the parameter \"limit\" is given twice");
    assert_refused("prefx=a", "unknown parameter \"prefx\": this path takes prefix, limit, key");
    assert_refused("=a", "unknown parameter \"\": this path takes prefix, limit, key");
    assert_refused("key=a&prefix=%4", "the query: a broken percent escape at byte 13");
    assert_refused("prefix=%4g", "the query: a broken percent escape at byte 7");
    assert_refused("%=1", "the query: a broken percent escape at byte 0");
    assert_refused("limit=1&prefix=a%ff", "the query: the text at byte 15 is not UTF-8");
    assert_refused("\xff=1", "the query: the text at byte 0 is not UTF-8");
}

static void switches_are_true_or_false(void **state)
{
    bool is_on = false;
    (void)state;
    assert_int_equal(kv_query_read_bool(names[KEY], KV_SLICE("true"), &is_on, &error), 0);
    assert_true(is_on);
    assert_int_equal(kv_query_read_bool(names[KEY], KV_SLICE("false"), &is_on, &error), 0);
    assert_false(is_on);
    assert_int_equal(kv_query_read_bool(names[KEY], KV_SLICE("1"), &is_on, &error), -1);
    assert_string_equal(error.text, "the parameter \"key\" must be true or false, not \"1\"");
}

static void numbers_must_be_within_their_bounds(void **state)
{
    static const char *const bad[] = {
        "", "0", "10001", "-1", "+1", "1.0", "1 ", "a", "18446744073709551617"};
    uint64_t number;
    (void)state;
    assert_int_equal(kv_query_read_number(names[LIMIT], KV_SLICE("1"), 1, 10000, &number, &error),
                     0);
    assert_int_equal(number, 1);
    assert_int_equal(
        kv_query_read_number(names[LIMIT], KV_SLICE("0010000"), 1, 10000, &number, &error), 0);
    assert_int_equal(number, 10000);
    assert_int_equal(kv_query_read_number(names[LIMIT], KV_SLICE("18446744073709551615"), 0,
                                          UINT64_MAX, &number, &error),
                     0);
    assert_true(number == UINT64_MAX);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        char expected[128];
        snprintf(expected, sizeof(expected),
                 "the parameter \"limit\" must be a whole number from 1 to 10000, not \"%s\"",
                 bad[i]);
        assert_int_equal(
            kv_query_read_number(names[LIMIT], kv_slice_of(bad[i]), 1, 10000, &number, &error), -1);
        assert_string_equal(error.text, expected);
    }
}

static int empty_decoded(void **state)
{
    (void)state;
    kv_buffer_fini(&decoded);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parameters_are_returned_in_the_order_sent),
        cmocka_unit_test(a_query_may_be_empty),
        cmocka_unit_test(a_plus_is_a_space_and_an_escape_a_byte),
        cmocka_unit_test(the_first_of_several_equals_signs_counts),
        cmocka_unit_test(values_stay_valid_while_others_are_read),
        cmocka_unit_test(faults_are_reported_with_name_and_offset),
        cmocka_unit_test(switches_are_true_or_false),
        cmocka_unit_test(numbers_must_be_within_their_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, empty_decoded);
}
