/*
 * A body that is sent in parts. Each part is requested when the part before it has been written, so
 * a long body needs no more memory than one part. Owned by the resource; it lives as long as the
 * exchange.
 */
#ifndef KV_HTTP_SOURCE_H
#define KV_HTTP_SOURCE_H

#include <kvserver/types.h>

struct kv_source {
    uint64_t len;         /* of the whole body */
    size_t largest_part;  /* bytes at most */
    struct kv_slice part; /* the next part to send; the first part when the answer is given. Its
                             bytes stay valid until `pull` is called */
    /* Requests the next part. Later, on the same loop, the resource calls `give`. */
    void (*pull)(struct kv_source *self);
    /* Set by the carrier, called by the resource: the part is ready; is_there: false if it could
     * not be read, and the answer cannot be completed. */
    void (*give)(struct kv_source *self, bool is_there);
    uint64_t n_sent; /* the carrier's */
    void *carrier;   /* the carrier's */
};

#endif
