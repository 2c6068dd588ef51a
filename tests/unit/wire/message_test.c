/* Messages: the members that each type needs, and the text of errors. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "wire/json.h"
#include "wire/message.h"

/* Each test parses into these. */
static struct kv_buffer scratch;
static struct kv_message message;
static struct kv_error error;

enum {
    MAX_KEY = 100
};

static int parse_slice(struct kv_slice text, uint32_t max_depth)
{
    const struct kv_message_limits limits = {.max_depth = max_depth, .max_key_bytes = MAX_KEY};
    return kv_message_parse(text, &limits, &scratch, &message, &error);
}

static int read_text(const char *text)
{
    return parse_slice(kv_slice_of(text), 1024);
}

static void assert_read(const char *text, enum kv_message_type type)
{
    if (read_text(text) != 0)
        fail_msg("%s: %s", text, error.text);
    assert_int_equal(message.type, type);
}

static void assert_refused(const char *text, const char *expected)
{
    if (read_text(text) == 0)
        fail_msg("%s was accepted", text);
    assert_string_equal(error.text, expected);
}

static void assert_slice(struct kv_slice slice, struct kv_slice expected)
{
    if (!kv_slice_equals(slice, expected))
        fail_msg("%.*s instead of %.*s", (int)slice.len, slice.bytes, (int)expected.len,
                 expected.bytes);
}

static void every_type_has_its_name(void **state)
{
    (void)state;
    assert_read("{\"type\":\"get\",\"payload\":{\"key\":\"k\"}}", KV_MESSAGE_GET);
    assert_read("{\"type\":\"set\",\"payload\":{\"key\":\"k\",\"value\":1}}", KV_MESSAGE_SET);
    assert_read("{\"type\":\"delete\",\"payload\":{\"key\":\"k\"}}", KV_MESSAGE_DELETE);
    assert_read("{\"type\":\"subscribe\",\"payload\":{\"key\":\"k\"}}", KV_MESSAGE_SUBSCRIBE);
    assert_read("{\"type\":\"unsubscribe\",\"payload\":{\"key\":\"k\"}}", KV_MESSAGE_UNSUBSCRIBE);
    assert_read("{\"type\":\"touch\",\"payload\":{\"key\":\"k\",\"ttl\":1}}", KV_MESSAGE_TOUCH);
    assert_read("{\"type\":\"increment\",\"payload\":{\"key\":\"k\"}}", KV_MESSAGE_INCREMENT);
    assert_read("{\"type\":\"merge\",\"payload\":{\"key\":\"k\",\"patch\":{}}}", KV_MESSAGE_MERGE);
    assert_read("{\"type\":\"hello\"}", KV_MESSAGE_HELLO);
    assert_read("{\"payload\":{\"key\":\"k\"},\"ty\\u0070e\":\"g\\u0065t\"}", KV_MESSAGE_GET);
}

static void a_set_has_its_key_value_and_ttl(void **state)
{
    (void)state;
    assert_read(
        "{\"type\":\"set\",\"payload\":{\"key\":\"k\",\"value\": {\"a\" : 1.0} ,\"ttl\":\"1h\"}}",
        KV_MESSAGE_SET);
    assert_slice(message.key, KV_SLICE("k"));
    assert_slice(message.value, KV_SLICE("{\"a\" : 1.0}"));
    assert_true(message.has_ttl);
    assert_int_equal(message.ttl_ms, 3600000);
    assert_int_equal(message.id.len, 0);
    assert_int_equal(message.if_revision, 0);
    assert_false(message.if_absent);
}

static void a_ttl_of_zero_is_distinguished_from_none(void **state)
{
    (void)state;
    assert_read("{\"type\":\"set\",\"payload\":{\"key\":\"k\",\"value\":1,\"ttl\":0}}",
                KV_MESSAGE_SET);
    assert_true(message.has_ttl);
    assert_int_equal(message.ttl_ms, 0);
    assert_read("{\"type\":\"set\",\"payload\":{\"key\":\"k\",\"value\":1}}", KV_MESSAGE_SET);
    assert_false(message.has_ttl);
    assert_int_equal(message.ttl_ms, 0);
}

static void a_value_may_be_null(void **state)
{
    (void)state;
    assert_read("{\"type\":\"set\",\"payload\":{\"key\":\"k\",\"value\":null}}", KV_MESSAGE_SET);
    assert_slice(message.value, KV_SLICE("null"));
}

