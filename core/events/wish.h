/*
 * The subscriptions that a client requests for a stream.
 */
#ifndef KV_EVENTS_WISH_H
#define KV_EVENTS_WISH_H

#include <kvserver/types.h>

struct kv_wished {
    struct kv_slice text; /* a key, or a prefix */
    bool is_prefix;
};

/* All zero: no subscriptions. */
struct kv_wish {
    bool initial; /* begin with the present state */
    bool meta;
    bool has_since; /* or with the changes after this revision of the epoch */
    uint64_t since;
    struct kv_slice epoch;
    size_t n;
    struct kv_wished *wished;
    void *bytes; /* the copies, after kv_wish_keep() */
};

/* Appends a subscription; its text is lent until the wish is kept. */
void kv_wish_add(struct kv_wish *wish, struct kv_slice text, bool is_prefix);

/* Copies everything that was lent. Returns: -1 if there is no memory. */
int kv_wish_keep(struct kv_wish *wish);

void kv_wish_fini(struct kv_wish *wish);

#endif
