/* get, set and delete over WebSocket: every answer word for word. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "fixture.h"

#define N(array) (sizeof(array) / sizeof((array)[0]))

static void get_of_missing_key_is_no_value(void **state)
{
    struct kv_test_ws ws;
    kv_test_ws_open(&ws, kv_test_port(state));
    kv_test_ws_send_text(&ws, "{\"type\":\"get\",\"payload\":{\"key\":\"missing\"}}");
    kv_test_ws_expect(&ws, "{\"type\":\"no-value\",\"payload\":{\"key\":\"missing\"}}");
    kv_test_ws_close(&ws);
}

static void get_sees_the_set_before_it(void **state)
{
    struct kv_test_ws ws;
    kv_test_ws_open(&ws, kv_test_port(state));
    kv_test_ws_put_text(&ws, "{\"type\":\"set\",\"payload\":{\"key\":\"k\",\"value\":{\"a\": 1}}}");
    kv_test_ws_put_text(&ws, "{\"type\":\"get\",\"payload\":{\"key\":\"k\"}}");
    kv_test_ws_put_text(&ws, "{\"type\":\"delete\",\"payload\":{\"key\":\"k\"}}");
    kv_test_ws_send_text(&ws, "{\"type\":\"get\",\"payload\":{\"key\":\"k\"}}");
    kv_test_ws_expect(&ws, "{\"type\":\"value\",\"payload\":{\"key\":\"k\",\"value\":{\"a\": 1}}}");
    kv_test_ws_expect(&ws, "{\"type\":\"no-value\",\"payload\":{\"key\":\"k\"}}");
    kv_test_ws_close(&ws);
}

static void set_and_delete_are_not_answered(void **state)
{
    struct kv_test_ws ws;
    kv_test_ws_open(&ws, kv_test_port(state));
    kv_test_ws_send_text(&ws, "{\"type\":\"set\",\"payload\":{\"key\":\"silent\",\"value\":1}}");
    kv_test_ws_expect_nothing(&ws);
    kv_test_ws_send_text(&ws, "{\"type\":\"delete\",\"payload\":{\"key\":\"silent\"}}");
    kv_test_ws_send_text(&ws, "{\"type\":\"delete\",\"payload\":{\"key\":\"silent\"}}");
    kv_test_ws_expect_nothing(&ws);
    kv_test_ws_close(&ws);
}

static void value_comes_back_byte_for_byte(void **state)
{
    static const char *const values[] = {
        "null",
        "1.10",
        "1e400",
        "12345678901234567890",
        "-0.0",
        "\"\\ud800\"",
        "\"\\u0000\\/\"",
        "{\"a\":1,\"a\":2}",
        "[ 1 ,\t2,\n3 ]",
        "\"\xf0\x9f\x98\x80\"",
        "{\"type\":\"get\",\"payload\":{}}",
    };
    struct kv_test_ws ws;
    kv_test_ws_open(&ws, kv_test_port(state));
    for (size_t i = 0; i < N(values); i++) {
        kv_test_ws_put_text(
            &ws, "{\"type\":\"set\",\"payload\":{\"key\":\"bytes\",\"value\": %s }}", values[i]);
        kv_test_ws_send_text(&ws, "{\"type\":\"get\",\"payload\":{\"key\":\"bytes\"}}");
        kv_test_ws_expect(&ws, "{\"type\":\"value\",\"payload\":{\"key\":\"bytes\",\"value\":%s}}",
                          values[i]);
    }
    kv_test_ws_close(&ws);
}

static void order_and_layout_of_members_do_not_matter(void **state)
{
    struct kv_test_ws ws;
    kv_test_ws_open(&ws, kv_test_port(state));
    kv_test_ws_put_text(&ws, " { \"payload\" : { \"value\" : [1] , \"key\" : \"laid out\" ,"
                             "\"other\":{\"key\":1} },\r\n\t\"extra\":[{}], \"type\" : \"set\" } ");
    kv_test_ws_send_text(&ws, "{\"p\\u0061yload\":{\"\\u006bey\":\"l\\u0061id\\u0020out\"},"
                              "\"t\\u0079pe\":\"g\\u0065t\"}");
    kv_test_ws_expect(&ws, "{\"type\":\"value\",\"payload\":{\"key\":\"laid out\",\"value\":[1]}}");
    kv_test_ws_close(&ws);
}

static void the_last_of_duplicate_members_counts(void **state)
{
    struct kv_test_ws ws;
    kv_test_ws_open(&ws, kv_test_port(state));
    kv_test_ws_put_text(&ws,
                        "{\"type\":\"delete\",\"payload\":{\"key\":1},\"type\":\"set\",\"payload\":"
                        "{\"key\":\"a\",\"value\":1,\"key\":\"twice\",\"value\":2}}");
    kv_test_ws_send_text(&ws, "{\"type\":\"get\",\"payload\":{\"key\":\"twice\"}}");
    kv_test_ws_expect(&ws, "{\"type\":\"value\",\"payload\":{\"key\":\"twice\",\"value\":2}}");
    kv_test_ws_close(&ws);
}

static void keys_are_compared_after_unescaping(void **state)
{
    /* As JSON in a message, as it comes back, and in a path. */
    static const struct {
        const char *sent, *echoed, *path;
    } keys[] = {
        {"", "", ""},
        {"a\\/b", "a/b", "a/b"},
        {"\\u0000", "\\u0000", "%00"},
        {"q\\\"\\\\", "q\\\"\\\\", "q%22%5C"},
        {"\\ud83d\\ude00", "\xf0\x9f\x98\x80", "%F0%9F%98%80"},
        {"\\u043a", "\xd0\xba", "%D0%BA"},
    };
    struct kv_test_ws ws;
    kv_test_ws_open(&ws, kv_test_port(state));
    for (size_t i = 0; i < N(keys); i++) {
        kv_test_ws_put_text(&ws, "{\"type\":\"set\",\"payload\":{\"key\":\"%s\",\"value\":%zu}}",
                            keys[i].sent, i);
        kv_test_ws_send_text(&ws, "{\"type\":\"get\",\"payload\":{\"key\":\"%s\"}}", keys[i].sent);
        kv_test_ws_expect(&ws, "{\"type\":\"value\",\"payload\":{\"key\":\"%s\",\"value\":%zu}}",
                          keys[i].echoed, i);
        char value[16];
        snprintf(value, sizeof(value), "%zu", i);
        kv_test_expect_value(kv_test_port(state), keys[i].path, value);
    }
    kv_test_ws_close(&ws);
}

