/*
 * Keys in the form used in LMDB's trees.
 */
#ifndef KV_LMDB_KEYS_H
#define KV_LMDB_KEYS_H

#include "engine.h"

struct tree_key {
    MDB_val val;
    bool is_long;
    char bytes[MOST_KEY];
};

void make_key(const struct kv_engine *engine, enum kv_engine_table table, struct kv_slice key,
              struct tree_key *ret);

/* Splits the row of a long key into the whole key and the value after it. Returns: false if the row
 * is damaged. */
bool split_long(MDB_val row, struct kv_slice *ret_key, struct kv_slice *ret_value);

#endif
