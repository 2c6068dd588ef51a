#include "text.h"

#include <stdlib.h>

#include "words.h"

struct text *text_create(struct kv_slice before, struct kv_slice key)
{
    size_t len = keys_common(before, key) + 1;
    struct text *text = malloc(sizeof(*text) + len);
    if (text == NULL)
        return NULL;
    text->len = (uint32_t)len;
    memcpy(text->bytes, key.bytes, len);
    return text;
}
