/*
 * A thread that applies the journal's changes to the engine, later and many at once. Sorted by key
 * and each key once, they take less than half of the time that the engine needs for them one by
 * one.
 *
 * The states that the engine lacks stay in memory (states.h), so reads do not depend on the
 * applier.
 */
#ifndef KV_DURABLE_APPLIER_H
#define KV_DURABLE_APPLIER_H

#include "base.h"
#include "journal.h"
#include "queue.h"
#include "rows.h"
#include "thread.h"

/* The state that a record of the journal gave a key. */
struct change {
    struct former old;
    struct entry *new; /* a reference */
    uint64_t order;    /* the applier's: where the keys differ, of its first bytes */
};

struct changes {
    struct change *all;
    size_t n;
    size_t capacity;
    int64_t keys;      /* the change of the number of keys */
    size_t bytes;      /* of the new keys and values */
    size_t long_bytes; /* part of `bytes`: long values, whose files have a bound of their own */
};

/* Room for n more. Returns: false if memory runs out. */
bool changes_reserve(struct changes *changes, size_t n);

/* Takes ownership of the reference. There must be room. */
void changes_add(struct changes *changes, struct former old, struct entry *new);

void changes_clear(struct changes *changes);
void changes_fini(struct changes *changes);

enum applier_state {
    APPLIER_IDLE,
    APPLIER_BUSY,
    APPLIER_CLOSING
};

struct applier {
    const struct base *base;
    struct journal *journal;
    struct queue *writes; /* stirred when it becomes idle */
    struct thread thread;
    pthread_mutex_t lock;
    pthread_cond_t moved; /* the state, which the lock guards with what follows */
    enum applier_state state;
    enum kv_engine_status status; /* once it is not OK, nothing is applied before applier_reset() */

    /* the thread's while it is busy */
    struct changes changes;
    struct record_store_head head;
    struct rows rows;
    uint64_t persisted; /* the record up to which the engine is known to have all on its disk */
};

void applier_init(struct applier *applier, const struct base *base, struct journal *journal,
                  struct queue *writes);

/* It finishes its current work. */
void applier_fini(struct applier *applier);

/* Returns: an error number, or 0. */
int applier_start(struct applier *applier);

/* Returns: whether it is idle; then *ret_status. */
bool applier_is_idle(struct applier *applier, enum kv_engine_status *ret_status);

/* Waits until it is idle. */
enum kv_engine_status applier_wait(struct applier *applier);

/* Takes ownership of the changes, and leaves an empty list with the room of its own one, which the
 * caller may reserve before. `head` is that of the journal's record with the last of them. The
 * applier must be idle and without a failure. */
void applier_give(struct applier *applier, struct changes *changes,
                  const struct record_store_head *head);

/* After a failure, once the engine has everything by another way. */
void applier_reset(struct applier *applier);

#endif
