/* The client's reader of Server-Sent Events. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "kvctl/events.h"

static struct kv_buffer seen;

static bool note(void *context, const struct kv_ctl_event *event)
{
    size_t *n_left = context;
    kv_buffer_printf(&seen, "[%.*s|%.*s]", (int)event->type.len, event->type.bytes,
                     (int)event->data.len, event->data.bytes);
    return --*n_left != 0;
}

static void take(struct kv_ctl_events *events, const char *text)
{
    assert_true(kv_ctl_events_take(events, kv_slice_of(text)));
}

static void expect(const char *text)
{
    kv_buffer_append_char(&seen, '\0');
    assert_string_equal(seen.bytes, text);
    kv_buffer_fini(&seen);
}

static void expect_id(const struct kv_ctl_events *events, const char *id)
{
    assert_true(kv_slice_equals(kv_buffer_slice(&events->id), kv_slice_of(id)));
}

static void lines_of_data_are_joined(void **state)
{
    size_t n = SIZE_MAX;
    struct kv_ctl_events events = {.on_event = note, .context = &n};
    (void)state;
    take(&events, "event: value\ndata: {\ndata:  1}\n\ndata:x\n\n");
    expect("[value|{\n 1}][|x]");
    kv_ctl_events_fini(&events);
}

static void line_ends_may_be_split_anywhere(void **state)
{
    size_t n = SIZE_MAX;
    struct kv_ctl_events events = {.on_event = note, .context = &n};
    (void)state;
    take(&events, "event: a\r");
    take(&events, "\nda");
    take(&events, "ta: 1\r\n\r");
    take(&events, "\ndata: 2\r\r");
    expect("[a|1][|2]");
    kv_ctl_events_fini(&events);
}

static void id_takes_effect_once_its_event_is_complete(void **state)
{
    size_t n = SIZE_MAX;
    struct kv_ctl_events events = {.on_event = note, .context = &n};
    (void)state;
    take(&events, "id: e-1\ndata: 1\n\nid: e-2\ndata: 2\n");
    expect_id(&events, "e-1");
    kv_ctl_events_restart(&events);
    take(&events, "data: 3\n\n");
    expect_id(&events, "e-1");
    take(&events, "id:\ndata: 4\n\n");
    expect_id(&events, "");
    expect("[|1][|3][|4]");
    kv_ctl_events_fini(&events);
}

static void comments_and_unknown_fields_are_skipped(void **state)
{
    size_t n = SIZE_MAX;
    struct kv_ctl_events events = {.on_event = note, .context = &n};
    (void)state;
    take(&events, ": heartbeat\n\nretry: 1000\n\nfoo: bar\nevent: lonely\n\ndata: 1\n\n");
    expect("[|1]");
    kv_ctl_events_fini(&events);
}

static void reader_stops_when_its_callback_says_so(void **state)
{
    size_t n = 1;
    struct kv_ctl_events events = {.on_event = note, .context = &n};
    (void)state;
    assert_false(kv_ctl_events_take(&events, KV_SLICE("data: 1\n\ndata: 2\n\n")));
    expect("[|1]");
    kv_ctl_events_fini(&events);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_of_data_are_joined),
        cmocka_unit_test(line_ends_may_be_split_anywhere),
        cmocka_unit_test(id_takes_effect_once_its_event_is_complete),
        cmocka_unit_test(comments_and_unknown_fields_are_skipped),
        cmocka_unit_test(reader_stops_when_its_callback_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
