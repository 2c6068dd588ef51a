#include "text.h"

#include <stdlib.h>

#include "words.h"

static struct text *create(size_t len)
{
    struct text *text = malloc(sizeof(*text) + len);
    if (text != NULL)
        text->len = (uint32_t)len;
    return text;
}

struct text *text_create(struct kv_slice before, struct kv_slice key)
{
    size_t len = keys_common(before, key) + 1;
    struct text *text = create(len);
    if (text != NULL)
        memcpy(text->bytes, key.bytes, len);
    return text;
}

struct text *text_create_of_words(struct kv_slice prefix, uint64_t before, uint64_t word)
{
    size_t len = words_common(before, word) + 1;
    struct text *text = create(prefix.len + len);
    if (text == NULL)
        return NULL;
    memcpy(text->bytes, prefix.bytes, prefix.len);
    word = __builtin_bswap64(word);
    memcpy(text->bytes + prefix.len, &word, len);
    return text;
}
