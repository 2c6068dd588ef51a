/* `POST /batch`: many messages, and their answers, in one request. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "fixture.h"

#define N(array) (sizeof(array) / sizeof((array)[0]))

static struct kv_test_stream stream;
static struct kv_test_response response;

static int open_stream(void **state)
{
    kv_test_stream_open(&stream, kv_test_port(state));
    return 0;
}

static int close_stream(void **state)
{
    (void)state;
    kv_test_response_fini(&response);
    kv_test_stream_close(&stream);
    return 0;
}

static int ask(const char *body)
{
    int status = kv_test_http_ask(&stream, "POST", "/batch", NULL, body, &response);
    kv_buffer_append_char(&response.body, '\0');
    return status;
}

static void expect(const char *body, int status, const char *answer)
{
    assert_int_equal(ask(body), status);
    assert_string_equal(response.body.bytes, answer);
}

static void messages_take_effect_and_are_answered_in_order(void **state)
{
    (void)state;
    expect("[{\"type\":\"set\",\"payload\":{\"key\":\"b/1\",\"value\":[ 1 ]}},"
           " {\"type\":\"get\",\"payload\":{\"key\":\"b/1\"}},"
           "{\"type\":\"set\",\"payload\":{\"key\":\"b/1\",\"value\":2}},"
           "{\"type\":\"get\",\"id\":\"x\",\"payload\":{\"key\":\"b/1\"}},"
           "{\"type\":\"delete\",\"payload\":{\"key\":\"b/1\"}},"
           "{\"type\":\"get\",\"payload\":{\"key\":\"b/1\"}} ]",
           200,
           "[null,{\"type\":\"value\",\"payload\":{\"key\":\"b/1\",\"value\":[ 1 ]}},null,"
           "{\"type\":\"value\",\"id\":\"x\",\"payload\":{\"key\":\"b/1\",\"value\":2}},null,"
           "{\"type\":\"no-value\",\"payload\":{\"key\":\"b/1\"}}]");
}

static void an_empty_batch_has_no_answers(void **state)
{
    (void)state;
    expect(" [ ] ", 200, "[]");
}

static void all_kinds_of_messages_except_subscriptions_are_accepted(void **state)
{
    static const char no_connection[] =
        "a batch cannot subscribe or hold a lease: that needs a WebSocket";
    char expected[512];
    (void)state;
    assert_int_equal(ask("[{\"type\":\"increment\",\"payload\":{\"key\":\"b/n\",\"by\":3}},"
                         "{\"type\":\"merge\",\"payload\":{\"key\":\"b/d\",\"patch\":{\"a\":1}}},"
                         "{\"type\":\"touch\",\"payload\":{\"key\":\"b/d\",\"ttl\":\"1h\"}},"
                         "{\"type\":\"touch\",\"payload\":{\"key\":\"b/none\",\"ttl\":\"1h\"}},"
                         "{\"type\":\"get\",\"payload\":{\"key\":\"b/d\",\"meta\":true}},"
                         "{\"type\":\"hello\",\"id\":9}]"),
                     200);
    kv_test_expect_part(response.body.bytes, ",\"value\":3}},{\"type\":\"value\"");
    kv_test_expect_part(response.body.bytes,
                        ",\"value\":{\"a\":1}}},null,{\"type\":\"no-value\",\"payload\":{\"key\":"
                        "\"b/none\"}},{\"type\":\"value\"");
    kv_test_expect_part(response.body.bytes, "\"epoch\":");
    kv_test_expect_part(response.body.bytes, ",{\"type\":\"hello\",\"id\":9,\"payload\":");
    snprintf(expected, sizeof(expected),
             "[{\"type\":\"error\",\"payload\":\"%s\"},{\"type\":\"error\",\"id\":1,\"payload\":"
             "\"%s\",\"status\":400},{\"type\":\"error\",\"payload\":\"%s\"}]",
             no_connection, no_connection, no_connection);
    expect("[{\"type\":\"subscribe\",\"payload\":{\"key\":\"b\"}},"
           "{\"type\":\"unsubscribe\",\"id\":1,\"payload\":{\"key\":\"b\"}},"
           "{\"type\":\"set\",\"payload\":{\"key\":\"b\",\"value\":1,\"ttl\":\"10s\","
           "\"while_connected\":true}}]",
           200, expected);
}

static void a_failed_message_does_not_affect_the_others(void **state)
{
    kv_test_store(kv_test_port(state), "b/there", "1");
    expect(
        "[{\"type\":\"set\",\"id\":1,\"payload\":{\"key\":\"b/there\",\"value\":2,"
        "\"if_absent\":true}},"
        "5,{\"type\":\"nothing\",\"id\":2},[],"
        "{\"type\":\"get\",\"payload\":{\"key\":\"b\\/there\"}}]",
        200,
        "[{\"type\":\"error\",\"id\":1,\"payload\":\"the condition does not hold\",\"status\":412},"
        "{\"type\":\"error\",\"payload\":\"the message must be {\\\"type\\\": \xe2\x80\xa6, "
        "\\\"payload\\\": \xe2\x80\xa6}, not a number\"},"
        "{\"type\":\"error\",\"id\":2,\"payload\":\"unknown type \\\"nothing\\\"\",\"status\":400},"
        "{\"type\":\"error\",\"payload\":\"the message must be {\\\"type\\\": \xe2\x80\xa6, "
        "\\\"payload\\\": \xe2\x80\xa6}, not an array\"},"
        "{\"type\":\"value\",\"payload\":{\"key\":\"b/there\",\"value\":1}}]");
}

static void a_body_that_is_not_an_array_has_no_effect(void **state)
{
    static const char *const bodies[] = {
        "", "{}", "[{\"type\":\"set\",\"payload\":{\"key\":\"b/half\",\"value\":1}},]",
        "[{\"type\":\"set\",\"payload\":{\"key\":\"b/half\",\"value\":1}}",
        "[{\"type\":\"set\",\"payload\":{\"key\":\"b/half\",\"value\":1}}] x"};
    for (size_t i = 0; i < N(bodies); i++)
        assert_int_equal(ask(bodies[i]), 400);
    kv_test_expect_missing(kv_test_port(state), "b/half");
    expect("{}", 400, "{\"error\":\"the body must be an array of messages, not an object\"}");
}

static void append_sets(struct kv_buffer *body, int n, const char *value)
{
    for (int i = 0; i < n; i++)
        kv_buffer_printf(body,
                         "%s{\"type\":\"set\",\"id\":%d,\"payload\":{\"key\":\"b/many\\u002f%d\","
                         "\"value\":%s}}",
                         i == 0 ? "[" : ",", i, i, value);
    kv_buffer_append_char(body, ']');
}

static void at_most_ten_thousand_messages_are_accepted(void **state)
{
    struct kv_buffer body = {0};
    (void)state;
    append_sets(&body, 10000, "1");
    kv_test_http_exchange(&stream, "POST", KV_SLICE("/batch"), NULL, kv_buffer_slice(&body),
                          &response);
    assert_int_equal(response.status, 200);
    kv_buffer_append_char(&response.body, '\0');
    int n = 0;
    for (const char *at = response.body.bytes; (at = strstr(at, "{\"type\":\"ok\"")) != NULL; at++)
        n++;
    assert_int_equal(n, 10000);
    kv_test_expect_value(kv_test_port(state), "b/many/9999", "1");
    body.len = 0;
    append_sets(&body, 10001, "2");
    kv_test_http_exchange(&stream, "POST", KV_SLICE("/batch"), NULL, kv_buffer_slice(&body),
                          &response);
    assert_int_equal(response.status, 413);
    kv_test_expect_value(kv_test_port(state), "b/many/0", "1");
    kv_buffer_fini(&body);
}

static void answers_end_at_their_size_limit(void **state)
{
    enum {
        LONG = 3 << 20
    };
    char *letters = kv_test_letters('x', LONG), *value = malloc(LONG + 3);
    struct kv_buffer body = {0};
    sprintf(value, "\"%s\"", letters);
    kv_test_store(kv_test_port(state), "b/long", value);
    for (int i = 0; i < 8; i++)
        kv_buffer_printf(&body, "%s{\"type\":\"get\",\"payload\":{\"key\":\"b/long\"}}",
                         i == 0 ? "[" : ",");
    kv_buffer_printf(&body, ",{\"type\":\"merge\",\"payload\":{\"key\":\"b/long\",\"patch\":1}},"
                            "{\"type\":\"increment\",\"payload\":{\"key\":\"b/after\"}}]");
    kv_test_http_exchange(&stream, "POST", KV_SLICE("/batch"), NULL, kv_buffer_slice(&body),
                          &response);
    assert_int_equal(response.status, 200);
    assert_in_range(response.body.len, 18 << 20, 19 << 20);
    kv_buffer_append_char(&response.body, '\0');
    const char *end = response.body.bytes + (18 << 20);
    kv_test_expect_part(end, "{\"type\":\"error\",\"payload\":\"the answers before this one have "
                             "16 MiB: ask for it in another batch\"}");
    kv_test_expect_value(kv_test_port(state), "b/long", value);
    kv_test_expect_value(kv_test_port(state), "b/after", "1");
    kv_buffer_fini(&body);
    free(letters);
    free(value);
}

static void a_long_batch_is_read_whole_before_it_takes_effect(void **state)
{
    char *letters = kv_test_letters('x', 400000);
    struct kv_buffer body = {0};
    kv_buffer_printf(&body,
                     "[{\"type\":\"set\",\"payload\":{\"key\":\"b/\\u0077hole\",\"value\":\"%s\"}},"
                     "{\"type\":\"get\",\"payload\":{\"key\":\"b/none\"}}",
                     letters);
    kv_test_http_exchange(&stream, "POST", KV_SLICE("/batch"), NULL, kv_buffer_slice(&body),
                          &response);
    assert_int_equal(response.status, 400);
    kv_test_expect_missing(kv_test_port(state), "b/whole");
    kv_buffer_append_char(&body, ']');
    kv_test_http_exchange(&stream, "POST", KV_SLICE("/batch"), NULL, kv_buffer_slice(&body),
                          &response);
    assert_int_equal(response.status, 200);
    assert_true(kv_slice_equals(
        kv_buffer_slice(&response.body),
        KV_SLICE("[null,{\"type\":\"no-value\",\"payload\":{\"key\":\"b/none\"}}]")));
    assert_int_equal(kv_test_http_ask(&stream, "GET", "/storage/b/whole", NULL, NULL, &response),
                     200);
    assert_int_equal(response.body.len, 400000 + 12);
    kv_buffer_fini(&body);
    free(letters);
}

static void a_client_that_leaves_is_harmless(void **state)
{
    struct kv_buffer body = {0}, request = {0};
    append_sets(&body, 5000, "3");
    for (int i = 0; i < 20; i++) {
        struct kv_test_stream other;
        request.len = 0;
        kv_test_http_write(&request, "POST", KV_SLICE("/batch"), NULL, kv_buffer_slice(&body));
        kv_test_stream_open(&other, kv_test_port(state));
        kv_test_stream_put(&other, kv_buffer_slice(&request));
        kv_test_stream_flush(&other);
        kv_test_stream_close(&other);
    }
    expect("[]", 200, "[]");
    kv_buffer_fini(&body);
    kv_buffer_fini(&request);
}

static void pages_may_send_batches_if_they_may_write(void **state)
{
    (void)state;
    assert_int_equal(kv_test_http_ask(&stream, "POST", "/batch", "Origin: https://evil.example\r\n",
                                      "[]", &response),
                     403);
    assert_int_equal(kv_test_http_ask(&stream, "POST", "/batch", "Origin: http://localhost:1\r\n",
                                      "[]", &response),
                     200);
    assert_int_equal(kv_test_http_ask(&stream, "GET", "/batch", NULL, NULL, &response), 405);
    assert_string_equal(kv_test_response_header(&response, "allow"), "POST, OPTIONS");
}

#define BATCH_TEST(name) cmocka_unit_test_setup_teardown(name, open_stream, close_stream)

int main(void)
{
    const struct CMUnitTest tests[] = {
        BATCH_TEST(messages_take_effect_and_are_answered_in_order),
        BATCH_TEST(an_empty_batch_has_no_answers),
        BATCH_TEST(all_kinds_of_messages_except_subscriptions_are_accepted),
        BATCH_TEST(a_failed_message_does_not_affect_the_others),
        BATCH_TEST(a_body_that_is_not_an_array_has_no_effect),
        BATCH_TEST(at_most_ten_thousand_messages_are_accepted),
        BATCH_TEST(answers_end_at_their_size_limit),
        BATCH_TEST(a_long_batch_is_read_whole_before_it_takes_effect),
        BATCH_TEST(a_client_that_leaves_is_harmless),
        BATCH_TEST(pages_may_send_batches_if_they_may_write),
    };
    return cmocka_run_group_tests(tests, kv_test_group_start, kv_test_group_stop);
}
