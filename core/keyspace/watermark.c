#include "keyspace/watermark.h"

static enum kv_watermark_kind kind_of(const struct kv_keyspace_parts *parts)
{
    if (parts->store_ops->revision == NULL)
        return KV_WATERMARK_UNKNOWN;
    if ((parts->store_capabilities & KV_STORE_IN_ORDER) != 0)
        return KV_WATERMARK_TOLD;
    return (parts->store_capabilities & KV_STORE_SYNC) != 0 ? KV_WATERMARK_SLOTS
                                                            : KV_WATERMARK_UNKNOWN;
}

void kv_watermark_init(struct kv_watermark *watermark, const struct kv_store_link *store,
                       const struct kv_keyspace_parts *parts)
{
    watermark->store = store;
    watermark->parts = parts;
    watermark->kind = kind_of(parts);
    for (uint32_t i = 0; i < parts->n_loops; i++)
        atomic_init(&watermark->slots[i].bound, UINT64_MAX);
}

static uint64_t newest_revision(const struct kv_watermark *watermark)
{
    return watermark->store->ops->revision(watermark->store->store);
}

/* A store with threads of its own may have told a later change meanwhile. */
void kv_watermark_begin(struct kv_watermark *watermark)
{
    uint64_t none = 0;
    if (watermark->kind != KV_WATERMARK_UNKNOWN)
        atomic_compare_exchange_strong(&watermark->told, &none, newest_revision(watermark));
}

uint64_t kv_watermark_newest(const struct kv_watermark *watermark)
{
    return watermark->kind == KV_WATERMARK_UNKNOWN ? 0 : newest_revision(watermark);
}

/* The newest revision is read first: any change up to it that was not pushed has a slot below
 * it. */
static uint64_t smallest_bound(const struct kv_watermark *watermark)
{
    uint64_t smallest = newest_revision(watermark);
    for (uint32_t i = 0; i < watermark->parts->n_loops; i++) {
        uint64_t bound = atomic_load(&watermark->slots[i].bound);
        if (bound < smallest)
            smallest = bound;
    }
    return smallest;
}

uint64_t kv_watermark_now(const struct kv_watermark *watermark)
{
    if (watermark->kind == KV_WATERMARK_SLOTS)
        return smallest_bound(watermark);
    return atomic_load_explicit(&watermark->told, memory_order_acquire);
}

void kv_watermark_enter(struct kv_watermark *watermark, uint32_t loop)
{
    if (watermark->kind == KV_WATERMARK_SLOTS)
        atomic_store(&watermark->slots[loop].bound, newest_revision(watermark));
}

static void wake_waiting(struct kv_watermark *watermark)
{
    uint64_t loops = atomic_exchange(&watermark->waiting, 0);
    for (; loops != 0; loops &= loops - 1)
        kv_loop_wake(watermark->parts->loops[__builtin_ctzll(loops)]);
}

void kv_watermark_leave(struct kv_watermark *watermark, uint32_t loop)
{
    if (watermark->kind != KV_WATERMARK_SLOTS)
        return;
    atomic_store(&watermark->slots[loop].bound, UINT64_MAX);
    if (atomic_load(&watermark->waiting) != 0)
        wake_waiting(watermark);
}

void kv_watermark_wait(struct kv_watermark *watermark, uint32_t loop)
{
    atomic_fetch_or(&watermark->waiting, UINT64_C(1) << loop);
}
