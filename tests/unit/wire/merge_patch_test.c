/* Merge patches: the cases of RFC 7396, and that a patch changes only the members it names. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "wire/merge_patch.h"

#define N(array) (sizeof(array) / sizeof((array)[0]))

struct merge_case {
    const char *old; /* NULL: no value */
    const char *patch, *expected;
};

static void assert_merged(const struct merge_case *each)
{
    struct kv_buffer out = {0};
    struct kv_slice old = each->old == NULL ? (struct kv_slice){0} : kv_slice_of(each->old);
    kv_buffer_append(&out, KV_SLICE("kept"));
    assert_int_equal(kv_merge_patch(old, kv_slice_of(each->patch), &out), 0);
    struct kv_slice result = {out.bytes + 4, out.len - 4};
    if (!kv_slice_equals(result, kv_slice_of(each->expected)))
        fail_msg("%s patched by %s is %.*s", each->old, each->patch, (int)result.len, result.bytes);
    kv_buffer_fini(&out);
}

static void assert_all_merged(const struct merge_case *cases, size_t n)
{
    for (size_t i = 0; i < n; i++)
        assert_merged(&cases[i]);
}

static void the_cases_of_the_rfc_are_merged(void **state)
{
    static const struct merge_case cases[] = {
        {"{\"a\":\"b\"}", "{\"a\":\"c\"}", "{\"a\":\"c\"}"},
        {"{\"a\":\"b\"}", "{\"b\":\"c\"}", "{\"a\":\"b\",\"b\":\"c\"}"},
        {"{\"a\":\"b\"}", "{\"a\":null}", "{}"},
        {"{\"a\":\"b\",\"b\":\"c\"}", "{\"a\":null}", "{\"b\":\"c\"}"},
        {"{\"a\":[\"b\"]}", "{\"a\":\"c\"}", "{\"a\":\"c\"}"},
        {"{\"a\":\"c\"}", "{\"a\":[\"b\"]}", "{\"a\":[\"b\"]}"},
        {"{\"a\":{\"b\":\"c\"}}", "{\"a\":{\"b\":\"d\",\"c\":null}}", "{\"a\":{\"b\":\"d\"}}"},
        {"{\"a\":[{\"b\":\"c\"}]}", "{\"a\":[1]}", "{\"a\":[1]}"},
        {"[\"a\",\"b\"]", "[\"c\",\"d\"]", "[\"c\",\"d\"]"},
        {"{\"a\":\"b\"}", "[\"c\"]", "[\"c\"]"},
        {"{\"a\":\"foo\"}", "null", "null"},
        {"{\"a\":\"foo\"}", "\"bar\"", "\"bar\""},
        {"{\"e\":null}", "{\"a\":1}", "{\"e\":null,\"a\":1}"},
        {"[1,2]", "{\"a\":\"b\",\"c\":null}", "{\"a\":\"b\"}"},
        {"{}", "{\"a\":{\"bb\":{\"ccc\":null}}}", "{\"a\":{\"bb\":{}}}"},
    };
    (void)state;
    assert_all_merged(cases, N(cases));
}

static void members_not_in_the_patch_keep_their_bytes(void **state)
{
    static const struct merge_case cases[] = {
        {"{ \"a\" : 1.0 , \"b\":\t[ 1 ] }", "{}", "{ \"a\" : 1.0 , \"b\":\t[ 1 ] }"},
        {"{ \"a\" : 1.0 , \"b\":\t[ 1 ] }", "{\"b\":2}", "{ \"a\" : 1.0 , \"b\":\t2 }"},
        {"{ \"a\" : 1.0 , \"b\":\t[ 1 ] }", "{\"a\":null}", "{ \"b\":\t[ 1 ] }"},
        {"{ \"a\" : 1.0 , \"b\":\t[ 1 ] }", "{\"c\": 3}",
         "{ \"a\" : 1.0 , \"b\":\t[ 1 ] ,\"c\":3}"},
        {"{\"a\":{ }, \"b\" : { \"c\" : {\"d\": 1} } }", "{\"b\":{\"c\":{\"d\":2}}}",
         "{\"a\":{ }, \"b\" : { \"c\" : {\"d\": 2} } }"},
        {"{\"u\":\"\\ud800\",\"n\":1e400}", "{\"x\":\"\\/\"}",
         "{\"u\":\"\\ud800\",\"n\":1e400,\"x\":\"\\/\"}"},
        {"{ }", "{}", "{ }"},
        {"{\"a\":1}", "{\"a\":1}", "{\"a\":1}"},
        {"{\"a\":1,\"b\":2,\"c\":3}", "{\"b\":null,\"a\":null}", "{\"c\":3}"},
        {"{\"a\":1,\"b\":2,\"c\":3}", "{\"b\":null,\"c\":null}", "{\"a\":1}"},
    };
    (void)state;
    assert_all_merged(cases, N(cases));
}

static void a_missing_value_is_treated_as_an_empty_object(void **state)
{
    static const struct merge_case cases[] = {
        {NULL, "{\"a\": 1, \"b\":null ,\"c\":{\"d\":null,\"e\":[null]}}",
         "{\"a\":1,\"c\":{\"e\":[null]}}"},
        {NULL, "{}", "{}"},
        {NULL, "{\"a\":null}", "{}"},
        {NULL, "5", "5"},
    };
    (void)state;
    assert_all_merged(cases, N(cases));
}

