/* The changes that a subscriber is told, and those that it is not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "fixture.h"

static void open_subscribed(struct kv_test_ws *ws, void **state, const char *key)
{
    kv_test_ws_open(ws, kv_test_port(state));
    kv_test_ws_send_text(ws, "{\"type\":\"subscribe\",\"payload\":{\"key\":\"%s\"}}", key);
    kv_test_ws_expect_nothing(ws);
}

static void put_set(struct kv_test_ws *ws, const char *key, const char *value)
{
    kv_test_ws_put_text(ws, "{\"type\":\"set\",\"payload\":{\"key\":\"%s\",\"value\":%s}}", key,
                        value);
}

static void put_delete(struct kv_test_ws *ws, const char *key)
{
    kv_test_ws_put_text(ws, "{\"type\":\"delete\",\"payload\":{\"key\":\"%s\"}}", key);
}

#define expect_told(ws, key, value)                                                                \
    kv_test_ws_expect(ws, "{\"type\":\"value\",\"payload\":{\"key\":\"%s\",\"value\":%s}}", key,   \
                      value)
#define expect_told_gone(ws, key)                                                                  \
    kv_test_ws_expect(ws, "{\"type\":\"no-value\",\"payload\":{\"key\":\"%s\"}}", key)

static void subscribe_is_not_answered_and_tells_no_present_state(void **state)
{
    struct kv_test_ws ws;
    kv_test_store(kv_test_port(state), "present", "1");
    open_subscribed(&ws, state, "present");
    kv_test_ws_expect_nothing(&ws);
    kv_test_ws_close(&ws);
}

static void own_changes_are_told(void **state)
{
    struct kv_test_ws ws;
    open_subscribed(&ws, state, "own");
    put_set(&ws, "own", "[ 1.10 ]");
    put_delete(&ws, "own");
    kv_test_stream_flush(&ws.stream);
    expect_told(&ws, "own", "[ 1.10 ]");
    expect_told_gone(&ws, "own");
    kv_test_ws_expect_nothing(&ws);
    kv_test_ws_close(&ws);
}

static void changes_of_another_connection_and_of_http_are_told(void **state)
{
    struct kv_test_ws ws, writer;
    open_subscribed(&ws, state, "others");
    kv_test_ws_open(&writer, kv_test_port(state));
    put_set(&writer, "others", "1");
    kv_test_stream_flush(&writer.stream);
    expect_told(&ws, "others", "1");
    kv_test_store(kv_test_port(state), "others", "{\"a\" : 1e400}");
    expect_told(&ws, "others", "{\"a\" : 1e400}");
    assert_int_equal(
        kv_test_http_status(kv_test_port(state), "DELETE", "/storage/others", NULL, NULL), 200);
    expect_told_gone(&ws, "others");
    kv_test_ws_expect_nothing(&writer);
    kv_test_ws_close(&writer);
    kv_test_ws_close(&ws);
}

static void write_that_alters_nothing_is_not_told(void **state)
{
    struct kv_test_ws ws;
    open_subscribed(&ws, state, "same");
    put_set(&ws, "same", "{\"a\":1}");
    put_set(&ws, "same", "{\"a\":1}");
    put_set(&ws, "same", " {\"a\":1} ");
    put_set(&ws, "same", "2");
    kv_test_stream_flush(&ws.stream);
    expect_told(&ws, "same", "{\"a\":1}");
    expect_told(&ws, "same", "2");
    kv_test_ws_expect_nothing(&ws);
    kv_test_ws_close(&ws);
}

static void equal_json_with_other_bytes_is_a_change(void **state)
{
    struct kv_test_ws ws;
    open_subscribed(&ws, state, "bytes");
    put_set(&ws, "bytes", "[1.0]");
    put_set(&ws, "bytes", "[1.00]");
    put_set(&ws, "bytes", "[ 1.00 ]");
    kv_test_stream_flush(&ws.stream);
    expect_told(&ws, "bytes", "[1.0]");
    expect_told(&ws, "bytes", "[1.00]");
    expect_told(&ws, "bytes", "[ 1.00 ]");
    kv_test_ws_close(&ws);
}

static void delete_of_a_missing_key_is_not_told(void **state)
{
    struct kv_test_ws ws;
    open_subscribed(&ws, state, "missing");
    put_delete(&ws, "missing");
    put_set(&ws, "missing", "1");
    put_delete(&ws, "missing");
    put_delete(&ws, "missing");
    put_set(&ws, "missing", "2");
    kv_test_stream_flush(&ws.stream);
    expect_told(&ws, "missing", "1");
    expect_told_gone(&ws, "missing");
    expect_told(&ws, "missing", "2");
    kv_test_ws_expect_nothing(&ws);
    kv_test_ws_close(&ws);
}

static void refused_write_is_not_told(void **state)
{
    struct kv_test_ws ws;
    open_subscribed(&ws, state, "refused");
    put_set(&ws, "refused", "1");
    kv_test_stream_flush(&ws.stream);
    expect_told(&ws, "refused", "1");
    kv_test_ws_put_text(&ws, "{\"type\":\"set\",\"payload\":{\"key\":\"refused\",\"value\":2,"
                             "\"if_absent\":true}}");
    kv_test_ws_put_text(
        &ws, "{\"type\":\"set\",\"payload\":{\"key\":\"refused\",\"value\":3,\"ttl\":-1}}");
    kv_test_stream_flush(&ws.stream);
    kv_test_ws_expect_error(&ws, NULL);
    kv_test_ws_expect_error(&ws, NULL);
    kv_test_ws_expect_nothing(&ws);
    kv_test_ws_close(&ws);
}

static void subscribing_twice_is_the_same_as_once(void **state)
{
    struct kv_test_ws ws;
    open_subscribed(&ws, state, "twice");
    kv_test_ws_send_text(&ws, "{\"type\":\"subscribe\",\"payload\":{\"key\":\"twi\\u0063e\"}}");
    put_set(&ws, "twice", "1");
    kv_test_stream_flush(&ws.stream);
    expect_told(&ws, "twice", "1");
    kv_test_ws_expect_nothing(&ws);
    kv_test_ws_send_text(&ws, "{\"type\":\"unsubscribe\",\"payload\":{\"key\":\"twice\"}}");
    put_set(&ws, "twice", "2");
    kv_test_ws_expect_nothing(&ws);
    kv_test_ws_close(&ws);
}

/* Between different keys no order is promised: each of `n` changes comes once, in any order. */
static void expect_each_told_once(struct kv_test_ws *ws, int n)
{
    static const char format[] = "{\"type\":\"value\",\"payload\":{\"key\":\"next-%d\",%n";
    bool is_told[100] = {false};
    for (int i = 0; i < n; i++) {
        struct kv_test_frame frame;
        char text[100] = "";
        int key = -1, at = 0;
        assert_true(kv_test_ws_receive(ws, &frame));
        assert_true(frame.payload.len < sizeof(text));
        memcpy(text, frame.payload.bytes, frame.payload.len);
        assert_int_equal(sscanf(text, format, &key, &at), 1);
        assert_string_equal(text + at, "\"value\":\"within\"}}");
        assert_in_range(key, 0, n - 1);
        assert_false(is_told[key]);
        is_told[key] = true;
    }
}

