/*
 * Finds out which changes come from hooks.
 */
#ifndef KV_SCRIPT_ORIGIN_H
#define KV_SCRIPT_ORIGIN_H

#include <kvserver/types.h>

struct kv_origins;

/* A write of a hook that is under way, or whose change has not been seen. */
struct kv_origin;

struct kv_origins *kv_origins_create(void);
void kv_origins_destroy(struct kv_origins *origins); /* accepts NULL */

/* From now on, changes carry the depth of their commands (kv_cmd.mark), so writes need not be
 * tracked. Call before the first write. */
void kv_origins_rest(struct kv_origins *origins);

/* Call before the write is sent. Threads: any, for all of these functions. Returns: NULL if writes
 * are not tracked. */
struct kv_origin *kv_origins_begin(struct kv_origins *origins, struct kv_slice key, uint32_t depth);

/* Call when the write has ended. Accepts NULL. revision: of its change; 0 if there was none. */
void kv_origins_end(struct kv_origins *origins, struct kv_origin *origin, uint64_t revision);

/* Call for each change once, in order for each key. Returns: its depth, 0 if no hook made it. */
uint32_t kv_origins_see(struct kv_origins *origins, struct kv_slice key, uint64_t revision);

#endif
