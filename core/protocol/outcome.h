/*
 * What the end of a command is called in the protocol.
 */
#ifndef KV_PROTOCOL_OUTCOME_H
#define KV_PROTOCOL_OUTCOME_H

#include "keyspace/keyspace.h"

/* The status that HTTP has for a failure, also in errors that bear one. outcome: of a command. */
int kv_outcome_status(int outcome);

/* That of a command that failed, by its hook's choice if one made it. */
int kv_outcome_status_of(const struct kv_command *command);

#endif
