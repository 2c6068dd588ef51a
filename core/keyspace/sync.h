/*
 * A sync brings a subscription from a past state to the present one, and sends it changes from
 * there on. This file has what the kinds of sync share (snapshot.h, replay.h): when they continue.
 * Each sends a page at a time, as its client has room, and first waits until its loop has delivered
 * the changes that the page shows.
 *
 * A client reads a few pages at once, for all of its subscriptions.
 */
#ifndef KV_KEYSPACE_SYNC_H
#define KV_KEYSPACE_SYNC_H

#include "keyspace/log_reads.h"

/* The syncs of one loop. */
struct kv_syncs {
    const struct kv_keyspace_parts *parts;
    const struct kv_store_link *store;
    struct kv_topics *topics;
    struct kv_feed_inbox *inbox;
    struct kv_gate *gate;
    struct kv_commands *commands;
    struct kv_log_reads *log_reads;
    struct kv_counts *counts;
    struct kv_keyspace_loop *here; /* of the commands */
    const char *epoch;             /* once the store is open */
    struct kv_list ready;          /* to continue in the next turn */
    struct kv_list in_turn;        /* to continue in this turn */
    struct kv_list awaiting_feed;
};

/* The first member of each kind's struct. */
struct kv_sync {
    struct kv_holdup holdup;
    struct kv_syncs *syncs;
    struct kv_subscription *subscription; /* NULL: it has ended */
    struct kv_list in_list;               /* of the syncs that are ready, or wait */
    bool is_reading;                      /* counted in its subscriber's n_reading */
    uint64_t awaited;                     /* the revision that has to be delivered */
    uint64_t behind;                      /* states that joined the backlog before the sync's end */
    void (*advance)(struct kv_sync *self);
};

/* Holds the subscription up, and replaces its previous holdup. The caller sets the other
 * members. */
void kv_sync_init(struct kv_sync *sync, struct kv_syncs *syncs,
                  struct kv_subscription *subscription);
/* Ends the holdup. May be called again. */
void kv_sync_fini(struct kv_sync *sync);

/* Has `advance` called in this turn or the next. */
void kv_sync_make_ready(struct kv_sync *sync);

/* Returns: whether everything up to `awaited` has been delivered; if not, `advance` is called again
 * when more has been. */
bool kv_sync_is_delivered(struct kv_sync *sync);

/* Returns: whether a page may be read now; then kv_sync_end_reading() has to follow. If not,
 * `advance` is called again when there may be room. */
bool kv_sync_begin_reading(struct kv_sync *sync);
void kv_sync_end_reading(struct kv_sync *sync);

/* All has been sent except for the backlog: `synced` has to reach the revision `upto`. */
void kv_sync_begin_end(struct kv_sync *sync, uint64_t upto);

/* Tells the client that the subscription is synced, if it is; if not, `advance` is called again.
 * Returns: whether it is synced: then free the sync. */
bool kv_sync_end(struct kv_sync *sync);

/* The subscription is no longer being replayed (topics.h): syncs that waited for it continue. */
void kv_sync_end_replay(struct kv_sync *sync);

static inline struct kv_subscriber *kv_sync_subscriber(const struct kv_sync *sync)
{
    return sync->subscription->subscriber;
}

static inline const struct kv_pattern *kv_sync_pattern(const struct kv_sync *sync)
{
    return &sync->subscription->topic->pattern;
}

#endif
