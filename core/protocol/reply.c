#include "protocol/reply.h"

#include "protocol/outcome.h"
#include "wire/json_string.h"
#include "wire/state_text.h"

enum {
    ENVELOPE = 64 /* more than the rest of a message besides type and id */
};

void kv_reply_begin(struct kv_buffer *out, struct kv_slice type, struct kv_slice id)
{
    char *at = kv_buffer_reserve(out, ENVELOPE + type.len + id.len);
    at = kv_put(kv_put(at, KV_SLICE("{\"type\":\"")), type);
    if (id.len != 0)
        at = kv_put(kv_put(at, KV_SLICE("\",\"id\":")), id);
    else
        at = kv_put(at, KV_SLICE("\""));
    at = kv_put(at, KV_SLICE(",\"payload\":"));
    out->len = (size_t)(at - out->bytes);
}

static void append_status(struct kv_buffer *out, int status)
{
    kv_buffer_append(out, KV_SLICE(",\"status\":"));
    kv_buffer_append_u64(out, (uint64_t)status);
}

void kv_reply_write_error(struct kv_buffer *out, struct kv_slice id, int status, const char *text)
{
    kv_reply_begin(out, KV_SLICE("error"), id);
    kv_json_append_string(out, kv_slice_of(text));
    if (id.len != 0)
        append_status(out, status);
    kv_buffer_append_char(out, '}');
}

static enum kv_reply end(struct kv_buffer *out)
{
    kv_buffer_append(out, KV_REPLY_END);
    return KV_REPLY_TEXT;
}

static struct kv_state_meta meta_of(const struct kv_command *command)
{
    struct kv_keyspace *keyspace = kv_keyspace_of(command->home);
    struct kv_state_meta meta = {.revision = command->item.revision,
                                 .epoch = kv_slice_of(kv_keyspace_epoch(keyspace))};
    if (meta.revision != 0)
        meta.ttl_ms = kv_keyspace_ttl_left_ms(keyspace, command->item.deadline_ms);
    return meta;
}

/* An item with revision 0 means that there is none. */
static enum kv_reply write_state(struct kv_buffer *out, const struct kv_command *command,
                                 struct kv_slice *ret_value)
{
    bool has_value = command->item.revision != 0;
    kv_reply_begin(out, has_value ? KV_SLICE("value") : KV_SLICE("no-value"), command->note);
    if (command->wants_meta) {
        const struct kv_state_meta meta = meta_of(command);
        kv_state_text_begin(out, command->key, &meta, has_value);
    } else {
        kv_state_text_begin(out, command->key, NULL, has_value);
    }
    if (!has_value)
        return end(out);
    *ret_value = command->item.value;
    return KV_REPLY_VALUE;
}

static void begin_with_key(struct kv_buffer *out, struct kv_slice type,
                           const struct kv_command *command)
{
    kv_reply_begin(out, type, command->note);
    bool is_prefix = command->traits->is_about_subscriptions && command->subscribe.is_prefix;
    kv_buffer_append(out, is_prefix ? KV_SLICE("{\"prefix\":") : KV_SLICE("{\"key\":"));
    kv_json_append_string(out, command->key);
    if (command->revision != 0) {
        kv_buffer_append(out, KV_SLICE(",\"revision\":"));
        kv_buffer_append_u64(out, command->revision);
    }
}

static enum kv_reply write_ok(struct kv_buffer *out, const struct kv_command *command)
{
    if (command->note.len == 0)
        return KV_REPLY_NONE;
    begin_with_key(out, KV_SLICE("ok"), command);
    return end(out);
}

static enum kv_reply write_result(struct kv_buffer *out, const struct kv_command *command,
                                  struct kv_slice *ret_value)
{
    begin_with_key(out, KV_SLICE("value"), command);
    kv_buffer_append(out, KV_SLICE(",\"value\":"));
    *ret_value = command->value;
    return KV_REPLY_VALUE;
}

static enum kv_reply write_update(struct kv_buffer *out, const struct kv_command *command,
                                  struct kv_slice *ret_value)
{
    if (command->status == KV_MISSING)
        return write_state(out, command, ret_value);
    bool has_result = command->update->compute != NULL;
    return has_result ? write_result(out, command, ret_value) : write_ok(out, command);
}

static bool is_success(const struct kv_command *command)
{
    return command->status == KV_OK || command->status == KV_UNCHANGED ||
           command->status == KV_MISSING;
}

enum kv_reply kv_reply_write(struct kv_buffer *out, const struct kv_command *command,
                             struct kv_slice *ret_value)
{
    if (!is_success(command)) {
        kv_reply_write_error(out, command->note, kv_outcome_status_of(command),
                             command->refusal != NULL ? command->refusal
                                                      : kv_command_status_text(command->status));
        return KV_REPLY_TEXT;
    }
    switch (command->kind) {
    case KV_COMMAND_GET:
        return write_state(out, command, ret_value);
    case KV_COMMAND_UPDATE:
        return write_update(out, command, ret_value);
    default:
        return write_ok(out, command);
    }
}
