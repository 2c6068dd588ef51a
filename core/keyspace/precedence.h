/*
 * Decides which of a client's commands wait for which earlier ones; client.h has the rules. Keys
 * are compared by their hash: a collision only makes a command wait without need.
 */
#ifndef KV_KEYSPACE_PRECEDENCE_H
#define KV_KEYSPACE_PRECEDENCE_H

#include "keyspace/command.h"

/* Whether it still has to go to the store, for the first time or again. */
static inline bool kv_precedence_is_held(const struct kv_command *command)
{
    return command->state == KV_COMMAND_WAITING || command->state == KV_COMMAND_SUSPENDED ||
           command->is_unsettled;
}

/* command: not a SUBSCRIBE or UNSUBSCRIBE, which wait for everything. */
bool kv_precedence_waits(const struct kv_command *command, const struct kv_command *earlier);

#endif
