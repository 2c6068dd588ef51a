/*
 * Turns jobs into commands for Redis.
 */
#ifndef KV_STORE_REDIS_COMMANDS_H
#define KV_STORE_REDIS_COMMANDS_H

#include "event.h"
#include "shared.h"

enum {
    COMMAND_INLINE = EVENT_LEAST_LONG - 1 /* the most bytes of a value that come on the lane */
};

/* Whether a job belongs on the bulk connection. */
bool command_is_bulky(const struct job *job);

/* Writes the job's request. Returns: false where there is no memory. */
bool command_write(struct kv_store *store, struct job *job, struct buffer *out);

/* Whether the job only reads, so that it can be sent twice. */
bool command_is_read(const struct job *job);

#endif