static void a_value_keeps_its_lone_surrogates(void **state)
{
    (void)state;
    assert_read("{\"type\":\"set\",\"payload\":{\"key\":\"k\",\"value\":\"\\ud800\"}}",
                KV_MESSAGE_SET);
    assert_slice(message.value, KV_SLICE("\"\\ud800\""));
}

static void a_plain_key_points_into_the_text(void **state)
{
    static const char text[] = "{\"type\":\"get\",\"payload\":{\"key\":\"k\xc3\xa4\"}}";
    (void)state;
    assert_read(text, KV_MESSAGE_GET);
    assert_ptr_equal(message.key.bytes, text + 32);
    assert_slice(message.key, KV_SLICE("k\xc3\xa4"));
}

static void an_escaped_key_is_decoded_into_the_scratch(void **state)
{
    (void)state;
    assert_read("{\"type\":\"get\",\"payload\":{\"key\":\"a\\u0000\\ud83d\\ude00\\/\"}}",
                KV_MESSAGE_GET);
    assert_slice(message.key, KV_SLICE("a\0\xf0\x9f\x98\x80/"));
    assert_ptr_equal(message.key.bytes, scratch.bytes);
    assert_read("{\"type\":\"get\",\"payload\":{\"key\":\"\\n\"}}", KV_MESSAGE_GET);
    assert_slice(message.key, KV_SLICE("\n"));
}

static void the_empty_key_is_valid(void **state)
{
    (void)state;
    assert_read("{\"type\":\"get\",\"payload\":{\"key\":\"\"}}", KV_MESSAGE_GET);
    assert_int_equal(message.key.len, 0);
}

static void an_id_is_kept_as_sent(void **state)
{
    (void)state;
    assert_read("{\"id\":1.50e1,\"type\":\"get\",\"payload\":{\"key\":\"k\"}}", KV_MESSAGE_GET);
    assert_slice(message.id, KV_SLICE("1.50e1"));
    assert_read("{\"id\": \"\\u0041\" ,\"type\":\"get\",\"payload\":{\"key\":\"k\"}}",
                KV_MESSAGE_GET);
    assert_slice(message.id, KV_SLICE("\"\\u0041\""));
}

static void an_error_has_the_id(void **state)
{
    (void)state;
    assert_refused("{\"payload\":{},\"id\":7,\"type\":\"get\"}", "payload: \"key\" is missing");
    assert_slice(message.id, KV_SLICE("7"));
    assert_refused("{\"id\":\"x\"}", "\"type\" is missing");
    assert_slice(message.id, KV_SLICE("\"x\""));
    assert_refused("{\"type\":\"get\",\"id\"", "bad JSON at byte 18: ':' is expected");
    assert_int_equal(message.id.len, 0);
}

static void an_error_has_an_id_that_precedes_malformed_json(void **state)
{
    (void)state;
    assert_int_equal(read_text("{\"id\":9,\"type\":\"get\",\"payload\":{\"key\":\"k\"},}"), -1);
    assert_slice(message.id, KV_SLICE("9"));
}

static void an_id_of_another_type_is_refused(void **state)
{
    static const char *const texts[] = {
        "{\"id\":null,\"type\":\"get\",\"payload\":{\"key\":\"k\"}}",
        "{\"id\":true,\"type\":\"get\",\"payload\":{\"key\":\"k\"}}",
        "{\"id\":[],\"type\":\"get\",\"payload\":{\"key\":\"k\"}}",
        "{\"id\":{},\"type\":\"get\",\"payload\":{\"key\":\"k\"}}",
    };
    (void)state;
    for (size_t i = 0; i < 4; i++) {
        assert_refused(texts[i], "\"id\" must be a string or a number");
        assert_int_equal(message.id.len, 0);
    }
}

static void a_text_that_is_not_an_object_is_refused(void **state)
{
    (void)state;
    assert_refused(
        "[]",
        "the message must be {\"type\": \xe2\x80\xa6, \"payload\": \xe2\x80\xa6}, not an array");
    assert_refused(
        " \"get\"",
        "the message must be {\"type\": \xe2\x80\xa6, \"payload\": \xe2\x80\xa6}, not a string");
    assert_refused("", "bad JSON at byte 0: the text ends where a value is expected");
    assert_refused("{\"type\":\"get\" \"payload\"", "bad JSON at byte 14: ',' or '}' is expected");
    assert_refused("\xef\xbb\xbf{}", "bad JSON at byte 0: a byte order mark is not allowed");
}

