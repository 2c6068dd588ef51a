/*
 * Bytes that stay with their owner while another part of the program uses them.
 */
#ifndef KV_BASE_HELD_H
#define KV_BASE_HELD_H

#include <kvserver/types.h>

/* Plain data. All zero holds nothing. Owns: one reference, until kv_held_release(). */
struct kv_held {
    struct kv_slice bytes;
    void *owner;
    void *ref;
    void (*release)(void *owner, void *ref); /* NULL: nothing to release */
};

static inline void kv_held_release(struct kv_held *held)
{
    if (held->release != NULL)
        held->release(held->owner, held->ref);
    *held = (struct kv_held){0};
}

#endif
