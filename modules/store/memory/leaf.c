#include "leaf.h"

#include <assert.h>
#include <stdlib.h>

#include "words.h"

enum {
    STEP = 8,    /* by how many it grows */
    SPARE = 12,  /* more than this is given back */
    EDGE = 4,    /* keys moved to a new leaf if keys are inserted in order */
    WORTH_IT = 4 /* further bytes left out, for which all words of half a leaf are recomputed */
};

/* With room for some more keys. */
static size_t capacity_for(size_t n)
{
    return n + STEP < LEAF_MOST ? n + STEP : LEAF_MOST;
}

static char *prefix_of(struct leaf *leaf)
{
    return (char *)leaf->slots;
}

static struct kv_slice key_at(struct leaf *leaf, const struct tree_keys *keys, size_t at)
{
    return keys->of(keys->context, leaf_refs(leaf)[at]);
}

static struct leaf *create(size_t capacity, size_t skip)
{
    size_t n_head = (skip + sizeof(uint64_t) - 1) / sizeof(uint64_t);
    struct leaf *leaf = malloc(sizeof(*leaf) + (n_head + 2 * capacity) * sizeof(uint64_t));
    if (leaf == NULL)
        return NULL;
    leaf->node =
        (struct node){.is_leaf = true, .capacity = (uint16_t)capacity, .skip = (uint32_t)skip};
    leaf->n_head = (uint32_t)n_head;
    return leaf;
}

struct leaf *leaf_create(void)
{
    return create(EDGE, 0);
}

/* ---- searching ---- */