static void subscription_is_in_force_before_the_next_message(void **state)
{
    struct kv_test_ws ws;
    kv_test_ws_open(&ws, kv_test_port(state));
    for (int i = 0; i < 100; i++) {
        char key[16];
        snprintf(key, sizeof(key), "next-%d", i);
        put_set(&ws, key, "\"before\"");
        kv_test_ws_put_text(&ws, "{\"type\":\"subscribe\",\"payload\":{\"key\":\"%s\"}}", key);
        put_set(&ws, key, "\"within\"");
        kv_test_ws_put_text(&ws, "{\"type\":\"unsubscribe\",\"payload\":{\"key\":\"%s\"}}", key);
        put_set(&ws, key, "\"after\"");
    }
    kv_test_stream_flush(&ws.stream);
    expect_each_told_once(&ws, 100);
    kv_test_ws_expect_nothing(&ws);
    kv_test_ws_close(&ws);
}

static void unsubscribe_without_subscription_is_no_error(void **state)
{
    struct kv_test_ws ws;
    kv_test_ws_open(&ws, kv_test_port(state));
    kv_test_ws_send_text(&ws, "{\"type\":\"unsubscribe\",\"payload\":{\"key\":\"never\"}}");
    kv_test_ws_expect_nothing(&ws);
    kv_test_ws_close(&ws);
}

