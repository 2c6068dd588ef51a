/*
 * The batch: commands that a loop has gathered for the store, and those that the store has.
 */
#ifndef KV_KEYSPACE_BATCH_H
#define KV_KEYSPACE_BATCH_H

#include "keyspace/feed.h"
#include "keyspace/watches.h"

/* Of one loop. */
struct kv_batch {
    const struct kv_store_link *store;
    struct kv_feed_inbox *inbox;
    struct kv_queue commands; /* BATCHED */
    size_t n;                 /* of them */
    struct kv_inbox done;     /* final, from the store's threads */
    uint64_t n_deferred;      /* with the store's threads */
    struct kv_queue returned; /* UPDATEs that the store has answered */
};

void kv_batch_init(struct kv_batch *batch, const struct kv_store_link *store,
                   struct kv_feed_inbox *inbox);

/* Adds a command, whose `cmd` has a deadline where it needs one, and an operation and a condition
 * where it is an UPDATE. */
void kv_batch_add(struct kv_batch *batch, struct kv_command *command);

/* Gives everything to the store, unless a loop is behind with its changes, or it takes so long that
 * the rest has to wait for the next turn. */
void kv_batch_submit(struct kv_batch *batch);

/* Whether it has taken that long. */
bool kv_batch_turn_is_over(const struct kv_batch *batch);

/* What had to stay in the batch borrows the callers' bytes no longer. */
void kv_batch_keep(struct kv_batch *batch);

/* The store has completed a deferred command. Threads: any. */
void kv_batch_done(struct kv_batch *batch, struct kv_cmd *const *cmds, size_t n);

/* Finishes what the store has completed. */
void kv_batch_collect(struct kv_batch *batch);

/* Whether kv_batch_submit() would find work now. */
bool kv_batch_has_work(struct kv_batch *batch);

#endif