static void id_is_echoed_as_sent(void **state)
{
    static const char *const ids[] = {"7",    "-1.50e+3",        "12345678901234567890",
                                      "\"\"", "\"a\\u0041\\/\"", "\"\xd0\xba\""};
    struct kv_test_ws ws;
    kv_test_ws_open(&ws, kv_test_port(state));
    for (size_t i = 0; i < N(ids); i++) {
        kv_test_ws_send_text(&ws, "{\"type\":\"get\",\"id\": %s ,\"payload\":{\"key\":\"no\"}}",
                             ids[i]);
        kv_test_ws_expect(&ws, "{\"type\":\"no-value\",\"id\":%s,\"payload\":{\"key\":\"no\"}}",
                          ids[i]);
    }
    kv_test_ws_close(&ws);
}

static void message_with_id_is_answered_ok(void **state)
{
    struct kv_test_ws ws;
    kv_test_ws_open(&ws, kv_test_port(state));
    kv_test_ws_send_text(&ws,
                         "{\"type\":\"set\",\"id\":1,\"payload\":{\"key\":\"ok\",\"value\":1}}");
    uint64_t first = kv_test_ws_expect_ok(&ws, "1", "\"ok\"");
    assert_true(first > 0);
    kv_test_ws_send_text(&ws,
                         "{\"type\":\"set\",\"id\":2,\"payload\":{\"key\":\"ok\",\"value\":2}}");
    uint64_t second = kv_test_ws_expect_ok(&ws, "2", "\"ok\"");
    assert_true(second > first);
    kv_test_ws_send_text(&ws,
                         "{\"type\":\"set\",\"id\":3,\"payload\":{\"key\":\"ok\",\"value\":2}}");
    assert_int_equal(kv_test_ws_expect_ok(&ws, "3", "\"ok\""), second);
    kv_test_ws_send_text(&ws, "{\"type\":\"delete\",\"id\":4,\"payload\":{\"key\":\"ok\"}}");
    kv_test_ws_expect_ok(&ws, "4", "\"ok\"");
    kv_test_ws_send_text(&ws, "{\"type\":\"delete\",\"id\":5,\"payload\":{\"key\":\"ok\"}}");
    kv_test_ws_expect_ok(&ws, "5", "\"ok\"");
    kv_test_ws_close(&ws);
}

