/*
 * The ordered index of one shard: a B+tree (Bayer and McCreight, "Organization and Maintenance of
 * Large Ordered Indexes", 1972; Comer, "The Ubiquitous B-Tree", 1979) of references to keys that
 * are kept elsewhere. What a reference is, the tree does not know: it asks for the key of one where
 * it has to, which is seldom, since nodes keep eight telling bytes of each key (words.h).
 *
 *     inner       separator | separator | …        the shortest texts that tell the children apart
 *     leaf        word | word | …  ref | ref | …   no larger than it has to be, and a little more
 *
 * Everything here is under the shard's lock, the reading too.
 */
#ifndef KV_MEMORY_TREE_H
#define KV_MEMORY_TREE_H

#include "keys.h"

struct node;

struct tree {
    struct node *root; /* NULL: it is empty */
    struct tree_keys keys;
    uint32_t n_levels; /* of inner nodes */
    uint64_t shape;    /* counts the changes of inner nodes */
};

/* How far a key has been followed from the root to its leaf, as long as the tree keeps its shape.
 */
struct tree_place {
    struct node **at; /* NULL: not known */
    uint64_t shape;
    uint32_t n_above; /* how many levels it has descended */
};

void tree_init(struct tree *tree, struct tree_keys keys);

/* References are left as they are. */
void tree_fini(struct tree *tree);

/* Follows the key one level further down, and starts fetching the node there into the cache: the
 * root at first, for a place of zeros. So many keys can wait for their nodes at once. Returns:
 * false once the node is the key's leaf, or nothing is known. */
bool tree_fetch(struct tree *tree, struct kv_slice key, struct tree_place *place);

/* Puts in a key that is not there. place: as far as tree_fetch() has followed the key, or zeros.
 * Returns: false if memory runs out, with nothing put in. */
bool tree_insert(struct tree *tree, struct kv_slice key, uint64_t ref,
                 const struct tree_place *place);

/* Takes out a key that is there by that reference. Needs no memory, and asks for no key. */
void tree_remove(struct tree *tree, struct kv_slice key, uint64_t ref);

/* The key has another reference from now on. */
void tree_replace(struct tree *tree, struct kv_slice key, uint64_t ref, uint64_t with);

/* The references from the position on, in the order of their keys. Returns: how many; fewer than
 * `max` only if there are no more. */
size_t tree_read(const struct tree *tree, const struct tree_position *from, uint64_t *refs,
                 size_t max);

#endif
