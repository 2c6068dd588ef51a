/*
 * An inner node of the ordered index: children with separators between them. Keys of the left child
 * are before the separator, keys of the right one are not. Separators are not keys, but the
 * shortest texts that separate the two children, so they stay when keys are removed.
 */
#ifndef KV_MEMORY_INNER_H
#define KV_MEMORY_INNER_H

#include "node.h"
#include "text.h"

enum {
    INNER_HEAD = 48 /* together with the node's own fields, a cache line */
};

struct inner {
    struct node node;
    char head[INNER_HEAD];      /* the common prefix of all separators, as far as there is room */
    uint64_t words[INNER_MOST]; /* of the separators */
    struct text *separators[INNER_MOST];
    struct node *children[INNER_MOST + 1];
};

static inline struct inner *inner_of(struct node *node)
{
    return (struct inner *)(void *)node;
}

/* With one child. Returns: NULL if memory runs out. Owns: the caller, by inner_destroy(). */
struct inner *inner_create(struct node *child);

/* Frees it and its separators. */
void inner_destroy(struct inner *inner);

/* The child that the key belongs to. */
size_t inner_rank(const struct inner *inner, struct kv_slice key);

/* Inserts a child after the one at `rank`; there must be room. The node takes ownership of the
 * separator. */
void inner_insert(struct inner *inner, size_t rank, struct text *separator, struct node *child);

/* Removes the child at `rank`, which must not be the only one, and the separator before it; for the
 * first child, the one after it. */
void inner_remove(struct inner *inner, size_t rank);

/* Moves the upper half to a new node. *ret_separator: the separator between the halves, owned by
 * the caller. Returns: NULL if memory runs out; then nothing is changed. */
struct inner *inner_split(struct inner *inner, struct text **ret_separator);

/* Moves the content of `right` to the end of `left`, which has room for it, with the separator
 * between them, and frees `right`. */
void inner_merge(struct inner *left, struct text *separator, struct inner *right);

#endif
