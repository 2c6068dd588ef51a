/*
 * A loop that waits announces it first and then checks once more whether the turnstile is free; a
 * loop that leaves frees it first and then checks whether others wait. All of it is sequentially
 * consistent, so one of the two sees the other.
 */
#include "keyspace/turnstile.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "base/mem.h"

struct kv_turnstile {
    _Atomic uint64_t waiting; /* one bit for each loop */
    _Atomic uint32_t holder;  /* a loop's index + 1; 0: free */
};

void kv_turnstiles_init(struct kv_turnstiles *turnstiles, const struct kv_keyspace_parts *parts)
{
    turnstiles->parts = parts;
    turnstiles->all = kv_calloc(KV_TURNSTILES, sizeof(*turnstiles->all));
}

void kv_turnstiles_fini(struct kv_turnstiles *turnstiles)
{
    free(turnstiles->all);
}

static uint64_t bit_of(uint32_t loop)
{
    return UINT64_C(1) << loop;
}

static bool take(struct kv_turnstile *turnstile, uint32_t loop)
{
    uint32_t nobody = 0;
    return atomic_compare_exchange_strong(&turnstile->holder, &nobody, loop + 1);
}

bool kv_turnstile_enter(struct kv_turnstiles *turnstiles, uint32_t index, uint32_t loop)
{
    struct kv_turnstile *turnstile = &turnstiles->all[index];
    if (take(turnstile, loop))
        return true;
    atomic_fetch_or(&turnstile->waiting, bit_of(loop));
    if (!take(turnstile, loop))
        return false;
    atomic_fetch_and(&turnstile->waiting, ~bit_of(loop));
    return true;
}

bool kv_turnstile_is_passed_to(const struct kv_turnstiles *turnstiles, uint32_t index,
                               uint32_t loop)
{
    return atomic_load(&turnstiles->all[index].holder) == loop + 1;
}

/* The next of the waiting loops. */
static uint32_t next_of(uint64_t waiting, uint32_t loop)
{
    uint64_t after = loop == 63 ? 0 : waiting >> (loop + 1) << (loop + 1);
    return (uint32_t)__builtin_ctzll(after != 0 ? after : waiting);
}

static void pass_on(struct kv_turnstiles *turnstiles, struct kv_turnstile *turnstile, uint32_t next)
{
    atomic_fetch_and(&turnstile->waiting, ~bit_of(next));
    atomic_store(&turnstile->holder, next + 1);
    kv_loop_wake(turnstiles->parts->loops[next]);
}

void kv_turnstile_leave(struct kv_turnstiles *turnstiles, uint32_t index, uint32_t loop)
{
    struct kv_turnstile *turnstile = &turnstiles->all[index];
    do {
        uint64_t waiting = atomic_load(&turnstile->waiting);
        if (waiting != 0) {
            pass_on(turnstiles, turnstile, next_of(waiting, loop));
            return;
        }
        atomic_store(&turnstile->holder, 0);
    } while (atomic_load(&turnstile->waiting) != 0 && take(turnstile, loop));
}
