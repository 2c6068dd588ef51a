/*
 * A body that comes in parts, each of which is asked for when the one before has been written: so a
 * long one needs no more memory than a part. The resource's memory, as long as the exchange lives.
 */
#ifndef KV_HTTP_SOURCE_H
#define KV_HTTP_SOURCE_H

#include <kvserver/types.h>

struct kv_source {
    uint64_t len;         /* of the whole body */
    size_t largest_part;  /* bytes, at the most */
    struct kv_slice part; /* the next to be sent, the first when the answer is given. Its bytes stay
                             until `pull` is called */
    /* Asks for the next part. Later on the same loop, the resource calls `give`. */
    void (*pull)(struct kv_source *self);
    /* The carrier's: there is another part; is_there: false where there is none, and the answer
     * cannot be completed. */
    void (*give)(struct kv_source *self, bool is_there);
    uint64_t n_sent; /* the carrier's */
    void *carrier;   /* the carrier's */
};

#endif
