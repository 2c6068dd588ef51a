#include "base/prefix_tree.h"

#include <assert.h>
#include <stdlib.h>

#include "base/mem.h"

enum {
    BITS = 9 /* of a byte, with the bit that indicates its presence */
};

/* All texts below a branch agree up to this bit, which determines their side. */
struct branch {
    size_t place; /* byte * BITS + bit */
    void *sides[2];
};

static bool is_leaf(const void *node)
{
    return ((uintptr_t)node & 1) == 0;
}

static struct branch *branch_of(const void *node)
{
    return (struct branch *)((uintptr_t)node - 1);
}

static void *node_of(struct branch *branch)
{
    return (char *)branch + 1;
}

static int bit_at(struct kv_slice text, size_t place)
{
    size_t byte = place / BITS, bit = place % BITS;
    if (byte >= text.len)
        return 0;
    return bit == 0 ? 1 : ((unsigned char)text.bytes[byte] >> (BITS - 1 - bit)) & 1;
}

/* The leaf that agrees with the text in all bits that branches test. */
static struct kv_prefix_leaf *nearest(const struct kv_prefix_tree *tree, struct kv_slice text)
{
    void *node = tree->root;
    while (!is_leaf(node)) {
        struct branch *branch = branch_of(node);
        node = branch->sides[bit_at(text, branch->place)];
    }
    return node;
}

/* The first bit in which two texts differ. */
static size_t difference(struct kv_slice a, struct kv_slice b)
{
    size_t byte = 0;
    while (byte < a.len && byte < b.len && a.bytes[byte] == b.bytes[byte])
        byte++;
    assert(byte < a.len || byte < b.len);
    if (byte == a.len || byte == b.len)
        return byte * BITS;
    unsigned differing = (unsigned char)a.bytes[byte] ^ (unsigned char)b.bytes[byte];
    return byte * BITS + 1 + (size_t)(__builtin_clz(differing) - (32 - 8));
}

struct kv_prefix_leaf *kv_prefix_tree_find(const struct kv_prefix_tree *tree, struct kv_slice text)
{
    if (tree->root == NULL)
        return NULL;
    struct kv_prefix_leaf *leaf = nearest(tree, text);
    return kv_slice_equals(leaf->text, text) ? leaf : NULL;
}

void kv_prefix_tree_insert(struct kv_prefix_tree *tree, struct kv_prefix_leaf *leaf)
{
    void **at = &tree->root;
    if (*at == NULL) {
        *at = leaf;
        return;
    }
    size_t place = difference(nearest(tree, leaf->text)->text, leaf->text);
    while (!is_leaf(*at) && branch_of(*at)->place < place)
        at = &branch_of(*at)->sides[bit_at(leaf->text, branch_of(*at)->place)];
    struct branch *branch = kv_alloc(sizeof(*branch));
    int side = bit_at(leaf->text, place);
    branch->place = place;
    branch->sides[side] = leaf;
    branch->sides[1 - side] = *at;
    *at = node_of(branch);
}

void kv_prefix_tree_remove(struct kv_prefix_tree *tree, struct kv_prefix_leaf *leaf)
{
    void **at = &tree->root, **above = NULL;
    int side = 0;
    while (!is_leaf(*at)) {
        above = at;
        side = bit_at(leaf->text, branch_of(*at)->place);
        at = &branch_of(*at)->sides[side];
    }
    assert(*at == leaf);
    if (above == NULL) {
        tree->root = NULL;
        return;
    }
    struct branch *branch = branch_of(*above);
    *above = branch->sides[1 - side];
    free(branch);
}

/* Continues with the longer texts of a branch. Returns: the shorter one, which is a prefix of them
 * all. */
static struct kv_prefix_leaf *pass_shorter(struct kv_prefix_walk *walk, const struct branch *branch)
{
    walk->at = branch->place / BITS < walk->key.len ? branch->sides[1] : NULL;
    return branch->sides[0];
}

/* The next text that may be a prefix of the key; if it is not, no later one is. */
static struct kv_prefix_leaf *next_candidate(struct kv_prefix_walk *walk)
{
    while (walk->at != NULL && !is_leaf(walk->at)) {
        const struct branch *branch = branch_of(walk->at);
        if (branch->place % BITS == 0)
            return pass_shorter(walk, branch);
        bool is_longer = branch->place / BITS >= walk->key.len; /* all texts below are */
        walk->at = is_longer ? NULL : branch->sides[bit_at(walk->key, branch->place)];
    }
    struct kv_prefix_leaf *last = (struct kv_prefix_leaf *)(uintptr_t)walk->at;
    walk->at = NULL;
    return last;
}

struct kv_prefix_leaf *kv_prefix_walk_next(struct kv_prefix_walk *walk)
{
    struct kv_prefix_leaf *leaf = next_candidate(walk);
    if (leaf != NULL && kv_slice_has_prefix(walk->key, leaf->text))
        return leaf;
    walk->at = NULL;
    return NULL;
}
