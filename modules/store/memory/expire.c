#include "expire.h"

#include "writer.h"

enum {
    EXPIRY_RETIRES = TABLE_RETIRES + 1,
    MOVES_PER_KEY = 4, /* of a wheel's lists, for each key that a call may expire */
    MOST_MOVES = 1024
};

/* Removes the entry, which was just taken from the wheel. */
static void expire_entry(struct kv_store *store, uint32_t loop, struct entry *entry)
{
    struct kv_slice key = entry_key(entry);
    struct writer writer = writer_of(store, loop, store->host->hash(store->host, key), key);
    struct place place;
    if (table_locate(&writer.shard->table, &writer.probe, &place) != NULL)
        writer_take_away(&writer, KV_REASON_EXPIRE, &place);
}

/* Under the shard's lock. Returns: false if nothing was due, or no moves are left. */
static bool expire_one(struct kv_store *store, uint32_t part, uint32_t loop, int64_t now_ms,
                       uint32_t *moves)
{
    struct timed *timed = wheel_take_due(&store->shards[part].wheel, now_ms, moves);
    if (timed == NULL)
        return false;
    expire_entry(store, loop, &timed->entry);
    return true;
}

/* The lock is taken separately for each key, so that no writer waits for a whole chunk. */
int64_t memory_expire(struct kv_store *store, uint32_t part, int64_t now_ms, uint32_t max)
{
    struct shard *shard = &store->shards[part];
    uint32_t loop = part % store->host->n_loops;
    uint32_t moves = max > MOST_MOVES / MOVES_PER_KEY ? MOST_MOVES : max * MOVES_PER_KEY;
    int64_t next = now_ms;
    bool goes_on = true;
    epoch_enter(&store->epochs, loop);
    for (uint32_t n = 0; n < max && goes_on; n++) {
        if (!epoch_reserve(&store->epochs, loop, EXPIRY_RETIRES)) {
            next = now_ms + LATER_MS;
            break;
        }
        pthread_mutex_lock(&shard->lock);
        goes_on = expire_one(store, part, loop, now_ms, &moves);
        next = wheel_next(&shard->wheel);
        pthread_mutex_unlock(&shard->lock);
    }
    shards_leave(store, loop);
    return next;
}
