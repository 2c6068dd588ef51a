/* Byte ranges of files. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "wire/byte_range.h"

#define N(array) (sizeof(array) / sizeof((array)[0]))

static void a_range_is_limited_to_the_existing_part(void **state)
{
    static const struct {
        const char *text;
        uint64_t size;
        enum kv_byte_range expected;
        uint64_t first, len;
    } cases[] = {
        {"bytes=0-0", 10, KV_RANGE_PART, 0, 1},
        {"bytes=2-5", 10, KV_RANGE_PART, 2, 4},
        {"bytes=2-", 10, KV_RANGE_PART, 2, 8},
        {"bytes=-3", 10, KV_RANGE_PART, 7, 3},
        {"bytes=-30", 10, KV_RANGE_PART, 0, 10},
        {"Bytes= 2-5 ", 10, KV_RANGE_PART, 2, 4},
        {"bytes=9-99999999999999999999999999", 10, KV_RANGE_PART, 9, 1},
        {"bytes=10-", 10, KV_RANGE_BEYOND, 0, 0},
        {"bytes=99999999999999999999999999-", 10, KV_RANGE_BEYOND, 0, 0},
        {"bytes=-0", 10, KV_RANGE_BEYOND, 0, 0},
        {"bytes=0-", 0, KV_RANGE_BEYOND, 0, 0},
        {"bytes=-1", 0, KV_RANGE_BEYOND, 0, 0},
        {"", 10, KV_RANGE_ALL, 0, 0},
        {"bytes", 10, KV_RANGE_ALL, 0, 0},
        {"bytes=", 10, KV_RANGE_ALL, 0, 0},
        {"bytes=-", 10, KV_RANGE_ALL, 0, 0},
        {"bytes=5", 10, KV_RANGE_ALL, 0, 0},
        {"bytes=5-2", 10, KV_RANGE_ALL, 0, 0},
        {"bytes=1-2,4-5", 10, KV_RANGE_ALL, 0, 0},
        {"bytes=1-2x", 10, KV_RANGE_ALL, 0, 0},
        {"bytes=+1-2", 10, KV_RANGE_ALL, 0, 0},
        {"lines=1-2", 10, KV_RANGE_ALL, 0, 0},
    };
    (void)state;
    for (size_t i = 0; i < N(cases); i++) {
        uint64_t first, len;
        enum kv_byte_range got =
            kv_byte_range_read(kv_slice_of(cases[i].text), cases[i].size, &first, &len);
        if (got != cases[i].expected)
            fail_msg("%s: %d", cases[i].text, (int)got);
        if (got == KV_RANGE_PART && (first != cases[i].first || len != cases[i].len))
            fail_msg("%s: the wrong part", cases[i].text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_range_is_limited_to_the_existing_part),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
