#include "writer.h"

#include <assert.h>

uint64_t writer_take_away(const struct writer *writer, enum kv_reason reason, struct place *place)
{
    struct kv_store *store = writer->store;
    struct entry *entry = place->entry;
    struct gardener gardener = writer_gardener(writer);
    assert(entry != NULL);
    writer_stop_deadline(entry);
    table_remove(&writer->shard->table, &gardener, &writer->probe, place);
    if (store->is_ordered)
        index_remove(&writer->shard->index, &writer->probe, entry);
    writer_count_bytes(store, 0, entry_size(entry));
    struct kv_change change = {
        .reason = reason,
        .revision = writer_next_revision(store),
        .hash = writer->hash,
        .key = entry_key(entry),
        .before = entry_item(entry, entry_deadline(entry)),
    };
    store->host->changed(store->host, writer->part, &change);
    writer_retire(writer, entry);
    return change.revision;
}
