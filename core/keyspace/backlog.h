/*
 * A backlog: the newest state of each key that waits to be sent to one client, in the order in
 * which these states came.
 */
#ifndef KV_KEYSPACE_BACKLOG_H
#define KV_KEYSPACE_BACKLOG_H

#include "base/list.h"
#include "base/table.h"
#include "keyspace/news.h"

struct kv_backlog {
    struct kv_table by_key;
    struct kv_list in_order;
    uint32_t cost; /* of all: see kv_backlog_cost() */
};

void kv_backlog_init(struct kv_backlog *backlog);
/* Empties it, and gives its memory back. */
void kv_backlog_fini(struct kv_backlog *backlog);

static inline bool kv_backlog_is_empty(const struct kv_backlog *backlog)
{
    return kv_list_is_empty(&backlog->in_order);
}

/* How much one state costs: 1, and one more for each KiB that only the backlog keeps in memory. */
uint32_t kv_backlog_cost(const struct kv_store_link *store, const struct kv_news *news);

/* Adds a state, in place of an earlier one of the key. */
void kv_backlog_put(struct kv_backlog *backlog, const struct kv_store_link *store,
                    struct kv_news *news);

/* The state of a key, or the first of all. Returns: NULL where there is none; lent until it is
 * removed. */
struct kv_news *kv_backlog_find(const struct kv_backlog *backlog, struct kv_slice key,
                                uint64_t hash);
struct kv_news *kv_backlog_first(const struct kv_backlog *backlog);

/* Removes a state that find or first gave. */
void kv_backlog_remove(struct kv_backlog *backlog, const struct kv_news *news);

/* Removes all of them that are wanted no more. */
void kv_backlog_keep_only(struct kv_backlog *backlog,
                          bool (*is_wanted)(void *user, const struct kv_news *news), void *user);

#endif
