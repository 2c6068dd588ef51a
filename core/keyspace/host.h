/*
 * The host of the store: answers its calls, and passes its reports on to the feed, the batches and
 * the expiry.
 */
#ifndef KV_KEYSPACE_HOST_H
#define KV_KEYSPACE_HOST_H

#include "keyspace/expiry.h"
#include "keyspace/health.h"
#include "keyspace/log_reads.h"
#include "keyspace/showing.h"

struct kv_keyspace_host {
    struct kv_store_host base;
    const struct kv_keyspace_parts *parts;
    struct kv_feed *feed;
    struct kv_showing *showing;
    struct kv_expiry *expiry;
    struct kv_health health;
    struct kv_batch *batches[KV_KEYSPACE_MAX_LOOPS];
    struct kv_scans *scans[KV_KEYSPACE_MAX_LOOPS];
    struct kv_log_reads *log_reads[KV_KEYSPACE_MAX_LOOPS];
};

/* The caller fills in `batches`, `scans` and `log_reads`. */
void kv_keyspace_host_init(struct kv_keyspace_host *host, const struct kv_keyspace_parts *parts,
                           struct kv_feed *feed, struct kv_showing *showing,
                           struct kv_expiry *expiry);
/* Call when the store is closed. */
void kv_keyspace_host_fini(struct kv_keyspace_host *host);

#endif
