/* Owned bytes: the separators between the children of a tree's node. */
#ifndef KV_MEMORY_TEXT_H
#define KV_MEMORY_TEXT_H

#include <kvserver/types.h>

struct text {
    uint32_t len;
    char bytes[];
};

/* The shortest text that is after `before`, and not after `key`, which is after `before`. Returns:
 * NULL if memory runs out. Owns: the caller, by free(). */
struct text *text_create(struct kv_slice before, struct kv_slice key);

/* The same for two keys that begin with the prefix, given the words after it, which differ. (The
 * first byte of `word` that differs is not zero, so it and those before it are bytes of the key.)
 */
struct text *text_create_of_words(struct kv_slice prefix, uint64_t before, uint64_t word);

static inline struct kv_slice text_slice(const struct text *text)
{
    return (struct kv_slice){text->bytes, text->len};
}

#endif
