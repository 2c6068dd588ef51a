/* The operation `expire`: removes keys past their deadlines. */
#ifndef KV_MEMORY_EXPIRE_H
#define KV_MEMORY_EXPIRE_H

#include <kvserver/store.h>

int64_t memory_expire(struct kv_store *store, uint32_t part, int64_t now_ms, uint32_t max);

#endif
