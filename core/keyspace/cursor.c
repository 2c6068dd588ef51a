/*
 * Lengths have 4 bytes, least significant first:
 *
 *     's' <length of the delimiter> <length of the prefix> <delimiter> <start>
 *     'p' <the same> <delimiter> <prefix> <the store's cursor>
 *     'k' <the same> <delimiter> <last key> <the store's cursor> <its length>
 */
#include "keyspace/cursor.h"

#include <endian.h>

enum {
    LENGTH = 4,
    HEAD = 1 + 2 * LENGTH
};

static void append_length(struct kv_buffer *out, size_t len)
{
    uint32_t bytes = htole32((uint32_t)len);
    kv_buffer_append(out, (struct kv_slice){(const char *)&bytes, sizeof(bytes)});
}

static size_t read_length(const char *at)
{
    uint32_t bytes;
    memcpy(&bytes, at, sizeof(bytes));
    return le32toh(bytes);
}

bool kv_cursor_write(struct kv_buffer *out, const struct kv_cursor *cursor)
{
    size_t size = HEAD + cursor->delimiter.len + cursor->prefix.len + cursor->start.len +
                  cursor->store.len + cursor->last_key.len + LENGTH;
    if (kv_buffer_try_reserve(out, size) == NULL)
        return false;
    kv_buffer_append_char(out, (char)cursor->kind);
    append_length(out, cursor->delimiter.len);
    append_length(out, cursor->prefix.len);
    kv_buffer_append(out, cursor->delimiter);
    if (cursor->kind == KV_CURSOR_START) {
        kv_buffer_append(out, cursor->start);
        return true;
    }
    kv_buffer_append(out, cursor->kind == KV_CURSOR_KEY ? cursor->last_key : cursor->prefix);
    kv_buffer_append(out, cursor->store);
    if (cursor->kind == KV_CURSOR_KEY)
        append_length(out, cursor->store.len);
    return true;
}

/* Removes `part` from the front. Returns: whether it was there. */
static bool skip(struct kv_slice *text, struct kv_slice part)
{
    if (!kv_slice_has_prefix(*text, part))
        return false;
    *text = (struct kv_slice){text->bytes + part.len, text->len - part.len};
    return true;
}

/* rest: the last key, the store's cursor, and the length of the cursor. */
static bool split_key(struct kv_slice rest, struct kv_cursor *ret)
{
    if (rest.len < LENGTH)
        return false;
    rest.len -= LENGTH;
    size_t len = read_length(rest.bytes + rest.len);
    if (len > rest.len)
        return false;
    ret->last_key = (struct kv_slice){rest.bytes, rest.len - len};
    ret->store = (struct kv_slice){rest.bytes + rest.len - len, len};
    return kv_slice_has_prefix(ret->last_key, ret->prefix);
}

bool kv_cursor_read(struct kv_slice text, struct kv_cursor *ret)
{
    if (text.len < HEAD || read_length(text.bytes + 1) != ret->delimiter.len ||
        read_length(text.bytes + 1 + LENGTH) != ret->prefix.len)
        return false;
    struct kv_slice rest = {text.bytes + HEAD, text.len - HEAD};
    if (!skip(&rest, ret->delimiter))
        return false;
    ret->kind = (enum kv_cursor_kind)text.bytes[0];
    switch (ret->kind) {
    case KV_CURSOR_START:
        ret->start = rest;
        return kv_slice_has_prefix(rest, ret->prefix);
    case KV_CURSOR_PAGE:
        ret->store = rest;
        return skip(&ret->store, ret->prefix) && ret->store.len != 0;
    case KV_CURSOR_KEY:
        return split_key(rest, ret);
    }
    return false;
}