static void answer_to_a_get_with_id_has_the_id(void **state)
{
    struct kv_test_ws ws;
    kv_test_ws_open(&ws, kv_test_port(state));
    kv_test_ws_put_text(&ws, "{\"type\":\"set\",\"payload\":{\"key\":\"ided\",\"value\":[]}}");
    kv_test_ws_send_text(&ws, "{\"type\":\"get\",\"id\":\"x\",\"payload\":{\"key\":\"ided\"}}");
    kv_test_ws_expect(
        &ws, "{\"type\":\"value\",\"id\":\"x\",\"payload\":{\"key\":\"ided\",\"value\":[]}}");
    kv_test_ws_close(&ws);
}

static void invalid_message_is_an_error_and_changes_nothing(void **state)
{
    static const char *const messages[] = {
        "",
        " ",
        "{",
        "nonsense",
        "null",
        "1",
        "\"get\"",
        "[]",
        "{}",
        "{\"type\":\"set\"}",
        "{\"payload\":{\"key\":\"kept\"}}",
        "{\"type\":1,\"payload\":{\"key\":\"kept\"}}",
        "{\"type\":null,\"payload\":{\"key\":\"kept\"}}",
        "{\"type\":\"\",\"payload\":{\"key\":\"kept\"}}",
        "{\"type\":\"SET\",\"payload\":{\"key\":\"kept\",\"value\":2}}",
        "{\"type\":\"put\",\"payload\":{\"key\":\"kept\",\"value\":2}}",
        "{\"type\":\"ok\",\"payload\":{\"key\":\"kept\"}}",
        "{\"type\":\"get\",\"payload\":null}",
        "{\"type\":\"get\",\"payload\":\"kept\"}",
        "{\"type\":\"get\",\"payload\":[\"kept\"]}",
        "{\"type\":\"get\",\"payload\":{}}",
        "{\"type\":\"get\",\"payload\":{\"key\":1}}",
        "{\"type\":\"get\",\"payload\":{\"key\":null}}",
        "{\"type\":\"delete\",\"payload\":{\"key\":[\"kept\"]}}",
        "{\"type\":\"delete\",\"payload\":{}}",
        "{\"type\":\"subscribe\",\"payload\":{}}",
        "{\"type\":\"subscribe\",\"payload\":{\"key\":true}}",
        "{\"type\":\"unsubscribe\",\"payload\":{}}",
        "{\"type\":\"set\",\"payload\":{\"key\":\"kept\"}}",
        "{\"type\":\"set\",\"payload\":{\"value\":2}}",
        "{\"type\":\"set\",\"payload\":{\"key\":\"kept\",\"value\":}}",
        "{\"type\":\"set\",\"payload\":{\"key\":\"kept\",\"value\":2}",
        "{\"type\":\"set\",\"payload\":{\"key\":\"kept\",\"value\":2}},",
        "{\"type\":\"set\",\"payload\":{\"key\":\"kept\",\"value\":2}}{}",
        "{\"type\":\"set\",\"payload\":{\"key\":\"kept\",\"value\":02}}",
        "{\"type\":\"set\",\"payload\":{\"key\":\"kept\",\"value\":2,}}",
        "\xef\xbb\xbf{\"type\":\"set\",\"payload\":{\"key\":\"kept\",\"value\":2}}",
        "{\"type\":\"set\",\"payload\":{\"key\":\"\\ud800\",\"value\":2}}",
        "{\"type\":\"get\",\"payload\":{\"key\":\"a\\udc00b\"}}",
        "{\"type\":\"get\",\"payload\":{\"key\":\"\\ude00\\ud83d\"}}",
        "{\"type\":\"set\",\"payload\":{\"key\":\"kept\",\"value\":2,\"ttl\":\"soon\"}}",
        "{\"type\":\"set\",\"payload\":{\"key\":\"kept\",\"value\":2,\"ttl\":-1}}",
        "{\"type\":\"set\",\"payload\":{\"key\":\"kept\",\"value\":2,\"ttl\":null}}",
        "{\"type\":\"set\",\"payload\":{\"key\":\"kept\",\"value\":2,\"ttl\":\"\"}}",
        "{\"type\":\"set\",\"payload\":{\"key\":\"kept\",\"value\":2,\"ttl\":9007199254740992}}",
        "{\"type\":\"set\",\"id\":null,\"payload\":{\"key\":\"kept\",\"value\":2}}",
        "{\"type\":\"set\",\"id\":true,\"payload\":{\"key\":\"kept\",\"value\":2}}",
        "{\"type\":\"set\",\"id\":{},\"payload\":{\"key\":\"kept\",\"value\":2}}",
        "{\"type\":\"set\",\"id\":[1],\"payload\":{\"key\":\"kept\",\"value\":2}}",
        "{\"type\":\"set\",\"payload\":{\"key\":\"kept\",\"value\":2,\"if_absent\":1}}",
        "{\"type\":\"set\",\"payload\":{\"key\":\"kept\",\"value\":2,\"if_revision\":\"1\"}}",
        "{\"type\":\"set\",\"payload\":{\"key\":\"kept\",\"value\":2,\"if_revision\":1.5}}",
        "{\"type\":\"set\",\"payload\":{\"key\":\"kept\",\"value\":2,\"if_revision\":-1}}",
    };
    struct kv_test_ws ws;
    kv_test_ws_open(&ws, kv_test_port(state));
    kv_test_ws_send_text(&ws,
                         "{\"type\":\"set\",\"payload\":{\"key\":\"kept\",\"value\":\"old\"}}");
    for (size_t i = 0; i < N(messages); i++) {
        kv_test_ws_put_text(&ws, "%s", messages[i]);
        kv_test_ws_send_text(&ws, "{\"type\":\"get\",\"payload\":{\"key\":\"kept\"}}");
        kv_test_ws_expect_error(&ws, NULL);
        kv_test_ws_expect(&ws,
                          "{\"type\":\"value\",\"payload\":{\"key\":\"kept\",\"value\":\"old\"}}");
    }
    kv_test_ws_close(&ws);
}

