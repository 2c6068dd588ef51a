#include "keyspace/backlog.h"

#include <stdlib.h>

#include "base/mem.h"

enum {
    COST_BYTES = 1024,
    OWN_BYTES = sizeof(struct kv_behind) + 32 /* with its place in the table, approximately */
};

void kv_backlog_init(struct kv_backlog *backlog, struct kv_tally *tally)
{
    *backlog = (struct kv_backlog){.tally = tally};
    kv_list_init(&backlog->in_order);
}

/* A store that completes within submit() has its values in memory anyway. */
static size_t bytes_of(const struct kv_store_link *store, const struct kv_news *news)
{
    return news->key.len + (store->is_sync ? 0 : news->state.value.len);
}

static uint32_t cost_of(const struct kv_store_link *store, const struct kv_news *news,
                        struct kv_coverage coverage)
{
    return coverage.by_key ? 0 : 1 + (uint32_t)(bytes_of(store, news) / COST_BYTES);
}

static void count(struct kv_backlog *backlog, const struct kv_behind *behind, int sign)
{
    const struct kv_kept_news *kept = behind->kept;
    size_t bytes = OWN_BYTES + bytes_of(kept->store, &kept->news);
    backlog->cost += (uint32_t)sign * behind->cost;
    backlog->bytes += (size_t)sign * bytes;
    kv_tally_add(backlog->tally, (int64_t)sign * OWN_BYTES);
}

static struct kv_behind *find_upto(const struct kv_backlog *backlog, struct kv_slice key,
                                   uint64_t hash, uint64_t revision)
{
    KV_TABLE_EACH(&backlog->by_key, hash, node)
    {
        struct kv_behind *behind = KV_CONTAINER(node, struct kv_behind, node);
        const struct kv_news *news = &behind->kept->news;
        if (news->revision <= revision && kv_slice_equals(news->key, key))
            return behind;
    }
    return NULL;
}

struct kv_behind *kv_backlog_find(const struct kv_backlog *backlog, struct kv_slice key,
                                  uint64_t hash)
{
    return find_upto(backlog, key, hash, UINT64_MAX);
}

void kv_backlog_put(struct kv_backlog *backlog, const struct kv_store_link *store,
                    struct kv_news *news, struct kv_coverage coverage)
{
    struct kv_behind *older = kv_backlog_find(backlog, news->key, news->hash);
    if (older != NULL)
        kv_backlog_remove(backlog, older);
    kv_backlog_add(backlog, store, news, coverage);
}

void kv_backlog_add(struct kv_backlog *backlog, const struct kv_store_link *store,
                    struct kv_news *news, struct kv_coverage coverage)
{
    struct kv_behind *behind = kv_alloc(sizeof(*behind));
    *behind = (struct kv_behind){.kept = kv_news_keep(news, store, backlog->tally),
                                 .coverage = coverage,
                                 .cost = cost_of(store, news, coverage),
                                 .number = backlog->n_put++};
    count(backlog, behind, 1);
    kv_table_insert(&backlog->by_key, &behind->node, news->hash);
    kv_list_append(&backlog->in_order, &behind->in_order);
}

struct kv_behind *kv_backlog_first(const struct kv_backlog *backlog)
{
    if (kv_backlog_is_empty(backlog))
        return NULL;
    return KV_CONTAINER(backlog->in_order.next, struct kv_behind, in_order);
}

void kv_backlog_remove(struct kv_backlog *backlog, struct kv_behind *behind)
{
    count(backlog, behind, -1);
    kv_table_remove(&backlog->by_key, &behind->node);
    kv_list_remove(&behind->in_order);
    kv_kept_news_release(behind->kept);
    free(behind);
}

void kv_backlog_remove_upto(struct kv_backlog *backlog, struct kv_slice key, uint64_t hash,
                            uint64_t revision)
{
    struct kv_behind *older;
    while ((older = find_upto(backlog, key, hash, revision)) != NULL)
        kv_backlog_remove(backlog, older);
}

void kv_backlog_keep_keys(struct kv_backlog *backlog)
{
    KV_LIST_EACH(&backlog->in_order, link, after)
    {
        struct kv_behind *behind = KV_CONTAINER(link, struct kv_behind, in_order);
        if (!behind->coverage.by_key)
            kv_backlog_remove(backlog, behind);
    }
}

void kv_backlog_fini(struct kv_backlog *backlog)
{
    KV_LIST_EACH(&backlog->in_order, link, after)
    kv_backlog_remove(backlog, KV_CONTAINER(link, struct kv_behind, in_order));
    kv_table_fini(&backlog->by_key);
}
