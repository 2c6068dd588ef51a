/*
 * The calls of a loop: their memory, and their number.
 */
#ifndef KV_SCRIPT_CALLS_H
#define KV_SCRIPT_CALLS_H

#include "script/call.h"

/* key: lives as long as the call, or until the call gets another one. Owns: the caller. */
struct kv_script_call *kv_call_create(struct kv_script_loop *here, enum kv_hook hook,
                                      uint32_t depth, struct kv_slice key);
void kv_call_destroy(struct kv_script_call *call);

/* Destroys every call of the loop, and frees the memory kept for reuse. */
void kv_calls_fini(struct kv_script_loop *here);

#endif
