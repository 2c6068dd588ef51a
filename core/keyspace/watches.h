/*
 * Watches: the changes of a key that subscribers were notified of while a GET of the key is under
 * way, so that the GET's answer is never older (client.h). They belong to one loop.
 */
#ifndef KV_KEYSPACE_WATCHES_H
#define KV_KEYSPACE_WATCHES_H

#include "base/table.h"
#include "keyspace/item.h"

struct kv_watch {
    struct kv_table_node node;
    struct kv_slice key; /* after the struct */
    uint32_t n_holders;
    uint64_t n_told;          /* changes told so far */
    uint64_t newest_revision; /* of the newest change; 0: none yet */
    struct kv_item newest;    /* its state, with a reference; revision 0: no value */
};

/* The watches of one loop. */
struct kv_watches {
    const struct kv_store_link *store;
    struct kv_table by_key;
};

void kv_watches_init(struct kv_watches *watches, const struct kv_store_link *store);
/* Call when no watch is held any more. */
void kv_watches_fini(struct kv_watches *watches);

/* Begins to watch a key, or joins an existing watch. Returns: NULL if there is no memory. */
struct kv_watch *kv_watches_hold(struct kv_watches *watches, struct kv_slice key, uint64_t hash);
void kv_watches_let_go(struct kv_watches *watches, struct kv_watch *watch);

/* The changes noted so far are no longer true: forgets them. */
void kv_watches_forget(struct kv_watches *watches);

/* Notes a change that subscribers are notified of. */
void kv_watches_tell(struct kv_watches *watches, const struct kv_change *change);

#endif
