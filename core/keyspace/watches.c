#include "keyspace/watches.h"

#include <stdlib.h>

#include "base/mem.h"

void kv_watches_init(struct kv_watches *watches, const struct kv_store_link *store)
{
    *watches = (struct kv_watches){.store = store};
}

void kv_watches_fini(struct kv_watches *watches)
{
    kv_table_fini(&watches->by_key);
}

static struct kv_watch *find(const struct kv_watches *watches, struct kv_slice key, uint64_t hash)
{
    KV_TABLE_EACH(&watches->by_key, hash, node)
    {
        struct kv_watch *watch = KV_CONTAINER(node, struct kv_watch, node);
        if (kv_slice_equals(watch->key, key))
            return watch;
    }
    return NULL;
}

static struct kv_watch *create(struct kv_watches *watches, struct kv_slice key, uint64_t hash)
{
    struct kv_watch *watch = kv_try_alloc(sizeof(*watch) + key.len);
    if (watch == NULL)
        return NULL;
    char *bytes = (char *)(watch + 1);
    if (key.len != 0)
        memcpy(bytes, key.bytes, key.len);
    *watch = (struct kv_watch){.key = {bytes, key.len}};
    kv_table_insert(&watches->by_key, &watch->node, hash);
    return watch;
}

struct kv_watch *kv_watches_hold(struct kv_watches *watches, struct kv_slice key, uint64_t hash)
{
    struct kv_watch *watch = find(watches, key, hash);
    if (watch == NULL)
        watch = create(watches, key, hash);
    if (watch != NULL)
        watch->n_holders++;
    return watch;
}

void kv_watches_let_go(struct kv_watches *watches, struct kv_watch *watch)
{
    if (--watch->n_holders != 0)
        return;
    kv_table_remove(&watches->by_key, &watch->node);
    kv_item_release(watches->store, &watch->newest);
    free(watch);
}

void kv_watches_tell(struct kv_watches *watches, const struct kv_change *change)
{
    struct kv_watch *watch = find(watches, change->key, change->hash);
    if (watch == NULL)
        return;
    kv_item_release(watches->store, &watch->newest);
    if (change->after.revision != 0)
        watch->newest = kv_item_share(watches->store, &change->after);
    watch->newest_revision = change->revision;
    watch->n_told++;
}

void kv_watches_forget(struct kv_watches *watches)
{
    for (size_t i = 0; i < watches->by_key.n_buckets; i++)
        for (struct kv_table_node *node = watches->by_key.buckets[i]; node != NULL;
             node = node->next) {
            struct kv_watch *watch = KV_CONTAINER(node, struct kv_watch, node);
            kv_item_release(watches->store, &watch->newest);
            watch->newest_revision = 0;
        }
}
