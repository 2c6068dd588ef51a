/*
 * A batch: commands and expiries that are judged one after the other, each against what those
 * before it made of its key, and then take effect together.
 *
 *   batch_add(), batch_expire()     hold the keys, judge, note what is to change
 *   batch_rows()                    what the journal is to have of it
 *   batch_publish()                 the states are published and told
 *   batch_refuse()                  instead of it: nothing has changed
 *
 * A second batch may be judged while the first waits for its sync: it goes by the states of the one
 * ahead of it, and takes effect, or is refused, behind it.
 *
 * Threads: the writer's only.
 */
#ifndef KV_DURABLE_BATCH_H
#define KV_DURABLE_BATCH_H

#include "applier.h"
#include "deadlines.h"
#include "held.h"
#include "record.h"
#include "room.h"
#include "rows.h"
#include "states.h"

enum {
    BATCH_COMMANDS = 4096, /* and expiries; then a batch is full */
    BATCH_BYTES = 32 << 20 /* of keys and values, likewise */
};

/* A key of the batch. */
struct touched {
    struct entry *first;   /* from before the batch: published, or of the one ahead; a reference */
    struct entry *shown;   /* published now, and held */
    struct entry *current; /* what the batch makes of it; no reference of its own */
    enum kv_status fault;  /* KV_OK, or why the state is not known */
    uint32_t in_chain;     /* the next of the same bucket, 1-based */
    uint32_t behind;       /* its place in the batch behind, 1-based; 0: the key is not in that */
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
    const struct base *base;
    struct deadlines *deadlines;
    uint64_t *revision;           /* the last one given out */
    atomic_uint_fast64_t *newest; /* of the changes that readers may see */
    struct room *room;            /* what may still be written */

    struct batch *ahead; /* not published yet, and earlier than this one; NULL: none */
    bool has_deadlines;  /* whether any state that it is to publish has one */
    size_t bytes;        /* of what was read for it, and is to be written */
    struct kv_cmd **cmds;
    size_t n_cmds, cmds_capacity;
    struct touched *touched;
    size_t n_touched, touched_capacity;
    struct step *steps;
    size_t n_steps, steps_capacity;
    struct deadline **due;
    size_t n_due, due_capacity;
    uint32_t *buckets; /* 1-based places in `touched` */
    size_t n_buckets;  /* a power of two */
};

void batch_fini(struct batch *batch);

/* Judges the commands in order. They are final once the batch has taken effect, or was refused. If
 * there is no memory for one, it ends as full, at once, and is not part of the batch.
 *
 * prepared: the state that the only command sets, whose key is held; of a SET its revision is still
 * missing. If the command is taken, so are the state and the hold. NULL: nothing is prepared.
 * Returns: how many commands it took; if not all, this batch and the one ahead have to be published
 * before the next command can be judged, and the room has to be known if that command needs it. */
size_t batch_add(struct batch *batch, struct kv_cmd *const *cmds, size_t n, struct entry *prepared);

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
    return batch->bytes >= BATCH_BYTES || batch->n_cmds + batch->n_due >= 2 * BATCH_COMMANDS;
}

/* Whether it changes anything. */
static inline bool batch_has_changes(const struct batch *batch)
{
    return batch->n_steps != 0;
}

/* Adds what is to be written of it. */
void batch_rows(const struct batch *batch, struct rows *rows);

/* What the journal's record `sequence` has of it takes effect; empties the batch. `changes`, which
 * has room for them, gets what the engine is to have later. `behind`, which may be NULL, goes by
 * what is published now. */
void batch_publish(struct batch *batch, uint64_t sequence, struct changes *changes,
                   struct batch *behind);

/* Ends its commands with a failure; empties it. */
void batch_refuse(struct batch *batch, enum kv_engine_status why);

#endif
