/*
 * A batch: commands and expiries that are judged in sequence, each against the state that the
 * earlier ones gave its key, and then take effect together.
 *
 *   batch_add(), batch_expire()     hold the keys, judge, record the changes
 *   batch_rows()                    the rows for the journal
 *   batch_publish()                 publishes the states and tells the changes
 *   batch_refuse()                  instead of that: nothing has changed
 *
 * A second batch may be judged while the first waits for its sync: it starts from the states of the
 * one ahead of it, and takes effect, or is refused, after it.
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
    BATCH_COMMANDS = 4096, /* with expiries; then the batch is full */
    BATCH_BYTES = 32 << 20 /* of keys and values, likewise */
};

/* A key of the batch. */
struct touched {
    struct entry *first;   /* before the batch: published, or of the batch ahead; a reference */
    struct entry *shown;   /* published now, and held */
    struct entry *current; /* within the batch; no reference of its own */
    enum kv_status fault;  /* KV_OK, or why the state is unknown */
    uint32_t in_chain;     /* the next of the same bucket, 1-based */
    uint32_t behind;       /* its place in the next batch, 1-based; 0: not in it */
};

/* A state to be published. */
struct step {
    uint32_t touched;
    enum kv_reason reason; /* 0: only the deadline has moved, which is no change */
    uint64_t revision;
    struct entry *before; /* no reference of its own: the step before, or `first`, has one */
    struct entry *after;  /* a reference */
};

struct batch {
    const struct base *base;
    struct deadlines *deadlines;
    uint64_t *revision;           /* the last one assigned */
    atomic_uint_fast64_t *newest; /* of the changes visible to readers */
    struct room *room;            /* the room for further writes */

    struct batch *ahead; /* the previous batch, not yet published; NULL: none */
    bool has_deadlines;  /* any of its states has one */
    size_t bytes;        /* read for it, and to be written */
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
 * memory runs out for a command, it ends as full at once, and is not part of the batch.
 *
 * prepared: the state that the only command sets; its key is held. For a SET, the revision is still
 * missing, and the deadline may change. If the command is accepted, the batch takes ownership of
 * the state and the hold. NULL: none. Returns: the number of commands accepted; if not all, this
 * batch and the one ahead have to be published before the next command can be judged, and the room
 * has to be known if that command needs it. */
size_t batch_add(struct batch *batch, struct kv_cmd *const *cmds, size_t n, struct entry *prepared);

/* Judges at most `max` deadlines of a part that are due at `now_ms`. Returns: how many of them are
 * done. */
size_t batch_expire(struct batch *batch, uint32_t part, int64_t now_ms, uint32_t max);

static inline bool batch_is_empty(const struct batch *batch)
{
    return batch->n_cmds == 0 && batch->n_due == 0;
}

/* Whether it must be committed before more is added. */
static inline bool batch_is_full(const struct batch *batch)
{
    return batch->bytes >= BATCH_BYTES || batch->n_cmds + batch->n_due >= 2 * BATCH_COMMANDS;
}

/* Whether it changes anything. */
static inline bool batch_has_changes(const struct batch *batch)
{
    return batch->n_steps != 0;
}

/* Adds the rows that the batch writes. */
void batch_rows(const struct batch *batch, struct rows *rows);

/* Publishes the states, which the journal has in its record `sequence`, and empties the batch.
 * Appends the changes for the engine to `changes`, which has room for them. `behind`, which may be
 * NULL, now starts from the published states. */
void batch_publish(struct batch *batch, uint64_t sequence, struct changes *changes,
                   struct batch *behind);

/* Ends its commands with a failure, and empties it. */
void batch_refuse(struct batch *batch, enum kv_engine_status why);

#endif
