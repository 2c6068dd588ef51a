/*
 * On the way down to a key's place, every full node is split, so that its parent has room for a
 * separator: a split never propagates upwards, and if memory runs out between two splits, the tree
 * is intact.
 *
 * A node that has become small is merged with a neighbour if both fit into one with some room left.
 * Otherwise nothing is moved between neighbours, so removing a key needs no memory: a node that
 * cannot be merged stays small.
 */
#include "tree.h"

#include <assert.h>
#include <stdlib.h>

#include "inner.h"
#include "leaf.h"

enum {
    MOST_LEVELS = 16, /* above the leaves; with about twenty children each on average, at worst */
    FETCHED = 512
};

/* Prefetches the part of a leaf that is read first. */
static void fetch(const struct node *node)
{
    for (size_t i = 0; i < FETCHED; i += 64)
        __builtin_prefetch((const char *)node + i);
}

/* The child chosen in an inner node. */
struct step {
    struct inner *inner;
    size_t rank;
};

/* From the root down to a leaf. */
struct path {
    struct step steps[MOST_LEVELS];
    size_t n;
};

void tree_init(struct tree *tree, struct tree_keys keys)
{
    *tree = (struct tree){.keys = keys};
}

/* Descends from `node` by the key, or to the left if there is none. Returns: the link to the
 * leaf. */
static struct node **descend(struct node **at, const struct kv_slice *key, struct path *path)
{
    while (!(*at)->is_leaf) {
        struct inner *inner = inner_of(*at);
        size_t rank = key == NULL ? 0 : inner_rank(inner, *key);
        assert(path->n < MOST_LEVELS);
        path->steps[path->n++] = (struct step){inner, rank};
        at = &inner->children[rank];
        fetch(*at);
    }
    return at;
}

/* Moves to the next leaf on the right. Returns: NULL at the end. */
static struct leaf *next_leaf(struct path *path)
{
    while (path->n > 0 && path->steps[path->n - 1].rank == path->steps[path->n - 1].inner->node.n)
        path->n--;
    if (path->n == 0)
        return NULL;
    struct step *last = &path->steps[path->n - 1];
    last->rank++;
    return leaf_of(*descend(&last->inner->children[last->rank], NULL, path));
}

void tree_fini(struct tree *tree)
{
    struct path path = {.n = 0};
    struct node *node = tree->root;
    if (node != NULL)
        node = *descend(&tree->root, NULL, &path);
    while (node != NULL) {
        free(leaf_of(node));
        while (path.n > 0 && path.steps[path.n - 1].rank == path.steps[path.n - 1].inner->node.n)
            inner_destroy(path.steps[--path.n].inner);
        struct leaf *next = next_leaf(&path);
        node = next == NULL ? NULL : &next->node;
    }
    tree->root = NULL;
    tree->n_levels = 0;
}

size_t tree_read(const struct tree *tree, const struct tree_position *from, uint64_t *refs,
                 size_t max)
{
    struct path path = {.n = 0};
    struct node *root = tree->root;
    if (root == NULL)
        return 0;
    struct leaf *leaf = leaf_of(*descend(&root, &from->key, &path));
    size_t at = leaf_rank(leaf, &tree->keys, from);
    size_t n = 0;
    for (; leaf != NULL && n < max; leaf = next_leaf(&path), at = 0)
        for (; at < leaf->node.n && n < max; at++)
            refs[n++] = leaf_refs(leaf)[at];
    return n;
}

/* ---- inserting ---- */

static size_t most_of(const struct node *node)
{
    return node->is_leaf ? LEAF_MOST : INNER_MOST;
}

static bool is_full(const struct node *node)
{
    return node->n == most_of(node);
}

static bool split_leaf(const struct tree *tree, struct inner *parent, size_t rank,
                       struct kv_slice next)
{
    struct leaf_halves halves;
    if (!leaf_split(leaf_of(parent->children[rank]), &tree->keys, next, &halves))
        return false;
    parent->children[rank] = &halves.left->node;
    inner_insert(parent, rank, halves.separator, &halves.right->node);
    return true;
}

static bool split_inner(struct inner *parent, size_t rank)
{
    struct text *separator;
    struct inner *right = inner_split(inner_of(parent->children[rank]), &separator);
    if (right == NULL)
        return false;
    inner_insert(parent, rank, separator, &right->node);
    return true;
}

/* `next` is the key that needs room. */
static bool split_child(struct tree *tree, struct inner *parent, size_t rank, struct kv_slice next)
{
    tree->shape++;
    return parent->children[rank]->is_leaf ? split_leaf(tree, parent, rank, next)
                                           : split_inner(parent, rank);
}

/* Puts a new root above a full one. Returns: false if memory runs out. */
static bool raise_root(struct tree *tree, struct kv_slice next)
{
    struct inner *root = inner_create(tree->root);
    if (root == NULL)
        return false;
    if (!split_child(tree, root, 0, next)) {
        inner_destroy(root);
        return false;
    }
    tree->root = &root->node;
    tree->n_levels++;
    return true;
}

