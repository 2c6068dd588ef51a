/* HTTP dates. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "wire/http_date.h"

#define N(array) (sizeof(array) / sizeof((array)[0]))

static void a_date_is_written(void **state)
{
    char text[KV_HTTP_DATE_LEN + 1];
    (void)state;
    kv_http_date_write(text, 784111777);
    assert_string_equal(text, "Sun, 06 Nov 1994 08:49:37 GMT");
    kv_http_date_write(text, INT64_MAX);
    assert_string_equal(text, "Fri, 31 Dec 9999 23:59:59 GMT");
    kv_http_date_write(text, -1);
    assert_string_equal(text, "Thu, 01 Jan 1970 00:00:00 GMT");
}

static void a_date_is_read_in_each_format(void **state)
{
    static const char *const texts[] = {"Sun, 06 Nov 1994 08:49:37 GMT",
                                        "Sunday, 06-Nov-94 08:49:37 GMT",
                                        "Sun Nov  6 08:49:37 1994"};
    (void)state;
    for (size_t i = 0; i < N(texts); i++) {
        int64_t seconds = 0;
        assert_true(kv_http_date_read(kv_slice_of(texts[i]), &seconds));
        assert_int_equal(seconds, 784111777);
    }
}

static void malformed_dates_are_refused(void **state)
{
    static const char *const texts[] = {"",
                                        "soon",
                                        "784111777",
                                        "Sun, 06 Nov 1994 08:49:37",
                                        "Sun, 06 Nov 1994 08:49:37 GMT and more",
                                        "Sun, 36 Nov 1994 08:49:37 GMT"};
    int64_t seconds;
    (void)state;
    for (size_t i = 0; i < N(texts); i++)
        if (kv_http_date_read(kv_slice_of(texts[i]), &seconds))
            fail_msg("a date: %s", texts[i]);
    assert_false(kv_http_date_read((struct kv_slice){0}, &seconds));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_date_is_written),
        cmocka_unit_test(a_date_is_read_in_each_format),
        cmocka_unit_test(malformed_dates_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
