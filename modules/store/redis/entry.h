/*
 * The entries of the log, as Redis answers to XRANGE and XREVRANGE.
 */
#ifndef KV_STORE_REDIS_ENTRY_H
#define KV_STORE_REDIS_ENTRY_H

#include "../../redis_client/resp.h"

/* Slices are in the answer. */
struct entry {
    struct kv_slice id;
    bool has_events; /* or something else has written it */
    struct kv_slice events;
};

/* Takes the next entry off the answer. Returns: false if there is none. */
bool entry_next(struct kv_slice *reply, struct entry *ret);

#endif
