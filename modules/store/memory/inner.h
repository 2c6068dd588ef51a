/*
 * An inner node of the ordered index: children, and between each two of them a separator. Keys of
 * the left one are before it, keys of the right one are not. Separators are no keys, but the
 * shortest texts that tell the two apart, so they stay when keys go.
 */
#ifndef KV_MEMORY_INNER_H
#define KV_MEMORY_INNER_H

#include "node.h"
#include "text.h"

enum {
    INNER_HEAD = 48 /* with the node's own fields, a line of the cache */
};

struct inner {
    struct node node;
    char head[INNER_HEAD];      /* what all separators begin with, as far as there is room */
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

/* Which child the key belongs to. */
size_t inner_rank(const struct inner *inner, struct kv_slice key);

/* Puts a child in behind the one at `rank`; there is room. The separator is the node's from now on.
 */
void inner_insert(struct inner *inner, size_t rank, struct text *separator, struct node *child);

/* Takes out the child at `rank`, which is not the only one, and the separator ahead of it, or
 * behind it where it is the first. */
void inner_remove(struct inner *inner, size_t rank);

/* Moves the upper half to a node of its own. *ret_separator: what stood between the halves, for the
 * caller. Returns: NULL if memory runs out, with nothing done. */
struct inner *inner_split(struct inner *inner, struct text **ret_separator);

/* Moves all of `right` to the end of `left`, where there is room, with the separator, which stood
 * between them, and frees it. */
void inner_merge(struct inner *left, struct text *separator, struct inner *right);

#endif
