/*
 * Messages: every resulting slice is within the text or the scratch buffer and has the claimed
 * type; every error has a text.
 */
#include <kvserver/store.h>
#include <kvserver/ttl.h>

#include "fuzz.h"
#include "wire/json.h"
#include "wire/message.h"
#include "base/utf8.h"

enum {
    DEPTH = 64
};

static bool lies_within(struct kv_slice part, struct kv_slice whole)
{
    return part.bytes >= whole.bytes && part.bytes + part.len <= whole.bytes + whole.len;
}

static void check_value(struct kv_slice value, struct kv_slice text)
{
    struct kv_slice again;
    struct kv_json_error error;
    assert(lies_within(value, text));
    assert(kv_json_check(value, DEPTH, &again, &error) == 0);
    assert(again.bytes == value.bytes && again.len == value.len);
}

static void check_options(const struct kv_message *message, struct kv_slice text)
{
    bool is_subscription =
        message->type == KV_MESSAGE_SUBSCRIBE || message->type == KV_MESSAGE_UNSUBSCRIBE;
    assert(!message->is_prefix || is_subscription);
    assert(!message->while_connected || message->ttl_ms >= KV_LEASE_LEAST_MS);
    assert(message->since <= KV_REVISION_MAX && message->by != INT64_MIN);
    if (!message->has_since)
        return;
    check_value(message->epoch, text);
    assert(message->epoch.bytes[0] == '"');
}

static void check_message(const struct kv_message *message, struct kv_slice text,
                          const struct kv_buffer *scratch)
{
    bool has_value = message->type == KV_MESSAGE_SET || message->type == KV_MESSAGE_MERGE;
    if (message->type != KV_MESSAGE_HELLO && message->type != KV_MESSAGE_AUTH)
        assert(lies_within(message->key, scratch->len > 0 ? kv_buffer_slice(scratch) : text));
    assert(kv_utf8_is_valid(message->key));
    assert(has_value == (message->value.len > 0));
    if (has_value)
        check_value(message->value, text);
    assert(message->ttl_ms >= 0 && message->ttl_ms <= KV_TTL_MAX_MS);
    assert(message->has_ttl || message->ttl_ms == 0);
    assert(message->if_revision <= KV_REVISION_MAX);
    check_options(message, text);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct kv_slice text = fuzz_slice(bytes, len);
    struct kv_buffer scratch = {0};
    struct kv_message message;
    struct kv_error error = {.text = ""};
    const struct kv_message_limits limits = {.max_depth = DEPTH, .max_key_bytes = 100};
    if (kv_message_parse(text, &limits, &scratch, &message, &error) == 0)
        check_message(&message, text, &scratch);
    else
        assert(error.text[0] != '\0' && kv_utf8_is_valid(kv_slice_of(error.text)));
    if (message.id.len > 0)
        check_value(message.id, text);
    kv_buffer_fini(&scratch);
    return 0;
}
