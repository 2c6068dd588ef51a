#include "shards.h"

void shards_leave(struct kv_store *store, uint32_t loop)
{
    epoch_leave(&store->epochs, loop);
    if (epoch_reclaim(&store->epochs, loop))
        return;
    /* Another loop was inside, or there was much. Were this one to sleep now, what it retired would
     * stay: so it is called once more, for the part that bears its number. */
    const struct kv_store_host *host = store->host;
    host->wake_at(host, loop, host->base.now_ms(&host->base) + LATER_MS);
}
