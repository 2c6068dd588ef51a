/*
 * The room that a client has for values which it asked for: its reads are charged to it before a
 * store begins them, and values that were read until they are handed back; what its connection has
 * still to send counts as well. The first of a client's commands needs none but that the connection
 * is below its limit; so a client holds at most its limit, and one value.
 *
 * How long a value is shows when it is read. So a read reserves room for twice what the
 * connection's reads before it usually found, and is made again, as the first, where the value is
 * longer (kv_cmd.most_bytes).
 */
#ifndef KV_KEYSPACE_ROOM_H
#define KV_KEYSPACE_ROOM_H

#include <kvserver/types.h>

/* All zero has no limit. */
struct kv_room {
    const size_t *unsent; /* the bytes that the connection has still to send; NULL: no limit */
    size_t limit;
    size_t charged;  /* to reads under way, and to values not yet handed back */
    size_t usual;    /* length of a value */
    bool is_awaited; /* something waits for kv_client_make_room() */
};

enum {
    KV_ROOM_FIRST_READS = 16,  /* under way at once, while no length is known */
    KV_ROOM_MOST_READS = 1024, /* the same, where values are short */
};

static inline void kv_room_init(struct kv_room *room, const size_t *unsent, size_t limit)
{
    *room = (struct kv_room){
        .unsent = unsent, .limit = limit, .usual = limit / KV_ROOM_FIRST_READS / 2};
}

/* Whether the connection is below its limit. */
static inline bool kv_room_is_open(const struct kv_room *room)
{
    return room->unsent == NULL || *room->unsent < room->limit;
}

/* Whether half of it is free, at the least: what is sent bit by bit, as there is room, waits for
 * that. */
static inline bool kv_room_is_half_empty(const struct kv_room *room)
{
    return room->unsent == NULL || *room->unsent <= room->limit / 2;
}

/* The length of a value that a read reserves. */
static inline size_t kv_room_of_read(const struct kv_room *room)
{
    size_t least = room->limit / KV_ROOM_MOST_READS + 1;
    return 2 * room->usual > least ? 2 * room->usual : least;
}

/* Whether there is room for a read that is not the first. */
static inline bool kv_room_fits_read(const struct kv_room *room)
{
    return room->unsent == NULL ||
           *room->unsent + room->charged + kv_room_of_read(room) <= room->limit;
}

/* Charges `bytes` in place of what `*charge` says. */
static inline void kv_room_charge(struct kv_room *room, size_t *charge, size_t bytes)
{
    room->charged += bytes - *charge;
    *charge = bytes;
}

/* A read has found that a value has this length. */
static inline void kv_room_learn(struct kv_room *room, size_t len)
{
    room->usual = len > room->usual / 2 ? len : room->usual / 2;
}

#endif