/* Returns: false if memory runs out before the key can be inserted. */
static bool prepare_root(struct tree *tree, struct kv_slice next)
{
    if (tree->root != NULL)
        return !is_full(tree->root) || raise_root(tree, next);
    struct leaf *leaf = leaf_create();
    if (leaf == NULL)
        return false;
    tree->root = &leaf->node;
    return true;
}

bool tree_fetch(struct tree *tree, struct kv_slice key, struct tree_place *place)
{
    if (place->at == NULL || place->shape != tree->shape)
        *place = (struct tree_place){&tree->root, tree->shape, 0};
    if (place->n_above == tree->n_levels)
        return false;
    struct inner *inner = inner_of(*place->at);
    place->at = &inner->children[inner_rank(inner, key)];
    place->n_above++;
    fetch(*place->at);
    return place->n_above < tree->n_levels; /* without reading the node, which is being fetched */
}

/* Descends to the key's leaf, and makes room in it. Returns: NULL if memory runs out. */
static struct node **make_room(struct tree *tree, struct kv_slice key)
{
    if (!prepare_root(tree, key))
        return NULL;
    struct node **at = &tree->root;
    while (!(*at)->is_leaf) {
        struct inner *inner = inner_of(*at);
        size_t rank = inner_rank(inner, key);
        fetch(inner->children[rank]);
        if (is_full(inner->children[rank])) {
            if (!split_child(tree, inner, rank, key))
                return NULL;
            rank = inner_rank(inner, key);
        }
        at = &inner->children[rank];
    }
    return at;
}

/* Whether the place is a leaf that has room. */
static bool is_ready(const struct tree *tree, const struct tree_place *place)
{
    return place->at != NULL && place->shape == tree->shape && *place->at != NULL &&
           place->n_above == tree->n_levels && !is_full(*place->at);
}

bool tree_insert(struct tree *tree, struct kv_slice key, uint64_t ref,
                 const struct tree_place *place)
{
    struct node **at = is_ready(tree, place) ? place->at : make_room(tree, key);
    if (at == NULL)
        return false;
    struct leaf *leaf = leaf_of(*at);
    bool has_memory = leaf_insert(&leaf, &tree->keys, key, ref);
    *at = &leaf->node;
    return has_memory;
}

void tree_replace(struct tree *tree, struct kv_slice key, uint64_t ref, uint64_t with)
{
    struct path path = {.n = 0};
    struct leaf *leaf = leaf_of(*descend(&tree->root, &key, &path));
    leaf_refs(leaf)[leaf_find(leaf, key, ref)] = with;
}

/* ---- removing ---- */

static bool merge_leaves(struct inner *parent, size_t rank)
{
    struct leaf *leaf =
        leaf_merge(leaf_of(parent->children[rank]), leaf_of(parent->children[rank + 1]));
    if (leaf == NULL)
        return false;
    parent->children[rank] = &leaf->node;
    inner_remove(parent, rank + 1);
    return true;
}

static bool merge_inners(struct inner *parent, size_t rank)
{
    struct text *separator = parent->separators[rank];
    parent->separators[rank] = NULL;
    inner_merge(inner_of(parent->children[rank]), separator, inner_of(parent->children[rank + 1]));
    inner_remove(parent, rank + 1);
    return true;
}

/* Merges the child at `rank` with the next one. Returns: false if they are too large, or memory
 * runs out. */
static bool merge_children(struct inner *parent, size_t rank)
{
    const struct node *left = parent->children[rank];
    const struct node *right = parent->children[rank + 1];
    if ((size_t)left->n + right->n >= most_of(left) * 3 / 4)
        return false;
    return left->is_leaf ? merge_leaves(parent, rank) : merge_inners(parent, rank);
}

/* Merges a child that has lost a key, if necessary. Returns: whether the parent has one child
 * less. */
static bool mend(struct inner *parent, size_t rank)
{
    struct node *child = parent->children[rank];
    if (child->n > most_of(child) / 4 || parent->node.n == 0)
        return false;
    if (child->is_leaf && child->n == 0) {
        free(leaf_of(child));
        inner_remove(parent, rank);
        return true;
    }
    return (rank > 0 && merge_children(parent, rank - 1)) ||
           (rank < parent->node.n && merge_children(parent, rank));
}

/* Removes a root with a single child, and an empty leaf. */
static void lower_root(struct tree *tree)
{
    while (!tree->root->is_leaf && tree->root->n == 0) {
        struct inner *root = inner_of(tree->root);
        tree->root = root->children[0];
        inner_destroy(root);
        tree->n_levels--;
        tree->shape++;
    }
    if (tree->root->n == 0) {
        free(leaf_of(tree->root));
        tree->root = NULL;
        tree->shape++;
    }
}

void tree_remove(struct tree *tree, struct kv_slice key, uint64_t ref)
{
    struct path path = {.n = 0};
    struct node **at = descend(&tree->root, &key, &path);
    struct leaf *leaf = leaf_of(*at);
    leaf_remove(&leaf, leaf_find(leaf, key, ref));
    *at = &leaf->node;
    while (path.n > 0 && mend(path.steps[path.n - 1].inner, path.steps[path.n - 1].rank)) {
        tree->shape++;
        path.n--;
    }
    lower_root(tree);
}