static void error_has_the_id_if_it_is_readable(void **state)
{
    struct kv_test_ws ws;
    kv_test_ws_open(&ws, kv_test_port(state));
    kv_test_ws_send_text(&ws, "{\"type\":\"sing\",\"id\":1,\"payload\":{\"key\":\"k\"}}");
    kv_test_ws_expect_error(&ws, "1");
    kv_test_ws_send_text(&ws, "{\"type\":\"set\",\"id\":\"two\",\"payload\":{\"key\":\"k\"}}");
    kv_test_ws_expect_error(&ws, "\"two\"");
    kv_test_ws_send_text(
        &ws, "{\"type\":\"set\",\"payload\":{\"key\":\"k\",\"value\":1,\"ttl\":\"x\"},\"id\":3}");
    kv_test_ws_expect_error(&ws, "3");
    kv_test_ws_close(&ws);
}

static void if_absent_writes_only_missing_keys(void **state)
{
    struct kv_test_ws ws;
    kv_test_ws_open(&ws, kv_test_port(state));
    static const char format[] = "{\"type\":\"set\",\"id\":%d,\"payload\":{\"key\":\"absent\","
                                 "\"value\":%d,\"if_absent\":true}}";
    kv_test_ws_send_text(&ws, format, 1, 1);
    kv_test_ws_expect_ok(&ws, "1", "\"absent\"");
    kv_test_ws_send_text(&ws, format, 2, 2);
    kv_test_ws_expect_error(&ws, "2");
    kv_test_ws_send_text(&ws, "{\"type\":\"set\",\"id\":3,\"payload\":{\"key\":\"absent\","
                              "\"value\":3,\"if_absent\":false}}");
    kv_test_ws_expect_ok(&ws, "3", "\"absent\"");
    kv_test_expect_value(kv_test_port(state), "absent", "3");
    kv_test_ws_close(&ws);
}

