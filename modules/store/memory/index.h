/*
 * The keys of one shard in their order, beside its table: a tree of references (tree.h).
 *
 * A reference is the hash of a key, by which the table finds its entry. So the tree has to change
 * only where a key comes or goes: a write over a key that is there makes another entry, which has
 * the same hash. Where two keys of the shard have the same hash, the later one is a twin
 * (entry.h), and its reference is the address of its entry, which each write over it has to change.
 *
 * Everything here is under the shard's lock.
 */
#ifndef KV_MEMORY_INDEX_H
#define KV_MEMORY_INDEX_H

#include "table.h"
#include "tree.h"

struct index {
    struct tree tree;
    struct table *table;
    const struct kv_store_host *host;
};

void index_init(struct index *index, struct table *table, const struct kv_store_host *host);
void index_fini(struct index *index);

/* Puts in a key that the table is to have next, and decides whether its entry is a twin. place: see
 * tree_insert(). Returns: false if memory runs out, with nothing done. */
bool index_insert(struct index *index, const struct probe *probe, struct entry *entry,
                  const struct tree_place *place);

/* Takes out the entry's key, which the table need not have any more. */
void index_remove(struct index *index, const struct probe *probe, const struct entry *entry);

/* Another twin takes the place of this one, which is still in the table. */
void index_replace(struct index *index, const struct probe *probe, const struct entry *twin,
                   const struct entry *fresh);

/* The entries from the position on whose keys have the prefix, in the order of their keys. Returns:
 * how many; fewer than `max` only if there are no more. */
size_t index_read(struct index *index, const struct tree_position *from, struct kv_slice prefix,
                  struct entry **entries, size_t max);

#endif
