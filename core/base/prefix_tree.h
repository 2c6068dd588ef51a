/*
 * A set of texts that finds those that a key begins with, without examining the others. Intrusive,
 * except for its branches. Belongs to one thread.
 *
 * A crit-bit tree (D. J. Bernstein, "Crit-bit trees", 2004), over nine bits for each byte, the
 * first of which indicates that there is a byte: so a text may be a prefix of another, and contain
 * any bytes.
 */
#ifndef KV_BASE_PREFIX_TREE_H
#define KV_BASE_PREFIX_TREE_H

#include <kvserver/types.h>

/* The caller's bytes must not change while it is in the tree. */
struct kv_prefix_leaf {
    struct kv_slice text;
};

/* All zero is an empty tree. */
struct kv_prefix_tree {
    void *root; /* a leaf, or a branch with its lowest bit set; NULL: empty */
};

/* The text must not be in the tree. */
void kv_prefix_tree_insert(struct kv_prefix_tree *tree, struct kv_prefix_leaf *leaf);
void kv_prefix_tree_remove(struct kv_prefix_tree *tree, struct kv_prefix_leaf *leaf);

/* Returns: NULL if the text is not in the tree. */
struct kv_prefix_leaf *kv_prefix_tree_find(const struct kv_prefix_tree *tree, struct kv_slice text);

/* Iterates over the texts that a key begins with, the shortest first. */
struct kv_prefix_walk {
    const void *at;
    struct kv_slice key;
};

static inline struct kv_prefix_walk kv_prefix_tree_walk(const struct kv_prefix_tree *tree,
                                                        struct kv_slice key)
{
    return (struct kv_prefix_walk){.at = tree->root, .key = key};
}

/* Returns: NULL at the end. The tree must not change meanwhile. */
struct kv_prefix_leaf *kv_prefix_walk_next(struct kv_prefix_walk *walk);

#endif