static void new_members_are_appended_in_the_order_of_the_patch(void **state)
{
    static const struct merge_case cases[] = {
        {"{\"m\":0}", "{\"z\":1,\"m\":2,\"a\":3}", "{\"m\":2,\"z\":1,\"a\":3}"},
        {"{\"o\":{\"x\":1}}", "{\"o\":{\"z\":1,\"a\":{\"b\":2}}}",
         "{\"o\":{\"x\":1,\"z\":1,\"a\":{\"b\":2}}}"},
    };
    (void)state;
    assert_all_merged(cases, N(cases));
}

static void names_compare_after_unescaping(void **state)
{
    static const struct merge_case cases[] = {
        {"{\"\\u0061\":1}", "{\"a\":2}", "{\"\\u0061\":2}"},
        {"{\"a\":1}", "{\"\\u0061\":null}", "{}"},
        {"{\"\\ud83d\\ude00\":1}", "{\"\xf0\x9f\x98\x80\":2}", "{\"\\ud83d\\ude00\":2}"},
        {"{\"\\ud800\":1,\"\\uD801\":2}", "{\"\\uD800\":3}", "{\"\\ud800\":3,\"\\uD801\":2}"},
        {"{\"a\\\\\":1,\"a\\\"\":2}", "{\"a\\\"\":3}", "{\"a\\\\\":1,\"a\\\"\":3}"},
        {"{\"\":1}", "{\"\":2}", "{\"\":2}"},
    };
    (void)state;
    assert_all_merged(cases, N(cases));
}

static void the_last_of_duplicate_members_counts(void **state)
{
    static const struct merge_case cases[] = {
        {"{\"a\":1,\"b\":2,\"a\":3}", "{\"a\":4}", "{\"b\":2,\"a\":4}"},
        {"{\"a\":1,\"b\":2,\"a\":3}", "{\"a\":null}", "{\"b\":2}"},
        {"{\"a\":1,\"b\":2,\"a\":3}", "{\"b\":null}", "{\"a\":1,\"a\":3}"},
        {"{\"a\":{\"x\":1},\"a\":{\"y\":2}}", "{\"a\":{\"z\":3}}", "{\"a\":{\"y\":2,\"z\":3}}"},
        {"{\"a\":{\"x\":1},\"a\":5}", "{\"a\":{\"z\":3}}", "{\"a\":{\"z\":3}}"},
        {"{\"a\":5,\"a\":{\"x\":1}}", "{\"a\":{\"x\":null}}", "{\"a\":{}}"},
        {"{\"a\":1}", "{\"a\":{\"b\":1},\"a\":2}", "{\"a\":2}"},
        {"{\"a\":1}", "{\"a\":2,\"a\":{\"b\":1,\"b\":{\"c\":1}}}", "{\"a\":{\"b\":{\"c\":1}}}"},
        {"{}", "{\"a\":1,\"b\":2,\"a\":null}", "{\"b\":2}"},
    };
    (void)state;
    assert_all_merged(cases, N(cases));
}

static void append_times(struct kv_buffer *out, const char *text, size_t n)
{
    while (n-- > 0)
        kv_buffer_append(out, kv_slice_of(text));
}

/* Deep, and long at the innermost level: parsing it again from each level would take minutes. */
static void deep_nesting_does_not_slow_merging(void **state)
{
    enum {
        DEPTH = 10000,
        BOTTOM = 1 << 20
    };
    struct kv_buffer old = {0}, patch = {0}, out = {0};
    (void)state;
    append_times(&old, "{\"a\":", DEPTH);
    append_times(&old, "[", 1);
    append_times(&old, "1,", BOTTOM);
    append_times(&old, "1]", 1);
    append_times(&old, "}", DEPTH);
    append_times(&patch, "{\"a\":", DEPTH);
    append_times(&patch, "2", 1);
    append_times(&patch, "}", DEPTH);
    assert_int_equal(kv_merge_patch(kv_buffer_slice(&old), kv_buffer_slice(&patch), &out), 0);
    assert_true(kv_slice_equals(kv_buffer_slice(&out), kv_buffer_slice(&patch)));
    kv_buffer_fini(&old);
    kv_buffer_fini(&patch);
    kv_buffer_fini(&out);
}

static void build_flat(struct kv_buffer *out, int n)
{
    out->len = 0;
    for (int i = 0; i < n; i++)
        kv_buffer_printf(out, "%s\"m%d\":%d", i == 0 ? "{" : ",", i, i);
    kv_buffer_append_char(out, '}');
}

static void a_patch_has_a_limited_number_of_members(void **state)
{
    struct kv_buffer patch = {0}, out = {0};
    (void)state;
    build_flat(&patch, KV_MERGE_MOST_MEMBERS);
    assert_int_equal(kv_merge_patch(kv_buffer_slice(&patch), kv_buffer_slice(&patch), &out), 0);
    assert_true(kv_slice_equals(kv_buffer_slice(&out), kv_buffer_slice(&patch)));
    out.len = 0;
    build_flat(&patch, KV_MERGE_MOST_MEMBERS + 1);
    assert_int_equal(kv_merge_patch(KV_SLICE("{}"), kv_buffer_slice(&patch), &out),
                     KV_MERGE_TOO_MANY);
    assert_int_equal(out.len, 0);
    kv_buffer_fini(&patch);
    kv_buffer_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_cases_of_the_rfc_are_merged),
        cmocka_unit_test(members_not_in_the_patch_keep_their_bytes),
        cmocka_unit_test(a_missing_value_is_treated_as_an_empty_object),
        cmocka_unit_test(new_members_are_appended_in_the_order_of_the_patch),
        cmocka_unit_test(names_compare_after_unescaping),
        cmocka_unit_test(the_last_of_duplicate_members_counts),
        cmocka_unit_test(deep_nesting_does_not_slow_merging),
        cmocka_unit_test(a_patch_has_a_limited_number_of_members),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
