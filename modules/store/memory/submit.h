/* The operation `submit`: commands. */
#ifndef KV_MEMORY_SUBMIT_H
#define KV_MEMORY_SUBMIT_H

#include <kvserver/store.h>

void memory_submit(struct kv_store *store, uint32_t loop, struct kv_cmd *const *cmds, size_t n);

#endif
