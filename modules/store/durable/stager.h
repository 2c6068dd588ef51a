/*
 * A thread that brings long values to the disk ahead of the writer, each to a file of its own
 * (value_file.h). The record that the writer makes of such a write is short, so no other write
 * waits for the value. Writes of the same key that come behind go the same way, and stay behind.
 *
 * When the values that the engine lacks have become too many, the stager waits for the applier, and
 * long writes wait for the stager.
 */
#ifndef KV_DURABLE_STAGER_H
#define KV_DURABLE_STAGER_H

#include <stdatomic.h>

#include "held.h"
#include "queue.h"
#include "thread.h"
#include "value_file.h"

struct stager {
    const struct base *base;
    struct value_files *values;
    struct queue *writes; /* where commands go from here */
    size_t most_bytes;    /* of values that the engine lacks */
    struct queue jobs;
    atomic_bool is_off; /* the writer refuses writes, and judges all of them */
    atomic_size_t n;    /* commands that the writer has not been given yet */
    pthread_mutex_t lock;
    uint64_t *hashes; /* of the keys of n of them, but for those for which there was no memory */
    size_t n_hashes, capacity;
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

/* Whether a command of a key with this hash may be under way: a write of the key has to be pushed
 * here, too. Threads: loops. */
bool stager_has(struct stager *stager, uint64_t hash);
/* Threads: loops. */
void stager_push(struct stager *stager, struct job *job);

/* Whether values are to be written. Threads: the writer's. */
void stager_allow(struct stager *stager, bool is_allowed);

#endif
