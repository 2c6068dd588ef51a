/*
 * Which changes come from hooks.
 */
#ifndef KV_SCRIPT_ORIGIN_H
#define KV_SCRIPT_ORIGIN_H

#include <kvserver/types.h>

struct kv_origins;

/* A write of a hook that is under way, or whose change has not been seen. */
struct kv_origin;

struct kv_origins *kv_origins_create(void);
void kv_origins_destroy(struct kv_origins *origins); /* accepts NULL */

/* Changes bear the depth of their commands themselves (kv_cmd.mark): nothing is to be known of
 * writes. Before the first one. */
void kv_origins_rest(struct kv_origins *origins);

/* Before the write is sent. Threads: all of these, any. Returns: NULL where nothing is known. */
struct kv_origin *kv_origins_begin(struct kv_origins *origins, struct kv_slice key, uint32_t depth);

/* The write has ended. Accepts NULL. revision: of its change; 0 where there was none. */
void kv_origins_end(struct kv_origins *origins, struct kv_origin *origin, uint64_t revision);

/* A change is seen: each is once, those of a key in their order. Returns: its depth, 0 where no
 * hook made it. */
uint32_t kv_origins_see(struct kv_origins *origins, struct kv_slice key, uint64_t revision);

#endif
