#include "record.h"

#include <stdlib.h>

struct record *record_create(struct kv_slice key, struct kv_slice value)
{
    struct record *record = malloc(sizeof(*record) + 1 + key.len + value.len);
    if (record == NULL)
        return NULL;
    *record = (struct record){.n_refs = 1, .key_len = key.len, .value_len = value.len};
    record->bytes[0] = RECORD_MARK;
    if (key.len != 0)
        memcpy(record->bytes + 1, key.bytes, key.len);
    if (value.len != 0)
        memcpy(record->bytes + 1 + key.len, value.bytes, value.len);
    return record;
}

void record_ref(struct record *record)
{
    atomic_fetch_add_explicit(&record->n_refs, 1, memory_order_relaxed);
}

void record_unref(struct record *record)
{
    if (record != NULL && atomic_fetch_sub_explicit(&record->n_refs, 1, memory_order_acq_rel) == 1)
        free(record);
}

struct kv_slice record_cursor(const struct record *record)
{
    return (struct kv_slice){record->bytes, 1 + record->key_len};
}

struct kv_slice record_key(const struct record *record)
{
    return (struct kv_slice){record->bytes + 1, record->key_len};
}

struct kv_slice record_value(const struct record *record)
{
    return (struct kv_slice){record->bytes + 1 + record->key_len, record->value_len};
}
