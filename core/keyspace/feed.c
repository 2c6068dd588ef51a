/*
 * The feed: the only way in which a loop learns of a change, its own writes included. The store
 * tells a change inside the critical section that orders the key's changes; one record, shared by
 * reference count, is pushed to the inbox of each loop that wants it. As pushes that a lock orders
 * are taken in that order, every loop sees one key's changes in their order, each once.
 *
 * Bounded: when a loop is behind by more than it should be, the others submit nothing until it
 * has caught up (see kv_feed_is_congested); a loop never waits for itself.
 */
#include "keyspace/impl.h"

#include <stdlib.h>

#include "base/mem.h"

enum {
    CONGESTED_BYTES = 64 << 20,
    RECORD_BYTES = 256
};

struct delivery {
    struct kv_link link;
    struct record *record;
};

struct record {
    struct kv_change change;
    uint64_t bytes;
    _Atomic uint32_t n_open; /* deliveries not yet made */
    struct delivery deliveries[];
};

static uint64_t interested_loops(struct kv_keyspace *keyspace, uint64_t hash)
{
    uint64_t loops = atomic_load(&keyspace->interests[hash % KV_INTEREST_BUCKETS]);
    if (keyspace->parts.n_observers != 0 && kv_keyspace_is_ready(keyspace))
        loops |= UINT64_C(1) << (hash % keyspace->parts.n_loops);
    return loops;
}

static struct record *create_record(struct kv_keyspace *keyspace, const struct kv_change *change,
                                    uint32_t n_loops)
{
    struct record *record = kv_alloc(sizeof(*record) + n_loops * sizeof(struct delivery));
    record->change = *change;
    record->change.before = kv_keyspace_share(keyspace, &change->before);
    record->change.after = kv_keyspace_share(keyspace, &change->after);
    record->bytes =
        RECORD_BYTES + change->key.len + change->after.value.len + change->before.value.len;
    atomic_init(&record->n_open, n_loops);
    return record;
}

void kv_feed_changed(const struct kv_store_host *host, uint32_t part,
                     const struct kv_change *change)
{
    (void)part;
    struct kv_keyspace *keyspace = kv_keyspace_of_host(host);
    uint64_t loops = interested_loops(keyspace, change->hash);
    if (loops == 0 || atomic_load(&keyspace->is_ending))
        return;
    uint32_t n = (uint32_t)__builtin_popcountll(loops);
    struct record *record = create_record(keyspace, change, n);
    for (struct delivery *delivery = record->deliveries; n > 0; n--, delivery++) {
        struct kv_keyspace_loop *there = &keyspace->loops[__builtin_ctzll(loops)];
        loops &= loops - 1;
        delivery->record = record;
        atomic_fetch_add(&there->feed_bytes, record->bytes);
        kv_inbox_push(&there->feed, &delivery->link);
        kv_loop_wake(there->loop);
    }
}

static void release_record(struct kv_keyspace *keyspace, struct record *record)
{
    if (atomic_fetch_sub(&record->n_open, 1) != 1)
        return;
    kv_keyspace_release(keyspace, &record->change.before);
    kv_keyspace_release(keyspace, &record->change.after);
    free(record);
}

static void observe(struct kv_keyspace_loop *here, const struct kv_change *change)
{
    const struct kv_keyspace_parts *parts = &here->keyspace->parts;
    if (parts->n_observers == 0 || change->hash % parts->n_loops != here->index)
        return;
    for (size_t i = 0; i < parts->n_observers; i++)
        parts->observers[i]->on_change(parts->observers[i], here, change);
}

static void wake_the_others(struct kv_keyspace_loop *here)
{
    for (uint32_t i = 0; i < here->keyspace->parts.n_loops; i++)
        if (i != here->index)
            kv_loop_wake(here->keyspace->loops[i].loop);
}

static void account(struct kv_keyspace_loop *here, uint64_t delivered)
{
    uint64_t before = atomic_fetch_sub(&here->feed_bytes, delivered);
    if (before >= CONGESTED_BYTES && before - delivered < CONGESTED_BYTES)
        wake_the_others(here);
}

bool kv_feed_deliver(struct kv_keyspace_loop *here)
{
    struct kv_link *link = kv_inbox_take_all(&here->feed);
    if (link == NULL)
        return false;
    uint64_t delivered = 0;
    while (link != NULL) {
        struct delivery *delivery = KV_CONTAINER(link, struct delivery, link);
        struct record *record = delivery->record;
        link = link->next;
        delivered += record->bytes;
        kv_topics_tell(here, &record->change);
        observe(here, &record->change);
        release_record(here->keyspace, record);
    }
    account(here, delivered);
    return true;
}

bool kv_feed_is_congested(struct kv_keyspace *keyspace)
{
    for (uint32_t i = 0; i < keyspace->parts.n_loops; i++)
        if (atomic_load(&keyspace->loops[i].feed_bytes) >= CONGESTED_BYTES)
            return true;
    return false;
}

void kv_feed_fini(struct kv_keyspace_loop *here)
{
    struct kv_link *link = kv_inbox_take_all(&here->feed);
    while (link != NULL) {
        struct delivery *delivery = KV_CONTAINER(link, struct delivery, link);
        link = link->next;
        release_record(here->keyspace, delivery->record);
    }
}
