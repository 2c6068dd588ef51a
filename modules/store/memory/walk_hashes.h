/* Scans of a store without order: all keys by their hashes, which is the order of tables. */
#ifndef KV_MEMORY_WALK_HASHES_H
#define KV_MEMORY_WALK_HASHES_H

#include "shards.h"

/* Fills the page. Returns: its status. Within an epoch. */
enum kv_status walk_hashes(struct kv_store *store, struct kv_scan *scan);

#endif
