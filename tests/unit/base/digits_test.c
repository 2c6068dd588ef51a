/* Numbers in decimal, as printf() writes them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/digits.h"

static void assert_written(uint64_t number)
{
    char expected[32], written[KV_DIGITS_MAX];
    int len = snprintf(expected, sizeof(expected), "%llu", (unsigned long long)number);
    assert_int_equal(kv_digits_write(written, number), len);
    assert_memory_equal(written, expected, (size_t)len);
}

static void numbers_around_every_power_of_ten_are_written_in_full(void **state)
{
    (void)state;
    for (uint64_t power = 1, i = 0; i < KV_DIGITS_MAX; i++, power *= 10)
        for (uint64_t number = power - 1; number <= power + 1; number++)
            assert_written(number);
    assert_written(UINT64_MAX);
}

static void every_digit_is_written_in_every_place(void **state)
{
    (void)state;
    for (uint64_t number = 0; number < 100000; number++) {
        assert_written(number);
        assert_written(number * UINT64_C(100003));
        assert_written(number * UINT64_C(184467440737095));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_around_every_power_of_ten_are_written_in_full),
        cmocka_unit_test(every_digit_is_written_in_every_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
