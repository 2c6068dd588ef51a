/*
 * Whether a write that makes the store larger may be taken. It is decided before the journal has
 * the write, so nothing is accepted that the engine cannot hold; deletes and expiries are always
 * accepted, as they make room.
 *
 * Threads: the writer's only.
 */
#ifndef KV_DURABLE_ROOM_H
#define KV_DURABLE_ROOM_H

#include "engine.h"

enum room_knowledge {
    ROOM_UNKNOWN,  /* the engine has not been asked: there is none */
    ROOM_OUTDATED, /* the engine was asked, and may have more since */
    ROOM_KNOWN,    /* as of everything that has taken effect */
    ROOM_ASSUMED   /* the engine cannot be asked, as nothing can be written: that is the answer to
                      commands, whatever their size */
};

struct room {
    const struct kv_engine_ops *ops;
    struct kv_engine *engine;
    bool is_disk_full;
    enum room_knowledge knowledge;
    bool is_wanted;       /* a command waits until it is known */
    bool has_refused;     /* a command, since the operator was told */
    int64_t warned_at_ms; /* CLOCK_MONOTONIC; 0: never */
};

/* With the disk full or not. What an engine has of its own is not known yet. */
void room_init(struct room *room, const struct kv_engine_ops *ops, struct kv_engine *engine,
               bool is_disk_full);

/* Commands have taken effect, so the room is no longer known. */
void room_forget(struct room *room);

/* The engine has everything that has taken effect; or it cannot be written to, which then decides
 * what becomes of commands. */
void room_learn(struct room *room);
void room_assume(struct room *room);

/* Whether a command need not wait until more is known. */
static inline bool room_is_settled(const struct room *room)
{
    return room->knowledge == ROOM_KNOWN || room->knowledge == ROOM_ASSUMED;
}

/* Whether a new row of these lengths fits. */
bool room_has(const struct room *room, size_t key_len, size_t value_len);

/* Takes what a row of these lengths needs. old: the value that it takes the place of; NULL: none.
 * Returns: false if there is no room for it. */
bool room_take(struct room *room, size_t key_len, size_t value_len, const struct kv_slice *old);

/* Whether the operator is to be warned now that the engine's own limit is reached: once, and again
 * every minute in which a command was refused. */
bool room_warns(struct room *room, int64_t now_ms);

#endif
