/*
 * The order of long keys. The table of records sorts those with the same first part by their
 * hashes; this table sorts them by their bytes.
 *
 * The rest of a key, behind its first part, is divided into chunks. The chunks that follow the same
 * bytes form a layer, as in the trie of trees of Mao, Kohler and Morris, "Cache Craftiness for Fast
 * Multicore Key-Value Storage" (Masstree, 2012). A layer's number is the hash of the bytes before
 * it. The key of an entry:
 *
 *   16 bytes  the layer
 *   the chunk; if it is a whole one, 1 more byte: 0: the key ends there, 1: it continues
 *
 * Its value: 1 byte: 'k': only one key continues this way, or 'l': several may; 16 bytes: the hash
 * of that key, or the layer that follows. So there are only as many layers as are needed to tell
 * keys apart, and a page reads one entry for each key, and one for each layer that it descends.
 */
#ifndef KV_LMDB_ORDER_H
#define KV_LMDB_ORDER_H

#include "engine.h"

enum {
    ORDER_ENTRY_BYTES = MOST_KEY + 1 + HASH_BYTES /* of key and value, at most */
};

/* Adds a long key, whose row has been added. Returns: an error of LMDB; 0, also if the key is there
 * already. */
int order_add(struct kv_engine *engine, MDB_txn *txn, struct kv_slice key);

/* Removes it. */
int order_remove(struct kv_engine *engine, MDB_txn *txn, struct kv_slice key);

/* The most entries that a key can have. */
static inline size_t order_most_entries(size_t key_len)
{
    return (key_len - 1) / PREFIX_BYTES;
}

/* Visits the long keys from `from` on that have this first part, in their order.
 * Returns: as order_add(); MDB_NOTFOUND if the visitor did not stop. */
int order_walk(struct kv_engine *engine, MDB_txn *txn, const char first_part[PREFIX_BYTES],
               struct kv_slice from, kv_engine_visit_fn visit, void *context);

/* Adds all long keys. Called when a file is opened that was made without this table. */
int order_build(struct kv_engine *engine);

#endif
