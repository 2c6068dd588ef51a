#include "scan.h"

#include "page.h"
#include "walk_hashes.h"
#include "walk_keys.h"

void memory_scan(struct kv_store *store, uint32_t loop, struct kv_scan *scan)
{
    page_init(scan);
    epoch_enter(&store->epochs, loop);
    scan->status = store->is_ordered ? walk_keys(store, scan) : walk_hashes(store, scan);
    if (scan->status != KV_OK)
        page_drop(scan);
    shards_leave(store, loop);
}
