/* The table of TTLs in the contract, row by row. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <kvserver/ttl.h>

#include "wire/json.h"
#include "wire/ttl.h"

static void assert_ttl(const char *json, int64_t expected)
{
    int64_t ms = -1;
    struct kv_error error;
    if (kv_ttl_parse(kv_slice_of(json), &ms, &error) != 0)
        fail_msg("%s", error.text);
    assert_int_equal(ms, expected);
}

static void assert_refused(const char *json, const char *text)
{
    int64_t ms = -7;
    struct kv_error error;
    if (kv_ttl_parse(kv_slice_of(json), &ms, &error) == 0)
        fail_msg("%s was accepted as %lld", json, (long long)ms);
    assert_int_equal(ms, -7);
    assert_string_equal(error.text, text);
}

static void zero_is_no_expiry(void **state)
{
    (void)state;
    assert_ttl("0", 0);
    assert_ttl("-0", 0);
    assert_ttl("-0.0e5", 0);
    assert_ttl("0e400", 0);
    assert_ttl("\"0\"", 0);
    assert_ttl("\"0s\"", 0);
    assert_ttl("\"0h 0.0m\"", 0);
}

static void a_number_is_milliseconds_rounded_up(void **state)
{
    (void)state;
    assert_ttl("1", 1);
    assert_ttl("1500", 1500);
    assert_ttl("1.5", 2);
    assert_ttl("1.5e3", 1500);
    assert_ttl("0.1", 1);
    assert_ttl("1e-400", 1);
    assert_ttl("1.0000000000000000000001", 2);
    assert_ttl("100000e-5", 1);
}

static void a_string_is_a_duration(void **state)
{
    (void)state;
    assert_ttl("\"10 hours 1m 5s\"", 36065000);
    assert_ttl("\"1.5h\"", 5400000);
    assert_ttl("\".5d\"", 43200000);
    assert_ttl("\"2days\"", 172800000);
    assert_ttl("\"1h30m\"", 5400000);
    assert_ttl("\"250\"", 250);
}

static void escapes_in_a_string_are_decoded_first(void **state)
{
    (void)state;
    assert_ttl("\"1\\u0068\\t30\\nm\"", 5400000);
    assert_refused("\"1\\u0000h\"", "ttl: \"1\\u0000h\" is not a duration: a unit is expected");
    assert_refused("\"1h\\ud800\"",
                   "ttl: \"1h\\ud800\" is not a duration: it has a lone surrogate");
}

static void the_limit_itself_is_accepted(void **state)
{
    (void)state;
    assert_ttl("9007199254740991", KV_TTL_MAX_MS);
    assert_ttl("9007199254740990.01", KV_TTL_MAX_MS);
    assert_ttl("9.007199254740991e15", KV_TTL_MAX_MS);
    assert_ttl("\"9007199254740991ms\"", KV_TTL_MAX_MS);
    assert_refused("9007199254740992", "ttl: 9007199254740992 is too long");
    assert_refused("9007199254740991.01", "ttl: 9007199254740991.01 is too long");
    assert_refused("1e400", "ttl: 1e400 is too long");
    assert_refused("\"285617y\"", "ttl: \"285617y\" is too long");
}

static void anything_else_is_an_error_that_names_it(void **state)
{
    (void)state;
    assert_refused("-1", "ttl: -1 is negative");
    assert_refused("-1e-400", "ttl: -1e-400 is negative");
    assert_refused("null", "ttl: null is neither a number nor a string");
    assert_refused("true", "ttl: true is neither a number nor a string");
    assert_refused("[1]", "ttl: [1] is neither a number nor a string");
    assert_refused("{}", "ttl: {} is neither a number nor a string");
    assert_refused("\"\"", "ttl: \"\" is not a duration: a number is expected");
    assert_refused("\"soon\"", "ttl: \"soon\" is not a duration: a number is expected");
    assert_refused("\"-5s\"", "ttl: \"-5s\" is not a duration: a number is expected");
    assert_refused("\" 5s\"", "ttl: \" 5s\" is not a duration: a number is expected");
}

static void long_input_is_truncated_in_the_error(void **state)
{
    (void)state;
    assert_refused("\"aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffff\"",
                   "ttl: \"aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeee\xe2\x80\xa6"
                   " is not a duration: a number is expected");
    assert_refused(
        "\"aaaaaaaaaabbbbbbbbbbccccccccccddddddddddee\xe4\xb8\xad\xe4\xb8\xad\xe4\xb8\xad\"",
        "ttl: \"aaaaaaaaaabbbbbbbbbbccccccccccddddddddddee\xe2\x80\xa6"
        " is not a duration: a number is expected");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(zero_is_no_expiry),
        cmocka_unit_test(a_number_is_milliseconds_rounded_up),
        cmocka_unit_test(a_string_is_a_duration),
        cmocka_unit_test(escapes_in_a_string_are_decoded_first),
        cmocka_unit_test(the_limit_itself_is_accepted),
        cmocka_unit_test(anything_else_is_an_error_that_names_it),
        cmocka_unit_test(long_input_is_truncated_in_the_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
