/*
 * Keys as words: a node of the ordered index (tree.h) compares these instead of whole keys.
 *
 * All keys of a node start with the same `skip` bytes, which are left out; the next eight bytes of
 * each are its word, big-endian and padded with zeros. So words have the order of their keys, and
 * only keys with equal words must be compared.
 */
#ifndef KV_MEMORY_WORDS_H
#define KV_MEMORY_WORDS_H

#include <kvserver/types.h>

enum {
    WORD_BYTES = 8
};

static inline uint64_t word_of(struct kv_slice key, size_t skip)
{
    uint64_t word = 0;
    if (key.len <= skip)
        return 0;
    size_t len = key.len - skip;
    memcpy(&word, key.bytes + skip, len < WORD_BYTES ? len : WORD_BYTES);
    return __builtin_bswap64(word);
}

/* The word if fewer bytes are left out: `prefix` has the `skip` bytes left out before. */
static inline uint64_t word_extended(uint64_t word, const char *prefix, size_t skip, size_t to)
{
    struct kv_slice more = {prefix, skip};
    size_t n = skip - to;
    if (n == 0)
        return word;
    return n < WORD_BYTES ? word_of(more, to) | word >> 8 * n : word_of(more, to);
}

/* The length of the common prefix of two words. */
static inline size_t words_common(uint64_t one, uint64_t other)
{
    return one == other ? WORD_BYTES : (size_t)__builtin_clzll(one ^ other) / 8;
}

/* The length of the common prefix of two keys. */
static inline size_t keys_common(struct kv_slice one, struct kv_slice other)
{
    size_t n = one.len < other.len ? one.len : other.len;
    size_t i = 0;
    for (; i + WORD_BYTES <= n; i += WORD_BYTES) {
        uint64_t words[2];
        memcpy(&words[0], one.bytes + i, WORD_BYTES);
        memcpy(&words[1], other.bytes + i, WORD_BYTES);
        if (words[0] != words[1])
            return i + (size_t)__builtin_ctzll(words[0] ^ words[1]) / 8;
    }
    while (i < n && one.bytes[i] == other.bytes[i])
        i++;
    return i;
}

/* The number of sorted words that are smaller. */
static inline size_t words_below(const uint64_t *words, size_t n, uint64_t word)
{
    size_t low = 0;
    while (n > 0) {
        size_t half = n / 2;
        bool is_below = words[low + half] < word;
        low = is_below ? low + half + 1 : low;
        n = is_below ? n - half - 1 : half;
    }
    return low;
}

/* The number of sorted words that are smaller or equal. */
static inline size_t words_upto(const uint64_t *words, size_t n, uint64_t word)
{
    return word == UINT64_MAX ? n : words_below(words, n, word + 1);
}

#endif
