/*
 * How the protocol reports the outcome of a command.
 */
#ifndef KV_PROTOCOL_OUTCOME_H
#define KV_PROTOCOL_OUTCOME_H

#include "keyspace/keyspace.h"

/* The HTTP status of a failure, also for error messages with a `status`. outcome: of a command. */
int kv_outcome_status(int outcome);

/* The status of a command that failed; a hook that refused it may have chosen it. */
int kv_outcome_status_of(const struct kv_command *command);

#endif
