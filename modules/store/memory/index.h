/*
 * The keys of one shard in their order, beside its table: a tree of references (tree.h).
 *
 * A reference is the hash of a key, by which the table finds its entry. So the tree changes only
 * when a key is inserted or removed: overwriting a key makes another entry with the same hash. If
 * two keys of the shard have the same hash, the later one is a twin (entry.h): its reference is the
 * address of its entry, so each overwrite must change the reference.
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

/* Inserts a key that will be inserted into the table next, and decides whether its entry is a twin.
 * place: see tree_insert(). Returns: false if memory runs out; then nothing is changed. */
bool index_insert(struct index *index, const struct probe *probe, struct entry *entry,
                  const struct tree_place *place);

/* Removes the entry's key, which need no longer be in the table. */
void index_remove(struct index *index, const struct probe *probe, const struct entry *entry);

/* Replaces this twin, which is still in the table, by another one. */
void index_replace(struct index *index, const struct probe *probe, const struct entry *twin,
                   const struct entry *fresh);

/* The entries from the position on whose keys have the prefix, in the order of their keys. Returns:
 * their number; fewer than `max` only if there are no more. */
size_t index_read(struct index *index, const struct tree_position *from, struct kv_slice prefix,
                  struct entry **entries, size_t max);

#endif
