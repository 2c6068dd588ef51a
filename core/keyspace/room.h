/*
 * The room that a client has for the values of its commands. It counts reads from before a store
 * begins them, values until they are handed back, copies of values that are written, and the
 * connection's unsent bytes. The limit is the connection's own, and shrinks as the memory of all
 * connections runs out (base/budget.h).
 *
 * The length of a value is known only once it is read. So a read reserves room for twice the usual
 * length of the connection's values; if the value is longer, it is read again when its command is
 * the first of the client's, for which the connection need only be below its limit
 * (kv_cmd.most_bytes). So a client holds at most its limit and one value, and that value fits the
 * budget.
 *
 * Values of a store that completes within submit() are in memory anyway: short ones reserve
 * nothing, and long ones are charged to each connection in full, but counted once in the budget.
 */
#ifndef KV_KEYSPACE_ROOM_H
#define KV_KEYSPACE_ROOM_H

#include <kvserver/types.h>

#include "base/budget.h"

/* All zero means no limit. */
struct kv_room {
    const size_t *unsent; /* the bytes that the connection still has to send; NULL: no limit */
    struct kv_tally *tally;
    size_t limit;
    size_t charged;          /* for reads under way, values not yet handed back, and copies */
    size_t usual;            /* length of a value */
    bool is_awaited;         /* kv_client_make_room() has work waiting */
    struct kv_waiter waiter; /* for memory of the budget */
};

enum {
    KV_ROOM_FIRST_READS = 16,  /* reads under way at once, while no length is known */
    KV_ROOM_MOST_READS = 1024, /* the same, if values are short */
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

/* Whether it is below its limit, including all charges. */
static inline bool kv_room_takes_more(const struct kv_room *room)
{
    return kv_tally_allows(room->tally, kv_room_used(room), room->limit);
}

/* Whether at least half of the limit is free: data that is sent in parts, as room allows, waits for
 * this. */
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

/* Whether there is room for a read of this many bytes (at least one) that is not the first. */
static inline bool kv_room_fits(const struct kv_room *room, size_t bytes)
{
    return kv_tally_allows(room->tally, kv_room_used(room) + bytes - 1, room->limit);
}

/* Replaces a charge, `*charge`, with `bytes`: on the connection only. */
static inline void kv_room_reserve(struct kv_room *room, size_t *charge, size_t bytes)
{
    room->charged += bytes - *charge;
    *charge = bytes;
}

/* The same, on the connection and the budget. */
static inline void kv_room_charge(struct kv_room *room, size_t *charge, size_t bytes)
{
    kv_tally_add(room->tally, (int64_t)bytes - (int64_t)*charge);
    kv_room_reserve(room, charge, bytes);
}

/* The same for the first read of a client, as far as the budget allows. Returns: false if it does
 * not allow it. */
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

/* Whether a value of this length needs no charge: it is short, as earlier ones were, and in the
 * store's memory. */
static inline bool kv_room_takes_as_it_is(const struct kv_room *room, bool is_sync, size_t len)
{
    return is_sync && len <= KV_ROOM_SHORT_VALUE && room->usual <= KV_ROOM_SHORT_VALUE;
}

/* Updates the usual length with the length of a value that was read. */
static inline void kv_room_learn(struct kv_room *room, size_t len)
{
    room->usual = len > room->usual / 2 ? len : room->usual / 2;
}

#endif
