/* Server-Sent Events: their text, and the parsing of ids. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <kvserver/store.h>

#include "wire/event_text.h"

static void expect(struct kv_buffer *out, const char *text)
{
    struct kv_slice written = kv_buffer_slice(out);
    if (!kv_slice_equals(written, kv_slice_of(text)))
        fail_msg("%.*s instead of %s", (int)written.len, written.bytes, text);
    kv_buffer_fini(out);
}

static void an_event_has_an_id_a_type_and_data(void **state)
{
    struct kv_buffer out = {0};
    (void)state;
    kv_event_append_id(&out, KV_SLICE("e-poch"), 17);
    kv_event_begin(&out, KV_SLICE("value"));
    kv_event_append(&out, KV_SLICE("{}"));
    kv_buffer_append(&out, KV_EVENT_END);
    expect(&out, "id: e-poch-17\nevent: value\ndata: {}\n\n");
}

static void a_line_feed_starts_another_line_of_data(void **state)
{
    struct kv_buffer out = {0};
    (void)state;
    kv_event_append(&out, KV_SLICE("\n[\n\n1]\n"));
    expect(&out, "\ndata: [\ndata: \ndata: 1]\ndata: ");
}

static void a_carriage_return_becomes_a_space(void **state)
{
    struct kv_buffer out = {0};
    (void)state;
    kv_event_append(&out, KV_SLICE("\r[\r\n1]"));
    expect(&out, " [ \ndata: 1]");
}

static void texts_of_one_line_are_recognized(void **state)
{
    (void)state;
    assert_true(kv_event_is_one_line(KV_SLICE("")));
    assert_true(kv_event_is_one_line(KV_SLICE("[1,\t2]")));
    assert_false(kv_event_is_one_line(KV_SLICE("[1,\n2]")));
    assert_false(kv_event_is_one_line(KV_SLICE("[1,\r2]")));
}

static void an_id_is_read_as_it_was_written(void **state)
{
    struct kv_slice epoch;
    uint64_t revision;
    (void)state;
    assert_true(kv_event_read_id(KV_SLICE("a-b-9007199254740991"), &epoch, &revision));
    assert_true(kv_slice_equals(epoch, KV_SLICE("a-b")));
    assert_int_equal(revision, KV_REVISION_MAX);
    assert_true(kv_event_read_id(KV_SLICE("a-0"), &epoch, &revision));
    assert_int_equal(revision, 0);
}

static void malformed_ids_are_refused(void **state)
{
    static const char *const texts[] = {"",
                                        "a",
                                        "a-",
                                        "-",
                                        "a-1x",
                                        "a--1x",
                                        "a-+1",
                                        "a-1 ",
                                        "a-9007199254740992",
                                        "a-99999999999999999999999"};
    struct kv_slice epoch;
    uint64_t revision;
    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        assert_false(kv_event_read_id(kv_slice_of(texts[i]), &epoch, &revision));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_event_has_an_id_a_type_and_data),
        cmocka_unit_test(a_line_feed_starts_another_line_of_data),
        cmocka_unit_test(a_carriage_return_becomes_a_space),
        cmocka_unit_test(texts_of_one_line_are_recognized),
        cmocka_unit_test(an_id_is_read_as_it_was_written),
        cmocka_unit_test(malformed_ids_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
