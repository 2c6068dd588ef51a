/*
 * An intrusive chained hash table for one thread. It stores only hashes; the caller compares keys
 * while it walks a chain.
 */
#ifndef KV_BASE_TABLE_H
#define KV_BASE_TABLE_H

#include <stddef.h>
#include <stdint.h>

struct kv_table_node {
    struct kv_table_node *next;
    uint64_t hash;
};

/* All zero is an empty table. Owns its buckets, not the nodes. */
struct kv_table {
    struct kv_table_node **buckets;
    size_t n_buckets; /* a power of two, or 0 */
    size_t n;
};

void kv_table_fini(struct kv_table *table);
void kv_table_insert(struct kv_table *table, struct kv_table_node *node, uint64_t hash);
void kv_table_remove(struct kv_table *table, struct kv_table_node *node);

/* The first node with this hash after `node` (NULL: from the start). */
struct kv_table_node *kv_table_next(const struct kv_table *table, uint64_t hash,
                                    struct kv_table_node *node);

#define KV_TABLE_EACH(table, hash_, node)                                                          \
    for (struct kv_table_node *node = kv_table_next(table, hash_, NULL); node != NULL;             \
         node = kv_table_next(table, hash_, node))

#endif
