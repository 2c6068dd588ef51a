/*
 * The store `memory`: opening, closing, and its metrics and properties. README.md describes the
 * structure; submit.c, scan.c and expire.c are its operations.
 */
#include <stdlib.h>

#include "expire.h"
#include "scan.h"
#include "shards.h"
#include "submit.h"

enum {
    OPTION_MAX_BYTES,
    OPTION_ORDERED,
    N_OPTIONS
};

static const struct kv_option memory_options[N_OPTIONS] = {
    [OPTION_MAX_BYTES] = {.name = "max_bytes",
                          .type = KV_OPTION_SIZE,
                          .fallback = "0",
                          .doc = "the most that keys and values may add up to; 0: no limit"},
    [OPTION_ORDERED] = {.name = "ordered",
                        .type = KV_OPTION_BOOL,
                        .fallback = "true",
                        .doc = "keep the keys in order, for lists and snapshots of a prefix"},
};

static int shard_init(struct kv_store *store, uint32_t index, int64_t now_ms)
{
    struct shard *shard = &store->shards[index];
    pthread_mutexattr_t spins;
    pthread_mutexattr_init(&spins);
    /* Mostly held for less time than going to sleep takes. */
    pthread_mutexattr_settype(&spins, PTHREAD_MUTEX_ADAPTIVE_NP);
    pthread_mutex_init(&shard->lock, &spins);
    pthread_mutexattr_destroy(&spins);
    wheel_init(&shard->wheel, index, now_ms);
    index_init(&shard->index, &shard->table, store->host);
    return table_init(&shard->table);
}

static void memory_close(struct kv_store *store)
{
    for (uint32_t i = 0; i < N_SHARDS; i++) {
        index_fini(&store->shards[i].index);
        table_fini(&store->shards[i].table);
        pthread_mutex_destroy(&store->shards[i].lock);
    }
    epochs_fini(&store->epochs);
    free(store);
}

static int init(struct kv_store *store, struct kv_error *reterr)
{
    int64_t now_ms = store->host->base.now_ms(&store->host->base);
    bool has_memory = epochs_init(&store->epochs, store->host->n_loops) == 0;
    for (uint32_t i = 0; i < N_SHARDS; i++)
        has_memory = shard_init(store, i, now_ms) == 0 && has_memory;
    if (!has_memory)
        return kv_error_set(reterr, "store memory: no memory");
    if (kv_epoch_make(store->epoch_name))
        return 0;
    return kv_error_set(reterr, "store memory: the system has no random bytes for the epoch");
}

static int memory_open(const struct kv_store_host *host, const struct kv_option_value *options,
                       struct kv_store **ret_store, struct kv_error *reterr)
{
    if (host->n_loops > N_SHARDS) /* each loop needs its own part: see shards_leave() */
        return kv_error_set(reterr, "store memory: %u event loops; it can serve %d", host->n_loops,
                            N_SHARDS);
    struct kv_store *store = aligned_alloc(_Alignof(struct kv_store), sizeof(*store));
    if (store == NULL)
        return kv_error_set(reterr, "store memory: no memory");
    memset(store, 0, sizeof(*store));
    store->host = host;
    store->is_ordered = options[OPTION_ORDERED].boolean;
    store->max_bytes = (uint64_t)options[OPTION_MAX_BYTES].integer;
    atomic_init(&store->revision, kv_revision_start(host->base.wall_us(&host->base)));
    atomic_init(&store->bytes, 0);
    if (init(store, reterr) != 0) {
        memory_close(store);
        return -1;
    }
    *ret_store = store;
    return 0;
}

static void memory_info(struct kv_store *store, struct kv_store_info *ret_info)
{
    ret_info->parts = N_SHARDS;
    ret_info->lacks = store->is_ordered ? 0 : KV_STORE_ORDERED | KV_STORE_SEEKS;
    memcpy(ret_info->epoch, store->epoch_name, sizeof(store->epoch_name));
}

static uint64_t memory_revision(struct kv_store *store)
{
    return atomic_load(&store->revision);
}

static void memory_ref(struct kv_store *store, void *ref)
{
    (void)store;
    entry_ref(ref);
}

static void memory_unref(struct kv_store *store, void *ref)
{
    (void)store;
    entry_unref(ref);
}

/* With room for a deadline, which is not yet known. */
static struct kv_item memory_stage(struct kv_store *store, struct kv_slice key,
                                   struct kv_slice value)
{
    struct kv_item staged = {0};
    struct entry *entry = NULL;
    (void)store;
    if (key.len <= ENTRY_MAX_KEY && value.len <= ENTRY_MAX_VALUE)
        entry = entry_create(key, value, 0);
    if (entry != NULL)
        staged = entry_item(entry, KV_NEVER);
    return staged;
}

static uint64_t count_keys(struct kv_store *store)
{
    uint64_t n = 0;
    for (uint32_t i = 0; i < N_SHARDS; i++) {
        pthread_mutex_lock(&store->shards[i].lock);
        n += store->shards[i].table.n_entries;
        pthread_mutex_unlock(&store->shards[i].lock);
    }
    return n;
}

static void memory_metrics(struct kv_store *store, struct kv_metrics_out *out)
{
    static const struct kv_metric keys = {"kvserver_store_keys", KV_METRIC_GAUGE, NULL, "Keys"};
    static const struct kv_metric bytes = {"kvserver_store_bytes", KV_METRIC_GAUGE, "bytes",
                                           "Keys and values"};
    static const struct kv_metric limit = {"kvserver_store_limit_bytes", KV_METRIC_GAUGE, "bytes",
                                           "The most that keys and values may add up to"};
    out->number(out, &keys, count_keys(store));
    if (store->max_bytes == 0)
        return;
    out->number(out, &bytes, atomic_load_explicit(&store->bytes, memory_order_relaxed));
    out->number(out, &limit, store->max_bytes);
}

static const struct kv_store_ops memory_ops = {
    .size = sizeof(memory_ops),
    .open = memory_open,
    .info = memory_info,
    .submit = memory_submit,
    .scan = memory_scan,
    .expire = memory_expire,
    .ref = memory_ref,
    .unref = memory_unref,
    .close = memory_close,
    .revision = memory_revision,
    .stage = memory_stage,
    .metrics = memory_metrics,
};

static const struct kv_module memory_module = {
    KV_MODULE_IDENTITY,
    .kind = KV_MODULE_STORE,
    .name = "memory",
    .version = "1.0",
    .capabilities = KV_STORE_SYNC | KV_STORE_UPDATES | KV_STORE_ORDERED | KV_STORE_SEEKS,
    .options = memory_options,
    .n_options = N_OPTIONS,
    .ops = &memory_ops,
};

KV_MODULE_EXPORT(&memory_module)
