/*
 * Turns jobs into commands for Redis, and its answers into their results.
 */
#ifndef KV_STORE_REDIS_COMMANDS_H
#define KV_STORE_REDIS_COMMANDS_H

#include "shared.h"

enum outcome {
    OUTCOME_FINAL = 1, /* of a command, scan or expiry: it is to be given back */
    OUTCOME_AGAIN,     /* the job has changed and is to be sent again */
    OUTCOME_REFUSED,   /* nothing was executed: it is to be sent again, over a new connection */
    OUTCOME_NONE,      /* of a job of the store's own: nothing is left to do */
    OUTCOME_LOST, /* the chain, the library or the partition is gone: a new connection is needed. A
                     command or scan is final all the same */
};

/* Whether a job belongs on the bulk connection. */
bool command_is_bulky(const struct job *job);

/* Writes the job's request. Returns: false where there is no memory. */
bool command_write(struct kv_store *store, struct job *job, struct buffer *out);

/* Takes the answer. */
enum outcome command_take(struct kv_store *store, struct job *job, struct kv_slice reply);

/* Ends a job without an answer. */
void command_fail(struct kv_store *store, struct job *job, enum kv_status status);

/* Whether the job only reads, so that it can be sent twice. */
bool command_is_read(const struct job *job);

#endif
