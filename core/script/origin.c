/*
 * A change does not say who made it. But a hook's write is known while it is under way, and its
 * revision when it has ended; its change may be seen before that, or after. So a change of the key
 * that is seen while the write is under way counts as the hook's, also where a client made it: then
 * its hooks are a level deeper than they need be.
 *
 * An entry goes when its write has ended and its change, or a later one, has been seen.
 */
#include <stdlib.h>

#include "base/hash.h"
#include "base/mem.h"
#include "script/impl.h"

struct kv_origin {
    struct kv_table_node node;
    struct kv_slice key; /* behind the struct */
    uint32_t depth;
    uint64_t revision; /* 0: the write has not ended */
    uint64_t seen;     /* the newest revision that was seen meanwhile */
};

struct kv_origins {
    pthread_mutex_t lock;
    struct kv_table table;
    _Atomic size_t n;
};

struct kv_origins *kv_origins_create(void)
{
    struct kv_origins *origins = kv_calloc(1, sizeof(*origins));
    pthread_mutex_init(&origins->lock, NULL);
    return origins;
}

/* Under the lock. */
static void forget(struct kv_origins *origins, struct kv_origin *origin)
{
    kv_table_remove(&origins->table, &origin->node);
    free(origin);
    atomic_fetch_sub(&origins->n, 1);
}

void kv_origins_destroy(struct kv_origins *origins)
{
    if (origins == NULL)
        return;
    for (size_t i = 0; i < origins->table.n_buckets; i++)
        while (origins->table.buckets[i] != NULL)
            forget(origins, KV_CONTAINER(origins->table.buckets[i], struct kv_origin, node));
    kv_table_fini(&origins->table);
    pthread_mutex_destroy(&origins->lock);
    free(origins);
}

struct kv_origin *kv_origins_begin(struct kv_origins *origins, struct kv_slice key, uint32_t depth)
{
    struct kv_origin *origin = kv_calloc(1, sizeof(*origin) + key.len);
    char *copy = (char *)(origin + 1);
    if (key.len != 0)
        memcpy(copy, key.bytes, key.len);
    origin->key = (struct kv_slice){copy, key.len};
    origin->depth = depth;
    pthread_mutex_lock(&origins->lock);
    kv_table_insert(&origins->table, &origin->node, kv_hash(key));
    atomic_fetch_add(&origins->n, 1);
    pthread_mutex_unlock(&origins->lock);
    return origin;
}

void kv_origins_end(struct kv_origins *origins, struct kv_origin *origin, uint64_t revision)
{
    pthread_mutex_lock(&origins->lock);
    if (revision == 0 || origin->seen >= revision)
        forget(origins, origin);
    else
        origin->revision = revision;
    pthread_mutex_unlock(&origins->lock);
}

/* Under the lock. Returns: the depth of the deepest that may have made the change. */
static uint32_t look(struct kv_origins *origins, struct kv_slice key, uint64_t revision)
{
    uint32_t depth = 0;
    uint64_t hash = kv_hash(key);
    struct kv_table_node *next;
    for (struct kv_table_node *node = kv_table_next(&origins->table, hash, NULL); node != NULL;
         node = next) {
        struct kv_origin *origin = KV_CONTAINER(node, struct kv_origin, node);
        next = kv_table_next(&origins->table, hash, node);
        if (!kv_slice_equals(origin->key, key))
            continue;
        origin->seen = revision;
        if ((origin->revision == 0 || origin->revision == revision) && origin->depth > depth)
            depth = origin->depth;
        if (origin->revision != 0 && origin->revision <= revision)
            forget(origins, origin);
    }
    return depth;
}

uint32_t kv_origins_see(struct kv_origins *origins, struct kv_slice key, uint64_t revision)
{
    if (atomic_load(&origins->n) == 0)
        return 0;
    pthread_mutex_lock(&origins->lock);
    uint32_t depth = look(origins, key, revision);
    pthread_mutex_unlock(&origins->lock);
    return depth;
}
