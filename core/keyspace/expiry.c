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
    CHUNK = 64,       /* keys of one part at a time */
    CHUNKS_A_TURN = 8 /* so a turn of the loop is not held up for more than a millisecond */
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
        return; /* every part is looked through when the keyspace is ready */
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
    lower(wake_at, keyspace->parts.store_ops->expire(keyspace->store, part, now_ms, CHUNK));
}

/* One chunk of each part that is due, as long as the turn may take; who had no turn is first in the
 * next one, which comes at once. */
static void run_parts(struct kv_keyspace_loop *here, int64_t now_ms)
{
    struct kv_keyspace *keyspace = here->keyspace;
    uint32_t n_loops = keyspace->parts.n_loops;
    uint32_t n_parts = (keyspace->store_info.parts + n_loops - 1 - here->index) / n_loops;
    uint32_t first = here->next_part;
    uint32_t n_run = 0;
    for (uint32_t i = 0; i < n_parts; i++) {
        uint32_t place = (first + i) % n_parts;
        uint32_t part = here->index + place * n_loops;
        if (n_run < CHUNKS_A_TURN &&
            atomic_load(&keyspace->store_parts[part].wake_at_ms) <= now_ms) {
            run_part(keyspace, part, now_ms);
            here->next_part = place + 1;
            n_run++;
        }
        lower(&here->wake_at_ms, atomic_load(&keyspace->store_parts[part].wake_at_ms));
    }
}

void kv_expiry_run(struct kv_keyspace_loop *here)
{
    struct kv_keyspace *keyspace = here->keyspace;
    if (!atomic_load(&keyspace->is_ready) || atomic_load(&keyspace->is_ending))
        return;
    int64_t now_ms = kv_clock_now_ms(keyspace->parts.clock);
    if (atomic_load(&here->wake_at_ms) > now_ms || kv_feed_is_congested(keyspace) ||
        kv_keyspace_holds_writes(keyspace))
        return;
    atomic_store(&here->wake_at_ms, INT64_MAX);
    run_parts(here, now_ms);
}
