/*
 * The deadlines of one shard: a hierarchical timing wheel (Varghese and Lauck, "Hashed and
 * Hierarchical Timing Wheels", 1987, scheme 7) with a tick of one millisecond and 64 lists on each
 * level. Setting and removing a deadline takes constant time and no memory but the entry's own
 * (entry.h).
 *
 * `elapsed` is the time up to which the wheel has turned. Written in base 64, a deadline differs
 * from it first in the digit of some level: there the entry waits, in the list of its own digit.
 * When the wheel reaches that list, entries of the lowest level are due, and entries of other
 * levels are distributed among the levels below. Both happen in steps, as the caller allows: `due`
 * and `dealing` hold the remaining entries.
 *
 * Each shard's wheel has an offset of its own in every digit, so that the lists of many shards are
 * not distributed in the same millisecond.
 *
 * Everything here is under the shard's lock.
 */
#ifndef KV_MEMORY_WHEEL_H
#define KV_MEMORY_WHEEL_H

#include "entry.h"

enum {
    WHEEL_BITS = 6,
    WHEEL_LISTS = 1 << WHEEL_BITS,
    WHEEL_LEVELS = 9 /* 2^54 ms: a TTL is below 2^53 */
};

/* The head of a list: a word of the chain, at a multiple of 16 like the others. */
struct wheel_list {
    _Alignas(16) uint64_t links;
};

struct wheel {
    int64_t offset;
    int64_t elapsed;             /* with the offset */
    uint64_t busy[WHEEL_LEVELS]; /* a bit for each list that may have entries */
    struct wheel_list due;
    struct wheel_list dealing;
    struct wheel_list lists[WHEEL_LEVELS][WHEEL_LISTS];
};

void wheel_init(struct wheel *wheel, uint32_t shard, int64_t now_ms);

/* Inserts an entry that is in no wheel, by its deadline, which must not be KV_NEVER. */
void wheel_add(struct wheel *wheel, struct timed *timed);

/* Removes the entry; does nothing if it is in no wheel. */
void wheel_remove(struct timed *timed);

/* Advances to `now_ms` (at least 0; an earlier time than before has no effect), and removes an
 * entry that is due. Distributes at most *moves entries on the way, and subtracts their number from
 * *moves. Returns: NULL if nothing is due, or no moves are left. */
struct timed *wheel_take_due(struct wheel *wheel, int64_t now_ms, uint32_t *moves);

/* The time of the next advance: the earliest deadline, or an earlier time at which a list must be
 * distributed; in the past if work is left; KV_NEVER if the wheel is empty. */
int64_t wheel_next(const struct wheel *wheel);

#endif