static void subscribe_and_unsubscribe_with_id_are_answered_ok(void **state)
{
    struct kv_test_ws ws;
    kv_test_ws_open(&ws, kv_test_port(state));
    kv_test_ws_send_text(&ws, "{\"type\":\"subscribe\",\"id\":\"s\",\"payload\":{\"key\":\"k\"}}");
    kv_test_ws_expect_ok(&ws, "\"s\"", "\"k\"");
    kv_test_ws_send_text(&ws, "{\"type\":\"unsubscribe\",\"id\":2,\"payload\":{\"key\":\"k\"}}");
    kv_test_ws_expect_ok(&ws, "2", "\"k\"");
    kv_test_ws_close(&ws);
}

static void changes_bear_no_id(void **state)
{
    struct kv_test_ws ws;
    open_subscribed(&ws, state, "no-id");
    kv_test_ws_send_text(&ws,
                         "{\"type\":\"set\",\"id\":1,\"payload\":{\"key\":\"no-id\",\"value\":1}}");
    static const char change[] = "{\"type\":\"value\",\"payload\":{\"key\":\"no-id\",\"value\":1}}";
    int n_changes = 0, n_oks = 0;
    for (int i = 0; i < 2; i++) {
        struct kv_test_frame frame;
        uint64_t revision;
        assert_true(kv_test_ws_receive(&ws, &frame));
        n_changes += kv_slice_equals(frame.payload, kv_slice_of(change));
        n_oks += kv_test_ws_is_ok(frame.payload, "1", "\"no-id\"", &revision);
    }
    assert_int_equal(n_changes, 1);
    assert_int_equal(n_oks, 1);
    kv_test_ws_close(&ws);
}

static void only_the_subscribed_key_is_told(void **state)
{
    static const char *const others[] = {"onl", "only ", "Only", "only/", ""};
    struct kv_test_ws ws;
    open_subscribed(&ws, state, "only");
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        put_set(&ws, others[i], "1");
    put_set(&ws, "only", "2");
    kv_test_stream_flush(&ws.stream);
    expect_told(&ws, "only", "2");
    kv_test_ws_expect_nothing(&ws);
    kv_test_ws_close(&ws);
}

static void keys_with_nul_and_the_empty_key_can_be_subscribed_to(void **state)
{
    struct kv_test_ws ws;
    open_subscribed(&ws, state, "");
    kv_test_ws_send_text(&ws, "{\"type\":\"subscribe\",\"payload\":{\"key\":\"a\\u0000b\"}}");
    kv_test_ws_expect_nothing(&ws);
    kv_test_store(kv_test_port(state), "", "\"empty\"");
    expect_told(&ws, "", "\"empty\"");
    kv_test_store(kv_test_port(state), "a%00b", "\"nul\"");
    expect_told(&ws, "a\\u0000b", "\"nul\"");
    kv_test_store(kv_test_port(state), "a%00c", "\"other\"");
    kv_test_store(kv_test_port(state), "a", "\"other\"");
    kv_test_ws_expect_nothing(&ws);
    kv_test_ws_close(&ws);
}

static void subscriptions_of_a_closed_connection_are_gone(void **state)
{
    struct kv_test_ws ws;
    for (int i = 0; i < 100; i++) {
        open_subscribed(&ws, state, "closed");
        kv_test_ws_close(&ws);
    }
    kv_test_store(kv_test_port(state), "closed", "1");
    kv_test_ws_open(&ws, kv_test_port(state));
    put_set(&ws, "closed", "2");
    kv_test_ws_expect_nothing(&ws);
    kv_test_ws_close(&ws);
}

