/*
 * The parts of a store whose data is on other servers, for operators: which server has each of
 * them, whether it is connected, and how far behind it is.
 */
#ifndef KV_KEYSPACE_PARTITIONS_H
#define KV_KEYSPACE_PARTITIONS_H

#include "base/metrics.h"
#include "keyspace/item.h"

struct kv_partition_counts {
    uint32_t n;
    uint32_t n_connected;
};

/* Whether the store is open and reports its parts. */
static inline bool kv_partitions_are_told(const struct kv_store_link *store)
{
    return kv_store_is_ready(store) && store->ops->parts != NULL;
}

/* The state that a store reports. The members that an older store does not know are zeros. */
struct kv_part_state kv_partition_state(const struct kv_part_state *given);

/* For a store that reports its parts. Threads: any. */
struct kv_partition_counts kv_partitions_count(const struct kv_store_link *store);

/* Writes their metrics; nothing if the store does not report its parts. Threads: any. */
void kv_partitions_collect(const struct kv_store_link *store, struct kv_metrics_text *text);

#endif
