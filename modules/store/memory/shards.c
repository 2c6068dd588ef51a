#include "shards.h"

void shards_leave(struct kv_store *store, uint32_t loop)
{
    epoch_leave(&store->epochs, loop);
    if (epoch_reclaim(&store->epochs, loop))
        return;
    /* Another loop was inside, or there were many items. If this loop slept now, its retired items
     * would stay: so it requests another call, for the part with its number. */
    const struct kv_store_host *host = store->host;
    host->wake_at(host, loop, host->base.now_ms(&host->base) + LATER_MS);
}
