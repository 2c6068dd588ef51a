/*
 * A leaf of the ordered index: references in the order of their keys, and a word of each key. It is
 * made anew when it grows or shrinks by a few, so that it never has much room to spare.
 *
 * The bytes that the words leave out are kept, too. So a key that does not begin with them can
 * be told, and words can be extended, without asking for any key.
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

/* An empty one. Returns: NULL if memory runs out. Owns: the caller, by free(). */
struct leaf *leaf_create(void);

/* How many of its keys are before the position. */
size_t leaf_rank(struct leaf *leaf, const struct tree_keys *keys, const struct tree_position *from);

/* Puts in a key that is not there; there are fewer than LEAF_MOST. The leaf may move. Returns:
 * false if memory runs out, with nothing done. */
bool leaf_insert(struct leaf **leaf, const struct tree_keys *keys, struct kv_slice key,
                 uint64_t ref);

/* Where the reference of that key is. It is there. */
size_t leaf_find(struct leaf *leaf, struct kv_slice key, uint64_t ref);

/* Takes one out. The leaf may move to a smaller place. */
void leaf_remove(struct leaf **leaf, size_t at);

struct leaf_halves {
    struct leaf *left;
    struct text *separator;
    struct leaf *right;
};

/* Makes two of a full one, in which the key that comes next has room. Returns: false if memory runs
 * out, with nothing done; else the old leaf is no more. */
bool leaf_split(struct leaf *leaf, const struct tree_keys *keys, struct kv_slice next,
                struct leaf_halves *ret_halves);

/* Makes one of two whose keys have room in one. Returns: NULL if memory runs out, with nothing
 * done; else the old ones are no more. */
struct leaf *leaf_merge(struct leaf *left, struct leaf *right);

#endif
