/*
 * Cursors of listings: the place where the next page begins. Opaque to clients, which send them
 * back. A cursor contains the listing that it belongs to, and is valid only for that.
 */
#ifndef KV_KEYSPACE_CURSOR_H
#define KV_KEYSPACE_CURSOR_H

#include "base/buffer.h"

enum kv_cursor_kind {
    KV_CURSOR_START = 's', /* at `start` in byte order */
    KV_CURSOR_PAGE = 'p',  /* at the beginning of the store's page `store` */
    KV_CURSOR_KEY = 'k',   /* within that page, after `last_key` */
};

/* Slices are lent. */
struct kv_cursor {
    enum kv_cursor_kind kind;
    struct kv_slice prefix; /* of the listing, and its delimiter; empty: none */
    struct kv_slice delimiter;
    struct kv_slice start;    /* begins with the prefix */
    struct kv_slice store;    /* the store's own cursor */
    struct kv_slice last_key; /* begins with the prefix */
};

/* Returns: false if there is no memory. */
bool kv_cursor_write(struct kv_buffer *out, const struct kv_cursor *cursor);

/* Reads a cursor of the listing given by the prefix and delimiter in `ret`; the other members of
 * `ret` become slices of the text. Returns: whether the text is such a cursor. */
bool kv_cursor_read(struct kv_slice text, struct kv_cursor *ret);

#endif
