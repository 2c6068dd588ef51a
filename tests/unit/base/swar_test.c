#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/swar.h"

enum {
    LONGEST = 40
};

static void texts_are_equal_if_all_bytes_are(void **state)
{
    char a[LONGEST], b[LONGEST];
    (void)state;
    memset(a, 'a', sizeof(a));
    for (size_t len = 0; len <= LONGEST; len++) {
        memset(b, 'a', sizeof(b));
        assert_true(kv_swar_same(a, b, len));
        for (size_t i = 0; i < LONGEST; i++) {
            b[i] = 'b';
            assert_int_equal(kv_swar_same(a, b, len), i >= len);
            b[i] = 'a';
        }
    }
}

static bool must_be_escaped(unsigned byte)
{
    return byte < 0x20 || byte == '"' || byte == '\\';
}

static void the_first_byte_that_must_be_escaped_is_found(void **state)
{
    char text[sizeof(uint64_t)];
    (void)state;
    for (unsigned byte = 0; byte <= 0xff; byte++) {
        for (size_t i = 0; i < sizeof(text); i++) {
            memset(text, '\\', sizeof(text));
            memset(text, 'a', i);
            text[i] = (char)byte;
            size_t first = must_be_escaped(byte) ? i : i + 1;
            uint64_t marks = kv_swar_specials(kv_swar_load(text));
            assert_int_equal(marks == 0 ? sizeof(text) : kv_swar_first(marks), first);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_are_equal_if_all_bytes_are),
        cmocka_unit_test(the_first_byte_that_must_be_escaped_is_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