static void a_type_must_be_a_known_string(void **state)
{
    (void)state;
    assert_refused("{\"payload\":{\"key\":\"k\"}}", "\"type\" is missing");
    assert_refused("{\"type\":1,\"payload\":{\"key\":\"k\"}}", "\"type\" is not a string");
    assert_refused("{\"type\":\"foo\",\"payload\":{\"key\":\"k\"}}", "unknown type \"foo\"");
    assert_refused("{\"type\":\"GET\",\"payload\":{\"key\":\"k\"}}", "unknown type \"GET\"");
    assert_refused("{\"type\":\"\",\"payload\":{\"key\":\"k\"}}", "unknown type \"\"");
}

static void a_payload_must_be_an_object_with_a_key(void **state)
{
    (void)state;
    assert_refused("{\"type\":\"get\"}", "\"payload\" is missing");
    assert_refused("{\"type\":\"get\",\"payload\":\"k\"}",
                   "\"payload\" must be an object, not a string");
    assert_refused("{\"type\":\"get\",\"payload\":null}",
                   "\"payload\" must be an object, not null");
    assert_refused("{\"type\":\"get\",\"payload\":{}}", "payload: \"key\" is missing");
    assert_refused("{\"type\":\"get\",\"payload\":{\"key\":1}}",
                   "payload: \"key\" is not a string");
    assert_refused("{\"type\":\"get\",\"payload\":{\"key\":\"\\ud800\"}}",
                   "payload: \"key\" has a lone surrogate");
}

static void a_set_needs_a_value_and_a_valid_ttl(void **state)
{
    (void)state;
    assert_refused("{\"type\":\"set\",\"payload\":{\"key\":\"k\"}}",
                   "payload: \"value\" is missing");
    assert_refused("{\"type\":\"set\",\"payload\":{\"key\":\"k\",\"value\":1,\"ttl\":null}}",
                   "ttl: null is neither a number nor a string");
    assert_refused("{\"type\":\"set\",\"payload\":{\"key\":\"k\",\"value\":1,\"ttl\":-1}}",
                   "ttl: -1 is negative");
}

static void a_revision_may_be_any_spelling_of_a_positive_integer(void **state)
{
    static const struct {
        const char *text;
        uint64_t revision;
    } spellings[] = {
        {"{\"type\":\"delete\",\"payload\":{\"key\":\"k\",\"if_revision\":1}}", 1},
        {"{\"type\":\"delete\",\"payload\":{\"key\":\"k\",\"if_revision\":1.0}}", 1},
        {"{\"type\":\"delete\",\"payload\":{\"key\":\"k\",\"if_revision\":12e2}}", 1200},
        {"{\"type\":\"delete\",\"payload\":{\"key\":\"k\",\"if_revision\":9007199254740991}}",
         UINT64_C(9007199254740991)},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(spellings) / sizeof(spellings[0]); i++) {
        assert_read(spellings[i].text, KV_MESSAGE_DELETE);
        assert_int_equal(message.if_revision, spellings[i].revision);
    }
}

static void malformed_revisions_are_refused(void **state)
{
    static const char *const numbers[] = {"0", "-1", "1.5", "9007199254740992", "1e400", "1e-1"};
    (void)state;
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        char text[128], expected[128];
        snprintf(text, sizeof(text),
                 "{\"type\":\"delete\",\"payload\":{\"key\":\"k\",\"if_revision\":%s}}",
                 numbers[i]);
        snprintf(expected, sizeof(expected), "payload: \"if_revision\" is no revision: %s",
                 numbers[i]);
        assert_refused(text, expected);
    }
    assert_refused(
        "{\"type\":\"set\",\"payload\":{\"key\":\"k\",\"value\":1,\"if_revision\":\"1\"}}",
        "payload: \"if_revision\" is not a number");
}

