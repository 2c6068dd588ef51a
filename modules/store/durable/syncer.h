/*
 * A thread that syncs the journal while the writer continues. One sync at a time: the writer starts
 * it, and later gets its result.
 */
#ifndef KV_DURABLE_SYNCER_H
#define KV_DURABLE_SYNCER_H

#include "journal.h"
#include "queue.h"
#include "thread.h"

enum syncer_state {
    SYNCER_IDLE,
    SYNCER_SYNCING,
    SYNCER_DONE, /* done, and its result not yet fetched */
    SYNCER_CLOSING
};

struct syncer {
    struct journal *journal;
    struct queue *writes; /* stirred when a sync is done */
    struct thread thread;
    pthread_mutex_t lock;
    pthread_cond_t moved; /* the state, which the lock guards with what follows */
    enum syncer_state state;
    enum kv_engine_status status;
};

void syncer_init(struct syncer *syncer, struct journal *journal, struct queue *writes);

/* No sync may be in progress. */
void syncer_fini(struct syncer *syncer);

/* Returns: an error number, or 0. */
int syncer_start(struct syncer *syncer);

/* Starts to sync the appended records; nothing may be appended before it is done. */
void syncer_begin(struct syncer *syncer);

/* Returns: whether the sync is done; if so, *ret is set. */
bool syncer_is_done(struct syncer *syncer, enum kv_engine_status *ret);

/* Waits until it is. */
enum kv_engine_status syncer_wait(struct syncer *syncer);

#endif
