/*
 * What the store hands out: a key and a value, counted, and never changed.
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

/* It stands before the key, so that this is a cursor behind any key, and never empty. */
#define RECORD_MARK '>'

/* Returns: one with a reference; NULL where there is no memory. */
struct record *record_create(struct kv_slice key, struct kv_slice value);
void record_ref(struct record *record);
/* Accepts NULL. */
void record_unref(struct record *record);

struct kv_slice record_cursor(const struct record *record);
struct kv_slice record_key(const struct record *record);
struct kv_slice record_value(const struct record *record);

#endif
