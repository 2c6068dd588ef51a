#include "room.h"

enum {
    WARN_AGAIN_MS = 60000
};

void room_init(struct room *room, const struct kv_engine_ops *ops, struct kv_engine *engine,
               bool is_disk_full)
{
    *room = (struct room){.ops = ops,
                          .engine = engine,
                          .is_disk_full = is_disk_full,
                          .knowledge = ops->count_room == NULL ? ROOM_KNOWN : ROOM_UNKNOWN,
                          .warned_at_ms = room->warned_at_ms};
}

void room_forget(struct room *room)
{
    if (room->ops->count_room == NULL)
        room->knowledge = ROOM_KNOWN;
    else if (room->knowledge == ROOM_KNOWN)
        room->knowledge = ROOM_OUTDATED;
    else if (room->knowledge == ROOM_ASSUMED)
        room->knowledge = ROOM_UNKNOWN;
}

void room_learn(struct room *room)
{
    if (room->ops->count_room != NULL)
        room->ops->count_room(room->engine, !room->is_disk_full);
    room->knowledge = ROOM_KNOWN;
    room->is_wanted = false;
}

void room_assume(struct room *room)
{
    room->knowledge = ROOM_ASSUMED;
    room->is_wanted = false;
}

static bool has_room(const struct room *room, size_t key_len, size_t value_len,
                     const struct kv_slice *old, bool is_taken)
{
    if (room->knowledge == ROOM_ASSUMED)
        return true;
    if (room->ops->has_room == NULL)
        return !room->is_disk_full;
    return room->knowledge != ROOM_UNKNOWN &&
           room->ops->has_room(room->engine, key_len, value_len, old, is_taken);
}

bool room_has(const struct room *room, size_t key_len, size_t value_len)
{
    return has_room(room, key_len, value_len, NULL, false);
}

bool room_take(struct room *room, size_t key_len, size_t value_len, const struct kv_slice *old)
{
    bool has = has_room(room, key_len, value_len, old, true);
    room->has_refused |= !has;
    return has;
}

bool room_warns(struct room *room, int64_t now_ms)
{
    if (!room->has_refused || room->ops->room_option == NULL || room->is_disk_full ||
        (room->warned_at_ms != 0 && now_ms < room->warned_at_ms + WARN_AGAIN_MS))
        return false;
    room->has_refused = false;
    room->warned_at_ms = now_ms;
    return true;
}
