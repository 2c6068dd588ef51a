/* The integers of increments: their only spelling, and their bounds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "wire/integer.h"

#define N(array) (sizeof(array) / sizeof((array)[0]))

static void integers_are_read(void **state)
{
    static const struct {
        const char *text;
        int64_t integer;
    } all[] = {
        {"0", 0},
        {"-0", 0},
        {"7", 7},
        {"-10", -10},
        {"9223372036854775807", INT64_MAX},
        {"-9223372036854775807", -INT64_MAX},
    };
    (void)state;
    for (size_t i = 0; i < N(all); i++) {
        int64_t integer = 1;
        assert_true(kv_integer_read(kv_slice_of(all[i].text), &integer));
        assert_int_equal(integer, all[i].integer);
    }
}

static void other_spellings_are_refused(void **state)
{
    static const char *const texts[] = {"",
                                        "-",
                                        "00",
                                        "01",
                                        "-01",
                                        "+1",
                                        "1.0",
                                        "1e2",
                                        " 1",
                                        "1 ",
                                        "null",
                                        "\"1\"",
                                        "true",
                                        "[1]",
                                        "--1",
                                        "1-",
                                        "9223372036854775808",
                                        "-9223372036854775808",
                                        "18446744073709551617",
                                        "99999999999999999999999999999"};
    (void)state;
    for (size_t i = 0; i < N(texts); i++) {
        int64_t integer = 5;
        if (kv_integer_read(kv_slice_of(texts[i]), &integer))
            fail_msg("%s was read", texts[i]);
        assert_int_equal(integer, 5);
    }
}

static void sums_end_at_the_bounds(void **state)
{
    int64_t sum;
    (void)state;
    assert_true(kv_integer_add(INT64_MAX, -INT64_MAX, &sum));
    assert_int_equal(sum, 0);
    assert_true(kv_integer_add(INT64_MAX - 1, 1, &sum));
    assert_int_equal(sum, INT64_MAX);
    assert_true(kv_integer_add(1 - INT64_MAX, -1, &sum));
    assert_int_equal(sum, -INT64_MAX);
    assert_false(kv_integer_add(INT64_MAX, 1, &sum));
    assert_false(kv_integer_add(-INT64_MAX, -1, &sum));
    assert_false(kv_integer_add(-INT64_MAX, -INT64_MAX, &sum));
}

static void written_integers_are_read_back(void **state)
{
    static const int64_t all[] = {0, 1, -1, 1234567890123, INT64_MAX, -INT64_MAX};
    (void)state;
    for (size_t i = 0; i < N(all); i++) {
        char text[KV_INTEGER_ROOM];
        int64_t integer;
        size_t len = kv_integer_write(text, all[i]);
        assert_true(kv_integer_read((struct kv_slice){text, len}, &integer));
        assert_int_equal(integer, all[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(integers_are_read),
        cmocka_unit_test(other_spellings_are_refused),
        cmocka_unit_test(sums_end_at_the_bounds),
        cmocka_unit_test(written_integers_are_read_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
