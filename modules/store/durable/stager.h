/*
 * A thread that writes long values to the disk ahead of the writer, each to a file of its own
 * (value_file.h). The writer's record for such a write is short, so no other write waits for the
 * value. Later writes of the same key take the same way, and stay in order.
 *
 * When too many values are missing in the engine, the stager waits for the applier, and long writes
 * wait for the stager (backpressure).
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
    struct queue *writes; /* the destination of commands */
    size_t most_bytes;    /* of values that the engine lacks */
    struct queue jobs;
    atomic_bool is_off; /* the writer refuses writes: it gets all commands at once */
    atomic_size_t n;    /* commands not yet passed to the writer */
    pthread_mutex_t lock;
    uint64_t *hashes; /* of the keys of n of them, unless memory ran out */
    size_t n_hashes, capacity;
    struct thread thread;
};

/* writes: of the store's writer; lives longer than the thread. */
void stager_init(struct stager *stager, const struct base *base, struct value_files *values,
                 struct queue *writes, size_t most_bytes);
void stager_fini(struct stager *stager);

/* Returns: an error number, or 0. */
int stager_start(struct stager *stager);
/* Ends the thread once it has passed on everything. */
void stager_stop(struct stager *stager);

/* Whether a command of a key with this hash may be in progress: a write of the key must be pushed
 * here, too. Threads: loops. */
bool stager_has(struct stager *stager, uint64_t hash);
/* Threads: loops. */
void stager_push(struct stager *stager, struct job *job);

/* Sets whether values may be written. Threads: the writer's. */
void stager_allow(struct stager *stager, bool is_allowed);

#endif
