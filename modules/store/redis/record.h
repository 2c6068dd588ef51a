/*
 * Items that the store hands out: an immutable key and value with a reference count.
 */
#ifndef KV_STORE_REDIS_RECORD_H
#define KV_STORE_REDIS_RECORD_H

#include <kvserver/types.h>

#include <stdatomic.h>

struct record {
    atomic_size_t n_refs;
    size_t key_len;
    size_t value_len;
    char bytes[]; /* RECORD_MARK, the key, the value */
};

/* It precedes the key, so that the two are a cursor, which is never empty, whatever the key. */
#define RECORD_MARK '>'
/* Instead of it in a cluster: the cursor of a walk that begins with the partition whose number
 * follows. */
#define RECORD_PART_MARK '<'

/* Returns: a record with one reference; NULL if there is no memory. */
struct record *record_create(struct kv_slice key, struct kv_slice value);
void record_ref(struct record *record);
/* Accepts NULL. */
void record_unref(struct record *record);

struct kv_slice record_cursor(const struct record *record);
struct kv_slice record_key(const struct record *record);
struct kv_slice record_value(const struct record *record);

#endif
