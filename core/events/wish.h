/*
 * What the client of a stream asks for.
 */
#ifndef KV_EVENTS_WISH_H
#define KV_EVENTS_WISH_H

#include <kvserver/types.h>

struct kv_wished {
    struct kv_slice text; /* a key, or what keys begin with */
    bool is_prefix;
};

/* All zero asks for nothing. */
struct kv_wish {
    bool initial; /* the present state first */
    bool meta;
    bool has_since; /* or what came after this revision of the epoch */
    uint64_t since;
    struct kv_slice epoch;
    size_t n;
    struct kv_wished *wished;
    void *bytes; /* its own, once they are kept */
};

/* Appends one; its text is lent until the wish is kept. */
void kv_wish_add(struct kv_wish *wish, struct kv_slice text, bool is_prefix);

/* Copies all that was lent. Returns: -1 where there is no memory. */
int kv_wish_keep(struct kv_wish *wish);

void kv_wish_fini(struct kv_wish *wish);

#endif
