/* A page of a scan. */
#ifndef KV_MEMORY_PAGE_H
#define KV_MEMORY_PAGE_H

#include "shards.h"

/* Initializes the page for the host as empty. */
void page_init(struct kv_scan *scan);

/* Adds an entry found in the epoch, unless its key is not wanted or has expired. There must be
 * room. */
void page_add(struct kv_store *store, struct kv_scan *scan, struct entry *entry);

/* Makes the cursor of the next page, of two parts. Returns: false if memory runs out. */
bool page_set_next(struct kv_scan *scan, struct kv_slice head, struct kv_slice key);

/* Releases the entries added. */
void page_drop(struct kv_scan *scan);

#endif
