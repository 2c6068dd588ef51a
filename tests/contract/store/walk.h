/*
 * A whole walk over a store's keys, page by page.
 */
#ifndef KV_CONTRACT_WALK_H
#define KV_CONTRACT_WALK_H

#include "contract/store/fixture.h"

struct walk {
    struct kv_slice prefix;
    struct kv_slice start; /* for a store with KV_STORE_SEEKS */
    uint32_t capacity;     /* of a page; 0: the maximum */
    /* Called for each entry, which is valid during the call. */
    void (*each)(struct walk *walk, const struct kv_scan_entry *entry);
    /* Called between pages. May be NULL. */
    void (*between)(struct walk *walk, struct fixture *fixture, size_t n_pages);
    void *context;
};

/* Fails the test if a page fails or the walk does not end. Returns: the number of pages. */
size_t walk_all(struct fixture *fixture, struct walk *walk);

/* A copy of the bytes. Owns: the caller, by free(). */
struct kv_slice slice_dup(struct kv_slice slice);

#endif
