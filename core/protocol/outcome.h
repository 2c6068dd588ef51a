/*
 * Reports outcomes of commands in terms of the protocol.
 */
#ifndef KV_PROTOCOL_OUTCOME_H
#define KV_PROTOCOL_OUTCOME_H

#include "keyspace/keyspace.h"

/* The HTTP status of a failure, also used in error messages with a `status`. outcome: of a
 * command. */
int kv_outcome_status(int outcome);

/* The HTTP status of a failed command; a hook that refused it may have chosen the status. */
int kv_outcome_status_of(const struct kv_command *command);

#endif
