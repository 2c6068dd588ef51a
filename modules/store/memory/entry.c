/* Entries: making and freeing. */
#include "entry.h"

#include <stdlib.h>

/* From here on an entry always has room for a deadline: 16 bytes more matter no longer, and a TTL
 * that comes later does not have to copy the value under the lock. */
#define LONG_VALUE 1024

static char *init_head(struct entry *entry, struct kv_slice key, uint64_t value_len)
{
    *entry = (struct entry){
        .key_len = (uint32_t)key.len,
        .value_len_low = (uint32_t)value_len,
        .value_len_high = (uint8_t)(value_len >> 32),
    };
    atomic_init(&entry->n_refs, 1);
    return entry->bytes;
}

static char *init_timed(struct timed *timed, struct kv_slice key, uint64_t value_len,
                        int64_t deadline_ms)
{
    init_head(&timed->entry, key, value_len);
    timed->entry.revision = ENTRY_TIMED;
    atomic_init(&timed->deadline_ms, deadline_ms);
    timed->links = 0;
    return timed->bytes;
}

struct entry *entry_create(struct kv_slice key, struct kv_slice value, int64_t deadline_ms)
{
    bool is_timed = deadline_ms != KV_NEVER || value.len >= LONG_VALUE;
    size_t head = is_timed ? sizeof(struct timed) : sizeof(struct entry);
    struct entry *entry = malloc(head + key.len + value.len);
    if (entry == NULL)
        return NULL;
    char *bytes = is_timed ? init_timed((struct timed *)entry, key, value.len, deadline_ms)
                           : init_head(entry, key, value.len);
    if (key.len != 0)
        memcpy(bytes, key.bytes, key.len);
    if (value.len != 0)
        memcpy(bytes + key.len, value.bytes, value.len);
    return entry;
}

void entry_unref(struct entry *entry)
{
    if (entry != NULL && atomic_fetch_sub_explicit(&entry->n_refs, 1, memory_order_acq_rel) == 1)
        free(entry);
}
