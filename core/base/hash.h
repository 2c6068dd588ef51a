/*
 * The keyed hash of keys: XXH3 with a secret of this process, so that no client can choose keys
 * that collide. Never stored, never sent.
 */
#ifndef KV_BASE_HASH_H
#define KV_BASE_HASH_H

#include <kvserver/types.h>

/* Generates the secret, on the first call. Call before threads start. */
void kv_hash_init(void);

uint64_t kv_hash(struct kv_slice key);

#endif
