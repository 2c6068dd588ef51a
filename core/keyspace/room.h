/*
 * The room that a client has for the values of its commands. Its reads are charged to it before a
 * store begins them, and values until they are handed back; copies of the values that it writes
 * count as well, and the connection's unsent bytes. The limit is the connection's own, and shrinks
 * as the memory of all connections runs out (base/budget.h).
 *
 * The length of a value is known once it is read. So a read reserves room for twice the usual
 * length of the connection's values; where the value is longer, it is read again as the first of
 * the client's commands, for which the connection need only be below its limit (kv_cmd.most_bytes).
 * So a client holds at most its limit and one value, and that one fits the budget.
 *
 * Values of a store that completes within submit() are in memory anyway: short ones reserve nothing
 * there, and long ones are charged to the connection in full, but counted once for all that have
 * them.
 */
#ifndef KV_KEYSPACE_ROOM_H
#define KV_KEYSPACE_ROOM_H

#include <kvserver/types.h>

#include "base/budget.h"

/* All zero has no limit. */
struct kv_room {
    const size_t *unsent; /* the bytes that the connection has still to send; NULL: no limit */
    struct kv_tally *tally;
    size_t limit;
    size_t charged;          /* to reads under way, to values not yet handed back, and to copies */
    size_t usual;            /* length of a value */
    bool is_awaited;         /* something waits for kv_client_make_room() */
    struct kv_waiter waiter; /* for memory of the budget */
};

enum {
    KV_ROOM_FIRST_READS = 16,  /* under way at once, while no length is known */
    KV_ROOM_MOST_READS = 1024, /* the same, where values are short */
    KV_ROOM_SHORT_VALUE = 16 << 10,
};

/* is_sync: the store completes within submit(); then one read shows the usual length at once. */
static inline void kv_room_init(struct kv_room *room, const size_t *unsent, size_t limit,
                                bool is_sync)
{
    room->unsent = unsent;
    room->limit = limit;
    room->usual = is_sync ? limit / 2 : limit / KV_ROOM_FIRST_READS / 2;
}

/* The bytes that the connection holds. */
static inline size_t kv_room_used(const struct kv_room *room)
{
    return room->unsent == NULL ? 0 : *room->unsent + room->charged;
}

/* Whether the connection is below its limit. */
static inline bool kv_room_is_open(const struct kv_room *room)
{
    return room->unsent == NULL || kv_tally_allows(room->tally, *room->unsent, room->limit);
}

/* Whether that is so with everything that is charged. */
static inline bool kv_room_takes_more(const struct kv_room *room)
{
    return kv_tally_allows(room->tally, kv_room_used(room), room->limit);
}

/* Whether half of it is free, at the least: what is sent bit by bit, as there is room, waits for
 * that. */
static inline bool kv_room_is_half_empty(const struct kv_room *room)
{
    return room->unsent == NULL ||
           *room->unsent <= kv_tally_allowance(room->tally, room->limit) / 2;
}

/* The length of a value that a read reserves. */
static inline size_t kv_room_of_read(const struct kv_room *room)
{
    size_t least = room->limit / KV_ROOM_MOST_READS + 1;
    return 2 * room->usual > least ? 2 * room->usual : least;
}

/* Whether there is room for a read of so many bytes, at least one, that is not the first. */
static inline bool kv_room_fits(const struct kv_room *room, size_t bytes)
{
    return kv_tally_allows(room->tally, kv_room_used(room) + bytes - 1, room->limit);
}

/* Charges `bytes` in place of `*charge`: to the connection alone, */
static inline void kv_room_reserve(struct kv_room *room, size_t *charge, size_t bytes)
{
    room->charged += bytes - *charge;
    *charge = bytes;
}

/* or to the budget as well. */
static inline void kv_room_charge(struct kv_room *room, size_t *charge, size_t bytes)
{
    kv_tally_add(room->tally, (int64_t)bytes - (int64_t)*charge);
    kv_room_reserve(room, charge, bytes);
}

/* The same for the first read, of so many bytes, as far as the budget allows. Returns: false where
 * it does not. */
static inline bool kv_room_charge_first(struct kv_room *room, size_t *charge, size_t bytes)
{
    if (bytes > KV_TALLY_FLOOR && !kv_tally_try_add(room->tally, bytes))
        return false;
    if (bytes <= KV_TALLY_FLOOR)
        kv_tally_add(room->tally, (int64_t)bytes);
    room->charged += bytes;
    *charge = bytes;
    return true;
}

/* Whether a value of that length needs no charge: it is short, as others were, and in the store's
 * memory. */
static inline bool kv_room_takes_as_it_is(const struct kv_room *room, bool is_sync, size_t len)
{
    return is_sync && len <= KV_ROOM_SHORT_VALUE && room->usual <= KV_ROOM_SHORT_VALUE;
}

/* A read has found that a value has this length. */
static inline void kv_room_learn(struct kv_room *room, size_t len)
{
    room->usual = len > room->usual / 2 ? len : room->usual / 2;
}

#endif
