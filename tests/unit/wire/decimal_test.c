/* Numbers are parsed exactly. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "wire/decimal.h"

static void assert_decimal(const char *text, bool is_negative, bool is_whole, uint64_t rounded)
{
    struct kv_decimal decimal = kv_decimal_read(kv_slice_of(text));
    if (decimal.is_negative != is_negative || decimal.is_whole != is_whole ||
        decimal.rounded != rounded)
        fail_msg("%s: %s%s%llu", text, decimal.is_negative ? "-" : "",
                 decimal.is_whole ? "" : "about ", (unsigned long long)decimal.rounded);
}

static void whole_numbers_are_exact_up_to_eighteen_digits(void **state)
{
    (void)state;
    assert_decimal("1", false, true, 1);
    assert_decimal("42", false, true, 42);
    assert_decimal("999999999999999999", false, true, UINT64_C(999999999999999999));
    assert_decimal("1000000000000000000", false, true, UINT64_MAX);
    assert_decimal("1e400", false, true, UINT64_MAX);
}

static void the_point_moves_with_the_exponent(void **state)
{
    (void)state;
    assert_decimal("1.0", false, true, 1);
    assert_decimal("1e1", false, true, 10);
    assert_decimal("1E+1", false, true, 10);
    assert_decimal("10e-1", false, true, 1);
    assert_decimal("1.25e2", false, true, 125);
    assert_decimal("1.25e3", false, true, 1250);
    assert_decimal("0.00125e5", false, true, 125);
    assert_decimal("12.5e0", false, false, 13);
    assert_decimal("1200e-2", false, true, 12);
    assert_decimal("1201e-2", false, false, 13);
    assert_decimal("100.001", false, false, 101);
    assert_decimal("1e007", false, true, 10000000);
}

static void fractions_are_rounded_up(void **state)
{
    (void)state;
    assert_decimal("0.5", false, false, 1);
    assert_decimal("1.000000000000000000000000000001", false, false, 2);
    assert_decimal("1e-400", false, false, 1);
    assert_decimal("0.99", false, false, 1);
    assert_decimal("-1.5", true, false, 2);
}

static void zero_is_zero_with_any_exponent_and_sign(void **state)
{
    (void)state;
    assert_decimal("0", false, true, 0);
    assert_decimal("-0", false, true, 0);
    assert_decimal("-0.0e5", false, true, 0);
    assert_decimal("0e999999999999999999999999", false, true, 0);
    assert_decimal("0.000e-999999999999999999999999", false, true, 0);
}

static void huge_exponents_do_not_wrap_around(void **state)
{
    (void)state;
    assert_decimal("1e99999999999999999999999999999999999", false, true, UINT64_MAX);
    assert_decimal("1e-99999999999999999999999999999999999", false, false, 1);
    assert_decimal("1e9223372036854775807", false, true, UINT64_MAX);
    assert_decimal("1e-9223372036854775808", false, false, 1);
    assert_decimal("1e18446744073709551617", false, true, UINT64_MAX);
    assert_decimal("1e1152921504606846976", false, true, UINT64_MAX);
}

/* 0.000…1e4000 and 1000…e-4000: digits and exponent nearly cancel out. */
static void long_digits_and_exponents_cancel_out(void **state)
{
    char text[5000];
    (void)state;
    memset(text, '0', sizeof(text));
    memcpy(text, "0.", 2);
    strcpy(text + 4001, "17e4002");
    assert_decimal(text, false, true, 170);
    strcpy(text + 4001, "17e4001");
    assert_decimal(text, false, true, 17);
    strcpy(text + 4001, "17e4000");
    assert_decimal(text, false, false, 2);

    memset(text, '0', sizeof(text));
    text[0] = '7';
    strcpy(text + 4001, "e-4000");
    assert_decimal(text, false, true, 7);
    strcpy(text + 4001, "e-4001");
    assert_decimal(text, false, false, 1);
    text[4000] = '1';
    strcpy(text + 4001, "e-4000");
    assert_decimal(text, false, false, 8);
}

/* One number in every spelling that moves the decimal point. */
static void every_spelling_of_a_number_reads_the_same(void **state)
{
    (void)state;
    for (int places = -15; places <= 15; places++) {
        char text[64];
        if (places >= 0)
            snprintf(text, sizeof(text), "12345%.*se-%d", places, "000000000000000", places);
        else
            snprintf(text, sizeof(text), "0.%.*s12345e%d", -places, "000000000000000", 5 - places);
        assert_decimal(text, false, true, 12345);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole_numbers_are_exact_up_to_eighteen_digits),
        cmocka_unit_test(the_point_moves_with_the_exponent),
        cmocka_unit_test(fractions_are_rounded_up),
        cmocka_unit_test(zero_is_zero_with_any_exponent_and_sign),
        cmocka_unit_test(huge_exponents_do_not_wrap_around),
        cmocka_unit_test(long_digits_and_exponents_cancel_out),
        cmocka_unit_test(every_spelling_of_a_number_reads_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
