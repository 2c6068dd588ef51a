/*
 * SCANs: pages of keys, put together from small pages of the store.
 *
 * Bounded: a loop takes a few of the store's pages in a turn, of the scans in rotation; a command
 * ends after a number of them, with a cursor, even if it found nothing. One that only counts goes
 * on to the end, as it holds nothing.
 *
 * Over a store that seeks, a walk jumps over the keys of a folded prefix, and a cursor is the place
 * in byte order where the next page begins.
 */
#ifndef KV_KEYSPACE_SCAN_H
#define KV_KEYSPACE_SCAN_H

#include "base/inbox.h"
#include "keyspace/command.h"
#include "keyspace/parts.h"

/* Of one loop. */
struct kv_scans {
    const struct kv_store_link *store;
    const struct kv_keyspace_parts *parts;
    uint32_t loop;
    struct kv_queue ready; /* to be given to the store */
    struct kv_inbox done;  /* from the store's threads */
    uint64_t n_deferred;   /* with the store's threads */
};

void kv_scans_init(struct kv_scans *scans, const struct kv_store_link *store,
                   const struct kv_keyspace_parts *parts, uint32_t loop);

/* Its turn has come. */
void kv_scan_begin(struct kv_scans *scans, struct kv_command *command);

/* Takes some pages from the store. */
void kv_scans_run(struct kv_scans *scans);

/* The store has completed a page that it deferred. Threads: any. */
void kv_scans_done(struct kv_scans *scans, struct kv_scan *scan);

/* Whether kv_scans_run() would find work now. Sequentially consistent. */
bool kv_scans_have_work(struct kv_scans *scans);

#endif
