/* Sets of prefixes: the keys they cover, especially at their boundaries. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "access/prefixes.h"

enum {
    MOST = 8
};

/* texts: ends with NULL. */
static struct kv_prefixes set_of(const char *const *texts)
{
    struct kv_slice slices[MOST];
    struct kv_prefixes prefixes;
    size_t n = 0;
    for (; texts[n] != NULL; n++)
        slices[n] = kv_slice_of(texts[n]);
    kv_prefixes_init(&prefixes, slices, n);
    return prefixes;
}

#define SET(...) set_of((const char *const[]){__VA_ARGS__, NULL})

static bool covers(const struct kv_prefixes *prefixes, const char *text)
{
    return kv_prefixes_cover(prefixes, kv_slice_of(text));
}

static void an_empty_set_covers_nothing(void **state)
{
    struct kv_prefixes prefixes = {0};
    (void)state;
    assert_false(covers(&prefixes, ""));
    assert_false(covers(&prefixes, "a"));
    assert_int_equal(kv_prefixes_find(&prefixes, kv_slice_of("")), 0);
}

static void the_empty_prefix_covers_everything(void **state)
{
    struct kv_prefixes prefixes = SET("");
    (void)state;
    assert_true(covers(&prefixes, ""));
    assert_true(covers(&prefixes, "a"));
    assert_true(covers(&prefixes, "\xff"));
    kv_prefixes_fini(&prefixes);
}

static void a_prefix_covers_itself_and_texts_that_start_with_it(void **state)
{
    struct kv_prefixes prefixes = SET("user/1");
    (void)state;
    assert_true(covers(&prefixes, "user/1"));
    assert_true(covers(&prefixes, "user/1/"));
    assert_true(covers(&prefixes, "user/10"));
    assert_false(covers(&prefixes, "user/"));
    assert_false(covers(&prefixes, "user/0"));
    assert_false(covers(&prefixes, "user/2"));
    assert_false(covers(&prefixes, "user/0zzz"));
    assert_false(covers(&prefixes, ""));
    kv_prefixes_fini(&prefixes);
}

static void a_slash_ends_a_name(void **state)
{
    struct kv_prefixes prefixes = SET("user/1/");
    (void)state;
    assert_true(covers(&prefixes, "user/1/"));
    assert_true(covers(&prefixes, "user/1/a"));
    assert_false(covers(&prefixes, "user/1"));
    assert_false(covers(&prefixes, "user/10/a"));
    assert_false(covers(&prefixes, "user/1.a"));
    kv_prefixes_fini(&prefixes);
}

static void bytes_above_ascii_are_compared_unsigned(void **state)
{
    struct kv_prefixes prefixes = SET("\xc3\xa4", "z");
    (void)state;
    assert_true(covers(&prefixes, "\xc3\xa4rger"));
    assert_true(covers(&prefixes, "zoo"));
    assert_false(covers(&prefixes, "\xc3\xa3"));
    assert_false(covers(&prefixes, "\xc3"));
    kv_prefixes_fini(&prefixes);
}

static void redundant_prefixes_are_removed(void **state)
{
    struct kv_prefixes prefixes = SET("b/", "a/x", "a/", "b/", "a/x/y");
    (void)state;
    assert_int_equal(prefixes.n, 2);
    assert_true(covers(&prefixes, "a/x/z"));
    assert_true(covers(&prefixes, "a/a"));
    assert_true(covers(&prefixes, "b/"));
    assert_false(covers(&prefixes, "a"));
    assert_false(covers(&prefixes, "c"));
    kv_prefixes_fini(&prefixes);
}

static void a_text_between_two_prefixes_is_not_covered(void **state)
{
    struct kv_prefixes prefixes = SET("a", "ab0", "c");
    (void)state;
    assert_true(covers(&prefixes, "ab"));
    assert_false(covers(&prefixes, "b"));
    assert_false(covers(&prefixes, "bzz"));
    kv_prefixes_fini(&prefixes);
}

static void find_yields_the_prefix_of_the_next_text(void **state)
{
    struct kv_prefixes prefixes = SET("b/", "d/", "f/");
    (void)state;
    assert_int_equal(kv_prefixes_find(&prefixes, kv_slice_of("")), 0);
    assert_int_equal(kv_prefixes_find(&prefixes, kv_slice_of("b/")), 0);
    assert_int_equal(kv_prefixes_find(&prefixes, kv_slice_of("b/zz")), 0);
    assert_int_equal(kv_prefixes_find(&prefixes, kv_slice_of("b0")), 1);
    assert_int_equal(kv_prefixes_find(&prefixes, kv_slice_of("e")), 2);
    assert_int_equal(kv_prefixes_find(&prefixes, kv_slice_of("f0")), 3);
    kv_prefixes_fini(&prefixes);
}

static void print(const struct kv_prefixes *prefixes, size_t most, const char *expected)
{
    struct kv_buffer out = {0};
    kv_prefixes_print(prefixes, most, &out);
    kv_buffer_append_char(&out, '\0');
    assert_string_equal(out.bytes, expected);
    kv_buffer_fini(&out);
}

static void printing_stops_at_the_size_limit(void **state)
{
    struct kv_prefixes prefixes = SET("b/", "a/", "c\"");
    (void)state;
    print(&prefixes, 100, "\"a/\", \"b/\", \"c\\\"\"");
    print(&prefixes, 12, "\"a/\", \"b/\", …");
    print(&prefixes, 2, "…");
    kv_prefixes_fini(&prefixes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_set_covers_nothing),
        cmocka_unit_test(the_empty_prefix_covers_everything),
        cmocka_unit_test(a_prefix_covers_itself_and_texts_that_start_with_it),
        cmocka_unit_test(a_slash_ends_a_name),
        cmocka_unit_test(bytes_above_ascii_are_compared_unsigned),
        cmocka_unit_test(redundant_prefixes_are_removed),
        cmocka_unit_test(a_text_between_two_prefixes_is_not_covered),
        cmocka_unit_test(find_yields_the_prefix_of_the_next_text),
        cmocka_unit_test(printing_stops_at_the_size_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
