#include "opening.h"

enum {
    QUIET_MS = 1000
};

void opening_begin(struct kv_store *store)
{
    store->own_opening = (struct opening){.since_ms = link_clock_ms()};
    store->opening = &store->own_opening;
}

void opening_note(const struct kv_store *store, const struct kv_error *error)
{
    const struct kv_host *host = &store->host->base;
    struct opening *opening = store->opening;
    if (opening->is_logged || link_clock_ms() - opening->since_ms < QUIET_MS)
        return;
    opening->is_logged = true;
    host->log(host, KV_LOG_WARN, "waiting for Redis: %s", error->text);
}
