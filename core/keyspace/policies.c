#include "keyspace/policies.h"

bool kv_policies_renew(const struct kv_keyspace_parts *parts)
{
    for (size_t i = 0; i < parts->n_ttl_chain; i++)
        if (parts->ttl_chain[i].renews)
            return true;
    return false;
}

int64_t kv_policies_deadline(const struct kv_keyspace_parts *parts,
                             const struct kv_command *command)
{
    struct kv_ttl_write write = {
        .key = command->key,
        .is_given = command->ttl_is_given,
        .ttl_ms = command->ttl_ms,
    };
    for (size_t i = 0; i < parts->n_ttl_chain && !command->is_load; i++)
        parts->ttl_chain[i].ops->on_write(parts->ttl_chain[i].policy, &write);
    return write.ttl_ms == 0 ? KV_NEVER : command->taken_up_ms + write.ttl_ms;
}

int64_t kv_policies_renewed(const struct kv_keyspace_parts *parts, struct kv_slice key,
                            int64_t deadline_ms)
{
    struct kv_ttl_read read = {
        .key = key,
        .now_ms = kv_clock_next_ms(parts->clock),
        .deadline_ms = deadline_ms,
    };
    for (size_t i = 0; i < parts->n_ttl_chain; i++)
        if (parts->ttl_chain[i].renews)
            parts->ttl_chain[i].ops->on_read(parts->ttl_chain[i].policy, &read);
    return read.deadline_ms;
}
