#include "keyspace/backlog.h"

#include <stdlib.h>

#include "base/mem.h"

struct entry {
    struct kv_table_node node;
    struct kv_list in_order;
    struct kv_kept_news *kept;
    uint32_t cost;
};

enum {
    COST_BYTES = 1024
};

void kv_backlog_init(struct kv_backlog *backlog)
{
    *backlog = (struct kv_backlog){0};
    kv_list_init(&backlog->in_order);
}

/* A store that completes within submit() has its values in memory anyway. */
uint32_t kv_backlog_cost(const struct kv_store_link *store, const struct kv_news *news)
{
    size_t bytes = news->key.len + (store->is_sync ? 0 : news->state.value.len);
    return 1 + (uint32_t)(bytes / COST_BYTES);
}

static struct entry *find(const struct kv_backlog *backlog, struct kv_slice key, uint64_t hash)
{
    KV_TABLE_EACH(&backlog->by_key, hash, node)
    {
        struct entry *entry = KV_CONTAINER(node, struct entry, node);
        if (kv_slice_equals(entry->kept->news.key, key))
            return entry;
    }
    return NULL;
}

static void destroy(struct kv_backlog *backlog, struct entry *entry)
{
    backlog->cost -= entry->cost;
    kv_table_remove(&backlog->by_key, &entry->node);
    kv_list_remove(&entry->in_order);
    kv_kept_news_release(entry->kept);
    free(entry);
}

void kv_backlog_put(struct kv_backlog *backlog, const struct kv_store_link *store,
                    struct kv_news *news)
{
    struct entry *older = find(backlog, news->key, news->hash);
    if (older != NULL)
        destroy(backlog, older);
    struct entry *entry = kv_alloc(sizeof(*entry));
    *entry =
        (struct entry){.kept = kv_news_keep(news, store), .cost = kv_backlog_cost(store, news)};
    backlog->cost += entry->cost;
    kv_table_insert(&backlog->by_key, &entry->node, news->hash);
    kv_list_append(&backlog->in_order, &entry->in_order);
}

struct kv_news *kv_backlog_find(const struct kv_backlog *backlog, struct kv_slice key,
                                uint64_t hash)
{
    struct entry *entry = find(backlog, key, hash);
    return entry == NULL ? NULL : &entry->kept->news;
}

struct kv_news *kv_backlog_first(const struct kv_backlog *backlog)
{
    if (kv_backlog_is_empty(backlog))
        return NULL;
    return &KV_CONTAINER(backlog->in_order.next, struct entry, in_order)->kept->news;
}

void kv_backlog_remove(struct kv_backlog *backlog, const struct kv_news *news)
{
    destroy(backlog, find(backlog, news->key, news->hash));
}

void kv_backlog_keep_only(struct kv_backlog *backlog,
                          bool (*is_wanted)(void *user, const struct kv_news *news), void *user)
{
    KV_LIST_EACH(&backlog->in_order, link, after)
    {
        struct entry *entry = KV_CONTAINER(link, struct entry, in_order);
        if (!is_wanted(user, &entry->kept->news))
            destroy(backlog, entry);
    }
}

static bool is_nobodys(void *user, const struct kv_news *news)
{
    (void)user;
    (void)news;
    return false;
}

void kv_backlog_fini(struct kv_backlog *backlog)
{
    kv_backlog_keep_only(backlog, is_nobodys, NULL);
    kv_table_fini(&backlog->by_key);
}
