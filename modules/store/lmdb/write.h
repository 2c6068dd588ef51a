/*
 * The transaction of the next commit.
 */
#ifndef KV_LMDB_WRITE_H
#define KV_LMDB_WRITE_H

#include "engine.h"

enum {
    SEED_BYTES = 8
};

/* Rows of the table of meta data: the seed, and one that exists if order.h's table has all long
 * keys. */
#define SEED  KV_SLICE("lmdb-seed")
#define ORDER KV_SLICE("lmdb-order")

/* As in kv_engine_ops. */
void engine_put(struct kv_engine *engine, enum kv_engine_table table, struct kv_slice key,
                struct kv_slice value);
void engine_erase(struct kv_engine *engine, enum kv_engine_table table, struct kv_slice key);

/* Returns: an error of LMDB, or 0. */
int write_commit(struct kv_engine *engine);

/* A commit that changes nothing, so that the next one may reuse the pages freed by the last. */
int write_nothing(struct kv_engine *engine);

#endif
