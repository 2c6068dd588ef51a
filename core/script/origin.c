/*
 * A change does not tell who made it. But a hook's write is known while it is under way, and its
 * revision when it has ended; its change may be seen before or after that. So a change of the key
 * that is seen while a write is under way is taken for the hook's, even if a client made it: then
 * its hooks are one level deeper than necessary.
 *
 * A key is remembered while a write of it is under way, or has ended without its change being seen.
 * The cost of a change does not depend on the number of such keys.
 */
#include "script/origin.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/hash.h"
#include "base/list.h"
#include "base/mem.h"
#include "base/table.h"

/* A key that hooks are writing. */
struct written {
    struct kv_table_node node;
    struct kv_slice key;  /* after the struct */
    uint32_t n_open;      /* writes under way */
    uint32_t open_depth;  /* of the deepest write since none was under way */
    uint64_t seen;        /* the newest revision that was seen since then */
    struct kv_list ended; /* writes whose changes have not been seen, by revision */
};

struct kv_origin {
    struct written *written;
    struct kv_list in_ended;
    uint32_t depth;
    uint64_t revision; /* 0: not ended */
};

struct kv_origins {
    pthread_mutex_t lock;
    struct kv_table table;
    _Atomic size_t n; /* keys */
    bool is_resting;
};

struct kv_origins *kv_origins_create(void)
{
    struct kv_origins *origins = kv_calloc(1, sizeof(*origins));
    pthread_mutex_init(&origins->lock, NULL);
    return origins;
}

void kv_origins_rest(struct kv_origins *origins)
{
    origins->is_resting = true;
}

static void forget_ended(struct kv_origin *origin)
{
    kv_list_remove(&origin->in_ended);
    free(origin);
}

/* Under the lock. */
static void forget_key(struct kv_origins *origins, struct written *written)
{
    kv_table_remove(&origins->table, &written->node);
    free(written);
    atomic_fetch_sub(&origins->n, 1);
}

void kv_origins_destroy(struct kv_origins *origins)
{
    if (origins == NULL)
        return;
    for (size_t i = 0; i < origins->table.n_buckets; i++)
        while (origins->table.buckets[i] != NULL) {
            struct written *written = KV_CONTAINER(origins->table.buckets[i], struct written, node);
            KV_LIST_EACH(&written->ended, link, after)
            forget_ended(KV_CONTAINER(link, struct kv_origin, in_ended));
            forget_key(origins, written);
        }
    kv_table_fini(&origins->table);
    pthread_mutex_destroy(&origins->lock);
    free(origins);
}

/* Under the lock. */
static struct written *find(struct kv_origins *origins, struct kv_slice key, uint64_t hash)
{
    KV_TABLE_EACH(&origins->table, hash, node)
    {
        struct written *written = KV_CONTAINER(node, struct written, node);
        if (kv_slice_equals(written->key, key))
            return written;
    }
    return NULL;
}

/* Under the lock. */
static struct written *find_or_make(struct kv_origins *origins, struct kv_slice key)
{
    uint64_t hash = kv_hash(key);
    struct written *written = find(origins, key, hash);
    if (written != NULL)
        return written;
    written = kv_calloc(1, sizeof(*written) + key.len);
    char *copy = (char *)(written + 1);
    if (key.len != 0)
        memcpy(copy, key.bytes, key.len);
    written->key = (struct kv_slice){copy, key.len};
    kv_list_init(&written->ended);
    kv_table_insert(&origins->table, &written->node, hash);
    atomic_fetch_add(&origins->n, 1);
    return written;
}

struct kv_origin *kv_origins_begin(struct kv_origins *origins, struct kv_slice key, uint32_t depth)
{
    if (origins->is_resting)
        return NULL;
    struct kv_origin *origin = kv_calloc(1, sizeof(*origin));
    origin->depth = depth;
    pthread_mutex_lock(&origins->lock);
    struct written *written = origin->written = find_or_make(origins, key);
    if (written->n_open++ == 0)
        written->open_depth = 0;
    if (depth > written->open_depth)
        written->open_depth = depth;
    pthread_mutex_unlock(&origins->lock);
    return origin;
}

/* Under the lock. Writes end nearly in the order of their revisions. */
static void keep_until_seen(struct written *written, struct kv_origin *origin)
{
    struct kv_list *before = written->ended.prev;
    while (before != &written->ended &&
           KV_CONTAINER(before, struct kv_origin, in_ended)->revision > origin->revision)
        before = before->prev;
    kv_list_append(before->next, &origin->in_ended); /* inserts it before the next one */
}

/* Under the lock. */
static void forget_if_over(struct kv_origins *origins, struct written *written)
{
    if (written->n_open == 0 && kv_list_is_empty(&written->ended))
        forget_key(origins, written);
}

void kv_origins_end(struct kv_origins *origins, struct kv_origin *origin, uint64_t revision)
{
    if (origin == NULL)
        return;
    pthread_mutex_lock(&origins->lock);
    struct written *written = origin->written;
    written->n_open--;
    origin->revision = revision;
    if (revision == 0 || revision <= written->seen)
        free(origin);
    else
        keep_until_seen(written, origin);
    forget_if_over(origins, written);
    pthread_mutex_unlock(&origins->lock);
}

/* Under the lock. Returns: the largest depth of the writes that may have made the change. */
static uint32_t look(struct written *written, uint64_t revision)
{
    uint32_t depth = written->n_open == 0 ? 0 : written->open_depth;
    written->seen = revision;
    KV_LIST_EACH(&written->ended, link, after)
    {
        struct kv_origin *origin = KV_CONTAINER(link, struct kv_origin, in_ended);
        if (origin->revision > revision)
            break;
        if (origin->revision == revision && origin->depth > depth)
            depth = origin->depth;
        forget_ended(origin);
    }
    return depth;
}

uint32_t kv_origins_see(struct kv_origins *origins, struct kv_slice key, uint64_t revision)
{
    uint32_t depth = 0;
    if (atomic_load(&origins->n) == 0)
        return 0;
    pthread_mutex_lock(&origins->lock);
    struct written *written = find(origins, key, kv_hash(key));
    if (written != NULL) {
        depth = look(written, revision);
        forget_if_over(origins, written);
    }
    pthread_mutex_unlock(&origins->lock);
    return depth;
}
