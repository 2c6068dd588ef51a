/*
 * Whether a write that makes the store larger may be accepted. This is decided before the journal
 * has the write, so nothing is accepted that the engine cannot hold; deletes and expiries are
 * always accepted, as they free space.
 *
 * Threads: the writer's only.
 */
#ifndef KV_DURABLE_ROOM_H
#define KV_DURABLE_ROOM_H

#include "engine.h"

enum room_knowledge {
    ROOM_UNKNOWN,  /* the engine has not been asked: no room is assumed */
    ROOM_OUTDATED, /* the engine was asked, but may have more room since */
    ROOM_KNOWN,    /* with all changes that have taken effect */
    ROOM_ASSUMED /* the engine cannot be written, so commands of any size are answered with that */
};

struct room {
    const struct kv_engine_ops *ops;
    struct kv_engine *engine;
    bool is_disk_full;
    enum room_knowledge knowledge;
    bool is_wanted;       /* a command waits until it is known */
    bool has_refused;     /* commands, since the operator was warned */
    int64_t warned_at_ms; /* CLOCK_MONOTONIC; 0: never */
};

/* Starts with the disk full or not. The engine's own room is not known yet. */
void room_init(struct room *room, const struct kv_engine_ops *ops, struct kv_engine *engine,
               bool is_disk_full);

/* Commands have taken effect, so the room is no longer known. */
void room_forget(struct room *room);

/* The engine has all changes that have taken effect; or it cannot be written, and this status then
 * answers commands. */
void room_learn(struct room *room);
void room_assume(struct room *room);

/* Whether a command can be decided without knowing more. */
static inline bool room_is_settled(const struct room *room)
{
    return room->knowledge == ROOM_KNOWN || room->knowledge == ROOM_ASSUMED;
}

/* Whether a new row of these lengths fits. */
bool room_has(const struct room *room, size_t key_len, size_t value_len);

/* Takes the room for a row of these lengths. old: the value that it replaces; NULL: none. Returns:
 * false if there is no room for it. */
bool room_take(struct room *room, size_t key_len, size_t value_len, const struct kv_slice *old);

/* Whether to warn the operator now that the engine's own limit is reached: once, and again every
 * minute in which a command was refused. */
bool room_warns(struct room *room, int64_t now_ms);

#endif
