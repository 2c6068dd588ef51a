/* The operation `scan`: pages of keys. */
#ifndef KV_MEMORY_SCAN_H
#define KV_MEMORY_SCAN_H

#include <kvserver/store.h>

void memory_scan(struct kv_store *store, uint32_t loop, struct kv_scan *scan);

#endif
