#include "held.h"

struct reading {
    const struct base *base;
    const struct entry *unknown;
    struct entry *entry;
    bool is_damaged;
};

static void take_record(void *context, struct kv_slice row)
{
    struct reading *reading = context;
    reading->entry = record_read(entry_key(reading->unknown), reading->unknown->hash, row,
                                 reading->base->clock, &reading->is_damaged);
}

struct entry *held_learn(const struct base *base, struct entry *unknown, enum kv_status *ret_fault)
{
    struct reading reading = {.base = base, .unknown = unknown};
    enum kv_engine_status status =
        base->ops->get(base->engine, KV_ENGINE_RECORDS, entry_key(unknown), KV_ENGINE_ANYWHERE,
                       take_record, &reading);
    *ret_fault = KV_OK;
    if (status == KV_ENGINE_ABSENT || reading.entry != NULL)
        return states_learn(base->states, unknown, reading.entry);
    *ret_fault = status != KV_ENGINE_OK || reading.is_damaged ? KV_IO : KV_FULL;
    return unknown;
}
