/*
 * Walks in the order of the keys.
 */
#ifndef KV_LMDB_WALK_H
#define KV_LMDB_WALK_H

#include "engine.h"

/* As kv_engine_ops.walk. Returns: an error of LMDB, or 0. */
int walk_rows(struct kv_engine *engine, enum kv_engine_table table, struct kv_slice from,
              kv_engine_visit_fn visit, void *context);

#endif
