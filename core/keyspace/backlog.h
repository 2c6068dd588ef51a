/*
 * A backlog: the newest state of each key that waits to be sent to one client, in the order in
 * which these states came. Its memory is counted; a state in several backlogs of a loop is counted
 * once.
 */
#ifndef KV_KEYSPACE_BACKLOG_H
#define KV_KEYSPACE_BACKLOG_H

#include "base/list.h"
#include "base/table.h"
#include "keyspace/news.h"

/* A state in a backlog. */
struct kv_behind {
    struct kv_table_node node;
    struct kv_list in_order;
    struct kv_kept_news *kept;
    struct kv_coverage coverage;
    uint32_t cost;
    uint64_t number; /* the value of n_put when it was added */
};

struct kv_backlog {
    struct kv_tally *tally;
    struct kv_table by_key;
    struct kv_list in_order;
    uint32_t cost;  /* counts keys that are covered only by prefixes: 1 each, and one more for each
                       KiB that only this backlog keeps in memory */
    size_t bytes;   /* kept in memory, as if nothing were shared */
    uint64_t n_put; /* states added so far */
};

/* tally: of the loop; NULL counts nothing. */
void kv_backlog_init(struct kv_backlog *backlog, struct kv_tally *tally);
/* Empties it, and frees its memory. */
void kv_backlog_fini(struct kv_backlog *backlog);

static inline bool kv_backlog_is_empty(const struct kv_backlog *backlog)
{
    return kv_list_is_empty(&backlog->in_order);
}

/* Adds a state, in place of an earlier one of the key. */
void kv_backlog_put(struct kv_backlog *backlog, const struct kv_store_link *store,
                    struct kv_news *news, struct kv_coverage coverage);

/* Adds a state, and keeps earlier ones of the key. */
void kv_backlog_add(struct kv_backlog *backlog, const struct kv_store_link *store,
                    struct kv_news *news, struct kv_coverage coverage);

/* Finds a key's state, or the first state of all. Returns: NULL if there is none. */
struct kv_behind *kv_backlog_find(const struct kv_backlog *backlog, struct kv_slice key,
                                  uint64_t hash);
struct kv_behind *kv_backlog_first(const struct kv_backlog *backlog);

void kv_backlog_remove(struct kv_backlog *backlog, struct kv_behind *behind);

/* Removes the states of a key up to a revision. */
void kv_backlog_remove_upto(struct kv_backlog *backlog, struct kv_slice key, uint64_t hash,
                            uint64_t revision);

/* Removes the states of keys that are covered only by prefixes. */
void kv_backlog_keep_keys(struct kv_backlog *backlog);

#endif
