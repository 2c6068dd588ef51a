/*
 * Shared by all parts of an open store. Nothing here changes once the store's threads run.
 */
#ifndef KV_DURABLE_BASE_H
#define KV_DURABLE_BASE_H

#include "engine.h"
#include "folder.h"
#include "overlay.h"
#include "record.h"
#include "states.h"

enum durability {
    DURABILITY_ALWAYS,
    DURABILITY_INTERVAL,
    DURABILITY_OS
};

struct base {
    const struct kv_store_host *host;
    const struct kv_engine_ops *ops;
    struct kv_engine *engine;
    const char *path;
    struct folder folder;
    struct record_clock clock;
    struct states *states;
    struct overlay *overlay; /* of the states that the engine lacks */
    char epoch[KV_EPOCH_MAX];
    enum durability durability;
    int64_t interval_ms;
    size_t journal_size; /* bytes of the journal that the engine may lack on its disk */
    bool is_read_only;
};

/* The host's clock. */
static inline int64_t base_now_ms(const struct base *base)
{
    return base->host->base.now_ms(&base->host->base);
}

/* The store's clock (record.h). */
static inline int64_t base_store_ms(const struct base *base)
{
    return base_now_ms(base) + base->clock.offset_ms;
}

/* Logs a line. of: the base. */
#define base_log(of, level, ...) ((of)->host->base.log(&(of)->host->base, (level), __VA_ARGS__))

#endif
