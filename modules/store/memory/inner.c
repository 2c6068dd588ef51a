#include "inner.h"

#include <stdlib.h>

#include "words.h"

struct inner *inner_create(struct node *child)
{
    struct inner *inner = malloc(sizeof(*inner));
    if (inner == NULL)
        return NULL;
    inner->node = (struct node){.is_leaf = false};
    inner->children[0] = child;
    return inner;
}

void inner_destroy(struct inner *inner)
{
    for (size_t i = 0; i < inner->node.n; i++)
        free(inner->separators[i]);
    free(inner);
}

/* ---- searching ---- */

/* The number of separators from `low` to `high` that are not after the key. */
static size_t rank_among(const struct inner *inner, struct kv_slice key, size_t low, size_t high)
{
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (kv_slice_compare(text_slice(inner->separators[middle]), key) <= 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* The common prefix of all separators. The first separator has it, too, but is elsewhere in
 * memory. */
static const char *prefix_of(const struct inner *inner)
{
    return inner->node.skip <= INNER_HEAD ? inner->head : inner->separators[0]->bytes;
}

/* As compare_prefix() in leaf.c. */
static int compare_prefix(const struct inner *inner, struct kv_slice key)
{
    size_t skip = inner->node.skip;
    size_t n = key.len < skip ? key.len : skip;
    int order = n == 0 ? 0 : memcmp(key.bytes, prefix_of(inner), n);
    return order == 0 && n < skip ? -1 : order;
}

size_t inner_rank(const struct inner *inner, struct kv_slice key)
{
    size_t n = inner->node.n;
    if (n == 0)
        return 0;
    int side = compare_prefix(inner, key);
    if (side != 0)
        return side < 0 ? 0 : n;
    uint64_t word = word_of(key, inner->node.skip);
    size_t low = words_below(inner->words, n, word);
    if (low == n || inner->words[low] != word)
        return low;
    return rank_among(inner, key, low, words_upto(inner->words, n, word));
}

/* ---- changing ---- */

/* Recomputes the words of the separators from `from` to `to`; of all, if the length of the common
 * prefix has changed. */
static void adjust(struct inner *inner, size_t from, size_t to)
{
    size_t n = inner->node.n;
    if (n == 0)
        return;
    size_t skip =
        keys_common(text_slice(inner->separators[0]), text_slice(inner->separators[n - 1]));
    bool is_same = skip == inner->node.skip;
    inner->node.skip = (uint32_t)skip;
    memcpy(inner->head, inner->separators[0]->bytes, skip < INNER_HEAD ? skip : (size_t)INNER_HEAD);
    for (size_t i = is_same ? from : 0; i < (is_same ? to : n); i++)
        inner->words[i] = word_of(text_slice(inner->separators[i]), skip);
}

void inner_insert(struct inner *inner, size_t rank, struct text *separator, struct node *child)
{
    size_t behind = inner->node.n - rank;
    memmove(&inner->words[rank + 1], &inner->words[rank], behind * sizeof(uint64_t));
    memmove(&inner->separators[rank + 1], &inner->separators[rank], behind * sizeof(struct text *));
    memmove(&inner->children[rank + 2], &inner->children[rank + 1], behind * sizeof(struct node *));
    inner->separators[rank] = separator;
    inner->children[rank + 1] = child;
    inner->node.n++;
    adjust(inner, rank, rank + 1);
}

void inner_remove(struct inner *inner, size_t rank)
{
    size_t at = rank == 0 ? 0 : rank - 1;
    inner->node.n--;
    size_t behind = inner->node.n - at;
    free(inner->separators[at]);
    memmove(&inner->words[at], &inner->words[at + 1], behind * sizeof(uint64_t));
    memmove(&inner->separators[at], &inner->separators[at + 1], behind * sizeof(struct text *));
    memmove(&inner->children[rank], &inner->children[rank + 1],
            (inner->node.n + 1 - rank) * sizeof(struct node *));
}

/* ---- splitting and merging ---- */

/* Appends `n` separators and `n` + 1 children. */
static void append(struct inner *to, struct text *const *separators, struct node *const *children,
                   size_t n)
{
    memcpy(&to->separators[to->node.n], separators, n * sizeof(struct text *));
    memcpy(&to->children[to->node.n], children, (n + 1) * sizeof(struct node *));
    to->node.n = (uint16_t)(to->node.n + n);
}

struct inner *inner_split(struct inner *inner, struct text **ret_separator)
{
    size_t half = inner->node.n / 2;
    struct inner *right = inner_create(NULL);
    if (right == NULL)
        return NULL;
    append(right, &inner->separators[half + 1], &inner->children[half + 1],
           inner->node.n - half - 1);
    *ret_separator = inner->separators[half];
    inner->node.n = (uint16_t)half;
    adjust(inner, 0, 0);
    adjust(right, 0, right->node.n);
    return right;
}

void inner_merge(struct inner *left, struct text *separator, struct inner *right)
{
    size_t n = left->node.n;
    left->separators[n] = separator;
    left->node.n++;
    append(left, right->separators, right->children, right->node.n);
    adjust(left, n, left->node.n);
    free(right);
}
