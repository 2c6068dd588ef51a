/* Scans of an ordered store: all keys in order, from any start. */
#ifndef KV_MEMORY_WALK_KEYS_H
#define KV_MEMORY_WALK_KEYS_H

#include "shards.h"

/* Fills the page. Returns: its status. Within an epoch. */
enum kv_status walk_keys(struct kv_store *store, struct kv_scan *scan);

#endif
