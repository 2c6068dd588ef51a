/*
 * Driving expiry: part p of the store is worked off by loop p % n_loops, in small chunks between
 * its turns, and the loop sleeps until the earliest deadline of its parts.
 *
 * Invariant: a part's wake_at_ms is at or before its earliest deadline, and a loop's wake_at_ms at
 * or before that of each of its parts, except while kv_expiry_run() is at work, which raises them
 * first and lowers them again by what it finds; wake_at() only lowers, so nothing is lost.
 */
#include "keyspace/impl.h"

#include "base/mem.h"

enum {
    CHUNK = 64,
    LONGEST_RUN = 256
};

/* Returns: the value before. */
static int64_t lower(_Atomic int64_t *at, int64_t to)
{
    int64_t now = atomic_load(at);
    while (to < now && !atomic_compare_exchange_weak(at, &now, to))
        continue;
    return now;
}

void kv_expiry_init(struct kv_keyspace *keyspace)
{
    uint32_t parts = keyspace->store_info.parts;
    keyspace->store_parts = kv_alloc(parts * sizeof(struct kv_part));
    for (uint32_t i = 0; i < parts; i++)
        atomic_init(&keyspace->store_parts[i].wake_at_ms, INT64_MIN);
}

void kv_expiry_wake_at(const struct kv_store_host *host, uint32_t part, int64_t deadline_ms)
{
    struct kv_keyspace *keyspace = kv_keyspace_of_host(host);
    if (!atomic_load(&keyspace->is_ready))
        return; /* every part is looked through when the store has opened */
    if (lower(&keyspace->store_parts[part].wake_at_ms, deadline_ms) <= deadline_ms)
        return;
    struct kv_keyspace_loop *there = &keyspace->loops[part % keyspace->parts.n_loops];
    if (lower(&there->wake_at_ms, deadline_ms) > deadline_ms)
        kv_loop_wake(there->loop);
}

static void run_part(struct kv_keyspace *keyspace, uint32_t part, int64_t now_ms)
{
    _Atomic int64_t *wake_at = &keyspace->store_parts[part].wake_at_ms;
    atomic_store(wake_at, INT64_MAX);
    int64_t next = now_ms;
    for (uint32_t n = 0; n < LONGEST_RUN && next <= now_ms; n += CHUNK)
        next = keyspace->parts.store_ops->expire(keyspace->store, part, now_ms, CHUNK);
    lower(wake_at, next);
}

void kv_expiry_run(struct kv_keyspace_loop *here)
{
    struct kv_keyspace *keyspace = here->keyspace;
    if (!atomic_load(&keyspace->is_ready))
        return;
    int64_t now_ms = kv_clock_now_ms(keyspace->parts.clock);
    if (atomic_load(&here->wake_at_ms) > now_ms || kv_feed_is_congested(keyspace))
        return;
    atomic_store(&here->wake_at_ms, INT64_MAX);
    for (uint32_t part = here->index; part < keyspace->store_info.parts;
         part += keyspace->parts.n_loops) {
        if (atomic_load(&keyspace->store_parts[part].wake_at_ms) <= now_ms)
            run_part(keyspace, part, now_ms);
        lower(&here->wake_at_ms, atomic_load(&keyspace->store_parts[part].wake_at_ms));
    }
}
