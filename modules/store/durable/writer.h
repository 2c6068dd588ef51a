/*
 * The writer's thread: takes what has come while it was busy, as one batch, and commits it. So
 * batches grow with the load and with the time of a sync, and a single write waits for its own sync
 * only.
 *
 * A sync goes on by itself (syncer.h): meanwhile the next batch, the open one, is judged. Its
 * record is written, and its sync begun, when the one before has been published and answered, and
 * most of those clients have written again, or a moment has passed (patience.h).
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
    struct turn *open; /* takes commands; during a sync the other turn waits for it */
    bool is_syncing;
    int64_t sync_began_ns;
    struct patience patience;
    bool is_unsynced;   /* appended, and not synced, with DURABILITY_INTERVAL */
    int64_t sync_at_ms; /* CLOCK_MONOTONIC: when it is to be */

    atomic_bool is_expiring[DEADLINES_PARTS]; /* a job asks for it, and is not done */
    struct thread thread;
};

void writer_init(struct writer *writer, struct base *base);
void writer_fini(struct writer *writer);

/* Opens what the writer commits to. The engine is open. */
int writer_open(struct writer *writer, struct kv_error *reterr);
/* The same for a store that is only read, by scans. Returns: 1 if it has to be recovered first. */
int writer_open_to_read(struct writer *writer, struct kv_error *reterr);

/* Starts the threads. Returns: an error number, or 0. Either way writer_close() follows. */
int writer_start(struct writer *writer);

/* Ends the threads, once nothing is pushed any more, and then closes the store in order. */
void writer_close(struct writer *writer);

/* Asks for the expiry of a part, as kv_store_ops.expire. Threads: loops. */
int64_t writer_expire(struct writer *writer, uint32_t part, int64_t now_ms, uint32_t max);

#endif
