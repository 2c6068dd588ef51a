#include "protocol/translate.h"

#include <assert.h>

#include "protocol/edit.h"
#include "wire/json_string.h"

static enum kv_command_kind kind_of(enum kv_message_type type)
{
    static const enum kv_command_kind kinds[] = {
        [KV_MESSAGE_GET] = KV_COMMAND_GET,
        [KV_MESSAGE_SET] = KV_COMMAND_SET,
        [KV_MESSAGE_DELETE] = KV_COMMAND_DELETE,
        [KV_MESSAGE_SUBSCRIBE] = KV_COMMAND_SUBSCRIBE,
        [KV_MESSAGE_UNSUBSCRIBE] = KV_COMMAND_UNSUBSCRIBE,
        [KV_MESSAGE_TOUCH] = KV_COMMAND_UPDATE,
        [KV_MESSAGE_INCREMENT] = KV_COMMAND_UPDATE,
        [KV_MESSAGE_MERGE] = KV_COMMAND_UPDATE,
    };
    assert(type < sizeof(kinds) / sizeof(kinds[0]));
    return kinds[type];
}

int kv_translation_check(const struct kv_message *message,
                         const struct kv_translation_limits *limits, struct kv_error *reterr)
{
    if (message->key.len > limits->max_key_bytes) {
        kv_error_set(reterr, "the %s has %zu bytes, the limit is %zu",
                     message->is_prefix ? "prefix" : "key", message->key.len,
                     limits->max_key_bytes);
        return 414;
    }
    if (message->value.len > limits->max_value_bytes) {
        kv_error_set(reterr, "the %s has %zu bytes, the limit is %zu",
                     message->type == KV_MESSAGE_MERGE ? "patch" : "value", message->value.len,
                     limits->max_value_bytes);
        return 413;
    }
    return 0;
}

static void set_conditions(struct kv_command *command, const struct kv_message *message)
{
    if (message->if_absent)
        command->cond |= KV_COND_ABSENT;
    if (message->if_revision == 0)
        return;
    command->cond |= KV_COND_REVISION;
    command->if_revision = message->if_revision;
    command->if_revisions = &command->if_revision;
    command->n_if_revisions = 1;
}

/* The epoch of a `since`. If it is not the server's, it may keep its escapes: it matches nothing.
 */
static struct kv_slice epoch_of(struct kv_keyspace_loop *home, const struct kv_message *message)
{
    const char *ours = kv_keyspace_epoch(kv_keyspace_of(home));
    if (kv_json_string_equals(message->epoch, kv_slice_of(ours)))
        return kv_slice_of(ours);
    return kv_json_inside(message->epoch);
}

/* Sets the options of a subscription. */
static void set_options(struct kv_command *command, const struct kv_message *message)
{
    command->subscribe = (struct kv_subscribe){.is_prefix = message->is_prefix,
                                               .wants_meta = message->meta,
                                               .initial = message->initial,
                                               .has_since = message->has_since,
                                               .since = message->since};
    if (message->has_since)
        command->argument = epoch_of(command->home, message);
}

struct kv_command *kv_translate(struct kv_keyspace_loop *home, const struct kv_message *message,
                                const struct kv_translation_limits *limits)
{
    struct kv_command *command = kv_command_create(home, kind_of(message->type));
    command->key = message->key;
    command->note = message->id;
    command->ttl_is_given = message->has_ttl;
    command->ttl_ms = message->ttl_ms;
    command->wants_meta = message->meta;
    command->is_lease = message->while_connected;
    if (command->traits->is_about_subscriptions)
        set_options(command, message);
    set_conditions(command, message);
    if (message->type == KV_MESSAGE_INCREMENT)
        kv_edit_increment(command, message->by);
    else if (message->type == KV_MESSAGE_MERGE)
        kv_edit_merge(command, message->value, limits->max_value_bytes);
    else
        command->value = message->value;
    return command;
}
