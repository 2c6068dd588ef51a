/*
 * One loop's part of the keyspace: shared by its clients and the end of its turn.
 */
#ifndef KV_KEYSPACE_LOOP_H
#define KV_KEYSPACE_LOOP_H

#include "keyspace/expiry.h"
#include "keyspace/showing.h"
#include "keyspace/syncs.h"

struct kv_keyspace_loop {
    struct kv_keyspace *keyspace;
    struct kv_loop *loop;
    uint32_t index;
    const struct kv_keyspace_parts *parts;
    const struct kv_store_link *store;
    struct kv_showing *showing;
    struct kv_access_loop *access; /* NULL: rights never change */
    struct kv_tally *tally;        /* NULL: nothing is counted */
    struct kv_expiry *expiry;
    struct kv_counts counts;
    struct kv_commands commands;
    struct kv_topics topics;
    struct kv_watches watches;
    struct kv_feed_inbox inbox;
    struct kv_batch batch;
    struct kv_updates updates;
    struct kv_scans scans;
    struct kv_gate gate;
    struct kv_log_reads log_reads;
    struct kv_syncs syncs;
    struct kv_loop_stage stage;
};

#endif
