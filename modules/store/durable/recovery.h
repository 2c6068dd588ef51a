/*
 * A store that cannot write: since when and why, the reserve that it gives up so that deletes
 * continue, and how it recovers.
 *
 * While the disk or the engine fails, writes are refused, and recovery is retried at intervals.
 * When the disk is full, the reserve is deleted; in its space, all commits are persisted in the
 * engine, and deletes and expiries are accepted until there is room for a new reserve.
 *
 * Threads: the writer's, or before it runs and after it has ended.
 */
#ifndef KV_DURABLE_RECOVERY_H
#define KV_DURABLE_RECOVERY_H

#include "committer.h"
#include "reserve.h"
#include "room.h"

struct recovery {
    struct committer *committer;
    struct room room;
    struct reserve reserve;
    enum kv_engine_status failure; /* why writes are refused; OK: they are not */
    int64_t retry_at_ms; /* CLOCK_MONOTONIC; if the disk is full, when to check for room */
    int64_t wait_ms;     /* before the next attempt */
};

void recovery_init(struct recovery *recovery, struct committer *committer);
void recovery_fini(struct recovery *recovery);

/* When the store is opened for writing: takes over the existing reserve, or makes one. On a full
 * disk, the reserve is given up at once. */
void recovery_open_reserve(struct recovery *recovery);

/* Gives up the reserve. Returns: whether there was one. From here on, only writes that make the
 * store smaller are accepted. */
bool recovery_give_up_reserve(struct recovery *recovery);

/* A write has failed for that reason: writes are refused until recovery_try() succeeds. */
void recovery_begin(struct recovery *recovery, enum kv_engine_status why);

/* Tries to recover, if the time has come. No sync is in progress while writes are refused. Returns:
 * whether writes are accepted. */
bool recovery_try(struct recovery *recovery);

/* Tries it at once, without a log message. */
enum kv_engine_status recovery_run(struct recovery *recovery);

static inline bool recovery_is_over(const struct recovery *recovery)
{
    return recovery->failure == KV_ENGINE_OK;
}

/* Makes a reserve if there is none, at intervals: for a disk that was full, or too small when the
 * store was opened. */
void recovery_look_for_room(struct recovery *recovery);

/* The time of the next attempt; KV_NEVER: none. */
int64_t recovery_next_ms(const struct recovery *recovery);

#endif
