/* The differences between two printed configurations. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/buffer.h"
#include "daemon/difference.h"

static void append(void *context, const char *path, const char *before, const char *after)
{
    kv_buffer_printf(context, "%s: %s -> %s\n", path, before == NULL ? "nothing" : before,
                     after == NULL ? "nothing" : after);
}

static void expect(const struct kv_printed_config *before, const struct kv_printed_config *after,
                   const char *expected)
{
    struct kv_buffer text = {0};
    kv_difference_find(before, after, append, &text);
    kv_buffer_append_char(&text, '\0');
    assert_string_equal(text.bytes, expected);
    kv_buffer_fini(&text);
}

static void expect_of(const char *before, const char *after, const char *expected)
{
    struct kv_printed_config old = {kv_slice_of(before), kv_slice_of(before)};
    struct kv_printed_config new = {kv_slice_of(after), kv_slice_of(after)};
    expect(&old, &new, expected);
}

#define SAMPLE                                                                                     \
    "listen:\n  - host: 127.0.0.1\n    port: 3000\nthreads: auto  # how many\n"                    \
    "limits:\n  key: 1MiB\n  value: 256MiB  # the longest\nsinks:\n"                               \
    "  - module: file\n    options:\n      path: \"a: b  # c\"\n    prefixes:\n      - a\n"        \
    "      - \"b\\\": c\"\n  - module: file\n    options:\n      path: b\norigins: []\n"

static void equal_configurations_have_no_differences(void **state)
{
    (void)state;
    expect_of(SAMPLE, SAMPLE, "");
    expect_of("", "", "");
}

static void values_are_identified_by_their_paths(void **state)
{
    (void)state;
    expect_of("limits:\n  key: 1MiB\n  value: 256MiB  # the longest\nthreads: auto\n",
              "limits:\n  key: 1MiB\n  value: 1MiB  # the longest\nthreads: 4\n",
              "limits.value: 256MiB -> 1MiB\nthreads: auto -> 4\n");
    expect_of("a:\n  - b:\n      - - 1\n        - 2\n      - - 3\n",
              "a:\n  - b:\n      - - 1\n        - 5\n      - - 4\n",
              "a[0].b[0][1]: 2 -> 5\na[0].b[1][0]: 3 -> 4\n");
}

static void quoted_texts_are_compared_whole(void **state)
{
    (void)state;
    expect_of("a: \"x: y  # \\\" z\"  # doc\nb: 1\n", "a: \"x: y  # \\\" w\"  # doc\nb: 1\n",
              "a: \"x: y  # \\\" z\" -> \"x: y  # \\\" w\"\n");
    expect_of("a:\n  \"x: y\": 1\n", "a:\n  \"x: y\": 2\n", "a.\"x: y\": 1 -> 2\n");
    expect_of("a:\n  - x:y\n", "a:\n  - x:z\n", "a[0]: x:y -> x:z\n");
}

static void comments_are_ignored(void **state)
{
    (void)state;
    expect_of("a:  # many\n  - x\nb: 1  # one\n", "a:  # many: of them\n  - y\nb: 1  # 1: one\n",
              "a[0]: x -> y\n");
}

static void added_or_removed_entry_is_reported_once(void **state)
{
    (void)state;
    expect_of("sinks: []\n", "sinks:\n  - module: file\n    options:\n      path: a\n",
              "sinks[0]: nothing -> file\n");
    expect_of("s:\n  - file: a\n    depth: 1\n  - file: b\n    depth: 2\n",
              "s:\n  - file: c\n    depth: 1\n", "s[0].file: a -> c\ns[1]: b -> nothing\n");
    expect_of("o:\n  - a\n  - b\np: 1\n", "o:\n  - a\np: 1\n", "o[1]: b -> nothing\n");
}

static void added_or_removed_section_is_reported_once(void **state)
{
    (void)state;
    expect_of("l:\n  - port: 1\n",
              "l:\n  - port: 1\n    tls:\n      cert: a\n      auth: required\n",
              "l[0].tls: nothing -> a\n");
    expect_of("s:\n  module: a\n  a:\n    path: x\n    size: 1\n",
              "s:\n  module: b\n  b:\n    path: x\n    size: 1\n",
              "s.module: a -> b\ns.a: x -> nothing\ns.b: nothing -> x\n");
    expect_of("f: ~\n", "f:\n  a: 1\n  b: 2\n", "f: nothing -> 1\n");
    expect_of("m: {}\n", "m:\n  \"x.y\": 1\n  z: 2\n",
              "m.\"x.y\": nothing -> 1\nm.z: nothing -> 2\n");
}

static void secrets_are_compared_and_not_shown(void **state)
{
    struct kv_printed_config before = {KV_SLICE("s: one\nt: x\n"),
                                       KV_SLICE("s: \"<hidden>\"\nt: x\n")};
    struct kv_printed_config after = {KV_SLICE("s: two\nt: x\n"),
                                      KV_SLICE("s: \"<hidden>\"\nt: x\n")};
    (void)state;
    expect(&before, &after, "s: \"<hidden>\" -> \"<hidden>\"\n");
    expect(&before, &before, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equal_configurations_have_no_differences),
        cmocka_unit_test(values_are_identified_by_their_paths),
        cmocka_unit_test(quoted_texts_are_compared_whole),
        cmocka_unit_test(comments_are_ignored),
        cmocka_unit_test(added_or_removed_entry_is_reported_once),
        cmocka_unit_test(added_or_removed_section_is_reported_once),
        cmocka_unit_test(secrets_are_compared_and_not_shown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
