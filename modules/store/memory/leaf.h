/*
 * A leaf of the ordered index: references in the order of their keys, and a word of each key. It is
 * reallocated when it grows or shrinks by a few keys, so that it never has much spare room.
 *
 * The bytes that the words leave out are kept, too. So a key without this prefix can be recognized,
 * and words can be extended, without reading any key.
 */
#ifndef KV_MEMORY_LEAF_H
#define KV_MEMORY_LEAF_H

#include "keys.h"
#include "node.h"
#include "text.h"

struct leaf {
    struct node node;
    uint32_t n_head;  /* slots that the first `skip` bytes take */
    uint64_t slots[]; /* these, `capacity` words, and as many references */
};

static inline struct leaf *leaf_of(struct node *node)
{
    return (struct leaf *)(void *)node;
}

static inline uint64_t *leaf_words(struct leaf *leaf)
{
    return leaf->slots + leaf->n_head;
}

static inline uint64_t *leaf_refs(struct leaf *leaf)
{
    return leaf_words(leaf) + leaf->node.capacity;
}

/* An empty leaf. Returns: NULL if memory runs out. Owns: the caller, by free(). */
struct leaf *leaf_create(void);

/* The number of its keys before the position. */
size_t leaf_rank(struct leaf *leaf, const struct tree_keys *keys, const struct tree_position *from);

/* Inserts a new key; there must be fewer than LEAF_MOST. The leaf may move. Returns: false if
 * memory runs out; then nothing is changed. */
bool leaf_insert(struct leaf **leaf, const struct tree_keys *keys, struct kv_slice key,
                 uint64_t ref);

/* The place of the reference of that key, which must exist. */
size_t leaf_find(struct leaf *leaf, struct kv_slice key, uint64_t ref);

/* Removes a key. The leaf may move to a smaller block. */
void leaf_remove(struct leaf **leaf, size_t at);

struct leaf_halves {
    struct leaf *left;
    struct text *separator;
    struct leaf *right;
};

/* Splits a full leaf into two, so that the next key has room. Returns: false if memory runs out;
 * then nothing is changed. Otherwise the old leaf is freed. */
bool leaf_split(struct leaf *leaf, const struct tree_keys *keys, struct kv_slice next,
                struct leaf_halves *ret_halves);

/* Merges two leaves whose keys fit into one. Returns: NULL if memory runs out; then nothing is
 * changed. Otherwise the old leaves are freed. */
struct leaf *leaf_merge(struct leaf *left, struct leaf *right);

#endif
