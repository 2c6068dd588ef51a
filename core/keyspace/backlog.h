/*
 * A backlog: the newest state of each key that waits to be sent to one client, in the order in
 * which these states came. Its memory is counted, that of a state once for all backlogs of a loop.
 */
#ifndef KV_KEYSPACE_BACKLOG_H
#define KV_KEYSPACE_BACKLOG_H

#include "base/list.h"
#include "base/table.h"
#include "keyspace/news.h"

/* One of these states. */
struct kv_behind {
    struct kv_table_node node;
    struct kv_list in_order;
    struct kv_kept_news *kept;
    struct kv_coverage coverage;
    uint32_t cost;
    uint64_t number; /* of those that were put into the backlog before */
};

struct kv_backlog {
    struct kv_tally *tally;
    struct kv_table by_key;
    struct kv_list in_order;
    uint32_t cost;  /* of keys that are covered by prefixes only: 1 each, and one more for each KiB
                       that the backlog alone keeps in memory */
    size_t bytes;   /* that it keeps in memory, as if it shared nothing */
    uint64_t n_put; /* so far */
};

/* tally: of the loop; NULL counts nothing. */
void kv_backlog_init(struct kv_backlog *backlog, struct kv_tally *tally);
/* Empties it, and gives its memory back. */
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

/* A state of a key, or the first of all. Returns: NULL where there is none. */
struct kv_behind *kv_backlog_find(const struct kv_backlog *backlog, struct kv_slice key,
                                  uint64_t hash);
struct kv_behind *kv_backlog_first(const struct kv_backlog *backlog);

void kv_backlog_remove(struct kv_backlog *backlog, struct kv_behind *behind);

/* Removes the states of a key up to a revision. */
void kv_backlog_remove_upto(struct kv_backlog *backlog, struct kv_slice key, uint64_t hash,
                            uint64_t revision);

/* Removes the states of keys that are covered by prefixes only. */
void kv_backlog_keep_keys(struct kv_backlog *backlog);

#endif
