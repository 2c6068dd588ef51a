/*
 * Watches: what subscribers are told of a key while a GET of it is under way, so that the GET's
 * answer is never older than that (client.h). One loop's.
 */
#ifndef KV_KEYSPACE_WATCHES_H
#define KV_KEYSPACE_WATCHES_H

#include "base/table.h"
#include "keyspace/item.h"

struct kv_watch {
    struct kv_table_node node;
    struct kv_slice key; /* behind the struct */
    uint32_t n_holders;
    uint64_t n_told;          /* changes told so far */
    uint64_t newest_revision; /* of the newest one; 0: none was told */
    struct kv_item newest;    /* its state, with a reference; revision 0: no value */
};

/* Those of one loop. */
struct kv_watches {
    const struct kv_store_link *store;
    struct kv_table by_key;
};

void kv_watches_init(struct kv_watches *watches, const struct kv_store_link *store);
/* None is held any more. */
void kv_watches_fini(struct kv_watches *watches);

/* Begins to watch a key, or joins others that do. Returns: NULL where there is no memory. */
struct kv_watch *kv_watches_hold(struct kv_watches *watches, struct kv_slice key, uint64_t hash);
void kv_watches_let_go(struct kv_watches *watches, struct kv_watch *watch);

/* What was told is no longer true. */
void kv_watches_forget(struct kv_watches *watches);

/* A change is told to subscribers. */
void kv_watches_tell(struct kv_watches *watches, const struct kv_change *change);

#endif
