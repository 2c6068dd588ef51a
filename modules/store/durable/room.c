#include "room.h"

void room_init(struct room *room, const struct kv_engine_ops *ops, struct kv_engine *engine,
               bool is_disk_full)
{
    *room = (struct room){
        .ops = ops, .engine = engine, .is_disk_full = is_disk_full, .told_ms = room->told_ms};
    room_forget(room);
}

void room_forget(struct room *room)
{
    room->is_known = room->ops->count_room == NULL;
    room->is_supposed = false;
}

void room_learn(struct room *room)
{
    if (room->ops->count_room != NULL)
        room->ops->count_room(room->engine, !room->is_disk_full);
    room->is_counted = room->is_known = true;
    room->is_wanted = false;
}

void room_suppose(struct room *room)
{
    room->is_supposed = room->is_known = true;
    room->is_wanted = false;
}

static bool has_room(const struct room *room, size_t key_len, size_t value_len,
                     const struct kv_slice *old, bool is_taken)
{
    if (room->is_supposed)
        return true;
    if (room->ops->has_room == NULL)
        return !room->is_disk_full;
    return room->is_counted && room->ops->has_room(room->engine, key_len, value_len, old, is_taken);
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