static void a_set_takes_conditions(void **state)
{
    (void)state;
    assert_read("{\"type\":\"set\",\"payload\":{\"key\":\"k\",\"value\":1,\"if_absent\":true}}",
                KV_MESSAGE_SET);
    assert_true(message.if_absent);
    assert_read("{\"type\":\"set\",\"payload\":{\"key\":\"k\",\"value\":1,\"if_absent\":false,"
                "\"if_revision\":5}}",
                KV_MESSAGE_SET);
    assert_false(message.if_absent);
    assert_int_equal(message.if_revision, 5);
    assert_refused("{\"type\":\"set\",\"payload\":{\"key\":\"k\",\"value\":1,\"if_absent\":1}}",
                   "payload: \"if_absent\" is neither true nor false");
}

static void a_subscription_is_for_a_key_or_a_prefix(void **state)
{
    (void)state;
    assert_read("{\"type\":\"subscribe\",\"payload\":{\"key\":\"k\"}}", KV_MESSAGE_SUBSCRIBE);
    assert_false(message.is_prefix);
    assert_read("{\"type\":\"subscribe\",\"payload\":{\"prefix\":\"r\\u006f/\"}}",
                KV_MESSAGE_SUBSCRIBE);
    assert_true(message.is_prefix);
    assert_slice(message.key, KV_SLICE("ro/"));
    assert_read("{\"type\":\"unsubscribe\",\"payload\":{\"prefix\":\"\"}}", KV_MESSAGE_UNSUBSCRIBE);
    assert_true(message.is_prefix);
    assert_int_equal(message.key.len, 0);
    assert_refused("{\"type\":\"subscribe\",\"payload\":{\"prefix\":\"a\",\"key\":\"a\"}}",
                   "payload: \"key\" and \"prefix\" exclude each other");
    assert_refused("{\"type\":\"unsubscribe\",\"payload\":{\"key\":1,\"prefix\":\"a\"}}",
                   "payload: \"key\" and \"prefix\" exclude each other");
    assert_refused("{\"type\":\"subscribe\",\"payload\":{}}",
                   "payload: \"key\" or \"prefix\" is missing");
    assert_refused("{\"type\":\"subscribe\",\"payload\":{\"prefix\":1}}",
                   "payload: \"prefix\" is not a string");
    assert_refused("{\"type\":\"subscribe\",\"payload\":{\"prefix\":\"\\ud800\"}}",
                   "payload: \"prefix\" has a lone surrogate");
}

static void a_prefix_is_ignored_in_other_types(void **state)
{
    (void)state;
    assert_read("{\"type\":\"get\",\"payload\":{\"key\":\"k\",\"prefix\":1}}", KV_MESSAGE_GET);
    assert_false(message.is_prefix);
    assert_refused("{\"type\":\"get\",\"payload\":{\"prefix\":\"k\"}}",
                   "payload: \"key\" is missing");
}

static void a_subscription_has_options(void **state)
{
    (void)state;
    assert_read("{\"type\":\"subscribe\",\"payload\":{\"key\":\"k\"}}", KV_MESSAGE_SUBSCRIBE);
    assert_false(message.initial || message.meta || message.has_since);
    assert_read(
        "{\"type\":\"subscribe\",\"payload\":{\"key\":\"k\",\"initial\":true,\"meta\":true}}",
        KV_MESSAGE_SUBSCRIBE);
    assert_true(message.initial && message.meta);
    assert_read(
        "{\"type\":\"subscribe\",\"payload\":{\"key\":\"k\",\"initial\":false,\"meta\":false}}",
        KV_MESSAGE_SUBSCRIBE);
    assert_false(message.initial || message.meta);
    assert_refused("{\"type\":\"subscribe\",\"payload\":{\"key\":\"k\",\"initial\":1}}",
                   "payload: \"initial\" is neither true nor false");
    assert_refused("{\"type\":\"subscribe\",\"payload\":{\"key\":\"k\",\"meta\":null}}",
                   "payload: \"meta\" is neither true nor false");
}

static void a_subscription_continues_after_a_revision_of_an_epoch(void **state)
{
    (void)state;
    assert_read("{\"type\":\"subscribe\",\"payload\":{\"prefix\":\"p\",\"since\":12,\"epoch\":"
                "\"ab\\u0063\"}}",
                KV_MESSAGE_SUBSCRIBE);
    assert_true(message.has_since);
    assert_int_equal(message.since, 12);
    assert_slice(message.epoch, KV_SLICE("\"ab\\u0063\""));
    assert_read("{\"type\":\"subscribe\",\"payload\":{\"key\":\"k\",\"since\":0,\"epoch\":\"e\"}}",
                KV_MESSAGE_SUBSCRIBE);
    assert_true(message.has_since);
    assert_int_equal(message.since, 0);
    assert_read("{\"type\":\"subscribe\",\"payload\":{\"key\":\"k\",\"epoch\":7}}",
                KV_MESSAGE_SUBSCRIBE);
    assert_false(message.has_since);
}

