#include "entry.h"

#include <stdlib.h>

static char *append(char *at, struct kv_slice bytes)
{
    if (bytes.len != 0)
        memcpy(at, bytes.bytes, bytes.len);
    return at + bytes.len;
}

struct entry *entry_create_unfilled(struct kv_slice key, uint64_t hash, struct kv_slice value,
                                    size_t n_unfilled, uint64_t revision, int64_t deadline_ms)
{
    struct entry *entry = malloc(sizeof(*entry) + key.len + value.len + n_unfilled);
    if (entry == NULL)
        return NULL;
    memset(entry, 0, sizeof(*entry));
    atomic_init(&entry->n_refs, 1);
    entry->hash = hash;
    entry->revision = revision;
    entry->deadline_ms = deadline_ms;
    entry->key_len = key.len;
    entry->value_len = value.len + n_unfilled;
    append(append(entry->bytes, key), value);
    return entry;
}

struct entry *entry_create(struct kv_slice key, uint64_t hash, struct kv_slice value,
                           uint64_t revision, int64_t deadline_ms)
{
    return entry_create_unfilled(key, hash, value, 0, revision, deadline_ms);
}

struct entry *entry_create_absent(struct kv_slice key, uint64_t hash)
{
    return entry_create(key, hash, (struct kv_slice){0}, 0, KV_NEVER);
}

void entry_destroy(struct entry *entry)
{
    value_file_discard(entry->file);
    free(entry);
}
