/* Subscriptions to all keys under a prefix, over the wire. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "fixture.h"

#define SUBSCRIBE(payload) "{\"type\":\"subscribe\",\"payload\":" payload "}"

static void open_subscribed(struct kv_test_ws *ws, void **state, const char *subscribe)
{
    kv_test_ws_open(ws, kv_test_port(state));
    kv_test_ws_send_text(ws, "%s", subscribe);
    kv_test_ws_expect_nothing(ws);
}

#define expect_told(ws, key, value)                                                                \
    kv_test_ws_expect(ws, "{\"type\":\"value\",\"payload\":{\"key\":\"%s\",\"value\":%s}}", key,   \
                      value)

static void changes_of_keys_under_the_prefix_are_told(void **state)
{
    struct kv_test_ws ws;
    uint16_t port = kv_test_port(state);
    open_subscribed(&ws, state, SUBSCRIBE("{\"prefix\":\"room/42/\"}"));
    kv_test_store(port, "room%2F42%2Fa", "1");
    kv_test_store(port, "room%2F43%2Fa", "2");
    kv_test_store(port, "room%2F42%2F", "3");
    kv_test_http_status(port, "DELETE", "/storage/room%2F42%2Fa", NULL, NULL);
    expect_told(&ws, "room/42/a", "1");
    expect_told(&ws, "room/42/", "3");
    kv_test_ws_expect(&ws, "{\"type\":\"no-value\",\"payload\":{\"key\":\"room/42/a\"}}");
    kv_test_ws_send_text(
        &ws, "{\"type\":\"unsubscribe\",\"id\":1,\"payload\":{\"prefix\":\"room/42/\"}}");
    kv_test_ws_expect(&ws, "{\"type\":\"ok\",\"id\":1,\"payload\":{\"prefix\":\"room/42/\"}}");
    kv_test_store(port, "room%2F42%2Fa", "4");
    kv_test_ws_expect_nothing(&ws);
    kv_test_ws_close(&ws);
}

static void subscribe_with_id_is_answered_with_the_prefix(void **state)
{
    struct kv_test_ws ws;
    kv_test_ws_open(&ws, kv_test_port(state));
    kv_test_ws_send_text(
        &ws, "{\"type\":\"subscribe\",\"id\":\"a\",\"payload\":{\"prefix\":\"\\u0000\"}}");
    kv_test_ws_expect(&ws, "{\"type\":\"ok\",\"id\":\"a\",\"payload\":{\"prefix\":\"\\u0000\"}}");
    kv_test_ws_close(&ws);
}

static void change_that_several_subscriptions_cover_comes_once(void **state)
{
    struct kv_test_ws ws;
    open_subscribed(&ws, state, SUBSCRIBE("{\"prefix\":\"once/\"}"));
    kv_test_ws_send_text(&ws, SUBSCRIBE("{\"prefix\":\"once/a\"}"));
    kv_test_ws_send_text(&ws, SUBSCRIBE("{\"key\":\"once/a\"}"));
    kv_test_ws_expect_nothing(&ws);
    kv_test_store(kv_test_port(state), "once%2Fa", "1");
    expect_told(&ws, "once/a", "1");
    kv_test_ws_expect_nothing(&ws);
    kv_test_ws_close(&ws);
}

static void get_under_a_prefix_sees_the_writes_before_it(void **state)
{
    struct kv_test_ws ws;
    open_subscribed(&ws, state, SUBSCRIBE("{\"prefix\":\"own/\"}"));
    kv_test_ws_put_text(&ws, "{\"type\":\"set\",\"payload\":{\"key\":\"own/a\",\"value\":1}}");
    kv_test_ws_put_text(&ws, "{\"type\":\"get\",\"id\":1,\"payload\":{\"key\":\"own/a\"}}");
    kv_test_stream_flush(&ws.stream);
    struct kv_test_frame frame;
    bool is_told = false, is_answered = false;
    while (!is_told || !is_answered) {
        assert_true(kv_test_ws_receive(&ws, &frame));
        if (kv_slice_equals(
                frame.payload,
                KV_SLICE("{\"type\":\"value\",\"payload\":{\"key\":\"own/a\",\"value\":1}}")))
            is_told = true;
        else if (kv_slice_equals(frame.payload, KV_SLICE("{\"type\":\"value\",\"id\":1,\"payload\":"
                                                         "{\"key\":\"own/a\",\"value\":1}}")))
            is_answered = true;
        else
            fail_msg("%.*s", (int)frame.payload.len, frame.payload.bytes);
    }
    kv_test_ws_close(&ws);
}

static void key_and_prefix_together_are_an_error(void **state)
{
    struct kv_test_ws ws;
    kv_test_ws_open(&ws, kv_test_port(state));
    kv_test_ws_send_text(&ws, SUBSCRIBE("{\"prefix\":\"a\",\"key\":\"a\"}"));
    kv_test_ws_expect_error(&ws, NULL);
    kv_test_ws_close(&ws);
}

/* ---- meta ---- */

