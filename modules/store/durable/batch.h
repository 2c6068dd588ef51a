/*
 * A batch: commands and expiries that are judged one after the other, each against what those
 * before it made of its key, and then take effect by one commit of the engine.
 *
 *   batch_add(), batch_expire()     hold the keys, judge, note what is to change
 *   batch_commit()                  the engine's rows; then the states are published and told
 *   batch_undo()                    after a commit that failed, once the engine is well again
 *
 * Threads: the writer's only.
 */
#ifndef KV_DURABLE_BATCH_H
#define KV_DURABLE_BATCH_H

#include "deadlines.h"
#include "engine.h"
#include "record.h"
#include "states.h"

enum {
    BATCH_BYTES = 32 << 20, /* of keys and values; then a batch is full */
    BATCH_RESERVE = 1 << 20 /* revisions set aside at a time */
};

/* A key of the batch. */
struct touched {
    struct entry *first;   /* published when the batch got hold of it; a reference */
    struct entry *shown;   /* published now; NULL where the key is in doubt, and stays held */
    struct entry *current; /* what the batch makes of it; no reference of its own */
    enum kv_status fault;  /* KV_OK, or why the state is not known */
    uint32_t in_chain;     /* the next of the same bucket, 1-based */
};

/* A key of a batch whose commit failed. Nobody knows whether the disk has it, so the key is held,
 * and shown as it was, until the disk is known to have that. */
struct doubt {
    struct entry *published; /* a reference, and the hold */
    struct entry *refused;   /* a reference */
};

/* A state to be published. */
struct step {
    uint32_t touched;
    enum kv_reason reason; /* 0: only the deadline has moved, and nobody is told */
    uint64_t revision;
    struct entry *before; /* no reference of its own: the step before, or `first`, has one */
    struct entry *after;  /* a reference */
};

struct batch {
    const struct kv_store_host *host;
    const struct kv_engine_ops *ops;
    struct kv_engine *engine;
    struct states *states;
    struct deadlines *deadlines;
    struct record_clock clock;
    struct record_store_head head; /* of the last commit that took effect */

    uint64_t revision; /* the last one given out in this batch */
    size_t bytes;      /* of what was read for it, and is to be written */
    struct kv_cmd **cmds;
    size_t n_cmds, cmds_capacity;
    struct touched *touched;
    size_t n_touched, touched_capacity;
    struct step *steps;
    size_t n_steps, steps_capacity;
    struct deadline **due;
    size_t n_due, due_capacity;
    struct doubt *doubts;
    size_t n_doubts, doubts_capacity;
    uint32_t *buckets; /* 1-based places in `touched` */
    size_t n_buckets;  /* a power of two */
};

void batch_init(struct batch *batch);
void batch_fini(struct batch *batch);

/* Judges the commands in order. They are final once the batch has been committed. Where there is no
 * memory they end as full, at once, and are not part of the batch. Returns: how many it took; if
 * not all, the batch has to be committed before the next one can be judged. */
size_t batch_add(struct batch *batch, struct kv_cmd *const *cmds, size_t n);

/* Judges at most `max` deadlines of a part that are due at `now_ms`. Returns: how many of them need
 * not come again. */
size_t batch_expire(struct batch *batch, uint32_t part, int64_t now_ms, uint32_t max);

static inline bool batch_is_empty(const struct batch *batch)
{
    return batch->n_cmds == 0 && batch->n_due == 0;
}

/* Whether it holds so much that it is to be committed before more is added. */
static inline bool batch_is_full(const struct batch *batch)
{
    return batch->bytes >= BATCH_BYTES ||
           batch->n_cmds + batch->n_due >= 2 * (size_t)batch->ops->max_batch;
}

/* Whether anything is to be written. */
bool batch_has_changes(const struct batch *batch);

/* Makes the batch take effect, or, where that fails, ends its commands with a failure; empties it.
 * Returns: what the engine said. */
enum kv_engine_status batch_commit(struct batch *batch, bool is_synced);

/* The same without trying: the engine is known not to take any commit now. */
void batch_refuse(struct batch *batch, enum kv_engine_status why);

/* Makes sure that nothing of a batch whose commit failed is on the disk. Before the next commit;
 * returns OK where there is nothing to be done. */
enum kv_engine_status batch_undo(struct batch *batch);

/* Writes the head by itself, synced: `is_clean` at the close. */
enum kv_engine_status batch_write_head(struct batch *batch, bool is_clean);

#endif