static void if_revision_writes_only_on_that_revision(void **state)
{
    struct kv_test_ws ws;
    kv_test_ws_open(&ws, kv_test_port(state));
    static const char format[] = "{\"type\":\"set\",\"id\":%d,\"payload\":{\"key\":\"rev\","
                                 "\"value\":%d,\"if_revision\":%llu}}";
    kv_test_ws_send_text(&ws, format, 0, 0, 1ULL);
    kv_test_ws_expect_error(&ws, "0");
    kv_test_ws_send_text(&ws,
                         "{\"type\":\"set\",\"id\":1,\"payload\":{\"key\":\"rev\",\"value\":1}}");
    unsigned long long first = kv_test_ws_expect_ok(&ws, "1", "\"rev\"");
    kv_test_ws_send_text(&ws, format, 2, 2, first);
    unsigned long long second = kv_test_ws_expect_ok(&ws, "2", "\"rev\"");
    kv_test_ws_send_text(&ws, format, 3, 3, first);
    kv_test_ws_expect_error(&ws, "3");
    kv_test_expect_value(kv_test_port(state), "rev", "2");

    static const char delete[] =
        "{\"type\":\"delete\",\"id\":%d,\"payload\":{\"key\":\"rev\",\"if_revision\":%llu}}";
    kv_test_ws_send_text(&ws, delete, 4, first);
    kv_test_ws_expect_error(&ws, "4");
    kv_test_ws_send_text(&ws, delete, 5, second);
    kv_test_ws_expect_ok(&ws, "5", "\"rev\"");
    kv_test_expect_missing(kv_test_port(state), "rev");
    kv_test_ws_close(&ws);
}

static void failed_condition_without_id_is_an_error_too(void **state)
{
    struct kv_test_ws ws;
    kv_test_ws_open(&ws, kv_test_port(state));
    kv_test_ws_send_text(
        &ws, "{\"type\":\"delete\",\"payload\":{\"key\":\"never\",\"if_revision\":17}}");
    kv_test_ws_expect_error(&ws, NULL);
    kv_test_ws_close(&ws);
}

static void both_protocols_see_the_same_revisions(void **state)
{
    struct kv_test_ws ws;
    char condition[64];
    kv_test_ws_open(&ws, kv_test_port(state));
    kv_test_ws_send_text(&ws,
                         "{\"type\":\"set\",\"id\":1,\"payload\":{\"key\":\"both\",\"value\":1}}");
    snprintf(condition, sizeof(condition), "If-Match: \"%llu\"\r\n",
             (unsigned long long)kv_test_ws_expect_ok(&ws, "1", "\"both\""));
    assert_int_equal(kv_test_http_status(kv_test_port(state), "PUT", "/storage/both", condition,
                                         "{\"value\":2}"),
                     202);
    kv_test_ws_send_text(&ws, "{\"type\":\"get\",\"payload\":{\"key\":\"both\"}}");
    kv_test_ws_expect(&ws, "{\"type\":\"value\",\"payload\":{\"key\":\"both\",\"value\":2}}");
    kv_test_ws_close(&ws);
}

