/* Client data as written to a line of the log. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/shown.h"

static void expect(struct kv_slice text, size_t most, struct kv_slice shown)
{
    struct kv_buffer out = {0};
    kv_shown_append(&out, text, most);
    if (!kv_slice_equals(kv_buffer_slice(&out), shown))
        fail_msg("expected %.*s, got %.*s", (int)shown.len, shown.bytes, (int)out.len, out.bytes);
    kv_buffer_fini(&out);
}

static void plain_texts_are_shown_unchanged(void **state)
{
    (void)state;
    expect(KV_SLICE(""), 10, KV_SLICE(""));
    expect(KV_SLICE("a key/\xc3\xa4 \xc2\xa0"), 20, KV_SLICE("a key/\xc3\xa4 \xc2\xa0"));
}

static void control_characters_are_escaped(void **state)
{
    (void)state;
    expect(KV_SLICE("a\nb\r\t\x1b[2J\x7f"), 20,
           KV_SLICE("a\\u000ab\\u000d\\u0009\\u001b[2J\\u007f"));
    expect(KV_SLICE("\xc2\x80\xc2\x9b\xc2\x9f"), 20, KV_SLICE("\\u0080\\u009b\\u009f"));
    expect((struct kv_slice){"\0", 1}, 20, KV_SLICE("\\u0000"));
}

static void quotes_are_escaped(void **state)
{
    (void)state;
    expect(KV_SLICE("a\" took \\"), 20, KV_SLICE("a\\\" took \\\\"));
}

static void long_texts_are_cut_between_characters(void **state)
{
    (void)state;
    expect(KV_SLICE("abc"), 3, KV_SLICE("abc"));
    expect(KV_SLICE("abcd"), 3, KV_SLICE("abc…"));
    expect(KV_SLICE("ab\xc3\xa4"), 3, KV_SLICE("ab…"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_texts_are_shown_unchanged),
        cmocka_unit_test(control_characters_are_escaped),
        cmocka_unit_test(quotes_are_escaped),
        cmocka_unit_test(long_texts_are_cut_between_characters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
