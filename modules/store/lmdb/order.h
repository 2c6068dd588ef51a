/*
 * The order of long keys. In the table of records, those with the same first part stand in the
 * order of their hashes; here, in their own.
 *
 * What is behind the first part is parted into chunks. The chunks that follow the same bytes are a
 * layer, as in the trie of trees of Mao, Kohler and Morris, "Cache Craftiness for Fast Multicore
 * Key-Value Storage" (Masstree, 2012); a layer's number is the hash of these bytes. An entry's key:
 *
 *   16 bytes  the layer
 *   the chunk; where it is a whole one, behind it 1 byte: 0: the key ends there, 1: it goes on
 *
 * and its value: 1 byte, 'k': a single key begins so, or 'l': more may; 16 bytes: the hash of that
 * key, or the layer of what follows. So there are only as many layers as it takes to tell keys
 * apart, and a page reads as many entries as it returns keys, and one for each layer it goes down.
 */
#ifndef KV_LMDB_ORDER_H
#define KV_LMDB_ORDER_H

#include "engine.h"

enum {
    ORDER_ENTRY_BYTES = MOST_KEY + 1 + HASH_BYTES /* of key and value, at most */
};

/* A long key has come, with its row. Returns: an error of LMDB, or 0; also where it was there. */
int order_add(struct kv_engine *engine, MDB_txn *txn, struct kv_slice key);

/* It is gone. */
int order_remove(struct kv_engine *engine, MDB_txn *txn, struct kv_slice key);

/* Entries that a key has at most. */
static inline size_t order_most_entries(size_t key_len)
{
    return (key_len - 1) / PREFIX_BYTES;
}

/* Visits the long keys from `from` on that have this first part, in their order.
 * Returns: as order_add(); MDB_NOTFOUND where the visitor has not had enough. */
int order_walk(struct kv_engine *engine, MDB_txn *txn, const char first_part[PREFIX_BYTES],
               struct kv_slice from, kv_engine_visit_fn visit, void *context);

/* At opening, of a file that was made before there was this table: adds all long keys. */
int order_build(struct kv_engine *engine);

#endif