static void value_of_64_mib_comes_back_byte_for_byte(void **state)
{
    enum {
        LEN = 64 << 20
    };
    struct kv_test_ws ws;
    struct kv_buffer message = {0}, answer = {0};
    char *value = kv_test_letters('w', LEN);
    kv_buffer_printf(&message,
                     "{\"type\":\"set\",\"payload\":{\"key\":\"large\",\"value\":\"%s\"}}", value);
    kv_buffer_printf(
        &answer, "{\"type\":\"value\",\"payload\":{\"key\":\"large\",\"value\":\"%s\"}}", value);
    kv_test_ws_open(&ws, kv_test_port(state));
    kv_test_ws_send(&ws, kv_buffer_slice(&message));
    kv_test_ws_send_text(&ws, "{\"type\":\"get\",\"payload\":{\"key\":\"large\"}}");
    kv_test_ws_expect_slice(&ws, kv_buffer_slice(&answer));
    kv_test_ws_send_text(&ws, "{\"type\":\"delete\",\"id\":1,\"payload\":{\"key\":\"large\"}}");
    kv_test_ws_expect_ok(&ws, "1", "\"large\"");
    kv_test_ws_close(&ws);
    free(value);
    kv_buffer_fini(&message);
    kv_buffer_fini(&answer);
}

/* More than is read at once is under way when the connection ends. */
static void messages_before_the_end_of_the_connection_take_effect(void **state)
{
    enum {
        MESSAGES = 300
    };
    struct kv_test_ws ws;
    char *filler = kv_test_letters('f', 60000);
    char last[16];
    kv_test_ws_open(&ws, kv_test_port(state));
    for (int i = 1; i <= MESSAGES; i++) {
        kv_test_ws_put_text(
            &ws, "{\"type\":\"set\",\"payload\":{\"key\":\"filler\",\"value\":\"%s\"}}", filler);
        kv_test_ws_put_text(&ws, "{\"type\":\"set\",\"payload\":{\"key\":\"last\",\"value\":%d}}",
                            i);
    }
    kv_test_stream_flush(&ws.stream);
    kv_test_ws_close(&ws);
    snprintf(last, sizeof(last), "%d", MESSAGES);
    int64_t limit_ms = kv_test_now_ms() + KV_TEST_LIMIT_MS;
    struct kv_test_response response = {0};
    struct kv_test_stream stream;
    kv_test_stream_open(&stream, kv_test_port(state));
    do {
        assert_true(kv_test_now_ms() < limit_ms);
        kv_test_http_ask(&stream, "GET", "/storage/last", NULL, NULL, &response);
    } while (!kv_test_is_value_body(kv_buffer_slice(&response.body), kv_slice_of(last)));
    kv_test_stream_close(&stream);
    kv_test_response_fini(&response);
    free(filler);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(get_of_missing_key_is_no_value),
        cmocka_unit_test(get_sees_the_set_before_it),
        cmocka_unit_test(set_and_delete_are_not_answered),
        cmocka_unit_test(value_comes_back_byte_for_byte),
        cmocka_unit_test(order_and_layout_of_members_do_not_matter),
        cmocka_unit_test(the_last_of_duplicate_members_counts),
        cmocka_unit_test(keys_are_compared_after_unescaping),
        cmocka_unit_test(id_is_echoed_as_sent),
        cmocka_unit_test(message_with_id_is_answered_ok),
        cmocka_unit_test(answer_to_a_get_with_id_has_the_id),
        cmocka_unit_test(invalid_message_is_an_error_and_changes_nothing),
        cmocka_unit_test(error_has_the_id_if_it_is_readable),
        cmocka_unit_test(if_absent_writes_only_missing_keys),
        cmocka_unit_test(if_revision_writes_only_on_that_revision),
        cmocka_unit_test(failed_condition_without_id_is_an_error_too),
        cmocka_unit_test(both_protocols_see_the_same_revisions),
        cmocka_unit_test(messages_before_the_end_of_the_connection_take_effect),
        cmocka_unit_test(value_of_64_mib_comes_back_byte_for_byte),
    };
    return cmocka_run_group_tests(tests, kv_test_group_start, kv_test_group_stop);
}