/* The number of keys from `low` to `high`, whose word equals the position's, that are before it. */
static size_t rank_among(struct leaf *leaf, const struct tree_keys *keys,
                         const struct tree_position *from, size_t low, size_t high)
{
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = kv_slice_compare(key_at(leaf, keys, middle), from->key);
        if (order < 0 || (order == 0 && from->is_behind))
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Compares a key with the common prefix of the leaf. Returns: 0 if it has the prefix; otherwise the
 * side of all keys on which it is. */
static int compare_prefix(struct leaf *leaf, struct kv_slice key)
{
    size_t skip = leaf->node.skip;
    size_t n = key.len < skip ? key.len : skip;
    int order = n == 0 ? 0 : memcmp(key.bytes, prefix_of(leaf), n);
    return order == 0 && n < skip ? -1 : order;
}

/* The same for a position whose key has the leaf's prefix. `word` is its word. */
static size_t rank_behind_prefix(struct leaf *leaf, const struct tree_keys *keys,
                                 const struct tree_position *from, uint64_t word)
{
    const uint64_t *words = leaf_words(leaf);
    size_t n = leaf->node.n;
    size_t low = words_below(words, n, word);
    if (low == n || words[low] != word)
        return low;
    return rank_among(leaf, keys, from, low, words_upto(words, n, word));
}

size_t leaf_rank(struct leaf *leaf, const struct tree_keys *keys, const struct tree_position *from)
{
    int side = compare_prefix(leaf, from->key);
    if (side != 0)
        return side < 0 ? 0 : leaf->node.n;
    return rank_behind_prefix(leaf, keys, from, word_of(from->key, leaf->node.skip));
}

size_t leaf_find(struct leaf *leaf, struct kv_slice key, uint64_t ref)
{
    size_t at = words_below(leaf_words(leaf), leaf->node.n, word_of(key, leaf->node.skip));
    while (at < leaf->node.n && leaf_refs(leaf)[at] != ref)
        at++;
    assert(at < leaf->node.n);
    return at;
}

/* ---- changing ---- */

/* Copies `n` of the keys, from `from` on, to a new leaf. Returns: NULL if memory runs out. */
static struct leaf *copy(struct leaf *leaf, size_t from, size_t n, size_t capacity)
{
    struct leaf *fresh = create(capacity, leaf->node.skip);
    if (fresh == NULL)
        return NULL;
    fresh->node.n = (uint16_t)n;
    memcpy(leaf_words(fresh), leaf_words(leaf) + from, n * sizeof(uint64_t));
    memcpy(leaf_refs(fresh), leaf_refs(leaf) + from, n * sizeof(uint64_t));
    memcpy(prefix_of(fresh), prefix_of(leaf), leaf->node.skip);
    return fresh;
}

/* Returns: false if memory runs out. */
static bool resize(struct leaf **leaf, size_t capacity)
{
    struct leaf *fresh = copy(*leaf, 0, (*leaf)->node.n, capacity);
    if (fresh == NULL)
        return false;
    free(*leaf);
    *leaf = fresh;
    return true;
}

/* Makes the words leave out no more than `skip` bytes. */
static void extend_words(struct leaf *leaf, size_t skip)
{
    uint64_t *words = leaf_words(leaf);
    for (size_t i = 0; i < leaf->node.n; i++)
        words[i] = word_extended(words[i], prefix_of(leaf), leaf->node.skip, skip);
    leaf->node.skip = (uint32_t)skip;
}

static void put_in(uint64_t *slots, size_t n, size_t at, uint64_t slot)
{
    memmove(&slots[at + 1], &slots[at], (n - at) * sizeof(*slots));
    slots[at] = slot;
}

bool leaf_insert(struct leaf **leaf, const struct tree_keys *keys, struct kv_slice key,
                 uint64_t ref)
{
    struct node *node = &(*leaf)->node;
    assert(node->n < LEAF_MOST);
    if (node->n == node->capacity && !resize(leaf, capacity_for(node->n)))
        return false;
    node = &(*leaf)->node;
    size_t common = keys_common(key, (struct kv_slice){prefix_of(*leaf), node->skip});
    if (common < node->skip)
        extend_words(*leaf, common);
    uint64_t word = word_of(key, node->skip);
    size_t at = rank_behind_prefix(*leaf, keys, &(struct tree_position){.key = key}, word);
    put_in(leaf_words(*leaf), node->n, at, word);
    put_in(leaf_refs(*leaf), node->n, at, ref);
    node->n++;
    return true;
}

void leaf_remove(struct leaf **leaf, size_t at)
{
    struct node *node = &(*leaf)->node;
    uint64_t *word = leaf_words(*leaf) + at;
    uint64_t *place = leaf_refs(*leaf) + at;
    node->n--;
    memmove(word, word + 1, (node->n - at) * sizeof(uint64_t));
    memmove(place, place + 1, (node->n - at) * sizeof(uint64_t));
    if (node->n > 0 && node->capacity - node->n > SPARE)
        resize(leaf, capacity_for(node->n)); /* without memory, it stays unchanged */
}

/* ---- splitting and merging ---- */

/* The number of bytes that the words of `n` keys from `from` on should leave out: more than now, if
 * the words no longer distinguish the keys. */
static size_t better_skip(struct leaf *leaf, const struct tree_keys *keys, size_t from, size_t n)
{
    const uint64_t *words = leaf_words(leaf) + from;
    if (words_common(words[0], words[n - 1]) < WORTH_IT)
        return leaf->node.skip;
    size_t common = keys_common(key_at(leaf, keys, from), key_at(leaf, keys, from + n - 1));
    return common >= leaf->node.skip + WORTH_IT ? common : leaf->node.skip;
}

/* As copy(), with words that leave out more bytes. */
static struct leaf *copy_anew(struct leaf *leaf, const struct tree_keys *keys, size_t from,
                              size_t n, size_t skip)
{
    struct leaf *fresh = create(capacity_for(n), skip);
    if (fresh == NULL)
        return NULL;
    fresh->node.n = (uint16_t)n;
    memcpy(leaf_refs(fresh), leaf_refs(leaf) + from, n * sizeof(uint64_t));
    for (size_t i = 0; i < n; i++)
        leaf_words(fresh)[i] = word_of(key_at(leaf, keys, from + i), skip);
    memcpy(prefix_of(fresh), key_at(leaf, keys, from).bytes, skip);
    return fresh;
}

static struct leaf *cut(struct leaf *leaf, const struct tree_keys *keys, size_t from, size_t n)
{
    size_t skip = better_skip(leaf, keys, from, n);
    return skip == leaf->node.skip ? copy(leaf, from, n, capacity_for(n))
                                   : copy_anew(leaf, keys, from, n, skip);
}

/* Splits in the middle, or at an edge if the next key belongs there, as with sorted insertion: so
 * leaves that get no more keys are left full. */
static size_t where_to_cut(struct leaf *leaf, const struct tree_keys *keys, struct kv_slice next)
{
    size_t n = leaf->node.n;
    size_t at = leaf_rank(leaf, keys, &(struct tree_position){.key = next});
    if (at == n)
        return n - EDGE;
    return at == 0 ? EDGE : n / 2;
}

/* Makes the separator between the keys from `at` on and those before. Keys are not in the cache, so
 * they are read only if their words are not enough. */
static struct text *separator_at(struct leaf *leaf, const struct tree_keys *keys, size_t at)
{
    const uint64_t *words = leaf_words(leaf);
    if (words[at - 1] == words[at])
        return text_create(key_at(leaf, keys, at - 1), key_at(leaf, keys, at));
    return text_create_of_words((struct kv_slice){prefix_of(leaf), leaf->node.skip}, words[at - 1],
                                words[at]);
}

bool leaf_split(struct leaf *leaf, const struct tree_keys *keys, struct kv_slice next,
                struct leaf_halves *ret_halves)
{
    size_t half = where_to_cut(leaf, keys, next);
    struct leaf_halves halves = {
        .left = cut(leaf, keys, 0, half),
        .separator = separator_at(leaf, keys, half),
        .right = cut(leaf, keys, half, leaf->node.n - half),
    };
    if (halves.left == NULL || halves.separator == NULL || halves.right == NULL) {
        free(halves.left);
        free(halves.separator);
        free(halves.right);
        return false;
    }
    free(leaf);
    *ret_halves = halves;
    return true;
}

struct leaf *leaf_merge(struct leaf *left, struct leaf *right)
{
    size_t n = (size_t)left->node.n + right->node.n;
    struct leaf *fresh = copy(left, 0, left->node.n, capacity_for(n));
    if (fresh == NULL)
        return NULL;
    struct kv_slice one = {prefix_of(left), left->node.skip};
    struct kv_slice other = {prefix_of(right), right->node.skip};
    size_t skip = keys_common(one, other);
    extend_words(fresh, skip);
    extend_words(right, skip);
    memcpy(leaf_words(fresh) + left->node.n, leaf_words(right), right->node.n * sizeof(uint64_t));
    memcpy(leaf_refs(fresh) + left->node.n, leaf_refs(right), right->node.n * sizeof(uint64_t));
    fresh->node.n = (uint16_t)n;
    free(left);
    free(right);
    return fresh;
}