/* Returns: the number behind `name` in the text. */
static uint64_t number_in(struct kv_slice text, const char *name)
{
    char copy[1024];
    assert_true(text.len < sizeof(copy));
    memcpy(copy, text.bytes, text.len);
    copy[text.len] = '\0';
    const char *at = strstr(copy, name);
    assert_non_null(at);
    return strtoull(at + strlen(name), NULL, 10);
}

static uint64_t take_meta(struct kv_test_ws *ws, const char *part, const char *other_part)
{
    struct kv_test_frame frame;
    char text[1024];
    assert_true(kv_test_ws_receive(ws, &frame));
    assert_true(frame.payload.len < sizeof(text));
    memcpy(text, frame.payload.bytes, frame.payload.len);
    text[frame.payload.len] = '\0';
    kv_test_expect_part(text, part);
    kv_test_expect_part(text, other_part);
    kv_test_expect_part(text, "\"epoch\":\"");
    return number_in(frame.payload, "\"revision\":");
}

static void changes_with_meta_say_revision_epoch_reason_and_ttl(void **state)
{
    struct kv_test_ws ws;
    open_subscribed(&ws, state, SUBSCRIBE("{\"prefix\":\"meta/\",\"meta\":true}"));
    kv_test_ws_send_text(&ws, "{\"type\":\"set\",\"payload\":{\"key\":\"meta/a\",\"value\":[1]}}");
    uint64_t first = take_meta(&ws, "\"reason\":\"set\"", "\"value\":[1]}}");
    kv_test_ws_send_text(&ws, "{\"type\":\"delete\",\"payload\":{\"key\":\"meta/a\"}}");
    uint64_t second = take_meta(&ws, "\"type\":\"no-value\"", "\"reason\":\"delete\"}}");
    kv_test_ws_send_text(
        &ws, "{\"type\":\"set\",\"payload\":{\"key\":\"meta/a\",\"value\":2,\"ttl\":60}}");
    uint64_t third = take_meta(&ws, "\"reason\":\"set\",\"ttl\":", "\"value\":2}}");
    uint64_t fourth = take_meta(&ws, "\"type\":\"no-value\"", "\"reason\":\"expire\"}}");
    assert_true(first > 0 && first < second && second < third && third < fourth);
    kv_test_ws_close(&ws);
}

static void subscribing_again_replaces_the_options(void **state)
{
    struct kv_test_ws ws;
    open_subscribed(&ws, state, SUBSCRIBE("{\"key\":\"again\",\"meta\":true}"));
    kv_test_store(kv_test_port(state), "again", "1");
    take_meta(&ws, "\"key\":\"again\"", "\"value\":1}}");
    kv_test_ws_send_text(&ws, SUBSCRIBE("{\"key\":\"again\"}"));
    kv_test_ws_expect_nothing(&ws);
    kv_test_store(kv_test_port(state), "again", "2");
    expect_told(&ws, "again", "2");
    kv_test_ws_close(&ws);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(changes_of_keys_under_the_prefix_are_told),
        cmocka_unit_test(subscribe_with_id_is_answered_with_the_prefix),
        cmocka_unit_test(change_that_several_subscriptions_cover_comes_once),
        cmocka_unit_test(get_under_a_prefix_sees_the_writes_before_it),
        cmocka_unit_test(key_and_prefix_together_are_an_error),
        cmocka_unit_test(changes_with_meta_say_revision_epoch_reason_and_ttl),
        cmocka_unit_test(subscribing_again_replaces_the_options),
    };
    return cmocka_run_group_tests(tests, kv_test_group_start, kv_test_group_stop);
}
