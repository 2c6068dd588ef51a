/* A page of a scan: what goes into it. */
#ifndef KV_MEMORY_PAGE_H
#define KV_MEMORY_PAGE_H

#include "shards.h"

/* Empties the page that the host asks for. */
void page_init(struct kv_scan *scan);

/* Adds the entry, found in the epoch, unless its key is not wanted or has expired. There is room.
 */
void page_add(struct kv_store *store, struct kv_scan *scan, struct entry *entry);

/* Makes the cursor of the next page, of two parts. Returns: false if memory runs out. */
bool page_set_next(struct kv_scan *scan, struct kv_slice head, struct kv_slice key);

/* Gives back what was added. */
void page_drop(struct kv_scan *scan);

#endif
