/* Sizes, numbers with their largest whole unit, and similar names. */
#include "conf_support.h"

#include <inttypes.h>

#include "base/distance.h"
#include "conf/units.h"

static void sizes_are_exact(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t bytes;
    } cases[] = {
        {"0", 0},
        {"4096", 4096},
        {"1B", 1},
        {"1kB", 1000},
        {"1KB", 1000},
        {"1kib", 1024},
        {"64MiB", INT64_C(64) << 20},
        {"64 mib", INT64_C(64) << 20},
        {"10MB", 10000000},
        {"3GB", INT64_C(3000000000)},
        {"3GiB", INT64_C(3) << 30},
        {"2TB", INT64_C(2000000000000)},
        {"2TiB", INT64_C(2) << 40},
        {"1.5KiB", 1536},
        {".5MiB", 524288},
        {"1.1kB", 1100},
        {"1.10000000000000000000000kB", 1100},
        {"8.0", 8},
        {"9223372036854775807", INT64_MAX},
        {"8388607.999999999999090505298227071762084960937TiB", -1},
        {"8388607TiB", INT64_C(8388607) << 40},
    };
    for (size_t i = 0; i < N_OF(cases); i++) {
        int64_t bytes = -1;
        const char *what;
        int status = kv_size_parse(kv_slice_of(cases[i].text), &bytes, &what);
        assert_int_equal(status, cases[i].bytes < 0 ? -1 : 0);
        assert_int_equal(bytes, cases[i].bytes);
    }
}

static void malformed_sizes_are_refused_with_a_reason(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"", "is not a size (like 64MiB): it begins with no number"},
        {"MiB", "is not a size (like 64MiB): it begins with no number"},
        {"-1", "is not a size (like 64MiB): it begins with no number"},
        {" 1", "is not a size (like 64MiB): it begins with no number"},
        {".", "is not a size (like 64MiB): digits have to follow the point"},
        {"5.MiB", "is not a size (like 64MiB): digits have to follow the point"},
        {"64MX", "is not a size (like 64MiB): the units are B, kB, KiB, MB, MiB, GB, GiB, TB, TiB"},
        {"64M", "is not a size (like 64MiB): the units are B, kB, KiB, MB, MiB, GB, GiB, TB, TiB"},
        {"1 MiB ",
         "is not a size (like 64MiB): the units are B, kB, KiB, MB, MiB, GB, GiB, TB, TiB"},
        {"1e3", "is not a size (like 64MiB): the units are B, kB, KiB, MB, MiB, GB, GiB, TB, TiB"},
        {"0.3KiB", "is no whole number of bytes"},
        {"1.5", "is no whole number of bytes"},
        {"9223372036854775808", "is too large"},
        {"8388608TiB", "is too large"},
        {"0.0000000000000000001", "has too many digits"},
    };
    for (size_t i = 0; i < N_OF(cases); i++) {
        int64_t bytes;
        const char *what = "";
        assert_int_equal(kv_size_parse(kv_slice_of(cases[i][0]), &bytes, &what), -1);
        assert_string_equal(what, cases[i][1]);
    }
}

static void assert_written(enum kv_option_type type, int64_t number, const char *expected)
{
    struct kv_buffer out = {0};
    kv_number_append(type, number, &out);
    kv_buffer_append_char(&out, '\0');
    assert_string_equal(out.bytes, expected);
    kv_buffer_fini(&out);
}

static void numbers_take_the_largest_whole_unit(void **state)
{
    (void)state;
    assert_written(KV_OPTION_INT, -65536, "-65536");
    assert_written(KV_OPTION_SIZE, 0, "0");
    assert_written(KV_OPTION_SIZE, 1, "1");
    assert_written(KV_OPTION_SIZE, INT64_C(64) << 20, "64MiB");
    assert_written(KV_OPTION_SIZE, 10000, "10kB");
    assert_written(KV_OPTION_SIZE, INT64_MAX, "9223372036854775807");
    assert_written(KV_OPTION_DURATION, 0, "0");
    assert_written(KV_OPTION_DURATION, 1500, "1500ms");
    assert_written(KV_OPTION_DURATION, 30000, "30s");
    assert_written(KV_OPTION_DURATION, 90000, "90s");
    assert_written(KV_OPTION_DURATION, 3600000, "1h");
    assert_written(KV_OPTION_DURATION, 172800000, "2d");
}

static void names_that_differ_by_a_typing_error_are_similar(void **state)
{
    (void)state;
    assert_int_equal(kv_name_distance("threads", "threads"), 0);
    assert_int_equal(kv_name_distance("tread", "threads"), 2);
    assert_int_equal(kv_name_distance("prot", "port"), 1);
    assert_int_equal(kv_name_distance("ports", "port"), 1);
    assert_int_equal(kv_name_distance("THREADS", "threads"), 0);
    assert_int_equal(kv_name_distance("log-level", "log_level"), 1);
}

static void other_names_are_not_similar(void **state)
{
    (void)state;
    assert_int_equal(kv_name_distance("storage", "threads"), KV_DISTANCE_FAR);
    assert_int_equal(kv_name_distance("a", "b"), KV_DISTANCE_FAR);
    assert_int_equal(kv_name_distance("", "port"), KV_DISTANCE_FAR);
    assert_int_equal(kv_name_distance("ab", "port"), KV_DISTANCE_FAR);
    char endless[200] = {0};
    memset(endless, 'x', sizeof(endless) - 1);
    assert_int_equal(kv_name_distance(endless, endless), KV_DISTANCE_FAR);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes_are_exact),
        cmocka_unit_test(malformed_sizes_are_refused_with_a_reason),
        cmocka_unit_test(numbers_take_the_largest_whole_unit),
        cmocka_unit_test(names_that_differ_by_a_typing_error_are_similar),
        cmocka_unit_test(other_names_are_not_similar),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
