/*
 * The ordered index of one shard: a B+tree (Bayer and McCreight, "Organization and Maintenance of
 * Large Ordered Indexes", 1972; Comer, "The Ubiquitous B-Tree", 1979) of references to keys that
 * are stored elsewhere. References are opaque to the tree: it asks for a key if necessary, which is
 * rare, since nodes keep eight distinguishing bytes of each key (words.h).
 *
 *     inner       separator | separator | …        the shortest texts that tell the children apart
 *     leaf        word | word | …  ref | ref | …   no larger than it has to be, and a little more
 *
 * Everything here is under the shard's lock, including reads.
 */
#ifndef KV_MEMORY_TREE_H
#define KV_MEMORY_TREE_H

#include "keys.h"

struct node;

struct tree {
    struct node *root; /* NULL: empty */
    struct tree_keys keys;
    uint32_t n_levels; /* of inner nodes */
    uint64_t shape;    /* counts the changes of inner nodes */
};

/* The progress of a key's descent from the root to its leaf; valid while the tree keeps its
 * shape. */
struct tree_place {
    struct node **at; /* NULL: not known */
    uint64_t shape;
    uint32_t n_above; /* the number of levels descended */
};

void tree_init(struct tree *tree, struct tree_keys keys);

/* References are not released. */
void tree_fini(struct tree *tree);

/* Follows the key one level further down, and prefetches the node there; for a place of zeros, the
 * root. So many keys can wait for their nodes at once. Returns: false once the node is the key's
 * leaf, or if nothing is known. */
bool tree_fetch(struct tree *tree, struct kv_slice key, struct tree_place *place);

/* Inserts a new key. place: the result of tree_fetch() for the key, or zeros. Returns: false if
 * memory runs out; then the key is not inserted. */
bool tree_insert(struct tree *tree, struct kv_slice key, uint64_t ref,
                 const struct tree_place *place);

/* Removes a key that has that reference. Needs no memory, and reads no key. */
void tree_remove(struct tree *tree, struct kv_slice key, uint64_t ref);

/* Changes the reference of the key. */
void tree_replace(struct tree *tree, struct kv_slice key, uint64_t ref, uint64_t with);

/* The references from the position on, in the order of their keys. Returns: their number; fewer
 * than `max` only if there are no more. */
size_t tree_read(const struct tree *tree, const struct tree_position *from, uint64_t *refs,
                 size_t max);

#endif