static void malformed_since_and_epoch_are_refused(void **state)
{
    (void)state;
    assert_refused("{\"type\":\"subscribe\",\"payload\":{\"key\":\"k\",\"since\":1}}",
                   "payload: \"since\" needs the \"epoch\" of that revision");
    assert_refused("{\"type\":\"subscribe\",\"payload\":{\"key\":\"k\",\"since\":1,\"epoch\":1}}",
                   "payload: \"epoch\" is not a string");
    assert_refused(
        "{\"type\":\"subscribe\",\"payload\":{\"key\":\"k\",\"since\":\"1\",\"epoch\":\"e\"}}",
        "payload: \"since\" is not a number");
    assert_refused(
        "{\"type\":\"subscribe\",\"payload\":{\"key\":\"k\",\"since\":-1,\"epoch\":\"e\"}}",
        "payload: \"since\" is no revision: -1");
    assert_refused(
        "{\"type\":\"subscribe\",\"payload\":{\"key\":\"k\",\"since\":1.5,\"epoch\":\"e\"}}",
        "payload: \"since\" is no revision: 1.5");
    assert_refused("{\"type\":\"subscribe\",\"payload\":{\"key\":\"k\",\"since\":9007199254740992,"
                   "\"epoch\":\"e\"}}",
                   "payload: \"since\" is no revision: 9007199254740992");
}

static void a_get_may_ask_for_meta(void **state)
{
    (void)state;
    assert_read("{\"type\":\"get\",\"payload\":{\"key\":\"k\",\"meta\":true}}", KV_MESSAGE_GET);
    assert_true(message.meta);
    assert_refused("{\"type\":\"get\",\"payload\":{\"key\":\"k\",\"meta\":\"yes\"}}",
                   "payload: \"meta\" is neither true nor false");
}

static void a_lease_has_a_ttl_of_five_seconds_or_more(void **state)
{
    (void)state;
    assert_read("{\"type\":\"set\",\"payload\":{\"key\":\"k\",\"value\":1,\"ttl\":\"5s\",\"while_"
                "connected\":true}}",
                KV_MESSAGE_SET);
    assert_true(message.while_connected);
    assert_read("{\"type\":\"set\",\"payload\":{\"key\":\"k\",\"value\":1,\"ttl\":1,\"while_"
                "connected\":false}}",
                KV_MESSAGE_SET);
    assert_false(message.while_connected);
    static const char *const too_short[] = {
        "{\"type\":\"set\",\"payload\":{\"key\":\"k\",\"value\":1,\"ttl\":4999,\"while_connected\":"
        "true}}",
        "{\"type\":\"set\",\"payload\":{\"key\":\"k\",\"value\":1,\"ttl\":0,\"while_connected\":"
        "true}}",
        "{\"type\":\"set\",\"payload\":{\"key\":\"k\",\"value\":1,\"while_connected\":true}}",
    };
    for (size_t i = 0; i < sizeof(too_short) / sizeof(too_short[0]); i++)
        assert_refused(too_short[i],
                       "payload: \"while_connected\" needs a \"ttl\" of at least 5 s");
    assert_refused(
        "{\"type\":\"set\",\"payload\":{\"key\":\"k\",\"value\":1,\"while_connected\":1}}",
        "payload: \"while_connected\" is neither true nor false");
}

static void a_touch_needs_a_ttl(void **state)
{
    (void)state;
    assert_read("{\"type\":\"touch\",\"payload\":{\"key\":\"k\",\"ttl\":0}}", KV_MESSAGE_TOUCH);
    assert_true(message.has_ttl);
    assert_read("{\"type\":\"touch\",\"payload\":{\"key\":\"k\",\"ttl\":\"2s\"}}",
                KV_MESSAGE_TOUCH);
    assert_int_equal(message.ttl_ms, 2000);
    assert_refused("{\"type\":\"touch\",\"payload\":{\"key\":\"k\"}}",
                   "payload: \"ttl\" is missing");
    assert_refused("{\"type\":\"touch\",\"payload\":{\"key\":\"k\",\"ttl\":-1}}",
                   "ttl: -1 is negative");
}