static void expiry_is_told_as_no_value(void **state)
{
    struct kv_test_ws ws;
    open_subscribed(&ws, state, "expiring");
    kv_test_ws_send_text(
        &ws, "{\"type\":\"set\",\"payload\":{\"key\":\"expiring\",\"value\":1,\"ttl\":50}}");
    expect_told(&ws, "expiring", "1");
    expect_told_gone(&ws, "expiring");
    kv_test_ws_expect_nothing(&ws);
    kv_test_ws_close(&ws);
}

static void every_one_of_many_subscribers_is_told(void **state)
{
    enum {
        SUBSCRIBERS = 50
    };
    struct kv_test_ws all[SUBSCRIBERS];
    for (int i = 0; i < SUBSCRIBERS; i++)
        open_subscribed(&all[i], state, "many");
    kv_test_store(kv_test_port(state), "many", "\"for all\"");
    for (int i = 0; i < SUBSCRIBERS; i++) {
        expect_told(&all[i], "many", "\"for all\"");
        kv_test_ws_close(&all[i]);
    }
}

static void one_connection_can_subscribe_to_thousands_of_keys(void **state)
{
    enum {
        KEYS = 5000
    };
    struct kv_test_ws ws;
    kv_test_ws_open(&ws, kv_test_port(state));
    for (int i = 0; i < KEYS; i++)
        kv_test_ws_put_text(&ws, "{\"type\":\"subscribe\",\"payload\":{\"key\":\"key-%d\"}}", i);
    kv_test_ws_expect_nothing(&ws);
    for (int i = 0; i < KEYS; i += 499) {
        char key[16];
        snprintf(key, sizeof(key), "key-%d", i);
        kv_test_store(kv_test_port(state), key, "1");
        expect_told(&ws, key, "1");
    }
    kv_test_ws_expect_nothing(&ws);
    kv_test_ws_close(&ws);
}

static void large_values_are_told_whole(void **state)
{
    struct kv_test_ws ws;
    char *value = kv_test_letters('l', 8 << 20);
    value[0] = '"';
    value[(8 << 20) - 1] = '"';
    open_subscribed(&ws, state, "large");
    kv_test_store(kv_test_port(state), "large", value);
    expect_told(&ws, "large", value);
    free(value);
    kv_test_ws_close(&ws);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(subscribe_is_not_answered_and_tells_no_present_state),
        cmocka_unit_test(own_changes_are_told),
        cmocka_unit_test(changes_of_another_connection_and_of_http_are_told),
        cmocka_unit_test(write_that_alters_nothing_is_not_told),
        cmocka_unit_test(equal_json_with_other_bytes_is_a_change),
        cmocka_unit_test(delete_of_a_missing_key_is_not_told),
        cmocka_unit_test(refused_write_is_not_told),
        cmocka_unit_test(subscribing_twice_is_the_same_as_once),
        cmocka_unit_test(subscription_is_in_force_before_the_next_message),
        cmocka_unit_test(unsubscribe_without_subscription_is_no_error),
        cmocka_unit_test(subscribe_and_unsubscribe_with_id_are_answered_ok),
        cmocka_unit_test(changes_bear_no_id),
        cmocka_unit_test(only_the_subscribed_key_is_told),
        cmocka_unit_test(keys_with_nul_and_the_empty_key_can_be_subscribed_to),
        cmocka_unit_test(subscriptions_of_a_closed_connection_are_gone),
        cmocka_unit_test(expiry_is_told_as_no_value),
        cmocka_unit_test(every_one_of_many_subscribers_is_told),
        cmocka_unit_test(one_connection_can_subscribe_to_thousands_of_keys),
        cmocka_unit_test(large_values_are_told_whole),
    };
    return cmocka_run_group_tests(tests, kv_test_group_start, kv_test_group_stop);
}
