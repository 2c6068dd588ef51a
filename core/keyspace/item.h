/*
 * The open store, and references to its items. All other parts of the keyspace use the store by
 * this link, and this file knows nothing else of the keyspace.
 */
#ifndef KV_KEYSPACE_ITEM_H
#define KV_KEYSPACE_ITEM_H

#include <kvserver/store.h>

#include <stdatomic.h>

struct kv_store_link {
    const struct kv_store_ops *ops;
    struct kv_store *store; /* NULL until it is open */
    bool is_sync;           /* KV_STORE_SYNC */
    atomic_bool is_ready;   /* the store is open, and loaded */
};

static inline bool kv_store_is_ready(const struct kv_store_link *link)
{
    return atomic_load(&link->is_ready);
}

/* Releases a reference, and empties the item. Threads: any. */
static inline void kv_item_release(const struct kv_store_link *link, struct kv_item *item)
{
    if (item->ref != NULL)
        link->ops->unref(link->store, item->ref);
    *item = (struct kv_item){0};
}

/* Copies a long value, for a SET that has not been sent: all zero if the store makes no copies.
 * Threads: any. */
static inline struct kv_item kv_item_stage(const struct kv_store_link *link, struct kv_slice key,
                                           struct kv_slice value)
{
    if (link->ops->stage == NULL || !kv_store_is_ready(link))
        return (struct kv_item){0};
    return link->ops->stage(link->store, key, value);
}

/* Takes another reference. Threads: any. */
static inline struct kv_item kv_item_share(const struct kv_store_link *link,
                                           const struct kv_item *item)
{
    if (item->ref != NULL)
        link->ops->ref(link->store, item->ref);
    return *item;
}

#endif