static void an_increment_is_by_an_integer(void **state)
{
    (void)state;
    assert_read("{\"type\":\"increment\",\"payload\":{\"key\":\"k\"}}", KV_MESSAGE_INCREMENT);
    assert_int_equal(message.by, 1);
    assert_false(message.has_ttl);
    assert_read("{\"type\":\"increment\",\"payload\":{\"key\":\"k\",\"by\":-9223372036854775807,"
                "\"ttl\":\"1s\"}}",
                KV_MESSAGE_INCREMENT);
    assert_int_equal(message.by, -INT64_MAX);
    assert_int_equal(message.ttl_ms, 1000);
    assert_refused("{\"type\":\"increment\",\"payload\":{\"key\":\"k\",\"by\":1.0}}",
                   "payload: \"by\" must be an integer between -2^63+1 and 2^63-1, not 1.0");
    assert_refused(
        "{\"type\":\"increment\",\"payload\":{\"key\":\"k\",\"by\":9223372036854775808}}",
        "payload: \"by\" must be an integer between -2^63+1 and 2^63-1, not "
        "9223372036854775808");
    assert_refused("{\"type\":\"increment\",\"payload\":{\"key\":\"k\",\"by\":null}}",
                   "payload: \"by\" must be an integer between -2^63+1 and 2^63-1, not null");
}

static void a_merge_has_a_patch_of_any_type(void **state)
{
    (void)state;
    assert_read("{\"type\":\"merge\",\"payload\":{\"key\":\"k\",\"patch\": {\"a\":null} }}",
                KV_MESSAGE_MERGE);
    assert_slice(message.value, KV_SLICE("{\"a\":null}"));
    assert_read("{\"type\":\"merge\",\"payload\":{\"key\":\"k\",\"patch\":3}}", KV_MESSAGE_MERGE);
    assert_slice(message.value, KV_SLICE("3"));
    assert_refused("{\"type\":\"merge\",\"payload\":{\"key\":\"k\",\"value\":{}}}",
                   "payload: \"patch\" is missing");
}

static void a_hello_needs_no_payload(void **state)
{
    (void)state;
    assert_read("{\"type\":\"hello\",\"id\":1,\"payload\":[]}", KV_MESSAGE_HELLO);
    assert_slice(message.id, KV_SLICE("1"));
    assert_int_equal(message.key.len, 0);
}

static void irrelevant_members_are_ignored(void **state)
{
    (void)state;
    assert_read("{\"type\":\"get\",\"x\":[{}],\"payload\":{\"key\":\"k\",\"ttl\":\"soon\","
                "\"if_revision\":null,\"if_absent\":3,\"value\":1,\"y\":{\"key\":1}}}",
                KV_MESSAGE_GET);
    assert_int_equal(message.value.len, 0);
    assert_false(message.has_ttl);
    assert_read("{\"type\":\"delete\",\"payload\":{\"key\":\"k\",\"if_absent\":3}}",
                KV_MESSAGE_DELETE);
}

static void the_last_of_duplicate_members_counts(void **state)
{
    (void)state;
    assert_read("{\"type\":\"set\",\"type\":\"get\",\"payload\":{\"key\":\"a\"},"
                "\"payload\":{\"key\":1,\"key\":\"b\"}}",
                KV_MESSAGE_GET);
    assert_slice(message.key, KV_SLICE("b"));
    assert_refused("{\"type\":\"get\",\"payload\":{\"key\":\"a\"},\"payload\":{}}",
                   "payload: \"key\" is missing");
}

static void nesting_deeper_than_the_limit_is_refused(void **state)
{
    (void)state;
    struct kv_slice text =
        KV_SLICE("{\"type\":\"set\",\"payload\":{\"key\":\"k\",\"value\":[[1]]}}");
    assert_int_equal(parse_slice(text, 4), 0);
    assert_int_equal(parse_slice(text, 3), -1);
    assert_string_equal(error.text, "bad JSON at byte 44: the nesting is too deep");
}

