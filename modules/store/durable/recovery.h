/*
 * A store that cannot write: since when and why, what is given up so that deletes go on, and how it
 * comes to write again.
 *
 * While the disk or the engine fails, writes are refused, and it is tried again now and then. When
 * the disk is full, the reserve is deleted; in its place everything that was committed is brought
 * to the engine's disk, and deletes and expiries are taken until there is room for a new reserve.
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
    enum kv_engine_status failure; /* why writes are refused; OK where they are not */
    int64_t retry_at_ms; /* CLOCK_MONOTONIC; where the disk is full, when to look for room */
    int64_t wait_ms;     /* before the next attempt */
};

void recovery_init(struct recovery *recovery, struct committer *committer);
void recovery_fini(struct recovery *recovery);

/* When the store is opened to be written to: takes the reserve that is there, or makes one. On a
 * full disk it is given up at once. */
void recovery_open_reserve(struct recovery *recovery);

/* Whether there was a reserve, which is given up. From here on only what makes the store smaller is
 * taken. */
bool recovery_give_up_reserve(struct recovery *recovery);

/* A write has failed for that reason: writes are refused until recovery_try() has had success. */
void recovery_begin(struct recovery *recovery, enum kv_engine_status why);

/* Tries to recover, if the time has come. No sync is under way where writes are refused.
 * Returns: whether writes are taken. */
bool recovery_try(struct recovery *recovery);

/* Tries it whether or not the time has come, without a word in the log. */
enum kv_engine_status recovery_run(struct recovery *recovery);

static inline bool recovery_is_over(const struct recovery *recovery)
{
    return recovery->failure == KV_ENGINE_OK;
}

/* Makes a reserve where there is none, now and then: on a disk that was full, or was too small when
 * the store was opened. */
void recovery_look_for_room(struct recovery *recovery);

/* When there is something to try; KV_NEVER: never. */
int64_t recovery_next_ms(const struct recovery *recovery);

#endif
