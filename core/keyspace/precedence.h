/*
 * Which of a client's commands waits for which of those that were sent before it; client.h has the
 * rules. Keys are compared by their hash: a collision makes a command wait without need, and
 * nothing else.
 */
#ifndef KV_KEYSPACE_PRECEDENCE_H
#define KV_KEYSPACE_PRECEDENCE_H

#include "keyspace/command.h"

/* Whether it has still to go to the store, for the first time or again. */
static inline bool kv_precedence_is_held(const struct kv_command *command)
{
    return command->state == KV_COMMAND_WAITING || command->state == KV_COMMAND_SUSPENDED ||
           command->is_unsettled;
}

/* command: not one about subscriptions, which waits for everything. */
bool kv_precedence_waits(const struct kv_command *command, const struct kv_command *earlier);

#endif
