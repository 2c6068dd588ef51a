/*
 * A state of a key: its value, or that the key is missing. Immutable and reference-counted; passed
 * to readers and subscribers, and kept in memory for published states (states.h).
 */
#ifndef KV_DURABLE_ENTRY_H
#define KV_DURABLE_ENTRY_H

#include <kvserver/store.h>

#include <stdatomic.h>

#include "value_file.h"

struct entry {
    atomic_uint n_refs;

    /* Its place among the published states: under the lock of its shard (states.c). */
    uint32_t n_holds;       /* batches in progress that may replace it */
    bool is_unknown;        /* held, and not read from the engine yet */
    bool was_used;          /* since the clock's hand last passed */
    struct entry *in_chain; /* the next of the same bucket */

    uint64_t sequence; /* of the journal's record; 0: read from the engine */

    struct value_file *file; /* owned: the value is on the disk, and no record refers to it
                                yet; NULL: it is not */

    uint64_t hash;
    uint64_t revision;   /* 0: the key is missing */
    int64_t deadline_ms; /* on the host's clock, or KV_NEVER */
    size_t key_len;
    size_t value_len;
    char bytes[]; /* the key, the value */
};

/* A state with a value. Returns: NULL if memory runs out. Owns: the caller, one reference. */
struct entry *entry_create(struct kv_slice key, uint64_t hash, struct kv_slice value,
                           uint64_t revision, int64_t deadline_ms);

/* The same with a value whose last `n_unfilled` bytes the caller fills in before the entry is
 * visible to others. */
struct entry *entry_create_unfilled(struct kv_slice key, uint64_t hash, struct kv_slice value,
                                    size_t n_unfilled, uint64_t revision, int64_t deadline_ms);

/* The state of a missing key. */
struct entry *entry_create_absent(struct kv_slice key, uint64_t hash);

/* Threads: any. */
static inline struct entry *entry_ref(struct entry *entry)
{
    atomic_fetch_add_explicit(&entry->n_refs, 1, memory_order_relaxed);
    return entry;
}

/* Called by entry_unref() when the last reference is gone. */
void entry_destroy(struct entry *entry);

/* Accepts NULL. Threads: any. */
static inline void entry_unref(struct entry *entry)
{
    if (entry != NULL && atomic_fetch_sub_explicit(&entry->n_refs, 1, memory_order_acq_rel) == 1)
        entry_destroy(entry);
}

static inline bool entry_is_there(const struct entry *entry)
{
    return entry->revision != 0;
}

static inline struct kv_slice entry_key(const struct entry *entry)
{
    return (struct kv_slice){.bytes = entry->bytes, .len = entry->key_len};
}

static inline struct kv_slice entry_value(const struct entry *entry)
{
    return (struct kv_slice){.bytes = entry->bytes + entry->key_len, .len = entry->value_len};
}

/* The entry as an item, without a reference of its own; all zero for a missing key. */
static inline struct kv_item entry_item(struct entry *entry)
{
    if (!entry_is_there(entry))
        return (struct kv_item){0};
    return (struct kv_item){
        .value = entry_value(entry),
        .revision = entry->revision,
        .deadline_ms = entry->deadline_ms,
        .ref = entry,
    };
}

/* The memory that it uses. */
static inline size_t entry_size(const struct entry *entry)
{
    return sizeof(*entry) + entry->key_len + entry->value_len;
}

#endif
