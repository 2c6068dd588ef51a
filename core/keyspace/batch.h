/*
 * The batch: the commands that a loop has gathered for the store, and those that the store is
 * working on.
 */
#ifndef KV_KEYSPACE_BATCH_H
#define KV_KEYSPACE_BATCH_H

#include "keyspace/feed.h"
#include "keyspace/watches.h"

/* One loop's batch. */
struct kv_batch {
    const struct kv_store_link *store;
    struct kv_feed_inbox *inbox;
    struct kv_queue commands; /* KV_COMMAND_BATCHED */
    size_t n;                 /* number of `commands` */
    struct kv_inbox done;     /* completed by the store's threads */
    uint64_t n_deferred;      /* commands that the store's threads still have */
    struct kv_queue returned; /* UPDATEs that the store has answered */
};

void kv_batch_init(struct kv_batch *batch, const struct kv_store_link *store,
                   struct kv_feed_inbox *inbox);

/* Adds a command. Its `cmd` has a deadline if the command needs one, and for an UPDATE an operation
 * and a condition. */
void kv_batch_add(struct kv_batch *batch, struct kv_command *command);

/* Submits the commands to the store, unless a loop is behind with its changes; stops if it takes
 * too long: the rest waits for the next turn. */
void kv_batch_submit(struct kv_batch *batch);

/* Whether submitting has taken too long in this turn. */
bool kv_batch_turn_is_over(const struct kv_batch *batch);

/* Copies the borrowed bytes of commands that had to stay in the batch. */
void kv_batch_keep(struct kv_batch *batch);

/* Takes back deferred commands that the store has completed. Threads: any. */
void kv_batch_done(struct kv_batch *batch, struct kv_cmd *const *cmds, size_t n);

/* Finishes the commands that the store has completed. */
void kv_batch_collect(struct kv_batch *batch);

/* Whether kv_batch_submit() would find work now. */
bool kv_batch_has_work(struct kv_batch *batch);

#endif
