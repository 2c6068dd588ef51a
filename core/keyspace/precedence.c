#include "keyspace/precedence.h"

/* Whether a store that completes within submit() executes `earlier` in its place anyway. */
static bool is_in_step(const struct kv_command *earlier)
{
    return earlier->commands->store->is_sync && earlier->state == KV_COMMAND_BATCHED &&
           !earlier->is_unsettled;
}

static bool read_waits_for(const struct kv_command *earlier)
{
    return earlier->state != KV_COMMAND_FINISHED && !is_in_step(earlier);
}

static bool write_waits_for(const struct kv_command *earlier)
{
    if (earlier->kind != KV_COMMAND_GET)
        return false;
    if (earlier->watch != NULL)
        return true;
    return earlier->state != KV_COMMAND_FINISHED && !is_in_step(earlier);
}

/* A store may let other writes overtake it. */
static bool is_long_write(const struct kv_command *earlier)
{
    return earlier->state != KV_COMMAND_FINISHED && earlier->value.len > KV_LONG_VALUE &&
           !earlier->commands->store->is_sync;
}

/* Whether the subscription covers the key. */
static bool is_about(const struct kv_command *subscribe, const struct kv_command *command)
{
    if (subscribe->subscribe.is_prefix)
        return kv_slice_has_prefix(command->key, subscribe->key);
    return command->hash == subscribe->hash;
}

/* A quick update that the store computes itself takes its place among the writes. */
static bool reads(const struct kv_command *command)
{
    const struct kv_update *update = command->update;
    return command->traits->is_read && !(update != NULL && update->is_quick && update->is_at_once);
}

bool kv_precedence_waits(const struct kv_command *command, const struct kv_command *earlier)
{
    const struct kv_command_traits *traits = command->traits;
    if (traits->is_write && earlier->traits->is_write &&
        (kv_precedence_is_held(earlier) || is_long_write(earlier)))
        return true;
    if (command->kind == KV_COMMAND_SCAN || earlier->kind == KV_COMMAND_SCAN)
        return earlier->state != KV_COMMAND_FINISHED;
    if (earlier->traits->is_about_subscriptions)
        return is_about(earlier, command);
    if (earlier->traits->is_in_no_order || command->hash != earlier->hash)
        return false;
    return (traits->is_write && write_waits_for(earlier)) ||
           (reads(command) && read_waits_for(earlier));
}
