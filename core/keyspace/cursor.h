/*
 * Cursors of listings: where the next page begins. Opaque to clients, who bring them back. A cursor
 * bears the listing that it belongs to, and is good for no other.
 */
#ifndef KV_KEYSPACE_CURSOR_H
#define KV_KEYSPACE_CURSOR_H

#include "base/buffer.h"

enum kv_cursor_kind {
    KV_CURSOR_START = 's', /* at `start` in byte order */
    KV_CURSOR_PAGE = 'p',  /* at the beginning of the store's page `store` */
    KV_CURSOR_KEY = 'k',   /* within that page, behind `last_key` */
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

/* Returns: false where there is no memory. */
bool kv_cursor_write(struct kv_buffer *out, const struct kv_cursor *cursor);

/* Returns: whether the text is one of the listing that `ret` names by its prefix and delimiter; the
 * other members are slices of the text then. */
bool kv_cursor_read(struct kv_slice text, struct kv_cursor *ret);

#endif