/* "<name>":"<n times text>" */
static void append_member(struct kv_buffer *out, const char *name, const char *text, size_t n)
{
    kv_buffer_printf(out, "\"%s\":\"", name);
    while (n-- > 0)
        kv_buffer_printf(out, "%s", text);
    kv_buffer_append_char(out, '"');
}

static void an_id_beyond_the_limit_is_refused_and_not_returned(void **state)
{
    (void)state;
    struct kv_buffer text = {0};
    kv_buffer_printf(&text, "{\"type\":\"get\",\"payload\":{\"key\":\"k\"},");
    append_member(&text, "id", "i", MAX_KEY - 1);
    kv_buffer_append_char(&text, '}');
    assert_int_equal(parse_slice(kv_buffer_slice(&text), 8), -1);
    assert_string_equal(error.text, "\"id\" has 101 bytes, the limit is 100");
    assert_int_equal(message.id.len, 0);
    kv_buffer_fini(&text);
}

static void an_escaped_key_far_beyond_the_limit_is_refused_undecoded(void **state)
{
    (void)state;
    struct kv_buffer text = {0};
    kv_buffer_printf(&text, "{\"type\":\"get\",\"id\":1,\"payload\":{");
    append_member(&text, "key", "\\u0041", 50000);
    kv_buffer_printf(&text, "}}");
    kv_buffer_fini(&scratch);
    assert_int_equal(parse_slice(kv_buffer_slice(&text), 8), -1);
    assert_string_equal(error.text, "payload: \"key\" has more than 100 bytes, the limit");
    assert_int_equal(message.id.len, 1);
    assert_int_equal(scratch.capacity, 0);
    kv_buffer_fini(&text);
}

static int empty_scratch(void **state)
{
    (void)state;
    kv_buffer_fini(&scratch);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_type_has_its_name),
        cmocka_unit_test(a_set_has_its_key_value_and_ttl),
        cmocka_unit_test(a_ttl_of_zero_is_distinguished_from_none),
        cmocka_unit_test(a_value_may_be_null),
        cmocka_unit_test(a_value_keeps_its_lone_surrogates),
        cmocka_unit_test(a_plain_key_points_into_the_text),
        cmocka_unit_test(an_escaped_key_is_decoded_into_the_scratch),
        cmocka_unit_test(the_empty_key_is_valid),
        cmocka_unit_test(an_id_is_kept_as_sent),
        cmocka_unit_test(an_error_has_the_id),
        cmocka_unit_test(an_error_has_an_id_that_precedes_malformed_json),
        cmocka_unit_test(an_id_of_another_type_is_refused),
        cmocka_unit_test(a_text_that_is_not_an_object_is_refused),
        cmocka_unit_test(a_type_must_be_a_known_string),
        cmocka_unit_test(a_payload_must_be_an_object_with_a_key),
        cmocka_unit_test(a_set_needs_a_value_and_a_valid_ttl),
        cmocka_unit_test(a_revision_may_be_any_spelling_of_a_positive_integer),
        cmocka_unit_test(malformed_revisions_are_refused),
        cmocka_unit_test(a_set_takes_conditions),
        cmocka_unit_test(a_subscription_is_for_a_key_or_a_prefix),
        cmocka_unit_test(a_prefix_is_ignored_in_other_types),
        cmocka_unit_test(a_subscription_has_options),
        cmocka_unit_test(a_subscription_continues_after_a_revision_of_an_epoch),
        cmocka_unit_test(malformed_since_and_epoch_are_refused),
        cmocka_unit_test(a_get_may_ask_for_meta),
        cmocka_unit_test(a_lease_has_a_ttl_of_five_seconds_or_more),
        cmocka_unit_test(a_touch_needs_a_ttl),
        cmocka_unit_test(an_increment_is_by_an_integer),
        cmocka_unit_test(a_merge_has_a_patch_of_any_type),
        cmocka_unit_test(a_hello_needs_no_payload),
        cmocka_unit_test(irrelevant_members_are_ignored),
        cmocka_unit_test(the_last_of_duplicate_members_counts),
        cmocka_unit_test(nesting_deeper_than_the_limit_is_refused),
        cmocka_unit_test(an_id_beyond_the_limit_is_refused_and_not_returned),
        cmocka_unit_test(an_escaped_key_far_beyond_the_limit_is_refused_undecoded),
    };
    return cmocka_run_group_tests(tests, NULL, empty_scratch);
}
