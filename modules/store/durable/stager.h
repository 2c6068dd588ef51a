/*
 * A thread that brings long values to the disk ahead of the writer, each to a file of its own
 * (value_file.h). The record that the writer makes of such a write is short, so no other write
 * waits for the value. Later writes of the same key go the same way, so they stay in order. A
 * TOUCH of a long value is such a write too, since its record contains the value.
 *
 * When the values that the engine lacks have become too many, the stager waits for the applier, and
 * long writes wait for the stager.
 */
#ifndef KV_DURABLE_STAGER_H
#define KV_DURABLE_STAGER_H

#include "held.h"
#include "queue.h"
#include "thread.h"
#include "under_way.h"
#include "value_file.h"

struct stager {
    const struct base *base;
    struct value_files *values;
    struct queue *writes; /* where commands go from here */
    size_t most_bytes;    /* of values that the engine lacks */
    struct queue jobs;
    atomic_bool is_off; /* the writer refuses writes, and judges all of them */
    struct under_way under_way;
    struct thread thread;
};

/* writes: of the store's writer; lives longer than the thread. */
void stager_init(struct stager *stager, const struct base *base, struct value_files *values,
                 struct queue *writes, size_t most_bytes);
void stager_fini(struct stager *stager);

/* Returns: an error number, or 0. */
int stager_start(struct stager *stager);
/* Ends the thread once it has given everything on. */
void stager_stop(struct stager *stager);

/* Whether the command has a long value. */
static inline bool stager_is_for(const struct kv_cmd *cmd)
{
    return cmd->op == KV_OP_SET && cmd->value.len > KV_LONG_VALUE;
}

/* Whether a command of a key with this hash may be under way: a write of the key has to be pushed
 * here, too. Threads: loops. */
bool stager_has(struct stager *stager, uint64_t hash);
/* Threads: any. */
void stager_push(struct stager *stager, struct job *job);

/* Ends a command that cannot be passed on. Threads: the stager's, and the learner's. */
void stager_give_back(struct stager *stager, uint32_t loop, struct kv_cmd *cmd,
                      enum kv_status status);

/* Whether values are to be written. Threads: the writer's. */
void stager_allow(struct stager *stager, bool is_allowed);

#endif
