/*
 * The writer's thread: commits all commands that arrived while it was busy as one batch (group
 * commit). So batches grow with the load and with the duration of a sync, and a single write waits
 * only for its own sync.
 *
 * A sync runs on another thread (syncer.h). Meanwhile the next batch, the open one, is judged. Its
 * record is written, and its sync started, when the previous batch has been published and answered,
 * and most of those clients have written again, or a moment has passed (patience.h).
 */
#ifndef KV_DURABLE_WRITER_H
#define KV_DURABLE_WRITER_H

#include "committer.h"
#include "deadlines.h"
#include "patience.h"
#include "recovery.h"
#include "stager.h"
#include "syncer.h"
#include "thread.h"
#include "turn.h"

struct writer {
    struct base *base;
    struct queue jobs; /* commands in order, expiries */
    struct committer committer;
    struct recovery recovery;
    struct syncer syncer;
    struct stager stager; /* pushes jobs, too */
    struct deadlines deadlines;

    /* the thread's only */
    struct turn turns[2];
    struct turn *open; /* accepts commands; during a sync, the other turn waits for it */
    bool is_syncing;
    int64_t sync_began_ns;
    struct patience patience;
    bool is_unsynced;   /* there are unsynced records, with DURABILITY_INTERVAL */
    int64_t sync_at_ms; /* CLOCK_MONOTONIC: when to sync them */

    atomic_bool is_expiring[DEADLINES_PARTS]; /* a job requests it, and is not done */
    struct thread thread;
};

void writer_init(struct writer *writer, struct base *base);
void writer_fini(struct writer *writer);

/* Opens the journal and the other targets of the writer. The engine must be open. */
int writer_open(struct writer *writer, struct kv_error *reterr);
/* The same for a store that is only scanned. Returns: 1 if it must be recovered first. */
int writer_open_to_read(struct writer *writer, struct kv_error *reterr);

/* Starts the threads. Returns: an error number, or 0. Either way writer_close() follows. */
int writer_start(struct writer *writer);

/* Ends the threads, when nothing is pushed any more, and then closes the store in order. */
void writer_close(struct writer *writer);

/* Requests the expiry of a part, as kv_store_ops.expire. Threads: loops. */
int64_t writer_expire(struct writer *writer, uint32_t part, int64_t now_ms, uint32_t max);

#endif
