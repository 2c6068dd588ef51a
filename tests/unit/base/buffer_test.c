/* The growable buffer: appending, and releasing its memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/buffer.h"

static void numbers_are_written_in_decimal(void **state)
{
    static const struct {
        uint64_t number;
        const char *text;
    } cases[] = {
        {0, "0"},
        {7, "7"},
        {9, "9"},
        {10, "10"},
        {99, "99"},
        {100, "100"},
        {101, "101"},
        {12345, "12345"},
        {1795648023405351, "1795648023405351"},
        {UINT64_MAX, "18446744073709551615"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct kv_buffer buffer = {0};
        kv_buffer_append_u64(&buffer, cases[i].number);
        assert_true(kv_slice_equals(kv_buffer_slice(&buffer), kv_slice_of(cases[i].text)));
        kv_buffer_fini(&buffer);
    }
}

static void bytes_are_appended_in_order(void **state)
{
    struct kv_buffer buffer = {0};
    (void)state;
    kv_buffer_append(&buffer, KV_SLICE("one"));
    kv_buffer_append(&buffer, (struct kv_slice){0});
    kv_buffer_append_char(&buffer, ',');
    kv_buffer_printf(&buffer, "%s", "two");
    assert_true(kv_slice_equals(kv_buffer_slice(&buffer), KV_SLICE("one,two")));
    kv_buffer_fini(&buffer);
}

static void trimming_keeps_small_buffers_and_releases_large_ones(void **state)
{
    struct kv_buffer buffer = {0};
    (void)state;
    assert_non_null(kv_buffer_try_reserve(&buffer, 100));
    size_t capacity = buffer.capacity;
    buffer.len = 100;
    kv_buffer_trim(&buffer, capacity);
    assert_int_equal(buffer.len, 0);
    assert_int_equal(buffer.capacity, capacity);
    kv_buffer_trim(&buffer, capacity - 1);
    assert_int_equal(buffer.capacity, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_are_written_in_decimal),
        cmocka_unit_test(bytes_are_appended_in_order),
        cmocka_unit_test(trimming_keeps_small_buffers_and_releases_large_ones),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
