/*
 * A sync: a subscription that is brought from a past state to the present one, and is told changes
 * from there on. Here is what the kinds of it share (snapshot.h, replay.h): when they go on. Each
 * sends a page at a time, as its client has room, and waits meanwhile until its loop has delivered
 * what the page shows.
 *
 * A client reads a few pages at once, for all of its subscriptions.
 */
#ifndef KV_KEYSPACE_SYNC_H
#define KV_KEYSPACE_SYNC_H

#include "keyspace/log_reads.h"

/* Those of one loop. */
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
    struct kv_list ready;          /* to go on in the next turn, */
    struct kv_list in_turn;        /* or in this one */
    struct kv_list awaiting_feed;
};

/* The beginning of each kind's struct. */
struct kv_sync {
    struct kv_holdup holdup;
    struct kv_syncs *syncs;
    struct kv_subscription *subscription; /* NULL: it has ended */
    struct kv_list in_list;               /* of those that are ready, or wait */
    bool is_reading;                      /* counted in its subscriber's n_reading */
    uint64_t awaited;                     /* the revision that is to be delivered */
    uint64_t behind;                      /* the states that joined the backlog before the end */
    void (*advance)(struct kv_sync *self);
};

/* Holds the subscription up, in place of what did so before. The rest is the kind's. */
void kv_sync_init(struct kv_sync *sync, struct kv_syncs *syncs,
                  struct kv_subscription *subscription);
/* The subscription is held up no longer. May be called again. */
void kv_sync_fini(struct kv_sync *sync);

/* `advance` is called in this turn, or the next. */
void kv_sync_make_ready(struct kv_sync *sync);

/* Returns: whether everything up to `awaited` has been delivered; if not, `advance` is called again
 * when more has been. */
bool kv_sync_is_delivered(struct kv_sync *sync);

/* Returns: whether a page may be read now: then kv_sync_end_reading() is to follow. If not,
 * `advance` is called again when there may be room. */
bool kv_sync_begin_reading(struct kv_sync *sync);
void kv_sync_end_reading(struct kv_sync *sync);

/* All has been sent but what is behind: `upto` is what `synced` has to reach. */
void kv_sync_begin_end(struct kv_sync *sync, uint64_t upto);

/* Says that the subscription is synced, if it is; if not, `advance` is called again. Returns:
 * whether it did: then the sync is to be freed. */
bool kv_sync_end(struct kv_sync *sync);

/* The subscription is not being replayed any more (topics.h): those that waited for it go on. */
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
